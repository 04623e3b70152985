#ifdef PYLMDB_NAMES
	for (i=first_of_that_name(txn, name); i<txn->mt_numdbs; i++) {
#else
	for (i=CORE_DBS; i<txn->mt_numdbs; i++) {
#endif
