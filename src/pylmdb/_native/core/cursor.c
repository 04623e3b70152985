/* SPDX-License-Identifier: MIT */
/* CursorCore: its life, movements and reads.  position.h has the rules for its position. */
#include "core_docs.h"
#include "cursor.h"
#include "values.h"

/* -- life ----------------------------------------------------------------------- */

/* Open the native cursor of an object, which must not have one yet. */
static int open_position(Cursor *cursor, Transaction *txn, Slot *slot, NativeCursor *native)
{
    const struct pylmdb_engine *const engine = txn->engine;
    int rc = -1;

    if (open_native(txn, slot, &native->ptr))
        return -1;
    if (cursor->txn) /* opened by Python code that ran meanwhile */
        refuse_named(cursor->state, "cursor opened already");
    else if (engine->position_init(&cursor->position, native->ptr, slot->native.flags,
                                   txn->write ? (size_t *)&txn->mutations : NULL))
        PyErr_NoMemory();
    else
        rc = 0;
    if (rc)
        engine->cursor_close(native->ptr);
    return rc;
}

static int open_in(Cursor *cursor, Transaction *txn, PyObject *db)
{
    NativeCursor *native;
    Slot *slot;

    if (guard(txn) || !(slot = slot_for(txn, db)))
        return -1;
    if (!(native = PyMem_Calloc(1, sizeof(*native)))) {
        PyErr_NoMemory();
        return -1;
    }
    Py_INCREF(slot);
    if (open_position(cursor, txn, slot, native)) {
        Py_DECREF(slot);
        PyMem_Free(native);
        return -1;
    }
    native->generation = pylmdb_generation;
    native->owner = cursor;
    link_native_cursor(txn, native);
    cursor->native = native;
    cursor->is_open = 1;
    cursor->engine = txn->engine;
    cursor->slot = slot;
    cursor->txn = (Transaction *)Py_NewRef((PyObject *)txn);
    cursor->db = Py_XNewRef(db && db != Py_None ? db : txn->db);
    return 0;
}

PyObject *open_cursor(Transaction *txn, PyObject *db)
{
    PyTypeObject *type = (PyTypeObject *)txn->state->cursor_class;
    Cursor *cursor = (Cursor *)type->tp_alloc(type, 0);

    if (!cursor)
        return NULL;
    cursor->state = txn->state;
    if (open_in(cursor, txn, db)) {
        Py_DECREF(cursor);
        return NULL;
    }
    return (PyObject *)cursor;
}

static PyObject *cursor_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    CoreState *state = state_of(type);
    Cursor *cursor = state ? (Cursor *)type->tp_alloc(type, 0) : NULL;

    if (cursor)
        cursor->state = state;
    return (PyObject *)cursor;
}

static int cursor_init(Cursor *self, PyObject *args, PyObject *kwargs)
{
    static const Signature signature = {"Cursor", 2, 2, 2, {ARG_DB, ARG_TXN}};
    PyObject *given[2];

    if (parse_call(self->state, &signature, args, kwargs, given))
        return -1;
    if (!PyObject_TypeCheck(given[1], self->state->transaction_type))
        return refuse_with(self->state, "not a transaction", "sO", "txn", Py_TYPE(given[1]));
    if (self->txn)
        return refuse_named(self->state, "cursor opened already");
    return open_in(self, (Transaction *)given[1], given[0]);
}

static PyObject *cursor_close(Cursor *self, PyObject *ignored)
{
    if (self->native && self->txn->waiting && is_open(self->txn) && guard(self->txn))
        return NULL;
    if (self->native)
        drop_native_cursor(self->txn, self->native);
    Py_RETURN_NONE;
}

static int is_closed(Cursor *self)
{
    return !self->native || self->native->dropped || !self->slot->native.alive ||
           !is_open(self->txn);
}

static PyObject *cursor_get_closed(Cursor *self, void *ignored)
{
    return PyBool_FromLong(is_closed(self));
}

static PyObject *cursor_enter(Cursor *self, PyObject *ignored)
{
    if (is_closed(self) && guard_cursor_slow(self))
        return NULL;
    return Py_NewRef((PyObject *)self);
}

