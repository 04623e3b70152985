	if (a->mv_size < sizeof(size_t) || b->mv_size < sizeof(size_t))
		return (a->mv_size > b->mv_size) - (a->mv_size < b->mv_size);
