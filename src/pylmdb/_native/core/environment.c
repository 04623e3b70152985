/* SPDX-License-Identifier: MIT */
/* EnvironmentCore: the base of Environment, for begin() alone.
 *
 * There is one Environment class and one module like this per engine.  So the
 * native environment, which is its engine's, brings the function that begins a
 * transaction on it, in a capsule. */
#include "core.h"

#define CAPSULE "pylmdb.begin"


static PyObject *environment_begin(EnvironmentCore *self, PyObject *const *args,
                                   Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *shared, *begin, *result = NULL;

    if (LIKELY(self->begin && ((Shared *)self->shared)->generation == pylmdb_generation)) {
        shared = Py_NewRef(self->shared); /* the arguments may close the environment */
        result = self->begin((Shared *)shared, (PyObject *)self, args, nargs, kwnames);
        Py_DECREF(shared);
        return result;
    }
    /* Closed, inherited over fork, or of the cffi core. */
    if (!(shared = PyObject_CallMethod((PyObject *)self, "_use", NULL)))
        return NULL;
    if (self->begin && shared == self->shared) {
        result = self->begin((Shared *)shared, (PyObject *)self, args, nargs, kwnames);
    } else if ((begin = PyObject_GetAttrString(shared, "begin"))) {
        PyObject *bound = PyMethod_New(begin, (PyObject *)self);

        if (bound)
            result = PyObject_Vectorcall(bound, args, (size_t)nargs, kwnames);
        Py_XDECREF(bound);
        Py_DECREF(begin);
    }
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
    PyObject *capsule = NULL;
    BeginFunction *begin = NULL;

    (void)ignored;
    if (value && value != Py_None) {
        capsule = PyObject_GetAttrString(value, "_begin_capsule");
        if (capsule && PyCapsule_IsValid(capsule, CAPSULE))
            *(void **)&begin = PyCapsule_GetPointer(capsule, CAPSULE);
        Py_XDECREF(capsule);
        if (!capsule && !PyErr_ExceptionMatches(PyExc_AttributeError))
            return -1;
        PyErr_Clear(); /* the cffi core has none */
    } else {
        value = NULL;
    }
    self->begin = begin;
    Py_XSETREF(self->shared, Py_XNewRef(value));
    return 0;
}

PyObject *begin_capsule(PyObject *self, void *ignored)
{
    BeginFunction *begin = begin_for;

    (void)self;
    (void)ignored;
    return PyCapsule_New(*(void **)&begin, CAPSULE, NULL);
}

static int environment_traverse(EnvironmentCore *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->shared);
    return 0;
}

static int environment_clear(EnvironmentCore *self)
{
    self->begin = NULL;
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
