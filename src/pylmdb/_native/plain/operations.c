/* SPDX-License-Identifier: MIT */
#include "plain.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* For a size that is not the stored one. */
static int bad_size(MDB_cursor *cursor)
{
    return pylmdb_unless_truncated(cursor, MDB_BAD_VALSIZE);
}

/* Whether a key's own values, if there are any, have the size of this one. */
static int fits_values(MDB_cursor *cursor, const MDB_val *key, const MDB_val *value)
{
    MDB_val found = *key, first;
    int same_page = 0, rc = pylmdb_quick_seek(cursor, &found, &first, MDB_SET_KEY, &same_page);

    if (rc == PYLMDB_NOT_QUICK)
        rc = pylmdb_safe_cursor_get(cursor, &found, &first, MDB_SET_KEY);
    if (rc)
        return rc == MDB_NOTFOUND ? 0 : rc;
    return value->mv_size == first.mv_size ? 0 : bad_size(cursor);
}

/* liblmdb compares the keys of an integerkey database with the width of the key in the call, 4
 * or 8 bytes, and reads as many bytes of the other key.  So all keys of a database must have the
 * width of the first record; an empty database takes both.  All values of one key of a dupfixed
 * database have one width, which their pages store; values of another key may have another. */
static int right_width(MDB_cursor *cursor, unsigned int dbflags, const MDB_val *key,
                       const MDB_val *value)
{
    MDB_val first_key, first_value;
    int rc;

    if (((dbflags & MDB_INTEGERKEY) && !pylmdb_is_integer(key->mv_size)) ||
        ((dbflags & MDB_INTEGERDUP) && value && !pylmdb_is_integer(value->mv_size)))
        return MDB_BAD_VALSIZE;
    if (dbflags & MDB_INTEGERKEY) {
        rc = pylmdb_safe_cursor_get(cursor, &first_key, &first_value, MDB_FIRST);
        if (rc)
            return rc == MDB_NOTFOUND ? 0 : rc;
        if (key->mv_size != first_key.mv_size)
            return bad_size(cursor);
    }
    return (dbflags & MDB_DUPFIXED) && value ? fits_values(cursor, key, value) : 0;
}

int pylmdb_check_widths(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const MDB_val *key,
                        const MDB_val *value)
{
    MDB_cursor *cursor;
    int rc;

    if (!(dbflags & (MDB_INTEGERKEY | MDB_DUPFIXED)))
        return 0;
    if (!(dbflags & MDB_INTEGERKEY) && !value)
        return 0;
    if ((rc = pylmdb_cursor_open(txn, dbi, &cursor)))
        return rc;
    rc = right_width(cursor, dbflags, key, value);
    mdb_cursor_close(cursor);
    return rc;
}

int pylmdb_get(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *key, size_t key_size,
               MDB_val *value)
{
    MDB_val k = {key_size, (void *)key};
    int rc = pylmdb_quick_get(txn, dbi, &k, value);

    if (rc != PYLMDB_NOT_QUICK)
        return rc;
    if ((rc = pylmdb_check_widths(txn, dbi, dbflags, &k, NULL)))
        return rc;
    rc = pylmdb_safe_get(txn, dbi, &k, value);
    return rc && pylmdb_may_try_again(txn, dbi, &rc) ? pylmdb_safe_get(txn, dbi, &k, value) : rc;
}

static int put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value, unsigned int flags)
{
    int rc = pylmdb_safe_put(txn, dbi, key, value, flags);

    if (rc && pylmdb_may_try_again(txn, dbi, &rc))
        rc = pylmdb_safe_put(txn, dbi, key, value, flags);
    return rc;
}

int pylmdb_put(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *key, size_t key_size,
               const void *value, size_t value_size, unsigned int flags)
{
    MDB_val k = {key_size, (void *)key}, v = {value_size, (void *)value};
    int rc = pylmdb_check_widths(txn, dbi, dbflags, &k, &v);

    return rc ? rc : put(txn, dbi, &k, &v, pylmdb_append_flags(dbflags, flags));
}

int pylmdb_put_if(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *key, size_t key_size,
                  const void *value, size_t value_size, const void *expected, size_t expected_size)
{
    MDB_val found;
    int rc, is_same;

    if (!expected)
        return pylmdb_put(txn, dbi, dbflags, key, key_size, value, value_size, MDB_NOOVERWRITE);
    if ((rc = pylmdb_get(txn, dbi, dbflags, key, key_size, &found)))
        return rc == MDB_NOTFOUND ? MDB_KEYEXIST : rc;
    is_same = found.mv_size == expected_size && !memcmp(found.mv_data, expected, expected_size);
    if (pylmdb_env_is_truncated(mdb_txn_env(txn)))
        return MDB_CORRUPTED;
    return is_same ? pylmdb_put(txn, dbi, dbflags, key, key_size, value, value_size, 0)
                   : MDB_KEYEXIST;
}

