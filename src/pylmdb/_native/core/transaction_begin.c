/* SPDX-License-Identifier: MIT */
/* How transactions begin: at once if possible, else through Python code (_slow_paths.py), which
 * waits, clears dead readers and adopts a grown map. */
#include "arguments.h"
#include "guard.h"

#include <errno.h>

static const Signature begin_signature = {
    "begin",
    0,
    4,
    7,
    {ARG_DB, ARG_PARENT, ARG_WRITE, ARG_BUFFERS, ARG_TIMEOUT, ARG_SYNC, ARG_METASYNC},
};

static PyObject *address_of(void *pointer)
{
    return PyLong_FromVoidPtr(pointer);
}

/* Calls slow.<method>(shared, address of the native transaction, extra...). */
static int ask_slow(Transaction *txn, const char *method, PyObject *first, PyObject *second)
{
    PyObject *address = address_of(&txn->native);
    PyObject *result = NULL;

    enter_operation(txn); /* an end that comes meanwhile waits for this */
    if (address)
        result = PyObject_CallMethod(txn->shared->slow, method, "OOOO", txn->shared, address,
                                     first ? first : Py_None, second ? second : Py_None);
    Py_XDECREF(address);
    Py_XDECREF(result);
    leave_operation(txn);
    if (result && txn->revoked)
        return refuse_named(txn->state, "transaction ended while it began");
    return result ? 0 : -1;
}

static int begin_reader(Transaction *txn)
{
    if (LIKELY(txn->shared->admitting) && LIKELY(!begin_quick(txn->shared, &txn->native)))
        return LIKELY(!has_notes(txn->shared)) ? 0 : ask_slow(txn, "log_notes", NULL, NULL);
    return ask_slow(txn, "begin_reader", NULL, NULL);
}

/* -- children ------------------------------------------------------------------ */

static int check_parent(Transaction *txn, Transaction *parent)
{
    const char *refusal = pylmdb_child_refusal(
        txn->write, txn->engine->features & PYLMDB_READONLY_CHILDREN, is_inherited(parent),
        parent->native.ptr && !parent->revoked, parent->write, parent->shared == txn->shared);

    return refusal ? refuse_named(txn->state, refusal) : 0;
}

static int has_only_readers(Transaction *parent)
{
    Transaction *child;

    for (child = parent->children; child; child = child->next_sibling)
        if (child->write && !child->revoked)
            return 0;
    return 1;
}

static int begin_child(Transaction *txn, PyObject *object)
{
    CoreState *state = txn->state;
    Transaction *parent = (Transaction *)object;
    int rc;

    if (!PyObject_TypeCheck(object, state->transaction_type))
        return refuse_with(state, "not a transaction", "sO", "parent", Py_TYPE(object));
    if (check_parent(txn, parent))
        return -1;
    /* LMDB 1.0 allows several read-only children at once, and no other operation meanwhile. */
    if (refuse(parent, !txn->write && has_only_readers(parent)))
        return -1;
    if (txn->revoked) /* while refuse() waited */
        return refuse_named(state, "transaction ended while it began");
    if (parent->depth >= PYLMDB_MAX_DEPTH)
        return refuse_with(state, "nested too deep", "i", PYLMDB_MAX_DEPTH);
    rc = txn->engine->begin(&txn->native, parent->native.pool, parent->native.ptr,
                            txn->write ? 0 : MDB_RDONLY, -1);
    if (rc) {
        fail_database(state, "begin", "mdb_txn_begin", rc, txn->shared->main);
        return -1;
    }
    txn->parent = (Transaction *)Py_NewRef(object);
    txn->top = parent->top;
    txn->thread = parent->thread;
    txn->depth = parent->depth + 1;
    txn->next_sibling = parent->children;
    parent->children = txn;
    parent->ready = 0;
    return 0;
}

/* -- writers ------------------------------------------------------------------- */

/* So that write transactions which a thread leaves open end with it. */
static int know_thread(Transaction *txn, struct thread *thread)
{
    PyObject *number;
    int rc;

    if (LIKELY(thread->known))
        return 0;
    if (!(number = PyLong_FromUnsignedLongLong(txn->thread)))
        return -1;
    if (!(rc = ask_slow(txn, "know_thread", number, NULL)))
        thread->known = 1;
    Py_DECREF(number);
    return rc;
}

/* A thread that writes again and again leaves the gate and enters it without releasing the GIL, so
 * a thread that it has woken would find the gate taken, each time.  So the last one to enter lets
 * the others run first, for a while. */
static void let_waiters_enter(Shared *shared)
{
    int tries;

    if (shared->last_writer == current_thread())
        for (tries = 0; tries < 10 && shared->waiting && !shared->writer; tries++)
            let_others_run();
}

/* One Deadline for all slices of a wait, so that it knows when the wait began. */
static int make_deadline(Transaction *txn, PyObject **deadline)
{
    enter_operation(txn);
    *deadline = PyObject_CallOneArg(txn->state->deadline_of, Py_None);
    leave_operation(txn);
    if (*deadline && txn->revoked)
        return refuse_named(txn->state, "transaction ended while it began");
    return *deadline ? 0 : -1;
}

