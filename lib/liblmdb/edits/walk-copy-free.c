		{
			if (data.mv_size < sizeof(MDB_ID)) {
				rc = MDB_CORRUPTED;
				goto finish;
			}
			freecount += *(MDB_ID *)data.mv_data;
		}
