/* SPDX-License-Identifier: MIT */
/* The hashes of bytes: XXH3, with 64 bits for the checksums of pages in a file, and with 128 bits
 * for the pages of a backup. */
#ifndef PYLMDB_XXH3_H
#define PYLMDB_XXH3_H

#include <stddef.h>
#include <stdint.h>

/* Whether this build has XXH3. If not, the checksum of all bytes is 0. */
int pylmdb_has_xxh3(void);

/* The checksum of bytes. */
uint64_t pylmdb_sum_of(const void *data, size_t size);

/* The checksum of bytes that come in pieces. NULL: there is no memory. */
struct pylmdb_sum;
struct pylmdb_sum *pylmdb_sum_new(void);
void pylmdb_sum_begin(struct pylmdb_sum *sum);
void pylmdb_sum_add(struct pylmdb_sum *sum, const void *data, size_t size);
uint64_t pylmdb_sum_end(const struct pylmdb_sum *sum);
void pylmdb_sum_free(struct pylmdb_sum *sum);

/* cdef: begin */
/* Hash pages that follow each other: 16 bytes each, in the canonical form.
 * ENOSYS: this build has no XXH3. */
int pylmdb_hash_pages(uint64_t seed, const unsigned char *pages, size_t page_size, size_t count,
                      unsigned char *hashes);
/* cdef: end */

#endif
