/* SPDX-License-Identifier: MIT */
/* DbSlot: the object of a slot, which has its memory.  slots.h has the rules for slots. */
#include "core.h"
#include "core_docs.h"
#include "native_holds.h"

static Slot *object_of(struct pylmdb_slot *native)
{
    return (Slot *)((char *)native - offsetof(Slot, native));
}

/* Make a slot that has only a name.  It can run Python code. */
static Slot *make_slot(Shared *shared, PyObject *name)
{
    PyTypeObject *type = shared->state->slot_type;
    Slot *slot = (Slot *)type->tp_alloc(type, 0);

    if (!slot)
        return NULL;
    slot->shared = Py_NewRef((PyObject *)shared);
    slot->name = Py_NewRef(name);
    if (name != Py_None) {
        slot->native.name = PyBytes_AS_STRING(name);
        slot->native.name_size = (size_t)PyBytes_GET_SIZE(name);
        slot->native.hash = PyObject_Hash(name); /* cannot fail */
    }
    return slot;
}

/* -- the table -------------------------------------------------------------------- */

/* The guard of a cursor looks at the cursor only. */
static void close_cursors_of(struct pylmdb_slots *slots, struct pylmdb_slot *dead)
{
    const Transaction *txn = ((Shared *)((char *)slots - offsetof(Shared, slots)))->newest;
    const NativeCursor *native;

    for (; txn; txn = txn->older)
        for (native = txn->cursors; native; native = native->next)
            if (native->owner && &native->owner->slot->native == dead)
                native->owner->is_open = 0;
}

int begin_slots(Shared *shared)
{
    if (!shared->main && !(shared->main = make_slot(shared, Py_None)))
        return -1;
    shared->main->native.dbi = PYLMDB_MAIN_DBI;
    shared->main->native.alive = 1;
    shared->slots.pool = shared->pool;
    shared->slots.on_death = close_cursors_of;
    return 0;
}

/* The table has one reference to each slot that is in a list. */
static void drop_released(Shared *shared)
{
    struct pylmdb_slot *slot;

    while ((slot = shared->slots.released)) {
        shared->slots.released = slot->next_released;
        Py_DECREF(object_of(slot));
    }
}

int visit_slots(const Shared *shared, visitproc visit, void *arg)
{
    const struct pylmdb_slots *slots = &shared->slots;
    size_t i;

    for (i = 0; i < slots->room; i++)
        if (slots->numbers[i].last)
            Py_VISIT(object_of(slots->numbers[i].last));
    return 0;
}

void close_slots(Shared *shared)
{
    if (!shared->main)
        return;
    shared->engine->slots_close(&shared->slots, &shared->main->native);
    drop_released(shared);
}

Slot *slot_named(const Shared *shared, PyObject *name)
{
    struct pylmdb_slot *found =
        pylmdb_slot_named(&shared->slots, PyBytes_AS_STRING(name), (size_t)PyBytes_GET_SIZE(name),
                          PyObject_Hash(name));

    return found ? object_of(found) : NULL;
}

void settle_handles(Transaction *txn, int kept)
{
    txn->engine->slots_settle(&txn->shared->slots, &txn->handles,
                              txn->parent ? &txn->parent->handles : NULL, kept);
    drop_released(txn->shared);
}

/* -- opening ---------------------------------------------------------------------- */

static int uses_dead_slot(const Transaction *txn)
{
    const NativeCursor *native;

    if ((txn->slot && !txn->slot->native.alive) ||
        (txn->last_slot && !txn->last_slot->native.alive))
        return 1;
    for (native = txn->cursors; native; native = native->next)
        if (native->owner && native->owner->slot && !native->owner->slot->native.alive)
            return 1;
    return 0;
}

/* Whether an operation that has released the GIL, or runs Python code, may use a dead slot: the
 * database was dropped after the operation had checked the slot. */
static int dead_slot_is_used(const Shared *shared, const Transaction *opener)
{
    const Transaction *txn;

    for (txn = shared->newest; txn; txn = txn->older)
        if (holds_dead_slot(txn) ||
            (txn->top->operations && !(opener && txn->top == opener->top) && uses_dead_slot(txn)))
            return 1;
    return 0;
}

static int open_with(Shared *shared, Transaction *txn, struct pylmdb_db_opening *opening)
{
    const int code = shared->engine->slots_open(&shared->slots, opening);

    /* all transactions are checked only if a slot must be used again */
    if (code != MDB_DBS_FULL || dead_slot_is_used(shared, txn))
        return code;
    opening->used = 0;
    return shared->engine->slots_open(&shared->slots, opening);
}

/* Making an object can run Python code, which can open the same database, so it comes first. */
int open_slot(Shared *shared, MDB_txn *ptr, Transaction *txn, PyObject *name, unsigned int flags,
              Slot **out)
{
    Slot *fresh = name == Py_None ? (Slot *)Py_NewRef(shared->main) : make_slot(shared, name);
    struct pylmdb_db_opening opening = {
        .txn = ptr,
        .handles = txn && txn->thread ? &txn->handles : NULL,
        .flags = flags,
        .live = shared->live,
        .used = 1,
    };
    int code;

    if (!fresh)
        return RAISED;
    opening.fresh = &fresh->native;
    code = open_with(shared, txn, &opening);
    if (fresh->native.held)
        Py_INCREF(fresh); /* the reference of the table */
    drop_released(shared);
    if (!code)
        *out = (Slot *)Py_NewRef(object_of(opening.found));
    Py_DECREF(fresh);
    return code;
}

/* -- the type ------------------------------------------------------------------- */

static int slot_traverse(Slot *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->shared);
    return 0;
}

static int slot_clear(Slot *self)
{
    Py_CLEAR(self->shared);
    return 0;
}

static void slot_dealloc(Slot *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    slot_clear(self);
    Py_XDECREF(self->name);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef slot_members[] = {
    {"shared", T_OBJECT, offsetof(Slot, shared), READONLY, NULL},
    {"name", T_OBJECT, offsetof(Slot, name), READONLY, NULL},
    {"dbi", T_UINT, offsetof(Slot, native.dbi), READONLY, NULL},
    {"flags", T_UINT, offsetof(Slot, native.flags), 0, NULL},
    {"alive", T_BOOL, offsetof(Slot, native.alive), READONLY, NULL},
    {"doubted", T_BOOL, offsetof(Slot, native.doubted), 0, NULL},
    {"pending", T_BOOL, offsetof(Slot, native.pending), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slot_slots[] = {
    {Py_tp_doc, (void *)DOC_DBSLOT}, {Py_tp_traverse, slot_traverse}, {Py_tp_clear, slot_clear},
    {Py_tp_dealloc, slot_dealloc},   {Py_tp_members, slot_members},   {0, NULL},
};

TYPE_SPEC(slot, "DbSlot", Slot, Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION);
