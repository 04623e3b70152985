#ifdef PYLMDB_PAGES
		if (!free_list_is_sound(txn, mop)) {
			rc = MDB_CORRUPTED;
			goto fail;
		}
#endif
