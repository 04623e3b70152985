	rc = rc == MDB_NOTFOUND ? MDB_BAD_DBI : rc;
