/* SPDX-License-Identifier: MIT */
/* TransactionCore: the operations per record, the methods that begin and end it, and the type. */
#include "core_docs.h"
#include "cursor.h"
#include "ranges.h"
#include "values.h"

/* -- records -------------------------------------------------------------------- */

static inline int get_in(Transaction *txn, Slot *slot, const Bytes *key, MDB_val *value)
{
    return txn->engine->get(txn->native.ptr, slot->native.dbi, slot->native.flags, key->data,
                            key->size, value);
}

/* Raise for a code of an operation on a record; value_size is NO_VALUE if it has no value. */
static PyObject *fail_unless_raised(Transaction *txn, const char *operation, const char *what,
                                    int code, const Slot *slot, const Bytes *key, size_t value_size)
{
    return code == RAISED ? NULL
                          : fail_record(txn->state, operation, what, code, slot, key->data,
                                        key->size, value_size);
}

typedef PyObject *Converter(Transaction *txn, const MDB_val *value);

static inline PyObject *get_as(Transaction *self, PyObject *object, PyObject *otherwise,
                               PyObject *db, Converter *convert)
{
    PyObject *result = NULL;
    Bytes key;
    MDB_val value;
    Slot *slot;
    int code;

    if (get_bytes("key", object, &key))
        return NULL;
    if (LIKELY(!guard(self) && (slot = slot_for(self, db)))) {
        code = get_in(self, slot, &key, &value);
        if (LIKELY(!code))
            result = convert(self, &value);
        else if (LIKELY(code == MDB_NOTFOUND))
            result = Py_NewRef(otherwise ? otherwise : Py_None);
        else
            fail_unless_raised(self, "get", "mdb_get", code, slot, &key, NO_VALUE);
    }
    drop_bytes(&key);
    return result;
}

static TRANSACTION_METHOD(get)
{
    static const Signature signature = {"get", 1, 3, 3, {ARG_KEY, ARG_DEFAULT, ARG_DB}};
    PyObject *given[3];

    if (LIKELY(nargs == 1 && !kwnames))
        return get_as(self, args[0], NULL, NULL, to_python);
    if (parse_arguments(self->state, &signature, args, nargs, kwnames, given))
        return NULL;
    return get_as(self, given[0], given[1], given[2], to_python);
}

static int transaction_contains(Transaction *self, PyObject *object)
{
    int code, found = -1;
    MDB_val value;
    Slot *slot;
    Bytes key;

    if (get_bytes("key", object, &key))
        return -1;
    if (!guard(self) && (slot = slot_for(self, NULL))) {
        code = get_in(self, slot, &key, &value);
        if (!code || code == MDB_NOTFOUND)
            found = !code;
        else
            fail_unless_raised(self, "in", "mdb_get", code, slot, &key, NO_VALUE);
    }
    drop_bytes(&key);
    return found;
}

static TRANSACTION_METHOD(view)
{
    static const Signature signature = {"view", 1, 3, 3, {ARG_KEY, ARG_DEFAULT, ARG_DB}};
    PyObject *given[3];

    if (parse_arguments(self->state, &signature, args, nargs, kwnames, given))
        return NULL;
    return get_as(self, given[0], given[1], given[2], to_view);
}

static TRANSACTION_METHOD(get_array)
{
    static const Signature signature = {
        "get_array", 1, 4, 4, {ARG_KEY, ARG_DEFAULT, ARG_COPY, ARG_DB}};
    PyObject *given[4];
    int copy;

    if (parse_arguments(self->state, &signature, args, nargs, kwnames, given) ||
        (copy = get_flag(given[2], 0)) < 0)
        return NULL;
    return get_as(self, given[0], given[1], given[3], copy ? to_own_array : to_array);
}

/* If room is not NULL, *room becomes the address to which the caller writes the value. */
static int put_in(Transaction *txn, Slot *slot, const Bytes *key, const Bytes *value, int flags,
                  void **room)
{
    txn->mutations += txn->write;
    if (room)
        return txn->engine->reserve(txn->native.ptr, slot->native.dbi, slot->native.flags,
                                    key->data, key->size, value->size, (unsigned int)flags, room);
    return txn->engine->put(txn->native.ptr, slot->native.dbi, slot->native.flags, key->data,
                            key->size, value->data, value->size, (unsigned int)flags);
}

