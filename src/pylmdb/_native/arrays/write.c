/* SPDX-License-Identifier: MIT */
/* Copy arrays to records. */
#include "arrays.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* -- batches ------------------------------------------------------------------------ */

/* The records to write, and their order; entries NULL: the order given. */
struct load {
    const struct pylmdb_keys *keys;
    const char *values;
    ptrdiff_t stride;
    size_t size;
    const struct pylmdb_sort_entry *entries;
};

/* Whether the keys are in order, and greater than all keys in the database. */
static int can_append(MDB_cursor *cursor, const struct pylmdb_keys *keys, unsigned int dbflags)
{
    MDB_txn *txn = mdb_cursor_txn(cursor);
    const MDB_dbi dbi = mdb_cursor_dbi(cursor);
    MDB_val last, value, key;
    size_t i;
    int rc = pylmdb_safe_cursor_get(cursor, &last, &value, MDB_LAST);

    if (rc && rc != MDB_NOTFOUND)
        return 0;
    for (i = 0; i < keys->count; i++, last = key) {
        key = pylmdb_key_at(keys, i);
        if ((dbflags & MDB_INTEGERKEY) && (i || !rc) && key.mv_size != last.mv_size)
            return 0;
        if ((i || !rc) && mdb_cmp(txn, dbi, &last, &key) >= 0)
            return 0;
    }
    return 1;
}

/* Check that the database takes the sizes of a row. The caller has checked the first row, so
 * keys of one width need no further check, and values of one size are checked once for each
 * key. */
static int fits(MDB_cursor *cursor, unsigned int dbflags, const struct load *load, size_t n,
                const MDB_val *key, const MDB_val *value)
{
    MDB_val before;

    if (!load->keys->ends && !(dbflags & MDB_DUPFIXED))
        return 0;
    if (dbflags & MDB_DUPFIXED) {
        before = pylmdb_key_at(load->keys, n - 1);
        if (before.mv_size == key->mv_size && !memcmp(before.mv_data, key->mv_data, key->mv_size))
            return 0;
    }
    return pylmdb_check_widths(mdb_cursor_txn(cursor), mdb_cursor_dbi(cursor), dbflags, key, value);
}

static int put_load(MDB_cursor *cursor, unsigned int dbflags, const struct load *load,
                    unsigned int flags, size_t *written, size_t *bad)
{
    size_t n;
    int rc;

    for (n = 0; n < load->keys->count; n++) {
        const size_t i = load->entries ? load->entries[n].index : n;
        MDB_val key = pylmdb_key_at(load->keys, i);
        MDB_val value = {load->size, (void *)(load->values + (ptrdiff_t)i * load->stride)};

        *bad = i;
        rc = n ? fits(cursor, dbflags, load, n, &key, &value) : 0;
        if (!rc)
            rc = pylmdb_safe_cursor_put(cursor, &key, &value, flags);
        if (rc && rc != MDB_KEYEXIST)
            return rc;
        *written += !rc;
    }
    return 0;
}

/* The keys are in order, and come after all keys of the database. */
static int append_load(MDB_cursor *cursor, const struct load *load, unsigned int flags,
                       size_t *written, size_t *bad)
{
    struct pylmdb_bulk *bulk = pylmdb_bulk_new(cursor, flags | MDB_APPEND, NULL);
    size_t n;
    int rc = bulk ? 0 : ENOMEM;

    for (n = 0; !rc && n < load->keys->count; n++) {
        const MDB_val key = pylmdb_key_at(load->keys, n);
        const MDB_val value = {load->size, (void *)(load->values + (ptrdiff_t)n * load->stride)};

        *bad = n;
        rc = pylmdb_bulk_add(bulk, &key, &value);
        *written += !rc;
    }
    if (!rc)
        rc = pylmdb_bulk_finish(bulk);
    pylmdb_bulk_free(bulk);
    return rc;
}

static int put_in_order(MDB_cursor *cursor, unsigned int dbflags, struct load *load,
                        unsigned int flags, size_t *written, size_t *bad)
{
    const size_t count = load->keys->count;
    struct pylmdb_sort_entry *entries = malloc((2 * count + 1) * sizeof(*entries));
    MDB_val *split = malloc((count + 1) * sizeof(*split));
    size_t i;
    int rc = ENOMEM;

    if (entries && split) {
        for (i = 0; i < count; i++)
            split[i] = pylmdb_key_at(load->keys, i);
        load->entries = pylmdb_order_keys(split, count, dbflags, entries);
        rc = put_load(cursor, dbflags, load, flags, written, bad);
    }
    free(split);
    free(entries);
    return rc;
}

int pylmdb_put_rows(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const struct pylmdb_keys *keys,
                    const char *values, ptrdiff_t stride, size_t size, unsigned int flags,
                    size_t *written, size_t *bad)
{
    struct load load = {keys, values, stride, size, NULL};
    MDB_cursor *cursor;
    int rc = 0;

    *written = *bad = 0;
    if (keys->count) {
        const MDB_val key = pylmdb_key_at(keys, 0), value = {size, NULL};

        rc = pylmdb_check_widths(txn, dbi, dbflags, &key, &value);
    }
    if (rc || (rc = pylmdb_cursor_open(txn, dbi, &cursor)))
        return rc;
    if (dbflags & MDB_DUPSORT)
        rc = put_load(cursor, dbflags, &load, flags, written, bad);
    else if (can_append(cursor, keys, dbflags))
        rc = append_load(cursor, &load, flags, written, bad);
    else if (dbflags & (MDB_INTEGERKEY | MDB_REVERSEKEY))
        rc = put_load(cursor, dbflags, &load, flags, written, bad);
    else
        rc = put_in_order(cursor, dbflags, &load, flags, written, bad);
    mdb_cursor_close(cursor);
    return rc;
}
