			{
				mdb_txn_end(txn, MDB_END_FAIL_BEGINCHILD);
				txn->mt_u.dirty_list = NULL;
			}
