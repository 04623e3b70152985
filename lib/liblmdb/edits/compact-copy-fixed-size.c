			 /* mdb_env_cwalk() walks the pages with a cursor that has no database. */
			 (mc->mc_db != NULL &&
			  BAD_LEAF2_PAD(p, mc->mc_db->md_pad, psize - PAGEHDRSZ)))) {
