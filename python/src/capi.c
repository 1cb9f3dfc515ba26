/*
 * capi.c - the capsule ringport.capi: the core's functions for extension modules, whose side is ringport/python.h.
 *
 * The table is constant, and lasts as long as the process: whoever imported it may call at any time.
 */
#include "capi.h"

#define RP_PYTHON_TABLE_ONLY
#include "ringport/python.h"

#include "loop.h"

/* The module's state, which the table's functions are not told. NULL with an exception: the module is gone. */
static rpy_state *find_state(void)
{
    PyObject *module = PyImport_ImportModule("ringport._core");
    rpy_state *state = module ? rpy_module_state(module) : NULL;

    Py_XDECREF(module);
    return state;
}

static rp_loop *core_loop(PyObject *object)
{
    rpy_state *state = find_state();

    if (!state)
        return NULL;
    if (!PyObject_TypeCheck(object, state->loop_type)) {
        PyErr_Format(PyExc_TypeError, "a ringport.Loop is needed, not %.100s", Py_TYPE(object)->tp_name);
        return NULL;
    }
    rp_loop *loop = ((rpy_loop *)object)->loop;
    if (!loop)
        PyErr_SetString(PyExc_RuntimeError, "the Loop's __init__() has not been called");
    return loop;
}

static PyObject *set_error(int64_t error)
{
    rpy_state *state = find_state();

    return state ? rpy_set_error(state, error) : NULL;
}

#define MEMBER(name) .name##_ = name,

static const rp_python_table table = {.size = sizeof table,
                                      .major = RP_VERSION_MAJOR,
                                      .minor = RP_VERSION_MINOR,
                                      .loop = core_loop,
                                      .set_error = set_error,
                                      RP_PYTHON_FUNCTIONS_(MEMBER)};

int rpy_capi_init(PyObject *module)
{
    PyObject *capsule = PyCapsule_New((void *)&table, "ringport.capi", NULL);
    int rc = PyModule_AddObjectRef(module, "capi", capsule);

    Py_XDECREF(capsule);
    return rc;
}
