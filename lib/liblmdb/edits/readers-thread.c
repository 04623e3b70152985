#ifdef PYLMDB_READERS
	free_own_slot(reader);
	return;
#endif
