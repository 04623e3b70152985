#ifdef PYLMDB_PAGES
	forget_seen(env);
#endif
#ifdef PYLMDB_NAMES
	forget_names(env);
#endif
