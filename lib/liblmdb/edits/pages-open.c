#ifdef PYLMDB_PAGES
	if ((rc = file_size(env, &env->me_found_size)) != 0)
		return rc;
#endif
