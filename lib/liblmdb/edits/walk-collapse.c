#ifdef PYLMDB_PAGES
			if (mc->mc_db->md_depth < 2) {
				mc->mc_txn->mt_flags |= MDB_TXN_ERROR;
				return MDB_CORRUPTED;
			}
#endif