/* Copy a buffer that is not contiguous directly into its page, if possible. */
static int put_strided(Transaction *txn, Slot *slot, const Bytes *key, const Bytes *value,
                       int flags)
{
    PyObject *joined;
    Bytes copy;
    void *page;
    int code;

    if (value->view.suboffsets || slot->native.flags & MDB_DUPSORT) {
        if (!(joined = joined_strided(value)))
            return RAISED;
        copy.data = PyBytes_AS_STRING(joined);
        copy.size = value->size;
        code = put_in(txn, slot, key, &copy, flags, NULL);
        Py_DECREF(joined);
    } else if (!(code = put_in(txn, slot, key, value, flags, &page))) {
        copy_strided(page, value);
    }
    return code;
}

/* What put() returns: True; False if there was a record; NULL for an exception. */
static inline PyObject *answer_put(Transaction *txn, int code, const Slot *slot, const Bytes *key,
                                   const Bytes *value)
{
    if (LIKELY(!code || code == MDB_KEYEXIST))
        return PyBool_FromLong(!code);
    return fail_unless_raised(txn, "put", "mdb_put", code, slot, key, value->size);
}

/* In a read transaction it fails as every put() does. */
static PyObject *put_if_in(Transaction *txn, Slot *slot, const Bytes *key, const Bytes *value,
                           const Bytes *expected, int flags)
{
    const char *refusal = pylmdb_put_if_refusal(!(flags & MDB_NOOVERWRITE), flags & MDB_APPEND,
                                                slot->native.flags & MDB_DUPSORT);

    if (refusal)
        return refused(txn->state, refusal);
    if (!txn->write)
        return answer_put(txn, put_in(txn, slot, key, value, 0, NULL), slot, key, value);
    txn->mutations++;
    return answer_put(txn,
                      txn->engine->put_if(txn->native.ptr, slot->native.dbi, slot->native.flags,
                                          key->data, key->size, value->data, value->size,
                                          expected->data, expected->size),
                      slot, key, value);
}

/* put() with if_value; None: if the key does not exist. */
static PyObject *put_if(Transaction *txn, PyObject *db, const Bytes *key, const Bytes *value,
                        PyObject *if_value, int flags)
{
    PyObject *result = NULL;
    Bytes expected;
    Slot *slot;

    expected.data = NULL;
    expected.size = 0;
    expected.owner = NULL;
    if (if_value != Py_None && get_bytes("if_value", if_value, &expected))
        return NULL;
    if (!guard(txn) && (slot = slot_for(txn, db)))
        result = put_if_in(txn, slot, key, value, &expected, flags);
    drop_bytes(&expected);
    return result;
}

static TRANSACTION_METHOD(put)
{
    static const Signature signature = {
        "put",
        2,
        6,
        7,
        {ARG_KEY, ARG_VALUE, ARG_DUPDATA, ARG_OVERWRITE, ARG_APPEND, ARG_DB, ARG_IF_VALUE}};
    PyObject *given[7], *result = NULL;
    Bytes key, value;
    Slot *slot;
    int flags, conditional;

    if (parse_arguments(self->state, &signature, args, nargs, kwnames, given) ||
        (flags = put_flags(given[2], given[3], given[4])) < 0 || get_bytes("key", given[0], &key))
        return NULL;
    conditional = given[6] && given[6] != Py_Ellipsis;
    if (PyBytes_CheckExact(given[1]) || conditional ? !get_bytes("value", given[1], &value)
                                                    : !get_strided("value", given[1], &value)) {
        if (conditional)
            result = put_if(self, given[5], &key, &value, given[6], flags);
        else if (!guard(self) && (slot = slot_for(self, given[5])))
            result = answer_put(self,
                                value.data ? put_in(self, slot, &key, &value, flags, NULL)
                                           : put_strided(self, slot, &key, &value, flags),
                                slot, &key, &value);
        drop_bytes(&value);
    }
    drop_bytes(&key);
    return result;
}

