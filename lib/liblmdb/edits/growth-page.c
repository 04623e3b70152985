#ifdef PYLMDB_GROWTH
	if ((rc = make_room(txn, pgno + num)) != MDB_SUCCESS)
		goto fail;
#endif
