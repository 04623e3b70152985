/* SPDX-License-Identifier: MIT */
/* The engine's table, for the core. */
#include "engine.h"

extern const int *pylmdb_generation_at;
extern int *pylmdb_host_cut;

static void join(const struct pylmdb_host *host)
{
    pylmdb_generation_at = host->generation;
    pylmdb_host_cut = host->any_cut;
    pylmdb_guard_code(host->code, host->code_size);
}

static size_t last_txnid(MDB_env *env)
{
    MDB_envinfo info;

    return mdb_env_info(env, &info) ? 0 : info.me_last_txnid;
}

static const struct pylmdb_engine table = {
    .abi = PYLMDB_ENGINE_ABI,
    .size = sizeof(struct pylmdb_engine),
    .major = MDB_VERSION_MAJOR,
    .minor = MDB_VERSION_MINOR,
    .patch = MDB_VERSION_PATCH,
#ifdef PYLMDB_HAVE_SHIM
    .hardened = 1,
#endif
    .join = join,
    .last_txnid = last_txnid,
#define PYLMDB_FILL(name) .name = pylmdb_##name,
#define MDB_FILL(name) .name = mdb_##name,
    PYLMDB_EACH_SLOT(PYLMDB_FILL, MDB_FILL)
};

const struct pylmdb_engine *pylmdb_engine_table(void)
{
    return &table;
}

/* The numbers that the core was compiled with are those of every engine. */
#define SAME(name, number) _Static_assert(name == number, #name)
SAME(MDB_NOTFOUND, -30798);
SAME(MDB_KEYEXIST, -30799);
SAME(MDB_CORRUPTED, -30796);
SAME(MDB_BAD_TXN, -30782);
SAME(MDB_BAD_DBI, -30780);
SAME(MDB_FIRST, 0);
SAME(MDB_GET_CURRENT, 4);
SAME(MDB_NEXT, 8);
SAME(MDB_NEXT_MULTIPLE, 10);
SAME(MDB_PREV, 12);
SAME(MDB_SET_KEY, 16);
SAME(MDB_SET_RANGE, 17);
_Static_assert(sizeof(MDB_val) == 2 * sizeof(size_t), "MDB_val");
