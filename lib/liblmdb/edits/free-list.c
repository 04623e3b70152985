#ifdef PYLMDB_PAGES
		if (!merge_free_list(txn, mop, idl)) {
			rc = MDB_CORRUPTED;
			goto fail;
		}
#else
		mdb_midl_xmerge(mop, idl);
#endif
