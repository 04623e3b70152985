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

#endif
