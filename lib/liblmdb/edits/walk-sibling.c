#ifdef PYLMDB_PAGES
	if (!same_level(mp, mc->mc_pg[mc->mc_top + 1])) {
		mc->mc_flags &= ~(C_INITIALIZED|C_EOF);
		mc->mc_txn->mt_flags |= MDB_TXN_ERROR;
		return MDB_CORRUPTED;
	}
#endif
