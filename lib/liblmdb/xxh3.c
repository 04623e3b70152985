/* SPDX-License-Identifier: MIT */
/* XXH3, by xxhash.h, which place.py places. A file of its own, because its instructions are chosen:
 * on x86-64 when it is loaded, by the processor, and elsewhere when it is compiled. */
#include "xxh3.h"

#include <errno.h>

#ifndef PYLMDB_SYSTEM

/* How many bytes ahead memory is asked for. With the 384 of xxhash.h, pages that follow each other
 * and are not in a processor's cache take a quarter longer; with more than this, single pages do. */
#define XXH_PREFETCH_DIST 1024
#if defined(__x86_64__) && defined(__GNUC__)
#include "xxhash/xxh_x86dispatch.c"
#include "xxhash/xxh_x86dispatch.h"
#else
#define XXH_INLINE_ALL
#include "xxhash/xxhash.h"
#endif

int pylmdb_has_xxh3(void)
{
    return 1;
}

uint64_t pylmdb_sum_of(const void *data, size_t size)
{
    return XXH3_64bits(data, size);
}

struct pylmdb_sum *pylmdb_sum_new(void)
{
    return (struct pylmdb_sum *)XXH3_createState();
}

void pylmdb_sum_begin(struct pylmdb_sum *sum)
{
    (void)XXH3_64bits_reset((XXH3_state_t *)sum);
}

void pylmdb_sum_add(struct pylmdb_sum *sum, const void *data, size_t size)
{
    (void)XXH3_64bits_update((XXH3_state_t *)sum, data, size);
}

uint64_t pylmdb_sum_end(const struct pylmdb_sum *sum)
{
    return XXH3_64bits_digest((const XXH3_state_t *)sum);
}

void pylmdb_sum_free(struct pylmdb_sum *sum)
{
    (void)XXH3_freeState((XXH3_state_t *)sum);
}

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

#else /* a build against the system's liblmdb, without sources that are placed */

int pylmdb_has_xxh3(void)
{
    return 0;
}

uint64_t pylmdb_sum_of(const void *data, size_t size)
{
    (void)data, (void)size;
    return 0;
}

struct pylmdb_sum *pylmdb_sum_new(void)
{
    return NULL;
}

void pylmdb_sum_begin(struct pylmdb_sum *sum)
{
    (void)sum;
}

void pylmdb_sum_add(struct pylmdb_sum *sum, const void *data, size_t size)
{
    (void)sum, (void)data, (void)size;
}

uint64_t pylmdb_sum_end(const struct pylmdb_sum *sum)
{
    (void)sum;
    return 0;
}

void pylmdb_sum_free(struct pylmdb_sum *sum)
{
    (void)sum;
}

int pylmdb_hash_pages(uint64_t seed, const unsigned char *pages, size_t page_size, size_t count,
                      unsigned char *hashes)
{
    (void)seed, (void)pages, (void)page_size, (void)count, (void)hashes;
    return ENOSYS;
}

#endif
