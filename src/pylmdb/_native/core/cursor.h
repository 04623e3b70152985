/* SPDX-License-Identifier: MIT */
/* Declarations for the files about cursors. */
#ifndef PYLMDB_CURSOR_H
#define PYLMDB_CURSOR_H

#include "arguments.h"
#include "guard.h"

/* -- cursor.c -- */

PyObject *open_cursor(Transaction *txn, PyObject *db);
int guard_cursor_slow(Cursor *cursor);

static inline int guard_cursor(Cursor *cursor)
{
    if (LIKELY(cursor->is_open && is_usable(cursor->txn)))
        return 0;
    return guard_cursor_slow(cursor);
}

/* The result of a function that reads or moves the position: 1: a record, 0: none, -1: raised. */
static inline int found_record(Cursor *cursor, const char *operation, int code)
{
    if (LIKELY(!code))
        return 1;
    if (code == MDB_NOTFOUND)
        return 0;
    fail_database(cursor->state, operation, "mdb_cursor_get", code, cursor->slot);
    return -1;
}

/* The same for one that has sought a record; value_size is NO_VALUE if it has sought a key. */
static inline int sought_record(Cursor *cursor, const char *operation, const void *key,
                                size_t key_size, size_t value_size, int code)
{
    if (LIKELY(!code || code == MDB_NOTFOUND))
        return !code;
    fail_record(cursor->state, operation, "mdb_cursor_get", code, cursor->slot, key, key_size,
                value_size);
    return -1;
}

static inline int seek_cursor(Cursor *cursor, const char *operation, const Bytes *key, int op)
{
    return sought_record(
        cursor, operation, key->data, key->size, NO_VALUE,
        cursor->engine->position_seek(&cursor->position, key->data, key->size, NULL, 0, op));
}

/* True, False, or -1: raised. */
static inline PyObject *answer(int found)
{
    return found < 0 ? NULL : PyBool_FromLong(found);
}

/* Methods with arguments; the table of methods is in cursor.c. */
#define CURSOR_METHOD(name) \
    PyObject *cursor_##name(Cursor *self, PyObject *const *args, Py_ssize_t nargs, \
                            PyObject *kwnames)

/* -- cursor_write.c -- */

int put_flags(PyObject *dupdata, PyObject *overwrite, PyObject *append);
/* 1: written, 0: the record exists already, -1: raised. */
int cursor_put_record(Cursor *cursor, const char *operation, const Bytes *key, const Bytes *value,
                      int flags);
/* The same for bytes with MDB_APPEND.  No Python code may run between the first record and
 * cursor_end_append(); a record that fails has ended it. */
int cursor_append_record(Cursor *cursor, PyObject *item, int flags);
int cursor_end_append(Cursor *cursor);
CURSOR_METHOD(put);
CURSOR_METHOD(delete);
CURSOR_METHOD(pop);
CURSOR_METHOD(replace);
PyObject *pop_record(Cursor *cursor, const Bytes *key);
PyObject *replace_record(Cursor *cursor, const Bytes *key, const Bytes *value);

/* -- batches.c -- */

CURSOR_METHOD(getmulti);
TRANSACTION_METHOD(get_many);
PyObject *transaction_has_many(Transaction *, PyObject *const *, Py_ssize_t);

/* -- nearest.c -- */

TRANSACTION_METHOD(first);
TRANSACTION_METHOD(last);
TRANSACTION_METHOD(floor);
TRANSACTION_METHOD(ceiling);
TRANSACTION_METHOD(next_id);

/* -- ranges.c -- */

TRANSACTION_METHOD(count);
TRANSACTION_METHOD(delete_range);

/* -- putmulti.c -- */

CURSOR_METHOD(putmulti);

/* -- iterator.c -- */

PyObject *cursor_iter(PyObject *);
CURSOR_METHOD(iternext);
CURSOR_METHOD(iternext_dup);
CURSOR_METHOD(iternext_nodup);
CURSOR_METHOD(iterprev);
CURSOR_METHOD(iterprev_dup);
CURSOR_METHOD(iterprev_nodup);
CURSOR_METHOD(range);

#endif
