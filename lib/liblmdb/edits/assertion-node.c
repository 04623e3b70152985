	if (indx >= numkeys) {
		mc->mc_txn->mt_flags |= MDB_TXN_ERROR;
		return;
	}
