/* SPDX-License-Identifier: MIT */
/* Look up many records in one call. */
#include "plain.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* -- lookups ---------------------------------------------------------------------- */

#define PREFETCH_DISTANCE 8

static int find_one(MDB_cursor *cursor, unsigned int dbflags, struct pylmdb_lookup *out,
                    int *same_page)
{
    const MDB_val wanted = out->key;
    int rc;

    out->overflow_node = NULL;
    rc = pylmdb_quick_seek(cursor, &out->key, &out->value, MDB_SET_KEY, same_page);

    if (rc != PYLMDB_NOT_QUICK)
        return rc;
    return pylmdb_cursor_seek(cursor, dbflags, wanted.mv_data, wanted.mv_size, "", 0, MDB_SET_KEY,
                              &out->key, &out->value);
}

/* Prefetch the cache lines of a small value; the processor prefetches the rest of a large
 * one. */
static void prefetch_value(const MDB_val *value)
{
    const char *data = value->mv_data;
    size_t last = value->mv_size < 128 ? value->mv_size : 128;

    PYLMDB_FETCH(data);
    PYLMDB_FETCH(data + last / 2);
    PYLMDB_FETCH(data + last);
}

static void copy_keys(const MDB_val *keys, const struct pylmdb_sort_entry *entries,
                      struct pylmdb_lookup *out, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (i + PREFETCH_DISTANCE < count)
            PYLMDB_FETCH(keys[entries[i + PREFETCH_DISTANCE].index].mv_data);
        out[i].index = entries[i].index;
        out[i].key = keys[entries[i].index];
    }
}

static int find_each(MDB_cursor *cursor, unsigned int dbflags, struct pylmdb_lookup *out,
                     size_t count)
{
    int rc = 0, same_page = 1;
    size_t i;

    for (i = 0; i < count && !rc; i++) {
        rc = find_one(cursor, dbflags, &out[i], &same_page);
        if (rc == MDB_NOTFOUND) {
            out[i].value.mv_data = NULL;
            rc = 0;
        }
    }
    return rc;
}

int pylmdb_find(MDB_cursor *cursor, unsigned int dbflags, const MDB_val *keys,
                const struct pylmdb_sort_entry *entries, struct pylmdb_lookup *out, size_t count)
{
    size_t i;
    int rc;

    copy_keys(keys, entries, out, count);
    rc = pylmdb_lookup_many(cursor, out, count);
    /* Keys that were found are now those in the map, with the same bytes. */
    if (rc == PYLMDB_NOT_QUICK)
        rc = find_each(cursor, dbflags, out, count);
    for (i = 0; i < count && !rc; i++)
        if (out[i].value.mv_data)
            prefetch_value(&out[i].value);
    return rc;
}

int pylmdb_look_up(MDB_cursor *cursor, unsigned int dbflags, const MDB_val *keys,
                   const struct pylmdb_sort_entry *entries, struct pylmdb_lookup *out, size_t count)
{
    size_t i;
    int rc = pylmdb_find(cursor, dbflags, keys, entries, out, count);

    for (i = 0; i < count && !rc; i++) {
        if (i + PREFETCH_DISTANCE < count && out[i + PREFETCH_DISTANCE].overflow_node)
            pylmdb_prefetch_overflow(cursor, out[i + PREFETCH_DISTANCE].overflow_node);
        if (!out[i].overflow_node)
            continue;
        rc = pylmdb_read_overflow(cursor, out[i].overflow_node, &out[i].value);
        if (!rc)
            prefetch_value(&out[i].value);
    }
    return rc;
}
