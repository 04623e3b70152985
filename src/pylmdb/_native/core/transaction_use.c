/* SPDX-License-Identifier: MIT */
/* Check whether a transaction may be used, and find the slot of a database in it. */
#include "guard.h"

#include <errno.h>

/* An operation of another thread is in progress: release the GIL for it. */
static int wait_for_holder(void)
{
    Py_BEGIN_ALLOW_THREADS pylmdb_pause();
    Py_END_ALLOW_THREADS return PyErr_CheckSignals();
}

static int refuse_busy(Transaction *txn)
{
    if (txn->top->holding_thread != current_thread())
        return wait_for_holder();
    return refuse_named(txn->state, "transaction in use");
}

/* The slow path of guard(): raise, or wait until the operation is allowed. */
int refuse(Transaction *txn, int ending)
{
    CoreState *state = txn->state;
    const char *refusal;

    if (!txn->begun || !txn->top)
        return refuse_named(state, "transaction never begun");
    if (is_inherited(txn) && resume_transaction(txn))
        return -1;
    while (txn->top->holders && !txn->top->reserved)
        if (refuse_busy(txn))
            return -1;
    refusal = pylmdb_use_refusal(txn->revoked || !txn->native.ptr,
                                 txn->thread && txn->thread != current_thread(), txn->top->reserved,
                                 txn->children && !ending);
    return refusal ? refuse_named(state, refusal) : 0;
}

/* The guard again, inside an operation that has run Python code; the operation may hold the
 * transaction. */
int guard_again(Transaction *txn)
{
    if (!txn->top || !txn->top->holders || txn->top->holding_thread != current_thread())
        return guard(txn);
    if (txn->native.ptr && txn->native.generation == pylmdb_generation)
        return 0;
    return refuse_named(txn->state, "transaction ended");
}

Slot *use_slot(Transaction *txn, Slot *slot)
{
    if (!slot->alive) {
        refuse_named(txn->state, "database is dead");
        return NULL;
    }
    /* In a transaction that is older than the handle, the number means another database. */
    if (slot->since && txn->reuses < slot->reuse &&
        txn->engine->txn_id(txn->native.ptr) < slot->since) {
        refuse_with(txn->state, "database is missing", "O", slot->name);
        return NULL;
    }
    return slot;
}

/* Steals the reference to slot.  This can drop the last reference to the database that was
 * remembered before, which runs Python code. */
static int remember_slot(Transaction *txn, PyObject *db, Slot *slot)
{
    PyObject *old_db = txn->last_db;
    Slot *old_slot = txn->last_slot;

    txn->last_slot = slot;
    txn->last_db = Py_NewRef(db);
    hold(txn);
    Py_XDECREF(old_slot);
    Py_XDECREF(old_db);
    release(txn);
    return guard_again(txn);
}

/* Return the slot of a Database other than the remembered one.  The caller has passed the guard. */
Slot *find_slot(Transaction *txn, PyObject *db)
{
    CoreState *state = txn->state;
    PyObject *found, *pointer;
    int known;

    if (!PyObject_TypeCheck(db, (PyTypeObject *)state->database_class)) {
        refuse_with(state, "not a database", "O", Py_TYPE(db));
        return NULL;
    }
    if (!(found = PyObject_GetAttrString(db, "_slot")))
        return NULL;
    if (guard_again(txn)) {
        Py_DECREF(found);
        return NULL;
    }
    known = PyObject_TypeCheck(found, state->slot_type) && ((Slot *)found)->alive &&
            ((Slot *)found)->shared == (PyObject *)txn->shared;
    if (!known) {
        Py_DECREF(found);
        hold(txn);
        pointer = ask(txn->shared->slow, "transaction_pointer", "(K)",
                      (unsigned long long)(uintptr_t)txn->native.ptr);
        found =
            pointer ? PyObject_CallMethod(db, "_slot_for", "OOO", txn->shared, pointer, txn) : NULL;
        Py_XDECREF(pointer);
        release(txn);
        if (!found)
            return NULL;
        if (!PyObject_TypeCheck(found, state->slot_type)) {
            Py_DECREF(found);
            PyErr_SetString(PyExc_TypeError, "db belongs to another core");
            return NULL;
        }
        if (guard_again(txn)) {
            Py_DECREF(found);
            return NULL;
        }
    }
    return remember_slot(txn, db, (Slot *)found) ? NULL : use_slot(txn, txn->last_slot);
}
