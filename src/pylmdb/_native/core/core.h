/* SPDX-License-Identifier: MIT */
/* The C core: its types and its state, and what all of its files share.  guard.h
 * checks whether an operation is allowed, arguments.h and values.h convert arguments and results,
 * and cursor.h is for the files about cursors.
 * Everything here runs under the GIL unless it says otherwise, so a sequence of C statements is
 * atomic if none of them can run Python code.  These can: calls of Python objects, the conversion
 * of an argument, and, up to Python 3.11, the creation of an object that the garbage collector
 * tracks, because it can start a collection, which runs finalizers.  If such code can run between
 * the check of a native transaction or cursor and its use, the function marks the transaction as
 * in use, with enter_operation() and leave_operation().  Then the code cannot end it.
 * A hold is something else: C code outside of pylmdb uses the transaction (hold.c).
 * The module's state is found through its types, and each object has a pointer to it.  Static
 * variables are only for what exists once in a process.
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
#include "slots.h"

#if defined(__GNUC__)
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define COLD __attribute__((cold, noinline))
#else
#define LIKELY(x) (x)
#define COLD
#endif

/* clang-format off */
/* The keyword arguments of all methods. */
#define EACH_ARGUMENT(each) \
    each(KEY, key) each(VALUE, value) each(DEFAULT, default) each(DB, db) \
    each(DUPDATA, dupdata) each(OVERWRITE, overwrite) each(APPEND, append) \
    each(IF_VALUE, if_value) each(KEYS, keys) each(VALUES, values) each(ITEMS, items) \
    each(DUPFIXED_BYTES, dupfixed_bytes) each(KEYFIXED, keyfixed) each(ENV, env) \
    each(PARENT, parent) each(WRITE, write) each(BUFFERS, buffers) each(TIMEOUT, timeout) \
    each(SYNC, sync) each(METASYNC, metasync) each(TXN, txn) each(COPY, copy) \
    each(START, start) each(STOP, stop) each(PREFIX, prefix) each(REVERSE, reverse) \
    each(LIMIT, limit) each(OFFSET, offset) each(INCLUDE_START, include_start) \
    each(INCLUDE_STOP, include_stop) each(REVERSE_KEY, reverse_key) each(DUPSORT, dupsort) \
    each(CREATE, create) each(INTEGERKEY, integerkey) each(INTEGERDUP, integerdup) \
    each(DUPFIXED, dupfixed)
/* clang-format on */

enum argument {
#define ARGUMENT(symbol, name) ARG_##symbol,
    EACH_ARGUMENT(ARGUMENT) ARG_COUNT
};

/* What the core shares with the engines (module.c), besides pylmdb_any_truncated: the count of
 * forks since it was loaded. */
extern int pylmdb_generation __attribute__((visibility("hidden")));

struct Transaction;

/* How many headers of arrays are kept (get_array.c). */
enum { FORMS = 8 };

/* A class of types.py, the names of its fields, and a dict of these names. */
typedef struct {
    PyObject *class, *fields, *empty;
} RecordKind;

typedef struct {
    PyObject *module; /* not owned: it owns the state */
    PyTypeObject *transaction_type, *cursor_type, *iterator_type, *range_type;
    PyTypeObject *shared_type, *slot_type, *exporter_type, *lease_type, *environment_type;
    PyTypeObject *database_type, *lock_type, *hold_type;
    /* the classes of new objects, set by publish() */
    PyObject *transaction_class, *cursor_class, *database_class;
    /* functions and classes in Python, which take_python_side() imports */
    int has_python_side;
    PyObject *error, *database_error, *open_db_error, *refusal, *wrong_thread_error;
    PyObject *integer, *successor, *record_count, *next_number;
    PyObject *deadline_of;
    RecordKind stat, info;
    PyObject *empty, *names[ARG_COUNT];
    /* names of methods */
    PyObject *open_db;
    /* the headers of arrays seen last, and what each one says */
    PyObject *forms[FORMS];
    /* the memory of a freed Transaction, for the next one */
    struct Transaction *spare;
} CoreState;

struct Cursor;

/* A native cursor, which belongs to its transaction.  It can outlive its Cursor
 * until no operation is in progress (see transaction_end.c). */
typedef struct NativeCursor {
    MDB_cursor *ptr;
    /* the count of forks when it was opened */
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
    struct pylmdb_slot native;
    /* the Databases that have this slot (borrowed) */
    struct Database *handles;
} Slot;

