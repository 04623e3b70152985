/* SPDX-License-Identifier: MIT */
/* Buffers that are not contiguous: slices with a step, transposed arrays.  Their bytes
 * are those of a C-contiguous array of the same items. */
#include "core.h"

/* The same as get_bytes_slow(), but a buffer that is not contiguous stays as it is: then
 * there is no data. */
int get_strided(const char *name, PyObject *object, Bytes *out)
{
    out->owner = NULL;
    if (!PyObject_CheckBuffer(object))
        return refuse_bytes(name, object);
    if (PyObject_GetBuffer(object, &out->view, PyBUF_SIMPLE)) {
        if (!PyErr_ExceptionMatches(PyExc_BufferError) && !PyErr_ExceptionMatches(PyExc_ValueError))
            return -1;
        PyErr_Clear();
        if (PyObject_GetBuffer(object, &out->view, PyBUF_FULL_RO))
            return -1;
        out->data = NULL;
    } else {
        out->data = out->view.buf ? out->view.buf : "";
    }
    out->owner = Py_NewRef(object);
    out->size = (size_t)out->view.len;
    return 0;
}

void copy_strided(char *out, const Bytes *bytes)
{
    const Py_buffer *view = &bytes->view;

    pylmdb_copy_strided(out, view->buf, view->ndim, view->shape, view->strides,
                        (size_t)view->itemsize);
}

PyObject *joined_strided(const Bytes *bytes)
{
    PyObject *joined = PyBytes_FromStringAndSize(NULL, bytes->view.len);
    Py_buffer *view = (Py_buffer *)&bytes->view; /* not const to Python 3.10 */

    if (joined && !view->suboffsets)
        copy_strided(PyBytes_AS_STRING(joined), bytes);
    else if (joined && PyBuffer_ToContiguous(PyBytes_AS_STRING(joined), view, view->len, 'C'))
        Py_CLEAR(joined);
    return joined;
}

int join_strided(Bytes *bytes)
{
    PyObject *joined = joined_strided(bytes);

    PyBuffer_Release(&bytes->view);
    Py_XSETREF(bytes->owner, joined);
    if (!joined)
        return -1;
    bytes->data = PyBytes_AS_STRING(joined);
    bytes->size = (size_t)PyBytes_GET_SIZE(joined);
    return 0;
}
