#ifdef PYLMDB_PAGES
		if (F_ISSET(leaf->mn_flags, F_BIGDATA) &&
			F_ISSET(mc->mc_db->md_flags, MDB_DUPSORT)) {
			mc->mc_txn->mt_flags |= MDB_TXN_ERROR;
			return MDB_CORRUPTED;
		}
#endif
