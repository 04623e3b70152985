/* SPDX-License-Identifier: MIT */
/* Reading, sorting and copying memory, and a pause, which need no engine: the core has this,
 * too. */
#ifndef PYLMDB_MEMORY_H
#define PYLMDB_MEMORY_H

#include "engine.h"

/* Memory that will be read soon, and is often far from what was read last. */
#if defined(__GNUC__)
#define PYLMDB_FETCH(address) __builtin_prefetch(address)
#else
#define PYLMDB_FETCH(address) ((void)(address))
#endif

/* Reads a byte of each page: before a value is copied, so that one that the file lacks is
 * noted (pylmdb_any_cut). */
static inline void touch_pages(const void *data, size_t size)
{
    const volatile char *bytes = data;
    size_t at;

    for (at = 0; at < size; at += 4096)
        (void)bytes[at];
    if (size)
        (void)bytes[size - 1];
}

/* The order in which looking the keys up goes through the database from its
 * beginning to its end, or nearly so.  places has room for 2 * count; the result is
 * one half of it. */
struct pylmdb_place *pylmdb_order_keys(const MDB_val *keys, size_t count, unsigned int dbflags,
                                       struct pylmdb_place *places);

/* Writes a record, key and value, for each width bytes of values. */
void pylmdb_copy_records(char *out, const MDB_val *key, const MDB_val *values, size_t width);

/* cdef: begin */
/* The name of the refusal of getmulti's arguments, or NULL. */
const char *pylmdb_getmulti_refusal(ptrdiff_t width, int dupdata, int keyfixed, int values);
/* cdef: end */

/* Copies the items of an array to one place, in C order; lengths and steps as in a Python
 * buffer. */
void pylmdb_copy_strided(char *out, const char *from, int ndim, const ptrdiff_t *shape,
                         const ptrdiff_t *strides, size_t item);

/* Sleeps for a moment: another thread is expected to be done soon. */
void pylmdb_pause(void);

#endif
