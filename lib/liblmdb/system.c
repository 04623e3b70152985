/* SPDX-License-Identifier: MIT */
/* The shim for a system liblmdb: plain calls, and what cannot be had.  Included
 * by shim.c, with plain.c. */

int pylmdb_has_shim(void)
{
    return 0;
}

int pylmdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned int flags,
                     int wait_ms, MDB_txn **txn)
{
    (void)wait_ms;
    return mdb_txn_begin(env, parent, flags, txn);
}

int pylmdb_txn_renew(MDB_txn *txn, int wait_ms)
{
    (void)wait_ms;
    return mdb_txn_renew(txn);
}

int pylmdb_txn_park(MDB_txn *txn)
{
    (void)txn;
    return 0;
}

void pylmdb_env_close(MDB_env *env)
{
    mdb_env_close(env);
}

int pylmdb_env_copyfd(MDB_env *env, mdb_filehandle_t fd, unsigned int flags,
                      int wait_ms)
{
    (void)wait_ms;
    return mdb_env_copyfd2(env, fd, flags);
}

int pylmdb_txn_is_old(MDB_txn *txn)
{
    (void)txn;
    return 0;
}

int pylmdb_txn_adopt(MDB_txn *txn, MDB_dbi dbi)
{
    (void)txn;
    (void)dbi;
    return MDB_BAD_DBI;
}

int pylmdb_dbi_open(MDB_txn *txn, const char *name, unsigned int flags,
                    MDB_dbi *dbi)
{
    return mdb_dbi_open(txn, name, flags, dbi);
}

int pylmdb_txn_is_changed(MDB_txn *txn)
{
    (void)txn;
    return -1;
}

int pylmdb_cursor_is_db(MDB_cursor *cursor)
{
    (void)cursor;
    return -1;
}

int pylmdb_append(MDB_txn *txn, MDB_dbi dbi, const MDB_val *records, size_t count, size_t *done)
{
    (void)txn;
    (void)dbi;
    (void)records;
    (void)count;
    *done = 0;
    return ENOTSUP;
}

int pylmdb_quick_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data)
{
    (void)txn;
    (void)dbi;
    (void)key;
    (void)data;
    return PYLMDB_NOT_QUICK;
}

int pylmdb_quick_seek(MDB_cursor *cursor, MDB_val *key, MDB_val *data, int op, int *near)
{
    (void)near;
    (void)cursor;
    (void)key;
    (void)data;
    (void)op;
    return PYLMDB_NOT_QUICK;
}

int pylmdb_find_many(MDB_cursor *cursor, struct pylmdb_lookup *lookups, size_t count)
{
    (void)cursor;
    (void)lookups;
    (void)count;
    return PYLMDB_NOT_QUICK;
}

const void *pylmdb_fetch_later(MDB_cursor *cursor, const void *later)
{
    (void)cursor;
    (void)later;
    return NULL;
}

int pylmdb_read_later(MDB_cursor *cursor, void *later, MDB_val *data)
{
    (void)cursor;
    (void)later;
    (void)data;
    return EINVAL;
}

int pylmdb_exchange(MDB_txn *txn, MDB_dbi dbi, const MDB_val *key, MDB_val *value,
                    pylmdb_seen *seen, void *context)
{
    (void)txn;
    (void)dbi;
    (void)key;
    (void)value;
    (void)seen;
    (void)context;
    return PYLMDB_NOT_QUICK;
}

int pylmdb_cursor_step(MDB_cursor *cursor, MDB_val *key, MDB_val *data, int op)
{
    MDB_val unwanted;

    return mdb_cursor_get(cursor, key, data ? data : &unwanted, (MDB_cursor_op)op);
}

void pylmdb_cursor_unset(MDB_cursor *cursor)
{
    (void)cursor;
}

void pylmdb_env_abandon(MDB_env *env)
{
    (void)env;
}

void *pylmdb_env_map(MDB_env *env, size_t *size)
{
    (void)env;
    *size = 0;
    return NULL;
}

int pylmdb_drop(MDB_txn *txn, MDB_dbi dbi, int del)
{
    return mdb_drop(txn, dbi, del);
}

int pylmdb_dbi_pending(MDB_txn *txn, MDB_dbi dbi)
{
    (void)txn;
    (void)dbi;
    return 1;
}

void pylmdb_dbi_retire(MDB_env *env, MDB_dbi dbi)
{
    (void)env;
    (void)dbi;
}

void pylmdb_dbi_reclaim(MDB_env *env, int alone)
{
    (void)env;
    (void)alone;
}

int pylmdb_env_check(MDB_env *env)
{
    (void)env;
    return 0;
}

void pylmdb_env_guard(MDB_env *env)
{
    (void)env;
}

int pylmdb_safe_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data)
{
    return mdb_get(txn, dbi, key, data);
}

int pylmdb_safe_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data,
                    unsigned int flags)
{
    return mdb_put(txn, dbi, key, data, flags);
}

int pylmdb_safe_del(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data)
{
    return mdb_del(txn, dbi, key, data);
}

int pylmdb_safe_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *data,
                           int op)
{
    return mdb_cursor_get(cursor, key, data, (MDB_cursor_op)op);
}

int pylmdb_safe_cursor_put(MDB_cursor *cursor, MDB_val *key, MDB_val *data,
                           unsigned int flags)
{
    return mdb_cursor_put(cursor, key, data, flags);
}

int pylmdb_safe_cursor_del(MDB_cursor *cursor, unsigned int flags)
{
    return mdb_cursor_del(cursor, flags);
}

int pylmdb_safe_commit(MDB_txn *txn)
{
    return mdb_txn_commit(txn);
}

void pylmdb_safe_abort(MDB_txn *txn)
{
    mdb_txn_abort(txn);
}
