#ifdef PYLMDB_GROWTH
	take_in_growth(env, txn->mt_next_pgno);
#endif
