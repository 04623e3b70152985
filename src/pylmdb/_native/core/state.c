/* SPDX-License-Identifier: MIT */
/* The state of the module behind a type, and fields of objects that Python code sets. */
#include "core.h"

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

PyObject *get_typed(PyObject *self, void *closure)
{
    const TypedField *field = closure;
    PyObject *value = *(PyObject **)((char *)self + field->offset);

    return Py_NewRef(value ? value : Py_None);
}

int set_typed(PyObject *self, PyObject *value, void *closure)
{
    const TypedField *field = closure;
    PyObject **const at = (PyObject **)((char *)self + field->offset);
    CoreState *state = state_of(Py_TYPE(self));
    PyTypeObject *type;

    if (!state)
        return -1;
    type = *(PyTypeObject **)((char *)state + field->type);
    if (value == Py_None && field->or_none) {
        value = NULL;
    } else if (!value || !PyObject_TypeCheck(value, type)) {
        PyErr_Format(PyExc_TypeError, "%s must be a %s", field->name, type->tp_name);
        return -1;
    }
    Py_XSETREF(*at, Py_XNewRef(value));
    return 0;
}
