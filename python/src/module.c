/*
 * module.c - the extension module ringport._core.
 *
 * It is made in the main interpreter only: the core has one set of fork handlers, and of signals, for the process.
 */
#include "capi.h"
#include "connect.h"
#include "datagram.h"
#include "handle.h"
#include "loop_type.h"
#include "memory.h"
#include "sendfile.h"
#include "server.h"
#include "tls_library.h"
#include "tls_transport.h"
#include "transport.h"
#include "op.h"
#include "pipe.h"
#include "process.h"

static int intern_names(rpy_names *names)
{
#define INTERN(name)                                                                                              \
    if (!(names->name = PyUnicode_InternFromString(#name)))                                                       \
        return -1;
    RPY_NAMES(INTERN)
#undef INTERN
    return 0;
}

static int exec(PyObject *module)
{
    rpy_state *state = rpy_module_state(module);

    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError, "ringport cannot be used in a subinterpreter");
        return -1;
    }
    rpy_memory_init();
    if (intern_names(&state->names) < 0 || rpy_loop_init(state) < 0 || rpy_handle_init(module, state) < 0 ||
        rpy_loop_type_init(module, state) < 0 || rpy_transport_init(module, state) < 0 ||
        rpy_tls_transport_init(module, state) < 0 || rpy_pipe_init(module, state) < 0 ||
        rpy_datagram_init(module, state) < 0 || rpy_server_init(module) < 0 || rpy_connect_init(module) < 0 ||
        rpy_capi_init(module) < 0 || rpy_watch_init(module, state) < 0 || rpy_op_init(module, state) < 0 ||
        rpy_process_init(module, state) < 0 || rpy_sendfile_init(module, state) < 0)
        return -1;
    return PyModule_AddStringConstant(module, "__version__", rp_version());
}

static int traverse(PyObject *module, visitproc visit, void *arg)
{
    rpy_state *state = rpy_module_state(module);

    Py_VISIT((PyObject *)state->loop_type);
    Py_VISIT(state->tasks);
    Py_VISIT(state->futures);
    Py_VISIT(state->no_args);
    Py_VISIT(state->context_names);
    Py_VISIT(state->gaierror);
    Py_VISIT(state->format_handle);
    Py_VISIT(state->logger);
    Py_VISIT((PyObject *)state->handle_type);
    Py_VISIT((PyObject *)state->timer_handle_type);
    Py_VISIT(state->format_helpers);
    Py_VISIT(state->handle_repr_info);
    Py_VISIT(state->asyncio_handle);
    Py_VISIT(state->asyncio_timer_handle);
    Py_VISIT(state->asyncio_threadsafe_handle);
    Py_VISIT(state->event_type);
    Py_VISIT((PyObject *)state->transport_type);
    Py_VISIT((PyObject *)state->read_pipe_type);
    Py_VISIT((PyObject *)state->write_pipe_type);
    Py_VISIT((PyObject *)state->datagram_type);
    Py_VISIT(state->set_result);
    Py_VISIT(state->minus_one);
    Py_VISIT(state->buffered_protocol);
    Py_VISIT(state->socket_detach);
    Py_VISIT(state->socket_class);
    Py_VISIT(state->transport_socket);
    Py_VISIT((PyObject *)state->stream_protocol_type);
    Py_VISIT((PyObject *)state->stream_reader_type);
    Py_VISIT((PyObject *)state->future_type);
    Py_VISIT(state->stream_data_received);
    Py_VISIT(state->stream_property);
    Py_VISIT(state->stream_feed_data);
    Py_VISIT(state->stream_wakeup);
    Py_VISIT((PyObject *)state->watches_type);
    Py_VISIT((PyObject *)state->sending_type);
    Py_VISIT((PyObject *)state->blocks_type);
    Py_VISIT((PyObject *)state->op_type);
    Py_VISIT((PyObject *)state->process_type);
    Py_VISIT(state->tls_limits);
    Py_VISIT(state->tls_wants[0]);
    Py_VISIT(state->tls_wants[1]);
    Py_VISIT(state->tls_ended);
    Py_VISIT(state->tls_error);
    Py_VISIT(state->tls_certificate_error);
    Py_VISIT(state->tls_one);
    Py_VISIT(state->tls_nothing);
    Py_VISIT(state->tls_methods[0]);
    Py_VISIT(state->tls_methods[1]);
    Py_VISIT((PyObject *)state->tls_transport_type);
    Py_VISIT((PyObject *)state->tls_inner_type);
    Py_VISIT(state->check_ssl_socket);
    Py_VISIT((PyObject *)state->socket_type);
    Py_VISIT(state->socket_family);
    Py_VISIT(state->socket_kind);
    for (int i = 0; i < RPY_SOCKET_METHODS; i++) {
        Py_VISIT(state->socket_names[i]);
        Py_VISIT(state->socket_methods[i]);
    }
    return 0;
}

/*
 * When the module is freed, and not before: it has no m_clear. A loop refers to the module (loop_type.c): the
 * interpreter's end would clear that under loops that are freed after it.
 */
static void release(void *module)
{
    rpy_state *state = rpy_module_state(module);

    rpy_handles_free(state);
#define CLEAR(name) Py_CLEAR(state->names.name);
    RPY_NAMES(CLEAR)
#undef CLEAR
    Py_CLEAR(state->loop_type);
    Py_CLEAR(state->tasks);
    Py_CLEAR(state->futures);
    Py_CLEAR(state->no_args);
    Py_CLEAR(state->context_names);
    Py_CLEAR(state->gaierror);
    Py_CLEAR(state->format_handle);
    Py_CLEAR(state->logger);
    Py_CLEAR(state->handle_type);
    Py_CLEAR(state->timer_handle_type);
    Py_CLEAR(state->format_helpers);
    Py_CLEAR(state->handle_repr_info);
    Py_CLEAR(state->asyncio_handle);
    Py_CLEAR(state->asyncio_timer_handle);
    Py_CLEAR(state->asyncio_threadsafe_handle);
    Py_CLEAR(state->event_type);
    Py_CLEAR(state->transport_type);
    Py_CLEAR(state->read_pipe_type);
    Py_CLEAR(state->write_pipe_type);
    Py_CLEAR(state->datagram_type);
    Py_CLEAR(state->set_result);
    Py_CLEAR(state->minus_one);
    Py_CLEAR(state->buffered_protocol);
    Py_CLEAR(state->socket_detach);
    Py_CLEAR(state->socket_class);
    Py_CLEAR(state->transport_socket);
    Py_CLEAR(state->stream_protocol_type);
    Py_CLEAR(state->stream_reader_type);
    Py_CLEAR(state->future_type);
    Py_CLEAR(state->stream_data_received);
    Py_CLEAR(state->stream_property);
    Py_CLEAR(state->stream_feed_data);
    Py_CLEAR(state->stream_wakeup);
    Py_CLEAR(state->watches_type);
    Py_CLEAR(state->sending_type);
    Py_CLEAR(state->blocks_type);
    Py_CLEAR(state->op_type);
    Py_CLEAR(state->process_type);
    Py_CLEAR(state->tls_limits);
    Py_CLEAR(state->tls_wants[0]);
    Py_CLEAR(state->tls_wants[1]);
    Py_CLEAR(state->tls_ended);
    Py_CLEAR(state->tls_error);
    Py_CLEAR(state->tls_certificate_error);
    Py_CLEAR(state->tls_one);
    Py_CLEAR(state->tls_nothing);
    Py_CLEAR(state->tls_methods[0]);
    Py_CLEAR(state->tls_methods[1]);
    Py_CLEAR(state->tls_transport_type);
    Py_CLEAR(state->tls_inner_type);
    Py_CLEAR(state->check_ssl_socket);
    Py_CLEAR(state->socket_type);
    Py_CLEAR(state->socket_family);
    Py_CLEAR(state->socket_kind);
    for (int i = 0; i < RPY_SOCKET_METHODS; i++) {
        Py_CLEAR(state->socket_names[i]);
        Py_CLEAR(state->socket_methods[i]);
    }
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, exec},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_USED},
#endif
    {0, NULL},
};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "ringport._core",
    .m_doc = PyDoc_STR("What ringport has in C. Programs use the package ringport."),
    .m_size = sizeof(rpy_state),
    .m_slots = slots,
    .m_traverse = traverse,
    .m_free = release,
};

PyMODINIT_FUNC PyInit__core(void);

PyMODINIT_FUNC PyInit__core(void)
{
    return PyModuleDef_Init(&definition);
}
