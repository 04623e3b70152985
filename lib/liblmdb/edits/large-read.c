#ifdef PYLMDB_PAGES
	if (!large_value_fits(mc->mc_txn, omp, data->mv_size)) {
		mc->mc_txn->mt_flags |= MDB_TXN_ERROR;
		return MDB_CORRUPTED;
	}
#endif
