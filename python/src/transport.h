/*
 * transport.h - asyncio.Transport over a transport of the core's.
 *
 * While the connection lasts, the loop keeps the object alive.
 */
#ifndef RPY_TRANSPORT_H
#define RPY_TRANSPORT_H

#include "address.h"
#include "connection.h"
#include "handle.h"
#include "ringport/net.h"

int rpy_transport_init(PyObject *module, rpy_state *state);

/*
 * Makes the transport of a connected stream socket, and starts it: connection_made is called in the next turn, then
 * data is received, and `waiter` gets None as its result.
 *   fd        the core's from then on; it is closed after connection_lost
 *   socket    Python's object for it, which is detached then; NULL: get_extra_info('socket') makes one if it is asked,
 *             and the socket has the options already that a transport sets: non-blocking, TCP_NODELAY
 *   context   what the protocol is called in; NULL: a copy of the current one
 *   waiter    a Future, or NULL
 *   extra     a dict for get_extra_info(), or NULL
 *   ends      or NULL
 * A new reference. NULL with an exception: the descriptor is still the caller's.
 */
PyObject *rpy_transport_new(rpy_loop *loop, rp_fd fd, PyObject *socket, PyObject *protocol, PyObject *context,
                            PyObject *waiter, PyObject *extra, const rpy_ends *ends);

/* The method Loop._make_socket_transport(sock, protocol, waiter=None, *, extra=None, server=None). */
PyObject *rpy_make_socket_transport(PyObject *loop, PyObject *args, PyObject *kwargs);

/*
 * The same for a pipe: of that type, over a transport of the core's that was not started, which it takes.
 *   pipe      Python's object for it, which has the descriptor: closed after connection_lost
 */
PyObject *rpy_transport_new_pipe(rpy_loop *loop, PyTypeObject *type, rp_transport *core, PyObject *pipe,
                                 PyObject *protocol, PyObject *waiter, PyObject *extra);

/* The core's transport, lent; and the object of one that was made here, lent; NULL: it has none. */
rp_transport *rpy_transport_core(PyObject *transport);
PyObject *rpy_transport_object(rp_transport *core);

/* ---- what the types of transports share ---- */

PyObject *rpy_transport_write(PyObject *object, PyObject *data);
PyObject *rpy_transport_writelines(PyObject *object, PyObject *lines);
PyObject *rpy_transport_get_limits(PyObject *object, PyObject *unused);
PyObject *rpy_transport_get_size(PyObject *object, PyObject *unused);
PyObject *rpy_transport_is_reading(PyObject *object, PyObject *unused);
PyObject *rpy_transport_pause_reading(PyObject *object, PyObject *unused);
PyObject *rpy_transport_resume_reading(PyObject *object, PyObject *unused);
PyObject *rpy_transport_set_protocol(PyObject *object, PyObject *protocol);
PyObject *rpy_transport_get_protocol(PyObject *object, PyObject *unused);
PyObject *rpy_transport_is_closing(PyObject *object, PyObject *unused);
PyObject *rpy_transport_close(PyObject *object, PyObject *unused);
PyObject *rpy_transport_abort(PyObject *object, PyObject *unused);
PyObject *rpy_transport_force_close(PyObject *object, PyObject *exception);
PyObject *rpy_transport_call_connection_lost(PyObject *object, PyObject *exception);
PyObject *rpy_transport_set_limits(PyObject *object, PyObject *args, PyObject *kwargs);
PyObject *rpy_transport_get_extra_info(PyObject *object, PyObject *args, PyObject *kwargs);
PyObject *rpy_transport_fatal_error(PyObject *object, PyObject *args, PyObject *kwargs);

/* One more write to what is lost, or closing. */
PyObject *rpy_transport_count_lost_write(rpy_transport *self);

/* NULL, with the TypeError for what is no bytes; `wanted` says what would be. */
PyObject *rpy_transport_refuse_type(PyObject *data, const char *wanted);

/* It is about to close: connection_lost is called in the context of whoever closes. 0, or -1 with an exception. */
int rpy_transport_note_context(rpy_transport *self);

/* The handle that calls connection_made, and the one that tells a waiter: new references, NULL with an exception. */
rpy_handle *rpy_transport_handle_for_protocol(rpy_transport *self, PyObject *protocol);
rpy_handle *rpy_transport_handle_for_waiter(rpy_loop *loop, PyObject *waiter);

/* Attributes, of which programs that look into asyncio's transports know. */
PyObject *rpy_transport_show_loop(PyObject *object, void *unused);
PyObject *rpy_transport_show_protocol(PyObject *object, void *unused);
PyObject *rpy_transport_show_sock(PyObject *object, void *unused);
PyObject *rpy_transport_show_extra(PyObject *object, void *unused);
PyObject *rpy_transport_show_closing(PyObject *object, void *unused);
PyObject *rpy_transport_show_paused(PyObject *object, void *unused);
PyObject *rpy_transport_show_protocol_paused(PyObject *object, void *unused);
PyObject *rpy_transport_show_conn_lost(PyObject *object, void *unused);
PyObject *rpy_transport_show_mark(PyObject *object, void *high);

int rpy_transport_traverse(PyObject *object, visitproc visit, void *arg);
int rpy_transport_clear(PyObject *object);
void rpy_transport_finalize(PyObject *object);
void rpy_transport_dealloc(PyObject *object);

#endif
