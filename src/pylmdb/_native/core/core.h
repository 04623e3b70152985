/* SPDX-License-Identifier: MIT */
/* The C core: its types and its state, and what all of its files share.  guard.h says which
 * operations may go on, arguments.h and values.h convert what callers give and get, and cursor.h is
 * for the files about cursors.
 *
 * Everything here runs under the GIL unless it says otherwise, so a sequence of
 * C statements is atomic as long as none of them can run Python code.  What can:
 * any call of a Python object, the conversion of an argument, and, up to Python
 * 3.11, the creation of any object that the collector tracks, because it may
 * collect, and finalizers are Python code.  Whoever lets such code run between
 * looking at a native handle and using it holds the transaction with hold() and
 * release(): then nothing that the code does can end the handle.
 *
 * Nothing here is static but constants: the module's state hangs on its types,
 * and each object has a pointer to it.
 */
#ifndef PYLMDB_CORE_H
#define PYLMDB_CORE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <errno.h>
#include <limits.h>

#include "position.h"
#include "rules.h"

#if defined(__GNUC__)
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define COLD __attribute__((cold, noinline))
#else
#define LIKELY(x) (x)
#define COLD
#endif

/* The names of all keyword arguments. */
enum argument {
    ARG_KEY,
    ARG_VALUE,
    ARG_DEFAULT,
    ARG_DB,
    ARG_DUPDATA,
    ARG_OVERWRITE,
    ARG_APPEND,
    ARG_KEYS,
    ARG_VALUES,
    ARG_ITEMS,
    ARG_DUPFIXED_BYTES,
    ARG_KEYFIXED,
    ARG_ENV,
    ARG_PARENT,
    ARG_WRITE,
    ARG_BUFFERS,
    ARG_TIMEOUT,
    ARG_SYNC,
    ARG_METASYNC,
    ARG_TXN,
    ARG_COPY,
    ARG_START,
    ARG_STOP,
    ARG_PREFIX,
    ARG_REVERSE,
    ARG_REVERSE_KEY,
    ARG_DUPSORT,
    ARG_CREATE,
    ARG_INTEGERKEY,
    ARG_INTEGERDUP,
    ARG_DUPFIXED,
    ARG_COUNT
};

/* What the core lends to the engines (module.c): how often this process was forked since it
 * was loaded, and whether any map was found cut. */
extern int pylmdb_generation __attribute__((visibility("hidden")));
extern int pylmdb_any_truncated __attribute__((visibility("hidden")));

struct Transaction;

/* How many headers of arrays are known at once. */
enum { FORMS = 8 };

/* A class of types.py, the names of its fields, and a dict of these names. */
typedef struct {
    PyObject *class, *fields, *empty;
} RecordKind;

typedef struct {
    PyObject *module; /* not owned: it owns the state */
    PyTypeObject *transaction_type, *cursor_type, *iterator_type, *range_type;
    PyTypeObject *shared_type, *slot_type, *exporter_type, *lease_type, *environment_type;
    /* the classes that objects are made of, given by publish() */
    PyObject *transaction_class, *cursor_class;
    /* of the Python side */
    PyObject *error, *database_error, *open_db_error, *refusal, *wrong_thread_error;
    PyObject *successor;
    PyObject *database_class, *deadline_class;
    RecordKind stat, info;
    PyObject *empty, *names[ARG_COUNT];
    /* names of methods */
    PyObject *acquire, *release, *handle, *open_db;
    /* what the last headers of arrays mean (get_array.c) */
    PyObject *forms[FORMS];
    /* the memory of the last Transaction that went */
    struct Transaction *spare;
} CoreState;

struct Cursor;

/* A native cursor, which belongs to its transaction.  It can outlive its Cursor
 * for a moment: until no operation is in progress (see transaction_end.c). */
