#ifdef PYLMDB_PAGES
		if (my->mc_next_pgno > my->mc_txn->mt_next_pgno) {
			rc = MDB_CORRUPTED;
			goto done;
		}
#endif
