/* SPDX-License-Identifier: MIT */
/* Native holds, and Hold, their type in Python (pylmdb.lowlevel.hold).
 * A hold of a read transaction only keeps its native end waiting, as a large copy does: a snapshot
 * does not change, so others can use it meanwhile.  The hold of a transaction that writes is an
 * operation in progress (transaction_end.c), so nothing else can use the transaction. */
#include "arguments.h"
#include "core_docs.h"
#include "native_holds.h"

/* -- acquire and release -------------------------------------------------------- */

/* The guard.  A hold inside another one is allowed, but not inside an operation. */
static int guard_for_hold(Transaction *txn)
{
    const Transaction *top = txn->top;

    if (LIKELY(is_usable(txn)))
        return 0;
    if (top && is_held(top) && top->operating_thread == current_thread() && txn->ready &&
        txn->native.generation == pylmdb_generation)
        return 0;
    return refuse(txn, 0);
}

/* A transaction learns of a database with its first use, which is not safe in several threads at
 * once.  So that use is here. */
static int learn_database(Transaction *txn, Slot *slot)
{
    MDB_cursor *cursor;

    if (slot == txn->shared->main)
        return 0;
    if (open_native(txn, slot, &cursor))
        return -1;
    txn->engine->cursor_close(cursor);
    return 0;
}

static void link_hold(struct native_hold *self)
{
    Transaction *txn = self->txn;

    self->next = txn->native_holds;
    if (self->next)
        self->next->previous = self;
    txn->native_holds = self;
    if (self->exclusive) {
        txn->top->held++;
        enter_operation(txn);
    } else {
        txn->top->copiers++;
    }
}

static void unlink_hold(struct native_hold *hold)
{
    if (hold->previous)
        hold->previous->next = hold->next;
    else
        hold->txn->native_holds = hold->next;
    if (hold->next)
        hold->next->previous = hold->previous;
}

struct native_hold *acquire_hold(Transaction *txn, PyObject *db)
{
    struct native_hold *hold;
    Slot *slot;

    if (guard_for_hold(txn) || !(slot = slot_for(txn, db)) || learn_database(txn, slot))
        return NULL;
    if (!(hold = PyMem_Calloc(1, sizeof(*hold)))) {
        PyErr_NoMemory();
        return NULL;
    }
    hold->shown = (PyLMDB_Hold){txn->native.ptr, slot->native.dbi, slot->native.flags};
    hold->engine = txn->engine;
    hold->generation = pylmdb_generation;
    hold->exclusive = txn->thread != 0;
    hold->txn = (Transaction *)Py_NewRef((PyObject *)txn);
    hold->slot = (Slot *)Py_NewRef((PyObject *)slot);
    hold->writes = txn->write ? (size_t *)&txn->mutations : NULL;
    link_hold(hold);
    return hold;
}

void close_held_cursor(PyLMDB_Cursor *cursor)
{
    struct native_hold *hold = cursor->hold;

    if (cursor->previous)
        cursor->previous->next = cursor->next;
    else
        hold->cursors = cursor->next;
    if (cursor->next)
        cursor->next->previous = cursor->previous;
    if (hold->generation == pylmdb_generation)
        hold->engine->cursor_close(cursor->position.cursor);
    hold->engine->position_free(&cursor->position);
    PyMem_RawFree(cursor);
}

/* In a forked child the tree may have begun anew, and has no holds. */
static void let_go(struct native_hold *hold)
{
    Transaction *top = hold->txn->top;

    if (hold->generation != pylmdb_generation)
        return;
    if (hold->exclusive) {
        top->held--;
        leave_operation(hold->txn);
    } else {
        top->copiers--;
        finish_waiting(top);
    }
}

void release_hold(struct native_hold *hold)
{
    PyObject *kind, *value, *traceback;

    PyErr_Fetch(&kind, &value, &traceback);
    while (hold->cursors)
        close_held_cursor(hold->cursors);
    unlink_hold(hold);
    let_go(hold);
    Py_DECREF(hold->slot);
    Py_DECREF(hold->txn);
    PyMem_RawFree(hold->failed.key);
    PyMem_Free(hold);
    PyErr_Restore(kind, value, traceback);
}

