/* SPDX-License-Identifier: MIT */
/* EnvironmentCore: the base of Environment, with what is called often. */
#include "core.h"

static PyObject *environment_begin(EnvironmentCore *self, PyObject *const *args,
                                   Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *shared = self->shared, *result = NULL;

    if (LIKELY(shared && ((Shared *)shared)->generation == pylmdb_generation &&
               !((Shared *)shared)->replaced)) {
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

static PyObject *environment_get_shared(EnvironmentCore *self, void *ignored)
{
    (void)ignored;
    return Py_NewRef(self->shared ? self->shared : Py_None);
}

static int environment_set_shared(EnvironmentCore *self, PyObject *value, void *ignored)
{
    CoreState *state = state_of(Py_TYPE(self));

    (void)ignored;
    if (!state)
        return -1;
    if (value == Py_None)
        value = NULL;
    if (value && !PyObject_TypeCheck(value, state->shared_type)) {
        PyErr_SetString(PyExc_TypeError, "_shared must be a SharedCore");
        return -1;
    }
    Py_XSETREF(self->shared, Py_XNewRef(value));
    return 0;
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
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef environment_getset[] = {
    {"_shared", (getter)environment_get_shared, (setter)environment_set_shared, NULL, NULL},
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
    {Py_tp_doc, (void *)PyDoc_STR("The base of Environment.")},
    {Py_tp_traverse, environment_traverse},
    {Py_tp_clear, environment_clear},
    {Py_tp_dealloc, environment_dealloc},
    {Py_tp_methods, environment_methods},
    {Py_tp_getset, environment_getset},
    {Py_tp_members, environment_members},
    {0, NULL},
};

PyType_Spec environment_spec = {
    .name = "pylmdb._core.EnvironmentCore",
    .basicsize = sizeof(EnvironmentCore),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = environment_slots,
};
