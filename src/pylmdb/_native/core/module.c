/* SPDX-License-Identifier: MIT */
/* The module: types, state, and bind(). */
#include "core.h"

#include <pthread.h>

static const char *const argument_names[ARG_COUNT] = {
    [ARG_KEY] = "key", [ARG_VALUE] = "value", [ARG_DEFAULT] = "default",
    [ARG_DB] = "db", [ARG_DUPDATA] = "dupdata", [ARG_OVERWRITE] = "overwrite",
    [ARG_APPEND] = "append", [ARG_KEYS] = "keys", [ARG_VALUES] = "values",
    [ARG_ITEMS] = "items", [ARG_DUPFIXED_BYTES] = "dupfixed_bytes",
    [ARG_KEYFIXED] = "keyfixed", [ARG_ENV] = "env", [ARG_PARENT] = "parent",
    [ARG_WRITE] = "write", [ARG_BUFFERS] = "buffers", [ARG_TIMEOUT] = "timeout",
    [ARG_SYNC] = "sync", [ARG_METASYNC] = "metasync", [ARG_TXN] = "txn", [ARG_COPY] = "copy",
};

CoreState *state_of(PyTypeObject *type)
{
#if PY_VERSION_HEX >= 0x030B0000
    PyObject *module = PyType_GetModuleByDef(type, &core_module);

    return module ? PyModule_GetState(module) : NULL;
#else
    Py_ssize_t i;

    for (i = 0; type->tp_mro && i < PyTuple_GET_SIZE(type->tp_mro); i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(type->tp_mro, i);
        PyObject *module;

        if (!(base->tp_flags & Py_TPFLAGS_HEAPTYPE))
            continue;
        module = ((PyHeapTypeObject *)base)->ht_module;
        if (module && PyModule_GetDef(module) == &core_module)
            return PyModule_GetState(module);
    }
    PyErr_SetString(PyExc_TypeError, "not a type of pylmdb's core");
    return NULL;
#endif
}

/* The class statement gives a class a function that looks for what this class may
 * have (slots, a dict, a finalizer) and calls the type's own.  These have nothing but
 * the finalizer that a program may give them later, which the type's own calls. */
static void shorten_dealloc(PyObject *class, PyTypeObject *type)
{
    PyTypeObject *made = (PyTypeObject *)class;

    if (made->tp_basicsize == type->tp_basicsize && made->tp_dictoffset == type->tp_dictoffset)
        made->tp_dealloc = type->tp_dealloc;
}

/* What the core lends to the engines. */
int pylmdb_generation = 1;
int pylmdb_any_cut;
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char etext[] __attribute__((visibility("hidden")));

static void count_fork(void)
{
    pylmdb_generation++;
}

__attribute__((constructor)) static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, count_fork);
}

/* join(address of an engine's table) */
static PyObject *core_join(PyObject *module, PyObject *address)
{
    const struct pylmdb_engine *engine = PyLong_AsVoidPtr(address);
    const struct pylmdb_host host = {&pylmdb_generation, &pylmdb_any_cut, __ehdr_start,
                                     (size_t)(etext - __ehdr_start)};

    (void)module;
    if (!engine)
        return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    if (engine->abi != PYLMDB_ENGINE_ABI || engine->size < sizeof(*engine)) {
        PyErr_SetString(PyExc_ImportError, "the engine was compiled for another core");
        return NULL;
    }
    engine->join(&host);
    Py_RETURN_NONE;
}

static int own_each(PyTypeObject *type, PyObject *descriptor, const char *name)
{
    int rc = descriptor ? PyObject_SetAttrString((PyObject *)type, name, descriptor) : -1;

    Py_XDECREF(descriptor);
    return rc;
}

/* publish(class): what its base in C has becomes the class's own, in place of what documents
 * it there: CPython's specialised calls want the class that an object is of to be the one that
 * its methods are found on. */
static PyObject *core_publish(PyObject *module, PyObject *class)
{
    PyTypeObject *type = (PyTypeObject *)class, *base = type->tp_base;
    PyMethodDef *method;
    PyGetSetDef *getset;
    PyMemberDef *member;
    static const char *const slots[] = {"__init__", "__iter__"};
    size_t i;

    (void)module;
    for (method = base->tp_methods; method && method->ml_name; method++)
        if (own_each(type, PyDescr_NewMethod(type, method), method->ml_name))
            return NULL;
    for (getset = base->tp_getset; getset && getset->name; getset++)
        if (own_each(type, PyDescr_NewGetSet(type, getset), getset->name))
            return NULL;
    for (member = base->tp_members; member && member->name; member++)
        if (member->name[0] != '_' || member->name[1] != '_')
            if (own_each(type, PyDescr_NewMember(type, member), member->name))
                return NULL;
    /* slots that the class only documents */
    for (i = 0; i < sizeof(slots) / sizeof(*slots); i++)
        if (PyDict_GetItemString(base->tp_dict, slots[i]) &&
            PyDict_GetItemString(type->tp_dict, slots[i]) &&
            PyObject_SetAttrString(class, slots[i], NULL))
            return NULL;
    Py_RETURN_NONE;
}

/* bind(transaction_class, cursor_class, environment_class, slow) */
static PyObject *core_bind(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    CoreState *state = PyModule_GetState(module);

    if (nargs != 4)
        return PyErr_Format(PyExc_TypeError, "bind() takes 4 arguments");
    Py_XSETREF(state->transaction_class, Py_NewRef(args[0]));
    Py_XSETREF(state->cursor_class, Py_NewRef(args[1]));
    Py_XSETREF(state->environment_class, Py_NewRef(args[2]));
    Py_XSETREF(state->slow, Py_NewRef(args[3]));
    shorten_dealloc(args[0], state->transaction_type);
    shorten_dealloc(args[1], state->cursor_type);
    Py_RETURN_NONE;
}

