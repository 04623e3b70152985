			if (pglast > env->me_pglast)
				return MDB_CORRUPTED;
