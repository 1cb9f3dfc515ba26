/*
 * python.h - ringport for extension modules of Python: C protocols on the loop that runs Python's.
 *
 * The extension module that ringport consists of exports nothing. It hands its functions out by a table, the capsule
 * `ringport.capi`, and with this header the names of loop.h, net.h and the headers below them mean those of the table.
 * So a protocol is written as for a program in C. Nothing is linked: `ringport.get_include()` says where the headers
 * are.
 *
 * Left out is what makes, runs and ends loops, and sets them up: that is Python's business.
 *
 * A module calls rp_python_import() when it is made, and before anything else of ringport's.
 * Callbacks of the core's run in the thread that runs the loop, which holds the GIL: they may call Python.
 * A callback leaves no exception set; PyErr_WriteUnraisable() reports one.
 * What may be called from any thread needs no GIL.
 */
#ifndef RINGPORT_PYTHON_H
#define RINGPORT_PYTHON_H

#include <Python.h>

#include "net.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The functions that a module gets. New ones are added at the end. */
#define RP_PYTHON_FUNCTIONS_(X)                                                                                   \
    X(rp_version)                                                                                                 \
    X(rp_monotonic)                                                                                               \
    X(rp_strerror)                                                                                                \
    X(rp_errname)                                                                                                 \
    X(rp_op_nop)                                                                                                  \
    X(rp_op_accept)                                                                                               \
    X(rp_op_accept_multi)                                                                                         \
    X(rp_op_connect)                                                                                              \
    X(rp_op_recv)                                                                                                 \
    X(rp_op_recv_stream)                                                                                          \
    X(rp_op_receive)                                                                                              \
    X(rp_op_receivable)                                                                                           \
    X(rp_op_send)                                                                                                 \
    X(rp_op_sendmsg)                                                                                              \
    X(rp_op_recvmsg)                                                                                              \
    X(rp_op_shutdown)                                                                                             \
    X(rp_op_close)                                                                                                \
    X(rp_op_poll)                                                                                                 \
    X(rp_op_poll_multi)                                                                                           \
    X(rp_op_read)                                                                                                 \
    X(rp_op_write)                                                                                                \
    X(rp_op_readv)                                                                                                \
    X(rp_op_writev)                                                                                               \
    X(rp_op_fsync)                                                                                                \
    X(rp_op_openat)                                                                                               \
    X(rp_op_statx)                                                                                                \
    X(rp_op_wait_child)                                                                                           \
    X(rp_loop_is_running)                                                                                         \
    X(rp_loop_is_closed)                                                                                          \
    X(rp_loop_time)                                                                                               \
    X(rp_loop_backend_name)                                                                                       \
    X(rp_loop_get_stats)                                                                                          \
    X(rp_call_soon)                                                                                               \
    X(rp_call_soon_threadsafe)                                                                                    \
    X(rp_call_later)                                                                                              \
    X(rp_call_at)                                                                                                 \
    X(rp_handle_cancel)                                                                                           \
    X(rp_timer_cancel)                                                                                            \
    X(rp_handle_scheduled)                                                                                        \
    X(rp_timer_scheduled)                                                                                         \
    X(rp_timer_when)                                                                                              \
    X(rp_submit)                                                                                                  \
    X(rp_cancel)                                                                                                  \
    X(rp_add_reader)                                                                                              \
    X(rp_add_writer)                                                                                              \
    X(rp_remove_reader)                                                                                           \
    X(rp_remove_writer)                                                                                           \
    X(rp_run_in_executor)                                                                                         \
    X(rp_call_exception_handler)                                                                                  \
    X(rp_get_running_loop)                                                                                        \
    X(rp_future_new)                                                                                              \
    X(rp_future_ref)                                                                                              \
    X(rp_future_unref)                                                                                            \
    X(rp_future_set_result)                                                                                       \
    X(rp_future_set_error)                                                                                        \
    X(rp_future_cancel)                                                                                           \
    X(rp_future_done)                                                                                             \
    X(rp_future_cancelled)                                                                                        \
    X(rp_future_result)                                                                                           \
    X(rp_future_value)                                                                                            \
    X(rp_future_set_data)                                                                                         \
    X(rp_future_data)                                                                                             \
    X(rp_future_get_loop)                                                                                         \
    X(rp_future_add_done_callback)                                                                                \
    X(rp_future_remove_done_callback)                                                                             \
    X(rp_transport_ref)                                                                                           \
    X(rp_transport_unref)                                                                                         \
    X(rp_transport_write)                                                                                         \
    X(rp_transport_writev)                                                                                        \
    X(rp_transport_cork)                                                                                          \
    X(rp_transport_uncork)                                                                                        \
    X(rp_transport_write_eof)                                                                                     \
    X(rp_transport_close)                                                                                         \
    X(rp_transport_abort)                                                                                         \
    X(rp_transport_is_closing)                                                                                    \
    X(rp_transport_pause_reading)                                                                                 \
    X(rp_transport_resume_reading)                                                                                \
    X(rp_transport_is_reading)                                                                                    \
    X(rp_transport_try_read)                                                                                      \
    X(rp_transport_set_write_buffer_limits)                                                                       \
    X(rp_transport_get_write_buffer_limits)                                                                       \
    X(rp_transport_get_write_buffer_size)                                                                         \
    X(rp_transport_fd)                                                                                            \
    X(rp_transport_get_loop)                                                                                      \
    X(rp_transport_peername)                                                                                      \
    X(rp_transport_sockname)                                                                                      \
    X(rp_transport_setsockopt)                                                                                    \
    X(rp_transport_getsockopt)                                                                                    \
    X(rp_transport_set_protocol)                                                                                  \
    X(rp_transport_get_protocol)                                                                                  \
    X(rp_connect_accepted_socket)                                                                                 \
    X(rp_sockaddr_format)                                                                                         \
    X(rp_loop_getaddrinfo)                                                                                        \
    X(rp_create_connection)                                                                                       \
    X(rp_create_unix_connection)                                                                                  \
    X(rp_create_connection_fd)                                                                                    \
    X(rp_create_server)                                                                                           \
    X(rp_create_unix_server)                                                                                      \
    X(rp_create_server_fd)                                                                                        \
    X(rp_create_server_fds)                                                                                       \
    X(rp_server_start_serving)                                                                                    \
    X(rp_server_close)                                                                                            \
    X(rp_server_close_clients)                                                                                    \
    X(rp_server_abort_clients)                                                                                    \
    X(rp_server_free)                                                                                             \
    X(rp_server_ref)                                                                                              \
    X(rp_server_unref)                                                                                            \
    X(rp_server_is_serving)                                                                                       \
    X(rp_server_get_loop)                                                                                         \
    X(rp_server_connections)                                                                                      \
    X(rp_server_sockets)                                                                                          \
    X(rp_server_fd)                                                                                               \
    X(rp_server_sockname)                                                                                         \
    X(rp_server_port)                                                                                             \
    X(rp_server_closed_future)                                                                                    \
    X(rp_loop_getnameinfo)                                                                                        \
    X(rp_connect_read_pipe)                                                                                       \
    X(rp_connect_write_pipe)                                                                                      \
    X(rp_create_pipe_connection)                                                                                  \
    X(rp_create_pipe_server)                                                                                      \
    X(rp_op_renameat)                                                                                             \
    X(rp_op_unlinkat)                                                                                             \
    X(rp_op_mkdirat)                                                                                              \
    X(rp_op_symlinkat)                                                                                            \
    X(rp_op_linkat)                                                                                               \
    X(rp_op_readlinkat)                                                                                           \
    X(rp_op_truncate)                                                                                             \
    X(rp_op_ftruncate)                                                                                            \
    X(rp_op_wait_child_fd)                                                                                        \
    X(rp_transport_sendfile)                                                                                      \
    X(rp_sendfile_sent)                                                                                           \
    X(rp_create_unix_connection_with)

