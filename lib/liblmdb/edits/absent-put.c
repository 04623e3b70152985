		if (*mc->mc_dbflag & DB_STALE) {
			rc = mdb_page_search(mc, NULL, MDB_PS_ROOTONLY);
			return rc && rc != MDB_NOTFOUND ? rc : MDB_BAD_DBI;
		}