/* A handle of one Environment to a database. */
typedef struct Database {
    PyObject_HEAD
    PyObject *weakrefs;
    /* NULL: never opened; the name is None for the main database */
    PyObject *env, *name;
    /* NULL: not looked up yet in this process */
    Slot *slot;
    /* among the handles of the slot */
    struct Database *next, *previous;
} Database;

/* The lock of an environment's handles; depth 0: it is free. */
typedef struct {
    PyObject_HEAD
    unsigned long long owner;
    int depth;
} HandleLock;

/* A native environment and its state in this process: the C half of SharedEnv. */
typedef struct {
    PyObject_HEAD
    CoreState *state;
    const struct pylmdb_engine *engine;
    struct pylmdb_pool *pool;
    /* the Engine in Python, and its SlowPaths */
    PyObject *engine_object, *slow;
    int generation;
    /* A transaction may begin at once: an Environment is open, and nothing closes it or
     * replaces its map.  Else Python decides (SharedEnv.begin_reader). */
    char admitting;
    /* compact() has replaced the file: its Environments have another Shared now */
    char replaced;
    /* how many threads wait for the end of the writer */
    int waiting;
    unsigned long long last_writer; /* the thread that entered the gate last */
    /* how many read transactions are open that the pool does not count (see begin_quick()), and
     * how many are idle */
    int live, idle_count;
    /* the open databases, and the lock for them */
    struct pylmdb_slots slots;
    HandleLock *dbi_lock;
    MDB_txn *idle[PYLMDB_MAX_SLOTLESS];
    /* the pinned snapshots, the latest first */
    struct Exporter *pinned;
    /* the top-level write transaction, and all transactions, the newest first */
    struct Transaction *writer, *newest;
    /* the slot of the main database */
    Slot *main;
    /* how many pages were free in a snapshot, and its number; NULL: not counted yet */
    PyObject *free_pages;
    size_t free_pages_at;
    /* the next environment that has a writer */
    PyObject *next_writing;
} Shared;

/* The base of Environment. */
typedef struct {
    PyObject_HEAD
    PyObject *weakrefs;
    PyObject *shared;
    char readonly, sync, metasync;
} EnvironmentCore;

/* Memory that an object exports, and the function that is called at its end (NULL: none, or it
 * was called). */
typedef struct {
    PyObject_HEAD
    char *base;
    Py_ssize_t size;
    PyObject *on_end;
} Memory;

/* Exports the map to the views of a read transaction. */
typedef struct Exporter {
    Memory memory;
    /* while its views pin the snapshot: the native transaction, and since when, in Unix time */
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
    /* the number of its thread; 0 if threads may share it */
    unsigned long long thread;
    /* the top-level transaction of its tree: itself or an ancestor */
    struct Transaction *top;
    /* In the top-level one: how many operations are in progress that run Python code or have
     * released the GIL, and how many copies, and native holds of read transactions, are. */
    int operations, copiers;
    /* in the top-level one: how many of the operations are native holds (hold.c) */
    int held;
    /* In the top-level one: the count of forks in which the tree may be used, negative if by its
     * thread only; 0 while there are operations.  See is_usable(). */
    int usable_in;
    /* one of the operations is a reservation: memory of a page that the program writes to */
    char reserved;
    /* the thread of the operations */
    unsigned long long operating_thread;
    /* something has ended and is finished after the last operation */
    char dirty;
    /* of a putmulti() whose iterator runs; see put_waiting() */
    struct waiting *waiting;
    int depth;
    unsigned int sync_flags;
    Py_ssize_t mutations;
    Slot *slot;
    /* the last db argument, and its slot */
    PyObject *last_db;
    Slot *last_slot;
    /* a memoryview of the whole map, made with the first view */
    PyObject *whole;
    NativeCursor *cursors;
    struct native_hold *native_holds;
    struct Transaction *children, *next_sibling;
    struct Transaction *older, *newer;
    /* owned references to what it uses */
    Shared *shared;
    PyObject *env, *db;
    struct Transaction *parent;
    struct pylmdb_handles handles;
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
    /* position.cursor is NULL before the cursor is opened and after it is closed */
    struct pylmdb_position position;
    /* It has a native cursor of this process, which was not dropped, and its slot is alive. */
    char is_open;
} Cursor;

