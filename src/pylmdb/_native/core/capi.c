/* SPDX-License-Identifier: MIT */
/* The C API for other extensions; pylmdb.h documents it.
 * Its functions find the module's state through the objects that they get, and static variables
 * would be wrong after the module was imported anew. */
#include "native_holds.h"
#include "values.h"

#include <stddef.h>
#include <string.h>

#define SAME_NUMBER(name) _Static_assert((int)PYLMDB_##name == (int)MDB_##name, #name)
SAME_NUMBER(KEYEXIST);
SAME_NUMBER(NOTFOUND);
SAME_NUMBER(CORRUPTED);
SAME_NUMBER(REVERSEKEY);
SAME_NUMBER(DUPSORT);
SAME_NUMBER(INTEGERKEY);
SAME_NUMBER(NOOVERWRITE);
SAME_NUMBER(NODUPDATA);
SAME_NUMBER(APPEND);
SAME_NUMBER(GET_BOTH);
SAME_NUMBER(GET_BOTH_RANGE);
SAME_NUMBER(SET_KEY);
SAME_NUMBER(SET_RANGE);

_Static_assert(sizeof(PyLMDB_Value) == sizeof(MDB_val) &&
                   offsetof(PyLMDB_Value, data) == offsetof(MDB_val, mv_data),
               "a PyLMDB_Value has the layout of an MDB_val");

enum { PUT_FLAGS = MDB_NOOVERWRITE | MDB_NODUPDATA | MDB_APPEND };

/* The movements that need no key. */
#define PLAIN_MOVEMENTS \
    (1u << MDB_FIRST | 1u << MDB_FIRST_DUP | 1u << MDB_LAST | 1u << MDB_LAST_DUP | \
     1u << MDB_NEXT | 1u << MDB_NEXT_DUP | 1u << MDB_NEXT_NODUP | 1u << MDB_PREV | \
     1u << MDB_PREV_DUP | 1u << MDB_PREV_NODUP)

/* -- objects -------------------------------------------------------------------- */

static CoreState *state_if_ours(PyObject *object)
{
    CoreState *state = state_of(Py_TYPE(object));

    if (!state)
        PyErr_Clear();
    return state;
}

static int capi_is_a(PyObject *object, int kind)
{
    CoreState *state = state_if_ours(object);
    PyTypeObject *type = NULL;

    if (!state)
        return 0;
    if (kind == PYLMDB_ENVIRONMENT)
        type = state->environment_type;
    else if (kind == PYLMDB_TRANSACTION)
        type = state->transaction_type;
    else if (kind == PYLMDB_CURSOR)
        type = state->cursor_type;
    else if (kind == PYLMDB_DATABASE)
        type = state->database_type;
    return type && PyObject_TypeCheck(object, type);
}

/* The state of the module that is imported, to refuse an object that is not of it. */
static CoreState *imported_state(void)
{
    PyObject *module = PyImport_ImportModule("pylmdb._core");
    CoreState *state = module ? PyModule_GetState(module) : NULL;

    Py_XDECREF(module);
    return state;
}

static PyObject *capi_open(PyObject *path, PyObject *options)
{
    PyObject *package = PyImport_ImportModule("pylmdb");
    PyObject *open = package ? PyObject_GetAttrString(package, "open") : NULL;
    PyObject *args = open ? PyTuple_Pack(1, path) : NULL;
    PyObject *env = args ? PyObject_Call(open, args, options) : NULL;

    Py_XDECREF(args);
    Py_XDECREF(open);
    Py_XDECREF(package);
    return env;
}

static PyObject *capi_begin(PyObject *env, int write, double timeout)
{
    PyObject *begin, *args, *options, *txn = NULL;

    if (!capi_is_a(env, PYLMDB_ENVIRONMENT)) {
        CoreState *state = imported_state();

        return state ? refused_with(state, "not an environment", "O", Py_TYPE(env)) : NULL;
    }
    begin = PyObject_GetAttrString(env, "begin");
    args = PyTuple_New(0);
    options = timeout < 0 ? Py_BuildValue("{sO}", "write", write ? Py_True : Py_False)
                          : Py_BuildValue("{sOsd}", "write", write ? Py_True : Py_False, "timeout",
                                          timeout);
    if (begin && args && options)
        txn = PyObject_Call(begin, args, options);
    Py_XDECREF(options);
    Py_XDECREF(args);
    Py_XDECREF(begin);
    return txn;
}

