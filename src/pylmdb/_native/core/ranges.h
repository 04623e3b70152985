/* SPDX-License-Identifier: MIT */
/* The bounds of a range of keys: arguments of range(), count() and delete_range(). */
#ifndef PYLMDB_RANGES_H
#define PYLMDB_RANGES_H

#include "arguments.h"

/* The first arguments of these methods, in this order. */
enum { START, STOP, PREFIX, BOUNDS };

/* What is not given has no data.  after_prefix is the smallest key that is greater than all with
 * the prefix. */
typedef struct {
    Bytes start, stop, prefix, after_prefix;
} Bounds;

/* Convert the arguments, which can run Python code.  Later changes of their buffers do not affect
 * the bounds.  drop_bounds() must be called also if this fails. */
int take_bounds(CoreState *state, PyObject *const *given, Bounds *bounds);
void drop_bounds(Bounds *bounds);

/* Refuse a prefix together with another bound, or in a database (flags) that is ordered otherwise.
 * are_changed: include_start or include_stop is not its default. */
int check_prefix(CoreState *state, const char *operation, const Bounds *bounds, unsigned int flags,
                 int are_changed);

/* The first key of the range. */
static inline const Bytes *first_key(const Bounds *bounds)
{
    return bounds->prefix.data ? &bounds->prefix : &bounds->start;
}

/* The key at which the range ends. */
static inline const Bytes *end_key(const Bounds *bounds)
{
    return bounds->prefix.data ? &bounds->after_prefix : &bounds->stop;
}

/* -- iterator.c -- */

/* The other arguments of range(), in this order. */
enum {
    REVERSE = BOUNDS,
    KEYS,
    VALUES,
    LIMIT,
    OFFSET,
    INCLUDE_START,
    INCLUDE_STOP,
    RANGE_DB,
    RANGE_ARGUMENTS
};
#define RANGE_NAMES \
    ARG_START, ARG_STOP, ARG_PREFIX, ARG_REVERSE, ARG_KEYS, ARG_VALUES, ARG_LIMIT, ARG_OFFSET, \
        ARG_INCLUDE_START, ARG_INCLUDE_STOP
/* Iterate over the range that the arguments give. */
PyObject *iterate_range(Cursor *cursor, PyObject *const *given);

#endif
