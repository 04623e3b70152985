/* SPDX-License-Identifier: MIT */
/* The checksums of pages in a file of LMDB 1.0: where they are, and what they are of.
 *
 * LMDB 1.0 leaves room for a checksum at the end of each page, and says at the end of page 0 how
 * many bytes a checksum has. It leaves the function to the program. Here it is XXH3 with 64 bits,
 * in the byte order of the machine, as all numbers in the file:
 *
 * - The last 8 bytes of a page are the checksum of all other bytes of it. A run of overflow pages
 *   has one checksum, at its end. The page's number and its transaction are in its header, so a
 *   page at the place of another one is noticed.
 * - LMDB has no checksum of meta pages. Behind the contents of a meta page, in the sector that a
 *   commit writes at once, are 8 bytes that say which checksums the file has, and the checksum of
 *   all bytes before it. The rest of the page is zeros, but for the 2 bytes at the end of page 0.
 *
 * Nothing here knows anything else of liblmdb: the check of a file uses it, too. */
#ifndef PYLMDB_PAGE_SUMS_H
#define PYLMDB_PAGE_SUMS_H

#include <stddef.h>
#include <stdint.h>

#include "xxh3.h"

enum {
    PAGE_SUM_SIZE = 8,
    /* in a meta page: where its contents end, with words of 64 and of 32 bits, and where the
     * checksum ends */
    META_SUM_MARK_AT = sizeof(size_t) == 8 ? 160 : 96,
    META_SUM_AT = META_SUM_MARK_AT + 8,
    META_SUM_END = META_SUM_AT + PAGE_SUM_SIZE
};

/* Write the checksum of a page, or of a run of overflow pages, at its end; size includes it. */
void pylmdb_set_page_sum(void *page, size_t size);
int pylmdb_page_sum_is_right(const void *page, size_t size);

/* Whether a meta page says that its file has these checksums. At least META_SUM_END bytes. */
int pylmdb_meta_has_sum(const void *page);
/* Mark the first META_SUM_END bytes of a meta page, and write their checksum. */
void pylmdb_set_meta_sum(void *page);
/* Whether the checksum is right, and the rest of the page as it must be. */
int pylmdb_meta_sum_is_right(const void *page, size_t size, unsigned int number);
/* The end of page 0 says the size of checksums. */
void pylmdb_set_sum_size(void *page, size_t size);

#endif
