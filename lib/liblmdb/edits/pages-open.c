#ifdef PYLMDB_PAGES
	if ((rc = file_size(env, &env->me_found_size)) != 0)
		return rc;
	if (env->me_found_size / env->me_psize > meta.mm_last_pg)
		env->me_found_size = (size_t)-1; /* whole; others may commit from here on */
#endif
