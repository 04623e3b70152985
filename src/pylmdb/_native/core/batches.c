/* SPDX-License-Identifier: MIT */
/* Many lookups in one call: getmulti and get_many.
 * Keys are looked up in key order, through a cursor of the batch's own, without the GIL.
 * Python objects are made of the records in that order too, while they are in the processor's
 * cache; then the objects are put in the order of the caller's keys.  All keys are taken from
 * the caller before the first lookup, so no code of the caller runs in between.
 */
#include "cursor.h"
#include "values.h"

#include <errno.h>
#include <string.h>

/* How many records are looked up before objects are made of them: few enough to be still in the
 * processor's cache then. */
#define CHUNK 64
_Static_assert(PYLMDB_READ_AHEAD_MAX % CHUNK == 0, "chunks must not cross what is read ahead");
/* How many of the caller's objects ahead to prefetch. */
#define AHEAD 8

typedef struct {
    PyObject *objects; /* the keys, as a tuple */
    Py_ssize_t count;
    MDB_val *keys;
    Bytes *others; /* for keys that are not bytes; or NULL */
    struct pylmdb_sort_entry *entries;
    PyObject **results;
} Batch;

static void drop_batch(Batch *batch)
{
    Py_ssize_t i;

    for (i = 0; batch->others && i < batch->count; i++)
        drop_bytes(&batch->others[i]);
    for (i = 0; batch->results && i < batch->count; i++)
        Py_XDECREF(batch->results[i]);
    PyMem_Free(batch->others);
    PyMem_Free(batch->keys);
    PyMem_Free(batch->entries);
    PyMem_Free(batch->results);
    Py_CLEAR(batch->objects);
}

static int take_key(Batch *batch, Py_ssize_t i)
{
    PyObject *object = PyTuple_GET_ITEM(batch->objects, i);
    Bytes *other;

    if (LIKELY(PyBytes_CheckExact(object))) {
        batch->keys[i].mv_data = PyBytes_AS_STRING(object);
        batch->keys[i].mv_size = (size_t)PyBytes_GET_SIZE(object);
        return 0;
    }
    if (!batch->others &&
        !(batch->others = PyMem_Calloc((size_t)batch->count, sizeof(*batch->others)))) {
        PyErr_NoMemory();
        return -1;
    }
    other = &batch->others[i];
    if (get_bytes_slow("key", object, other))
        return -1;
    batch->keys[i].mv_data = (void *)other->data;
    batch->keys[i].mv_size = other->size;
    return 0;
}

/* Takes the keys from any iterable. */
static int fill_batch(CoreState *state, const char *operation, Batch *batch, PyObject *keys)
{
    Py_ssize_t i;

    memset(batch, 0, sizeof(*batch));
    if ((PyBytes_CheckExact(keys) && PyBytes_GET_SIZE(keys)) ||
        (PyUnicode_CheckExact(keys) && PyUnicode_GET_LENGTH(keys)))
        return refuse_with(state, "keys are one key", "sO", operation, Py_TYPE(keys));
    if (!(batch->objects = PySequence_Tuple(keys)))
        return -1;
    batch->count = PyTuple_GET_SIZE(batch->objects);
    batch->keys = PyMem_New(MDB_val, batch->count + 1);
    batch->entries = PyMem_New(struct pylmdb_sort_entry, 2 * batch->count + 1);
    batch->results = PyMem_Calloc((size_t)batch->count + 1, sizeof(*batch->results));
    if (!batch->keys || !batch->entries || !batch->results) {
        PyErr_NoMemory();
        drop_batch(batch);
        return -1;
    }
    for (i = 0; i < batch->count; i++) {
        if (i + AHEAD < batch->count)
            PYLMDB_FETCH(PyTuple_GET_ITEM(batch->objects, i + AHEAD));
        if (take_key(batch, i)) {
            drop_batch(batch);
            return -1;
        }
    }
    return 0;
}

/* Which objects a batch makes of a record. */
enum kind { VALUES, KEYS, PAIRS, PRESENT };

