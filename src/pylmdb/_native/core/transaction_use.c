/* SPDX-License-Identifier: MIT */
/* Who may use a transaction, and which native handle a database has in it. */
#include "core.h"

#include <errno.h>

PyObject *engine_of(CoreState *state, const char *what, Shared *shared)
{
    if (!shared)
        return fail_closed(state, what, "it was never begun");
    return Py_NewRef(shared->engine_object);
}

/* Numbers of threads, never given twice: the system gives those of ended threads
 * to new ones. */
unsigned long long current_thread(void)
{
    static unsigned long long last;
    static _Thread_local unsigned long long number;

    if (!number)
        number = ++last; /* under the GIL */
    return number;
}

/* Another thread's operation is in progress: let it get on. */
static int wait_for_holder(void)
{
    Py_BEGIN_ALLOW_THREADS
    pylmdb_pause();
    Py_END_ALLOW_THREADS
    return PyErr_CheckSignals();
}

static int refuse_busy(Transaction *txn)
{
    if (txn->top->holding_thread != current_thread())
        return wait_for_holder();
    fail_as(txn->state->busy_error, "another operation of this transaction is in progress", 0,
            NULL);
    return -1;
}

/* What guard() does not let through: raises, or waits until it may go on. */
int refuse(Transaction *txn, int ending)
{
    CoreState *state = txn->state;

    if (!txn->begun || !txn->top) {
        fail_closed(state, "transaction", "it was never begun");
        return -1;
    }
    if (is_inherited(txn) && resume_transaction(txn))
        return -1;
    while (txn->top->holders && !txn->top->reserved)
        if (refuse_busy(txn))
            return -1;
    if (txn->revoked || !txn->native.ptr) {
        fail_closed(state, "transaction", "begin a new one");
        return -1;
    }
    if (txn->thread && txn->thread != current_thread()) {
        fail_as(state->wrong_thread_error,
                "a write transaction was used outside the thread that began it", 0,
                "begin, use and commit it in one thread");
        return -1;
    }
    if (txn->top->reserved) {
        PyErr_SetString(PyExc_BufferError,
                        "the buffer of reserve() is still in use; leave its block, and drop what "
                        "was made of it, before the transaction does anything else");
        return -1;
    }
    if (txn->children && !ending) {
        fail_as(state->bad_txn_error, "the transaction has an open child", MDB_BAD_TXN,
                "end the child transaction first");
        return -1;
    }
    return 0;
}

/* The guard again, in the middle of an operation that has run Python code; the
 * operation may hold the transaction. */
int guard_again(Transaction *txn)
{
    if (!txn->top || !txn->top->holders || txn->top->holding_thread != current_thread())
        return guard(txn);
    if (txn->native.ptr && txn->native.generation == pylmdb_generation)
        return 0;
    fail_closed(txn->state, "transaction", "begin a new one");
    return -1;
}

static Slot *refuse_missing(Transaction *txn, Slot *slot)
{
    PyObject *ignored = ask((PyObject *)txn->shared, "refuse_missing", "(O)", slot);

    Py_XDECREF(ignored);
    return NULL;
}

Slot *use_slot(Transaction *txn, Slot *slot)
{
    if (!slot->alive) {
        fail_as(txn->state->invalid_parameter_error,
                "the database handle is dead: its database was dropped, or its creation aborted",
                EINVAL, "open it again with open_db()");
        return NULL;
    }
    /* To a transaction that is older than the handle its number means another one. */
    if (slot->since && txn->reuses < slot->reuse &&
        txn->engine->txn_id(txn->native.ptr) < slot->since)
        return refuse_missing(txn, slot);
    return slot;
}

/* Takes the reference to slot.  The last reference to the database before it can be
 * this one, and its end runs Python code. */
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

/* The handle of a Database that this transaction has not used last.  The caller
 * has passed the guard. */
Slot *find_slot(Transaction *txn, PyObject *db)
{
    CoreState *state = txn->state;
    PyObject *found, *pointer;
    int known;

    if (!PyObject_TypeCheck(db, (PyTypeObject *)state->database_class)) {
        PyErr_Format(PyExc_TypeError, "db must be a database handle, not %.100s",
                     Py_TYPE(db)->tp_name);
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
        found = pointer ? PyObject_CallMethod(db, "_slot_for", "OOO", txn->shared, pointer, txn)
                        : NULL;
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

int adopt_slot(Transaction *txn, Slot *slot, int code)
{
    PyObject *pointer, *result = NULL;

    if (code != EINVAL && code != MDB_BAD_DBI)
        return 0;
    hold(txn);
    pointer = ask(txn->shared->slow, "transaction_pointer", "(K)",
                  (unsigned long long)(uintptr_t)txn->native.ptr);
    if (pointer)
        result = PyObject_CallMethod((PyObject *)txn->shared, "adopt", "OO", pointer, slot);
    Py_XDECREF(pointer);
    release(txn);
    Py_XDECREF(result);
    return !result || guard_again(txn) ? -1 : 1;
}
