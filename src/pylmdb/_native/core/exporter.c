/* SPDX-License-Identifier: MIT */
/* The object behind the views of one read transaction.
 *
 * It exports the memory map, read-only, and when it dies it ends what it keeps:
 * that is when the last memoryview, slice, cast or array that leads to it is
 * gone.  It has no other way to its memory, so nothing that holds a view can
 * write through it, and it hashes by identity, so views can be hashed.
 *
 * In the C core it owns a native transaction, once the Transaction has ended; for
 * the cffi core it calls a function.  Neither leads back to the exporter, so there
 * is no cycle and the type needs no part in garbage collection.
 */
#include "core.h"

static PyObject *exporter_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *base, *on_last_view;
    Py_ssize_t size;
    Exporter *self;
    void *address;

    if (kwargs && PyDict_GET_SIZE(kwargs)) {
        PyErr_SetString(PyExc_TypeError, "Exporter takes no keywords");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "O!nO", &PyLong_Type, &base, &size, &on_last_view))
        return NULL;
    address = PyLong_AsVoidPtr(base);
    if (!address && PyErr_Occurred())
        return NULL;
    if (!(self = (Exporter *)type->tp_alloc(type, 0)))
        return NULL;
    self->base = address;
    self->size = size;
    self->on_last_view = Py_NewRef(on_last_view);
    return (PyObject *)self;
}

static void exporter_dealloc(Exporter *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject *result, *kind, *value, *traceback;

    PyErr_Fetch(&kind, &value, &traceback);
    if (self->on_last_view) {
        result = PyObject_CallNoArgs(self->on_last_view);
        if (result)
            Py_DECREF(result);
        else
            PyErr_WriteUnraisable(self->on_last_view);
        Py_CLEAR(self->on_last_view);
    }
    let_go(self);
    PyErr_Restore(kind, value, traceback);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static int exporter_getbuffer(Exporter *self, Py_buffer *view, int flags)
{
    return PyBuffer_FillInfo(view, (PyObject *)self, self->base, self->size, 1, flags);
}

PyDoc_STRVAR(exporter_doc,
"Exporter(address, size, on_last_view, /)\n--\n\n"
"Exports size bytes of memory, read-only; calls on_last_view() when it dies.");

static PyType_Slot exporter_slots[] = {
    {Py_tp_doc, (void *)exporter_doc},
    {Py_tp_new, exporter_new},
    {Py_tp_dealloc, exporter_dealloc},
    {Py_bf_getbuffer, exporter_getbuffer},
    {0, NULL},
};

PyType_Spec exporter_spec = {
    .name = "pylmdb._core.Exporter",
    .basicsize = sizeof(Exporter),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = exporter_slots,
};
