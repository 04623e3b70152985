/* SPDX-License-Identifier: MIT */
/* The table of an engine, compared with the engine's own headers. */
#include <errno.h>

#include "arrays/arrays.h"
#include "position.h"
#include "slots.h"

/* Declare each function as the table does: a compile error if the headers differ. */
#define SAME_TYPE(result, prefix, name, parameters) result prefix##name parameters;
PYLMDB_EACH_SLOT(SAME_TYPE)

#define SAME_NUMBER(name, value) _Static_assert(MDB_##name == (value), "MDB_" #name);
PYLMDB_EACH_NUMBER(SAME_NUMBER)

_Static_assert(sizeof(MDB_val) == 2 * sizeof(size_t), "MDB_val has other members");
_Static_assert(offsetof(MDB_val, mv_size) == 0, "MDB_val begins with its size");
_Static_assert(offsetof(MDB_val, mv_data) == sizeof(size_t), "then there is its data");
_Static_assert((MDB_dbi)-1 == (unsigned int)-1, "MDB_dbi is an unsigned int");

int pylmdb_join(const struct pylmdb_host *host)
{
    if (host->abi != PYLMDB_ENGINE_ABI || host->size != sizeof(*host))
        return EINVAL;
    pylmdb_generation_at = host->generation;
    pylmdb_host_truncated = host->any_truncated;
    pylmdb_guard_code(host->code, host->code_size);
    return 0;
}

size_t pylmdb_last_txnid(MDB_env *env)
{
    MDB_envinfo info;

    return mdb_env_info(env, &info) ? 0 : info.me_last_txnid;
}

#ifdef PYLMDB_HAVE_SHIM
#define LASTING_HANDLES PYLMDB_LASTING_HANDLES
#else
#define LASTING_HANDLES 0
#endif

static const struct pylmdb_engine table = {
    .abi = PYLMDB_ENGINE_ABI,
    .size = sizeof(struct pylmdb_engine),
    .version = PYLMDB_VERSION_STRING,
    .features = (MDB_VERSION_MAJOR >= 1 ? PYLMDB_READONLY_CHILDREN : 0) | LASTING_HANDLES,
#define SLOT(result, prefix, name, parameters) .name = prefix##name,
    PYLMDB_EACH_SLOT(SLOT)};

const struct pylmdb_engine *pylmdb_engine_table(void)
{
    return &table;
}
