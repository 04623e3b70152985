#ifdef PYLMDB_SEARCH
	if (mc->mc_dbx->md_cmp == mdb_cmp_memn && !IS_LEAF2(mp))
		return search_node(mc, key, exactp);
#endif
