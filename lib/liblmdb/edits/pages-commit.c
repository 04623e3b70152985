#ifdef PYLMDB_PAGES
	note_commit(txn);
#endif