static PyObject *make_result(Transaction *txn, const Batch *batch,
                             const struct pylmdb_lookup *lookup, enum kind kind)
{
    PyObject *key = PyTuple_GET_ITEM(batch->objects, (Py_ssize_t)lookup->index), *value, *pair;

    if (kind == PRESENT)
        return Py_NewRef(Py_True);
    if (kind == VALUES)
        return to_python(txn, &lookup->value);
    if (txn->buffers || !PyBytes_CheckExact(key))
        key = to_python(txn, &lookup->key);
    else
        Py_INCREF(key);
    if (kind == KEYS || !key)
        return key;
    if (!(value = to_python(txn, &lookup->value))) {
        Py_DECREF(key);
        return NULL;
    }
    pair = make_pair(key, value);
    if (pair && !txn->buffers)
        PyObject_GC_UnTrack(pair); /* bytes cannot be part of a cycle */
    return pair;
}

/* Looks up the keys of some entries.  The first call sorts the keys; before it *entries is NULL.
 * Large values are not read if only their presence is asked for. */
static int look_up_chunk(const struct pylmdb_engine *engine, MDB_cursor *native, unsigned int flags,
                         Batch *batch, struct pylmdb_sort_entry **entries, Py_ssize_t from,
                         struct pylmdb_lookup *found, Py_ssize_t size, enum kind kind)
{
    const Py_ssize_t left = batch->count - from;
    int code = 0;

    Py_BEGIN_ALLOW_THREADS if (!*entries) *entries =
        pylmdb_order_keys(batch->keys, (size_t)batch->count, flags, batch->entries);
    if (from % PYLMDB_READ_AHEAD_MAX == 0)
        code = engine->read_ahead_keys(
            native, batch->keys, *entries + from,
            (size_t)(left < PYLMDB_READ_AHEAD_MAX ? left : PYLMDB_READ_AHEAD_MAX));
    if (!code)
        code = (kind == PRESENT ? engine->find : engine->look_up)(
            native, flags, batch->keys, *entries + from, found, (size_t)size);
    Py_END_ALLOW_THREADS return code;
}

/* 0, a code or RAISED.  The caller has entered an operation, so no other one uses the transaction
 * meanwhile. */
static int look_up_all(Transaction *txn, MDB_cursor *native, unsigned int flags, Batch *batch,
                       enum kind kind)
{
    struct pylmdb_lookup found[CHUNK];
    struct pylmdb_sort_entry *entries = NULL;
    Py_ssize_t from, size, i;
    int code;

    for (from = 0; from < batch->count; from += size) {
        size = batch->count - from < CHUNK ? batch->count - from : CHUNK;
        code = look_up_chunk(txn->engine, native, flags, batch, &entries, from, found, size, kind);
        if (code)
            return code;
        for (i = 0; i < size; i++) {
            if ((found[i].value.mv_data || found[i].overflow_node) &&
                !(batch->results[found[i].index] = make_result(txn, batch, &found[i], kind)))
                return RAISED;
        }
    }
    return 0;
}

/* Raises for a code of look_up_all(), which does not say which key has failed: the first for which
 * a lookup on its own fails so.  The caller has entered an operation. */
static void fail_lookup(Transaction *txn, const Slot *slot, const Batch *batch,
                        const char *operation, const char *what, int code)
{
    MDB_val value;
    Py_ssize_t i;

    for (i = 0; i < batch->count; i++) {
        const MDB_val *const key = &batch->keys[i];

        if (txn->engine->get(txn->native.ptr, slot->native.dbi, slot->native.flags, key->mv_data,
                             key->mv_size, &value) == code) {
            fail_record(txn->state, operation, what, code, slot, key->mv_data, key->mv_size,
                        NO_VALUE);
            return;
        }
    }
    fail_database(txn->state, operation, what, code, slot);
}

static int look_up(Transaction *txn, Slot *slot, Batch *batch, const char *operation,
                   const char *what, enum kind kind)
{
    MDB_cursor *native;
    int rc;

    Py_INCREF(slot);
    if (!(rc = open_native(txn, slot, &native))) {
        enter_operation(txn);
        rc = look_up_all(txn, native, slot->native.flags, batch, kind);
        txn->engine->cursor_close(native);
        if (rc && rc != RAISED)
            fail_lookup(txn, slot, batch, operation, what, rc);
        leave_operation(txn);
    }
    Py_DECREF(slot);
    return rc;
}

/* Move the results to a list, in the order of the keys.  A missing one becomes otherwise, or is
 * left out if that is NULL. */
