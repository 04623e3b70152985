			if (txn->mt_flags & MDB_TXN_WRITEMAP)
				continue;
			{
