/* SPDX-License-Identifier: MIT */
/* Make the results of operations: bytes, views, arrays. */
#ifndef PYLMDB_VALUES_H
#define PYLMDB_VALUES_H

#include "core.h"

#include <string.h>

/* -- values.c -- */

/* A view into the map, or of a copy in a write transaction. */
PyObject *to_view(Transaction *txn, const MDB_val *value);
/* The view of the whole map; its slices pin the snapshot. */
PyObject *whole_map(Transaction *txn);
/* Make the objects of a record; key or value NULL: without it. */
int record_to_python(Transaction *txn, const MDB_val *key, const MDB_val *value, PyObject **key_out,
                     PyObject **value_out);
/* Return the copy of a value, unless the file was truncated meanwhile. */
PyObject *unless_truncated_slowly(Transaction *txn, PyObject *copy);
static inline PyObject *unless_truncated(Transaction *txn, PyObject *copy)
{
    return LIKELY(!any_file_is_truncated()) ? copy : unless_truncated_slowly(txn, copy);
}
/* Most keys and values are small: they are copied with no other call than Python's. */
enum { WORD = 8, VECTOR = 16, SMALL = 4096 };
/* 8 to 32 bytes, as most keys: the first and the last ones, which may overlap. */
static inline PyObject *short_to_bytes(const MDB_val *value)
{
    const size_t size = value->mv_size;
    PyObject *copy = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    const char *const from = value->mv_data;
    char *to;

    if (!copy)
        return NULL;
    to = ((PyBytesObject *)copy)->ob_sval;
    if (size >= VECTOR) {
        memcpy(to, from, VECTOR);
        memcpy(to + size - VECTOR, from + size - VECTOR, VECTOR);
    } else {
        memcpy(to, from, WORD);
        memcpy(to + size - WORD, from + size - WORD, WORD);
    }
    return copy;
}
PyObject *large_to_bytes(Transaction *txn, const MDB_val *value);
static inline PyObject *to_bytes(Transaction *txn, const MDB_val *value)
{
    if (LIKELY(value->mv_size - WORD <= 2 * VECTOR - WORD))
        return unless_truncated(txn, short_to_bytes(value));
    if (LIKELY(value->mv_size <= SMALL)) {
        touch_pages(value->mv_data, value->mv_size);
        return unless_truncated(
            txn, PyBytes_FromStringAndSize(value->mv_data, (Py_ssize_t)value->mv_size));
    }
    return large_to_bytes(txn, value);
}
static inline PyObject *to_python(Transaction *txn, const MDB_val *value)
{
    return LIKELY(!txn->buffers) ? to_bytes(txn, value) : to_view(txn, value);
}
/* Steals both references. */
PyObject *make_pair(PyObject *first, PyObject *second);
PyObject *empty_value(Transaction *txn);

/* -- get_array.c -- */

PyObject *to_array(Transaction *txn, const MDB_val *value);
/* An array with its own memory. */
PyObject *to_own_array(Transaction *txn, const MDB_val *value);

#endif
