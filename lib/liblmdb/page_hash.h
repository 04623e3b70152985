/* SPDX-License-Identifier: MIT */
/* The hashes of pages in a backup. */
#ifndef PYLMDB_PAGE_HASH_H
#define PYLMDB_PAGE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* cdef: begin */
/* Hash pages that follow each other: 16 bytes each, XXH3 with 128 bits in its canonical form.
 * ENOSYS: this build has no XXH3. */
int pylmdb_hash_pages(uint64_t seed, const unsigned char *pages, size_t page_size, size_t count,
                      unsigned char *hashes);
/* cdef: end */

#endif
