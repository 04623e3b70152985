#ifdef PYLMDB_PAGES
	if (!page_suits(mc, p)) {
		txn->mt_flags |= MDB_TXN_ERROR;
		return MDB_CORRUPTED;
	}
#endif
