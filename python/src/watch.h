/*
 * watch.h - what waits for the readiness of the program's own descriptors: add_reader() and add_writer(), operations on
 * sockets; and which descriptors are transports'.
 */
#ifndef RPY_WATCH_H
#define RPY_WATCH_H

#include "handle.h"

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

/* ---- handles ---- */

/*
 * Runs the handle in each turn in which the descriptor is ready, in place of the one that is there. `file` is Python's
 * object for it, NULL if it was named by its number. 0, or -1 with an exception.
 */
int rpy_watch_set_handle(rpy_loop *loop, int fd, int direction, rpy_handle *handle, PyObject *file);

/* Undoes that, and cancels the handle. Returns whether there was one. */
bool rpy_watch_drop_handle(rpy_loop *loop, int fd, int direction);

/* The number of a file that has a handle, even if it has been closed since; -1: there is none. */
int rpy_watch_find_file(const rpy_loop *loop, const PyObject *file);

#endif
