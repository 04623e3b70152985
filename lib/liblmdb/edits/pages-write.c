#ifdef PYLMDB_PAGES
	note_written(txn, keep);
#endif
