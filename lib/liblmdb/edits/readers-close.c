#ifdef PYLMDB_READERS
		pid = own_number(env);
#endif
