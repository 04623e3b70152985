/* SPDX-License-Identifier: MIT */
/* DatabaseCore: the base of Database, a handle of one Environment to a database.
 *
 * Each slot has a list of the handles to it, so that open_db() finds a handle that is alive.  The
 * list owns nothing: a handle leaves it before anything else when it is freed. */
#include "core.h"
#include "core_docs.h"

static void leave_slot(Database *self)
{
    if (!self->slot)
        return;
    if (self->previous)
        self->previous->next = self->next;
    else
        self->slot->handles = self->next;
    if (self->next)
        self->next->previous = self->previous;
    self->next = self->previous = NULL;
}

/* Takes the reference to slot, which may be NULL. */
static void move_to_slot(Database *self, Slot *slot)
{
    Slot *before = self->slot;

    leave_slot(self);
    self->slot = slot;
    if (slot) {
        self->next = slot->handles;
        if (self->next)
            self->next->previous = self;
        slot->handles = self;
    }
    Py_XDECREF(before);
}

static PyObject *known_handle(PyTypeObject *class, PyObject *env, Slot *slot)
{
    Database *handle;

    for (handle = slot->handles; handle; handle = handle->next)
        if (handle->env == env && Py_IS_TYPE(handle, class))
            return Py_NewRef((PyObject *)handle);
    return NULL;
}

PyObject *handle_of(CoreState *state, PyObject *env, PyObject *name, Slot *slot)
{
    PyTypeObject *class = (PyTypeObject *)state->database_class;
    PyObject *known = known_handle(class, env, slot);
    Database *made;

    if (known)
        return known;
    if (!(made = (Database *)class->tp_alloc(class, 0)))
        return NULL;
    /* up to Python 3.11, making an object can run Python code, which may open the database */
    if ((known = known_handle(class, env, slot))) {
        Py_DECREF(made);
        return known;
    }
    made->env = Py_NewRef(env);
    made->name = Py_NewRef(name);
    move_to_slot(made, (Slot *)Py_NewRef((PyObject *)slot));
    return (PyObject *)made;
}

static PyObject *database_get_slot(Database *self, void *ignored)
{
    return Py_NewRef(self->slot ? (PyObject *)self->slot : Py_None);
}

static int database_set_slot(Database *self, PyObject *slot, void *ignored)
{
    CoreState *state = state_of(Py_TYPE(self));

    if (!state)
        return -1;
    if (!slot || (slot != Py_None && !PyObject_TypeCheck(slot, state->slot_type))) {
        PyErr_SetString(PyExc_TypeError, "_slot must be a DbSlot or None");
        return -1;
    }
    move_to_slot(self, slot == Py_None ? NULL : (Slot *)Py_NewRef(slot));
    return 0;
}

/* There is no tp_clear: every cycle leads through an Environment, a native environment or a
 * subclass, which have one. */
static int database_traverse(Database *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->env);
    Py_VISIT(self->slot);
    return 0;
}

static void database_dealloc(Database *self)
{
    PyTypeObject *type = Py_TYPE(self);

    if (finalize((PyObject *)self))
        return;
    PyObject_GC_UnTrack(self);
    leave_slot(self);
    if (self->weakrefs)
        PyObject_ClearWeakRefs((PyObject *)self);
    Py_XDECREF(self->slot);
    Py_XDECREF(self->env);
    Py_XDECREF(self->name);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyGetSetDef database_getset[] = {
    {"_slot", (getter)database_get_slot, (setter)database_set_slot, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef database_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Database, weakrefs), READONLY, NULL},
    {"_env", T_OBJECT, offsetof(Database, env), 0, NULL},
    {"_name", T_OBJECT, offsetof(Database, name), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot database_slots[] = {
    {Py_tp_doc, (void *)DOC_DATABASECORE}, {Py_tp_traverse, database_traverse},
    {Py_tp_dealloc, database_dealloc},     {Py_tp_getset, database_getset},
    {Py_tp_members, database_members},     {0, NULL},
};

TYPE_SPEC(database, "DatabaseCore", Database, Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC);
