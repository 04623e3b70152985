/* SPDX-License-Identifier: MIT */
/* Sort keys. None of this needs an engine, so the core is compiled with it, too. */
#ifndef PYLMDB_ORDER_H
#define PYLMDB_ORDER_H

#include "engine.h"

/* Sort keys so that lookups in this order go through the database roughly from its beginning
 * to its end. entries has room for 2 * count; the result is one half of it. */
struct pylmdb_sort_entry *pylmdb_order_keys(const MDB_val *keys, size_t count, unsigned int dbflags,
                                            struct pylmdb_sort_entry *entries);

/* Strings that are sorted: keys, or values of one key. */
struct pylmdb_strings {
    /* the string with an index */
    MDB_val (*at)(const struct pylmdb_strings *strings, size_t index);
    const void *context;
    /* MDB_REVERSEKEY, MDB_INTEGERKEY, or 0: how they are compared, as keys are. Integers have
     * 4 or 8 bytes, all the same size. */
    unsigned int order;
};

/* Sort entries by the strings with their indexes, as the database does. Equal strings keep
 * their order. other has room for as many entries. */
void pylmdb_sort_strings(const struct pylmdb_strings *strings, struct pylmdb_sort_entry *entries,
                         struct pylmdb_sort_entry *other, size_t count);

#endif
