/* SPDX-License-Identifier: MIT */
/* Compare keys and values as the flags of their database demand. */
#include "format.h"

#include "compare.h"

static int compare_sizes(size_t a, size_t b)
{
    return (a > b) - (a < b);
}

static int compare_forwards(struct bytes a, struct bytes b)
{
    return pylmdb_compare_bytes(a.data, a.size, b.data, b.size);
}

static int compare_backwards(struct bytes a, struct bytes b)
{
    size_t i;

    for (i = 1; i <= a.size && i <= b.size; i++)
        if (a.data[a.size - i] != b.data[b.size - i])
            return a.data[a.size - i] - b.data[b.size - i];
    return compare_sizes(a.size, b.size);
}

static int is_little_endian(void)
{
    const uint16_t one = 1;

    return *(const unsigned char *)&one;
}

/* Integers of any size; shorter ones come first. */
static int compare_integers(struct bytes a, struct bytes b)
{
    if (a.size != b.size)
        return compare_sizes(a.size, b.size);
    return is_little_endian() ? compare_backwards(a, b) : compare_forwards(a, b);
}

/* Integers whose width is not 8 bytes are compared by their first 4 bytes. */
static int compare_first_words(struct bytes a, struct bytes b)
{
    uint32_t x, y;

    if (a.size < sizeof(x) || b.size < sizeof(y))
        return compare_sizes(a.size, b.size);
    x = get32(a.data);
    y = get32(b.data);
    return (x > y) - (x < y);
}

int compare_words(struct bytes a, struct bytes b)
{
    uint64_t x, y;

    if (a.size < sizeof(x) || b.size < sizeof(y))
        return compare_sizes(a.size, b.size);
    x = get64(a.data);
    y = get64(b.data);
    return (x > y) - (x < y);
}

order key_order(unsigned int flags)
{
    if (flags & REVERSE_KEY)
        return compare_backwards;
    return flags & INTEGER_KEY ? compare_integers : compare_forwards;
}

order duplicate_order(unsigned int flags, unsigned int width)
{
    if (!(flags & INTEGER_DUP))
        return flags & REVERSE_DUP ? compare_backwards : compare_forwards;
    if (!(flags & DUPFIXED))
        return compare_integers;
    if (width == sizeof(uint64_t))
        return compare_words;
    /* LMDB does not define the order of integers shorter than 4 bytes. */
    return width >= sizeof(uint32_t) ? compare_first_words : NULL;
}