static PyObject *list_results(Batch *batch, PyObject *otherwise)
{
    Py_ssize_t i, count = 0, at = 0;
    PyObject *list;

    for (i = 0; i < batch->count; i++)
        count += otherwise || batch->results[i];
    if (!(list = PyList_New(count)))
        return NULL;
    for (i = 0; i < batch->count; i++) {
        PyObject *result = batch->results[i];

        if (!result && !otherwise)
            continue;
        PyList_SET_ITEM(list, at++, result ? result : Py_NewRef(otherwise));
        batch->results[i] = NULL;
    }
    return list;
}

static PyObject *look_up_keys(Transaction *txn, const char *operation, PyObject *keys, PyObject *db,
                              enum kind kind, PyObject *otherwise)
{
    PyObject *result = NULL;
    Batch batch;
    Slot *slot;

    if (guard(txn) || !slot_for(txn, db) || fill_batch(txn->state, operation, &batch, keys))
        return NULL;
    if (!guard(txn) && (slot = slot_for(txn, db)) &&
        !look_up(txn, slot, &batch, operation, "mdb_get", kind))
        result = list_results(&batch, otherwise);
    drop_batch(&batch);
    return result;
}

TRANSACTION_METHOD(get_many)
{
    static const Signature signature = {"get_many", 1, 3, 3, {ARG_KEYS, ARG_DEFAULT, ARG_DB}};
    PyObject *given[3];

    if (parse_arguments(self->state, &signature, args, nargs, kwnames, given))
        return NULL;
    return look_up_keys(self, "get_many", given[0], given[2], VALUES,
                        given[1] ? given[1] : Py_None);
}

PyObject *transaction_has_many(Transaction *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 2)
        return PyErr_Format(PyExc_TypeError, "_has_many() takes 2 arguments");
    return look_up_keys(self, "has_many", args[0], args[1], PRESENT, Py_False);
}

/* -- getmulti ------------------------------------------------------------------- */

/* The size of each value for getmulti, 0 where it is not given; -1: raised. */
static Py_ssize_t get_width(CoreState *state, PyObject *object, int dupdata, int keyfixed,
                            int values)
{
    const char *refusal;
    Py_ssize_t width = 0;

    if (object && object != Py_None) {
        if (!PyIndex_Check(object)) {
            if (!take_python_side(state))
                Py_XDECREF(PyObject_CallFunction(state->integer, "sO", "dupfixed_bytes", object));
            return -1;
        }
        width = PyNumber_AsSsize_t(object, PyExc_OverflowError);
        if (width == -1 && PyErr_Occurred())
            return -1;
    }
    refusal = pylmdb_getmulti_refusal(width, dupdata, keyfixed, values);
    return refusal ? refuse_with(state, refusal, "n", width) : width;
}

/* The records that getmulti collects with dupdata: a list of pairs, or with keyfixed a bytearray
 * of all records one after another, of which size bytes are used. */
typedef struct {
    PyObject *list, *records;
    size_t size, key_size;
} Collection;

static int collect_records(CoreState *state, Collection *into, const MDB_val *key,
                           const MDB_val *page, size_t width)
{
    const size_t count = (page->mv_size + width - 1) / width;
    const size_t end = into->size + count * key->mv_size + page->mv_size;

    if (into->size && key->mv_size != into->key_size)
        return refuse_named(state, "keys of several widths");
    into->key_size = key->mv_size;
    if (end > (size_t)PyByteArray_GET_SIZE(into->records) &&
        PyByteArray_Resize(into->records, (Py_ssize_t)(2 * end)))
        return -1;
    pylmdb_copy_records(PyByteArray_AS_STRING(into->records) + into->size, key, page, width);
    into->size = end;
    return 0;
}

static int collect_pairs(Cursor *cursor, PyObject *list, PyObject *key, const MDB_val *page,
                         size_t width)
{
    size_t at, step = width ? width : page->mv_size;

    for (at = 0; at < page->mv_size || !step; at += step) {
        MDB_val piece = {page->mv_size - at < step ? page->mv_size - at : step,
                         (char *)page->mv_data + at};
        PyObject *value = to_python(cursor->txn, &piece), *pair;
        int rc;

        if (!value || !(pair = make_pair(Py_NewRef(key), value)))
            return -1;
        rc = PyList_Append(list, pair);
        Py_DECREF(pair);
        if (rc || !step)
            return rc;
    }
    return 0;
}

