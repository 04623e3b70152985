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

static size_t common_prefix(const struct pylmdb_lookup *lookups, size_t count)
{
    const unsigned char *first = lookups[0].key.mv_data;
    size_t i, j, length = lookups[0].key.mv_size;

    for (i = 1; i < count && length; i++) {
        const unsigned char *key = lookups[i].key.mv_data;

        if (lookups[i].key.mv_size < length)
            length = lookups[i].key.mv_size;
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
    for (i = skip; i < skip + sizeof(order); i++)
        order = order << 8 | (i < key->mv_size ? bytes[i] : 0);
    return order;
}

struct place {
    unsigned long long order;
    size_t index;
};

/* One pass of a radix sort: by the byte at shift, keeping the order of equals. */
static void sort_by_byte(const struct place *from, struct place *to, size_t count, int shift,
                         const size_t *sizes)
{
    size_t starts[256], i, at = 0;

    for (i = 0; i < 256; i++) {
        starts[i] = at;
        at += sizes[i];
    }
    for (i = 0; i < count; i++)
        to[starts[from[i].order >> shift & 0xff]++] = from[i];
}

/* Sorts places, with as much room behind them; returns where the result is. */
static struct place *sort_places(struct place *places, size_t count)
{
    struct place *other = places + count, *swap;
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

void pylmdb_order_lookups(struct pylmdb_lookup *lookups, size_t count, unsigned int dbflags)
{
    const int native = dbflags & MDB_INTEGERKEY;
    struct place *places, *sorted;
    struct pylmdb_lookup *copy;
    size_t i, skip;

    if (count < 2)
        return;
    skip = common_prefix(lookups, count);
    places = malloc(2 * count * sizeof(*places));
    copy = malloc(count * sizeof(*copy));
    if (places && copy) { /* else any order will do */
        for (i = 0; i < count; i++) {
            places[i].order = order_of(&lookups[i].key, skip, native);
            places[i].index = i;
        }
        sorted = sort_places(places, count);
        memcpy(copy, lookups, count * sizeof(*copy));
        for (i = 0; i < count; i++)
            lookups[i] = copy[sorted[i].index];
    }
    free(places);
    free(copy);
}

/* -- lookups ---------------------------------------------------------------------- */

int pylmdb_look_up(MDB_cursor *cursor, unsigned int dbflags, struct pylmdb_lookup *lookups,
                   size_t count)
{
    const int widths = dbflags & MDB_INTEGERKEY;
    size_t i;
    int rc = 0;

    for (i = 0; i < count && !rc; i++) {
        MDB_val key = lookups[i].key, value;

        if (widths)
            rc = pylmdb_cursor_seek(cursor, dbflags, key.mv_data, key.mv_size, "", 0, MDB_SET_KEY,
                                    &key, &value);
        else if ((rc = pylmdb_quick_seek(cursor, &key, &value, MDB_SET_KEY)) == PYLMDB_NOT_QUICK)
            rc = pylmdb_safe_cursor_get(cursor, &key, &value, MDB_SET_KEY);
        if (!rc) {
            lookups[i].key = key;
            lookups[i].value = value;
        } else if (rc == MDB_NOTFOUND) {
            lookups[i].value.mv_data = NULL;
            rc = 0;
        }
    }
    return rc;
}

/* -- records ---------------------------------------------------------------------- */

int pylmdb_add_records(struct pylmdb_records *records, const MDB_val *key, const MDB_val *values,
                       size_t width)
{
    const size_t count = (values->mv_size + width - 1) / width;
    const size_t more = count * key->mv_size + values->mv_size;
    const char *value = values->mv_data;
    size_t i, left = values->mv_size;
    char *out;

    if (records->size + more > records->room) {
        size_t room = 2 * records->room + more;
        char *bigger = realloc(records->data, room);

        if (!bigger)
            return ENOMEM;
        records->data = bigger;
        records->room = room;
    }
    out = records->data + records->size;
    for (i = 0; i < count; i++) {
        const size_t size = left < width ? left : width;

        memcpy(out, key->mv_data, key->mv_size);
        memcpy(out + key->mv_size, value, size);
        out += key->mv_size + size;
        value += size;
        left -= size;
    }
    records->size += more;
    return 0;
}
