/*
 * state.c - how the types of the extension, and what it uses of other modules, come into its state.
 */
#include "state.h"

PyObject *rpy_import(const char *module, const char *name)
{
    PyObject *object = PyImport_ImportModule(module);
    PyObject *attribute = object ? PyObject_GetAttrString(object, name) : NULL;

    Py_XDECREF(object);
    return attribute;
}

PyTypeObject *rpy_add_type(PyObject *module, PyType_Spec *spec, PyObject *bases)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, bases);

    if (type && PyModule_AddType(module, type) < 0)
        Py_CLEAR(type);
    return type;
}
