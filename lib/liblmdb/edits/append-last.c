			rc = mdb_cursor_last(mc, &k2, NULL); /* the value may be far away, or unwritten */
