/* SPDX-License-Identifier: MIT */
/* Copy whole batches between records and arrays in one call, for both cores. No other code
 * uses the transaction during a call. No Python objects here. */
#ifndef PYLMDB_ARRAYS_H
#define PYLMDB_ARRAYS_H

#include "plain/plain.h"

/* cdef: begin */
/* Write numbers as printf() does with a format of one %d: prefix, the number padded to width
 * (with zeros after the sign, or with spaces), suffix. Each key takes at most prefix_size +
 * suffix_size + (width, at least 20) bytes. Returns the size of all keys. */
size_t pylmdb_format_keys(const long long *numbers, size_t count, const char *prefix,
                          size_t prefix_size, const char *suffix, size_t suffix_size, size_t width,
                          int zeros, char *out, size_t *ends);

/* -- read.c -- */

/* Look up keys in key order, and copy their values, each of size bytes, to out, stride bytes
 * apart, with this many threads. For a missing key absent[i] is 1, and zeros are written; if
 * absent is NULL, a missing key is MDB_NOTFOUND. PYLMDB_MISFIT: a value has another size,
 * which is *bad_size. *bad is the index of the first such key. */
int pylmdb_take(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const struct pylmdb_keys *keys,
                size_t size, char *out, ptrdiff_t stride, int threads, char *absent, size_t *bad,
                size_t *bad_size);

/* Look up keys in key order: present[i] becomes 1 or 0.  Values are not read. */
int pylmdb_has_many(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const struct pylmdb_keys *keys,
                    char *present);

/* Return the addresses of the values of keys. MDB_NOTFOUND: *bad is the index of the first
 * missing key. */
int pylmdb_locate(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const struct pylmdb_keys *keys,
                  MDB_val *out, size_t *bad);

struct pylmdb_record {
    MDB_val key, value;
};

/* A growing list of records; zeros at first. pylmdb_scan() fills it, pylmdb_scan_free() frees
 * its memory. */
struct pylmdb_records {
    struct pylmdb_record *records;
    size_t count, room;
};

/* Return the records with start <= key < stop, in key order. NULL: from the first, to the
 * last. */
int pylmdb_scan(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const MDB_val *start,
                const MDB_val *stop, struct pylmdb_records *out);
void pylmdb_scan_free(struct pylmdb_records *records);

/* Return the number of values of a key, and the size of the first; or MDB_NOTFOUND. */
int pylmdb_count_values(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *key,
                        size_t key_size, size_t *count, size_t *size);
/* Copy the count values of a key, each of size bytes. PYLMDB_MISFIT: a value has another
 * size, which is stored in *size. */
int pylmdb_copy_values(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *key,
                       size_t key_size, char *out, size_t count, size_t *size);

/* Copy count rows of size bytes to out, stride bytes apart. A row without an address becomes
 * zeros. At most this many threads share the work, if it is large enough. */
int pylmdb_copy_rows(MDB_env *env, const MDB_val *rows, size_t count, size_t size, char *out,
                     ptrdiff_t stride, int threads);

/* pylmdb_read_ahead_keys() for keys in one block, in any order, at most PYLMDB_READ_AHEAD_MAX. */
int pylmdb_read_ahead(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
                      const struct pylmdb_keys *keys);
/* Read the pages of the records of at most PYLMDB_READ_AHEAD_MAX keys into memory; missing keys
 * do not count. *bytes grows by the size of their keys and values. */
int pylmdb_warm_keys(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
                     const struct pylmdb_keys *keys, size_t *bytes);
/* The same for the records with start <= key < stop; NULL: from the first, to the last. After a
 * tenth of a second it stops, and *next is the key, in the map, at which the next call begins; its
 * mv_data is NULL when all records are done. */
int pylmdb_warm_range(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const MDB_val *start,
                      const MDB_val *stop, MDB_val *next, size_t *bytes);

/* The same as pylmdb_copy_rows(), for rows given by their index in a list of count addresses
 * relative to base; -1 is the last row. PYLMDB_MISFIT: the index numbers[*bad] is out of
 * range. */
int pylmdb_copy_numbered(MDB_env *env, const char *base, const size_t *addresses, size_t count,
                         const long long *numbers, size_t wanted, size_t size, char *out,
                         ptrdiff_t stride, int threads, size_t *bad);

/* Something does not fit; another result says which item, or its size. */
#define PYLMDB_MISFIT (-30700)

/* -- write.c -- */

/* Put a record for each key; its value has size bytes, and values are stride bytes apart. The
 * records are appended if the keys are in order and greater than all keys in the database.
 * Else they are put in key order if that makes no difference. *written counts the new and the
 * changed records; *bad is the index of the record that failed. */
int pylmdb_put_rows(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const struct pylmdb_keys *keys,
                    const char *values, ptrdiff_t stride, size_t size, unsigned int flags,
                    size_t *written, size_t *bad);
/* cdef: end */

#endif
