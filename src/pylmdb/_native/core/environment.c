/* SPDX-License-Identifier: MIT */
/* EnvironmentCore: the base of Environment, with the methods that are called often. */
#include "arguments.h"
#include "core_docs.h"
#include "guard.h"

#include <string.h>

static PyObject *environment_begin(EnvironmentCore *self, PyObject *const *args, Py_ssize_t nargs,
                                   PyObject *kwnames)
{
    PyObject *shared = self->shared, *result = NULL;

    if (LIKELY(usable_shared(self) != NULL)) {
        Py_INCREF(shared); /* the arguments may close the environment */
        result = begin_for((Shared *)shared, (PyObject *)self, args, nargs, kwnames);
        Py_DECREF(shared);
        return result;
    }
    /* Closed, inherited over fork, or replaced. */
    if (!(shared = PyObject_CallMethod((PyObject *)self, "_use", NULL)))
        return NULL;
    if (shared == self->shared)
        result = begin_for((Shared *)shared, (PyObject *)self, args, nargs, kwnames);
    Py_DECREF(shared);
    return result;
}

/* -- open_db() ------------------------------------------------------------------ */

/* open_slot() if its lock is free; PYLMDB_NOT_QUICK: Python must do it. */
static int open_unless_locked(Shared *shared, MDB_txn *ptr, Transaction *txn, PyObject *name,
                              unsigned int flags, Slot **out)
{
    HandleLock *lock = try_lock_handles(shared);
    int code;

    if (!lock)
        return PYLMDB_NOT_QUICK;
    code = open_slot(shared, ptr, txn, name, flags, out);
    unlock_handles(lock);
    return code;
}

/* The same in a transaction. */
static int open_in_transaction(Shared *shared, Transaction *txn, PyObject *name, unsigned int flags,
                               Slot **out)
{
    int code;

    if (txn->shared != shared || !is_usable(txn))
        return PYLMDB_NOT_QUICK;
    Py_INCREF(txn);
    enter_operation(txn);
    code = open_unless_locked(shared, txn->native.ptr, txn, name, flags, out);
    leave_operation(txn);
    Py_DECREF(txn);
    return code;
}

/* The same in a new read transaction, for which no object is made. */
static int open_in_snapshot(Shared *shared, PyObject *name, Slot **out)
{
    struct pylmdb_txn native = {NULL, NULL, 0, 0};
    int code;

    if (!shared->admitting || !(shared->engine->features & PYLMDB_LASTING_HANDLES) ||
        begin_quick(shared, &native))
        return PYLMDB_NOT_QUICK;
    code = open_unless_locked(shared, native.ptr, NULL, name, 0, out);
    end_reader(shared, &native);
    return code && code != RAISED ? PYLMDB_NOT_QUICK : code;
}

static int is_false(PyObject *flag)
{
    return !flag || flag == Py_False;
}

/* Open a database without flags that is open already, or that exists, or that is made in a write
 * transaction of this thread: 0, a code, or RAISED.  PYLMDB_NOT_QUICK: Python must do it. */
static int open_quickly(EnvironmentCore *self, PyObject *const *given, Slot **out)
{
    PyObject *name = given[0], *txn = given[1] == Py_None ? NULL : given[1], *own;
    Shared *shared = usable_shared(self);
    const int create = !given[4] || given[4] == Py_True;
    int code;

    if (!shared || !name || !PyBytes_CheckExact(name) ||
        strlen(PyBytes_AS_STRING(name)) != (size_t)PyBytes_GET_SIZE(name) || !is_false(given[2]) ||
        !is_false(given[3]) || !(create || given[4] == Py_False) || !is_false(given[5]) ||
        !is_false(given[6]) || !is_false(given[7]))
        return PYLMDB_NOT_QUICK;
    if (txn)
        return PyObject_TypeCheck(txn, shared->state->transaction_type)
                   ? open_in_transaction(shared, (Transaction *)txn, name, create ? MDB_CREATE : 0,
                                         out)
                   : PYLMDB_NOT_QUICK;
    if ((*out = slot_named(shared, name)) && !(*out)->native.pending && !(*out)->native.doubted)
        return Py_INCREF(*out), 0;
    if (!(own = shared_own_writer(shared, NULL)))
        return RAISED;
    code = own != Py_None
               ? open_in_transaction(shared, (Transaction *)own, name, create ? MDB_CREATE : 0, out)
               : open_in_snapshot(shared, name, out);
    Py_DECREF(own);
    return code;
}

