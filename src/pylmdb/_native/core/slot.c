/* SPDX-License-Identifier: MIT */
/* DbSlot: a native database handle.  It dies once and is never revived. */
#include "core.h"
#include "core_docs.h"
#include "native_holds.h"

/* -- opening -------------------------------------------------------------------- */

/* Make a slot without a number.  It can run Python code. */
static Slot *make_slot(Shared *shared, PyObject *name)
{
    PyTypeObject *type = shared->state->slot_type;
    Slot *slot = (Slot *)type->tp_alloc(type, 0);

    if (slot) {
        slot->shared = Py_NewRef((PyObject *)shared);
        slot->name = Py_NewRef(name);
    }
    return slot;
}

static Slot *slot_of(PyObject *table, PyObject *key)
{
    return (Slot *)PyDict_GetItemWithError(table, key);
}

static void kill_slot(Slot *slot)
{
    const Transaction *txn = slot->shared ? ((Shared *)slot->shared)->newest : NULL;
    const NativeCursor *native;

    slot->alive = 0;
    for (; txn; txn = txn->older)
        for (native = txn->cursors; native; native = native->next)
            if (native->owner && native->owner->slot == slot)
                native->owner->is_open = 0;
}

/* Kill the slot of a database that was dropped, or whose creation was aborted: 0, or -1: raised. */
static int forget_slot(Shared *shared, Slot *slot)
{
    kill_slot(slot);
    if (slot_of(shared->slots, slot->name) == slot)
        return PyDict_DelItem(shared->slots, slot->name);
    return PyErr_Occurred() ? -1 : 0;
}

/* Retire a native handle whose database no longer exists: 0, or -1: raised. */
static int retire_number(Shared *shared, PyObject *number)
{
    const unsigned long dbi = PyLong_AsUnsignedLong(number);
    Slot *slot = slot_of(shared->by_number, number);

    if (PyErr_Occurred() || (slot && (PyObject *)slot != Py_None && forget_slot(shared, slot)) ||
        PyDict_SetItem(shared->by_number, number, Py_None))
        return -1;
    shared->engine->dbi_retire(shared->pool->env, (MDB_dbi)dbi);
    return 0;
}

static int retire(Shared *shared, MDB_dbi dbi)
{
    PyObject *number = PyLong_FromUnsignedLong(dbi);
    const int rc = number ? retire_number(shared, number) : -1;

    Py_XDECREF(number);
    return rc;
}

static int uses_dead_slot(const Transaction *txn)
{
    const NativeCursor *native;

    if ((txn->slot && !txn->slot->alive) || (txn->last_slot && !txn->last_slot->alive))
        return 1;
    for (native = txn->cursors; native; native = native->next)
        if (native->owner && native->owner->slot && !native->owner->slot->alive)
            return 1;
    return 0;
}

/* Whether an operation that has released the GIL, or runs Python code, may use a dead slot: the
 * database was dropped after the operation had checked the slot. */
static int dead_slot_is_used(const Shared *shared, const Transaction *opener)
{
    const Transaction *txn;

    for (txn = shared->newest; txn; txn = txn->older)
        if (holds_dead_slot(txn) ||
            (txn->top->operations && !(opener && txn->top == opener->top) && uses_dead_slot(txn)))
            return 1;
    return 0;
}

/* Checks all transactions only if a slot must be used again. */
static int open_or_reuse(Shared *shared, MDB_txn *ptr, Transaction *txn, const char *name,
                         unsigned int flags, struct pylmdb_opened *found)
{
    const struct pylmdb_engine *const engine = shared->engine;
    const int code = engine->open_db(shared->pool, ptr, name, flags, shared->live, 1, found);

    return code != MDB_DBS_FULL || dead_slot_is_used(shared, txn)
               ? code
               : engine->open_db(shared->pool, ptr, name, flags, shared->live, 0, found);
}

static int open_native_db(Shared *shared, MDB_txn *ptr, Transaction *txn, PyObject *name,
                          unsigned int flags, struct pylmdb_opened *found)
{
    const char *native_name = name == Py_None ? NULL : PyBytes_AS_STRING(name);
    const int code = open_or_reuse(shared, ptr, txn, native_name, flags, found);

    if (code != PYLMDB_GONE)
        return code;
    return retire(shared, found->dbi) ? RAISED
                                      : open_or_reuse(shared, ptr, txn, native_name, flags, found);
}

/* Note since when the number of a new slot means this database.  If the slot before had the same
 * name, and the number was not retired since, then the number has always meant it. */
static int note_reuse(Shared *shared, MDB_txn *ptr, Slot *slot, PyObject *number)
{
    Slot *before = slot_of(shared->by_number, number);
    int same = 0;

    if (!before)
        return PyErr_Occurred() ? -1 : 0;
    if ((PyObject *)before != Py_None &&
        (same = PyObject_RichCompareBool(before->name, slot->name, Py_EQ)) < 0)
        return -1;
    slot->reuse = same ? before->reuse : ++shared->reuses;
    slot->since = same ? before->since : shared->engine->txn_id(ptr);
    return 0;
}