/* Return True; False if there was no such record; NULL for an exception. */
static PyObject *delete_in(Transaction *txn, Slot *slot, const Bytes *key, const Bytes *value)
{
    int code;

    txn->mutations += txn->write;
    code = txn->engine->del(txn->native.ptr, slot->native.dbi, slot->native.flags, key->data,
                            key->size, value->data, value->size);
    if (LIKELY(!code || code == MDB_NOTFOUND))
        return PyBool_FromLong(!code);
    return fail_unless_raised(txn, "delete", "mdb_del", code, slot, key,
                              value->data ? value->size : NO_VALUE);
}

static TRANSACTION_METHOD(delete)
{
    static const Signature signature = {"delete", 1, 3, 3, {ARG_KEY, ARG_VALUE, ARG_DB}};
    PyObject *result = NULL;
    Given given;
    Slot *slot;

    if (take_given(self->state, &signature, args, nargs, kwnames, &given))
        return NULL;
    if (!guard(self) && (slot = slot_for(self, given.objects[2])))
        result = delete_in(self, slot, &given.key, &given.value);
    drop_given(&given);
    return result;
}

/* The old value, which pop() and replace() return. */
typedef struct {
    Transaction *txn;
    PyObject *old;
} Taken;

static int take_old(void *context, const MDB_val *old)
{
    Taken *taken = context;

    return (taken->old = to_bytes(taken->txn, old)) ? 0 : RAISED;
}

/* pop(), or replace() if there is a value, with one search.  Return 0 and the old value or None in
 * *out; RAISED; or PYLMDB_NOT_QUICK, if a cursor is needed. */
static int take_quickly(Transaction *txn, Slot *slot, const Given *given, PyObject **out)
{
    const MDB_val key = {given->key.size, (void *)given->key.data};
    MDB_val value = {given->value.size, (void *)given->value.data};
    MDB_val *const stored = value.mv_data ? &value : NULL;
    Taken taken = {txn, NULL};
    const int code =
        txn->engine->exchange(txn->native.ptr, slot->native.dbi, &key, stored, take_old, &taken);

    if (code == PYLMDB_NOT_QUICK)
        return code;
    txn->mutations += txn->write;
    if (code && (code != MDB_NOTFOUND || stored)) {
        Py_XDECREF(taken.old);
        fail_unless_raised(txn, stored ? "replace" : "pop",
                           stored ? "mdb_cursor_put" : "mdb_cursor_del", code, slot, &given->key,
                           stored ? value.mv_size : NO_VALUE);
        return RAISED;
    }
    *out = taken.old ? taken.old : Py_NewRef(Py_None);
    return 0;
}

static PyObject *take_with_cursor(Transaction *txn, PyObject *db, const Given *given)
{
    Cursor *cursor = (Cursor *)open_cursor(txn, db);
    PyObject *result;

    if (!cursor)
        return NULL;
    enter_operation(txn);
    result = given->value.data ? replace_record(cursor, &given->key, &given->value)
                               : pop_record(cursor, &given->key);
    leave_operation(txn);
    Py_DECREF(cursor);
    return result;
}

static PyObject *take_record(Transaction *txn, PyObject *db, const Given *given)
{
    PyObject *result = NULL;
    Slot *slot;
    int rc;

    if (guard(txn) || !(slot = slot_for(txn, db)))
        return NULL;
    enter_operation(txn);
    Py_INCREF(slot);
    rc = take_quickly(txn, slot, given, &result);
    Py_DECREF(slot);
    leave_operation(txn);
    return rc == PYLMDB_NOT_QUICK ? take_with_cursor(txn, db, given) : result;
}

static TRANSACTION_METHOD(pop)
{
    static const Signature signature = {"pop", 1, 2, 2, {ARG_KEY, ARG_DB}};
    PyObject *result;
    Given given;

    if (take_given(self->state, &signature, args, nargs, kwnames, &given))
        return NULL;
    result = take_record(self, given.objects[1], &given);
    drop_given(&given);
    return result;
}

