		if (key->mv_size != (size_t)ksize) {
			mc->mc_txn->mt_flags |= MDB_TXN_ERROR;
			return MDB_BAD_VALSIZE;
		}
