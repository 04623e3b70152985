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

/* (address, size, function to call at the end) */
PyObject *memory_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *base, *on_end;
    Py_ssize_t size;
    Memory *self;
    void *address;

    if (kwargs && PyDict_GET_SIZE(kwargs))
        return PyErr_Format(PyExc_TypeError, "%s takes no keywords", type->tp_name);
    if (!PyArg_ParseTuple(args, "O!nO", &PyLong_Type, &base, &size, &on_end))
        return NULL;
    address = PyLong_AsVoidPtr(base);
    if (!address && PyErr_Occurred())
        return NULL;
    if (!(self = (Memory *)type->tp_alloc(type, 0)))
        return NULL;
    self->base = address;
    self->size = size;
    self->on_end = Py_NewRef(on_end);
    return (PyObject *)self;
}

void end_memory(Memory *self)
{
    PyObject *on_end = self->on_end, *result, *kind, *value, *traceback;

    if (!on_end)
        return;
    self->on_end = NULL;
    PyErr_Fetch(&kind, &value, &traceback);
    result = PyObject_CallNoArgs(on_end);
    if (result)
        Py_DECREF(result);
    else
        PyErr_WriteUnraisable(on_end);
    Py_DECREF(on_end);
    PyErr_Restore(kind, value, traceback);
}

static void exporter_dealloc(Exporter *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject *kind, *value, *traceback;

    end_memory(&self->memory);
    PyErr_Fetch(&kind, &value, &traceback);
    let_go(self);
    PyErr_Restore(kind, value, traceback);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static int exporter_getbuffer(Exporter *self, Py_buffer *view, int flags)
{
    return PyBuffer_FillInfo(view, (PyObject *)self, self->memory.base, self->memory.size, 1,
                             flags);
}

PyDoc_STRVAR(exporter_doc,
             "Exporter(address, size, on_last_view, /)\n--\n\n"
             "Exports size bytes of memory, read-only; calls on_last_view() when it dies.");

static PyType_Slot exporter_slots[] = {
    {Py_tp_doc, (void *)exporter_doc},
    {Py_tp_new, memory_new},
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
