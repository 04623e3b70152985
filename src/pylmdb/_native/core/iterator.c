/* SPDX-License-Identifier: MIT */
/* Iteration with a cursor.
 *
 * It yields the record under the cursor, then moves on, in one direction.  It
 * moves the cursor itself, so a program that moves the cursor in between continues
 * from there, and ends if that was nowhere.  Where records were deleted in
 * between, it continues from the record it gave last, whether or not that still
 * exists; so in a write transaction it keeps a copy of it.
 *
 * What it gave is used again when the caller has let it go: the pair at the next
 * step, a key or value, which a loop's variable still has then, at the one after.
 */
#include "core.h"

#include <string.h>

typedef struct {
    PyObject_HEAD
    Cursor *cursor;
    int op;
    char keys, values, started;
    size_t moves;
    Py_ssize_t mutations;
    PyObject *pair;
    /* the keys and values given last and before that */
    PyObject *given[2][2];
    int turn;
    /* the last key and value, one behind the other */
    char *last;
    size_t last_room, last_key, last_value;
} Iterator;

/* Moves to the first record that there is, if the cursor has none. */
static int start(Cursor *cursor, int first)
{
    int code;

    if (first < 0)
        return 0;
    if (cursor->positioned && !cursor->only_written) {
        if (cursor->fresh)
            return 0;
        code = read_current(cursor);
        if (code != MDB_NOTFOUND)
            return 0; /* there is one; or the first step will say what is wrong */
    }
    return move_cursor(cursor, first) < 0 ? -1 : 0;
}

