/* SPDX-License-Identifier: MIT */
/* The checksums of pages: where they are, and whether they are right. */
#include "page_sums.h"

#include <string.h>

static const char mark[META_SUM_AT - META_SUM_MARK_AT] = {'X', 'X', 'H', '3', '-', '6', '4', 1};

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
