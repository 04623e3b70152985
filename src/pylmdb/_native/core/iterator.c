/* SPDX-License-Identifier: MIT */
/* Iterators of a cursor and of a range.  position.h has the rules for how they move.
 *
 * An object that was yielded is used again if the program has dropped its reference: the pair in
 * the next step; a key or a value, to which a loop's variable still refers then, in the one after.
 */
#include "cursor.h"
#include "ranges.h"
#include "values.h"

#include <string.h>

typedef struct {
    PyObject_HEAD
    /* NULL after the end of a range */
    Cursor *cursor;
    struct pylmdb_iteration iteration;
    char keys;
    PyObject *pair;
    /* the keys and values of the last two steps */
    PyObject *given[2][2];
    int turn;
    /* How many records a range may still yield; negative during a step. */
    Py_ssize_t left;
} Iterator;

/* The guard comes last, after everything that can run Python code.  The caller starts the
 * iteration. */
static Iterator *new_iterator(PyTypeObject *type, Cursor *cursor, int keys)
{
    Iterator *self = (Iterator *)type->tp_alloc(type, 0);

    if (!self)
        return NULL;
    self->cursor = (Cursor *)Py_NewRef((PyObject *)cursor);
    self->keys = (char)keys;
    if (guard_cursor(cursor))
        Py_CLEAR(self);
    return self;
}

/* Steals the reference; code is the result of starting its iteration, at key if that is not NULL. */
static PyObject *started_iterator(Iterator *self, const char *operation, const Bytes *key, int code)
{
    Cursor *const cursor = self->cursor;

    if (!code)
        return (PyObject *)self;
    if (key && key->data)
        sought_record(cursor, operation, key->data, key->size, NO_VALUE, code);
    else
        found_record(cursor, operation, code);
    Py_DECREF(self);
    return NULL;
}

static PyObject *iterate(Cursor *cursor, int op, int keys, int values)
{
    Iterator *self = new_iterator(cursor->state->iterator_type, cursor, keys);

    if (!self)
        return NULL;
    return started_iterator(
        self, "iteration", NULL,
        cursor->engine->iteration_start(&self->iteration, &cursor->position, op, values));
}

static PyObject *start_iterator(Cursor *self, const Signature *signature, PyObject *const *args,
                                Py_ssize_t nargs, PyObject *kwnames, int op)
{
    const int duplicates = op == MDB_NEXT_DUP || op == MDB_PREV_DUP;
    const int keys_only = op == MDB_NEXT_NODUP || op == MDB_PREV_NODUP;
    PyObject *given[2];
    int keys, values;

    if (parse_arguments(self->state, signature, args, nargs, kwnames, given) ||
        (keys = get_flag(given[0], !duplicates)) < 0 ||
        (values = get_flag(given[1], !keys_only)) < 0)
        return NULL;
    return iterate(self, op, keys || !values, values);
}

#define ITERATION(name, op) \
    CURSOR_METHOD(name) \
    { \
        static const Signature signature = {#name, 0, 2, 2, {ARG_KEYS, ARG_VALUES}}; \
\
        return start_iterator(self, &signature, args, nargs, kwnames, op); \
    }

ITERATION(iternext, MDB_NEXT)
ITERATION(iternext_dup, MDB_NEXT_DUP)
ITERATION(iternext_nodup, MDB_NEXT_NODUP)
ITERATION(iterprev, MDB_PREV)
ITERATION(iterprev_dup, MDB_PREV_DUP)
ITERATION(iterprev_nodup, MDB_PREV_NODUP)

PyObject *cursor_iter(PyObject *self)
{
    return iterate((Cursor *)self, MDB_NEXT, 1, 1);
}

/* Larger objects are not kept, so that an iterator does not keep much memory. */
#define GREATEST_KEPT 1024

/* Change the contents of bytes of the same size.  The only reference is ours, so the program
 * cannot notice. */
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

    if (LIKELY(bytes && Py_REFCNT(bytes) == 1 && (size_t)PyBytes_GET_SIZE(bytes) == value->mv_size))
        return unless_truncated(txn, fill_bytes(bytes, value));
    bytes = to_bytes(txn, value);
    /* Python has one object each for b"" and for single bytes. */
    if (bytes && value->mv_size > 1 && value->mv_size <= GREATEST_KEPT)
        Py_XSETREF(*given, Py_NewRef(bytes));
    return bytes;
}

