/* SPDX-License-Identifier: MIT */
/* Between records and arrays: whole batches in one call, for both cores.  Nobody else
 * uses the transaction meanwhile.  No Python objects here. */
#ifndef PYLMDB_ARRAYS_H
#define PYLMDB_ARRAYS_H

#include "plain/plain.h"

/* cdef: begin */
/* Keys one behind the other: each has width bytes, or where ends is given, ends[i] is
 * where the i-th one ends. */
struct pylmdb_keys {
    const char *bytes;
    const size_t *ends;
    size_t count, width;
};
/* cdef: end */

static inline MDB_val pylmdb_key_at(const struct pylmdb_keys *keys, size_t i)
{
    const size_t begin = !keys->ends ? i * keys->width : i ? keys->ends[i - 1] : 0;
    const size_t end = keys->ends ? keys->ends[i] : begin + keys->width;

    return (MDB_val){end - begin, (void *)(keys->bytes + begin)};
}

/* cdef: begin */
/* Writes numbers as printf() does with a format of one %d: prefix, the number filled up
 * to width (with zeros behind the sign, or spaces), suffix.  Each takes at most
 * prefix_size + suffix_size + (width, at least 20) bytes.  Returns the size of all. */
size_t pylmdb_format_keys(const long long *numbers, size_t count, const char *prefix,
                          size_t prefix_size, const char *suffix, size_t suffix_size,
                          size_t width, int zeros, char *out, size_t *ends);

/* -- read.c -- */

/* Looks keys up in key order, and copies their values, each of size bytes, to places that
 * are stride bytes apart, by so many threads.  Of a key that is not there it says so in
 * absent and writes zeros; where absent is NULL, MDB_NOTFOUND.  PYLMDB_MISFIT: a value has
 * *bad_size bytes.  *bad is the number of the first such key. */
int pylmdb_take(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
                const struct pylmdb_keys *keys, size_t size, char *out, ptrdiff_t stride,
                int threads, char *absent, size_t *bad, size_t *bad_size);

/* Where the values of keys are; MDB_NOTFOUND and the number of the first that is not
 * there. */
int pylmdb_locate(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
                  const struct pylmdb_keys *keys, MDB_val *out, size_t *bad);

struct pylmdb_record {
    MDB_val key, value;
};

/* Room for records; zeros at first.  pylmdb_scan() fills it, pylmdb_scan_free() frees
 * what that has taken. */
struct pylmdb_records {
    struct pylmdb_record *records;
    size_t count, room;
};

/* The records with start <= key < stop in their order; NULL: from the first, to the
 * last. */
int pylmdb_scan(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const MDB_val *start,
                const MDB_val *stop, struct pylmdb_records *out);
void pylmdb_scan_free(struct pylmdb_records *records);

/* How many values a key has, and the size of its first; MDB_NOTFOUND. */
int pylmdb_count_values(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *key,
                        size_t key_size, size_t *count, size_t *size);
/* Copies the values of a key, each of size bytes, of which there are count; PYLMDB_MISFIT
 * and the size of one that has another. */
int pylmdb_copy_values(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags, const void *key,
                       size_t key_size, char *out, size_t count, size_t *size);

/* Copies count rows of size bytes to places that are stride bytes apart.  A row without
 * an address becomes zeros.  So many threads share the work, if it is worth it. */
int pylmdb_copy_rows(MDB_env *env, const MDB_val *rows, size_t count, size_t size, char *out,
                     ptrdiff_t stride, int threads);

/* Asks the system for the pages of rows, all at once, unless those of some rows are in memory
 * all: it is called before rows are copied, so that one does not wait for the other.  Whether
 * it has asked. */
int pylmdb_read_ahead(const MDB_val *rows, size_t count);

/* The same as pylmdb_copy_rows() for rows that are named by number in a list of count addresses, counted from
 * base; -1 is the last.  PYLMDB_MISFIT: the number at *bad is none of these. */
int pylmdb_copy_numbered(MDB_env *env, const char *base, const size_t *addresses, size_t count,
                         const long long *numbers, size_t wanted, size_t size, char *out,
                         ptrdiff_t stride, int threads, size_t *bad);

/* What does not fit: which one, or how large, is told. */
#define PYLMDB_MISFIT (-30700)

/* -- write.c -- */

/* Writes a record for each key, with size bytes that are stride bytes apart: appended
 * if the keys rise from behind the last one there is, else in key order where that
 * makes no difference.  *written counts the new and changed ones; *bad is the number
 * of the record that failed. */
int pylmdb_put_rows(MDB_txn *txn, MDB_dbi dbi, unsigned int dbflags,
                    const struct pylmdb_keys *keys, const char *values, ptrdiff_t stride,
                    size_t size, unsigned int flags, size_t *written, size_t *bad);
/* cdef: end */

#endif
