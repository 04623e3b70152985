#ifdef PYLMDB_PAGES
				if ((mc.mc_top + 1u == ((char *)leaf - buf) / my->mc_env->me_psize) ?
					!IS_LEAF(mp) : !IS_BRANCH(mp)) {
					rc = MDB_CORRUPTED;
					goto done;
				}
#endif
