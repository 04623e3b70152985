/* SPDX-License-Identifier: MIT */
/* HandleLock: held while database handles are opened, dropped, or settled at the end of a
 * transaction.  A thread may take it several times.  Its fields change under the GIL only, so
 * taking it costs two comparisons if it is free. */
#include "core_docs.h"
#include "guard.h"

/* Whether the thread has the lock now. */
static int take_lock(HandleLock *lock)
{
    const unsigned long long thread = current_thread();

    if (lock->depth && lock->owner != thread)
        return 0;
    lock->owner = thread;
    lock->depth++;
    return 1;
}

HandleLock *try_lock_handles(Shared *shared)
{
    HandleLock *lock = shared->dbi_lock;

    if (!lock || !take_lock(lock))
        return NULL;
    return (HandleLock *)Py_NewRef((PyObject *)lock); /* a forked child gets another one */
}

HandleLock *lock_handles(Shared *shared)
{
    HandleLock *lock;

    while (!(lock = try_lock_handles(shared)))
        let_others_run();
    return lock;
}

void unlock_handles(HandleLock *lock)
{
    lock->depth--;
    Py_DECREF(lock);
}

static PyObject *lock_enter(HandleLock *self, PyObject *ignored)
{
    while (!take_lock(self)) {
        let_others_run();
        if (PyErr_CheckSignals())
            return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *lock_exit(HandleLock *self, PyObject *const *args, Py_ssize_t nargs)
{
    self->depth--;
    Py_RETURN_NONE;
}

static void lock_dealloc(HandleLock *self)
{
    PyTypeObject *type = Py_TYPE(self);

    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef lock_methods[] = {
    {"__enter__", METHOD(lock_enter), METH_NOARGS, DOC_HANDLELOCK___ENTER__},
    {"__exit__", METHOD(lock_exit), METH_FASTCALL, DOC_HANDLELOCK___EXIT__},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot lock_slots[] = {
    {Py_tp_doc, (void *)DOC_HANDLELOCK},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_dealloc, lock_dealloc},
    {Py_tp_methods, lock_methods},
    {0, NULL},
};

TYPE_SPEC(lock, "HandleLock", HandleLock, 0);