static PyObject *iterate(Cursor *cursor, int first, int op, int keys, int values)
{
    PyTypeObject *type = cursor->state->iterator_type;
    Iterator *self = (Iterator *)type->tp_alloc(type, 0);

    if (!self)
        return NULL;
    self->cursor = (Cursor *)Py_NewRef((PyObject *)cursor);
    self->op = op;
    self->keys = (char)keys;
    self->values = (char)values;
    if (guard_cursor(cursor) || start(cursor, first)) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static PyObject *start_iterator(Cursor *self, const Signature *signature, PyObject *const *args,
                                Py_ssize_t nargs, PyObject *kwnames, int first, int op)
{
    const int duplicates = op == MDB_NEXT_DUP || op == MDB_PREV_DUP;
    const int keys_only = op == MDB_NEXT_NODUP || op == MDB_PREV_NODUP;
    PyObject *given[2];
    int keys, values;

    if (parse_arguments(self->state, signature, args, nargs, kwnames, given) ||
        (keys = get_flag(given[0], !duplicates)) < 0 ||
        (values = get_flag(given[1], !keys_only)) < 0)
        return NULL;
    return iterate(self, first, op, keys || !values, values);
}

#define ITERATION(name, first, op)                                                         \
    PyObject *cursor_##name(PyObject *self, PyObject *const *args, Py_ssize_t nargs,         \
                            PyObject *kwnames)                                             \
    {                                                                                      \
        static const Signature signature = {#name, 0, 2, 2, {ARG_KEYS, ARG_VALUES}};       \
                                                                                           \
        return start_iterator((Cursor *)self, &signature, args, nargs, kwnames, first, op);          \
    }

ITERATION(iternext, MDB_FIRST, MDB_NEXT)
ITERATION(iternext_dup, -1, MDB_NEXT_DUP)
ITERATION(iternext_nodup, MDB_FIRST, MDB_NEXT_NODUP)
ITERATION(iterprev, MDB_LAST, MDB_PREV)
ITERATION(iterprev_dup, -1, MDB_PREV_DUP)
ITERATION(iterprev_nodup, MDB_LAST, MDB_PREV_NODUP)

PyObject *cursor_iter(PyObject *self)
{
    return iterate((Cursor *)self, MDB_FIRST, MDB_NEXT, 1, 1);
}

static int remember(Iterator *self, const Cursor *cursor)
{
    const size_t size = cursor->key.mv_size + cursor->value.mv_size;

    if (size > self->last_room) {
        char *bigger = PyMem_Realloc(self->last, size);

        if (!bigger) {
            PyErr_NoMemory();
            return -1;
        }
        self->last = bigger;
        self->last_room = size;
    }
    touch_pages(cursor->key.mv_data, cursor->key.mv_size);
    touch_pages(cursor->value.mv_data, cursor->value.mv_size);
    if (cursor->key.mv_size)
        memcpy(self->last, cursor->key.mv_data, cursor->key.mv_size);
    if (cursor->value.mv_size)
        memcpy(self->last + cursor->key.mv_size, cursor->value.mv_data, cursor->value.mv_size);
    self->last_key = cursor->key.mv_size;
    self->last_value = cursor->value.mv_size;
    return 0;
}

static int go_on(Iterator *self, Cursor *cursor)
{
    if (LIKELY(cursor->moves == self->moves)) {
        if (LIKELY(cursor->txn->mutations == self->mutations))
            return move_cursor(cursor, self->op);
        cursor->moves++;
        return settle_cursor(
            cursor, cursor->engine->cursor_continue(cursor->native, cursor->slot->flags, self->last,
                                           self->last_key, self->last + self->last_key,
                                           self->last_value, self->op, &cursor->key,
                                           &cursor->value));
    }
    return cursor->positioned ? move_cursor(cursor, self->op) : 0;
}

/* Greater ones would keep memory that nobody expects here. */
#define GREATEST_KEPT 1024

/* bytes whose only reference is ours, with other contents of the same size: nobody
 * can have seen the object, so nobody can see it change. */
static PyObject *fill_bytes(PyObject *bytes, const MDB_val *value)
{
    touch_pages(value->mv_data, value->mv_size);
    memcpy(PyBytes_AS_STRING(bytes), value->mv_data, value->mv_size);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    ((PyBytesObject *)bytes)->ob_shash = -1;
#pragma GCC diagnostic pop
    return Py_NewRef(bytes);
}

static inline PyObject *next_bytes(Transaction *txn, PyObject **given, const MDB_val *value)
{
    PyObject *bytes = *given;

    if (LIKELY(bytes && Py_REFCNT(bytes) == 1 &&
               (size_t)PyBytes_GET_SIZE(bytes) == value->mv_size))
        return unless_cut(txn, fill_bytes(bytes, value));
    bytes = to_bytes(txn, value);
    /* Python has just one b"", and one for each single byte. */
    if (bytes && value->mv_size > 1 && value->mv_size <= GREATEST_KEPT)
        Py_XSETREF(*given, Py_NewRef(bytes));
    return bytes;
}

/* The objects of the cursor's record that are wanted. */
static int make_record(Iterator *self, Cursor *cursor, PyObject **key, PyObject **value)
{
    Transaction *const txn = cursor->txn;
    PyObject **given = self->given[self->turn ^= 1];

    if (txn->buffers)
        return record_to_python(txn, self->keys ? &cursor->key : NULL,
                                self->values ? &cursor->value : NULL, key, value);
    if (self->keys && !(*key = next_bytes(txn, &given[0], &cursor->key)))
        return -1;
    if (self->values && !(*value = next_bytes(txn, &given[1], &cursor->value))) {
        Py_CLEAR(*key);
        return -1;
    }
    return 0;
}

/* The pair given last, if nobody else has it, with new contents; else a new one.
 * Takes both references.  Views are not kept here: they would keep the snapshot. */
static PyObject *fill_pair(Iterator *self, PyObject *key, PyObject *value)
{
    PyObject *pair = self->pair, *old_key, *old_value;

    if (LIKELY(pair && Py_REFCNT(pair) == 1)) {
        old_key = PyTuple_GET_ITEM(pair, 0);
        old_value = PyTuple_GET_ITEM(pair, 1);
        PyTuple_SET_ITEM(pair, 0, key);
        PyTuple_SET_ITEM(pair, 1, value);
        Py_INCREF(pair);
        Py_DECREF(old_key);
        Py_DECREF(old_value);
        return pair;
    }
    pair = make_pair(key, value);
    if (!pair)
        self->started = 0;
    else if (!self->cursor->txn->buffers)
        Py_XSETREF(self->pair, Py_NewRef(pair));
    return pair;
}

/* The next record of a read transaction, where nothing has touched the cursor since
 * the last one: go_on() and refresh_cursor() would do the same. */
static inline int step(Iterator *self, Cursor *cursor)
{
    const int code = cursor->engine->cursor_step(cursor->native, &cursor->key,
                                        self->values ? &cursor->value : NULL, self->op);

    if (code)
        return settle_cursor(cursor, code);
    cursor->fresh = self->values ? BOTH_FRESH : KEY_FRESH;
    self->moves = ++cursor->moves;
    return 1;
}

static PyObject *iterator_next(Iterator *self)
{
    Cursor *cursor = self->cursor;
    Transaction *txn = cursor->txn;
    PyObject *key = NULL, *value = NULL;
    int found = 1;

    if (guard_cursor(cursor))
        return NULL;
    if (LIKELY(cursor->fresh && self->started && cursor->moves == self->moves)) {
        if ((found = step(self, cursor)) <= 0)
            return NULL;
        goto found_record;
    }
    if (LIKELY(self->started))
        found = go_on(self, cursor);
    if (LIKELY(found >= 0))
        found = refresh_cursor(cursor);
    if (found <= 0)
        return NULL;
    cursor->unseen = 0;
    self->started = 1;
    self->moves = cursor->moves;
    self->mutations = txn->mutations;
found_record:
    if ((txn->write && remember(self, cursor)) ||
        make_record(self, cursor, &key, &value)) {
        self->started = 0; /* the next call gives this record */
        return NULL;
    }
    if (!self->values)
        return key;
    return self->keys ? fill_pair(self, key, value) : value;
}

static int iterator_traverse(Iterator *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->cursor);
    Py_VISIT(self->pair);
    return 0;
}

static int iterator_clear(Iterator *self)
{
    Py_CLEAR(self->pair);
    return 0;
}

static void iterator_dealloc(Iterator *self)
{
    PyTypeObject *type = Py_TYPE(self);
    int i;

    PyObject_GC_UnTrack(self);
    PyMem_Free(self->last);
    Py_CLEAR(self->pair);
    for (i = 0; i < 4; i++)
        Py_CLEAR(self->given[i / 2][i % 2]);
    Py_CLEAR(self->cursor);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot iterator_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("Yields the record under a cursor and moves it on.")},
    {Py_tp_traverse, iterator_traverse},
    {Py_tp_clear, iterator_clear},
    {Py_tp_dealloc, iterator_dealloc},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, iterator_next},
    {0, NULL},
};

PyType_Spec iterator_spec = {
    .name = "pylmdb._core.CursorIterator",
    .basicsize = sizeof(Iterator),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = iterator_slots,
};
