/* SPDX-License-Identifier: MIT */
/* SharedCore: the C half of SharedEnv, for what begins and ends without Python. */
#include "core_docs.h"
#include "guard.h"

/* Return the number in an attribute as an address. */
static void *address_in(PyObject *object, const char *name)
{
    PyObject *number = PyObject_GetAttrString(object, name);
    void *address = number ? PyLong_AsVoidPtr(number) : NULL;

    Py_XDECREF(number);
    if (!address && !PyErr_Occurred())
        PyErr_Format(PyExc_ValueError, "attach: %s has no address", name);
    return address;
}

/* attach(engine, address of the pool), which belongs to this from now on.  The engine's module keeps
 * the table alive. */
static PyObject *shared_attach(Shared *self, PyObject *const *args, Py_ssize_t nargs)
{
    void *table, *pool;
    PyObject *slow;

    if (nargs != 2)
        return PyErr_Format(PyExc_TypeError, "attach() takes 2 arguments");
    if (!self->state && !(self->state = state_of(Py_TYPE(self))))
        return NULL;
    if (!(pool = PyLong_AsVoidPtr(args[1])))
        return PyErr_Occurred() ? NULL
                                : PyErr_Format(PyExc_ValueError, "attach: pool has no address");
    if (!(table = address_in(args[0], "table")) ||
        !(slow = PyObject_GetAttrString(args[0], "slow")))
        return NULL;
    Py_XSETREF(self->slow, slow);
    Py_XSETREF(self->engine_object, Py_NewRef(args[0]));
    self->engine = table;
    self->pool = pool;
    self->generation = pylmdb_generation;
    if (begin_slots(self))
        return NULL;
    Py_RETURN_NONE;
}

/* Ends the transactions of one Environment, the newest first.  An end can run Python code, which
 * can change the list, so each search begins anew. */
static PyObject *shared_revoke_children(Shared *self, PyObject *env)
{
    Transaction *txn = self->newest;

    while (txn) {
        if (txn->env == env && !txn->revoked) {
            Py_INCREF(txn);
            revoke_transaction(txn);
            Py_DECREF(txn);
            txn = self->newest;
        } else {
            txn = txn->older;
        }
    }
    Py_RETURN_NONE;
}

/* open_slot(address of the native transaction, txn or None, name, flags) */
static PyObject *shared_open_slot(Shared *self, PyObject *const *args, Py_ssize_t nargs)
{
    Transaction *txn = nargs == 4 && args[1] != Py_None ? (Transaction *)args[1] : NULL;
    Slot *slot;
    MDB_txn *ptr;
    unsigned long flags;
    int code;

    if (nargs != 4 || (txn && !PyObject_TypeCheck(args[1], self->state->transaction_type)) ||
        (args[2] != Py_None && !PyBytes_CheckExact(args[2])))
        return PyErr_Format(PyExc_TypeError,
                            "open_slot() takes an address, a transaction, a name, and flags");
    if (!(ptr = PyLong_AsVoidPtr(args[0])) ||
        ((flags = PyLong_AsUnsignedLong(args[3])) == (unsigned long)-1 && PyErr_Occurred()))
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "there is no address");
    code = open_slot(self, ptr, txn, args[2], (unsigned int)flags, &slot);
    return code ? fail_open_db(self, code, args[2]) : (PyObject *)slot;
}

static PyObject *shared_slot_named(Shared *self, PyObject *name)
{
    Slot *slot;

    if (!PyBytes_CheckExact(name))
        return PyErr_Format(PyExc_TypeError, "slot_named() takes a name");
    slot = slot_named(self, name);
    return Py_NewRef(slot ? (PyObject *)slot : Py_None);
}

static PyObject *shared_close_slots(Shared *self, PyObject *ignored)
{
    close_slots(self);
    Py_RETURN_NONE;
}

PyObject *shared_own_writer(Shared *self, PyObject *ignored)
{
    Transaction *txn = self->writer, *child;

    if (!txn || !txn->native.ptr || txn->revoked || txn->thread != current_thread() ||
        self->generation != pylmdb_generation)
        Py_RETURN_NONE;
    do {
        for (child = txn->children; child && (!child->write || child->revoked);)
            child = child->next_sibling;
        txn = child ? child : txn;
    } while (child);
    return Py_NewRef(txn);
}