/* Put a new slot into the tables, and into the list of handles that an abort closes. */
static int note_slot(Shared *shared, MDB_txn *ptr, Slot *slot, PyObject *opened)
{
    PyObject *number = PyLong_FromUnsignedLong(slot->dbi);
    int rc = !number || note_reuse(shared, ptr, slot, number) ||
             (slot->pending && opened && PyList_Append(opened, (PyObject *)slot));

    rc = rc || PyDict_SetItem(shared->by_number, number, (PyObject *)slot) ||
         PyDict_SetItem(shared->slots, slot->name, (PyObject *)slot);
    Py_XDECREF(number);
    return rc ? -1 : 0;
}

/* Whether a transaction sees the database of a slot.  There is one write transaction at a time, so
 * it sees all databases that are not committed.  A reader sees the database if the writer has
 * dropped it and is creating it again: then the handle that was found is not pending.  Without
 * the shim, a handle that a read transaction has opened is closed with the transaction, too. */
static int is_visible(const Slot *slot, const struct pylmdb_opened *found, const Transaction *txn)
{
    Py_ssize_t i;

    if (!slot->pending || !found->pending || (txn && txn->thread))
        return 1;
    for (i = txn && txn->opened ? PyList_GET_SIZE(txn->opened) : 0; i > 0; i--)
        if (PyList_GET_ITEM(txn->opened, i - 1) == (PyObject *)slot)
            return 1;
    return 0;
}

/* Return the slot of the database that was opened: the known one of that name, or the new one. */
static int take_slot(Shared *shared, MDB_txn *ptr, Slot *known, Slot *fresh, PyObject *opened,
                     const struct pylmdb_opened *found, Slot **out)
{
    *out = known;
    if (known && known == shared->main) {
        known->flags = found->flags;
        return 0;
    }
    if (known && known->alive && known->dbi == found->dbi)
        return 0;
    *out = fresh;
    fresh->dbi = found->dbi;
    fresh->flags = found->flags;
    fresh->pending = (char)found->pending;
    fresh->alive = 1;
    return note_slot(shared, ptr, fresh, opened);
}

static int open_with(Shared *shared, MDB_txn *ptr, Transaction *txn, unsigned int flags,
                     Slot *fresh, PyObject *opened, Slot **out)
{
    PyObject *name = fresh->name;
    struct pylmdb_opened found;
    Slot *known = name == Py_None ? shared->main : slot_of(shared->slots, name);
    int code;

    if (!known && (PyErr_Occurred() || PyDict_GET_SIZE(shared->slots) >= shared->max_dbs))
        return PyErr_Occurred() ? RAISED : MDB_DBS_FULL;
    if (known)
        known->doubted = 1;
    if ((code = open_native_db(shared, ptr, txn, name, flags, &found)))
        return code;
    if (name != Py_None)
        known = slot_of(shared->slots, name);
    if (take_slot(shared, ptr, known, fresh, opened, &found, out))
        return RAISED;
    if (opened && txn && !txn->opened && PyList_GET_SIZE(opened))
        txn->opened = Py_NewRef(opened);
    (*out)->doubted = (char)shared->engine->txn_is_old(ptr);
    return is_visible(*out, &found, txn) ? 0 : MDB_NOTFOUND;
}

/* Making objects can run Python code, which can open the same database, so it comes first. */
int open_slot(Shared *shared, MDB_txn *ptr, Transaction *txn, PyObject *name, unsigned int flags,
              Slot **out)
{
    Slot *fresh = make_slot(shared, name);
    PyObject *opened = txn ? txn->opened ? Py_NewRef(txn->opened) : PyList_New(0) : NULL;
    int code = RAISED;

    if (fresh && (opened || !txn))
        code = open_with(shared, ptr, txn, flags, fresh, opened, out);
    if (!code)
        Py_INCREF(*out);
    Py_XDECREF(opened);
    Py_XDECREF(fresh);
    return code;
}

/* -- the end of a write transaction ---------------------------------------------- */

/* A new reference; a list that is not there yet is made. */
PyObject *list_of(PyObject **list)
{
    if (!*list)
        *list = PyList_New(0);
    return Py_XNewRef(*list);
}

static Py_ssize_t length_of(PyObject *list)
{
    return list ? PyList_GET_SIZE(list) : 0;
}

/* Moves the items of a list to the end of the parent's list, which may not be there yet. */
static int give_to_parent(PyObject *list, PyObject **parents)
{
    PyObject *to = length_of(list) ? list_of(parents) : NULL;
    int rc = 0;

    if (length_of(list))
        rc = to ? PyList_SetSlice(to, PY_SSIZE_T_MAX, PY_SSIZE_T_MAX, list) : -1;
    Py_XDECREF(to);
    return rc;
}

