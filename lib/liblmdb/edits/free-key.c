		if (key.mv_size != sizeof(txnid_t)) {
			rc = MDB_CORRUPTED;
			goto fail;
		}