/* Make the wanted objects of the cursor's record. */
static int make_record(Iterator *self, Cursor *cursor, PyObject **key, PyObject **value)
{
    Transaction *const txn = cursor->txn;
    const struct pylmdb_position *const p = &cursor->position;
    PyObject **given = self->given[self->turn ^= 1];

    if (txn->buffers)
        return record_to_python(txn, self->keys ? &p->key : NULL,
                                self->iteration.values ? &p->value : NULL, key, value);
    if (self->keys && !(*key = next_bytes(txn, &given[0], &p->key)))
        return -1;
    if (self->iteration.values && !(*value = next_bytes(txn, &given[1], &p->value))) {
        Py_CLEAR(*key);
        return -1;
    }
    return 0;
}

/* Return the last pair with new contents, if the only reference is ours; else a new pair.  Steals
 * both references.  Pairs of views are not kept, because they would pin the snapshot. */
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
        self->iteration.started = 0;
    else if (!self->cursor->txn->buffers)
        Py_XSETREF(self->pair, Py_NewRef(pair));
    return pair;
}

static inline int next_record(struct pylmdb_iteration *iteration, Cursor *cursor)
{
    int code = pylmdb_quick_next(iteration, &cursor->position, cursor->engine->cursor_step);

    if (LIKELY(!code))
        return 1;
    if (code == PYLMDB_NOT_QUICK)
        code = cursor->engine->iteration_next(iteration, &cursor->position);
    if (code == PYLMDB_OTHER_WIDTH)
        return refuse_with(cursor->state, "bound of another width", "snn", "range",
                           (Py_ssize_t)iteration->bound.mv_size,
                           (Py_ssize_t)cursor->position.key.mv_size);
    return found_record(cursor, "iteration", code);
}

static PyObject *iterator_next(Iterator *self)
{
    Cursor *const cursor = self->cursor;
    PyObject *key = NULL, *value = NULL;

    if (guard_cursor(cursor) || next_record(&self->iteration, cursor) <= 0)
        return NULL;
    if (make_record(self, cursor, &key, &value)) {
        self->iteration.started = 0; /* the next call gives this record */
        return NULL;
    }
    if (!self->iteration.values)
        return key;
    return self->keys ? fill_pair(self, key, value) : value;
}

static void drop_cursor(Iterator *self)
{
    if (self->cursor && self->cursor->engine)
        self->cursor->engine->iteration_free(&self->iteration);
    Py_CLEAR(self->cursor);
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
    Py_CLEAR(self->pair);
    for (i = 0; i < 4; i++)
        Py_CLEAR(self->given[i / 2][i % 2]);
    drop_cursor(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *iterator_repr(Iterator *self)
{
    const char *const name = strrchr(Py_TYPE(self)->tp_name, '.') + 1;

    return self->cursor ? PyUnicode_FromFormat("<pylmdb.%s of %R>", name, self->cursor)
                        : PyUnicode_FromFormat("<pylmdb.%s ended>", name);
}

static PyType_Slot iterator_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("Yields the record under a cursor and moves it on.")},
    {Py_tp_traverse, iterator_traverse},
    {Py_tp_clear, iterator_clear},
    {Py_tp_dealloc, iterator_dealloc},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, iterator_next},
    {Py_tp_repr, iterator_repr},
    {0, NULL},
};

TYPE_SPEC(iterator, "CursorIterator", Iterator,
          Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION);

/* -- ranges ----------------------------------------------------------------------- */

/* Like a generator, a range is over after its end or an exception, and then keeps nothing alive. */
static COLD PyObject *end_range(Iterator *self)
{
    self->left = 0;
    drop_cursor(self);
    return NULL;
}

/* A step inside a step could end it. */
static COLD PyObject *refuse_step(void)
{
    PyErr_SetString(PyExc_ValueError, "range: a step of this iterator is in progress");
    return NULL;
}

static PyObject *range_next(Iterator *self)
{
    PyObject *item;

    if (!LIKELY(self->left > 0))
        return self->left ? refuse_step() : end_range(self);
    self->left = -self->left;
    item = iterator_next(self);
    self->left = -self->left - 1;
    return LIKELY(item) ? item : end_range(self);
}

static PyType_Slot range_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("Yields the records between two keys.")},
    {Py_tp_traverse, iterator_traverse},
    {Py_tp_clear, iterator_clear},
    {Py_tp_dealloc, iterator_dealloc},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, range_next},
    {Py_tp_repr, iterator_repr},
    {0, NULL},
};

