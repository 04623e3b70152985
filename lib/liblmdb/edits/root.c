		unsigned int flags = txn->mt_flags;
		if (mdb_page_search(mc, NULL, MDB_PS_ROOTONLY))
			txn->mt_flags = flags;
