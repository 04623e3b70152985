/* SPDX-License-Identifier: MIT */
/* DbSlot: a native database handle.  It dies once and is never revived. */
#include "core.h"

static int slot_init(Slot *self, PyObject *args, PyObject *kwargs)
{
    PyObject *shared, *name;
    unsigned int dbi, flags;

    if (kwargs && PyDict_GET_SIZE(kwargs)) {
        PyErr_SetString(PyExc_TypeError, "DbSlot takes no keywords");
        return -1;
    }
    if (!PyArg_ParseTuple(args, "OIIO", &shared, &dbi, &flags, &name))
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
    (void)ignored;
    self->alive = 0;
    Py_RETURN_NONE;
}

static PyMethodDef slot_methods[] = {
    {"kill", METHOD(slot_kill), METH_NOARGS,
     PyDoc_STR("kill($self)\n--\n\nMake every handle on this slot useless for good.")},
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

PyDoc_STRVAR(slot_doc,
"DbSlot(shared, dbi, flags, name, /)\n--\n\n"
"A native database handle (MDB_dbi).  It dies once and is never revived.");

static PyType_Slot slot_slots[] = {
    {Py_tp_doc, (void *)slot_doc},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, slot_init},
    {Py_tp_traverse, slot_traverse},
    {Py_tp_clear, slot_clear},
    {Py_tp_dealloc, slot_dealloc},
    {Py_tp_methods, slot_methods},
    {Py_tp_members, slot_members},
    {0, NULL},
};

PyType_Spec slot_spec = {
    .name = "pylmdb._core.DbSlot",
    .basicsize = sizeof(Slot),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slot_slots,
};
