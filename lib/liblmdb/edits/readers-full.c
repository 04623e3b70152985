#ifdef PYLMDB_READERS
				if (i == env->me_maxreaders)
					i = slot_of_the_dead(env, nr);
#endif
