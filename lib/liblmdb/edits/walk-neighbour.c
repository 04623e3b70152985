#ifdef PYLMDB_PAGES
		if (!same_level(mn.mc_pg[mn.mc_top], mc->mc_pg[mc->mc_top])) {
			mc->mc_txn->mt_flags |= MDB_TXN_ERROR;
			return MDB_CORRUPTED;
		}
#endif
