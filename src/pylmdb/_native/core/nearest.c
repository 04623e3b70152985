/* SPDX-License-Identifier: MIT */
/* first(), last(), floor() and ceiling(): the record at an end of a database, or next to a key;
 * next_id(), the number after the greatest key. */
#include "cursor.h"
#include "values.h"

/* Find the first record from the key on, or the last one up to it; NULL: of all records.  With
 * plain_only, records that describe named databases do not count.  Return its slot, or NULL: *code
 * is 0 if there is no such record, else an exception is set. */
static Slot *find_nearest(Transaction *txn, const char *operation, const Bytes *key, PyObject *db,
                          int reverse, int plain_only, MDB_val *found_key, MDB_val *found_value,
                          int *code)
{
    Slot *slot;

    *code = RAISED;
    if (guard(txn) || !(slot = slot_for(txn, db)))
        return NULL;
    *code = txn->engine->nearest(txn->native.ptr, slot->native.dbi, slot->native.flags,
                                 key ? key->data : NULL, key ? key->size : 0, reverse, plain_only,
                                 found_key, found_value);
    if (!*code)
        return slot;
    if (*code == MDB_NOTFOUND)
        *code = 0;
    else if (key)
        fail_record(txn->state, operation, "mdb_cursor_get", *code, slot, key->data, key->size,
                    NO_VALUE);
    else
        fail_database(txn->state, operation, "mdb_cursor_get", *code, slot);
    return NULL;
}

static PyObject *nearest(Transaction *txn, const char *operation, const Bytes *key, PyObject *db,
                         int reverse)
{
    PyObject *found_key = NULL, *found_value = NULL;
    MDB_val k, v;
    int code;

    if (!find_nearest(txn, operation, key, db, reverse, 0, &k, &v, &code))
        return code ? NULL : Py_NewRef(Py_None);
    if (record_to_python(txn, &k, &v, &found_key, &found_value))
        return NULL;
    return make_pair(found_key, found_value);
}

/* Without or with a key, as the signature says. */
static PyObject *nearest_given(Transaction *txn, const Signature *signature, PyObject *const *args,
                               Py_ssize_t nargs, PyObject *kwnames, int reverse)
{
    const int has_key = signature->names[0] == ARG_KEY;
    PyObject *given[2], *result;
    Bytes key;

    if (parse_arguments(txn->state, signature, args, nargs, kwnames, given) ||
        (has_key && get_bytes("key", given[0], &key)))
        return NULL;
    result = nearest(txn, signature->function, has_key ? &key : NULL, given[has_key], reverse);
    if (has_key)
        drop_bytes(&key);
    return result;
}

#define NEAREST(name, required, count, reverse, ...) \
    TRANSACTION_METHOD(name) \
    { \
        static const Signature signature = {#name, required, count, count, {__VA_ARGS__}}; \
\
        return nearest_given(self, &signature, args, nargs, kwnames, reverse); \
    }

NEAREST(first, 0, 1, 0, ARG_DB)
NEAREST(last, 0, 1, 1, ARG_DB)
NEAREST(floor, 1, 2, 1, ARG_KEY, ARG_DB)
NEAREST(ceiling, 1, 2, 0, ARG_KEY, ARG_DB)

TRANSACTION_METHOD(next_id)
{
    static const Signature signature = {"next_id", 0, 1, 1, {ARG_DB}};
    PyObject *db, *key, *number;
    unsigned int flags;
    MDB_val k, v;
    Slot *slot;
    int code;

    if (parse_arguments(self->state, &signature, args, nargs, kwnames, &db) || guard(self))
        return NULL;
    if (!self->write)
        return refused(self->state, "number in a read transaction");
    if (!(slot = find_nearest(self, "next_id", NULL, db, 1, 1, &k, &v, &code)))
        return code ? NULL : PyLong_FromLong(1);
    flags = slot->native.flags;
    if (!(key = to_bytes(self, &k)))
        return NULL;
    number = PyObject_CallFunction(self->state->next_number, "OI", key, flags);
    Py_DECREF(key);
    return number;
}
