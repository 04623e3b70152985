/* SPDX-License-Identifier: MIT */
/* The hashes of pages in a backup: XXH3, by xxhash.h, which place.py places. */
#include "page_hash.h"

#include <errno.h>

#ifndef PYLMDB_SYSTEM

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#define XXH_INLINE_ALL
#include "xxhash/xxhash.h"
#pragma GCC diagnostic pop

int pylmdb_hash_pages(uint64_t seed, const unsigned char *pages, size_t page_size, size_t count,
                      unsigned char *hashes)
{
    size_t i;

    for (i = 0; i < count; i++) {
        XXH128_canonical_t *const hash = (XXH128_canonical_t *)(hashes + i * sizeof(*hash));

        XXH128_canonicalFromHash(hash,
                                 XXH3_128bits_withSeed(pages + i * page_size, page_size, seed));
    }
    return 0;
}

#else /* the sources that are placed are not used */

int pylmdb_hash_pages(uint64_t seed, const unsigned char *pages, size_t page_size, size_t count,
                      unsigned char *hashes)
{
    (void)seed;
    (void)pages;
    (void)page_size;
    (void)count;
    (void)hashes;
    return ENOSYS;
}

#endif
