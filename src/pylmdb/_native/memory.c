/* SPDX-License-Identifier: MIT */
/* Sort and copy memory, and pause. Compiled into the core and into each engine. */
#include "memory.h"

#include <stdint.h>
#include <string.h>
#include <time.h>

/* -- order -----------------------------------------------------------------------
 * Lookups in key order read each page once, mostly after the one before it in the file.  That
 * gains far more than sorting costs.  Nothing else depends on the order, so it is enough to sort
 * by the 8 bytes of each key after the common prefix of all keys. */

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

/* One pass of a radix sort: sort by the byte at shift; keys with equal bytes keep their
 * order. */
static void sort_by_byte(const struct pylmdb_sort_entry *from, struct pylmdb_sort_entry *to,
                         size_t count, int shift, const size_t *sizes)
{
    size_t starts[256], i, at = 0;

    for (i = 0; i < 256; i++) {
        starts[i] = at;
        at += sizes[i];
    }
    for (i = 0; i < count; i++)
        to[starts[from[i].order >> shift & 0xff]++] = from[i];
}

static struct pylmdb_sort_entry *sort_entries(struct pylmdb_sort_entry *entries,
                                              struct pylmdb_sort_entry *other, size_t count)
{
    struct pylmdb_sort_entry *swap;
    size_t sizes[8][256], i;
    int byte;

    memset(sizes, 0, sizeof(sizes));
    for (i = 0; i < count; i++)
        for (byte = 0; byte < 8; byte++)
            sizes[byte][entries[i].order >> 8 * byte & 0xff]++;
    for (byte = 0; byte < 8; byte++) {
        if (sizes[byte][entries[0].order >> 8 * byte & 0xff] == count)
            continue; /* all keys have the same byte */
        sort_by_byte(entries, other, count, 8 * byte, sizes[byte]);
        swap = entries;
        entries = other;
        other = swap;
    }
    return entries;
}

struct pylmdb_sort_entry *pylmdb_order_keys(const MDB_val *keys, size_t count, unsigned int dbflags,
                                            struct pylmdb_sort_entry *entries)
{
    const size_t skip = count ? common_prefix(keys, count) : 0;
    int sorted = 1;
    size_t i;

    for (i = 0; i < count; i++) {
        entries[i].order = order_of(&keys[i], skip, dbflags & MDB_INTEGERKEY);
        entries[i].index = i;
        sorted = sorted && (!i || entries[i - 1].order <= entries[i].order);
    }
    return sorted ? entries : sort_entries(entries, entries + count, count);
}

/* -- records ---------------------------------------------------------------------- */

static void copy_words(char *out, const char *key, size_t key_size, const char *value, size_t width,
                       size_t count)
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

/* -- items with steps between them -------------------------------------------------- */

#define COPY_ITEMS(type) \
    do { \
        for (i = 0; i < count; i++, from += step, out += item) \
            memcpy(out, from, sizeof(type)); \
    } while (0)

static void copy_items(char *out, const char *from, ptrdiff_t count, ptrdiff_t step, size_t item)
{
    ptrdiff_t i;

    if (step == (ptrdiff_t)item)
        memcpy(out, from, (size_t)count * item);
    else if (item == sizeof(char))
        COPY_ITEMS(char);
    else if (item == sizeof(uint16_t))
        COPY_ITEMS(uint16_t);
    else if (item == sizeof(uint32_t))
        COPY_ITEMS(uint32_t);
    else if (item == sizeof(uint64_t))
        COPY_ITEMS(uint64_t);
    else
        for (i = 0; i < count; i++, from += step, out += item)
            memcpy(out, from, item);
}

void pylmdb_copy_strided(char *out, const char *from, int ndim, const ptrdiff_t *shape,
                         const ptrdiff_t *strides, size_t item)
{
    size_t row = item;
    ptrdiff_t i;
    int axis;

    if (ndim == 0)
        memcpy(out, from, item);
    if (ndim == 1)
        copy_items(out, from, shape[0], strides[0], item);
    if (ndim <= 1)
        return;
    for (axis = 1; axis < ndim; axis++)
        row *= (size_t)shape[axis];
    for (i = 0; row && i < shape[0]; i++, from += strides[0], out += row)
        pylmdb_copy_strided(out, from, ndim - 1, shape + 1, strides + 1, item);
}

/* -- waiting ------------------------------------------------------------------------ */

void pylmdb_pause(void)
{
    const struct timespec moment = {0, 50000};

    (void)nanosleep(&moment, NULL);
}