static PyObject *cursor_exit(Cursor *self, PyObject *const *args, Py_ssize_t nargs)
{
    return cursor_close(self, NULL);
}

static PyObject *cursor_get_engine(Cursor *self, void *ignored)
{
    if (!self->txn)
        return refused(self->state, "cursor never opened");
    return Py_NewRef(self->txn->shared->engine_object);
}

static PyObject *cursor_get_db(Cursor *self, void *ignored)
{
    if (!self->txn)
        Py_RETURN_NONE;
    if (!self->db)
        self->db = PyObject_CallMethod(self->txn->env, "_handle", "OO", Py_None, self->slot);
    return Py_XNewRef(self->db);
}

static int cursor_traverse(Cursor *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->txn);
    Py_VISIT(self->db);
    Py_VISIT(self->slot);
    return 0;
}

/* There is no tp_clear: every cycle contains an Environment, a subclass or another object that
 * has one. */
static void cursor_dealloc(Cursor *self)
{
    PyTypeObject *type = Py_TYPE(self);

    if (finalize((PyObject *)self))
        return;
    PyObject_GC_UnTrack(self);
    if (self->weakrefs)
        PyObject_ClearWeakRefs((PyObject *)self);
    if (self->native) {
        self->native->owner = NULL;
        drop_native_cursor(self->txn, self->native);
    }
    if (self->engine)
        self->engine->position_free(&self->position);
    Py_CLEAR(self->slot);
    Py_CLEAR(self->db);
    Py_CLEAR(self->txn);
    type->tp_free(self);
    Py_DECREF(type);
}

/* -- the guard ------------------------------------------------------------------ */

int guard_cursor_slow(Cursor *cursor)
{
    if (!cursor->txn)
        return refuse_named(cursor->state, "cursor never opened");
    if (guard(cursor->txn))
        return -1;
    if (cursor->native && !cursor->native->dropped && cursor->slot->native.alive) {
        if (!cursor->position.cursor && resume_cursor(cursor))
            return -1;
        if (cursor->position.cursor) /* NULL: it was closed meanwhile */
            return 0;
    }
    return refuse_named(cursor->state, "cursor ended");
}

/* _do(operation, *args): call operation(native cursor, *args); for code in Python. */
static PyObject *cursor_do(Cursor *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs < 1 || guard_cursor(self))
        return nargs < 1 ? PyErr_Format(PyExc_TypeError, "_do() needs an operation") : NULL;
    return call_in_operation(self->txn, "cursor_pointer", self->position.cursor, args, nargs);
}

/* -- movements ------------------------------------------------------------------ */

static inline int move_cursor(Cursor *cursor, const char *operation, int op)
{
    int code = pylmdb_quick_move(&cursor->position, cursor->engine->cursor_step, op);

    if (code == PYLMDB_NOT_QUICK)
        code = cursor->engine->position_move(&cursor->position, op);
    return found_record(cursor, operation, code);
}

/* clang-format off */
#define EACH_MOVEMENT(MOVE) \
    MOVE(first, FIRST) MOVE(first_dup, FIRST_DUP) \
    MOVE(last, LAST) MOVE(last_dup, LAST_DUP) \
    MOVE(next, NEXT) MOVE(next_dup, NEXT_DUP) MOVE(next_nodup, NEXT_NODUP) \
    MOVE(prev, PREV) MOVE(prev_dup, PREV_DUP) MOVE(prev_nodup, PREV_NODUP)
/* clang-format on */