/* A function's member: its name may not be the function's, in C++. */
#define RP_PYTHON_MEMBER_(name) __typeof__(name) *name##_;

/* What the capsule holds: it stays, whatever becomes of the capsule. */
typedef struct rp_python_table {
    size_t size;      /* of this struct, in bytes */
    int major, minor; /* the version */
    rp_loop *(*loop)(PyObject *loop);
    PyObject *(*set_error)(int64_t error);
    RP_PYTHON_FUNCTIONS_(RP_PYTHON_MEMBER_)
} rp_python_table;

/* ringport's own files need no more than that. */
#ifndef RP_PYTHON_TABLE_ONLY

/* The table, once it is imported: all files of a module share it. */
__attribute__((weak, visibility("hidden"))) const rp_python_table *rp_python;

/*
 * Imports ringport, and takes its table.
 * The version of these headers must be the one that is installed: until 1.0 in major and minor number.
 * Returns 0, or -1 with an exception set.
 */
static inline int rp_python_import(void)
{
    const rp_python_table *table = (const rp_python_table *)PyCapsule_Import("ringport.capi", 0);

    if (!table)
        return -1;
    if (table->major != RP_VERSION_MAJOR || (RP_VERSION_MAJOR == 0 && table->minor != RP_VERSION_MINOR) ||
        table->size < sizeof *table) {
        PyErr_Format(PyExc_ImportError, "built for ringport %d.%d, but this is %d.%d", RP_VERSION_MAJOR,
                     RP_VERSION_MINOR, table->major, table->minor);
        return -1;
    }
    rp_python = table;
    return 0;
}

