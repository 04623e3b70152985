/* SPDX-License-Identifier: MIT */
/* Make the results of operations: bytes, or views into the map, which keep it.
 * A view is a memoryview of its transaction's exporter.  memoryview(m) of a memoryview m makes one
 * object that shares m's exporter.  The new object has no other reference yet, so it is narrowed
 * to the value by writing its address and size.  In a write transaction the next write can move
 * the record, so views are of copies.
 */
#include "guard.h"
#include "values.h"

#include <string.h>

/* Copies of this size and more release the GIL. */
#define LARGE (64 * 1024)

static PyObject *copy_large(Transaction *txn, const MDB_val *value)
{
    const MDB_val source = *value; /* another thread may move the cursor that value belongs to */
    Transaction *top = txn->top;
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)source.mv_size);

    if (!bytes)
        return NULL;
    top->copiers++;
    Py_INCREF(txn);
    Py_BEGIN_ALLOW_THREADS touch_pages(source.mv_data, source.mv_size);
    memcpy(PyBytes_AS_STRING(bytes), source.mv_data, source.mv_size);
    Py_END_ALLOW_THREADS top->copiers--;
    finish_waiting(top);
    Py_DECREF(txn);
    return bytes;
}

PyObject *unless_truncated_slowly(Transaction *txn, PyObject *copy)
{
    if (!copy || !txn->engine->env_is_truncated(txn->shared->pool->env))
        return copy;
    Py_DECREF(copy);
    return fail(txn->state, "read", MDB_CORRUPTED);
}

PyObject *large_to_bytes(Transaction *txn, const MDB_val *value)
{
    if (LIKELY(value->mv_size < LARGE)) {
        touch_pages(value->mv_data, value->mv_size);
        return unless_truncated(
            txn, PyBytes_FromStringAndSize(value->mv_data, (Py_ssize_t)value->mv_size));
    }
    if (value->mv_size > PY_SSIZE_T_MAX)
        return PyErr_NoMemory();
    return unless_truncated(txn, copy_large(txn, value));
}

static PyObject *view_of_copy(Transaction *txn, const MDB_val *value)
{
    PyObject *bytes = to_bytes(txn, value), *view;

    if (!bytes)
        return NULL;
    view = PyMemoryView_FromObject(bytes);
    Py_DECREF(bytes);
    return view;
}

/* Make the view of the whole map.  That can run Python code, which can end the transaction: -1:
 * raised. */
static int make_whole(Transaction *txn)
{
    Exporter *exporter;
    PyObject *whole;
    size_t size;
    char *base = txn->engine->env_map(txn->shared->pool->env, &size);
    PyTypeObject *type = txn->state->exporter_type;

    if (!(exporter = (Exporter *)type->tp_alloc(type, 0)))
        return -1;
    exporter->memory.base = base;
    /* If the address of the map is unknown, the view begins at address 0. */
    exporter->memory.size = size ? (Py_ssize_t)size : PY_SSIZE_T_MAX;
    enter_operation(txn);
    whole = PyMemoryView_FromObject((PyObject *)exporter);
    Py_DECREF(exporter);
    leave_operation(txn);
    if (!whole)
        return -1;
    if (guard_again(txn)) {
        Py_DECREF(whole);
        return -1;
    }
    if (txn->whole)
        Py_DECREF(whole);
    else
        txn->whole = whole;
    return 0;
}

static PyObject *view_in(PyObject *whole, const MDB_val *value)
{
    PyObject *view = PyMemoryView_FromObject(whole);
    Py_buffer *buffer;

    if (!view)
        return NULL;
    buffer = PyMemoryView_GET_BUFFER(view);
    buffer->buf = value->mv_data;
    buffer->len = buffer->shape[0] = (Py_ssize_t)value->mv_size;
    return view;
}

static PyObject *view_of_map(Transaction *txn, const MDB_val *value)
{
    PyObject *whole, *view;

    if (!txn->whole && make_whole(txn))
        return NULL;
    whole = Py_NewRef(txn->whole);
    view = view_in(whole, value);
    Py_DECREF(whole);
    return view;
}

PyObject *to_view(Transaction *txn, const MDB_val *value)
{
    return txn->thread ? view_of_copy(txn, value) : view_of_map(txn, value);
}

PyObject *whole_map(Transaction *txn)
{
    if (txn->thread)
        return refused(txn->state, "map in a write transaction");
    if (!txn->whole && make_whole(txn))
        return NULL;
    return Py_NewRef(txn->whole);
}

/* Making the first object can run Python code, which must not change the record before the second
 * object is made.  So that is an operation in a write transaction; a snapshot cannot change. */
static int views_of_record(Transaction *txn, const MDB_val *given_key, const MDB_val *given_value,
                           PyObject **key_out, PyObject **value_out)
{
    const MDB_val key_copy = given_key ? *given_key : (MDB_val){0, NULL};
    const MDB_val value_copy = given_value ? *given_value : (MDB_val){0, NULL};
    const MDB_val *key = given_key ? &key_copy : NULL, *value = given_value ? &value_copy : NULL;
    PyObject *whole;
    int rc = -1;

    if (!txn->thread && !txn->whole && make_whole(txn))
        return -1;
    whole = Py_XNewRef(txn->whole);
    if (txn->thread)
        enter_operation(txn);
    if (!key || (*key_out = txn->thread ? view_of_copy(txn, key) : view_in(whole, key))) {
        if (!value || (*value_out = txn->thread ? view_of_copy(txn, value) : view_in(whole, value)))
            rc = 0;
        else if (key)
            Py_CLEAR(*key_out);
    }
    if (txn->thread)
        leave_operation(txn);
    Py_XDECREF(whole);
    return rc;
}

int record_to_python(Transaction *txn, const MDB_val *key, const MDB_val *value, PyObject **key_out,
                     PyObject **value_out)
{
    if (txn->buffers)
        return views_of_record(txn, key, value, key_out, value_out);
    if (key && !(*key_out = to_bytes(txn, key)))
        return -1;
    if (value && !(*value_out = to_bytes(txn, value))) {
        if (key)
            Py_CLEAR(*key_out);
        return -1;
    }
    return 0;
}

PyObject *make_pair(PyObject *first, PyObject *second)
{
    PyObject *pair = PyTuple_New(2);

    if (!pair) {
        Py_DECREF(first);
        Py_DECREF(second);
        return NULL;
    }
    PyTuple_SET_ITEM(pair, 0, first);
    PyTuple_SET_ITEM(pair, 1, second);
    return pair;
}

PyObject *empty_value(Transaction *txn)
{
    if (txn->buffers)
        return PyMemoryView_FromObject(txn->state->empty);
    return Py_NewRef(txn->state->empty);
}