#define MOVEMENT(name, op) \
    static PyObject *cursor_##name(Cursor *self, PyObject *ignored) \
    { \
        (void)ignored; \
        return guard_cursor(self) ? NULL : answer(move_cursor(self, #name, MDB_##op)); \
    }

EACH_MOVEMENT(MOVEMENT)

static PyObject *seek_one(Cursor *self, const char *operation, PyObject *object, int op)
{
    Bytes key;
    int found = -1;

    if (get_bytes("key", object, &key))
        return NULL;
    if (!guard_cursor(self))
        found = seek_cursor(self, operation, &key, op);
    drop_bytes(&key);
    return answer(found);
}

static PyObject *cursor_set_key(Cursor *self, PyObject *key)
{
    return seek_one(self, "set_key", key, MDB_SET_KEY);
}

static PyObject *cursor_set_range(Cursor *self, PyObject *key)
{
    return seek_one(self, "set_range", key, MDB_SET_RANGE);
}

#define SEEK_DUPLICATE(name, op) \
    static CURSOR_METHOD(name) \
    { \
        static const Signature signature = {#name, 2, 2, 2, {ARG_KEY, ARG_VALUE}}; \
        Given given; \
        int found = -1; \
\
        if (take_given(self->state, &signature, args, nargs, kwnames, &given)) \
            return NULL; \
        if (!guard_cursor(self)) \
            found = sought_record(self, #name, given.key.data, given.key.size, given.value.size, \
                                  self->engine->position_seek(&self->position, given.key.data, \
                                                              given.key.size, given.value.data, \
                                                              given.value.size, op)); \
        drop_given(&given); \
        return answer(found); \
    }

SEEK_DUPLICATE(set_key_dup, MDB_GET_BOTH)
SEEK_DUPLICATE(set_range_dup, MDB_GET_BOTH_RANGE)

/* -- reads ---------------------------------------------------------------------- */

/* Read the record under the cursor for the caller: 1, 0: there is none, -1: raised. */
static inline int show(Cursor *cursor)
{
    if (guard_cursor(cursor))
        return -1;
    if (LIKELY(!pylmdb_quick_show(&cursor->position)))
        return 1;
    return found_record(cursor, "cursor", cursor->engine->position_refresh(&cursor->position));
}

static inline PyObject *show_part(Cursor *self, const MDB_val *part)
{
    const int found = show(self);

    if (found <= 0)
        return found ? NULL : empty_value(self->txn);
    return to_python(self->txn, part);
}

static PyObject *cursor_key(Cursor *self, PyObject *ignored)
{
    return show_part(self, &self->position.key);
}

static PyObject *cursor_value(Cursor *self, PyObject *ignored)
{
    return show_part(self, &self->position.value);
}

static PyObject *cursor_view(Cursor *self, PyObject *ignored)
{
    const int found = show(self);

    if (found <= 0)
        return found ? NULL : PyMemoryView_FromObject(self->state->empty);
    return to_view(self->txn, &self->position.value);
}

static PyObject *cursor_item(Cursor *self, PyObject *ignored)
{
    PyObject *key = NULL, *value = NULL;
    const int found = show(self);

    if (found < 0)
        return NULL;
    if (found) {
        if (record_to_python(self->txn, &self->position.key, &self->position.value, &key, &value))
            return NULL;
    } else {
        if (!(key = empty_value(self->txn)))
            return NULL;
        if (!(value = empty_value(self->txn))) {
            Py_DECREF(key);
            return NULL;
        }
    }
    return make_pair(key, value);
}

static PyObject *cursor_peek(Cursor *self, PyObject *ignored)
{
    MDB_val key;
    int found;

    if (guard_cursor(self))
        return NULL;
    found = found_record(self, "repr", self->engine->position_peek(&self->position, &key));
    if (found <= 0)
        return found ? NULL : Py_NewRef(Py_None);
    return to_bytes(self->txn, &key);
}

static CURSOR_METHOD(get)
{
    static const Signature signature = {"get", 1, 2, 2, {ARG_KEY, ARG_DEFAULT}};
    PyObject *given[2], *result = NULL;
    Bytes key;
    int found;

    if (parse_arguments(self->state, &signature, args, nargs, kwnames, given) ||
        get_bytes("key", given[0], &key))
        return NULL;
    if (!guard_cursor(self)) {
        found = seek_cursor(self, "get", &key, MDB_SET_KEY);
        if (found > 0)
            result = to_python(self->txn, &self->position.value);
        else if (!found)
            result = Py_NewRef(given[1] ? given[1] : Py_None);
    }
    drop_bytes(&key);
    return result;
}

static PyObject *cursor_count(Cursor *self, PyObject *ignored)
{
    size_t count;
    int code;

    if (guard_cursor(self))
        return NULL;
    if ((code = self->engine->position_count(&self->position, &count)))
        return fail_database(self->state, "count", "mdb_cursor_count", code, self->slot);
    return PyLong_FromSize_t(count);
}

/* -- the type ------------------------------------------------------------------- */

#define PLAIN(name, doc) {#name, METHOD(cursor_##name), METH_NOARGS, doc}
#define MOVEMENT_ROW(name, op) PLAIN(name, DOC_CURSOR_##op),
#define WITH_KEYWORDS(name, doc) {#name, METHOD(cursor_##name), KEYWORDS, doc}

static PyMethodDef cursor_methods[] = {
    EACH_MOVEMENT(MOVEMENT_ROW){"set_key", METHOD(cursor_set_key), METH_O, DOC_CURSOR_SET_KEY},
    {"set_range", METHOD(cursor_set_range), METH_O, DOC_CURSOR_SET_RANGE},
    WITH_KEYWORDS(set_key_dup, DOC_CURSOR_SET_KEY_DUP),
    WITH_KEYWORDS(set_range_dup, DOC_CURSOR_SET_RANGE_DUP),
    PLAIN(key, DOC_CURSOR_KEY),
    PLAIN(value, DOC_CURSOR_VALUE),
    PLAIN(view, DOC_CURSOR_VIEW),
    PLAIN(item, DOC_CURSOR_ITEM),
    WITH_KEYWORDS(get, DOC_CURSOR_GET),
    PLAIN(count, DOC_CURSOR_COUNT),
    WITH_KEYWORDS(put, DOC_CURSOR_PUT),
    WITH_KEYWORDS(putmulti, DOC_CURSOR_PUTMULTI),
    WITH_KEYWORDS(delete, DOC_CURSOR_DELETE),
    WITH_KEYWORDS(pop, DOC_CURSOR_POP),
    WITH_KEYWORDS(replace, DOC_CURSOR_REPLACE),
    WITH_KEYWORDS(getmulti, DOC_CURSOR_GETMULTI),
    WITH_KEYWORDS(iternext, DOC_CURSOR_ITERNEXT),
    WITH_KEYWORDS(iternext_dup, DOC_CURSOR_ITERNEXT_DUP),
    WITH_KEYWORDS(iternext_nodup, DOC_CURSOR_ITERNEXT_NODUP),
    WITH_KEYWORDS(iterprev, DOC_CURSOR_ITERPREV),
    WITH_KEYWORDS(iterprev_dup, DOC_CURSOR_ITERPREV_DUP),
    WITH_KEYWORDS(iterprev_nodup, DOC_CURSOR_ITERPREV_NODUP),
    WITH_KEYWORDS(range, DOC_CURSOR_RANGE),
    PLAIN(close, DOC_CURSOR_CLOSE),
    {"__enter__", METHOD(cursor_enter), METH_NOARGS, DOC_CURSOR___ENTER__},
    {"__exit__", METHOD(cursor_exit), METH_FASTCALL, DOC_CURSOR___EXIT__},
    {"_do", METHOD(cursor_do), METH_FASTCALL, DOC_CURSORCORE__DO},
    {"_peek", METHOD(cursor_peek), METH_NOARGS, DOC_CURSORCORE__PEEK},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef cursor_getset[] = {
    {"closed", (getter)cursor_get_closed, NULL, DOC_CURSOR_CLOSED, NULL},
    {"_engine", (getter)cursor_get_engine, NULL, DOC_CURSORCORE__ENGINE, NULL},
    {"db", (getter)cursor_get_db, NULL, PyDoc_STR("The database handle."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef cursor_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Cursor, weakrefs), READONLY, NULL},
    {"txn", T_OBJECT, offsetof(Cursor, txn), READONLY, NULL},
    {"_slot", T_OBJECT, offsetof(Cursor, slot), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot cursor_slots[] = {
    {Py_tp_doc, (void *)DOC_CURSORCORE}, {Py_tp_new, cursor_new},
    {Py_tp_init, cursor_init},           {Py_tp_traverse, cursor_traverse},
    {Py_tp_dealloc, cursor_dealloc},     {Py_tp_iter, cursor_iter},
    {Py_tp_methods, cursor_methods},     {Py_tp_getset, cursor_getset},
    {Py_tp_members, cursor_members},     {0, NULL},
};

TYPE_SPEC(cursor, "CursorCore", Cursor, Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC);
