	if (a->mv_size < sizeof(unsigned int) || b->mv_size < sizeof(unsigned int))
		return (a->mv_size > b->mv_size) - (a->mv_size < b->mv_size);
