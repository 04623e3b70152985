/* SPDX-License-Identifier: MIT */
/* Many records in one call. */
#include "helpers.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* -- order -----------------------------------------------------------------------
 *
 * Looking keys up in their order reads each page once and near the last one, which
 * is worth far more than the sorting costs.  Only that depends on the order, so 8
 * bytes of each key are enough to sort by: those behind what all keys begin with. */

static size_t common_prefix(const MDB_val *keys, size_t count)
{
    const unsigned char *first = keys[0].mv_data;
    size_t i, j, length = keys[0].mv_size;

    for (i = 1; i < count && length; i++) {
        const unsigned char *key = keys[i].mv_data;

        if (keys[i].mv_size < length)
            length = keys[i].mv_size;
        for (j = 0; j < length && key[j] == first[j];)
            j++;
        length = j;
    }
    return length;
}

static unsigned long long order_of(const MDB_val *key, size_t skip, int native)
{
    const unsigned char *bytes = key->mv_data;
    unsigned long long order = 0;
    unsigned int narrow;
    size_t i;

    if (native && key->mv_size == sizeof(order)) {
        memcpy(&order, bytes, sizeof(order));
        return order;
    }
    if (native && key->mv_size == sizeof(narrow)) {
        memcpy(&narrow, bytes, sizeof(narrow));
        return narrow;
    }
    for (i = skip; i < skip + sizeof(order) && i < key->mv_size; i++)
        order = order << 8 | bytes[i];
    for (; i < skip + sizeof(order); i++)
        order <<= 8;
    return order;
}

/* One pass of a radix sort: by the byte at shift, keeping the order of equals. */
static void sort_by_byte(const struct pylmdb_place *from, struct pylmdb_place *to, size_t count,
                         int shift, const size_t *sizes)
{
    size_t starts[256], i, at = 0;

    for (i = 0; i < 256; i++) {
        starts[i] = at;
        at += sizes[i];
    }
    for (i = 0; i < count; i++)
        to[starts[from[i].order >> shift & 0xff]++] = from[i];
}

static struct pylmdb_place *sort_places(struct pylmdb_place *places, struct pylmdb_place *other,
                                        size_t count)
{
    struct pylmdb_place *swap;
    size_t sizes[8][256], i;
    int byte;

    memset(sizes, 0, sizeof(sizes));
    for (i = 0; i < count; i++)
        for (byte = 0; byte < 8; byte++)
            sizes[byte][places[i].order >> 8 * byte & 0xff]++;
    for (byte = 0; byte < 8; byte++) {
        if (sizes[byte][places[0].order >> 8 * byte & 0xff] == count)
            continue; /* all have the same */
        sort_by_byte(places, other, count, 8 * byte, sizes[byte]);
        swap = places;
        places = other;
        other = swap;
    }
    return places;
}

struct pylmdb_place *pylmdb_order_keys(const MDB_val *keys, size_t count, unsigned int dbflags,
                                       struct pylmdb_place *places)
{
    const size_t skip = count ? common_prefix(keys, count) : 0;
    int sorted = 1;
    size_t i;

    for (i = 0; i < count; i++) {
        places[i].order = order_of(&keys[i], skip, dbflags & MDB_INTEGERKEY);
        places[i].index = i;
        sorted = sorted && (!i || places[i - 1].order <= places[i].order);
    }
    return sorted ? places : sort_places(places, places + count, count);
}

/* -- lookups ---------------------------------------------------------------------- */

#define AHEAD 8

static int find_one(MDB_cursor *cursor, unsigned int dbflags, struct pylmdb_lookup *out,
                    int *near)
{
    const MDB_val wanted = out->key;
    int rc;

    out->later = NULL;
    rc = pylmdb_quick_seek(cursor, &out->key, &out->value, MDB_SET_KEY, near);

    if (rc != PYLMDB_NOT_QUICK)
        return rc;
    return pylmdb_cursor_seek(cursor, dbflags, wanted.mv_data, wanted.mv_size, "", 0, MDB_SET_KEY,
                              &out->key, &out->value);
}

