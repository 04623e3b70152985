/* SPDX-License-Identifier: MIT */
/* The module: its types and state, the engines that join it, and the public classes. */
#include "core.h"
#include "core_docs.h"

#include <pthread.h>
#include <string.h>

#define ARGUMENT_NAME(symbol, name) #name,
static const char *const argument_names[ARG_COUNT] = {EACH_ARGUMENT(ARGUMENT_NAME)};

/* -- engines ------------------------------------------------------------------- */

/* What the core shares with the engines. */
int pylmdb_generation = 1;
int pylmdb_any_truncated;

#if PYLMDB_GUARDS_READS
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char etext[] __attribute__((visibility("hidden")));
#define CODE __ehdr_start
#define CODE_SIZE (size_t)(etext - __ehdr_start)
#else
#define CODE NULL
#define CODE_SIZE 0
#endif

static void count_fork(void)
{
    pylmdb_generation++;
}

__attribute__((constructor)) static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, count_fork);
}

/* Return which part of an engine's table this core does not know; NULL: none.  If abi or size
 * differ, the members after them are not read. */
static const char *misfit(const struct pylmdb_engine *engine)
{
    if (engine->abi != PYLMDB_ENGINE_ABI)
        return "layout";
    if (engine->size != sizeof(*engine))
        return "size";
    return strcmp(engine->version, PYLMDB_VERSION_STRING) ? "version" : NULL;
}

static PyObject *core_join(PyObject *module, PyObject *address)
{
    const struct pylmdb_engine *engine = PyLong_AsVoidPtr(address);
    const struct pylmdb_host host = {
        PYLMDB_ENGINE_ABI, sizeof(host), &pylmdb_generation, &pylmdb_any_truncated, CODE, CODE_SIZE,
    };
    const char *part;

    if (!engine) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "join: the table of an engine has no address");
        return NULL;
    }
    if (!(part = misfit(engine)) && engine->join(&host))
        part = "core";
    if (part)
        return PyErr_Format(PyExc_ImportError,
                            "an engine was compiled for another pylmdb than pylmdb._core, which is "
                            "of %s: its table has another %s; install pylmdb again",
                            PYLMDB_VERSION_STRING, part);
    if (take_python_side(PyModule_GetState(module)))
        return NULL;
    Py_RETURN_NONE;
}

/* -- public classes ------------------------------------------------------------ */

/* A class statement gives the class a deallocator that handles slots, a dict and a finalizer, and
 * then calls the base type's deallocator.  These classes have at most a finalizer, which a program
 * may set later, and which the base type's deallocator calls too.  So that one is enough. */
static void shorten_dealloc(PyTypeObject *class, PyTypeObject *type)
{
    if (class->tp_basicsize == type->tp_basicsize && class->tp_dictoffset == type->tp_dictoffset)
        class->tp_dealloc = type->tp_dealloc;
}

static int own(PyTypeObject *class, const char *name, PyObject *descriptor)
{
    int rc = descriptor ? PyObject_SetAttrString((PyObject *)class, name, descriptor) : -1;

    Py_XDECREF(descriptor);
    return rc;
}

/* CPython's specialised calls and loads work only if the object's class itself has the method or
 * member.  So the class gets its own descriptors for everything that its base has. */
static int own_all(PyTypeObject *class, const PyTypeObject *base)
{
    PyMethodDef *method;
    PyGetSetDef *getset;
    PyMemberDef *member;

    for (method = base->tp_methods; method && method->ml_name; method++)
        if (own(class, method->ml_name, PyDescr_NewMethod(class, method)))
            return -1;
    for (getset = base->tp_getset; getset && getset->name; getset++)
        if (own(class, getset->name, PyDescr_NewGetSet(class, getset)))
            return -1;
    for (member = base->tp_members; member && member->name; member++)
        if (strncmp(member->name, "__", 2) &&
            own(class, member->name, PyDescr_NewMember(class, member)))
            return -1;
    return 0;
}

/* Remove a function that only documents a slot of the base, so that the slot is inherited. */
static int inherit_slot(PyTypeObject *class, const PyTypeObject *base, const char *name)
{
    if (!PyDict_GetItemString(base->tp_dict, name) || !PyDict_GetItemString(class->tp_dict, name))
        return 0;
    return PyObject_SetAttrString((PyObject *)class, name, NULL);
}

static PyObject *core_publish(PyObject *module, PyObject *object)
{
    CoreState *state = PyModule_GetState(module);
    PyTypeObject *class = (PyTypeObject *)object;
    PyTypeObject *base = PyType_Check(object) ? class->tp_base : NULL;

    if (!base || (base != state->transaction_type && base != state->cursor_type &&
                  base != state->environment_type && base != state->database_type))
        return PyErr_Format(PyExc_TypeError, "publish: %R stands on no type of the core", object);
    if (own_all(class, base) || inherit_slot(class, base, "__init__") ||
        inherit_slot(class, base, "__iter__") || inherit_slot(class, base, "__contains__"))
        return NULL;
    if (base == state->transaction_type) {
        Py_XSETREF(state->transaction_class, Py_NewRef(object));
        if (add_capi(module)) /* here, because with the core in cffi there is none */
            return NULL;
    }
    if (base == state->cursor_type)
        Py_XSETREF(state->cursor_class, Py_NewRef(object));
    if (base == state->database_type)
        Py_XSETREF(state->database_class, Py_NewRef(object));
    if (base != state->environment_type)
        shorten_dealloc(class, base);
    Py_RETURN_NONE;
}

