/* SPDX-License-Identifier: MIT */
/* Copy arrays to records. */
#include "arrays.h"

#include "compare.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* -- batches ------------------------------------------------------------------------ */

/* The records to write, and their order; entries NULL: the order given. done: how many of them
 * are written. */
struct load {
    const struct pylmdb_keys *keys;
    const char *values;
    ptrdiff_t stride;
    size_t size;
    size_t done;
    const struct pylmdb_sort_entry *entries;
};

/* Return which record is written after n others. */
static inline size_t record_at(const struct load *load, size_t n)
{
    return load->entries ? load->entries[n].index : n;
}

static MDB_val value_at(const struct load *load, size_t i)
{
    const MDB_val value = {load->size, (void *)(load->values + (ptrdiff_t)i * load->stride)};

    return value;
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

static int put_load(MDB_cursor *cursor, unsigned int dbflags, struct load *load, unsigned int flags,
                    size_t *written, size_t *bad)
{
    int rc;

    for (; load->done < load->keys->count; load->done++) {
        const size_t i = record_at(load, load->done);
        MDB_val key = pylmdb_key_at(load->keys, i), value = value_at(load, i);

        *bad = i;
        rc = load->done ? fits(cursor, dbflags, load, load->done, &key, &value) : 0;
        if (!rc)
            rc = pylmdb_safe_cursor_put(cursor, &key, &value, flags);
        if (rc && rc != MDB_KEYEXIST)
            return rc;
        *written += !rc;
    }
    return 0;
}

/* Append records until one does not belong behind the one before it, or behind all in the
 * database. */
static int append_load(MDB_cursor *cursor, struct load *load, unsigned int flags, size_t *written,
                       size_t *bad)
{
    struct pylmdb_bulk *bulk = pylmdb_bulk_new(cursor, flags, pylmdb_cursor_widths);
    int rc = bulk ? 0 : ENOMEM;

    for (; !rc && load->done < load->keys->count; load->done += !rc) {
        const size_t i = record_at(load, load->done);
        const MDB_val key = pylmdb_key_at(load->keys, i), value = value_at(load, i);

        *bad = i;
        rc = pylmdb_bulk_add(bulk, &key, &value);
        *written += !rc;
    }
    return pylmdb_bulk_end(bulk, rc);
}

static int write_load(MDB_cursor *cursor, unsigned int dbflags, struct load *load,
                      unsigned int flags, size_t *written, size_t *bad)
{
    const unsigned int append_flags = pylmdb_append_flags(dbflags, flags | MDB_APPEND);
    const int rc = append_load(cursor, load, append_flags, written, bad);

    return rc ? rc : put_load(cursor, dbflags, load, flags, written, bad);
}

/* Whether each key is greater than the one before it, as bytes. */
static int are_sorted(const struct pylmdb_keys *keys)
{
    MDB_val last, key;
    size_t i;

    for (i = 0; i < keys->count; i++, last = key) {
        key = pylmdb_key_at(keys, i);
        if (i && pylmdb_compare_bytes(last.mv_data, last.mv_size, key.mv_data, key.mv_size) >= 0)
            return 0;
    }
    return 1;
}

static int write_in_order(MDB_cursor *cursor, unsigned int dbflags, struct load *load,
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
        rc = write_load(cursor, dbflags, load, flags, written, bad);
    }
    free(split);
    free(entries);
    return rc;
}

int pylmdb_put_rows(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const struct pylmdb_keys *keys,
                    const char *values, ptrdiff_t stride, size_t size, unsigned int flags,
                    size_t *written, size_t *bad)
{
    const int is_plain = !(dbflags & (MDB_DUPSORT | MDB_INTEGERKEY | MDB_REVERSEKEY));
    struct load load = {keys, values, stride, size, 0, NULL};
    MDB_cursor *cursor;
    int rc = 0;

    *written = *bad = 0;
    if (keys->count) {
        const MDB_val key = pylmdb_key_at(keys, 0), value = {size, NULL};

        rc = pylmdb_check_widths(txn, dbi, dbflags, &key, &value);
    }
    if (rc || (rc = pylmdb_cursor_open(txn, dbi, &cursor)))
        return rc;
    rc = is_plain && !are_sorted(keys) ? write_in_order(cursor, dbflags, &load, flags, written, bad)
                                       : write_load(cursor, dbflags, &load, flags, written, bad);
    mdb_cursor_close(cursor);
    return rc;
}