TYPE_SPEC(range, "RangeIterator", Iterator, Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION);

typedef struct {
    Bounds bounds;
    int reverse, include_start, include_stop;
    Py_ssize_t limit, offset;
} Range;

/* The value of limit or offset; Python refuses what is none, and cuts what is too large. */
static int take_count(CoreState *state, enum argument name, PyObject *object, Py_ssize_t *out)
{
    PyObject *count;

    if (PyLong_CheckExact(object) && (*out = PyLong_AsSsize_t(object)) >= 0)
        return 0;
    PyErr_Clear();
    if (take_python_side(state)) /* the cursor may never have been opened */
        return -1;
    count = PyObject_CallFunctionObjArgs(state->record_count, state->names[name], object, NULL);
    if (!count)
        return -1;
    *out = PyLong_AsSsize_t(count);
    Py_DECREF(count);
    return *out < 0 ? -1 : 0;
}

static int take_counts(CoreState *state, PyObject *const *given, Range *range)
{
    range->limit = PY_SSIZE_T_MAX;
    range->offset = 0;
    if (is_given(given[LIMIT]) && take_count(state, ARG_LIMIT, given[LIMIT], &range->limit))
        return -1;
    return given[OFFSET] ? take_count(state, ARG_OFFSET, given[OFFSET], &range->offset) : 0;
}

static int take_range(Cursor *cursor, PyObject *const *given, Range *range)
{
    if (take_bounds(cursor->state, given, &range->bounds) ||
        (range->reverse = get_flag(given[REVERSE], 0)) < 0 ||
        (range->include_start = get_flag(given[INCLUDE_START], 1)) < 0 ||
        (range->include_stop = get_flag(given[INCLUDE_STOP], 0)) < 0 ||
        take_counts(cursor->state, given, range))
        return -1;
    return check_prefix(cursor->state, "range", &range->bounds, cursor->slot->native.flags,
                        !range->include_start || range->include_stop);
}

/* Other threads run from time to time, and signal handlers; they cannot end the transaction. */
static int skip_records(Iterator *self, size_t count)
{
    Cursor *const cursor = self->cursor;
    int code = 0, rc = 0;

    enter_operation(cursor->txn);
    while (!(code = cursor->engine->range_skip(&self->iteration, &cursor->position, &count)) &&
           count && !(rc = PyErr_CheckSignals())) {
        Py_BEGIN_ALLOW_THREADS Py_END_ALLOW_THREADS
    }
    leave_operation(cursor->txn);
    return rc || found_record(cursor, "range", code) < 0 ? -1 : 0;
}

static PyObject *start_range(Cursor *cursor, const Range *range, int keys, int values)
{
    const Bytes *const first = first_key(&range->bounds), *const stop = end_key(&range->bounds);
    const struct pylmdb_range bounds = {{first->size, (void *)first->data},
                                        {stop->size, (void *)stop->data},
                                        !range->include_start,
                                        range->include_stop};
    Iterator *self = new_iterator(cursor->state->range_type, cursor, keys);

    if (!self)
        return NULL;
    self->left = range->limit;
    if (!started_iterator(self, "range", range->reverse ? stop : first,
                          cursor->engine->range_start(&self->iteration, &cursor->position, &bounds,
                                                      range->reverse, values)))
        return NULL;
    if (range->offset && skip_records(self, (size_t)range->offset)) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

PyObject *iterate_range(Cursor *cursor, PyObject *const *given)
{
    const int keys = get_flag(given[KEYS], 1), values = keys < 0 ? -1 : get_flag(given[VALUES], 1);
    PyObject *result = NULL;
    Range range;

    if (values < 0)
        return NULL;
    if (!keys && !values)
        return refused(cursor->state, "range of nothing");
    if (guard_cursor(cursor))
        return NULL;
    if (!take_range(cursor, given, &range))
        result = start_range(cursor, &range, keys, values);
    drop_bounds(&range.bounds);
    return result;
}

CURSOR_METHOD(range)
{
    static const Signature signature = {"range", 0, 2, RANGE_DB, {RANGE_NAMES}};
    PyObject *given[RANGE_ARGUMENTS];

    if (parse_arguments(self->state, &signature, args, nargs, kwnames, given))
        return NULL;
    return iterate_range(self, given);
}
