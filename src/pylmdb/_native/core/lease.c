/* SPDX-License-Identifier: MIT */
/* Memory that is lent for writing, for as long as it is good.
 *
 * It says when it is given back: after close(), when the last memoryview, slice or array
 * that leads to it is gone.  Until then its lender keeps it as it is.  The lender is what
 * on_end leads to, and can lead back to a memoryview: the collector has to see that. */
#include "core.h"

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

/* There is no tp_clear: every cycle leads through a memoryview, and some object that holds
 * it, which have one. */
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
    (void)view;
    if (!--self->exports && self->closed)
        end_memory(&self->memory);
}

static PyObject *lease_close(Lease *self, PyObject *ignored)
{
    (void)ignored;
    self->closed = 1;
    if (!self->exports)
        end_memory(&self->memory);
    return PyBool_FromLong(!self->exports);
}

/* -- the lender ---------------------------------------------------------------------- */

/* Inside _do: from now on memory of a page is lent. */
PyObject *transaction_begin_reservation(Transaction *self, PyObject *ignored)
{
    (void)ignored;
    hold(self);
    self->top->reserved = 1;
    Py_RETURN_NONE;
}

PyObject *transaction_end_reservation(Transaction *self, PyObject *ignored)
{
    (void)ignored;
    if (self->top && self->top->reserved) {
        self->top->reserved = 0;
        release(self);
    }
    Py_RETURN_NONE;
}

/* -- the type ------------------------------------------------------------------------ */

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

PyType_Spec lease_spec = {
    .name = "pylmdb._core.Lease",
    .basicsize = sizeof(Lease),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = lease_slots,
};
