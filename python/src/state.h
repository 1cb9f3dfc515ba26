/*
 * state.h - the state of the extension module ringport._core: its types, and what it uses of Python's.
 *
 * There is one module in a process, made once: subinterpreters are refused. Each object finds the state by its loop.
 */
#ifndef RPY_STATE_H
#define RPY_STATE_H

#include <stdbool.h>

#include "compat.h"

/* Names that are looked up or compared often, interned: state->names.call_soon. One a line, sorted. */
#define RPY_NAMES(X)                                                                                              \
    X(Future)                                                                                                     \
    X(Task)                                                                                                       \
    X(_asyncio_future_blocking)                                                                                   \
    X(_attach)                                                                                                    \
    X(_buffer)                                                                                                    \
    X(_call_connection_lost)                                                                                      \
    X(_closed)                                                                                                    \
    X(_detach)                                                                                                    \
    X(_eof)                                                                                                       \
    X(_io_refs)                                                                                                   \
    X(_limit)                                                                                                     \
    X(_paused)                                                                                                    \
    X(_shared)                                                                                                    \
    X(_stream_reader)                                                                                             \
    X(_stream_reader_wr)                                                                                          \
    X(_transport)                                                                                                 \
    X(_waiter)                                                                                                    \
    X(_wakeup)                                                                                                    \
    X(_wakeup_waiter)                                                                                             \
    X(accept)                                                                                                     \
    X(buffer_updated)                                                                                             \
    X(call_at)                                                                                                    \
    X(call_exception_handler)                                                                                     \
    X(call_soon)                                                                                                  \
    X(cancelled)                                                                                                  \
    X(connect)                                                                                                    \
    X(connection_lost)                                                                                            \
    X(connection_made)                                                                                            \
    X(context)                                                                                                    \
    X(create_future)                                                                                              \
    X(data_received)                                                                                              \
    X(datagram_received)                                                                                          \
    X(detach)                                                                                                     \
    X(do_handshake)                                                                                               \
    X(done)                                                                                                       \
    X(eof_received)                                                                                               \
    X(error_received)                                                                                             \
    X(feed_data)                                                                                                  \
    X(fileno)                                                                                                     \
    X(get_buffer)                                                                                                 \
    X(get_debug)                                                                                                  \
    X(gettimeout)                                                                                                 \
    X(is_closing)                                                                                                 \
    X(pause_reading)                                                                                              \
    X(pause_writing)                                                                                              \
    X(proto)                                                                                                      \
    X(recv)                                                                                                       \
    X(recv_into)                                                                                                  \
    X(recvfrom)                                                                                                   \
    X(recvfrom_into)                                                                                              \
    X(resume_writing)                                                                                             \
    X(send)                                                                                                       \
    X(sendto)                                                                                                     \
    X(set_result)                                                                                                 \
    X(setblocking)                                                                                                \
    X(settimeout)                                                                                                 \
    X(time)

#define RPY_DECLARE_NAME(name) PyObject *name;

typedef struct rpy_names {
    RPY_NAMES(RPY_DECLARE_NAME)
} rpy_names;

enum { RPY_FREE_HANDLES = 256, RPY_SOCKET_METHODS = 4, RPY_TLS_METHODS = 2 };

/* Memory of handles, to be used again. */
typedef struct rpy_free_handles {
    struct rpy_handle *first; /* the others by their `next` */
    int count;
} rpy_free_handles;

