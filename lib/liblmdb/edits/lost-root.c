	if (!(mc->mc_flags & C_INITIALIZED))
		mc->mc_pg[0] = NULL;
