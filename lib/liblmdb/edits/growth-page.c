#ifdef PYLMDB_GROWTH
	if (clear_dead_readers(txn, pgno + num))
		return mdb_page_alloc(mc, num, mp);
	if ((rc = make_room(txn, pgno + num)) != MDB_SUCCESS)
		goto fail;
#endif
