#ifdef PYLMDB_PAGES
				forget_pages(env, omp->mp_pgno, ovpages);
#endif
