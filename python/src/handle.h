/*
 * handle.h - Handle and TimerHandle: a callback with its arguments and context, scheduled in the core's own lists.
 *
 * While a handle is scheduled, the loop owns a reference to it. When it has run or was cancelled, it refers to nothing.
 */
#ifndef RPY_HANDLE_H
#define RPY_HANDLE_H

#include "loop.h"

enum { RPY_INLINE_ARGS = 2 };

typedef struct rpy_handle rpy_handle;
struct rpy_handle {
    PyObject_HEAD
    rpy_state *state;
    rpy_loop *loop;     /* NULL: as the callback */
    PyObject *callback; /* NULL: it has run, or was cancelled */
    PyObject *context;
    PyObject *args;                     /* a tuple, or NULL: they are below */
    PyObject *inlined[RPY_INLINE_ARGS]; /* the arguments, if there are few */
    int count;                          /* of those */
    bool cancelled;
    bool running;
    bool timed;                 /* a TimerHandle, which is an object of the garbage collector's */
    bool guarded;               /* it is one of call_soon_threadsafe(): see rpy_handle_guard */
    unsigned long thread;       /* guarded: that runs it; 0: none */
    PyObject *returned;         /* guarded: an Event that other threads wait for while it runs, or NULL */
    PyObject *source_traceback; /* debug mode, or NULL */
    PyObject *repr;             /* debug mode: of a cancelled one, as it was before */
    PyObject *weakrefs;
    double when; /* of a TimerHandle, as it was given */
    union {
        rp_handle handle;
        rp_timer timer;
        rpy_handle *next; /* in the list of free ones */
    } core;
};

int rpy_handle_init(PyObject *module, rpy_state *state);

/*
 * A handle for callback(*args) in `context` (NULL: a copy of the current one), not scheduled yet.
 * A new reference, or NULL with an exception.
 */
rpy_handle *rpy_handle_new(rpy_loop *loop, PyTypeObject *type, PyObject *callback, PyObject *const *args,
                           Py_ssize_t count, PyObject *context);

/*
 * Makes it what call_soon_threadsafe() returns, where asyncio has _ThreadSafeHandle (from 3.14 on): while it runs,
 * other threads that cancel it, or ask whether it was cancelled, wait until it has returned.
 */
void rpy_handle_guard(rpy_handle *handle);

/* Schedules it as by call_soon(): the loop takes a reference. Never fails. */
void rpy_handle_schedule(rpy_handle *handle);

/* The same at a time, in seconds of the loop's clock. 0, or an error of the core's. */
int rpy_handle_schedule_at(rpy_handle *handle, double when);

/* Schedules those that wait for their time anew, each for its own: the loop's clock has moved against the kernel's. */
void rpy_handle_reschedule_all(rpy_loop *loop);

/* Runs callback(*args) in its context now, as the loop runs a handle: errors go to the exception handler. */
void rpy_handle_call(rpy_handle *handle);

/* Handle.cancel(): also of a handle that was never scheduled. For a guarded one see there: it does not wait. */
void rpy_handle_cancel(rpy_handle *handle);

/* The same for a tp_clear: in debug mode it is not shown any more as it was, since that would call Python. */
void rpy_handle_discard(rpy_handle *handle);

/* For the Loop's tp_traverse: visits a pending handle of the core's, or what it refers to, if it is one of ours. */
int rpy_handle_traverse_pending(rp_handle *handle, visitproc visit, void *arg);

/* Gives the memory of free handles back, while their types are there; from now on none is kept. */
void rpy_handles_free(rpy_state *state);

#endif
