/* SPDX-License-Identifier: MIT */
/* Check whether a transaction may be used, and find the slot of a database in it. */
#include "guard.h"

#include <string.h>

/* An operation of another thread is in progress: release the GIL for it. */
static int wait_for_operation(void)
{
    let_others_run();
    return PyErr_CheckSignals();
}

static int refuse_busy(Transaction *txn)
{
    if (txn->top->operating_thread != current_thread())
        return wait_for_operation();
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
    while (txn->top->operations && !txn->top->reserved && !is_held(txn->top))
        if (refuse_busy(txn))
            return -1;
    refusal = pylmdb_use_refusal(txn->revoked || !txn->native.ptr,
                                 txn->thread && txn->thread != current_thread(), txn->top->reserved,
                                 is_held(txn->top), txn->children && !ending);
    if (refusal)
        return refuse_named(state, refusal);
    return txn->waiting ? put_waiting(txn) : 0;
}

/* The guard again, after Python code has run; the caller may have entered an operation. */
int guard_again(Transaction *txn)
{
    if (!txn->top || !txn->top->operations || txn->top->operating_thread != current_thread())
        return guard(txn);
    if (txn->native.ptr && txn->native.generation == pylmdb_generation)
        return 0;
    return refuse_named(txn->state, "transaction ended");
}

static PyObject *call_with(PyObject *function, PyObject *first, PyObject *const *rest,
                           Py_ssize_t count)
{
    PyObject *few[8], **args = few, *result;

    if ((size_t)count >= sizeof(few) / sizeof(*few) &&
        !(args = PyMem_New(PyObject *, (size_t)count + 1)))
        return PyErr_NoMemory();
    args[0] = first;
    memcpy(args + 1, rest, (size_t)count * sizeof(*args));
    result = PyObject_Vectorcall(function, args, (size_t)count + 1, NULL);
    if (args != few)
        PyMem_Free(args);
    return result;
}

PyObject *call_in_operation(Transaction *txn, const char *kind, const void *address,
                            PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *pointer, *result = NULL;

    enter_operation(txn);
    if ((pointer = cffi_pointer(txn->shared, kind, address)))
        result = call_with(args[0], pointer, args + 1, nargs - 1);
    Py_XDECREF(pointer);
    leave_operation(txn);
    return result;
}

Slot *use_slot(Transaction *txn, Slot *slot)
{
    if (!slot->native.alive)
        return refused(txn->state, "database is dead");
    if (txn->engine->slot_is_newer(&slot->native, &txn->handles, txn->native.ptr))
        return refused_with(txn->state, "database is missing", "O", slot->name);
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
    enter_operation(txn);
    Py_XDECREF(old_slot);
    Py_XDECREF(old_db);
    leave_operation(txn);
    return guard_again(txn);
}

/* Let Python find the slot of a Database: it is looked up again after fork, compact() or
 * unpickling. */
static PyObject *ask_for_slot(Transaction *txn, PyObject *db)
{
    PyObject *pointer, *found = NULL;

    enter_operation(txn);
    pointer = cffi_pointer(txn->shared, "transaction_pointer", txn->native.ptr);
    if (pointer)
        found = PyObject_CallMethod(db, "_slot_for", "OOO", txn->shared, pointer, txn);
    Py_XDECREF(pointer);
    leave_operation(txn);
    if (found && !PyObject_TypeCheck(found, txn->state->slot_type)) {
        Py_CLEAR(found);
        PyErr_SetString(PyExc_TypeError, "db belongs to another core");
    }
    return found;
}

/* Return the slot of a Database other than the remembered one.  The caller has passed the guard. */
Slot *find_slot(Transaction *txn, PyObject *db)
{
    CoreState *state = txn->state;
    PyObject *found;
    Slot *slot;

    if (!PyObject_TypeCheck(db, state->database_type))
        return refused_with(state, "not a database", "O", Py_TYPE(db));
    slot = ((Database *)db)->slot;
    if (slot && slot->native.alive && slot->shared == (PyObject *)txn->shared) {
        found = Py_NewRef((PyObject *)slot);
    } else {
        if (!(found = ask_for_slot(txn, db)))
            return NULL;
        if (guard_again(txn)) {
            Py_DECREF(found);
            return NULL;
        }
    }
    return remember_slot(txn, db, (Slot *)found) ? NULL : use_slot(txn, txn->last_slot);
}