static Transaction *as_transaction(PyObject *object)
{
    CoreState *state = state_if_ours(object);

    if (LIKELY(state && PyObject_TypeCheck(object, state->transaction_type)))
        return (Transaction *)object;
    if (state || (state = imported_state()))
        refuse_with(state, "not a transaction", "sO", "txn", Py_TYPE(object));
    return NULL;
}

static int end_by(PyObject *object, const char *method)
{
    PyObject *result = as_transaction(object) ? PyObject_CallMethod(object, method, NULL) : NULL;

    Py_XDECREF(result);
    return result ? 0 : -1;
}

static int capi_commit(PyObject *txn)
{
    return end_by(txn, "commit");
}

static int capi_abort(PyObject *txn)
{
    return end_by(txn, "abort");
}

/* -- holds ---------------------------------------------------------------------- */

static struct native_hold *inside(PyLMDB_Hold *hold)
{
    return (struct native_hold *)hold;
}

/* liblmdb, and Py_BuildValue(), need an address also if there is nothing to copy. */
static inline const void *some_address(const void *data)
{
    return data ? data : "";
}

static PyLMDB_Hold *capi_acquire(PyObject *object, PyObject *db)
{
    Transaction *txn = as_transaction(object);

    return txn ? (PyLMDB_Hold *)acquire_hold(txn, db) : NULL;
}

static void capi_release(PyLMDB_Hold *hold)
{
    if (hold)
        release_hold(inside(hold));
}

static int is_in_map(Transaction *txn, const PyLMDB_Value *value)
{
    size_t size, at;
    const char *base = txn->engine->env_map(txn->shared->pool->env, &size);

    if (!size)
        return 1; /* the address of the map is unknown */
    at = (size_t)((const char *)value->data - base);
    return at <= size && value->size <= size - at;
}

static PyObject *capi_view(PyLMDB_Hold *shown, const PyLMDB_Value *value)
{
    struct native_hold *hold = inside(shown);
    Transaction *txn = hold->txn;
    const MDB_val native = {value->size, value->data};

    if (hold->generation != pylmdb_generation)
        return refused(txn->state, "hold of another process");
    if (!is_open(txn))
        return refused(txn->state, "transaction ended");
    if (!txn->thread && !is_in_map(txn, value)) {
        PyErr_SetString(PyExc_ValueError, "PyLMDB_View: the value is not in the memory map");
        return NULL;
    }
    return to_view(txn, &native);
}

static PyObject *capi_set_error(PyLMDB_Hold *shown, int code)
{
    struct native_hold *hold = inside(shown);
    CoreState *state = hold->txn->state;
    const char *operation = hold->failed.operation, *what = hold->failed.what;

    if (code == PYLMDB_FORKED)
        return refused(state, "hold of another process");
    if (!operation)
        return fail(state, "pylmdb.h", code);
    if (!hold->failed.has_key)
        return fail_database(state, operation, what, code, hold->slot);
    return fail_record(state, operation, what, code, hold->slot, some_address(hold->failed.key),
                       hold->failed.key_size, hold->failed.value_size);
}

/* -- what has failed ------------------------------------------------------------ */

/* A copy for capi_set_error(); 0: there is no memory for it. */
static int copy_key(struct native_hold *hold, const void *key, size_t size)
{
    if (size > hold->failed.room) {
        PyMem_RawFree(hold->failed.key);
        hold->failed.key = PyMem_RawMalloc(size);
        hold->failed.room = hold->failed.key ? size : 0;
    }
    if (size > hold->failed.room)
        return 0;
    if (size)
        memcpy(hold->failed.key, key, size);
    hold->failed.key_size = size;
    return 1;
}

/* Note it for capi_set_error(), and return the code. */
static COLD int failed(struct native_hold *hold, int code, const char *operation, const char *what,
                       const void *key, size_t key_size, size_t value_size)
{
    hold->failed.operation = operation;
    hold->failed.what = what;
    hold->failed.has_key = key && copy_key(hold, key, key_size);
    hold->failed.value_size = value_size;
    return code == PYLMDB_OTHER_WIDTH ? PYLMDB_BAD_VALSIZE : code;
}

