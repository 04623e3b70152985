/* SPDX-License-Identifier: MIT */
/* get_array(): values in .npy format as arrays that are views into the map.
 * Python parses headers (arrays/npy.py).  A database has few different ones, so the results are
 * kept, as tuples: header, size of the data, shape, dtype, order, the class of arrays, and numpy's
 * table of functions.  With one of them, an array is made in one call, with the view of the whole
 * map as its memory. */
#include "values.h"

#include <string.h>

enum { HEADER, SIZE, SHAPE, DTYPE, ORDER, CLASS, TABLE };

/* Return the kept result for the header of a value that has all its data; borrowed. */
static PyObject *find_form(CoreState *state, const char *data, size_t size)
{
    int i;

    for (i = 0; i < FORMS && state->forms[i]; i++) {
        PyObject *form = state->forms[i], *header = PyTuple_GET_ITEM(form, HEADER);
        const size_t length = (size_t)PyBytes_GET_SIZE(header);

        if (length > size || memcmp(PyBytes_AS_STRING(header), data, length) ||
            size - length < PyLong_AsSize_t(PyTuple_GET_ITEM(form, SIZE)))
            continue;
        state->forms[i] = state->forms[0];
        state->forms[0] = form;
        return form;
    }
    return NULL;
}

/* Let Python parse the header; it raises if the value is not an array.  The new result replaces
 * the one that was not used for longest. */
static PyObject *learn_form(CoreState *state, PyObject *slow, PyObject *view)
{
    PyObject *form = PyObject_CallMethod(slow, "array_form", "O", view), *oldest;

    if (!form)
        return NULL;
    oldest = state->forms[FORMS - 1];
    memmove(state->forms + 1, state->forms, (FORMS - 1) * sizeof(*state->forms));
    state->forms[0] = Py_NewRef(form);
    Py_XDECREF(oldest);
    return form;
}

/* -- numpy's own interface ---------------------------------------------------------
 * Compiled modules that use numpy find its functions in a table, whose order is fixed for a
 * version of the interface; there have been two versions.  With another version, or without a
 * table, arrays are made by calling their class. */

enum { VERSION = 0, ARRAY_TYPE = 2, NEW_FROM_DESCR = 94, SET_BASE_OBJECT = 282 };
enum { FORTRAN = 2, MOST_DIMENSIONS = 32 };

typedef unsigned int GetVersion(void);
typedef PyObject *NewFromDescr(PyTypeObject *type, PyObject *descr, int ndim,
                               const Py_ssize_t *shape, const Py_ssize_t *strides, void *data,
                               int flags, PyObject *like);
typedef int SetBaseObject(PyObject *array, PyObject *base);

static void **numpy_table(PyObject *capsule)
{
    void **table = NULL;
    GetVersion *version;

    if (PyCapsule_IsValid(capsule, NULL))
        table = PyCapsule_GetPointer(capsule, NULL);
    if (!table)
        return NULL;
    memcpy(&version, &table[VERSION], sizeof(version));
    return version() == 0x01000009 || version() == 0x02000000 ? table : NULL;
}

/* Both functions of numpy steal a reference. */
static PyObject *make_quickly(void **table, PyObject *form, PyObject *memory, const char *data)
{
    PyObject *shape = PyTuple_GET_ITEM(form, SHAPE), *array;
    const int ndim = (int)PyTuple_GET_SIZE(shape);
    const int fortran = PyUnicode_READ_CHAR(PyTuple_GET_ITEM(form, ORDER), 0) == 'F';
    Py_ssize_t lengths[MOST_DIMENSIONS];
    SetBaseObject *set_base;
    NewFromDescr *new_array;
    int i;

    memcpy(&new_array, &table[NEW_FROM_DESCR], sizeof(new_array));
    memcpy(&set_base, &table[SET_BASE_OBJECT], sizeof(set_base));
    for (i = 0; i < ndim; i++)
        lengths[i] = PyLong_AsSsize_t(PyTuple_GET_ITEM(shape, i));
    array = new_array(table[ARRAY_TYPE], Py_NewRef(PyTuple_GET_ITEM(form, DTYPE)), ndim, lengths,
                      NULL, (void *)data, fortran ? FORTRAN : 0, NULL);
    if (array && set_base(array, Py_NewRef(memory)))
        Py_CLEAR(array);
    return array;
}

/* -- arrays ------------------------------------------------------------------------- */

static PyObject *make_array(PyObject *form, PyObject *memory, const char *data)
{
    const char *start = PyMemoryView_GET_BUFFER(memory)->buf;
    const Py_ssize_t length = PyBytes_GET_SIZE(PyTuple_GET_ITEM(form, HEADER));
    void **table = numpy_table(PyTuple_GET_ITEM(form, TABLE));
    PyObject *offset, *array;

    if (table && PyTuple_GET_SIZE(PyTuple_GET_ITEM(form, SHAPE)) <= MOST_DIMENSIONS)
        return make_quickly(table, form, memory, data + length);
    if (!(offset = PyLong_FromSsize_t((Py_ssize_t)(data - start) + length)))
        return NULL;
    array = PyObject_CallFunctionObjArgs(
        PyTuple_GET_ITEM(form, CLASS), PyTuple_GET_ITEM(form, SHAPE), PyTuple_GET_ITEM(form, DTYPE),
        memory, offset, Py_None, PyTuple_GET_ITEM(form, ORDER), NULL);
    Py_DECREF(offset);
    return array;
}

PyObject *to_array(Transaction *txn, const MDB_val *value)
{
    CoreState *const state = txn->state;
    const MDB_val found = *value; /* in a snapshot that memory keeps, or copied */
    PyObject *memory = txn->thread ? to_view(txn, &found) : whole_map(txn);
    PyObject *view, *form, *array = NULL;
    const char *data;

    if (!memory)
        return NULL;
    data = txn->thread ? PyMemoryView_GET_BUFFER(memory)->buf : found.mv_data;
    if ((form = find_form(state, data, found.mv_size))) {
        Py_INCREF(form);
    } else if ((view = txn->thread ? Py_NewRef(memory) : to_view(txn, &found))) {
        form = learn_form(state, txn->shared->slow, view);
        Py_DECREF(view);
    }
    if (form)
        array = make_array(form, memory, data);
    Py_XDECREF(form);
    Py_DECREF(memory);
    return array;
}

/* numpy reads all of the value, so check first that the file still has it. */
PyObject *to_own_array(Transaction *txn, const MDB_val *value)
{
    PyObject *array, *copy;

    touch_pages(value->mv_data, value->mv_size);
    if (any_file_is_truncated() && txn->engine->env_is_truncated(txn->shared->pool->env))
        return fail(txn->state, "read", MDB_CORRUPTED);
    array = to_array(txn, value);
    copy = array ? PyObject_CallMethod(array, "copy", "s", "K") : NULL;
    Py_XDECREF(array);
    return copy;
}