/* -- the type ------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    CoreState *state;
    /* NULL: it was released */
    struct native_hold *hold;
} Hold;

static PyObject *hold_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const Signature signature = {"hold", 1, 2, 2, {ARG_TXN, ARG_DB}};
    CoreState *state = state_of(type);
    PyObject *given[2];
    Hold *self;

    if (!state || parse_call(state, &signature, args, kwargs, given))
        return NULL;
    if (!PyObject_TypeCheck(given[0], state->transaction_type))
        return refused_with(state, "not a transaction", "sO", "txn", Py_TYPE(given[0]));
    if (!(self = (Hold *)type->tp_alloc(type, 0)))
        return NULL;
    self->state = state;
    if (!(self->hold = acquire_hold((Transaction *)given[0], given[1])))
        Py_CLEAR(self);
    return (PyObject *)self;
}

static int hold_traverse(Hold *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    if (self->hold)
        Py_VISIT(self->hold->txn);
    return 0;
}

static PyObject *hold_release(Hold *self, PyObject *ignored)
{
    struct native_hold *hold = self->hold;

    self->hold = NULL;
    if (hold)
        release_hold(hold);
    Py_RETURN_NONE;
}

/* There is no tp_clear: every cycle contains an Environment, a subclass or another object that
 * has one. */
static void hold_dealloc(Hold *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    Py_XDECREF(hold_release(self, NULL));
    type->tp_free(self);
    Py_DECREF(type);
}

static struct native_hold *in_use(Hold *self)
{
    if (!self->hold)
        return refused(self->state, "hold released");
    if (self->hold->generation != pylmdb_generation)
        return refused(self->state, "hold of another process");
    return self->hold;
}

static PyObject *hold_get_txn(Hold *self, void *ignored)
{
    struct native_hold *hold = in_use(self);

    return hold ? cffi_pointer(hold->txn->shared, "transaction_pointer", hold->shown.txn) : NULL;
}

static PyObject *hold_get_dbi(Hold *self, void *ignored)
{
    struct native_hold *hold = in_use(self);

    return hold ? PyLong_FromUnsignedLong(hold->shown.dbi) : NULL;
}

static PyObject *hold_get_released(Hold *self, void *ignored)
{
    return PyBool_FromLong(!self->hold);
}

static PyObject *hold_enter(Hold *self, PyObject *ignored)
{
    return in_use(self) ? Py_NewRef((PyObject *)self) : NULL;
}

static PyObject *hold_exit(Hold *self, PyObject *const *args, Py_ssize_t nargs)
{
    return hold_release(self, NULL);
}

static PyMethodDef hold_methods[] = {
    {"release", METHOD(hold_release), METH_NOARGS, DOC_HOLD_RELEASE},
    {"__enter__", METHOD(hold_enter), METH_NOARGS, DOC_HOLD___ENTER__},
    {"__exit__", METHOD(hold_exit), METH_FASTCALL, DOC_HOLD___EXIT__},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef hold_getset[] = {
    {"txn", (getter)hold_get_txn, NULL, DOC_HOLD_TXN, NULL},
    {"dbi", (getter)hold_get_dbi, NULL, DOC_HOLD_DBI, NULL},
    {"released", (getter)hold_get_released, NULL, DOC_HOLD_RELEASED, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot hold_slots[] = {
    {Py_tp_doc, (void *)DOC_HOLD},
    {Py_tp_new, hold_new},
    {Py_tp_traverse, hold_traverse},
    {Py_tp_dealloc, hold_dealloc},
    {Py_tp_methods, hold_methods},
    {Py_tp_getset, hold_getset},
    {0, NULL},
};

TYPE_SPEC(hold, "Hold", Hold, Py_TPFLAGS_HAVE_GC);
