/* SPDX-License-Identifier: MIT */
/* How transactions end.
 * A Transaction can be dropped, closed and interrupted at any moment and in any thread.  Ending
 * has two halves.  Revoking sets a flag: from then on the transaction is ended for the program.
 * Finishing ends the native transaction.  It must wait until no operation of the transaction tree
 * (a top-level transaction and those nested in it) is in progress: neither in another thread,
 * which has released the GIL, nor further down on the stack of this one.  The operation that
 * leaves last finishes what was revoked.  So an end never waits, and an operation never finds its
 * native transaction or cursor gone.
 * Nothing here raises.  An end can run Python code, which closes the environment.  If an exception
 * of a signal handler interrupts that code, it is called again.
 */
#include "guard.h"

#include <errno.h>

/* Environments of this process that have a writer (borrowed; under the GIL). */
static Shared *writing;

void take_gate(Shared *shared, Transaction *txn)
{
    shared->writer = txn;
    shared->next_writing = (PyObject *)writing;
    writing = shared;
}

static void wake_waiters(Shared *shared)
{
    PyObject *gate = PyObject_GetAttrString((PyObject *)shared, "gate");
    PyObject *result = gate ? PyObject_CallMethod(gate, "wake", NULL) : NULL;

    if (!result)
        PyErr_WriteUnraisable((PyObject *)shared);
    Py_XDECREF(result);
    Py_XDECREF(gate);
}

void leave_gate(Shared *shared)
{
    Shared **link = &writing;

    shared->writer = NULL;
    while (*link && *link != shared)
        link = (Shared **)&(*link)->next_writing;
    if (*link)
        *link = (Shared *)shared->next_writing;
    shared->next_writing = NULL;
    if (shared->waiting)
        wake_waiters(shared);
}

/* Whether an abort would lose changes. */
static int is_changed(Transaction *txn)
{
    int changed;

    if (!txn->write || !txn->native.ptr || txn->native.generation != pylmdb_generation)
        return 0;
    changed = txn->engine->txn_is_changed(txn->native.ptr);
    return changed < 0 ? txn->mutations > 0 : changed;
}

/* The options of its Environment, or if the garbage collector has cleared that, those of the first
 * one. */
static PyObject *options_of(Transaction *txn)
{
    PyObject *options = PyObject_GetAttrString(txn->env, "_options");

    if (options == Py_None)
        Py_SETREF(options, PyObject_GetAttrString((PyObject *)txn->shared, "options"));
    return options;
}

/* The warning has no reference to the transaction, which may be in its deallocation. */
static void warn_of_loss(Transaction *txn)
{
    PyObject *options = options_of(txn);
    PyObject *path = options ? PyObject_GetAttrString(options, "given_path") : NULL;
    PyObject *lost = path ? make_refusal(txn->state, "sO", "changes lost", path) : NULL;

    if (!lost || PyErr_ResourceWarning(NULL, 1, "%S", lost))
        PyErr_WriteUnraisable((PyObject *)Py_TYPE(txn));
    Py_XDECREF(lost);
    Py_XDECREF(path);
    Py_XDECREF(options);
}

/* end_thread(number): end the write transactions that a thread has left open.  Another thread may
 * call it. */
PyObject *end_thread(PyObject *module, PyObject *object)
{
    const unsigned long long number = PyLong_AsUnsignedLongLong(object);
    Shared *shared = writing;

    if (number == (unsigned long long)-1 && PyErr_Occurred())
        return NULL;
    /* The next write transaction must register the thread again: a thread that Python has not
     * started ends, for Python, after each call into Python. */
    if (number == current_thread())
        this_thread()->known = 0;
    while (shared) {
        Transaction *txn = shared->writer;

        if (txn->thread == number && !txn->revoked) {
            const int lost = is_changed(txn);

            Py_INCREF(txn);
            revoke_transaction(txn);
            if (lost)
                warn_of_loss(txn);
            Py_DECREF(txn);
            shared = writing;
        } else {
            shared = (Shared *)shared->next_writing;
        }
    }
    Py_RETURN_NONE;
}

/* -- finishing ------------------------------------------------------------------ */

void enter_operation(Transaction *txn)
{
    txn->top->operations++;
    txn->top->usable_in = 0;
    txn->top->operating_thread = current_thread();
}

static void leave_tree(Transaction *top)
{
    top->operations--;
    allow_use(top);
}

static void commit_native(Transaction *txn)
{
    MDB_env *env = txn->parent ? NULL : txn->shared->pool->env;

    Py_BEGIN_ALLOW_THREADS txn->engine->commit(&txn->native, env, txn->sync_flags);
    Py_END_ALLOW_THREADS
}

static int has_handles(const Transaction *txn)
{
    return txn->handles.opened || txn->handles.dropped;
}

static void end_writer(Transaction *txn, int commit)
{
    HandleLock *lock;

    if (!has_handles(txn) && !commit) {
        txn->engine->abort(&txn->native);
        return;
    }
    enter_operation(txn);
    lock = has_handles(txn) ? lock_handles(txn->shared) : NULL;
    if (commit)
        commit_native(txn);
    else
        txn->engine->abort(&txn->native);
    if (lock) {
        settle_handles(txn, commit && !txn->native.code);
        unlock_handles(lock);
    }
    if (txn->parent)
        txn->parent->mutations++;
    leave_tree(txn->top);
}

/* Add it to the transactions that end with their Environment. */
void link_to_environment(Transaction *txn)
{
    Shared *shared = txn->shared;

    txn->older = shared->newest;
    if (txn->older)
        txn->older->newer = txn;
    shared->newest = txn;
    txn->ready = 1;
    allow_use(txn->top);
}

