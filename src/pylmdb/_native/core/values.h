/* SPDX-License-Identifier: MIT */
/* What callers get: bytes, views, arrays. */
#ifndef PYLMDB_VALUES_H
#define PYLMDB_VALUES_H

#include "core.h"

/* -- values.c: what the caller gets -- */

/* A view of the snapshot's record, or of a copy in a write transaction. */
PyObject *to_view(Transaction *txn, const MDB_val *value);
/* The view of the whole map, whose slices keep the snapshot. */
PyObject *whole_map(Transaction *txn);
/* Both of a record, either of which may be left out with NULL. */
int record_to_python(Transaction *txn, const MDB_val *key, const MDB_val *value, PyObject **key_out,
                     PyObject **value_out);
/* The copy of a value, unless the file was cut short under it. */
PyObject *unless_truncated_slowly(Transaction *txn, PyObject *copy);
static inline PyObject *unless_truncated(Transaction *txn, PyObject *copy)
{
    return LIKELY(!pylmdb_any_truncated) ? copy : unless_truncated_slowly(txn, copy);
}
/* Most keys and values are small: they are copied without a call but Python's. */
enum { SMALL = 4096 };
PyObject *large_to_bytes(Transaction *txn, const MDB_val *value);
static inline PyObject *to_bytes(Transaction *txn, const MDB_val *value)
{
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
/* Takes both references. */
PyObject *make_pair(PyObject *first, PyObject *second);
PyObject *empty_value(Transaction *txn);

/* -- get_array.c -- */

PyObject *to_array(Transaction *txn, const MDB_val *value);
/* An array that shows no map. */
PyObject *to_own_array(Transaction *txn, const MDB_val *value);

#endif
