/* SPDX-License-Identifier: MIT */
/* Read transactions and cursors that a forked child has inherited.
 * At its first use in the child, a transaction gets a native transaction of the child, with the
 * same snapshot (_core_rules/inherited.py).  Each of its cursors gets, at its first use, a native
 * cursor with the same position.  The child does not free the inherited native objects, because
 * views may refer to their map. */
#include "guard.h"

/* Operations in other threads of the parent do not exist in the child. */
static void forget_other_threads(Transaction *txn)
{
    txn->copiers = 0;
    if (txn->operating_thread != current_thread())
        txn->operations = 0;
}

static void move_to(Transaction *txn, Shared *shared, Slot *slot, const struct pylmdb_txn *native)
{
    PyObject *old[] = {(PyObject *)txn->shared, (PyObject *)txn->slot, (PyObject *)txn->last_slot,
                       txn->last_db, txn->whole};
    NativeCursor *each;
    size_t i;

    unlink_from_environment(txn);
    txn->native = *native;
    txn->shared = (Shared *)Py_NewRef((PyObject *)shared);
    txn->slot = (Slot *)Py_NewRef((PyObject *)slot);
    txn->last_slot = NULL;
    txn->last_db = txn->whole = NULL;
    txn->handles.reuses = shared->slots.reuses;
    for (each = txn->cursors; each; each = each->next)
        if (each->owner) {
            each->owner->position.cursor = NULL;
            each->owner->is_open = 0;
            each->owner->position.fresh = PYLMDB_NOT_FRESH;
        }
    link_to_environment(txn);
    for (i = 0; i < sizeof(old) / sizeof(*old); i++)
        Py_XDECREF(old[i]);
}

/* The caller has a reference to txn, and checks it again afterwards. */
int resume_transaction(Transaction *txn)
{
    struct pylmdb_txn native = {0};
    PyObject *shared, *slot, *found;

    if (is_lost(txn))
        return refuse_named(txn->state, "transaction of another process");
    forget_other_threads(txn);
    if (txn->revoked || !txn->native.ptr || txn->operations)
        return 0;
    found = ask(txn->shared->slow, "resume", "(OOKKO)", txn->env, txn->shared,
                (unsigned long long)(uintptr_t)&native,
                (unsigned long long)(uintptr_t)txn->native.ptr, txn->slot);
    if (!found) {
        txn->engine->abort(&native);
        return -1;
    }
    shared = PyTuple_GET_ITEM(found, 0);
    slot = PyTuple_GET_ITEM(found, 1);
    if (is_inherited(txn) && !txn->revoked)
        move_to(txn, (Shared *)shared, (Slot *)slot, &native);
    else /* another thread has resumed it first, or has ended it */
        end_reader((Shared *)shared, &native);
    Py_DECREF(found);
    return 0;
}

static int resume_native(Cursor *cursor, Slot *slot)
{
    const struct pylmdb_engine *engine = cursor->engine;
    MDB_cursor *ptr;

    if (open_native(cursor->txn, slot, &ptr))
        return -1;
    if (engine->cursor_go_on(ptr, cursor->native->ptr)) {
        engine->cursor_close(ptr);
        return refuse_named(cursor->state, "cursor of another process");
    }
    cursor->native->ptr = cursor->position.cursor = ptr;
    cursor->native->generation = pylmdb_generation;
    cursor->is_open = slot->native.alive;
    Py_INCREF(slot);
    Py_SETREF(cursor->slot, slot);
    return 0;
}

/* The caller has passed the guard of its transaction. */
int resume_cursor(Cursor *cursor)
{
    Transaction *txn = cursor->txn;
    PyObject *slot, *pointer;
    int rc = -1;

    enter_operation(txn);
    pointer = cffi_pointer(txn->shared, "transaction_pointer", txn->native.ptr);
    slot =
        pointer ? ask((PyObject *)txn->shared, "slot_again", "(OO)", pointer, cursor->slot) : NULL;
    Py_XDECREF(pointer);
    if (slot)
        rc = cursor->native && !cursor->native->dropped && !cursor->position.cursor
                 ? resume_native(cursor, (Slot *)slot)
                 : 0;
    Py_XDECREF(slot);
    leave_operation(txn);
    return rc;
}
