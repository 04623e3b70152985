#ifdef PYLMDB_PAGES
	forget_seen(env);
#endif
