	mdb_cassert(mc, IS_LEAF(mc->mc_pg[mc->mc_top]));
	if (!NUMKEYS(mc->mc_pg[mc->mc_top]))
		return MDB_NOTFOUND;