typedef struct NativeCursor {
    MDB_cursor *ptr;
    /* of the process that opened it */
    int generation;
    struct Cursor *owner;
    /* to be closed when no operation is in progress any more */
    int dropped;
    struct NativeCursor *next, *previous;
} NativeCursor;

/* A native database handle. */
typedef struct {
    PyObject_HEAD
    PyObject *shared, *name;
    unsigned int dbi, flags;
    char alive, pending;
    /* its database may not be there any more: open_db() has to look */
    char doubted;
    /* where its number has meant another database before: how often a number was
     * used again by then, and the transaction that did it */
    Py_ssize_t reuse;
    size_t since;
} Slot;

/* A native environment and what this process keeps about it: the C half of
 * SharedEnv. */
typedef struct {
    PyObject_HEAD
    CoreState *state;
    const struct pylmdb_engine *engine;
    struct pylmdb_pool *pool;
    /* the Engine in Python, and its SlowPaths */
    PyObject *engine_object, *slow;
    int generation;
    /* a transaction may begin at once: an Environment is open, and nobody is
     * closing or resizing.  Else Python decides (SharedEnv.begin_reader). */
    char admitting;
    /* compact() has put another file in its place: its Environment has another one now */
    char replaced;
    /* threads that wait for the writer's end */
    int waiting;
    /* read transactions that began at once, which the pool does not count, and the
     * memory of ended ones */
    int live, idle_count;
    /* the databases that are open: slots by name, and the last one of each number; the lock
     * without which neither changes; how many there may be; how often a number was used again */
    PyObject *slots, *by_number, *dbi_lock;
    Py_ssize_t max_dbs, reuses;
    MDB_txn *idle[PYLMDB_MAX_SLOTLESS];
    /* the snapshots that only views keep, the latest first */
    struct Exporter *pinned;
    /* the top-level write transaction, and all transactions, the newest first */
    struct Transaction *writer, *newest;
    /* of the main database */
    Slot *main;
    /* how many pages were free in a snapshot, and its number; NULL: not counted yet */
    PyObject *free_pages;
    size_t free_pages_at;
    /* the next one that has a writer */
    PyObject *next_writing;
} Shared;

/* The base of Environment: of one module, used by all. */
typedef struct {
    PyObject_HEAD
    PyObject *weakrefs;
    PyObject *shared;
    char readonly, sync, metasync;
} EnvironmentCore;

/* Memory that an object exports, and the function that is called at its end (NULL once it was
 * called, or where there is none). */
typedef struct {
    PyObject_HEAD
    char *base;
    Py_ssize_t size;
    PyObject *on_end;
} Memory;

/* The memory of a read transaction's views, and what ends with the last one. */
typedef struct Exporter {
    Memory memory;
    /* once only views hold the transaction: since when, in seconds of Unix time */
    Shared *shared;
    struct pylmdb_txn native;
    double since;
    struct Exporter *older, *newer;
} Exporter;

typedef struct Transaction {
    PyObject_HEAD
    CoreState *state;
    PyObject *weakrefs;
    const struct pylmdb_engine *engine;
    struct pylmdb_txn native;
    /* begun, not revoked, and no child open: it may be used */
    char ready;
    char write, buffers, begun, ended, revoked, finished;
    /* it is being deallocated: there may be no new reference to it */
    char dying;
    /* its thread; 0 where threads may share it */
    unsigned long long thread;
    /* the top-level transaction of its tree: itself or an ancestor */
    struct Transaction *top;
    /* in the top one: operations in progress that run Python code or have let
     * the GIL go (whose thread), copies in progress, ends that wait for both */
    int holders, copiers;
    /* one of the holders is memory of a page that is lent for writing */
    char reserved;
    unsigned long long holding_thread;
    char dirty;
    int depth;
    unsigned int sync_flags;
    Py_ssize_t mutations;
    /* the environment's when it began */
    Py_ssize_t reuses;
    Slot *slot;
    /* the last database named, and its slot */
    PyObject *last_db;
    Slot *last_slot;
    /* a memoryview of the whole map, once a view was asked for */
    PyObject *whole;
    NativeCursor *cursors;
    struct Transaction *children, *next_sibling;
    struct Transaction *older, *newer;
    /* owned: what keeps it working */
    Shared *shared;
    PyObject *env, *db;
    struct Transaction *parent;
    /* lists of database handles opened and dropped here, or NULL */
    PyObject *opened, *dropped;
} Transaction;

