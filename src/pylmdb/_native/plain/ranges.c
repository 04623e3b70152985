/* SPDX-License-Identifier: MIT */
/* The number of records of a range of keys, and their deletion. */
#include "plain.h"
#include "position.h"

/* Refuse bounds of another width than integer keys have. *width is that of the keys. */
static int check_bounds(MDB_cursor *cursor, unsigned int dbflags, const MDB_val *start,
                        const MDB_val *stop, size_t *width)
{
    MDB_val key, value;
    int rc = 0;

    if (!(dbflags & MDB_INTEGERKEY))
        return 0;
    if (start)
        rc = pylmdb_cursor_widths(cursor, dbflags, start, NULL);
    if (rc || !stop)
        return rc;
    if ((rc = pylmdb_safe_cursor_get(cursor, &key, &value, MDB_FIRST)))
        return rc == MDB_NOTFOUND ? 0 : rc;
    *width = key.mv_size;
    return key.mv_size == stop->mv_size ? 0 : pylmdb_unless_truncated(cursor, PYLMDB_OTHER_WIDTH);
}

static int count_entries(MDB_txn *txn, MDB_dbi dbi, size_t *count)
{
    MDB_stat stat;
    const int rc = mdb_stat(txn, dbi, &stat);

    if (!rc)
        *count = stat.ms_entries;
    return rc;
}

/* name is NULL: only count. */
static int use_range(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const MDB_val *start,
                     const MDB_val *stop, size_t *count, MDB_val *name)
{
    MDB_cursor *cursor;
    int rc = pylmdb_cursor_open(txn, dbi, &cursor);

    if (rc)
        return rc;
    if (!start->mv_size) /* no key is before an empty one */
        start = NULL;
    if (!stop->mv_data)
        stop = NULL;
    rc = check_bounds(cursor, dbflags, start, stop, count);
    if (!rc && name)
        rc = pylmdb_delete_range(cursor, start, stop, count, name);
    else if (!rc && (start || stop))
        rc = pylmdb_count_range(cursor, start, stop, count);
    else if (!rc)
        rc = count_entries(txn, dbi, count);
    mdb_cursor_close(cursor);
    return rc;
}

int pylmdb_count(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *start,
                 size_t start_size, const void *stop, size_t stop_size, size_t *count)
{
    const MDB_val first = {start_size, (void *)start}, end = {stop_size, (void *)stop};

    return use_range(txn, dbi, dbflags, &first, &end, count, NULL);
}

int pylmdb_del_range(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *start,
                     size_t start_size, const void *stop, size_t stop_size, size_t *count,
                     MDB_val *name)
{
    const MDB_val first = {start_size, (void *)start}, end = {stop_size, (void *)stop};

    return use_range(txn, dbi, dbflags, &first, &end, count, name);
}
