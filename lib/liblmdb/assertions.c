/* SPDX-License-Identifier: MIT */
/* A failed assertion of liblmdb becomes an error, and does not end the process.
 *
 * mdb_assert_fail() calls the environment's function, and aborts the process if that returns.
 * So the function jumps to the call that entered liblmdb. The work of the transaction is
 * interrupted in the middle: the environment is marked as failed, and liblmdb then answers
 * MDB_PANIC to every begin. Its write transaction is never used again. Nothing of it has
 * reached the meta page, so the file still holds the last commit.
 *
 * Included by shim.c, after mdb.c. */
#if defined(__GNUC__) && (!defined(__clang__) || defined(__x86_64__) || defined(__i386__))
/* The compiler's own functions, which save fewer registers and call nothing. clang has them for few
 * processors. */
typedef void *exit_point[5];
#define MARK_EXIT(point) __builtin_setjmp(point)
#define LEAVE_TO(point) __builtin_longjmp(point, 1)
#else
/* Those of the C library that leave the mask of signals alone, which takes a system call. */
#include <setjmp.h>
typedef jmp_buf exit_point;
#define MARK_EXIT(point) _setjmp(point)
#define LEAVE_TO(point) _longjmp(point, 1)
#endif

static __thread exit_point *assertion_exit;

static void on_failed_assertion(MDB_env *env, const char *message)
{
    (void)env;
    (void)message;
    if (assertion_exit)
        LEAVE_TO(*assertion_exit);
}

void pylmdb_env_guard(MDB_env *env)
{
    mdb_env_set_assert(env, on_failed_assertion);
}

static int panic(MDB_env *env)
{
    env->me_flags |= MDB_FATAL_ERROR;
    if (env->me_txn)
        env->me_txn->mt_flags |= MDB_TXN_ERROR;
    return MDB_PANIC;
}

/* The body of a function that makes one call into liblmdb. */
#define GUARDED(environment, call) \
    exit_point here; \
    MDB_env *volatile env = (environment); \
    volatile int rc; \
    if (assertion_exit) \
        return (call); \
    if (is_truncated(env)) \
        return MDB_CORRUPTED; \
    assertion_exit = &here; \
    rc = MARK_EXIT(here) ? panic(env) : (call); \
    assertion_exit = NULL; \
    return is_truncated(env) ? MDB_CORRUPTED : rc

int pylmdb_safe_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data)
{
    GUARDED(txn->mt_env, mdb_get(txn, dbi, key, data));
}

int pylmdb_safe_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned int flags)
{
    GUARDED(txn->mt_env, mdb_put(txn, dbi, key, data, flags));
}

/* Only mdb_drop() deletes a record that describes a named database. liblmdb refuses to delete
 * it in another way, too, but then fails the transaction. */
static int delete_at(MDB_cursor *mc, unsigned int flags)
{
    const int may_write = !(mc->mc_txn->mt_flags & (MDB_TXN_RDONLY | MDB_TXN_BLOCKED));

    if (may_write && mc->mc_dbi == MAIN_DBI && pylmdb_cursor_is_db(mc))
        return MDB_INCOMPATIBLE;
    return mdb_cursor_del(mc, flags);
}

static int delete_key(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data)
{
    MDB_val found = *key, value;
    MDB_cursor *mc;
    int rc = 0;

    if (dbi == MAIN_DBI && !(txn->mt_flags & MDB_TXN_RDONLY) && !mdb_cursor_open(txn, dbi, &mc)) {
        if (!mdb_cursor_get(mc, &found, &value, MDB_SET_KEY) && pylmdb_cursor_is_db(mc))
            rc = MDB_INCOMPATIBLE;
        mdb_cursor_close(mc);
    }
    return rc ? rc : mdb_del(txn, dbi, key, data);
}

int pylmdb_safe_del(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data)
{
    GUARDED(txn->mt_env, delete_key(txn, dbi, key, data));
}

int pylmdb_safe_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *data, int op)
{
    GUARDED(cursor->mc_txn->mt_env, mdb_cursor_get(cursor, key, data, (MDB_cursor_op)op));
}

int pylmdb_safe_cursor_put(MDB_cursor *cursor, MDB_val *key, MDB_val *data, unsigned int flags)
{
    GUARDED(cursor->mc_txn->mt_env, mdb_cursor_put(cursor, key, data, flags));
}

int pylmdb_safe_cursor_del(MDB_cursor *cursor, unsigned int flags)
{
    GUARDED(cursor->mc_txn->mt_env, delete_at(cursor, flags));
}

static int guarded_drop(MDB_txn *txn, MDB_dbi dbi)
{
    GUARDED(txn->mt_env, mdb_drop(txn, dbi, 0));
}

static int guarded_dbi_open(MDB_txn *txn, const char *name, unsigned int flags, MDB_dbi *dbi)
{
    GUARDED(txn->mt_env, mdb_dbi_open(txn, name, flags, dbi));
}

static int guarded_commit(MDB_txn *txn)
{
    GUARDED(txn->mt_env, mdb_txn_commit(txn));
}

/* In a failed environment a write transaction is not ended, only forgotten. The writer lock
 * is released when the top-level transaction ends. */
static int forget_failed(MDB_env *env, MDB_txn *txn)
{
    if (!(env->me_flags & MDB_FATAL_ERROR) || F_ISSET(txn->mt_flags, MDB_TXN_RDONLY))
        return 0;
    if (txn == env->me_txn0 && env->me_txn) {
        env->me_txn = NULL;
        if (env->me_txns)
            UNLOCK_MUTEX(env->me_wmutex);
    }
    return 1;
}

int pylmdb_safe_commit(MDB_txn *txn)
{
    MDB_env *env = txn->mt_env;
    int rc;

    if (forget_failed(env, txn))
        return MDB_PANIC;
    if (is_truncated(env)) {
        mdb_txn_abort(txn);
        return MDB_CORRUPTED;
    }
    rc = guarded_commit(txn);
    if (rc == MDB_PANIC && env->me_txn)
        (void)forget_failed(env, env->me_txn0);
    return rc;
}

void pylmdb_safe_abort(MDB_txn *txn)
{
    if (!forget_failed(txn->mt_env, txn))
        mdb_txn_abort(txn);
}