/*
 * The core's loop of a ringport.Loop, lent: as long as that object lives.
 * NULL with a TypeError: it is something else.
 */
static inline rp_loop *rp_python_loop(PyObject *loop)
{
    return rp_python->loop(loop);
}

/*
 * The core's loop that runs in this thread, lent.
 * NULL with a RuntimeError: none of ringport's does.
 */
static inline rp_loop *rp_python_running_loop(void)
{
    rp_loop *loop = rp_python->rp_get_running_loop_();

    if (!loop)
        PyErr_SetString(PyExc_RuntimeError, "no event loop of ringport's is running in this thread");
    return loop;
}

/* Raises the exception that a negative error of ringport's is in Python, such as an OSError. Returns NULL. */
static inline PyObject *rp_python_set_error(int64_t error)
{
    return rp_python->set_error(error);
}

/* The functions under their own names. */
#define RP_PYTHON_(name) rp_python->name##_
#define rp_version RP_PYTHON_(rp_version)
#define rp_monotonic RP_PYTHON_(rp_monotonic)
#define rp_strerror RP_PYTHON_(rp_strerror)
#define rp_errname RP_PYTHON_(rp_errname)
#define rp_op_nop RP_PYTHON_(rp_op_nop)
#define rp_op_accept RP_PYTHON_(rp_op_accept)
#define rp_op_accept_multi RP_PYTHON_(rp_op_accept_multi)
#define rp_op_connect RP_PYTHON_(rp_op_connect)
#define rp_op_recv RP_PYTHON_(rp_op_recv)
#define rp_op_recv_stream RP_PYTHON_(rp_op_recv_stream)
#define rp_op_receive RP_PYTHON_(rp_op_receive)
#define rp_op_receivable RP_PYTHON_(rp_op_receivable)
#define rp_op_send RP_PYTHON_(rp_op_send)
#define rp_op_sendmsg RP_PYTHON_(rp_op_sendmsg)
#define rp_op_recvmsg RP_PYTHON_(rp_op_recvmsg)
#define rp_op_shutdown RP_PYTHON_(rp_op_shutdown)
#define rp_op_close RP_PYTHON_(rp_op_close)
#define rp_op_poll RP_PYTHON_(rp_op_poll)
#define rp_op_poll_multi RP_PYTHON_(rp_op_poll_multi)
#define rp_op_read RP_PYTHON_(rp_op_read)
#define rp_op_write RP_PYTHON_(rp_op_write)
#define rp_op_readv RP_PYTHON_(rp_op_readv)
#define rp_op_writev RP_PYTHON_(rp_op_writev)
#define rp_op_fsync RP_PYTHON_(rp_op_fsync)
#define rp_op_openat RP_PYTHON_(rp_op_openat)
#define rp_op_statx RP_PYTHON_(rp_op_statx)
#define rp_op_wait_child RP_PYTHON_(rp_op_wait_child)
#define rp_loop_is_running RP_PYTHON_(rp_loop_is_running)
#define rp_loop_is_closed RP_PYTHON_(rp_loop_is_closed)
#define rp_loop_time RP_PYTHON_(rp_loop_time)
#define rp_loop_backend_name RP_PYTHON_(rp_loop_backend_name)
#define rp_loop_get_stats RP_PYTHON_(rp_loop_get_stats)
#define rp_call_soon RP_PYTHON_(rp_call_soon)
#define rp_call_soon_threadsafe RP_PYTHON_(rp_call_soon_threadsafe)
#define rp_call_later RP_PYTHON_(rp_call_later)
#define rp_call_at RP_PYTHON_(rp_call_at)
#define rp_handle_cancel RP_PYTHON_(rp_handle_cancel)
#define rp_timer_cancel RP_PYTHON_(rp_timer_cancel)
#define rp_handle_scheduled RP_PYTHON_(rp_handle_scheduled)
#define rp_timer_scheduled RP_PYTHON_(rp_timer_scheduled)
#define rp_timer_when RP_PYTHON_(rp_timer_when)
#define rp_submit RP_PYTHON_(rp_submit)
#define rp_cancel RP_PYTHON_(rp_cancel)
#define rp_add_reader RP_PYTHON_(rp_add_reader)
#define rp_add_writer RP_PYTHON_(rp_add_writer)
#define rp_remove_reader RP_PYTHON_(rp_remove_reader)
#define rp_remove_writer RP_PYTHON_(rp_remove_writer)
#define rp_run_in_executor RP_PYTHON_(rp_run_in_executor)
#define rp_call_exception_handler RP_PYTHON_(rp_call_exception_handler)
#define rp_get_running_loop RP_PYTHON_(rp_get_running_loop)
#define rp_future_new RP_PYTHON_(rp_future_new)
#define rp_future_ref RP_PYTHON_(rp_future_ref)
#define rp_future_unref RP_PYTHON_(rp_future_unref)
#define rp_future_set_result RP_PYTHON_(rp_future_set_result)
#define rp_future_set_error RP_PYTHON_(rp_future_set_error)
#define rp_future_cancel RP_PYTHON_(rp_future_cancel)
#define rp_future_done RP_PYTHON_(rp_future_done)
#define rp_future_cancelled RP_PYTHON_(rp_future_cancelled)
#define rp_future_result RP_PYTHON_(rp_future_result)
#define rp_future_value RP_PYTHON_(rp_future_value)
#define rp_future_set_data RP_PYTHON_(rp_future_set_data)
#define rp_future_data RP_PYTHON_(rp_future_data)
#define rp_future_get_loop RP_PYTHON_(rp_future_get_loop)
#define rp_future_add_done_callback RP_PYTHON_(rp_future_add_done_callback)
#define rp_future_remove_done_callback RP_PYTHON_(rp_future_remove_done_callback)
#define rp_transport_ref RP_PYTHON_(rp_transport_ref)
#define rp_transport_unref RP_PYTHON_(rp_transport_unref)
#define rp_transport_write RP_PYTHON_(rp_transport_write)
#define rp_transport_writev RP_PYTHON_(rp_transport_writev)
#define rp_transport_cork RP_PYTHON_(rp_transport_cork)
#define rp_transport_uncork RP_PYTHON_(rp_transport_uncork)
#define rp_transport_write_eof RP_PYTHON_(rp_transport_write_eof)
#define rp_transport_close RP_PYTHON_(rp_transport_close)
#define rp_transport_abort RP_PYTHON_(rp_transport_abort)
#define rp_transport_is_closing RP_PYTHON_(rp_transport_is_closing)
#define rp_transport_pause_reading RP_PYTHON_(rp_transport_pause_reading)
#define rp_transport_resume_reading RP_PYTHON_(rp_transport_resume_reading)
#define rp_transport_is_reading RP_PYTHON_(rp_transport_is_reading)
#define rp_transport_try_read RP_PYTHON_(rp_transport_try_read)
#define rp_transport_set_write_buffer_limits RP_PYTHON_(rp_transport_set_write_buffer_limits)
#define rp_transport_get_write_buffer_limits RP_PYTHON_(rp_transport_get_write_buffer_limits)
#define rp_transport_get_write_buffer_size RP_PYTHON_(rp_transport_get_write_buffer_size)
#define rp_transport_fd RP_PYTHON_(rp_transport_fd)
#define rp_transport_get_loop RP_PYTHON_(rp_transport_get_loop)
#define rp_transport_peername RP_PYTHON_(rp_transport_peername)
#define rp_transport_sockname RP_PYTHON_(rp_transport_sockname)
#define rp_transport_setsockopt RP_PYTHON_(rp_transport_setsockopt)
#define rp_transport_getsockopt RP_PYTHON_(rp_transport_getsockopt)
#define rp_transport_set_protocol RP_PYTHON_(rp_transport_set_protocol)
#define rp_transport_get_protocol RP_PYTHON_(rp_transport_get_protocol)
#define rp_connect_accepted_socket RP_PYTHON_(rp_connect_accepted_socket)
#define rp_sockaddr_format RP_PYTHON_(rp_sockaddr_format)
#define rp_loop_getaddrinfo RP_PYTHON_(rp_loop_getaddrinfo)
#define rp_create_connection RP_PYTHON_(rp_create_connection)
#define rp_create_unix_connection RP_PYTHON_(rp_create_unix_connection)
#define rp_create_connection_fd RP_PYTHON_(rp_create_connection_fd)
#define rp_create_server RP_PYTHON_(rp_create_server)
#define rp_create_unix_server RP_PYTHON_(rp_create_unix_server)
#define rp_create_server_fd RP_PYTHON_(rp_create_server_fd)
#define rp_create_server_fds RP_PYTHON_(rp_create_server_fds)
#define rp_server_start_serving RP_PYTHON_(rp_server_start_serving)
#define rp_server_close RP_PYTHON_(rp_server_close)
#define rp_server_close_clients RP_PYTHON_(rp_server_close_clients)
#define rp_server_abort_clients RP_PYTHON_(rp_server_abort_clients)
#define rp_server_free RP_PYTHON_(rp_server_free)
#define rp_server_ref RP_PYTHON_(rp_server_ref)
#define rp_server_unref RP_PYTHON_(rp_server_unref)
#define rp_server_is_serving RP_PYTHON_(rp_server_is_serving)
#define rp_server_get_loop RP_PYTHON_(rp_server_get_loop)
#define rp_server_connections RP_PYTHON_(rp_server_connections)
#define rp_server_sockets RP_PYTHON_(rp_server_sockets)
#define rp_server_fd RP_PYTHON_(rp_server_fd)
#define rp_server_sockname RP_PYTHON_(rp_server_sockname)
#define rp_server_port RP_PYTHON_(rp_server_port)
#define rp_server_closed_future RP_PYTHON_(rp_server_closed_future)
#define rp_loop_getnameinfo RP_PYTHON_(rp_loop_getnameinfo)
#define rp_connect_read_pipe RP_PYTHON_(rp_connect_read_pipe)
#define rp_connect_write_pipe RP_PYTHON_(rp_connect_write_pipe)
#define rp_create_pipe_connection RP_PYTHON_(rp_create_pipe_connection)
#define rp_create_pipe_server RP_PYTHON_(rp_create_pipe_server)
#define rp_op_renameat RP_PYTHON_(rp_op_renameat)
#define rp_op_unlinkat RP_PYTHON_(rp_op_unlinkat)
#define rp_op_mkdirat RP_PYTHON_(rp_op_mkdirat)
#define rp_op_symlinkat RP_PYTHON_(rp_op_symlinkat)
#define rp_op_linkat RP_PYTHON_(rp_op_linkat)
#define rp_op_readlinkat RP_PYTHON_(rp_op_readlinkat)
#define rp_op_truncate RP_PYTHON_(rp_op_truncate)
#define rp_op_ftruncate RP_PYTHON_(rp_op_ftruncate)
#define rp_op_wait_child_fd RP_PYTHON_(rp_op_wait_child_fd)
#define rp_transport_sendfile RP_PYTHON_(rp_transport_sendfile)
#define rp_sendfile_sent RP_PYTHON_(rp_sendfile_sent)
#define rp_create_unix_connection_with RP_PYTHON_(rp_create_unix_connection_with)
#endif

#ifdef __cplusplus
}
#endif

#endif
