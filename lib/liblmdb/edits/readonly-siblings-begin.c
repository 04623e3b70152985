		if (parent->mt_rdonly_child_count && F_ISSET(flags, MDB_RDONLY)) {