typedef struct Cursor {
    PyObject_HEAD
    CoreState *state;
    PyObject *weakrefs;
    const struct pylmdb_engine *engine;
    NativeCursor *native;
    Transaction *txn;
    PyObject *db;
    Slot *slot;
    /* its cursor is NULL before it is opened and after it is closed */
    struct pylmdb_position position;
} Cursor;

/* -- failures.c: exceptions.  They return NULL, or -1 where they return an int. -- */

PyObject *fail(CoreState *state, const char *what, int code);
/* Of an operation on a database, and of a record that could not be written or deleted there;
 * value_size is NO_VALUE if it has no value. */
#define NO_VALUE ((size_t)-1)
PyObject *fail_database(CoreState *state, const char *what, int code, const Slot *slot);
PyObject *fail_write(CoreState *state, const char *what, int code, const Slot *slot,
                     const void *key, size_t key_size, size_t value_size);
/* Of a database that could not be opened. */
PyObject *fail_open_db(CoreState *state, int code, PyObject *name);
/* By its name in the table of refusals, which is Python code; raise_refusal() takes NULL, too.
 * The values for the text are as for Py_BuildValue. */
#define refuse_named(state, name) raise_refusal(make_refusal(state, "(s)", name))
#define refuse_with(state, name, format, ...) \
    raise_refusal(make_refusal(state, "s" format, name, __VA_ARGS__))
PyObject *make_refusal(CoreState *state, const char *format, ...);
int raise_refusal(PyObject *exception);
/* Calls function(first, *rest). */
PyObject *call_with(PyObject *function, PyObject *first, PyObject *const *rest, Py_ssize_t count);
/* Calls a method of the Python side; its arguments are as for Py_BuildValue. */
PyObject *ask(PyObject *object, const char *method, const char *format, ...);

/* In place of liblmdb's code where there is an exception already. */
#define RAISED INT_MIN

/* -- slot.c -- */

/* The slot of a database (None: the main one) as a native transaction sees it, opened for txn if
 * that is not NULL: 0 and a new reference, or a code.  The caller has the lock of the handles,
 * and keeps the transaction from being ended. */
int open_slot(Shared *shared, MDB_txn *ptr, Transaction *txn, PyObject *name, unsigned int flags,
              Slot **out);

/* -- shared.c -- */

PyObject *shared_own_writer(Shared *self, PyObject *ignored);

/* -- native_cursor.c -- */

/* Opens a native cursor; the caller has passed the guard. */
static inline int open_native(Transaction *txn, Slot *slot, MDB_cursor **native)
{
    const int rc = txn->engine->cursor_open(txn->native.ptr, slot->dbi, native);

    if (rc)
        fail_database(txn->state, "mdb_cursor_open", rc, slot);
    return rc ? -1 : 0;
}

static inline void link_native_cursor(Transaction *txn, NativeCursor *native)
{
    native->next = txn->cursors;
    if (native->next)
        native->next->previous = native;
    txn->cursors = native;
}

void close_native_cursor(Transaction *txn, NativeCursor *native);
/* Closes a native cursor now, or when the operations in progress have left. */
void drop_native_cursor(Transaction *txn, NativeCursor *native);
/* Those of which that was put off. */
void close_dropped_in_tree(Transaction *top);

/* -- readers.c -- */

/* Read transactions that begin and end at once, under the GIL: like those of the
 * pool, without its atomic operations.  begin_quick(): 0, or a code. */