/* -- failures.c: exceptions.  They return NULL, or -1 where they return an int. -- */

int take_python_side(CoreState *state);

PyObject *fail(CoreState *state, const char *what, int code);
/* For an operation (a method's name) on a database, and for one record of it; value_size is
 * NO_VALUE if there is no value. */
#define NO_VALUE ((size_t)-1)
PyObject *fail_database(CoreState *state, const char *operation, const char *what, int code,
                        const Slot *slot);
PyObject *fail_record(CoreState *state, const char *operation, const char *what, int code,
                      const Slot *slot, const void *key, size_t key_size, size_t value_size);
/* For a database that could not be opened. */
PyObject *fail_open_db(const Shared *shared, int code, PyObject *name);
/* Raise a refusal by its name in the table (_core_rules/refusals.py).  The values for its message
 * are given as for Py_BuildValue().  raise_refusal(NULL): an exception is set already. */
#define refuse_named(state, name) raise_refusal(make_refusal(state, "(s)", name))
#define refuse_with(state, name, format, ...) \
    raise_refusal(make_refusal(state, "s" format, name, __VA_ARGS__))
PyObject *make_refusal(CoreState *state, const char *format, ...);
int raise_refusal(PyObject *exception);
/* The same with NULL as the result. */
#define refused(state, name) raise_made(make_refusal(state, "(s)", name))
#define refused_with(state, name, format, ...) \
    raise_made(make_refusal(state, "s" format, name, __VA_ARGS__))
void *raise_made(PyObject *exception);
/* Calls a method; its arguments are given as for Py_BuildValue(). */
PyObject *ask(PyObject *object, const char *method, const char *format, ...);
/* Makes a pointer of cffi: kind is "transaction_pointer" or "cursor_pointer". */
PyObject *cffi_pointer(Shared *shared, const char *kind, const void *address);

/* A pause without the GIL. */
static inline void let_others_run(void)
{
    Py_BEGIN_ALLOW_THREADS pylmdb_pause();
    Py_END_ALLOW_THREADS
}

/* Returned in place of a code of liblmdb: an exception is set. */
#define RAISED INT_MIN

/* -- slot.c -- */

/* The slot of a database (None: the main one) as a native transaction sees it, opened for txn if
 * that is not NULL: 0 and a new reference, or a code.  The caller has the lock of the handles,
 * and keeps the transaction from being ended. */
int open_slot(Shared *shared, MDB_txn *ptr, Transaction *txn, PyObject *name, unsigned int flags,
              Slot **out);

/* Begin the table, with the slot of the main database: 0, or -1: raised. */
int begin_slots(Shared *shared);
/* The slot that was opened last under a name, which is alive; borrowed, or NULL. */
Slot *slot_named(const Shared *shared, PyObject *name);
/* What an ended transaction has opened and dropped: kept, and published to all transactions or to
 * its parent, or undone.  The caller has the lock of the handles. */
void settle_handles(Transaction *txn, int kept);
int visit_slots(const Shared *shared, visitproc visit, void *arg);
/* All slots die. */
void close_slots(Shared *shared);

/* -- handle_lock.c -- */

/* NULL: another thread has it. */
HandleLock *try_lock_handles(Shared *shared);
/* Waits, and lets no signal handler run. */
HandleLock *lock_handles(Shared *shared);
void unlock_handles(HandleLock *lock);

/* -- database.c -- */

/* The handle of an Environment to a database: the one that is alive, or a new one. */
PyObject *handle_of(CoreState *state, PyObject *env, PyObject *name, Slot *slot);

/* -- shared.c -- */

PyObject *shared_own_writer(Shared *self, PyObject *ignored);

/* -- native_cursor.c -- */