/* -- the module ---------------------------------------------------------------- */

static int add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **out)
{
    *out = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    return *out ? PyModule_AddType(module, *out) : -1;
}

/* A free-threaded Python switches the GIL on when it imports a module without Py_mod_gil, unless
 * PYTHON_GIL=0 or -X gil=0 forbids that. */
static int refuse_without_gil(void)
{
#ifdef Py_GIL_DISABLED
    PyObject *ask = PySys_GetObject("_is_gil_enabled");
    PyObject *answer = ask ? PyObject_CallNoArgs(ask) : NULL;
    int enabled = answer == Py_True;

    Py_XDECREF(answer);
    if (!enabled) {
        PyErr_SetString(PyExc_ImportError, "pylmdb needs the GIL, and PYTHON_GIL=0 or -X gil=0 "
                                           "keeps it off; run Python without that option");
        return -1;
    }
#endif
    return 0;
}

/* Each interpreter would have its own table of open environments, and a process must not open a
 * file twice. */
static int refuse_in_subinterpreter(void)
{
    if (PyInterpreterState_Get() == PyInterpreterState_Main())
        return 0;
    PyErr_SetString(PyExc_ImportError, "pylmdb cannot be imported in a subinterpreter; use it in "
                                       "the main interpreter, or in another process");
    return -1;
}

static int core_exec(PyObject *module)
{
    CoreState *state = PyModule_GetState(module);
    int i;

    state->module = module;
    if (refuse_in_subinterpreter() || refuse_without_gil())
        return -1;
    for (i = 0; i < ARG_COUNT; i++)
        if (!(state->names[i] = PyUnicode_InternFromString(argument_names[i])))
            return -1;
    if (!(state->empty = PyBytes_FromStringAndSize(NULL, 0)) ||
        !(state->open_db = PyUnicode_InternFromString("_open_db")))
        return -1;
    return add_type(module, &transaction_spec, &state->transaction_type) ||
                   add_type(module, &cursor_spec, &state->cursor_type) ||
                   add_type(module, &iterator_spec, &state->iterator_type) ||
                   add_type(module, &range_spec, &state->range_type) ||
                   add_type(module, &shared_spec, &state->shared_type) ||
                   add_type(module, &slot_spec, &state->slot_type) ||
                   add_type(module, &exporter_spec, &state->exporter_type) ||
                   add_type(module, &lease_spec, &state->lease_type) ||
                   add_type(module, &environment_spec, &state->environment_type) ||
                   add_type(module, &database_spec, &state->database_type) ||
                   add_type(module, &lock_spec, &state->lock_type) ||
                   add_type(module, &hold_spec, &state->hold_type) ||
                   PyModule_AddStringConstant(module, "VERSION", PYLMDB_VERSION_STRING) ||
                   PyModule_AddStringConstant(module, "COMPILER", __VERSION__)
               ? -1
               : 0;
}

/* clang-format off */
#define EACH_OBJECT(each) \
    each(transaction_type); each(cursor_type); each(iterator_type); each(range_type); \
    each(shared_type); each(slot_type); each(exporter_type); each(lease_type); \
    each(environment_type); each(database_type); each(lock_type); each(hold_type); \
    each(transaction_class); each(cursor_class); each(database_class); \
    each(error); each(database_error); each(open_db_error); each(refusal); \
    each(integer); each(successor); each(record_count); each(next_number); \
    each(open_db); \
    each(wrong_thread_error); each(deadline_of); \
    each(stat.class); each(stat.fields); each(stat.empty); \
    each(info.class); each(info.fields); each(info.empty)
/* clang-format on */

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
    PyObject *class = Py_XNewRef(state->transaction_class); /* the spare needs its type */
    int i;

#define CLEAR(name) Py_CLEAR(state->name)
    EACH_OBJECT(CLEAR);
    CLEAR(empty);
    for (i = 0; i < ARG_COUNT; i++)
        CLEAR(names[i]);
    for (i = 0; i < FORMS; i++)
        CLEAR(forms[i]);
    if (state->spare) /* it will not be used again, because transaction_class is NULL */
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
    {"join", METHOD(core_join), METH_O, DOC_CORE_JOIN},
    {"publish", METHOD(core_publish), METH_O, DOC_CORE_PUBLISH},
    {"pack_records", METHOD(pack_records), METH_FASTCALL, DOC_CORE_PACK_RECORDS},
    {"end_thread", METHOD(end_thread), METH_O,
     PyDoc_STR("end_thread($module, number, /)\n--\n\n"
               "End the write transactions that a thread has left open.")},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot core_slots[] = {
    {Py_mod_exec, core_exec},
#if PY_VERSION_HEX >= 0x030C0000
    /* core_exec() refuses all subinterpreters, with a message that says why. */
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    /* Py_mod_gil is left out: the core relies on the GIL. */
    {0, NULL},
};

struct PyModuleDef core_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pylmdb._core",
    .m_doc = "The C core; _core.pyi describes it.",
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
