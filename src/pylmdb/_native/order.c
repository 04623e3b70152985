/* SPDX-License-Identifier: MIT */
/* Sort keys. Compiled into the core and into each engine. */
#include "order.h"

#include "compare.h"

#include <stdint.h>
#include <string.h>

/* Fewer strings are sorted by comparing them. */
#define FEW 256
/* How many bytes of a string are sorted at once. */
#define STEP sizeof(unsigned long long)

/* How many entries are looked at between two questions whether to stop. An entry takes from 1 to
 * 100 nanoseconds, and a question about a microsecond. */
#define INTERVAL ((size_t)1 << 18)
#define CHUNK ((size_t)1 << 16)
/* In a loop over entries: whether to stop. */
#define STOPS_AT(stop, i) ((i) % CHUNK == CHUNK - 1 && pylmdb_sort_stops(stop, CHUNK))

int pylmdb_sort_stops(struct pylmdb_stop *stop, size_t work)
{
    if (!stop || stop->stops)
        return stop && stop->stops;
    if (stop->left > work) {
        stop->left -= work;
        return 0;
    }
    stop->left = INTERVAL;
    return stop->stops = stop->ask(stop->context) != 0;
}

/* One pass of a radix sort: sort by the byte at shift; keys with equal bytes keep their
 * order. */
static int sort_by_byte(const struct pylmdb_sort_entry *from, struct pylmdb_sort_entry *to,
                        size_t count, int shift, const size_t *sizes, struct pylmdb_stop *stop)
{
    size_t starts[256], i, at = 0;

    for (i = 0; i < 256; i++) {
        starts[i] = at;
        at += sizes[i];
    }
    for (i = 0; i < count; i++) {
        to[starts[from[i].order >> shift & 0xff]++] = from[i];
        if (STOPS_AT(stop, i))
            return 1;
    }
    return 0;
}

/* Sort by order; the result is in one of the two. NULL: it was stopped. */
static struct pylmdb_sort_entry *sort_entries(struct pylmdb_sort_entry *entries,
                                              struct pylmdb_sort_entry *other, size_t count,
                                              struct pylmdb_stop *stop)
{
    struct pylmdb_sort_entry *swap;
    size_t sizes[8][256], i;
    int byte;

    memset(sizes, 0, sizeof(sizes));
    for (i = 0; i < count; i++) {
        for (byte = 0; byte < 8; byte++)
            sizes[byte][entries[i].order >> 8 * byte & 0xff]++;
        if (STOPS_AT(stop, i))
            return NULL;
    }
    for (byte = 0; byte < 8; byte++) {
        if (sizes[byte][entries[0].order >> 8 * byte & 0xff] == count)
            continue; /* all keys have the same byte */
        if (sort_by_byte(entries, other, count, 8 * byte, sizes[byte], stop))
            return NULL;
        swap = entries;
        entries = other;
        other = swap;
    }
    return entries;
}

/* -- bytes of a string ----------------------------------------------------------------
 *
 * With MDB_REVERSEKEY they count from its end. */

static unsigned char byte_at(const MDB_val *string, size_t i, unsigned int order)
{
    const unsigned char *bytes = string->mv_data;

    return order & MDB_REVERSEKEY ? bytes[string->mv_size - 1 - i] : bytes[i];
}

/* The 8 bytes after the first skip as a number; zeros follow the end. */
static unsigned long long bytes_after(const MDB_val *string, size_t skip, unsigned int order)
{
    const size_t left = string->mv_size - skip, size = left < STEP ? left : STEP;
    unsigned long long number = 0;
    size_t i;

#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (size == STEP && !(order & MDB_REVERSEKEY)) {
        memcpy(&number, (const char *)string->mv_data + skip, STEP);
        return __builtin_bswap64(number);
    }
#endif
    for (i = 0; i < STEP; i++)
        number = number << 8 | (i < size ? byte_at(string, skip + i, order) : 0);
    return number;
}

/* -- roughly -----------------------------------------------------------------------
 *
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
    unsigned long long order;
    unsigned int narrow;

    if (native && key->mv_size == sizeof(order)) {
        memcpy(&order, key->mv_data, sizeof(order));
        return order;
    }
    if (native && key->mv_size == sizeof(narrow)) {
        memcpy(&narrow, key->mv_data, sizeof(narrow));
        return narrow;
    }
    return bytes_after(key, skip, 0);
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
    return sorted ? entries : sort_entries(entries, entries + count, count, NULL);
}

/* -- exactly -----------------------------------------------------------------------
 *
 * Strings are sorted by 8 bytes after their common prefix; then those whose 8 bytes are equal, by
 * the next 8 bytes after their common prefix, and so on. */

static int compare_strings(const MDB_val *a, const MDB_val *b, unsigned int order)
{
    const size_t size = a->mv_size < b->mv_size ? a->mv_size : b->mv_size;
    size_t i = 0;

    if (!(order & MDB_REVERSEKEY))
        return pylmdb_compare_bytes(a->mv_data, a->mv_size, b->mv_data, b->mv_size);
    while (i < size && byte_at(a, i, order) == byte_at(b, i, order))
        i++;
    if (i < size)
        return byte_at(a, i, order) < byte_at(b, i, order) ? -1 : 1;
    return (a->mv_size > b->mv_size) - (a->mv_size < b->mv_size);
}

