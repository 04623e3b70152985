#ifdef PYLMDB_PAGES
						if ((flags & F_SUBDATA) && !(ni->mn_flags & F_DUPDATA)) {
							rc = MDB_CORRUPTED;
							goto done;
						}
#endif
