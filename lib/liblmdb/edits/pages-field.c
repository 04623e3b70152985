#ifdef PYLMDB_PAGES
	struct pylmdb_seen *me_seen;
	size_t me_found_size;
#endif
