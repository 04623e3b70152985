	if (ret)
		ret->mp_flags = 0;
