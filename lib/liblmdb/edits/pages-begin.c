#ifdef PYLMDB_PAGES
	} else if (!snapshot_is_sound(txn)) {
		rc = MDB_CORRUPTED;
#endif
