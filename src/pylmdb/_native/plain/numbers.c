/* SPDX-License-Identifier: MIT */
/* Statistics of databases and environments, as arrays of numbers; each core makes a record of
 * an array.  types.py names the fields, in this order. */
#include "plain.h"

#include <stdint.h>

static void write_stat(const MDB_stat *stat, size_t *out)
{
    out[0] = stat->ms_psize;
    out[1] = stat->ms_depth;
    out[2] = stat->ms_branch_pages;
    out[3] = stat->ms_leaf_pages;
    out[4] = stat->ms_overflow_pages;
    out[5] = stat->ms_entries;
}

int pylmdb_stat(MDB_txn *txn, MDB_dbi dbi, size_t *out)
{
    MDB_stat stat;
    int rc = mdb_stat(txn, dbi, &stat);

    if (rc && pylmdb_may_try_again(txn, dbi, &rc))
        rc = mdb_stat(txn, dbi, &stat);
    if (!rc)
        write_stat(&stat, out);
    return rc;
}

int pylmdb_env_stat(MDB_env *env, size_t *out)
{
    MDB_stat stat;
    const int rc = mdb_env_stat(env, &stat);

    if (!rc)
        write_stat(&stat, out);
    return rc;
}

int pylmdb_env_info(MDB_env *env, size_t *out)
{
    MDB_envinfo info;
    MDB_stat stat;
    int rc;

    if ((rc = mdb_env_info(env, &info)) || (rc = mdb_env_stat(env, &stat)))
        return rc;
    out[0] = (uintptr_t)info.me_mapaddr;
    out[2] = info.me_last_pgno;
    out[PYLMDB_INFO_TXNID] = info.me_last_txnid;
    out[4] = info.me_maxreaders;
    out[5] = info.me_numreaders;
    out[PYLMDB_INFO_PINNED] = 0;
    pylmdb_env_room(env, &out[1], &out[7], &out[8]);
    out[9] = (info.me_last_pgno + 1) * stat.ms_psize;
    out[10] = stat.ms_psize;
    return 0;
}