static int take_attribute(const char *module, const char *name, PyObject **out)
{
    PyObject *imported = PyImport_ImportModule(module);

    *out = imported ? PyObject_GetAttrString(imported, name) : NULL;
    Py_XDECREF(imported);
    return *out ? 0 : -1;
}

static int take_python_side(CoreState *state)
{
    const struct {
        const char *name;
        PyObject **out;
    } wanted[] = {
        {"error", &state->error},
        {"write_error", &state->write_error},
        {"closed", &state->closed},
        {"Error", &state->plain_error},
        {"BusyError", &state->busy_error},
        {"ForkedError", &state->forked_error},
        {"WrongThreadError", &state->wrong_thread_error},
        {"BadTxnError", &state->bad_txn_error},
        {"InvalidParameterError", &state->invalid_parameter_error},
        {"ClosedError", &state->closed_error},
    };
    size_t i;

    for (i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
        if (take_attribute("pylmdb.errors", wanted[i].name, wanted[i].out))
            return -1;
    return take_attribute("pylmdb.database", "Database", &state->database_class);
}

static int add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **out)
{
    *out = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    return *out ? PyModule_AddType(module, *out) : -1;
}

static int core_exec(PyObject *module)
{
    CoreState *state = PyModule_GetState(module);
    int i;

    state->module = module;
    /* The table of open environments is one per interpreter, and a process must
     * not open a file twice. */
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError, "pylmdb works in the main interpreter only");
        return -1;
    }
    for (i = 0; i < ARG_COUNT; i++)
        if (!(state->names[i] = PyUnicode_InternFromString(argument_names[i])))
            return -1;
    if (!(state->empty = PyBytes_FromStringAndSize(NULL, 0)))
        return -1;
    if (take_python_side(state))
        return -1;
    return add_type(module, &transaction_spec, &state->transaction_type) ||
                   add_type(module, &cursor_spec, &state->cursor_type) ||
                   add_type(module, &iterator_spec, &state->iterator_type) ||
                   add_type(module, &shared_spec, &state->shared_type) ||
                   add_type(module, &slot_spec, &state->slot_type) ||
                   add_type(module, &exporter_spec, &state->exporter_type) ||
                   add_type(module, &lease_spec, &state->lease_type) ||
                   add_type(module, &environment_spec, &state->environment_type)
               ? -1
               : 0;
}

#define EACH_OBJECT(each)                                                     \
    each(transaction_type); each(cursor_type); each(iterator_type);           \
    each(shared_type); each(slot_type); each(exporter_type); each(lease_type); \
    each(environment_type); each(transaction_class); each(cursor_class);      \
    each(slow); each(environment_class); each(error); each(closed);           \
    each(write_error);                                                        \
    each(database_class); each(busy_error); each(forked_error);                   \
    each(wrong_thread_error); each(bad_txn_error);                            \
    each(invalid_parameter_error); each(plain_error); each(closed_error)

static int core_traverse(PyObject *module, visitproc visit, void *arg)
{
    CoreState *state = PyModule_GetState(module);
    int i;

#define VISIT(name) Py_VISIT(state->name)
    EACH_OBJECT(VISIT);
    for (i = 0; i < FORMS; i++)
        Py_VISIT(state->forms[i]);
    return 0;
}

static int core_clear(PyObject *module)
{
    CoreState *state = PyModule_GetState(module);
    PyObject *class = Py_XNewRef(state->transaction_class); /* freeing an object needs its type */
    int i;

#define CLEAR(name) Py_CLEAR(state->name)
    EACH_OBJECT(CLEAR);
    CLEAR(empty);
    for (i = 0; i < ARG_COUNT; i++)
        CLEAR(names[i]);
    for (i = 0; i < FORMS; i++)
        CLEAR(forms[i]);
    if (state->spare) /* no other will come: its class is no longer the one that was bound */
        PyObject_GC_Del(state->spare);
    state->spare = NULL;
    Py_XDECREF(class);
    return 0;
}

static void core_free(void *module)
{
    core_clear(module);
}

static PyMethodDef core_methods[] = {
    {"bind", METHOD(core_bind), METH_FASTCALL,
     PyDoc_STR("bind($module, transaction_class, cursor_class, environment_class, slow, /)\n--\n\n"
               "Give the core the classes that are made of its types, that of\n"
               "environments, and the rare paths that are written in Python.")},
    {"join", METHOD(core_join), METH_O,
     PyDoc_STR("join($module, table, /)\n--\n\nTake an engine.")},
    {"publish", METHOD(core_publish), METH_O,
     PyDoc_STR("publish($module, class, /)\n--\n\nMake the methods of C the class's own.")},
    {"end_thread", METHOD(end_thread), METH_O,
     PyDoc_STR("end_thread($module, number, /)\n--\n\n"
               "End the write transactions that a thread has left open.")},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot core_slots[] = {
    {Py_mod_exec, core_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    /* Py_mod_gil is left out: the core relies on the GIL. */
    {0, NULL},
};

struct PyModuleDef core_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pylmdb._core",
    .m_doc = "The C core of an engine; see _core.pyi for what it gives.",
    .m_size = sizeof(CoreState),
    .m_methods = core_methods,
    .m_slots = core_slots,
    .m_traverse = core_traverse,
    .m_clear = core_clear,
    .m_free = core_free,
};

PyMODINIT_FUNC PyInit__core(void)
{
    return PyModuleDef_Init(&core_module);
}