static inline int is_forked(const struct native_hold *hold)
{
    return hold->generation != pylmdb_generation;
}

/* 0, or a code: also without a record, or with one that could not be stored, a read transaction
 * answers that it cannot write. */
static int check_write(struct native_hold *hold, const char *operation, const char *what)
{
    if (is_forked(hold))
        return PYLMDB_FORKED;
    return LIKELY(hold->writes) ? 0 : failed(hold, EACCES, operation, what, NULL, 0, NO_VALUE);
}

/* -- records -------------------------------------------------------------------- */

static int capi_get(PyLMDB_Hold *shown, const void *key, size_t key_size, PyLMDB_Value *value)
{
    struct native_hold *hold = inside(shown);
    MDB_val found;
    int code;

    if (is_forked(hold))
        return PYLMDB_FORKED;
    key = some_address(key);
    code = hold->engine->get(shown->txn, shown->dbi, shown->flags, key, key_size, &found);
    if (LIKELY(!code)) {
        value->size = found.mv_size;
        value->data = found.mv_data;
        return 0;
    }
    return failed(hold, code, "get", "mdb_get", key, key_size, NO_VALUE);
}

static int capi_put(PyLMDB_Hold *shown, const void *key, size_t key_size, const void *value,
                    size_t value_size, unsigned int flags)
{
    struct native_hold *hold = inside(shown);
    int code = check_write(hold, "put", "mdb_put");

    if (code)
        return code;
    if (flags & ~(unsigned int)PUT_FLAGS)
        return failed(hold, EINVAL, "put", "mdb_put", NULL, 0, NO_VALUE);
    key = some_address(key);
    ++*hold->writes;
    code = hold->engine->put(shown->txn, shown->dbi, shown->flags, key, key_size,
                             some_address(value), value_size, flags);
    return LIKELY(!code) ? 0 : failed(hold, code, "put", "mdb_put", key, key_size, value_size);
}

static int capi_delete(PyLMDB_Hold *shown, const void *key, size_t key_size, const void *value,
                       size_t value_size)
{
    struct native_hold *hold = inside(shown);
    int code = check_write(hold, "delete", "mdb_del");

    if (code)
        return code;
    key = some_address(key);
    ++*hold->writes;
    code =
        hold->engine->del(shown->txn, shown->dbi, shown->flags, key, key_size, value, value_size);
    return LIKELY(!code) ? 0
                         : failed(hold, code, "delete", "mdb_del", key, key_size,
                                  value ? value_size : NO_VALUE);
}

/* -- cursors -------------------------------------------------------------------- */

static int open_cursor_of(struct native_hold *hold, PyLMDB_Cursor **out)
{
    PyLMDB_Cursor *cursor;
    MDB_cursor *native;
    int code;

    if (is_forked(hold))
        return PYLMDB_FORKED;
    if (!(cursor = PyMem_RawCalloc(1, sizeof(*cursor))))
        return ENOMEM;
    code = hold->engine->cursor_open(hold->shown.txn, hold->shown.dbi, &native);
    if (!code && (code = hold->engine->position_init(&cursor->position, native, hold->shown.flags,
                                                     hold->writes)))
        hold->engine->cursor_close(native);
    if (code) {
        PyMem_RawFree(cursor);
        return failed(hold, code, "cursor", "mdb_cursor_open", NULL, 0, NO_VALUE);
    }
    cursor->hold = hold;
    cursor->next = hold->cursors;
    if (cursor->next)
        cursor->next->previous = cursor;
    hold->cursors = *out = cursor;
    return 0;
}

static int capi_cursor_open(PyLMDB_Hold *hold, PyLMDB_Cursor **out)
{
    *out = NULL;
    return open_cursor_of(inside(hold), out);
}

static void capi_cursor_close(PyLMDB_Cursor *cursor)
{
    if (cursor)
        close_held_cursor(cursor);
}

