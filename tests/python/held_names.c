/*
 * held_names.c - a resolver that is preloaded, and holds each question about a host "held-..." until the test opens its
 * gate. The same file is an extension module, by which a script looks and opens: held_names.inside() and so on.
 */
#include <Python.h>
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <string.h>

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int inside, calls, open;
} gate = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

__attribute__((visibility("default"))) int getaddrinfo(const char *host, const char *service,
                                                       const struct addrinfo *hints, struct addrinfo **result)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (!host || strncmp(host, "held-", 5) != 0)
        return real(host, service, hints, result);
    pthread_mutex_lock(&gate.mutex);
    gate.calls++;
    gate.inside++;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.mutex);
    gate.inside--;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.mutex);
    return strstr(host, "none") ? EAI_NONAME : real("127.0.0.1", service, hints, result);
}

static PyObject *calls(PyObject *module, PyObject *none)
{
    (void)module;
    (void)none;
    return PyLong_FromLong(gate.calls);
}

static PyObject *inside(PyObject *module, PyObject *none)
{
    (void)module;
    (void)none;
    return PyLong_FromLong(gate.inside);
}

/* await_inside(count): blocks until so many questions are held. */
static PyObject *await_inside(PyObject *module, PyObject *count)
{
    long wanted = PyLong_AsLong(count);

    (void)module;
    Py_BEGIN_ALLOW_THREADS;
    pthread_mutex_lock(&gate.mutex);
    while (gate.inside != wanted)
        pthread_cond_wait(&gate.changed, &gate.mutex);
    pthread_mutex_unlock(&gate.mutex);
    Py_END_ALLOW_THREADS;
    Py_RETURN_NONE;
}

static PyObject *open_gate(PyObject *module, PyObject *none)
{
    (void)module;
    (void)none;
    pthread_mutex_lock(&gate.mutex);
    gate.open = 1;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.mutex);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"calls", calls, METH_NOARGS, NULL},
    {"inside", inside, METH_NOARGS, NULL},
    {"await_inside", await_inside, METH_O, NULL},
    {"open_gate", open_gate, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "held_names", .m_size = -1,
                                 .m_methods = methods};

PyMODINIT_FUNC PyInit_held_names(void);
PyMODINIT_FUNC PyInit_held_names(void)
{
    return PyModule_Create(&definition);
}
