/* SPDX-License-Identifier: MIT */
/* Begin and end native transactions, count them, and keep idle read transactions in a pool.
 *
 * The slots of the pool are emptied and filled by atomic exchange, so any thread may begin
 * and end transactions at any time. There are two kinds of idle transactions. Some were reset
 * and keep their reader slots; max_spare_txns limits their number. The others keep only their
 * memory, so that the next transaction need not allocate it. */
#include "plain.h"

#include <pthread.h>
#include <stdlib.h>

/* The thread that takes a transaction out of a slot sees all that the one that put it there has
 * stored. */
#define LOOK_AT(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define ADD(number, by) __atomic_add_fetch(number, by, __ATOMIC_SEQ_CST)
#define EXCHANGE(slot, value) __atomic_exchange_n(slot, value, __ATOMIC_ACQ_REL)

static int store_if_empty(MDB_txn **slot, MDB_txn *txn)
{
    MDB_txn *expected = NULL;

    return __atomic_compare_exchange_n(slot, &expected, txn, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static int own_generation = 1;
/* the core's count, once the engine has joined the core */
const int *pylmdb_generation_at = &own_generation;
#define pylmdb_generation (*pylmdb_generation_at)

static void count_fork(void)
{
    own_generation++;
}

__attribute__((constructor)) static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, count_fork);
}

void pylmdb_env_end(MDB_env **env)
{
    MDB_env *ptr = *env;

    *env = NULL;
    if (ptr)
        pylmdb_env_close(ptr);
}

struct pylmdb_pool *pylmdb_pool_new(MDB_env *env, int keep)
{
    struct pylmdb_pool *pool = calloc(1, sizeof(*pool));

    if (pool) {
        pool->env = env;
        pool->count = 1;
        pool->keep = keep < PYLMDB_MAX_IDLE ? keep : PYLMDB_MAX_IDLE;
        pylmdb_env_note_in(env, &pool->notes);
    }
    return pool;
}

void pylmdb_take_notes(struct pylmdb_pool *pool, struct pylmdb_notes *taken)
{
    struct pylmdb_notes *notes = &pool->notes;

    /* First that there are any, so that what is noted meanwhile is taken now or the next time. */
    taken->is_noted = EXCHANGE(&notes->is_noted, 0);
    taken->dead_readers = EXCHANGE(&notes->dead_readers, 0);
    taken->map_size = EXCHANGE(&notes->map_size, 0);
}

void pylmdb_pool_release(struct pylmdb_pool *pool)
{
    if (pool && !ADD(&pool->count, -1))
        free(pool);
}

/* Open a database. The slot of a database that no longer exists is used again if no other
 * transaction is alive that could know its handle, or if no slot is left. live is the number
 * of transactions that the pool does not count. used is 1 if an operation in progress uses the
 * slot of a database that was dropped meanwhile; then MDB_DBS_FULL is returned instead, because
 * the operation would read the other database. */
int pylmdb_open_db(struct pylmdb_pool *pool, MDB_txn *txn, const char *name, unsigned int flags,
                   int live, int used, struct pylmdb_opened *opened)
{
    int rc;

    if (name && live + pylmdb_pool_live(pool) <= 1)
        pylmdb_dbi_reclaim(pool->env, 1);
    rc = pylmdb_dbi_open(txn, name, flags, &opened->dbi);
    if (rc == MDB_DBS_FULL && name && !used) {
        pylmdb_dbi_reclaim(pool->env, 0);
        rc = pylmdb_dbi_open(txn, name, flags, &opened->dbi);
    }
    if (!rc && mdb_dbi_flags(txn, opened->dbi, &opened->flags))
        rc = MDB_NOTFOUND;
    opened->pending = !rc && pylmdb_dbi_pending(txn, opened->dbi);
    return rc;
}

int pylmdb_pool_live(const struct pylmdb_pool *pool)
{
    return LOOK_AT(pool->count) / 2;
}

