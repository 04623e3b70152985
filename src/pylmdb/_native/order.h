/* SPDX-License-Identifier: MIT */
/* Sort keys. None of this needs an engine, so the core is compiled with it, too. */
#ifndef PYLMDB_ORDER_H
#define PYLMDB_ORDER_H

#include "engine.h"

/* Sort keys so that lookups in this order go through the database roughly from its beginning
 * to its end. entries has room for 2 * count; the result is one half of it. */
struct pylmdb_sort_entry *pylmdb_order_keys(const MDB_val *keys, size_t count, unsigned int dbflags,
                                            struct pylmdb_sort_entry *entries);

/* How a long sort asks, at intervals, whether it must stop. */
struct pylmdb_stop {
    /* return 1 to stop */
    int (*ask)(void *context);
    void *context;
    /* how many entries are looked at before it asks again, and whether it must stop */
    size_t left;
    int stops;
};

/* Strings that are sorted: keys, or values of one key. */
struct pylmdb_strings {
    /* the string with an index */
    MDB_val (*at)(const struct pylmdb_strings *strings, size_t index);
    const void *context;
    /* MDB_REVERSEKEY, MDB_INTEGERKEY, or 0: how they are compared, as keys are. Integers have
     * 4 or 8 bytes, all the same size. */
    unsigned int order;
    /* NULL: it does not ask */
    struct pylmdb_stop *stop;
};

/* Return whether to stop, after work entries were looked at. */
int pylmdb_sort_stops(struct pylmdb_stop *stop, size_t work);

/* Sort entries by the strings with their indexes, as the database does. Equal strings keep
 * their order. other has room for as many entries. Return 1 if it was stopped; then the entries
 * have any order, or are not set. */
int pylmdb_sort_strings(const struct pylmdb_strings *strings, struct pylmdb_sort_entry *entries,
                        struct pylmdb_sort_entry *other, size_t count);

#endif