/* How many bytes after the first skip, which are equal, all strings have in common; anything if
 * it is stopped. */
static size_t common_bytes(const struct pylmdb_strings *strings,
                           const struct pylmdb_sort_entry *entries, size_t count, size_t skip)
{
    const MDB_val first = strings->at(strings, entries[0].index);
    size_t i, j, length = first.mv_size - skip;

    for (i = 1; i < count && length && !STOPS_AT(strings->stop, i); i++) {
        const MDB_val string = strings->at(strings, entries[i].index);

        if (string.mv_size - skip < length)
            length = string.mv_size - skip;
        for (j = 0; j < length && byte_at(&string, skip + j, strings->order) ==
                                      byte_at(&first, skip + j, strings->order);)
            j++;
        length = j;
    }
    return length;
}

/* Sort by comparing: merge two sorted halves. */
static void sort_few(const struct pylmdb_strings *strings, struct pylmdb_sort_entry *entries,
                     struct pylmdb_sort_entry *other, size_t count)
{
    const size_t half = count / 2;
    size_t i = 0, j = half, n = 0;

    if (count < 2)
        return;
    sort_few(strings, entries, other, half);
    sort_few(strings, entries + half, other, count - half);
    memcpy(other, entries, half * sizeof(*entries));
    while (i < half && j < count) {
        const MDB_val a = strings->at(strings, other[i].index);
        const MDB_val b = strings->at(strings, entries[j].index);

        entries[n++] = compare_strings(&a, &b, strings->order) <= 0 ? other[i++] : entries[j++];
    }
    memcpy(entries + n, other + i, (half - i) * sizeof(*entries));
}

static int sort_by_order(struct pylmdb_sort_entry *entries, struct pylmdb_sort_entry *other,
                         size_t count, struct pylmdb_stop *stop)
{
    const struct pylmdb_sort_entry *sorted = sort_entries(entries, other, count, stop);

    if (sorted && sorted != entries)
        memcpy(entries, other, count * sizeof(*entries));
    return !sorted;
}

/* How many entries from the first on have the same order. */
static size_t count_equal(const struct pylmdb_sort_entry *entries, size_t count)
{
    size_t n = 1;

    while (n < count && entries[n].order == entries[0].order)
        n++;
    return n;
}

static int sort_after(const struct pylmdb_strings *strings, struct pylmdb_sort_entry *entries,
                      struct pylmdb_sort_entry *other, size_t count, size_t skip);

/* Sort strings whose bytes before end are equal, where zeros follow the end of a string: those
 * that end there come first, the shortest of them at the beginning. */
static int sort_rest(const struct pylmdb_strings *strings, struct pylmdb_sort_entry *entries,
                     struct pylmdb_sort_entry *other, size_t count, size_t end)
{
    size_t i, n = 0;

    if (pylmdb_sort_stops(strings->stop, count % CHUNK))
        return 1;
    if (count < FEW) {
        sort_few(strings, entries, other, count);
        return 0;
    }
    for (i = 0; i < count; i++) {
        const size_t size = strings->at(strings, entries[i].index).mv_size;

        entries[i].order = size <= end ? STEP - (end - size) : STEP + 1;
        n += size <= end;
        if (STOPS_AT(strings->stop, i))
            return 1;
    }
    if (sort_by_order(entries, other, count, strings->stop))
        return 1;
    return n < count && sort_after(strings, entries + n, other, count - n, end);
}

/* Sort strings that have the first skip bytes in common. */
static int sort_after(const struct pylmdb_strings *strings, struct pylmdb_sort_entry *entries,
                      struct pylmdb_sort_entry *other, size_t count, size_t skip)
{
    size_t i, equal;

    if (pylmdb_sort_stops(strings->stop, count % CHUNK))
        return 1;
    if (count < FEW) {
        sort_few(strings, entries, other, count);
        return 0;
    }
    skip += common_bytes(strings, entries, count, skip);
    if (strings->stop && strings->stop->stops)
        return 1;
    for (i = 0; i < count; i++) {
        const MDB_val string = strings->at(strings, entries[i].index);

        entries[i].order = bytes_after(&string, skip, strings->order);
        if (STOPS_AT(strings->stop, i))
            return 1;
    }
    if (sort_by_order(entries, other, count, strings->stop))
        return 1;
    for (i = 0; i < count; i += equal) {
        equal = count_equal(entries + i, count - i);
        if (equal > 1 && sort_rest(strings, entries + i, other, equal, skip + STEP))
            return 1;
    }
    return 0;
}

static int sort_integers(const struct pylmdb_strings *strings, struct pylmdb_sort_entry *entries,
                         struct pylmdb_sort_entry *other, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        const MDB_val string = strings->at(strings, entries[i].index);

        entries[i].order = order_of(&string, 0, 1);
        if (STOPS_AT(strings->stop, i))
            return 1;
    }
    return sort_by_order(entries, other, count, strings->stop);
}

int pylmdb_sort_strings(const struct pylmdb_strings *strings, struct pylmdb_sort_entry *entries,
                        struct pylmdb_sort_entry *other, size_t count)
{
    if (count && strings->order & MDB_INTEGERKEY)
        return sort_integers(strings, entries, other, count);
    return sort_after(strings, entries, other, count, 0);
}
