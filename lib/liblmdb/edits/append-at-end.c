#ifdef PYLMDB_SEARCH
	if (!is_on_last_page(mc))
#endif
