			if (key.mv_size != sizeof(txnid_t))
				return MDB_CORRUPTED;
