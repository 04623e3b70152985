	if ((mp->mp_flags & P_LOOSE)
#ifdef PYLMDB_PAGES
		|| page_is_shared(mc, mp)
#endif
		) {
		mc->mc_txn->mt_flags |= MDB_TXN_ERROR;
		return MDB_CORRUPTED;
	}