int pylmdb_reserve(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *key,
                   size_t key_size, size_t size, unsigned int flags, void **out)
{
    MDB_val k = {key_size, (void *)key}, v = {size, NULL};
    int rc = dbflags & MDB_DUPSORT ? MDB_INCOMPATIBLE : 0;

    if (!rc)
        rc = pylmdb_check_widths(txn, dbi, dbflags, &k, NULL);
    if (!rc)
        rc = put(txn, dbi, &k, &v, flags | MDB_RESERVE);
    *out = v.mv_data;
    return rc;
}

int pylmdb_del(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *key, size_t key_size,
               const void *value, size_t value_size)
{
    MDB_val k = {key_size, (void *)key}, v = {value_size, (void *)value};
    MDB_val *one = value_size && (dbflags & MDB_DUPSORT) ? &v : NULL;
    int rc = pylmdb_exchange(txn, dbi, &k, NULL, NULL, NULL);

    if (rc != PYLMDB_NOT_QUICK)
        return rc;
    if ((rc = pylmdb_check_widths(txn, dbi, dbflags, &k, one)))
        return rc;
    rc = pylmdb_safe_del(txn, dbi, &k, one);
    if (rc && pylmdb_may_try_again(txn, dbi, &rc))
        rc = pylmdb_safe_del(txn, dbi, &k, one);
    /* A value that could not have been stored is not there. */
    if (rc == MDB_BAD_VALSIZE && one && !pylmdb_get(txn, dbi, dbflags, key, key_size, &v))
        rc = MDB_NOTFOUND;
    return rc;
}

int pylmdb_drop(MDB_txn *txn, MDB_dbi dbi, int del)
{
    int rc = pylmdb_safe_drop(txn, dbi, del);

    return rc && pylmdb_may_try_again(txn, dbi, &rc) ? pylmdb_safe_drop(txn, dbi, del) : rc;
}

int pylmdb_cursor_seek(MDB_cursor *cursor, unsigned int dbflags, const void *key, size_t key_size,
                       const void *value, size_t value_size, int op, MDB_val *found_key,
                       MDB_val *found_value)
{
    const int with_value = op == MDB_GET_BOTH || op == MDB_GET_BOTH_RANGE;
    int rc = 0;

    found_key->mv_size = key_size;
    found_key->mv_data = (void *)key;
    found_value->mv_size = value_size;
    found_value->mv_data = (void *)value;
    if (key)
        rc = pylmdb_cursor_widths(cursor, dbflags, found_key, with_value ? found_value : NULL);
    if (!rc)
        rc = pylmdb_safe_cursor_get(cursor, found_key, found_value, op);
    /* After these two, the caller's own bytes are in found_key and found_value. */
    if (!rc && with_value)
        rc = pylmdb_safe_cursor_get(cursor, found_key, found_value, MDB_GET_CURRENT);
    if (rc == MDB_NOTFOUND && op != MDB_SET_RANGE)
        pylmdb_cursor_unset(cursor);
    if (rc)
        found_key->mv_size = found_value->mv_size = 0;
    return rc;
}

int pylmdb_cursor_next_db(MDB_cursor *cursor, char *name, size_t *size)
{
    MDB_val key;
    int rc;

    do {
        pylmdb_cursor_skip_records(cursor);
        rc = pylmdb_cursor_step(cursor, &key, NULL, MDB_NEXT);
    } while (!rc && !pylmdb_cursor_is_db(cursor));
    if (!rc && key.mv_size > *size)
        rc = MDB_BAD_VALSIZE;
    if (!rc)
        memcpy(name, key.mv_data, *size = key.mv_size);
    return rc;
}

void pylmdb_begin_flush(MDB_env *env)
{
#ifdef SYNC_FILE_RANGE_WRITE
    mdb_filehandle_t fd;

    if (!mdb_env_get_fd(env, &fd))
        (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
#else
    (void)env;
#endif
}

/* Database 0 has a list for each transaction that has freed pages: their count, then their
 * numbers. */
int pylmdb_pages_freed(MDB_txn *txn, size_t since, size_t *pages)
{
    MDB_cursor *cursor;
    MDB_val key = {sizeof(since), &since}, list;
    size_t count;
    int rc;

    *pages = 0;
    if ((rc = mdb_cursor_open(txn, 0, &cursor)))
        return rc;
    rc = pylmdb_safe_cursor_get(cursor, &key, &list, MDB_SET_RANGE);
    while (!rc) {
        if (list.mv_size < sizeof(count)) {
            rc = MDB_CORRUPTED;
            break;
        }
        memcpy(&count, list.mv_data, sizeof(count));
        *pages += count;
        rc = pylmdb_safe_cursor_get(cursor, &key, &list, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}
