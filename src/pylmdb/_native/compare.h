/* SPDX-License-Identifier: MIT */
/* Compare keys in the order of their bytes, as mdb_cmp_memn() does, a word at a time. */
#ifndef PYLMDB_COMPARE_H
#define PYLMDB_COMPARE_H

#include <stddef.h>
#include <stdint.h>

/* Return 8 bytes as a number that sorts as they do. Compilers make one load of it. */
static inline uint64_t pylmdb_word_of(const unsigned char *b)
{
    return (uint64_t)b[0] << 56 | (uint64_t)b[1] << 48 | (uint64_t)b[2] << 40 |
           (uint64_t)b[3] << 32 | (uint64_t)b[4] << 24 | (uint64_t)b[5] << 16 |
           (uint64_t)b[6] << 8 | (uint64_t)b[7];
}

static inline int pylmdb_compare_bytes(const void *one, size_t one_size, const void *other,
                                       size_t other_size)
{
    const unsigned char *const a = one, *const b = other;
    const size_t both = one_size < other_size ? one_size : other_size;
    size_t at = 0;

    for (; at + 8 <= both; at += 8)
        if (pylmdb_word_of(a + at) != pylmdb_word_of(b + at))
            return pylmdb_word_of(a + at) < pylmdb_word_of(b + at) ? -1 : 1;
    if (at < both && both >= 8) { /* the last bytes, together with equal bytes before them */
        at = both - 8;
        if (pylmdb_word_of(a + at) != pylmdb_word_of(b + at))
            return pylmdb_word_of(a + at) < pylmdb_word_of(b + at) ? -1 : 1;
    } else {
        for (; at < both; at++)
            if (a[at] != b[at])
                return a[at] - b[at];
    }
    return one_size < other_size ? -1 : one_size > other_size;
}

#endif
