/* SPDX-License-Identifier: MIT */
/* Convert the arguments of a call: by name or position, without format strings, and keys and
 * values as bytes. */
#include "arguments.h"

static inline int take_positional(const Signature *signature, PyObject *const *args,
                                  Py_ssize_t nargs, PyObject **out)
{
    Py_ssize_t i;

    if (nargs > signature->positional) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %d positional arguments (%zd given)",
                     signature->function, signature->positional, nargs);
        return -1;
    }
    for (i = 0; i < nargs; i++)
        out[i] = args[i];
    for (; i < signature->count; i++)
        out[i] = NULL;
    return 0;
}

/* Return the index of the argument with this name; -1: there is none, -2: raised.  Names in
 * calls are interned, so they are compared by address first. */
static int find_keyword(CoreState *state, const Signature *signature, PyObject *name)
{
    int i, order;

    for (i = 0; i < signature->count; i++)
        if (name == state->names[signature->names[i]])
            return i;
    for (i = 0; i < signature->count && PyUnicode_Check(name); i++) {
        order = PyUnicode_Compare(name, state->names[signature->names[i]]);
        if (order == -1 && PyErr_Occurred())
            return -2;
        if (!order)
            return i;
    }
    return -1;
}

/* The message says which argument was probably meant. */
static int refuse_keyword(CoreState *state, const Signature *signature, PyObject *name)
{
    PyObject *known = PyTuple_New(signature->count), *module, *made = NULL;
    int i;

    if (!known)
        return -1;
    for (i = 0; i < signature->count; i++)
        PyTuple_SET_ITEM(known, i, Py_NewRef(state->names[signature->names[i]]));
    module = PyImport_ImportModule("pylmdb._base.keywords");
    if (module)
        made = PyObject_CallMethod(module, "unexpected", "sOO", signature->function, name, known);
    Py_DECREF(known);
    Py_XDECREF(module);
    return raise_refusal(made);
}

static int set_keyword(CoreState *state, const Signature *signature, PyObject *name,
                       PyObject *value, PyObject **out)
{
    const int i = find_keyword(state, signature, name);

    if (i < -1)
        return -1;
    if (i < 0)
        return refuse_keyword(state, signature, name);
    if (out[i]) {
        PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%U'",
                     signature->function, name);
        return -1;
    }
    out[i] = value;
    return 0;
}

static int check_required(CoreState *state, const Signature *signature, PyObject **out)
{
    int i;

    for (i = 0; i < signature->required; i++)
        if (!out[i]) {
            PyErr_Format(PyExc_TypeError, "%s() missing required argument: '%U'",
                         signature->function, state->names[signature->names[i]]);
            return -1;
        }
    return 0;
}

int parse_arguments_slow(CoreState *state, const Signature *signature, PyObject *const *args,
                         Py_ssize_t nargs, PyObject *kwnames, PyObject **out)
{
    Py_ssize_t i, keywords = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;

    if (take_positional(signature, args, nargs, out))
        return -1;
    for (i = 0; i < keywords; i++)
        if (set_keyword(state, signature, PyTuple_GET_ITEM(kwnames, i), args[nargs + i], out))
            return -1;
    return check_required(state, signature, out);
}

int parse_call(CoreState *state, const Signature *signature, PyObject *args, PyObject *kwargs,
               PyObject **out)
{
    PyObject *const *items = ((PyTupleObject *)args)->ob_item;
    PyObject *name, *value;
    Py_ssize_t position = 0;

    if (take_positional(signature, items, PyTuple_GET_SIZE(args), out))
        return -1;
    while (kwargs && PyDict_Next(kwargs, &position, &name, &value))
        if (set_keyword(state, signature, name, value, out))
            return -1;
    return check_required(state, signature, out);
}

int refuse_bytes(const char *name, PyObject *object)
{
    if (PyUnicode_Check(object))
        PyErr_Format(PyExc_TypeError, "%s must be bytes, not str; use %s.encode()", name, name);
    else
        PyErr_Format(PyExc_TypeError, "%s must be bytes or another buffer, not %.100s", name,
                     Py_TYPE(object)->tp_name);
    return -1;
}

int get_bytes_slow(const char *name, PyObject *object, Bytes *out)
{
    if (get_strided(name, object, out))
        return -1;
    return out->data ? 0 : join_strided(out);
}

void drop_bytes_slow(Bytes *bytes)
{
    if (bytes->view.obj)
        PyBuffer_Release(&bytes->view);
    Py_CLEAR(bytes->owner);
}

/* -- buffers that are not contiguous ----------------------------------------------
 * For example slices with a step and transposed arrays.  Their bytes are those of a C-contiguous
 * array of the same items. */

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