static PyObject *environment_open_db(EnvironmentCore *self, PyObject *const *args, Py_ssize_t nargs,
                                     PyObject *kwnames)
{
    static const Signature signature = {"open_db",
                                        0,
                                        8,
                                        8,
                                        {ARG_KEY, ARG_TXN, ARG_REVERSE_KEY, ARG_DUPSORT, ARG_CREATE,
                                         ARG_INTEGERKEY, ARG_INTEGERDUP, ARG_DUPFIXED}};
    CoreState *state = state_of(Py_TYPE(self));
    PyObject *given[8], *result, *shared, *method;
    Slot *slot;
    int code;

    if (!state || parse_arguments(state, &signature, args, nargs, kwnames, given))
        return NULL;
    shared = Py_XNewRef(self->shared); /* Python code that runs meanwhile may close it */
    code = open_quickly(self, given, &slot);
    if (code == PYLMDB_NOT_QUICK || code == MDB_NOTFOUND) {
        Py_XDECREF(shared);
        method = PyObject_GetAttr((PyObject *)self, state->open_db);
        result = method ? PyObject_Vectorcall(method, args, (size_t)nargs, kwnames) : NULL;
        Py_XDECREF(method);
        return result;
    }
    if (code) {
        result = fail_open_db((Shared *)shared, code, given[0]);
    } else {
        result = handle_of(state, (PyObject *)self, given[0], slot);
        Py_DECREF(slot);
    }
    Py_XDECREF(shared);
    return result;
}

/* _handle(name, slot) */
static PyObject *environment_handle(EnvironmentCore *self, PyObject *const *args, Py_ssize_t nargs)
{
    CoreState *state = state_of(Py_TYPE(self));

    if (!state)
        return NULL;
    if (nargs != 2 || !PyObject_TypeCheck(args[1], state->slot_type))
        return PyErr_Format(PyExc_TypeError, "_handle() takes a name and a DbSlot");
    return handle_of(state, (PyObject *)self, args[0], (Slot *)args[1]);
}

static int environment_traverse(EnvironmentCore *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->shared);
    return 0;
}

static int environment_clear(EnvironmentCore *self)
{
    Py_CLEAR(self->shared);
    return 0;
}

static void environment_dealloc(EnvironmentCore *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    if (self->weakrefs)
        PyObject_ClearWeakRefs((PyObject *)self);
    environment_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef environment_methods[] = {
    {"begin", METHOD(environment_begin), KEYWORDS, DOC_ENVIRONMENT_BEGIN},
    {"stat", METHOD(environment_stat), METH_NOARGS, DOC_ENVIRONMENT_STAT},
    {"info", METHOD(environment_info), METH_NOARGS, DOC_ENVIRONMENT_INFO},
    {"max_key_size", METHOD(environment_max_key_size), METH_NOARGS, DOC_ENVIRONMENT_MAX_KEY_SIZE},
    {"max_readers", METHOD(environment_max_readers), METH_NOARGS, DOC_ENVIRONMENT_MAX_READERS},
    {"open_db", METHOD(environment_open_db), KEYWORDS, DOC_ENVIRONMENT_OPEN_DB},
    {"_handle", METHOD(environment_handle), METH_FASTCALL, DOC_ENVIRONMENTCORE__HANDLE},
    {NULL, NULL, 0, NULL},
};

static const TypedField shared_field = {offsetof(EnvironmentCore, shared),
                                        offsetof(CoreState, shared_type), "_shared", 1};

static PyGetSetDef environment_getset[] = {
    TYPED(shared_field, NULL),
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef environment_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(EnvironmentCore, weakrefs), READONLY, NULL},
    {"_readonly", T_BOOL, offsetof(EnvironmentCore, readonly), 0, NULL},
    {"_sync", T_BOOL, offsetof(EnvironmentCore, sync), 0, NULL},
    {"_metasync", T_BOOL, offsetof(EnvironmentCore, metasync), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot environment_slots[] = {
    {Py_tp_doc, (void *)DOC_ENVIRONMENTCORE}, {Py_tp_traverse, environment_traverse},
    {Py_tp_clear, environment_clear},         {Py_tp_dealloc, environment_dealloc},
    {Py_tp_methods, environment_methods},     {Py_tp_getset, environment_getset},
    {Py_tp_members, environment_members},     {0, NULL},
};

TYPE_SPEC(environment, "EnvironmentCore", EnvironmentCore,
          Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC);