static TRANSACTION_METHOD(replace)
{
    static const Signature signature = {"replace", 2, 3, 3, {ARG_KEY, ARG_VALUE, ARG_DB}};
    PyObject *result;
    Given given;

    if (take_given(self->state, &signature, args, nargs, kwnames, &given))
        return NULL;
    result = take_record(self, given.objects[2], &given);
    drop_given(&given);
    return result;
}

static TRANSACTION_METHOD(cursor)
{
    static const Signature signature = {"cursor", 0, 1, 1, {ARG_DB}};
    PyObject *given[1];

    if (parse_arguments(self->state, &signature, args, nargs, kwnames, given))
        return NULL;
    return open_cursor(self, given[0]);
}

static TRANSACTION_METHOD(range)
{
    static const Signature signature = {"range", 0, 2, RANGE_ARGUMENTS, {RANGE_NAMES, ARG_DB}};
    PyObject *given[RANGE_ARGUMENTS], *cursor, *result;

    if (parse_arguments(self->state, &signature, args, nargs, kwnames, given) ||
        !(cursor = open_cursor(self, given[RANGE_DB])))
        return NULL;
    result = iterate_range((Cursor *)cursor, given);
    Py_DECREF(cursor);
    return result;
}

/* -- life ----------------------------------------------------------------------- */

static PyObject *transaction_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    CoreState *state = state_of(type);

    return state ? (PyObject *)new_transaction(state, type) : NULL;
}

static int transaction_init(Transaction *self, PyObject *args, PyObject *kwargs)
{
    static const Signature signature = {
        "Transaction",
        1,
        5,
        8,
        {ARG_ENV, ARG_DB, ARG_PARENT, ARG_WRITE, ARG_BUFFERS, ARG_TIMEOUT, ARG_SYNC, ARG_METASYNC},
    };
    CoreState *state = self->state;
    PyObject *given[8], *shared;
    int rc;

    if (parse_call(state, &signature, args, kwargs, given))
        return -1;
    if (!PyObject_TypeCheck(given[0], state->environment_type))
        return refuse_with(state, "not an environment", "O", Py_TYPE(given[0]));
    if (!(shared = PyObject_CallMethod(given[0], "_use", NULL)))
        return -1;
    if (PyObject_TypeCheck(shared, state->shared_type)) {
        rc = transaction_begin(self, given[0], (Shared *)shared, given + 1);
    } else {
        PyErr_SetString(PyExc_TypeError, "env belongs to another engine");
        rc = -1;
    }
    Py_DECREF(shared);
    return rc;
}

static int refuse_lost(Transaction *self)
{
    return is_lost(self) ? refuse_named(self->state, "transaction of another process") : 0;
}

/* The transaction has ended: what it has noted is logged.  None, or NULL: raised. */
static PyObject *ended(const Transaction *self)
{
    if (LIKELY(!self->write || self->parent || !self->shared || !has_notes(self->shared)))
        Py_RETURN_NONE;
    return ask((PyObject *)self->shared, "log_notes", "()");
}

static PyObject *transaction_commit(Transaction *self, PyObject *ignored)
{
    PyObject *result;
    int code = 0;

    /* An inherited read transaction needs no end. */
    if ((!is_usable(self) || self->children) && !(is_inherited(self) && is_open(self)) &&
        refuse(self, self->write))
        return NULL;
    if (self->write)
        code = commit_transaction(self);
    else
        revoke_transaction(self);
    result = ended(self);
    if (!code || !result)
        return result;
    Py_DECREF(result);
    return fail_database(self->state, "commit", "mdb_txn_commit", code, self->shared->main);
}

static PyObject *transaction_abort(Transaction *self, PyObject *ignored)
{
    if (refuse_lost(self))
        return NULL;
    revoke_transaction(self);
    self->ended = 1;
    return ended(self);
}

static PyObject *transaction_enter(Transaction *self, PyObject *ignored)
{
    if (refuse_lost(self))
        return NULL;
    if (!is_open(self))
        return refused(self->state, "transaction ended");
    return Py_NewRef((PyObject *)self);
}

