#ifdef PYLMDB_PAGES
	mx->mx_cursor.mc_flags &= ~(C_INITIALIZED|C_EOF);
	if (!duplicates_suit(mc, node)) {
		mc->mc_txn->mt_flags |= MDB_TXN_ERROR;
		return;
	}
#endif