static int seek(PyLMDB_Cursor *cursor, int movement, const PyLMDB_Value *key,
                const PyLMDB_Value *value)
{
    const int both = movement == MDB_GET_BOTH || movement == MDB_GET_BOTH_RANGE;
    int code;

    if (!key || (both && !value))
        return failed(cursor->hold, EINVAL, "cursor", "mdb_cursor_get", NULL, 0, NO_VALUE);
    code = cursor->hold->engine->position_seek(&cursor->position, some_address(key->data),
                                               key->size, both ? some_address(value->data) : NULL,
                                               both ? value->size : 0, movement);
    return code ? failed(cursor->hold, code, "cursor", "mdb_cursor_get", some_address(key->data),
                         key->size, both ? value->size : NO_VALUE)
                : 0;
}

/* Read the record again, as cursor.item() does. */
static int read_again(PyLMDB_Cursor *cursor)
{
    if (!pylmdb_quick_show(&cursor->position))
        return 0;
    return cursor->hold->engine->position_refresh(&cursor->position);
}

/* By a movement that needs no key. */
static int move(PyLMDB_Cursor *cursor, int movement)
{
    const struct pylmdb_engine *engine = cursor->hold->engine;
    int code;

    if (movement == PYLMDB_GET_CURRENT)
        return read_again(cursor);
    if ((unsigned int)movement >= 32 || !(PLAIN_MOVEMENTS >> movement & 1))
        return EINVAL;
    code = pylmdb_quick_move(&cursor->position, engine->cursor_step, movement);

    if (code == PYLMDB_NOT_QUICK)
        code = engine->position_move(&cursor->position, movement);
    if (!code && PYLMDB_UNTOLD >> movement & 1)
        code = engine->position_refresh(&cursor->position);
    return code;
}

/* The movements that are not a mere step. */
static COLD int move_and_show(PyLMDB_Cursor *cursor, int movement, PyLMDB_Value *key,
                              PyLMDB_Value *value)
{
    const struct pylmdb_position *position = &cursor->position;
    int code;

    if (movement == MDB_SET_KEY || movement == MDB_SET_RANGE || movement == MDB_GET_BOTH ||
        movement == MDB_GET_BOTH_RANGE) {
        if ((code = seek(cursor, movement, key, value)))
            return code;
    } else if ((code = move(cursor, movement))) {
        return failed(cursor->hold, code, "cursor", "mdb_cursor_get", NULL, 0, NO_VALUE);
    }
    if (key)
        *key = (PyLMDB_Value){position->key.mv_size, position->key.mv_data};
    if (value)
        *value = (PyLMDB_Value){position->value.mv_size, position->value.mv_data};
    return 0;
}

/* A step to the next record stores it where the caller wants it, and not in the position. */
static int capi_cursor_move(PyLMDB_Cursor *cursor, int movement, PyLMDB_Value *key,
                            PyLMDB_Value *value)
{
    const struct native_hold *hold = cursor->hold;
    struct pylmdb_position *position = &cursor->position;
    int code = PYLMDB_NOT_QUICK;

    if (is_forked(hold))
        return PYLMDB_FORKED;
    if (LIKELY(movement == MDB_NEXT || movement == MDB_PREV))
        code = pylmdb_quick_read(position, hold->engine->cursor_step, movement,
                                 key ? (MDB_val *)key : &position->key, (MDB_val *)value,
                                 PYLMDB_NOT_FRESH);
    if (LIKELY(!code))
        return 0;
    if (code == PYLMDB_NOT_QUICK)
        return move_and_show(cursor, movement, key, value);
    return failed(cursor->hold, code, "cursor", "mdb_cursor_get", NULL, 0, NO_VALUE);
}

static int capi_cursor_delete(PyLMDB_Cursor *cursor, int all_values)
{
    int code = check_write(cursor->hold, "delete", "mdb_cursor_del");

    if (code)
        return code;
    code = cursor->hold->engine->position_delete(&cursor->position, all_values);
    return code ? failed(cursor->hold, code, "delete", cursor->position.failed, NULL, 0, NO_VALUE)
                : 0;
}

/* -- ranges --------------------------------------------------------------------- */

static MDB_val bound(const PyLMDB_Value *key)
{
    return key ? (MDB_val){key->size, (void *)some_address(key->data)} : (MDB_val){0, NULL};
}

