/* SPDX-License-Identifier: MIT */
/* Which transactions may be used, and which slot a database has in one. */
#ifndef PYLMDB_GUARD_H
#define PYLMDB_GUARD_H

#include "core.h"

/* -- thread.c -- */

/* Numbers of threads are never given twice; the system gives those of ended threads to new ones.
 * Python tells of the end of a known thread, so that the write transactions which it leaves open
 * end with it. */
struct thread {
    unsigned long long number;
    int known;
};
struct thread *this_thread(void);
unsigned long long current_thread(void);

/* -- transaction_use.c: who may use a transaction, and its databases -- */

int refuse(Transaction *txn, int ending);
int guard_again(Transaction *txn);
Slot *find_slot(Transaction *txn, PyObject *db);
Slot *use_slot(Transaction *txn, Slot *slot);

static inline int is_usable(const Transaction *txn)
{
    return txn->ready && txn->native.generation == pylmdb_generation && !txn->top->holders &&
           (!txn->thread || txn->thread == current_thread());
}

/* 0 if an operation may go on, else -1 with an exception. */
static inline int guard(Transaction *txn)
{
    return LIKELY(is_usable(txn)) ? 0 : refuse(txn, 0);
}

static inline Slot *slot_for(Transaction *txn, PyObject *db)
{
    if (LIKELY(!db || db == Py_None)) {
        if (LIKELY(txn->slot->alive && !txn->slot->since))
            return txn->slot;
        return use_slot(txn, txn->slot);
    }
    if (LIKELY(db == txn->last_db && txn->last_slot->alive && !txn->last_slot->since))
        return txn->last_slot;
    return find_slot(txn, db);
}

/* -- inherited.c -- */

/* It was begun before fork(). */
static inline int is_inherited(const Transaction *txn)
{
    return txn->native.generation && txn->native.generation != pylmdb_generation;
}

/* And a forked child cannot go on with it. */
static inline int is_lost(const Transaction *txn)
{
    return is_inherited(txn) && (txn->write || txn->parent);
}

/* It has not ended for its user. */
static inline int is_open(const Transaction *txn)
{
    return txn->native.ptr && !txn->revoked && !is_lost(txn);
}

int resume_transaction(Transaction *txn);
int resume_cursor(Cursor *cursor);

/* -- environments -- */

/* Its Environments have another one now: in a forked child, and after compact(). */
static inline int is_left_behind(const Shared *shared)
{
    return shared->replaced || shared->generation != pylmdb_generation;
}

/* The native environment of an Environment; NULL where Python has to get it: it is closed, or left
 * behind. */
static inline Shared *usable_shared(const EnvironmentCore *env)
{
    Shared *shared = (Shared *)env->shared;

    return LIKELY(shared && !is_left_behind(shared)) ? shared : NULL;
}

#endif
