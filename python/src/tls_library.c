/* tls_library.c - finds the functions of the OpenSSL that `_ssl` has loaded, and the SSL in an object of `_ssl`'s. */
#include "tls_library.h"

#include <dlfcn.h>
#include <string.h>

/* What `_ssl` keeps in its objects, in each version of Python from 3.11 on. */
typedef struct ssl_object {
    PyObject_HEAD
    PyObject *socket; /* NULL: it was made by wrap_bio() */
    SSL *ssl;
    PyObject *context;
} ssl_object;

typedef struct ssl_context {
    PyObject_HEAD
    SSL_CTX *context;
} ssl_context;

rpy_tls_library rpy_ssl;

/* ---- functions ---- */

/* Those that `_ssl` is linked with: another OpenSSL may be in the process, too. */
static bool find_functions(rpy_tls_library *library)
{
#define FIND(result, name, arguments)                                                                             \
    void *name = dlsym(library->handle, #name);                                                                   \
    if (!name)                                                                                                    \
        return false;                                                                                             \
    memcpy(&library->name, &name, sizeof name);
    RPY_TLS_FUNCTIONS(FIND)
#undef FIND
    return true;
}

/* The name of the module's file, as bytes; NULL, and no exception: it has none. */
static PyObject *find_file(PyObject *module)
{
    PyObject *name = PyObject_GetAttrString(module, "__file__"), *path = NULL;

    if (name && !PyUnicode_FSConverter(name, &path))
        path = NULL;
    PyErr_Clear();
    Py_XDECREF(name);
    return path;
}

static const char *find_library(rpy_tls_library *library, PyObject *module)
{
    PyObject *path = find_file(module);

    library->handle = path ? dlopen(PyBytes_AS_STRING(path), RTLD_LAZY | RTLD_NOLOAD) : NULL;
    Py_XDECREF(path);
    if (!library->handle)
        return "_ssl is a part of the interpreter, and so is its OpenSSL";
    if (!find_functions(library))
        return "_ssl does not show the functions of its OpenSSL";
    if (library->OpenSSL_version_num() < 0x10101000)
        return "the OpenSSL of _ssl is older than 1.1.1";
    return NULL;
}

/* What is compared when a connection is made. */
static bool find_objects(rpy_state *state, PyObject *module)
{
    static const char *const names[RPY_TLS_METHODS] = {"read", "write"};
    PyObject *type = PyObject_GetAttrString(module, "_SSLSocket");
    PyObject *object_type = type ? rpy_import("ssl", "SSLObject") : NULL;

    if (type && PyType_Check(type))
        Py_XSETREF(state->tls_inner_type, (PyTypeObject *)Py_NewRef(type));
    for (int i = 0; i < RPY_TLS_METHODS && object_type; i++)
        Py_XSETREF(state->tls_methods[i], PyObject_GetAttrString(object_type, names[i]));
    Py_XDECREF(type);
    Py_XDECREF(object_type);
    bool found = !PyErr_Occurred() && state->tls_inner_type;
    PyErr_Clear();
    return found;
}

static void close_library(rpy_tls_library *library)
{
    if (library->handle)
        dlclose(library->handle);
    *library = (rpy_tls_library){0};
}

const char *rpy_tls_library_open(rpy_state *state)
{
    PyObject *module = PyImport_ImportModule("_ssl");
    rpy_tls_library library = {0};
    const char *refused = !module ? "this Python has no module _ssl" : find_library(&library, module);

    PyErr_Clear();
    if (!refused && !find_objects(state, module))
        refused = "_ssl and ssl have not the types that are known";
    Py_XDECREF(module);
    if (refused)
        close_library(&library);
    else
        rpy_ssl = library;
    return refused;
}

/* ---- objects ---- */
/* The methods that are not going to be called are ssl.SSLObject's, and no subclass's. */
static bool has_own_methods(const rpy_state *state, PyObject *object)
{
    static const char *const names[RPY_TLS_METHODS] = {"read", "write"};
    bool own = true;

    for (int i = 0; i < RPY_TLS_METHODS && own; i++) {
        PyObject *method = PyObject_GetAttrString((PyObject *)Py_TYPE(object), names[i]);

        own = method && method == state->tls_methods[i];
        Py_XDECREF(method);
    }
    PyErr_Clear();
    return own;
}

/* Nothing of the SSL is looked at before what stands beside it is what it has to be. */
static SSL *find_ssl(const rpy_state *state, PyObject *object, const PyObject *context)
{
    const ssl_object *inner = (const ssl_object *)object;

    if (Py_TYPE(object) != state->tls_inner_type || Py_TYPE(object)->tp_basicsize < (Py_ssize_t)sizeof *inner ||
        Py_TYPE(context)->tp_basicsize < (Py_ssize_t)sizeof(ssl_context) || inner->socket ||
        inner->context != context || !inner->ssl)
        return NULL;
    if (rpy_ssl.SSL_get_SSL_CTX(inner->ssl) != ((const ssl_context *)context)->context ||
        rpy_ssl.SSL_get_ex_data(inner->ssl, 0) != object)
        return NULL;
    return inner->ssl;
}

SSL *rpy_tls_library_find(const rpy_state *state, PyObject *object)
{
    PyObject *inner =
        rpy_ssl.handle && has_own_methods(state, object) ? PyObject_GetAttrString(object, "_sslobj") : NULL;
    PyObject *context = inner ? PyObject_GetAttrString(inner, "context") : NULL;
    SSL *ssl = context ? find_ssl(state, inner, context) : NULL;

    PyErr_Clear();
    Py_XDECREF(inner);
    Py_XDECREF(context);
    return ssl;
}
