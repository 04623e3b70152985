/* SPDX-License-Identifier: MIT */
/* CursorCore: writes. */
#include "core.h"

/* MDB_NODUPDATA, MDB_NOOVERWRITE and PUT_APPEND for put's keywords; -1: raised. */
int put_flags(PyObject *dupdata, PyObject *overwrite, PyObject *append)
{
    const int duplicate = get_flag(dupdata, 1);
    const int over = duplicate < 0 ? -1 : get_flag(overwrite, 1);
    const int at_end = over < 0 ? -1 : get_flag(append, 0);

    if (at_end < 0)
        return -1;
    return (duplicate ? 0 : MDB_NODUPDATA) | (over ? 0 : MDB_NOOVERWRITE) |
           (at_end ? PUT_APPEND : 0);
}

unsigned int flags_for(const Slot *slot, int flags)
{
    unsigned int result = (unsigned int)flags & ~(unsigned int)PUT_APPEND;

    if (flags & PUT_APPEND)
        result |= slot->flags & MDB_DUPSORT ? MDB_APPENDDUP : MDB_APPEND;
    return result;
}

/* 1: written, 0: it was there, -1: raised. */
int cursor_put_record(Cursor *cursor, const Bytes *key, const Bytes *value, int flags)
{
    int code, noted = 0;

    cursor->txn->mutations += cursor->txn->write;
    cursor->moves++;
    code = cursor->engine->cursor_put(cursor->native, cursor->slot->flags, key->data, key->size,
                             value->data, value->size, flags_for(cursor->slot, flags));
    if ((code && code != MDB_KEYEXIST) || (noted = note_stand(cursor))) {
        fail_write(cursor->state, "mdb_cursor_put", noted ? noted : code, cursor->slot, key->data,
                   key->size);
        return -1;
    }
    /* The cursor is on the new record, or on the one that is in its way. */
    cursor->only_written = cursor->only_written || !cursor->positioned;
    cursor->positioned = 1;
    cursor->fresh = NOT_FRESH;
    return !code;
}

/* 1: deleted, 0: there was none, -1: raised. */
int cursor_delete_record(Cursor *cursor, int all)
{
    int code, deleted, found = refresh_cursor(cursor);

    if (found <= 0)
        return found;
    code = cursor->engine->cursor_del(cursor->native, cursor->slot->flags, all ? MDB_NODUPDATA : 0,
                             &cursor->key, &cursor->value, &deleted);
    cursor->txn->mutations += cursor->txn->write;
    cursor->fresh = NOT_FRESH;
    if (code && !deleted) {
        fail_write(cursor->state, "mdb_cursor_del", code, cursor->slot, cursor->key.mv_data,
                   cursor->key.mv_size);
        return -1;
    }
    if (settle_cursor(cursor, code) < 0)
        return -1;
    cursor->unseen = cursor->positioned;
    return 1;
}

PyObject *cursor_put(PyObject *object, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const Signature signature = {
        "put", 2, 5, 5, {ARG_KEY, ARG_VALUE, ARG_DUPDATA, ARG_OVERWRITE, ARG_APPEND}};
    Cursor *self = (Cursor *)object;
    PyObject *given[5];
    Bytes key, value;
    int flags, written = -1;

    if (parse_arguments(self->state, &signature, args, nargs, kwnames, given) ||
        (flags = put_flags(given[2], given[3], given[4])) < 0 ||
        get_bytes("key", given[0], &key))
        return NULL;
    if (!get_bytes("value", given[1], &value)) {
        if (!guard_cursor(self))
            written = cursor_put_record(self, &key, &value, flags);
        drop_bytes(&value);
    }
    drop_bytes(&key);
    return written < 0 ? NULL : PyBool_FromLong(written);
}

PyObject *cursor_delete(PyObject *object, PyObject *const *args, Py_ssize_t nargs,
                        PyObject *kwnames)
{
    static const Signature signature = {"delete", 0, 1, 1, {ARG_DUPDATA}};
    Cursor *self = (Cursor *)object;
    PyObject *given[1];
    int all, deleted;

    if (parse_arguments(self->state, &signature, args, nargs, kwnames, given) ||
        (all = get_flag(given[0], 0)) < 0 || guard_cursor(self))
        return NULL;
    deleted = cursor_delete_record(self, all);
    return deleted < 0 ? NULL : PyBool_FromLong(deleted);
}

/* Both hold the transaction, because copying a large value lets the GIL go. */
PyObject *pop_record(Cursor *cursor, const Bytes *key)
{
    PyObject *old;
    int found = seek_cursor(cursor, key, NULL, MDB_SET_KEY);

    if (found <= 0)
        return found ? NULL : Py_NewRef(Py_None);
    if (!(old = to_bytes(cursor->txn, &cursor->value)))
        return NULL;
    if (cursor_delete_record(cursor, 0) < 0)
        Py_CLEAR(old);
    return old;
}

PyObject *replace_record(Cursor *cursor, const Bytes *key, const Bytes *value)
{
    const int duplicates = cursor->slot->flags & MDB_DUPSORT;
    PyObject *old = NULL;
    int found = seek_cursor(cursor, key, NULL, MDB_SET_KEY);

    if (found < 0)
        return NULL;
    if (found && !(old = to_bytes(cursor->txn, &cursor->value)))
        return NULL;
    /* What cannot be stored must be refused before anything is deleted. */
    if ((found && duplicates &&
         (cursor_put_record(cursor, key, value, 0) < 0 || cursor_delete_record(cursor, 1) < 0)) ||
        cursor_put_record(cursor, key, value, 0) < 0) {
        Py_XDECREF(old);
        return NULL;
    }
    return old ? old : Py_NewRef(Py_None);
}

PyObject *cursor_pop(PyObject *object, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const Signature signature = {"pop", 1, 1, 1, {ARG_KEY}};
    Cursor *self = (Cursor *)object;
    PyObject *given[1], *result = NULL;
    Bytes key;

    if (parse_arguments(self->state, &signature, args, nargs, kwnames, given) ||
        get_bytes("key", given[0], &key))
        return NULL;
    if (!guard_cursor(self)) {
        hold(self->txn);
        result = pop_record(self, &key);
        release(self->txn);
    }
    drop_bytes(&key);
    return result;
}

PyObject *cursor_replace(PyObject *object, PyObject *const *args, Py_ssize_t nargs,
                         PyObject *kwnames)
{
    static const Signature signature = {"replace", 2, 2, 2, {ARG_KEY, ARG_VALUE}};
    Cursor *self = (Cursor *)object;
    PyObject *given[2], *result = NULL;
    Bytes key, value;

    if (parse_arguments(self->state, &signature, args, nargs, kwnames, given) ||
        get_bytes("key", given[0], &key))
        return NULL;
    if (!get_bytes("value", given[1], &value)) {
        if (!guard_cursor(self)) {
            hold(self->txn);
            result = replace_record(self, &key, &value);
            release(self->txn);
        }
        drop_bytes(&value);
    }
    drop_bytes(&key);
    return result;
}
