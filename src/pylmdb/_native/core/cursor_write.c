/* SPDX-License-Identifier: MIT */
/* The writes of CursorCore. */
#include "cursor.h"
#include "values.h"

/* Return the flags for the keywords of put(); -1: raised. */
int put_flags(PyObject *dupdata, PyObject *overwrite, PyObject *append)
{
    const int duplicate = get_flag(dupdata, 1);
    const int over = duplicate < 0 ? -1 : get_flag(overwrite, 1);
    const int at_end = over < 0 ? -1 : get_flag(append, 0);

    if (at_end < 0)
        return -1;
    return (duplicate ? 0 : MDB_NODUPDATA) | (over ? 0 : MDB_NOOVERWRITE) |
           (at_end ? MDB_APPEND : 0);
}

/* The position knows the function that failed, and the record. */
static int fail_position(Cursor *cursor, const char *operation, int code)
{
    const struct pylmdb_position *p = &cursor->position;

    fail_record(cursor->state, operation, p->failed, code, cursor->slot, p->key.mv_data,
                p->key.mv_size, p->value.mv_size);
    return -1;
}

int cursor_put_record(Cursor *cursor, const char *operation, const Bytes *key, const Bytes *value,
                      int flags)
{
    const int code = cursor->engine->position_put(&cursor->position, key->data, key->size,
                                                  value->data, value->size, (unsigned int)flags);

    return code && code != MDB_KEYEXIST ? fail_position(cursor, operation, code) : !code;
}

int cursor_append_record(Cursor *cursor, PyObject *item, int flags)
{
    const struct pylmdb_engine *engine = cursor->engine;
    PyObject *key = PyTuple_GET_ITEM(item, 0), *value = PyTuple_GET_ITEM(item, 1);
    const int code = engine->position_append(
        &cursor->position, PyBytes_AS_STRING(key), (size_t)PyBytes_GET_SIZE(key),
        PyBytes_AS_STRING(value), (size_t)PyBytes_GET_SIZE(value), (unsigned int)flags);

    if (LIKELY(!code || code == MDB_KEYEXIST))
        return !code;
    (void)engine->position_appended(&cursor->position);
    return fail_position(cursor, "putmulti", code);
}

int cursor_end_append(Cursor *cursor)
{
    const int code = cursor->engine->position_appended(&cursor->position);

    if (!code)
        return 0;
    fail_database(cursor->state, "putmulti", cursor->position.failed, code, cursor->slot);
    return -1;
}

/* 1: deleted, 0: there was none, -1: raised. */
static int delete_record(Cursor *cursor, const char *operation, int all)
{
    const int code = cursor->engine->position_delete(&cursor->position, all);

    return code && code != MDB_NOTFOUND ? fail_position(cursor, operation, code) : !code;
}

CURSOR_METHOD(put)
{
    static const Signature signature = {
        "put", 2, 5, 5, {ARG_KEY, ARG_VALUE, ARG_DUPDATA, ARG_OVERWRITE, ARG_APPEND}};
    int flags, written = -1;
    Given given;

    if (take_given(self->state, &signature, args, nargs, kwnames, &given))
        return NULL;
    flags = put_flags(given.objects[2], given.objects[3], given.objects[4]);
    if (flags >= 0 && !guard_cursor(self))
        written = cursor_put_record(self, "put", &given.key, &given.value, flags);
    drop_given(&given);
    return answer(written);
}

CURSOR_METHOD(delete)
{
    static const Signature signature = {"delete", 0, 1, 1, {ARG_DUPDATA}};
    PyObject *given[1];
    int all;

    if (parse_arguments(self->state, &signature, args, nargs, kwnames, given) ||
        (all = get_flag(given[0], 0)) < 0 || guard_cursor(self))
        return NULL;
    return answer(delete_record(self, "delete", all));
}

/* Copy the value of a key that will be replaced or deleted; None if there is none. */
static PyObject *copy_old(Cursor *cursor, const char *operation, const Bytes *key)
{
    const int found = seek_cursor(cursor, operation, key, MDB_SET_KEY);

    if (found <= 0)
        return found ? NULL : Py_NewRef(Py_None);
    return to_bytes(cursor->txn, &cursor->position.value);
}

/* The callers of both functions have entered an operation, because copying a large value releases the
 * GIL. */
PyObject *pop_record(Cursor *cursor, const Bytes *key)
{
    PyObject *old = copy_old(cursor, "pop", key);

    if (old && old != Py_None && delete_record(cursor, "pop", 0) < 0)
        Py_CLEAR(old);
    return old;
}

PyObject *replace_record(Cursor *cursor, const Bytes *key, const Bytes *value)
{
    PyObject *old = copy_old(cursor, "replace", key);
    int code;

    if (old && (code = cursor->engine->position_replace(&cursor->position, key->data, key->size,
                                                        value->data, value->size))) {
        fail_position(cursor, "replace", code);
        Py_CLEAR(old);
    }
    return old;
}

/* pop(key), or replace(key, value). */
static PyObject *take_old(Cursor *self, const Signature *signature, PyObject *const *args,
                          Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *result = NULL;
    Given given;

    if (take_given(self->state, signature, args, nargs, kwnames, &given))
        return NULL;
    if (!guard_cursor(self)) {
        enter_operation(self->txn);
        result = signature->count == 2 ? replace_record(self, &given.key, &given.value)
                                       : pop_record(self, &given.key);
        leave_operation(self->txn);
    }
    drop_given(&given);
    return result;
}

CURSOR_METHOD(pop)
{
    static const Signature signature = {"pop", 1, 1, 1, {ARG_KEY}};

    return take_old(self, &signature, args, nargs, kwnames);
}

CURSOR_METHOD(replace)
{
    static const Signature signature = {"replace", 2, 2, 2, {ARG_KEY, ARG_VALUE}};

    return take_old(self, &signature, args, nargs, kwnames);
}
