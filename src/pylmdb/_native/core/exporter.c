/* SPDX-License-Identifier: MIT */
/* Objects that export memory: a snapshot for reading, a page for writing.
 * An exporter exports the memory map, read-only, to the views of one read transaction.  It is
 * deallocated with the last memoryview, slice, cast or array that refers to it; then it ends the
 * native transaction.  It never exports writable memory, so no program can write through a view.
 * It hashes by identity, so views can be hashed.
 * In the C core it owns a native transaction, once the Transaction has ended; for the cffi core
 * it calls a function.  Neither refers to the exporter, so there is no cycle, and the type does
 * not take part in garbage collection.
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
    unpin_snapshot(self);
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

TYPE_SPEC(exporter, "Exporter", Exporter, 0);

/* -- memory that is lent for writing ------------------------------------------------
 * A lease calls on_end when its memory is no longer used: after close(), when the last
 * memoryview, slice or array that refers to it is gone.  Until then the transaction keeps the
 * memory as it is.  on_end refers to the transaction, which can refer to a memoryview, so the
 * garbage collector must see it. */

typedef struct {
    Memory memory;
    Py_ssize_t exports;
    char closed;
} Lease;

static void lease_dealloc(Lease *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    end_memory(&self->memory);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

/* There is no tp_clear: every cycle contains a memoryview, which has one. */
static int lease_traverse(Lease *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->memory.on_end);
    return 0;
}

static int lease_getbuffer(Lease *self, Py_buffer *view, int flags)
{
    if (self->closed) {
        PyErr_SetString(PyExc_BufferError, "the reserved memory was given back");
        return -1;
    }
    if (PyBuffer_FillInfo(view, (PyObject *)self, self->memory.base, self->memory.size, 0, flags))
        return -1;
    self->exports++;
    return 0;
}

static void lease_releasebuffer(Lease *self, Py_buffer *view)
{
    if (!--self->exports && self->closed)
        end_memory(&self->memory);
}

static PyObject *lease_close(Lease *self, PyObject *ignored)
{
    self->closed = 1;
    if (!self->exports)
        end_memory(&self->memory);
    return PyBool_FromLong(!self->exports);
}

static PyMethodDef lease_methods[] = {
    {"close", METHOD(lease_close), METH_NOARGS,
     PyDoc_STR("close($self, /)\n--\n\n"
               "No more buffers; False if the memory is still in use, and ends later.")},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(lease_doc,
             "Lease(address, size, on_end, /)\n--\n\n"
             "Exports size bytes of memory for writing; calls on_end() when they are given back.");

static PyType_Slot lease_slots[] = {
    {Py_tp_doc, (void *)lease_doc},
    {Py_tp_new, memory_new},
    {Py_tp_dealloc, lease_dealloc},
    {Py_tp_traverse, lease_traverse},
    {Py_tp_methods, lease_methods},
    {Py_bf_getbuffer, lease_getbuffer},
    {Py_bf_releasebuffer, lease_releasebuffer},
    {0, NULL},
};

TYPE_SPEC(lease, "Lease", Lease, Py_TPFLAGS_HAVE_GC);
