/* SPDX-License-Identifier: MIT */
/* Check whether a transaction may be used, and find the slot of a database in it. */
#ifndef PYLMDB_GUARD_H
#define PYLMDB_GUARD_H

#include "core.h"

/* -- thread.c -- */

/* The number of a thread is never used again; the system gives the identifier of an ended thread
 * to a new one.  known: at the end of the thread Python calls end_thread(), which ends the write
 * transactions that the thread has left open. */
struct thread {
    unsigned long long number;
    int known;
};
struct thread *this_thread(void);
unsigned long long current_thread(void);

/* -- transaction_use.c -- */

int refuse(Transaction *txn, int ending);
int guard_again(Transaction *txn);
/* Calls args[0](pointer of cffi, *args[1:]) for code in Python, as an operation. */
PyObject *call_in_operation(Transaction *txn, const char *kind, const void *address,
                            PyObject *const *args, Py_ssize_t nargs);
Slot *find_slot(Transaction *txn, PyObject *db);
Slot *use_slot(Transaction *txn, Slot *slot);

/* -- putmulti.c -- */

/* Put the records that an iterator has given, before something else is done in the
 * transaction. */
int put_waiting(Transaction *txn);

static inline int is_usable(const Transaction *txn)
{
    if (!txn->ready)
        return 0;
    if (LIKELY(txn->top->usable_in == pylmdb_generation))
        return 1;
    return txn->top->usable_in == -pylmdb_generation && txn->thread == current_thread();
}

/* 0 if the operation is allowed, else -1: raised. */
static inline int guard(Transaction *txn)
{
    return LIKELY(is_usable(txn)) ? 0 : refuse(txn, 0);
}

static inline Slot *slot_for(Transaction *txn, PyObject *db)
{
    if (LIKELY(!db || db == Py_None)) {
        if (LIKELY(txn->slot->native.alive && !txn->slot->native.since))
            return txn->slot;
        return use_slot(txn, txn->slot);
    }
    if (LIKELY(db == txn->last_db && txn->last_slot->native.alive && !txn->last_slot->native.since))
        return txn->last_slot;
    return find_slot(txn, db);
}

/* -- inherited.c -- */

/* It was begun before fork(). */
static inline int is_inherited(const Transaction *txn)
{
    return txn->native.generation && txn->native.generation != pylmdb_generation;
}

/* It was begun before fork(), and a forked child cannot use it. */
static inline int is_lost(const Transaction *txn)
{
    return is_inherited(txn) && (txn->write || txn->parent);
}

/* It has not ended for the program. */
static inline int is_open(const Transaction *txn)
{
    return txn->native.ptr && !txn->revoked && !is_lost(txn);
}

int resume_transaction(Transaction *txn);
int resume_cursor(Cursor *cursor);

/* -- environments -- */

/* Its Environments have another Shared now: in a forked child, and after compact(). */
static inline int is_left_behind(const Shared *shared)
{
    return shared->replaced || shared->generation != pylmdb_generation;
}

/* The native environment of an Environment; NULL: it is closed or left behind, so Python must
 * get it. */
static inline Shared *usable_shared(const EnvironmentCore *env)
{
    Shared *shared = (Shared *)env->shared;

    return LIKELY(shared && !is_left_behind(shared)) ? shared : NULL;
}

#endif