static int enter_gate(Transaction *txn, PyObject **deadline)
{
    Shared *shared = txn->shared;
    int rc;

    let_waiters_enter(shared);
    while (shared->writer) {
        if (shared->writer->thread == current_thread())
            return refuse_named(txn->state, "thread has a writer");
        if (!*deadline) {
            if (make_deadline(txn, deadline))
                return -1;
            continue; /* that may have run Python code */
        }
        shared->waiting++;
        rc = ask_slow(txn, "wait_for_gate", txn->env, *deadline);
        shared->waiting--;
        if (rc)
            return -1;
    }
    take_gate(shared, txn);
    shared->last_writer = txn->thread;
    return 0;
}

static int begin_writer(Transaction *txn, PyObject **deadline)
{
    Shared *shared = txn->shared;
    struct thread *thread = this_thread();

    txn->thread = thread->number;
    if (know_thread(txn, thread))
        return -1;
    if (enter_gate(txn, deadline))
        return -1;
    if (LIKELY(shared->admitting) &&
        LIKELY(!txn->engine->begin(&txn->native, shared->pool, NULL, 0, 0)))
        return 0;
    if (!ask_slow(txn, "begin_writer", txn->env, *deadline))
        return 0;
    return -1;
}

/* -- all ----------------------------------------------------------------------- */

/* MDB_NOSYNC and MDB_NOMETASYNC for the commit. */
static int get_sync_flags(const EnvironmentCore *env, PyObject *sync, PyObject *metasync,
                          unsigned int *out)
{
    const int wanted = get_flag(sync == Py_None ? NULL : sync, env->sync);
    const int meta =
        wanted < 0 ? -1 : get_flag(metasync == Py_None ? NULL : metasync, env->metasync);

    if (meta < 0)
        return -1;
    *out = (wanted ? 0 : MDB_NOSYNC) | (meta ? 0 : MDB_NOMETASYNC);
    return 0;
}

/* The environment may have been closed while its transaction began. */
static int join_environment(Transaction *txn)
{
    Shared *shared = txn->shared;

    link_to_environment(txn);
    if (LIKELY(((EnvironmentCore *)txn->env)->shared == (PyObject *)shared))
        return 0;
    return ask_slow(txn, "check_open", txn->env, NULL);
}

static int begin_native(Transaction *txn, PyObject *parent, PyObject **deadline)
{
    txn->top = txn;
    txn->native.generation = pylmdb_generation;
    if (is_given(parent))
        return begin_child(txn, parent);
    if (!txn->write)
        return begin_reader(txn);
    return begin_writer(txn, deadline);
}

static int set_database(Transaction *txn, PyObject *db)
{
    Slot *slot = slot_for(txn, db);

    if (!slot)
        return -1;
    Py_XSETREF(txn->slot, (Slot *)Py_NewRef((PyObject *)slot));
    txn->db = Py_NewRef(db);
    return 0;
}

/* Convert the arguments of begin(), which can run Python code. */
static int read_options(Transaction *txn, PyObject *env, PyObject *const *args, PyObject **deadline)
{
    const int write = get_flag(args[2], 0);
    const int buffers = write < 0 ? -1 : get_flag(args[3], 0);

    unsigned int sync_flags = 0;

    if (buffers < 0)
        return -1;
    if ((write || args[5] || args[6]) &&
        get_sync_flags((EnvironmentCore *)env, args[5], args[6], &sync_flags))
        return -1;
    if (is_given(args[4]) && !(*deadline = PyObject_CallOneArg(txn->state->deadline_of, args[4])))
        return -1;
    if (txn->begun)
        return refuse_named(txn->state, "transaction begun already");
    txn->begun = 1;
    txn->write = (char)write;
    txn->buffers = (char)buffers;
    txn->sync_flags = sync_flags;
    return 0;
}

static int begin_with(Transaction *txn, PyObject *const *args, PyObject **deadline)
{
    if (txn->write && ((EnvironmentCore *)txn->env)->readonly)
        return refuse_with(txn->state, "environment is read-only", "s", "begin");
    if (begin_native(txn, args[1], deadline) || join_environment(txn))
        return -1;
    return is_given(args[0]) ? set_database(txn, args[0]) : 0;
}

/* env is an Environment; args are those of begin(). */
int transaction_begin(Transaction *txn, PyObject *env, Shared *shared, PyObject *const *args)
{
    PyObject *deadline = NULL;
    int rc = read_options(txn, env, args, &deadline);

    if (!rc) {
        txn->env = Py_NewRef(env);
        txn->shared = (Shared *)Py_NewRef((PyObject *)shared);
        txn->engine = shared->engine;
        txn->slot = (Slot *)Py_NewRef((PyObject *)shared->main);
        txn->handles.reuses = shared->slots.reuses;
        if ((rc = begin_with(txn, args, &deadline)))
            revoke_transaction(txn);
    }
    Py_XDECREF(deadline);
    return rc;
}

/* Environment.begin() with a known native environment. */
PyObject *begin_for(Shared *shared, PyObject *env, PyObject *const *args, Py_ssize_t nargs,
                    PyObject *kwnames)
{
    CoreState *state = shared->state;
    PyObject *given[7];
    Transaction *txn;

    if (parse_arguments(state, &begin_signature, args, nargs, kwnames, given))
        return NULL;
    if (!(txn = new_transaction(state, (PyTypeObject *)state->transaction_class)))
        return NULL;
    if (transaction_begin(txn, env, shared, given)) {
        Py_DECREF(txn);
        return NULL;
    }
    return (PyObject *)txn;
}