/* Opens a native cursor; the caller has passed the guard. */
static inline int open_native(Transaction *txn, Slot *slot, MDB_cursor **native)
{
    const int rc = txn->engine->cursor_open(txn->native.ptr, slot->native.dbi, native);

    if (rc)
        fail_database(txn->state, "cursor", "mdb_cursor_open", rc, slot);
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
/* Closes a native cursor now, or after the operations in progress. */
void drop_native_cursor(Transaction *txn, NativeCursor *native);
/* Closes those that drop_native_cursor() has left open. */
void close_dropped_in_tree(Transaction *top);

/* -- readers.c -- */

/* Begin and end a read transaction without Python and without the pool's atomic operations,
 * under the GIL.  begin_quick() returns 0, or a code. */
int begin_quick(Shared *shared, struct pylmdb_txn *native);
void end_native_reader(Shared *shared, struct pylmdb_txn *native);
/* The same; closes the environment too if it waited for this. */
void end_reader(Shared *shared, struct pylmdb_txn *native);
/* The transaction has ended for the program: the exporter pins its snapshot from now on. */
void pin_snapshot(Exporter *exporter, Shared *shared, struct pylmdb_txn *native);
void unpin_snapshot(Exporter *exporter);
/* The read transaction has ended; its views pin the snapshot. */
void end_views(Transaction *txn);
void leave_slowly(Shared *shared);
/* The environment may wait for the end of this transaction. */
static inline void leave_shared(Shared *shared)
{
    if (!LIKELY(shared->admitting))
        leave_slowly(shared);
}
PyObject *shared_pinned(Shared *self, PyObject *ignored);
PyObject *shared_free_idle(Shared *self, PyObject *ignored);

/* There is something to log: by SharedEnv.log_notes(), without a lock and outside of operations. */
static inline int has_notes(const Shared *shared)
{
    return __atomic_load_n(&shared->pool->notes.is_noted, __ATOMIC_ACQUIRE);
}

/* -- transaction_end.c -- */

void link_to_environment(Transaction *txn);
void unlink_from_environment(Transaction *txn);

/* The tree of a top-level transaction may be used if no operation is in progress. */
static inline void allow_use(Transaction *top)
{
    const int generation = top->native.generation;

    if (!top->operations)
        top->usable_in = top->thread ? -generation : generation;
}
/* All operations in progress are native holds. */
static inline int is_held(const Transaction *top)
{
    return top->held && top->held == top->operations;
}
/* While an operation is in progress, the tree of the transaction is not ended natively, and no other
 * operation of it begins.  The last one that leaves ends what was to end meanwhile. */
void enter_operation(Transaction *txn);
void leave_operation(Transaction *txn);
void finish_waiting(Transaction *top);
void revoke_transaction(Transaction *txn);
/* The native half of commit(), which has passed the guard; returns a code. */
int commit_transaction(Transaction *txn);
PyObject *end_thread(PyObject *module, PyObject *ignored);
/* -- pack.c -- */
PyObject *pack_records(PyObject *module, PyObject *const *args, Py_ssize_t nargs);
/* The writer gate: one write transaction at a time in this process. */
void take_gate(Shared *shared, Transaction *txn);
void leave_gate(Shared *shared);
/* Ends a transaction that is being deallocated; dropped: the program has not ended it. */
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

/* -- capi.c -- */

/* Add the capsule with the C API to the module. */
int add_capi(PyObject *module);

/* -- numbers.c -- */

PyObject *environment_stat(PyObject *, PyObject *);
PyObject *environment_info(PyObject *, PyObject *);
PyObject *environment_max_key_size(PyObject *, PyObject *);
PyObject *environment_max_readers(PyObject *, PyObject *);
PyObject *transaction_id(PyObject *, PyObject *);
PyObject *transaction_stat(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);

/* -- the types -- */

extern PyType_Spec transaction_spec, cursor_spec, iterator_spec, range_spec, shared_spec, slot_spec,
    exporter_spec, lease_spec, environment_spec, database_spec, lock_spec, hold_spec;
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

/* A field that Python code sets, to an object of one type of this module. */
typedef struct {
    size_t offset, type; /* in the object, and in CoreState */
    const char *name;
    int or_none; /* which is NULL in the field */
} TypedField;
PyObject *get_typed(PyObject *self, void *field);
int set_typed(PyObject *self, PyObject *value, void *field);
/* The row in a table of properties. */
#define TYPED(field, doc) {field.name, get_typed, set_typed, doc, (void *)&field}

/* Calls a finalizer that a program has given the class; -1: it has resurrected the object. */
static inline int finalize(PyObject *object)
{
    return LIKELY(!Py_TYPE(object)->tp_finalize) ? 0 : PyObject_CallFinalizerFromDealloc(object);
}

#define METHOD(name) ((PyCFunction)(void (*)(void))(name))
#define KEYWORDS (METH_FASTCALL | METH_KEYWORDS)

#endif