static PyObject *shared_writer_open(Shared *self, void *ignored)
{
    return PyBool_FromLong(self->writer != NULL);
}

/* Closing sets "admitting" to 0 first, and needs the GIL for it.  So the environment stays open
 * while this reads. */
static PyObject *shared_last_commit(Shared *self, void *ignored)
{
    size_t number;

    if (!self->admitting || !self->pool || self->generation != pylmdb_generation ||
        !(number = self->engine->last_txnid(self->pool->env)))
        Py_RETURN_NONE;
    return PyLong_FromSize_t(number);
}

/* The lists of transactions need no visit: transactions own their environment's record, so there
 * are none when it ends.  The end of a transaction uses the fields, and the garbage collector can
 * end one after it has cleared this.  So there is no tp_clear: each cycle contains a slot, or what
 * an attribute refers to. */
static int shared_traverse(Shared *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->main);
    Py_VISIT(self->engine_object);
    Py_VISIT(self->slow);
    return visit_slots(self, visit, arg);
}

static void shared_dealloc(Shared *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    close_slots(self);
    Py_XDECREF(self->main);
    Py_XDECREF(self->free_pages);
    Py_XDECREF(self->engine_object);
    Py_XDECREF(self->slow);
    Py_XDECREF(self->dbi_lock);
    if (self->pool)
        self->engine->pool_release(self->pool);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef shared_methods[] = {
    {"attach", METHOD(shared_attach), METH_FASTCALL, DOC_SHAREDCORE_ATTACH},
    {"revoke_children", METHOD(shared_revoke_children), METH_O, DOC_SHAREDCORE_REVOKE_CHILDREN},
    {"free_idle", METHOD(shared_free_idle), METH_NOARGS, DOC_SHAREDCORE_FREE_IDLE},
    {"pinned", METHOD(shared_pinned), METH_NOARGS, DOC_SHAREDCORE_PINNED},
    {"open_slot", METHOD(shared_open_slot), METH_FASTCALL, DOC_SHAREDCORE_OPEN_SLOT},
    {"slot_named", METHOD(shared_slot_named), METH_O, DOC_SHAREDCORE_SLOT_NAMED},
    {"close_slots", METHOD(shared_close_slots), METH_NOARGS, DOC_SHAREDCORE_CLOSE_SLOTS},
    {"own_writer", METHOD(shared_own_writer), METH_NOARGS, DOC_SHAREDCORE_OWN_WRITER},
    {NULL, NULL, 0, NULL},
};

static PyObject *shared_left_behind(Shared *self, void *ignored)
{
    return PyBool_FromLong(is_left_behind(self));
}

static const TypedField lock_field = {offsetof(Shared, dbi_lock), offsetof(CoreState, lock_type),
                                      "dbi_lock", 0};

static PyGetSetDef shared_getset[] = {
    {"left_behind", (getter)shared_left_behind, NULL, DOC_SHAREDCORE_LEFT_BEHIND, NULL},
    {"writer_open", (getter)shared_writer_open, NULL, DOC_SHAREDCORE_WRITER_OPEN, NULL},
    {"last_commit", (getter)shared_last_commit, NULL, DOC_SHAREDCORE_LAST_COMMIT, NULL},
    TYPED(lock_field, PyDoc_STR("Held while handles are opened, dropped, or settled.")),
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef shared_members[] = {
    {"admitting", T_BOOL, offsetof(Shared, admitting), 0, NULL},
    {"replaced", T_BOOL, offsetof(Shared, replaced), 0, NULL},
    {"main", T_OBJECT, offsetof(Shared, main), READONLY, NULL},
    {"databases", T_PYSSIZET, offsetof(Shared, slots.databases), READONLY, NULL},
    {"max_dbs", T_PYSSIZET, offsetof(Shared, slots.max_dbs), 0, NULL},
    {"live", T_INT, offsetof(Shared, live), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot shared_slots[] = {
    {Py_tp_doc, (void *)DOC_SHAREDCORE},
    {Py_tp_traverse, shared_traverse},
    {Py_tp_dealloc, shared_dealloc},
    {Py_tp_methods, shared_methods},
    {Py_tp_getset, shared_getset},
    {Py_tp_members, shared_members},
    {0, NULL},
};

TYPE_SPEC(shared, "SharedCore", Shared, Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC);
