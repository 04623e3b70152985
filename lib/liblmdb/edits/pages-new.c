#ifdef PYLMDB_PAGES
	if (pages_are_held(mc, pgno, num)) {
		rc = MDB_CORRUPTED;
		goto fail;
	}
	forget_pages(env, pgno, num);
#endif