void unlink_from_environment(Transaction *txn)
{
    if (txn->newer)
        txn->newer->older = txn->older;
    else if (txn->shared->newest == txn)
        txn->shared->newest = txn->older;
    if (txn->older)
        txn->older->newer = txn->newer;
    txn->older = txn->newer = NULL;
}

static void unlink_transaction(Transaction *txn)
{
    Transaction **link;

    if (txn->parent) {
        for (link = &txn->parent->children; *link && *link != txn;)
            link = &(*link)->next_sibling;
        if (*link)
            *link = txn->next_sibling;
        txn->parent->ready =
            !txn->parent->children && !txn->parent->revoked && txn->parent->native.ptr;
    }
    unlink_from_environment(txn);
    if (txn->shared->writer == txn)
        leave_gate(txn->shared);
}

/* End it natively; no operation is in progress. */
static void finish(Transaction *txn, int commit)
{
    if (txn->finished)
        return;
    txn->finished = 1;
    while (txn->children) {
        Transaction *child = txn->children;
        const int dying = child->dying; /* its memory can be freed once it is finished */

        child->revoked = 1;
        child->ready = 0;
        if (!dying)
            Py_INCREF(child);
        if (child->finished)
            unlink_transaction(child);
        else
            finish(child, 0);
        if (!dying)
            Py_DECREF(child);
    }
    while (txn->cursors)
        close_native_cursor(txn, txn->cursors);
    if (txn->native.generation == pylmdb_generation) {
        if (txn->write || txn->parent)
            end_writer(txn, commit);
        else if (txn->whole)
            end_views(txn);
        else
            end_native_reader(txn->shared, &txn->native);
    } else if (has_handles(txn)) {
        settle_handles(txn, 0); /* so that the table of the parent can be freed */
    }
    unlink_transaction(txn);
    leave_shared(txn->shared);
}

/* An innermost transaction of the tree that was revoked and is not finished. */
static Transaction *find_revoked(Transaction *txn)
{
    Transaction *child, *found;

    for (child = txn->children; child; child = child->next_sibling)
        if ((found = find_revoked(child)))
            return found;
    return txn->revoked && !txn->finished && !txn->dying ? txn : NULL;
}

/* Called when an operation leaves: the last one finishes what was revoked meanwhile. */
void finish_waiting(Transaction *top)
{
    Transaction *txn;
    PyObject *kind, *value, *traceback;

    if (LIKELY(!top->dirty) || top->dying || top->operations || top->copiers)
        return;
    PyErr_Fetch(&kind, &value, &traceback);
    Py_INCREF(top);
    while (top->dirty && !top->operations && !top->copiers) {
        top->dirty = 0;
        close_dropped_in_tree(top);
        while ((txn = find_revoked(top))) {
            Py_INCREF(txn);
            finish(txn, 0);
            Py_DECREF(txn);
        }
    }
    Py_DECREF(top);
    PyErr_Restore(kind, value, traceback);
}

void leave_operation(Transaction *txn)
{
    leave_tree(txn->top);
    finish_waiting(txn->top);
}

/* finish() for a read transaction without cursors, views and children, whose environment stays
 * open. */
static int finish_quickly(Transaction *txn)
{
    if (txn->write || txn->parent || txn->cursors || txn->whole || txn->operations ||
        txn->copiers || !txn->native.ptr || !txn->shared->admitting ||
        txn->native.generation != pylmdb_generation)
        return 0;
    txn->revoked = txn->finished = 1;
    txn->ready = 0;
    end_native_reader(txn->shared, &txn->native);
    unlink_from_environment(txn);
    return 1;
}

/* In a forked child only flags are set, because the native transaction belongs to the parent. */
void revoke_transaction(Transaction *txn)
{
    Transaction *const top = txn->top;
    PyObject *kind, *value, *traceback;
    Transaction *child;

    if (txn->finished || !top || LIKELY(finish_quickly(txn)))
        return;
    for (child = txn->children; child; child = child->next_sibling) {
        child->revoked = 1;
        child->ready = 0;
    }
    txn->revoked = 1;
    txn->ready = 0;
    if (txn->native.generation == pylmdb_generation && (top->operations || top->copiers)) {
        top->dirty = 1;
        return;
    }
    PyErr_Fetch(&kind, &value, &traceback);
    finish(txn, 0);
    if (top != txn)
        finish_waiting(top);
    PyErr_Restore(kind, value, traceback);
}

/* The transaction has no references, so an operation of its tree further down on this stack does
 * not use it, and it can be ended now.  But an operation in another thread may be inside liblmdb.
 * Python code that runs here must not deallocate it again, so it gets a reference meanwhile. */
void finish_dying(Transaction *txn, int dropped)
{
    PyObject *kind, *value, *traceback;
    Transaction *const top = txn->top;
    int lost;

    if (!top || txn->finished || LIKELY(finish_quickly(txn)))
        return;
    PyErr_Fetch(&kind, &value, &traceback);
    Py_SET_REFCNT(txn, 1);
    while (top->operations && top->operating_thread != current_thread() &&
           txn->native.generation == pylmdb_generation)
        let_others_run();
    lost = dropped && is_changed(txn);
    finish(txn, 0);
    if (top != txn)
        finish_waiting(top);
    if (lost)
        warn_of_loss(txn);
    Py_SET_REFCNT(txn, 0);
    PyErr_Restore(kind, value, traceback);
}

int commit_transaction(Transaction *txn)
{
    int code;

    Py_INCREF(txn);
    txn->revoked = 1;
    txn->ready = 0;
    finish(txn, 1);
    txn->ended = 1;
    finish_waiting(txn->top);
    code = txn->native.code;
    Py_DECREF(txn);
    return code;
}
