/* SPDX-License-Identifier: MIT */
/* first(), last(), floor() and ceiling(): the record at an end of a database, or next to a key. */
#include "cursor.h"
#include "values.h"

/* The first record from the key on, or the last one up to it; NULL: of all records. */
static PyObject *nearest(Transaction *txn, const char *operation, const Bytes *key, PyObject *db,
                         int reverse)
{
    PyObject *found_key = NULL, *found_value = NULL;
    MDB_val k, v;
    Slot *slot;
    int code;

    if (guard(txn) || !(slot = slot_for(txn, db)))
        return NULL;
    code = txn->engine->nearest(txn->native.ptr, slot->dbi, slot->flags, key ? key->data : NULL,
                                key ? key->size : 0, reverse, &k, &v);
    if (code == MDB_NOTFOUND)
        return Py_NewRef(Py_None);
    if (code)
        return key ? fail_record(txn->state, operation, "mdb_cursor_get", code, slot, key->data,
                                 key->size, NO_VALUE)
                   : fail_database(txn->state, operation, "mdb_cursor_get", code, slot);
    if (record_to_python(txn, &k, &v, &found_key, &found_value))
        return NULL;
    return make_pair(found_key, found_value);
}

static PyObject *at_end(Transaction *txn, const Signature *signature, PyObject *const *args,
                        Py_ssize_t nargs, PyObject *kwnames, int reverse)
{
    PyObject *db;

    if (parse_arguments(txn->state, signature, args, nargs, kwnames, &db))
        return NULL;
    return nearest(txn, signature->function, NULL, db, reverse);
}

static PyObject *at_key(Transaction *txn, const Signature *signature, PyObject *const *args,
                        Py_ssize_t nargs, PyObject *kwnames, int reverse)
{
    PyObject *given[2], *result;
    Bytes key;

    if (parse_arguments(txn->state, signature, args, nargs, kwnames, given) ||
        get_bytes("key", given[0], &key))
        return NULL;
    result = nearest(txn, signature->function, &key, given[1], reverse);
    drop_bytes(&key);
    return result;
}

PyObject *transaction_first(Transaction *self, PyObject *const *args, Py_ssize_t nargs,
                            PyObject *kwnames)
{
    static const Signature signature = {"first", 0, 1, 1, {ARG_DB}};

    return at_end(self, &signature, args, nargs, kwnames, 0);
}

PyObject *transaction_last(Transaction *self, PyObject *const *args, Py_ssize_t nargs,
                           PyObject *kwnames)
{
    static const Signature signature = {"last", 0, 1, 1, {ARG_DB}};

    return at_end(self, &signature, args, nargs, kwnames, 1);
}

PyObject *transaction_floor(Transaction *self, PyObject *const *args, Py_ssize_t nargs,
                            PyObject *kwnames)
{
    static const Signature signature = {"floor", 1, 2, 2, {ARG_KEY, ARG_DB}};

    return at_key(self, &signature, args, nargs, kwnames, 1);
}

PyObject *transaction_ceiling(Transaction *self, PyObject *const *args, Py_ssize_t nargs,
                              PyObject *kwnames)
{
    static const Signature signature = {"ceiling", 1, 2, 2, {ARG_KEY, ARG_DB}};

    return at_key(self, &signature, args, nargs, kwnames, 0);
}
