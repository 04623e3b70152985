	if (a->mv_size != b->mv_size || !a->mv_size)
		return (a->mv_size > b->mv_size) - (a->mv_size < b->mv_size);