int begin_quick(Shared *shared, struct pylmdb_txn *native);
void end_native_reader(Shared *shared, struct pylmdb_txn *native);
/* The same, and its environment if it was the last of it. */
void end_reader(Shared *shared, struct pylmdb_txn *native);
/* The transaction has ended for its user: from now on the exporter pins its snapshot. */
void pin_snapshot(Exporter *exporter, Shared *shared, struct pylmdb_txn *native);
void unpin_snapshot(Exporter *exporter);
/* The read transaction has ended: its snapshot lasts as long as its views. */
void end_views(Transaction *txn);
void leave_slowly(Shared *shared);
/* The environment may have been waiting for the end of this transaction. */
static inline void leave_shared(Shared *shared)
{
    if (!LIKELY(shared->admitting))
        leave_slowly(shared);
}
PyObject *shared_pinned(Shared *self, PyObject *ignored);
PyObject *shared_free_idle(Shared *self, PyObject *ignored);

/* -- transaction_end.c -- */

void link_to_environment(Transaction *txn);
void unlink_from_environment(Transaction *txn);

void hold(Transaction *txn);
void release(Transaction *txn);
void finish_waiting(Transaction *top);
void revoke_transaction(Transaction *txn);
/* The native half of commit(), which has passed the guard; returns a code. */
int commit_transaction(Transaction *txn);
PyObject *end_thread(PyObject *module, PyObject *ignored);
/* The gate: one write transaction at a time in this process. */
void take_gate(Shared *shared, Transaction *txn);
void leave_gate(Shared *shared);
/* Of the handles that a transaction has opened or dropped; a new reference. */
PyObject *list_of(PyObject **list);
/* The end of a transaction that nobody has any more; dropped: nobody has ended it. */
void finish_dying(Transaction *txn, int dropped);

/* -- transaction_begin.c -- */

int transaction_begin(Transaction *txn, PyObject *env, Shared *shared, PyObject *const *args);
PyObject *begin_for(Shared *shared, PyObject *env, PyObject *const *args, Py_ssize_t nargs,
                    PyObject *kwnames);

/* -- exporter.c -- */

PyObject *memory_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);
void end_memory(Memory *memory);

/* -- transaction_memory.c -- */

/* A Transaction that has not begun. */
Transaction *new_transaction(CoreState *state, PyTypeObject *type);
int transaction_traverse(Transaction *self, visitproc visit, void *arg);
void transaction_dealloc(Transaction *self);

/* -- numbers.c -- */

PyObject *environment_stat(PyObject *, PyObject *);
PyObject *environment_info(PyObject *, PyObject *);
PyObject *environment_max_key_size(PyObject *, PyObject *);
PyObject *environment_max_readers(PyObject *, PyObject *);
PyObject *transaction_id(PyObject *, PyObject *);
PyObject *transaction_stat(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);

/* -- the types -- */

extern PyType_Spec transaction_spec, cursor_spec, iterator_spec, range_spec, shared_spec, slot_spec,
    exporter_spec, lease_spec, environment_spec;
/* Objects of a type are as large as its struct. */
#define TYPE_SPEC(type, public_name, of, more_flags) \
    PyType_Spec type##_spec = { \
        .name = "pylmdb._core." public_name, \
        .basicsize = sizeof(of), \
        .flags = Py_TPFLAGS_DEFAULT | (more_flags), \
        .slots = type##_slots, \
    }

extern struct PyModuleDef core_module;

/* The state behind a type of this module, or a class made from one. */
CoreState *state_of(PyTypeObject *type);

/* Calls a finalizer that a program has given the class; -1: it has brought the
 * object back. */
static inline int finalize(PyObject *object)
{
    return LIKELY(!Py_TYPE(object)->tp_finalize) ? 0 : PyObject_CallFinalizerFromDealloc(object);
}

#define METHOD(name) ((PyCFunction)(void (*)(void))(name))
#define KEYWORDS (METH_FASTCALL | METH_KEYWORDS)

#endif
