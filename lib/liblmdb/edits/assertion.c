#ifdef PYLMDB_PAGES
#define mdb_cassert(mc, expr) do { if (!(expr)) { \
		(mc)->mc_txn->mt_flags |= MDB_TXN_ERROR; \
		return MDB_CORRUPTED; } } while (0)
#else
#define mdb_cassert(mc, expr)	mdb_assert0((mc)->mc_txn->mt_env, expr, #expr)
#endif
