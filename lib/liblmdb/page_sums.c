/* SPDX-License-Identifier: MIT */
/* The checksums of pages: XXH3, by xxhash.h, which place.py places. A file of its own, because
 * xxhash.h chooses its instructions when it is compiled. */
#include "page_sums.h"

#include <string.h>

static const char mark[META_SUM_AT - META_SUM_MARK_AT] = {'X', 'X', 'H', '3', '-', '6', '4', 1};

#ifndef PYLMDB_SYSTEM

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wcast-align"
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-function"
#define XXH_INLINE_ALL
#include "xxhash/xxhash.h"
#pragma GCC diagnostic pop

int pylmdb_has_page_sums(void)
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

#else /* a build against the system's liblmdb, without sources that are placed */

int pylmdb_has_page_sums(void)
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

#endif

/* ---- pages ---- */

static uint64_t stored_sum(const char *end)
{
    uint64_t sum;

    memcpy(&sum, end - sizeof(sum), sizeof(sum));
    return sum;
}

void pylmdb_set_page_sum(void *page, size_t size)
{
    const uint64_t sum = pylmdb_sum_of(page, size - PAGE_SUM_SIZE);

    memcpy((char *)page + size - sizeof(sum), &sum, sizeof(sum));
}

int pylmdb_page_sum_is_right(const void *page, size_t size)
{
    return pylmdb_sum_of(page, size - PAGE_SUM_SIZE) == stored_sum((const char *)page + size);
}

/* ---- meta pages ---- */

int pylmdb_meta_has_sum(const void *page)
{
    return !memcmp((const char *)page + META_SUM_MARK_AT, mark, sizeof(mark));
}

void pylmdb_set_meta_sum(void *page)
{
    memcpy((char *)page + META_SUM_MARK_AT, mark, sizeof(mark));
    pylmdb_set_page_sum(page, META_SUM_END);
}

void pylmdb_set_sum_size(void *page, size_t size)
{
    const uint16_t sum_size = PAGE_SUM_SIZE;

    memcpy((char *)page + size - sizeof(sum_size), &sum_size, sizeof(sum_size));
}

int pylmdb_meta_sum_is_right(const void *page, size_t size, unsigned int number)
{
    const char *const rest = (const char *)page + META_SUM_END;
    const size_t left = size - META_SUM_END;
    const uint16_t wanted = number ? 0 : PAGE_SUM_SIZE;
    uint16_t sum_size;

    memcpy(&sum_size, rest + left - sizeof(sum_size), sizeof(sum_size));
    return pylmdb_meta_has_sum(page) && pylmdb_page_sum_is_right(page, META_SUM_END) &&
           sum_size == wanted && !*rest && !memcmp(rest, rest + 1, left - sizeof(sum_size) - 1);
}