static PyObject *transaction_exit(Transaction *self, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *result;

    if (nargs && args[0] != Py_None) {
        revoke_transaction(self);
        return ended(self);
    }
    if (self->native.ptr && !self->revoked) {
        result = transaction_commit(self, NULL);
        if (!result && PyErr_ExceptionMatches(self->state->wrong_thread_error))
            revoke_transaction(self);
        return result;
    }
    if (self->write && !self->ended)
        return refused(self->state, "transaction ended from outside");
    Py_RETURN_NONE;
}

/* -- for code in Python --------------------------------------------------------- */

static PyObject *transaction_do(Transaction *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs < 1 || guard(self))
        return nargs < 1 ? PyErr_Format(PyExc_TypeError, "_do() needs an operation") : NULL;
    return call_in_operation(self, "transaction_pointer", self->native.ptr, args, nargs);
}

static PyObject *transaction_slot_in(Transaction *self, PyObject *const *args, Py_ssize_t nargs)
{
    Slot *slot;

    if (nargs != 2)
        return PyErr_Format(PyExc_TypeError, "_slot_in() takes 2 arguments");
    if (guard_again(self))
        return NULL;
    slot = slot_for(self, args[1]);
    return slot ? Py_NewRef((PyObject *)slot) : NULL;
}

static PyObject *transaction_whole(Transaction *self, PyObject *ignored)
{
    return guard_again(self) ? NULL : whole_map(self);
}

/* Inside _do: the program has memory of a page from now on. */
static PyObject *transaction_begin_reservation(Transaction *self, PyObject *ignored)
{
    enter_operation(self);
    self->top->reserved = 1;
    Py_RETURN_NONE;
}

static PyObject *transaction_end_reservation(Transaction *self, PyObject *ignored)
{
    if (self->top && self->top->reserved) {
        self->top->reserved = 0;
        leave_operation(self);
    }
    Py_RETURN_NONE;
}

/* _note_dropped(slot, dies) */
static PyObject *transaction_note_dropped(Transaction *self, PyObject *const *args,
                                          Py_ssize_t nargs)
{
    NativeCursor *native = self->cursors, *next;

    if (nargs != 2 || !PyObject_TypeCheck(args[0], self->state->slot_type) ||
        ((Slot *)args[0])->shared != (PyObject *)self->shared)
        return PyErr_Format(PyExc_TypeError,
                            "_note_dropped() takes a DbSlot of its environment, and a flag");
    self->engine->slots_drop(&self->shared->slots, &self->handles, &((Slot *)args[0])->native,
                             args[1] == Py_True);
    for (; native; native = next) {
        next = native->next;
        if (native->owner && !native->dropped &&
            native->owner->slot->native.held & PYLMDB_IN_DROPPED)
            close_native_cursor(self, native);
    }
    Py_RETURN_NONE;
}

static PyObject *transaction_get_closed(Transaction *self, void *ignored)
{
    return PyBool_FromLong(!is_open(self));
}

static PyObject *transaction_get_engine(Transaction *self, void *ignored)
{
    if (!self->shared)
        return refused(self->state, "transaction never begun");
    return Py_NewRef(self->shared->engine_object);
}

/* -- the type ------------------------------------------------------------------- */

#define WITH_KEYWORDS(name, doc) {#name, METHOD(transaction_##name), KEYWORDS, doc}