/* Nothing else moves this cursor.  So after each record that a step has found, the engine can walk
 * through the rest of the page by itself. */
static int each_record(PyLMDB_Cursor *cursor, struct pylmdb_iteration *iteration, int values,
                       PyLMDB_OnRecord *on_record, void *context, int *answer)
{
    const struct pylmdb_engine *engine = cursor->hold->engine;
    struct pylmdb_position *position = &cursor->position;
    const struct pylmdb_walk walk = {
        .op = iteration->op,
        .values = values,
        .bound = iteration->bound,
        .includes_bound = iteration->includes_bound,
        .forks = &pylmdb_generation,
        .forks_then = cursor->hold->generation,
        .on_record = on_record,
        .context = context,
    };
    int code;

    for (*answer = 0; !*answer;) {
        if (is_forked(cursor->hold)) /* by the function */
            return PYLMDB_FORKED;
        code = pylmdb_quick_next(iteration, position, engine->cursor_step);
        if (code == PYLMDB_NOT_QUICK)
            code = engine->iteration_next(iteration, position);
        if (code)
            return code;
        const PyLMDB_Value key = {position->key.mv_size, position->key.mv_data};
        const PyLMDB_Value value = {position->value.mv_size, position->value.mv_data};

        *answer = on_record(context, &key, values ? &value : NULL);
        if (!*answer)
            *answer = engine->walk_page(position->cursor, &walk);
    }
    return 0;
}

static int capi_range(PyLMDB_Hold *shown, const PyLMDB_Value *start, const PyLMDB_Value *stop,
                      unsigned int flags, PyLMDB_OnRecord *on_record, void *context)
{
    struct native_hold *hold = inside(shown);
    const struct pylmdb_range range = {bound(start), bound(stop),
                                       !!(flags & PYLMDB_RANGE_EXCLUDE_START),
                                       !!(flags & PYLMDB_RANGE_INCLUDE_STOP)};
    const int values = !(flags & PYLMDB_RANGE_NO_VALUES);
    struct pylmdb_iteration iteration = {0};
    PyLMDB_Cursor *cursor = NULL;
    int code, answer = 0;

    if ((code = open_cursor_of(hold, &cursor)))
        return code;
    code = hold->engine->range_start(&iteration, &cursor->position, &range,
                                     !!(flags & PYLMDB_RANGE_REVERSE), values);
    if (!code)
        code = each_record(cursor, &iteration, values, on_record, context, &answer);
    hold->engine->iteration_free(&iteration);
    close_held_cursor(cursor);
    if (answer || code == MDB_NOTFOUND)
        return answer;
    return code ? failed(hold, code, "range", "mdb_cursor_get", NULL, 0, NO_VALUE) : 0;
}

/* -- the table ------------------------------------------------------------------ */

static const PyLMDB_API table = {
    .abi_major = PYLMDB_ABI_MAJOR,
    .abi_minor = PYLMDB_ABI_MINOR,
    .size = sizeof(PyLMDB_API),
    .version = PYLMDB_VERSION_STRING,
    .is_a = capi_is_a,
    .open = capi_open,
    .begin = capi_begin,
    .commit = capi_commit,
    .abort = capi_abort,
    .acquire = capi_acquire,
    .release = capi_release,
    .view = capi_view,
    .set_error = capi_set_error,
    .get = capi_get,
    .put = capi_put,
    .del = capi_delete,
    .range = capi_range,
    .cursor_open = capi_cursor_open,
    .cursor_close = capi_cursor_close,
    .cursor_move = capi_cursor_move,
    .cursor_delete = capi_cursor_delete,
};

int add_capi(PyObject *module)
{
    PyObject *capsule = PyCapsule_New((void *)&table, "pylmdb._core._C_API", NULL);
    PyObject *version = Py_BuildValue("(ii)", PYLMDB_ABI_MAJOR, PYLMDB_ABI_MINOR);
    const int rc = !capsule || !version || PyObject_SetAttrString(module, "_C_API", capsule) ||
                           PyObject_SetAttrString(module, "C_API_VERSION", version)
                       ? -1
                       : 0;

    Py_XDECREF(version);
    Py_XDECREF(capsule);
    return rc;
}
