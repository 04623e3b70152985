#ifdef PYLMDB_PAGES
						if (!large_value_fits(my->mc_txn, omp, NODEDSZ(ni)) || ovp.op_pages != omp->mp_pages ||
							my->mc_next_pgno > my->mc_txn->mt_next_pgno) {
							rc = MDB_CORRUPTED;
							goto done;
						}
#endif
