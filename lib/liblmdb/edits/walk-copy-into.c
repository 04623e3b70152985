						rc = mdb_env_cwalk(my, &db.md_root, (ni->mn_flags & F_DUPDATA) | F_SUBDATA);
