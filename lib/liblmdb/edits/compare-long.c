	if (a->mv_size < sizeof(size_t) || b->mv_size < sizeof(size_t)) {
		if (a->mv_size == b->mv_size && a->mv_size >= sizeof(unsigned int))
			return mdb_cmp_int(a, b);
		return (a->mv_size > b->mv_size) - (a->mv_size < b->mv_size);
	}