/* The numbers of databases that have come back, perhaps after they were dropped. */
static PyObject *numbers_in_use(PyObject *opened)
{
    PyObject *numbers = PySet_New(NULL), *number;
    Py_ssize_t i;

    for (i = 0; numbers && i < length_of(opened); i++) {
        Slot *slot = (Slot *)PyList_GET_ITEM(opened, i);

        if (!slot->alive)
            continue;
        number = PyLong_FromUnsignedLong(slot->dbi);
        if (!number || PySet_Add(numbers, number))
            Py_CLEAR(numbers);
        Py_XDECREF(number);
    }
    return numbers;
}

static int retire_dropped(Shared *shared, PyObject *dropped, PyObject *opened)
{
    PyObject *again = numbers_in_use(opened);
    int rc = again ? 0 : -1, is_again;
    Py_ssize_t i;

    for (i = 0; !rc && i < PyList_GET_SIZE(dropped); i++) {
        PyObject *number = PyList_GET_ITEM(dropped, i);

        if ((is_again = PySet_Contains(again, number)) <= 0)
            rc = is_again || retire_number(shared, number) ? -1 : 0;
    }
    Py_XDECREF(again);
    return rc;
}

/* A handle that lack of memory keeps from being retired is found stale by open_db(). */
static void note_failure(Shared *shared, int rc)
{
    if (rc)
        PyErr_WriteUnraisable((PyObject *)shared);
}

void settle_handles(Transaction *txn, int kept)
{
    Shared *shared = txn->shared;
    Transaction *parent = txn->parent;
    Py_ssize_t i;

    if (kept && parent) {
        note_failure(shared, give_to_parent(txn->dropped, &parent->dropped));
        if (give_to_parent(txn->opened, &parent->opened)) {
            note_failure(shared, -1);
            kept = 0; /* a handle that the parent cannot undo must not stay alive */
        }
    } else if (kept && length_of(txn->dropped)) {
        note_failure(shared, retire_dropped(shared, txn->dropped, txn->opened));
    }
    for (i = 0; i < length_of(txn->opened); i++) {
        Slot *slot = (Slot *)PyList_GET_ITEM(txn->opened, i);

        if (!kept)
            note_failure(shared, forget_slot(shared, slot));
        else if (!parent)
            slot->pending = 0;
    }
    Py_CLEAR(txn->opened);
    Py_CLEAR(txn->dropped);
}

/* -- the type ------------------------------------------------------------------- */

static int slot_init(Slot *self, PyObject *args, PyObject *kwargs)
{
    const CoreState *state = PyType_GetModuleState(Py_TYPE(self));
    PyObject *shared, *name;
    unsigned int dbi, flags;

    if (!state)
        return -1;
    if (kwargs && PyDict_GET_SIZE(kwargs)) {
        PyErr_SetString(PyExc_TypeError, "DbSlot takes no keywords");
        return -1;
    }
    if (!PyArg_ParseTuple(args, "O!IIO", state->shared_type, &shared, &dbi, &flags, &name))
        return -1;
    Py_XSETREF(self->shared, Py_NewRef(shared));
    Py_XSETREF(self->name, Py_NewRef(name));
    self->dbi = dbi;
    self->flags = flags;
    self->alive = 1;
    return 0;
}

static int slot_traverse(Slot *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->shared);
    return 0;
}

static int slot_clear(Slot *self)
{
    Py_CLEAR(self->shared);
    return 0;
}

static void slot_dealloc(Slot *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    slot_clear(self);
    Py_XDECREF(self->name);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *slot_kill(Slot *self, PyObject *ignored)
{
    kill_slot(self);
    Py_RETURN_NONE;
}

static PyMethodDef slot_methods[] = {
    {"kill", METHOD(slot_kill), METH_NOARGS, DOC_DBSLOT_KILL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef slot_members[] = {
    {"shared", T_OBJECT, offsetof(Slot, shared), READONLY, NULL},
    {"name", T_OBJECT, offsetof(Slot, name), READONLY, NULL},
    {"dbi", T_UINT, offsetof(Slot, dbi), READONLY, NULL},
    {"flags", T_UINT, offsetof(Slot, flags), 0, NULL},
    {"alive", T_BOOL, offsetof(Slot, alive), READONLY, NULL},
    {"doubted", T_BOOL, offsetof(Slot, doubted), 0, NULL},
    {"pending", T_BOOL, offsetof(Slot, pending), 0, NULL},
    {"reuse", T_PYSSIZET, offsetof(Slot, reuse), 0, NULL},
    {"since", T_PYSSIZET, offsetof(Slot, since), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slot_slots[] = {
    {Py_tp_doc, (void *)DOC_DBSLOT}, {Py_tp_new, PyType_GenericNew}, {Py_tp_init, slot_init},
    {Py_tp_traverse, slot_traverse}, {Py_tp_clear, slot_clear},      {Py_tp_dealloc, slot_dealloc},
    {Py_tp_methods, slot_methods},   {Py_tp_members, slot_members},  {0, NULL},
};

TYPE_SPEC(slot, "DbSlot", Slot, Py_TPFLAGS_HAVE_GC);
