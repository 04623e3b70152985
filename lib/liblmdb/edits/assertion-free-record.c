			if (len < 0 || id > env->me_pglast) {
				rc = MDB_CORRUPTED;
				break;
			}
