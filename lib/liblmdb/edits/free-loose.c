#ifdef PYLMDB_PAGES
		if (!merge_free_list(txn, mop, loose))
			return MDB_CORRUPTED;
#else
		mdb_midl_xmerge(mop, loose);
#endif
