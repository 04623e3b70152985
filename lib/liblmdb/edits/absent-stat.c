		if (txn->mt_dbflags[dbi] & DB_STALE) {
			int rc = mdb_page_search(&mc, NULL, MDB_PS_ROOTONLY);
			if (txn->mt_dbflags[dbi] & DB_STALE)
				return rc;
		}
