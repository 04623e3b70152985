/* SPDX-License-Identifier: MIT */
/* The memory of Transactions. */
#include "core.h"

#include <string.h>

/* There is no tp_clear: every cycle contains an Environment, a subclass or another object that
 * has one. */
int transaction_traverse(Transaction *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->state->module);
    Py_VISIT(self->env);
    Py_VISIT(self->shared);
    Py_VISIT(self->db);
    Py_VISIT(self->slot);
    Py_VISIT(self->last_db);
    Py_VISIT(self->last_slot);
    Py_VISIT(self->parent);
    return 0;
}

/* Programs often begin a transaction after the last one has ended, so the memory of one is kept;
 * not under a sanitizer, which must see freed memory.  A Transaction owns a reference to its
 * module, because its end uses the module's state, and the garbage collector can clear the module
 * first. */
#ifdef __SANITIZE_ADDRESS__
enum { KEEPS_SPARE = 0 };
#else
enum { KEEPS_SPARE = 1 };
#endif

Transaction *new_transaction(CoreState *state, PyTypeObject *type)
{
    Transaction *txn = state->spare;

    if (LIKELY(txn && (PyObject *)type == state->transaction_class)) {
        state->spare = NULL;
        /* The compiler does not know the size, so it calls memset. */
        memset((char *)txn + sizeof(PyObject), 0, (size_t)type->tp_basicsize - sizeof(PyObject));
        PyObject_Init((PyObject *)txn, type);
        PyObject_GC_Track(txn);
    } else if (!(txn = (Transaction *)type->tp_alloc(type, 0))) {
        return NULL;
    }
    txn->state = state;
    Py_INCREF(state->module);
    return txn;
}

static void free_transaction(Transaction *self, PyTypeObject *type)
{
    CoreState *state = self->state;

    /* The mark that an object was finalized stays in its memory, so such memory is not kept. */
    if (LIKELY((PyObject *)type == state->transaction_class && KEEPS_SPARE && !state->spare &&
               !type->tp_finalize && type->tp_basicsize == sizeof(*self)))
        state->spare = self;
    else
        type->tp_free(self);
}

void transaction_dealloc(Transaction *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject *module = self->state->module;
    int dropped;

    if (finalize((PyObject *)self))
        return;
    PyObject_GC_UnTrack(self);
    dropped = !self->revoked;
    /* Callbacks of weak references can close the environment, which ends its transactions. */
    self->revoked = self->dying = 1;
    self->ready = 0;
    if (self->weakrefs)
        PyObject_ClearWeakRefs((PyObject *)self);
    finish_dying(self, dropped);
    Py_CLEAR(self->whole);
    Py_CLEAR(self->last_db);
    Py_CLEAR(self->last_slot);
    Py_CLEAR(self->slot);
    Py_CLEAR(self->db);
    Py_CLEAR(self->parent);
    Py_CLEAR(self->shared);
    Py_CLEAR(self->env);
    free_transaction(self, type);
    Py_DECREF(type);
    Py_DECREF(module);
}
