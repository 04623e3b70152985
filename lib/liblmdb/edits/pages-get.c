#ifdef PYLMDB_PAGES
	if (!page_is_sound(txn, pgno, p))
		return MDB_CORRUPTED;
#endif
