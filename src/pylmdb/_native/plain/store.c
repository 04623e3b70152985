/* SPDX-License-Identifier: MIT */
/* Store a batch of records, most of which come in order. */
#include "plain.h"

#include <errno.h>

static int put(MDB_cursor *cursor, unsigned int dbflags, const MDB_val *record, unsigned int flags)
{
    MDB_val key = record[0], value = record[1];
    const int rc = pylmdb_cursor_widths(cursor, dbflags, &key, &value);

    return rc ? rc : pylmdb_safe_cursor_put(cursor, &key, &value, flags);
}

/* Append records as long as each comes after all others, or all of them in the order given.
 * Returns 0 if one does not. */
static int append(MDB_cursor *cursor, unsigned int dbflags, const MDB_val *records, size_t count,
                  int keep_order, size_t *done)
{
    const unsigned int flag = dbflags & MDB_DUPSORT ? MDB_APPENDDUP : MDB_APPEND;
    struct pylmdb_bulk *bulk = pylmdb_bulk_new(cursor, flag, pylmdb_cursor_widths);
    int rc = bulk ? 0 : ENOMEM;

    if (!rc && keep_order)
        rc = pylmdb_bulk_keep_order(bulk);
    for (; !rc && *done < count; *done += !rc)
        rc = pylmdb_bulk_add(bulk, &records[2 * *done], &records[2 * *done + 1]);
    return pylmdb_bulk_end(bulk, rc);
}

int pylmdb_store(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const MDB_val *records,
                 size_t count, unsigned int flags, int keep_order, size_t *done, size_t *written)
{
    /* A key that exists keeps its values as they are. */
    const int keeps_values = (dbflags & MDB_DUPSORT) && (flags & MDB_NOOVERWRITE);
    MDB_cursor *cursor;
    int rc = pylmdb_cursor_open(txn, dbi, &cursor);

    *done = *written = 0;
    if (rc)
        return rc;
    if (!keeps_values || keep_order)
        rc = append(cursor, dbflags, records, count, keep_order, done);
    *written = *done;
    for (; !rc && *done < count; *done += !rc) {
        rc = put(cursor, dbflags, &records[2 * *done], flags);
        *written += !rc;
        if (rc == MDB_KEYEXIST)
            rc = 0;
    }
    mdb_cursor_close(cursor);
    return rc;
}