typedef struct rpy_state {
    rpy_names names;

    /* loop.c */
    PyTypeObject *loop_type;
    PyObject *tasks;   /* the dict of asyncio.tasks: its Task may be replaced at any time */
    PyObject *futures; /* likewise, for Future */
    PyObject *no_args; /* () */
    PyObject *
        context_names; /* a call's tuple ("context",) that was seen to be that, or NULL: asyncio's tasks have one */
    PyObject *gaierror;      /* socket.gaierror */
    PyObject *format_handle; /* asyncio.base_events._format_handle */
    PyObject *logger;        /* asyncio's */

    /* handle.c */
    PyTypeObject *handle_type;
    PyTypeObject *timer_handle_type;
    PyObject *asyncio_handle; /* asyncio's types */
    PyObject *asyncio_timer_handle;
    PyObject *asyncio_threadsafe_handle; /* NULL before 3.14 */
    PyObject *event_type;                /* threading.Event */
    rpy_free_handles free_handles;
    rpy_free_handles free_timer_handles;
    PyObject *format_helpers;   /* asyncio.format_helpers */
    PyObject *handle_repr_info; /* asyncio.Handle._repr_info, which asks any handle for its attributes */

    /* transport.c, protocol.c, connection.c */
    PyTypeObject *transport_type;
    PyTypeObject *read_pipe_type;
    PyTypeObject *write_pipe_type;
    PyObject *set_result; /* asyncio.futures._set_result_unless_cancelled */
    PyObject *minus_one;
    PyObject *buffered_protocol; /* asyncio.BufferedProtocol */
    PyObject *socket_detach;     /* _socket.socket.detach */
    PyObject *socket_class;      /* socket.socket */
    PyObject *transport_socket;  /* asyncio.trsock.TransportSocket */

    /* tls_transport.c, tls_engine.c, tls_library.c: NULL before the first use of TLS */
    PyTypeObject *tls_transport_type;
    PyObject *tls_wants[2];          /* ssl.SSLWantReadError, ssl.SSLSyscallError */
    PyObject *tls_limits;            /* asyncio.sslproto.add_flowcontrol_defaults */
    PyObject *tls_certificate_error; /* ssl.CertificateError */
    PyObject *tls_ended;             /* ssl.SSLZeroReturnError */
    PyObject *tls_error;             /* ssl.SSLError */
    PyObject *tls_one;               /* 1 and b"", which methods are called with */
    PyObject *tls_nothing;
    PyTypeObject *tls_inner_type;           /* _ssl._SSLSocket */
    PyObject *tls_methods[RPY_TLS_METHODS]; /* of ssl.SSLObject: those that are not called */
    bool tls_direct;                        /* the direct engine has been tried out */

    /* datagram.c */
    PyTypeObject *datagram_type;

    /* streams.c: classes of asyncio.streams, and what was in them when we were loaded */
    PyTypeObject *stream_protocol_type;
    PyTypeObject *stream_reader_type;
    PyTypeObject *future_type; /* asyncio.Future, when we were loaded */
    PyObject *stream_data_received;
    PyObject *stream_property;
    PyObject *stream_feed_data;
    PyObject *stream_wakeup;
    bool streams_own; /* it was all there, when the types had these versions */
    unsigned stream_protocol_version;
    unsigned stream_reader_version;
    /* watch.c */
    PyTypeObject *watches_type;

    /* process.c */
    PyTypeObject *process_type;

    /* sendfile.c */
    PyTypeObject *sending_type;
    PyTypeObject *blocks_type;

    /* op.c */
    PyTypeObject *op_type;
    PyObject *check_ssl_socket;                   /* asyncio.base_events._check_ssl_socket */
    PyTypeObject *socket_type;                    /* socket.socket */
    PyObject *socket_names[RPY_SOCKET_METHODS];   /* of methods that are not called where the class has */
    PyObject *socket_methods[RPY_SOCKET_METHODS]; /* these still */
    PyObject *socket_family;                      /* members of _socket.socket: its family and its type */
    PyObject *socket_kind;
    unsigned socket_version; /* of the type, when that was found out; 0: it was not */
    bool sockets_are_plain;  /* it has them */
} rpy_state;

/* The state of a module object. */
static inline rpy_state *rpy_module_state(PyObject *module)
{
    return PyModule_GetState(module);
}

/* An attribute of a Python module, which is imported: a new reference, or NULL. */
PyObject *rpy_import(const char *module, const char *name);

/* Makes a type of ours, and adds it to the module. `bases` may be NULL. A new reference, or NULL. */
PyTypeObject *rpy_add_type(PyObject *module, PyType_Spec *spec, PyObject *bases);

#endif
