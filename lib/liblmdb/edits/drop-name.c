#ifdef PYLMDB_PAGES
			if (!is_name(&key))
				goto plain2;
#endif
