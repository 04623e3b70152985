#ifdef PYLMDB_PAGES
			if (txn->mt_free_pgs[0] > txn->mt_next_pgno) {
				rc = MDB_CORRUPTED;
				goto done;
			}
#endif
