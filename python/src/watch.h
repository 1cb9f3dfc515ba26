/*
 * watch.h - what waits for the readiness of the program's own descriptors: add_reader() and add_writer(), operations on
 * sockets; and which descriptors are transports'.
 */
#ifndef RPY_WATCH_H
#define RPY_WATCH_H

#include "loop.h"

enum { RPY_READ, RPY_WRITE, RPY_DIRECTIONS };

int rpy_watch_init(PyObject *module, rpy_state *state);

/* ---- waiting ---- */

/*
 * What waits on a descriptor in one direction, behind those that came before it. Embed it in an object, zeroed. While
 * it waits, the descriptor refers to the object.
 */
typedef struct rpy_waiter {
    rp_node link;
    PyObject *object;
    /* The descriptor may be ready. Tries, and returns whether it waits no more. */
    bool (*ready)(PyObject *object);
    /* The number may be another file's now. Returns whether it waits no more, since its file has been closed. */
    bool (*gone)(PyObject *object);
} rpy_waiter;

/*
 * Waits until the descriptor may have become ready since. `socket`: Python's object for it, if that has found just now
 * that it is not ready; else NULL. 0, or -1 with an exception: RuntimeError if the loop is
 * closed, OSError if the kernel cannot watch it.
 */
int rpy_watch_wait(rpy_loop *loop, int fd, int direction, rpy_waiter *waiter, PyObject *object, PyObject *socket);

/* Waits no more. Ignored if it does not. The object may be freed by that. */
void rpy_watch_leave(rpy_waiter *waiter);

/* Has the waiters asked again in the next turn if the descriptor is ready then: one that has not done all it can. */
void rpy_watch_again(rpy_loop *loop, int fd);

/*
 * What a turn does about it: collects what has become ready, when it has waited; and puts that before the timers that
 * it runs, when it has delivered the rest. A turn does not sleep while loop->look is set.
 */
void rpy_watch_collect(rpy_loop *loop);
void rpy_watch_schedule(rpy_loop *loop);

/* Whether others wait there. */
bool rpy_watch_is_busy(const rpy_loop *loop, int fd, int direction);

/* Has the kernel watch the descriptor for what waits there still, and for nothing else. */
void rpy_watch_settle(const rpy_loop *loop, int fd);

/* ---- whose descriptors they are ---- */

/*
 * The descriptor is a transport's from now on: add_reader() and its like, and operations that would have to wait, are
 * refused with a RuntimeError unless the transport is closing.
 * The reference is borrowed, until the transport disowns it: before the descriptor is closed, when its socket is
 * detached already. What still waits for that socket fails then.
 * 0, or -1 with an exception.
 */
int rpy_watch_own(rpy_loop *loop, int fd, PyObject *transport);
void rpy_watch_disown(rpy_loop *loop, int fd, const PyObject *transport);

/* Refuses the descriptor of a transport. `file` is what the program named it by. 0, or -1 with a RuntimeError. */
int rpy_watch_check_free(const rpy_loop *loop, int fd, PyObject *file);

/* ---- methods of the Loop, for its type ---- */

PyObject *rpy_ensure_fd_no_transport(PyObject *loop, PyObject *file);
PyObject *rpy_add_reader(PyObject *loop, PyObject *const *args, Py_ssize_t count);
PyObject *rpy_add_writer(PyObject *loop, PyObject *const *args, Py_ssize_t count);
PyObject *rpy_remove_reader(PyObject *loop, PyObject *file);
PyObject *rpy_remove_writer(PyObject *loop, PyObject *file);
PyObject *rpy_add_own_reader(PyObject *loop, PyObject *const *args, Py_ssize_t count);
PyObject *rpy_add_own_writer(PyObject *loop, PyObject *const *args, Py_ssize_t count);
PyObject *rpy_remove_own_reader(PyObject *loop, PyObject *file);
PyObject *rpy_remove_own_writer(PyObject *loop, PyObject *file);

/* clang-format off */
#define RPY_WATCH_METHODS                                                                                             \
    {"_ensure_fd_no_transport", rpy_ensure_fd_no_transport, METH_O,                                                   \
     PyDoc_STR("_ensure_fd_no_transport(fd, /)\n--\n\nRaise RuntimeError if the descriptor is a transport's.")},   \
    {"add_reader", (PyCFunction)(void (*)(void))rpy_add_reader, METH_FASTCALL,                                        \
     PyDoc_STR("add_reader(fd, callback, /, *args)\n--\n\n"                                                           \
               "Run callback(*args) in every turn in which the descriptor is readable.")},                            \
    {"add_writer", (PyCFunction)(void (*)(void))rpy_add_writer, METH_FASTCALL,                                        \
     PyDoc_STR("add_writer(fd, callback, /, *args)\n--\n\n"                                                           \
               "Run callback(*args) in every turn in which the descriptor is writable.")},                            \
    {"remove_reader", rpy_remove_reader, METH_O,                                                                      \
     PyDoc_STR("remove_reader(fd, /)\n--\n\nUndo add_reader(). Return whether there was one.")},                      \
    {"remove_writer", rpy_remove_writer, METH_O,                                                                      \
     PyDoc_STR("remove_writer(fd, /)\n--\n\nUndo add_writer(). Return whether there was one.")},                      \
    {"_add_reader", (PyCFunction)(void (*)(void))rpy_add_own_reader, METH_FASTCALL,                                   \
     PyDoc_STR("_add_reader(fd, callback, /, *args)\n--\n\nadd_reader() for transports. Return the Handle.")},        \
    {"_add_writer", (PyCFunction)(void (*)(void))rpy_add_own_writer, METH_FASTCALL,                                   \
     PyDoc_STR("_add_writer(fd, callback, /, *args)\n--\n\nadd_writer() for transports. Return the Handle.")},        \
    {"_remove_reader", rpy_remove_own_reader, METH_O,                                                                 \
     PyDoc_STR("_remove_reader(fd, /)\n--\n\nremove_reader() for transports.")},                                      \
    {"_remove_writer", rpy_remove_own_writer, METH_O,                                                                 \
     PyDoc_STR("_remove_writer(fd, /)\n--\n\nremove_writer() for transports.")}
/* clang-format on */

#endif
