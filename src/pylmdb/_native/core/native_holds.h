/* SPDX-License-Identifier: MIT */
/* Native holds: a transaction that C code outside of pylmdb uses, with one of its databases. */
#ifndef PYLMDB_NATIVE_HOLDS_H
#define PYLMDB_NATIVE_HOLDS_H

#include "guard.h"

#include "pylmdb.h"

/* A cursor of a hold. */
struct PyLMDB_Cursor {
    struct pylmdb_position position;
    struct native_hold *hold;
    struct PyLMDB_Cursor *next, *previous;
};

struct native_hold {
    PyLMDB_Hold shown; /* must be the first member */
    const struct pylmdb_engine *engine;
    /* the count of forks when it was acquired */
    int generation;
    /* Nothing else may use the transaction; else only its native end waits. */
    char exclusive;
    Transaction *txn;
    Slot *slot;
    /* of a transaction that writes: the number of its writes; else NULL */
    size_t *writes;
    struct native_hold *next, *previous;
    PyLMDB_Cursor *cursors;
    /* The last function that has failed: its name, that of liblmdb's function, and the record; room
     * is how many bytes the copy of its key can have. */
    struct {
        const char *operation, *what;
        int has_key;
        void *key;
        size_t room, key_size, value_size;
    } failed;
};

/* Whether a hold uses a database that was dropped. */
static inline int holds_dead_slot(const Transaction *txn)
{
    const struct native_hold *hold;

    for (hold = txn->native_holds; hold; hold = hold->next)
        if (hold->generation == pylmdb_generation && !hold->slot->native.alive)
            return 1;
    return 0;
}

/* -- hold.c -- */

struct native_hold *acquire_hold(Transaction *txn, PyObject *db);
/* Keeps the exception that is set. */
void release_hold(struct native_hold *hold);
void close_held_cursor(PyLMDB_Cursor *cursor);

#endif
