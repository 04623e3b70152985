#ifdef PYLMDB_READERS
				note_process(env, r);
#endif