static PyMethodDef transaction_methods[] = {
    WITH_KEYWORDS(get, DOC_TRANSACTION_GET),
    WITH_KEYWORDS(view, DOC_TRANSACTION_VIEW),
    WITH_KEYWORDS(get_array, DOC_TRANSACTIONARRAYS_GET_ARRAY),
    WITH_KEYWORDS(get_many, DOC_TRANSACTION_GET_MANY),
    WITH_KEYWORDS(first, DOC_TRANSACTION_FIRST),
    WITH_KEYWORDS(last, DOC_TRANSACTION_LAST),
    WITH_KEYWORDS(floor, DOC_TRANSACTION_FLOOR),
    WITH_KEYWORDS(ceiling, DOC_TRANSACTION_CEILING),
    WITH_KEYWORDS(next_id, DOC_TRANSACTION_NEXT_ID),
    WITH_KEYWORDS(put, DOC_TRANSACTION_PUT),
    WITH_KEYWORDS(delete, DOC_TRANSACTION_DELETE),
    WITH_KEYWORDS(pop, DOC_TRANSACTION_POP),
    WITH_KEYWORDS(replace, DOC_TRANSACTION_REPLACE),
    WITH_KEYWORDS(cursor, DOC_TRANSACTION_CURSOR),
    WITH_KEYWORDS(range, DOC_TRANSACTION_RANGE),
    WITH_KEYWORDS(count, DOC_TRANSACTION_COUNT),
    WITH_KEYWORDS(delete_range, DOC_TRANSACTION_DELETE_RANGE),
    WITH_KEYWORDS(stat, DOC_TRANSACTION_STAT),
    {"id", METHOD(transaction_id), METH_NOARGS, DOC_TRANSACTION_ID},
    {"commit", METHOD(transaction_commit), METH_NOARGS, DOC_TRANSACTION_COMMIT},
    {"abort", METHOD(transaction_abort), METH_NOARGS, DOC_TRANSACTION_ABORT},
    {"__enter__", METHOD(transaction_enter), METH_NOARGS, DOC_TRANSACTION___ENTER__},
    {"__exit__", METHOD(transaction_exit), METH_FASTCALL, DOC_TRANSACTION___EXIT__},
    {"_has_many", METHOD(transaction_has_many), METH_FASTCALL, DOC_TRANSACTIONCORE__HAS_MANY},
    {"_do", METHOD(transaction_do), METH_FASTCALL, DOC_TRANSACTIONCORE__DO},
    {"_slot_in", METHOD(transaction_slot_in), METH_FASTCALL, DOC_TRANSACTIONCORE__SLOT_IN},
    {"_whole", METHOD(transaction_whole), METH_NOARGS, DOC_TRANSACTIONCORE__WHOLE},
    {"_begin_reservation", METHOD(transaction_begin_reservation), METH_NOARGS,
     DOC_TRANSACTIONCORE__BEGIN_RESERVATION},
    {"_end_reservation", METHOD(transaction_end_reservation), METH_NOARGS,
     PyDoc_STR("_end_reservation($self, /)\n--\n\nThe program no longer has the memory.")},
    {"_note_dropped", METHOD(transaction_note_dropped), METH_FASTCALL,
     DOC_TRANSACTIONCORE__NOTE_DROPPED},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef transaction_getset[] = {
    {"closed", (getter)transaction_get_closed, NULL, DOC_TRANSACTION_CLOSED, NULL},
    {"_engine", (getter)transaction_get_engine, NULL, DOC_TRANSACTIONCORE__ENGINE, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef transaction_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Transaction, weakrefs), READONLY, NULL},
    {"env", T_OBJECT, offsetof(Transaction, env), READONLY, NULL},
    {"_shared", T_OBJECT, offsetof(Transaction, shared), READONLY, NULL},
    {"_parent", T_OBJECT, offsetof(Transaction, parent), READONLY, NULL},
    {"_write", T_BOOL, offsetof(Transaction, write), READONLY, NULL},
    {"_thread", T_ULONGLONG, offsetof(Transaction, thread), READONLY, NULL},
    {"_mutations", T_PYSSIZET, offsetof(Transaction, mutations), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot transaction_slots[] = {
    {Py_tp_doc, (void *)DOC_TRANSACTIONCORE}, {Py_tp_new, transaction_new},
    {Py_tp_init, transaction_init},           {Py_tp_traverse, transaction_traverse},
    {Py_tp_dealloc, transaction_dealloc},     {Py_tp_methods, transaction_methods},
    {Py_tp_getset, transaction_getset},       {Py_tp_members, transaction_members},
    {Py_sq_contains, transaction_contains},   {0, NULL},
};

TYPE_SPEC(transaction, "TransactionCore", Transaction, Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC);