/* The lines of a small value; of a large one the processor fetches the rest. */
static void fetch_value(const MDB_val *value)
{
    const char *data = value->mv_data;
    size_t last = value->mv_size < 128 ? value->mv_size : 128;

    PYLMDB_FETCH(data);
    PYLMDB_FETCH(data + last / 2);
    PYLMDB_FETCH(data + last);
}

static void take_keys(const MDB_val *keys, const struct pylmdb_place *places,
                      struct pylmdb_lookup *out, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (i + AHEAD < count)
            PYLMDB_FETCH(keys[places[i + AHEAD].index].mv_data);
        out[i].index = places[i].index;
        out[i].key = keys[places[i].index];
    }
}

static int find_each(MDB_cursor *cursor, unsigned int dbflags, struct pylmdb_lookup *out,
                     size_t count)
{
    int rc = 0, near = 1;
    size_t i;

    for (i = 0; i < count && !rc; i++) {
        rc = find_one(cursor, dbflags, &out[i], &near);
        if (rc == MDB_NOTFOUND) {
            out[i].value.mv_data = NULL;
            rc = 0;
        }
    }
    return rc;
}

int pylmdb_find(MDB_cursor *cursor, unsigned int dbflags, const MDB_val *keys,
                const struct pylmdb_place *places, struct pylmdb_lookup *out, size_t count)
{
    size_t i;
    int rc;

    take_keys(keys, places, out, count);
    rc = pylmdb_find_many(cursor, out, count);
    if (rc == PYLMDB_NOT_QUICK) /* a key that was found was replaced by the same one in the map */
        rc = find_each(cursor, dbflags, out, count);
    for (i = 0; i < count && !rc; i++)
        if (out[i].value.mv_data)
            fetch_value(&out[i].value);
    return rc;
}

int pylmdb_look_up(MDB_cursor *cursor, unsigned int dbflags, const MDB_val *keys,
                   const struct pylmdb_place *places, struct pylmdb_lookup *out, size_t count)
{
    size_t i;
    int rc = pylmdb_find(cursor, dbflags, keys, places, out, count);

    for (i = 0; i < count && !rc; i++) {
        if (i + AHEAD < count && out[i + AHEAD].later)
            pylmdb_fetch_later(cursor, out[i + AHEAD].later);
        if (out[i].later && !(rc = pylmdb_read_later(cursor, out[i].later, &out[i].value)))
            fetch_value(&out[i].value);
    }
    return rc;
}

/* -- records ---------------------------------------------------------------------- */

static void copy_words(char *out, const char *key, size_t key_size, const char *value,
                       size_t width, size_t count)
{
    const size_t key_words = key_size / 8, words = width / 8;
    uint64_t word;
    size_t i, j;

    for (i = 0; i < count; i++) {
        for (j = 0; j < key_words; j++, out += 8) {
            memcpy(&word, key + 8 * j, 8);
            memcpy(out, &word, 8);
        }
        for (j = 0; j < words; j++, out += 8, value += 8) {
            memcpy(&word, value, 8);
            memcpy(out, &word, 8);
        }
    }
}

void pylmdb_copy_records(char *out, const MDB_val *key, const MDB_val *values, size_t width)
{
    const char *value = values->mv_data;
    size_t left = values->mv_size, size;

    if (!(key->mv_size % 8) && !(width % 8) && !(left % width)) {
        copy_words(out, key->mv_data, key->mv_size, value, width, left / width);
        return;
    }
    while (left) {
        size = left < width ? left : width;
        memcpy(out, key->mv_data, key->mv_size);
        memcpy(out + key->mv_size, value, size);
        out += key->mv_size + size;
        value += size;
        left -= size;
    }
}