void pylmdb_pool_drain(struct pylmdb_pool *pool)
{
    MDB_txn *txn;
    int i;

    for (i = 0; i < PYLMDB_MAX_IDLE; i++)
        if (LOOK_AT(pool->idle[i]) && (txn = EXCHANGE(&pool->idle[i], NULL)))
            mdb_txn_abort(txn);
    for (i = 0; i < PYLMDB_MAX_SLOTLESS; i++)
        if (LOOK_AT(pool->slotless[i]) && (txn = EXCHANGE(&pool->slotless[i], NULL)))
            mdb_txn_abort(txn);
}

static MDB_txn *take_idle(MDB_txn **slots, int count)
{
    MDB_txn *txn;
    int i;

    for (i = 0; i < count; i++)
        if (LOOK_AT(slots[i]) && (txn = EXCHANGE(&slots[i], NULL)))
            return txn;
    return NULL;
}

static int keep_idle(MDB_txn **slots, int count, MDB_txn *txn)
{
    int i;

    for (i = 0; i < count; i++)
        if (!LOOK_AT(slots[i]) && store_if_empty(&slots[i], txn))
            return 1;
    return 0;
}

static void count_begin(struct pylmdb_txn *txn, struct pylmdb_pool *pool)
{
    (void)ADD(&pool->count, 2);
    txn->pool = pool;
    txn->code = 0;
    txn->generation = pylmdb_generation;
}

static void count_end(struct pylmdb_txn *txn)
{
    struct pylmdb_pool *pool = txn->pool;

    txn->pool = NULL;
    if (!ADD(&pool->count, -2))
        free(pool);
}

static MDB_txn *take_native(struct pylmdb_txn *txn)
{
    MDB_txn *ptr = txn->ptr;

    txn->ptr = NULL;
    return txn->generation == pylmdb_generation ? ptr : NULL;
}

int pylmdb_begin(struct pylmdb_txn *txn, struct pylmdb_pool *pool, MDB_txn *parent,
                 unsigned int flags, int wait_ms)
{
    MDB_txn *begun;
    int rc = pylmdb_txn_begin(pool->env, parent, flags, wait_ms, &begun);

    if (!rc) {
        count_begin(txn, pool);
        txn->ptr = begun;
    }
    return rc;
}

int pylmdb_begin_reader(struct pylmdb_txn *txn, struct pylmdb_pool *pool, int wait_ms)
{
    MDB_txn *idle = pool->keep ? take_idle(pool->idle, PYLMDB_MAX_IDLE) : NULL;
    int rc;

    if (!idle)
        idle = take_idle(pool->slotless, PYLMDB_MAX_SLOTLESS);
    if (!idle)
        return pylmdb_begin(txn, pool, NULL, MDB_RDONLY, wait_ms);
    rc = pylmdb_txn_renew(idle, wait_ms);
    if (rc) {
        mdb_txn_abort(idle);
        return rc;
    }
    count_begin(txn, pool);
    txn->ptr = idle;
    return 0;
}

void pylmdb_end_reader(struct pylmdb_txn *txn)
{
    struct pylmdb_pool *pool = txn->pool;
    MDB_txn *ptr = take_native(txn);

    if (!ptr)
        return;
    if (pool->keep && LOOK_AT(pool->count) & 1) {
        mdb_txn_reset(ptr);
        if (keep_idle(pool->idle, pool->keep, ptr))
            ptr = NULL;
    }
    if (ptr &&
        (!pylmdb_txn_release_slot(ptr) || !keep_idle(pool->slotless, PYLMDB_MAX_SLOTLESS, ptr)))
        mdb_txn_abort(ptr);
    count_end(txn);
}

void pylmdb_abort(struct pylmdb_txn *txn)
{
    MDB_txn *ptr = take_native(txn);

    if (ptr) {
        pylmdb_safe_abort(ptr);
        count_end(txn);
    }
}

void pylmdb_commit(struct pylmdb_txn *txn, MDB_env *env, unsigned int sync_flags)
{
    const unsigned int all = MDB_NOSYNC | MDB_NOMETASYNC;
    MDB_txn *ptr = take_native(txn);

    if (!ptr)
        return;
    if (env) {
        mdb_env_set_flags(env, all & ~sync_flags, 0);
        mdb_env_set_flags(env, all & sync_flags, 1);
    }
    txn->code = pylmdb_safe_commit(ptr);
    count_end(txn);
}