/* Appends the records of one key; width splits pages of fixed-size values. */
static int collect(Cursor *cursor, const MDB_val *sought, size_t width, Collection *into)
{
    struct pylmdb_position *const p = &cursor->position;
    const struct pylmdb_engine *const engine = cursor->engine;
    int code = engine->getmulti_first(p, sought->mv_data, sought->mv_size, width), rc = 0;
    const MDB_val found_key = p->key;
    PyObject *key = NULL;

    if (code == PYLMDB_OTHER_WIDTH)
        return refuse_with(cursor->state, "values of another width", "nn",
                           (Py_ssize_t)p->value.mv_size, (Py_ssize_t)width);
    if (!code && into->list && !(key = to_python(cursor->txn, &found_key)))
        return -1;
    while (!code && !rc) {
        rc = into->list ? collect_pairs(cursor, into->list, key, &p->value, width)
                        : collect_records(cursor->state, into, &found_key, &p->value, width);
        if (!rc)
            code = engine->getmulti_next(p, width);
    }
    Py_XDECREF(key);
    return rc || sought_record(cursor, "getmulti", sought->mv_data, sought->mv_size, NO_VALUE,
                               code) < 0
               ? -1
               : 0;
}

static PyObject *getmulti_all(Cursor *self, Batch *batch, size_t width, int keyfixed)
{
    Collection into = {NULL, NULL, 0, 0};
    PyObject *result = NULL;
    Py_ssize_t i;
    int rc = -1;

    if (keyfixed)
        into.records = PyByteArray_FromStringAndSize(NULL, 0);
    else
        into.list = PyList_New(0);
    if ((into.records || into.list) && !guard_cursor(self)) {
        rc = 0;
        enter_operation(self->txn);
        for (i = 0; i < batch->count && !rc; i++)
            rc = collect(self, &batch->keys[i], width, &into);
        leave_operation(self->txn);
    }
    if (!rc && into.list)
        result = Py_NewRef(into.list);
    else if (!rc && !PyByteArray_Resize(into.records, (Py_ssize_t)into.size))
        result = unless_truncated(self->txn, PyMemoryView_FromObject(into.records));
    Py_XDECREF(into.list);
    Py_XDECREF(into.records);
    return result;
}

/* Return at most one record of each key.  Afterwards the cursor is where it would be if it had
 * sought each key in turn. */
static PyObject *getmulti_first(Cursor *self, Batch *batch, int values)
{
    Bytes last;

    if (guard_cursor(self))
        return NULL;
    if (!batch->count)
        return PyList_New(0);
    last.data = batch->keys[batch->count - 1].mv_data;
    last.size = batch->keys[batch->count - 1].mv_size;
    if (look_up(self->txn, self->slot, batch, "getmulti", "mdb_cursor_get",
                values ? PAIRS : KEYS) ||
        guard_cursor(self))
        return NULL;
    if (seek_cursor(self, "getmulti", &last, MDB_SET_KEY) < 0)
        return NULL;
    return list_results(batch, NULL);
}

CURSOR_METHOD(getmulti)
{
    static const Signature signature = {
        "getmulti", 1, 5, 5, {ARG_KEYS, ARG_DUPDATA, ARG_DUPFIXED_BYTES, ARG_KEYFIXED, ARG_VALUES}};
    PyObject *given[5], *result;
    int dupdata, keyfixed, values;
    Py_ssize_t width;
    Batch batch;

    if (parse_arguments(self->state, &signature, args, nargs, kwnames, given) ||
        (dupdata = get_flag(given[1], 0)) < 0 || (keyfixed = get_flag(given[3], 0)) < 0 ||
        (values = get_flag(given[4], 1)) < 0 ||
        (width = get_width(self->state, given[2], dupdata, keyfixed, values)) < 0 ||
        guard_cursor(self) || fill_batch(self->state, "getmulti", &batch, given[0]))
        return NULL;
    result = dupdata ? getmulti_all(self, &batch, (size_t)width, keyfixed)
                     : getmulti_first(self, &batch, values);
    drop_batch(&batch);
    return result;
}
