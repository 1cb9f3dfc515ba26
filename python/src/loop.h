/*
 * loop.h - rpy_loop: Python's object around an rp_loop, and what the other files of the face share of it.
 */
#ifndef RPY_LOOP_H
#define RPY_LOOP_H

#include <stdbool.h>

#include "base/list.h"
#include "loop/handle.h"
#include "loop/loop.h"
#include "state.h"

enum { RPY_BOUND = 3 };

typedef struct rpy_loop {
    PyObject_HEAD
    rpy_state *state;
    PyObject *module;           /* has the state */
    rp_loop *loop;              /* NULL before __init__ only */
    PyObject *bound[RPY_BOUND]; /* methods, or NULL: see loop_type.c */
    unsigned own;               /* which methods are ours: see own.h */
    unsigned own_version;       /* of the type, when that was found out; 0: it was not */
    unsigned patched;           /* which of them the instance has others for */
    PyObject *loop_kwargs;      /* {'loop': self} */
    PyObject *failure;          /* the exception that is to leave the run, or NULL */
    PyObject *task_factory;     /* or NULL */
    PyObject *current_handle;   /* debug mode: which is running */
    unsigned long thread;       /* that runs the loop, as PyThread_get_thread_ident() has it; 0: none */
    int64_t gil_released_at;    /* on the loop's clock */
    int64_t clock_lead;         /* see clock.h: of another time() over the kernel's clock; 0: there is no other */
    double clock_origin;        /* see clock.c: seconds, from which the times of the other one are counted */
    double slow_callback_duration;
    char debug;
    struct rpy_watches *watches; /* of watch.c; NULL until there is something to watch */
    bool look;                   /* the next turn is to look at them, and not to sleep before */
    rp_node kept;                /* rpy_kept: what the loop keeps alive */
} rpy_loop;

/*
 * What a loop keeps alive because the core is going to call it back: a transport, an operation, a server.
 * The Loop traverses it.
 */
typedef struct rpy_kept {
    rp_node link;
    PyObject *object;
    void (*dropped)(PyObject *object); /* the loop was closed: no event comes any more */
} rpy_kept;

int rpy_loop_init(rpy_state *state);

/* Takes a reference to `object`, in which `kept` is. */
void rpy_loop_keep(rpy_loop *loop, rpy_kept *kept, PyObject *object, void (*dropped)(PyObject *object));

/* Drops it: the object may be freed by that. Ignored if it is not kept. */
void rpy_loop_let_go(rpy_kept *kept);

/* The loop is closed: calls each `dropped`, and lets go. */
void rpy_loop_drop_kept(rpy_loop *loop);

/* -1 with the reason why the loop cannot be used here. */
int rpy_loop_refuse(rpy_loop *loop);

/*
 * Whether the loop can be used here: it is open, and this is no child of fork(). 0, or -1 with a RuntimeError.
 */
static inline int rpy_loop_check(rpy_loop *loop)
{
    return loop->loop && rp_loop_check(loop->loop) == 0 ? 0 : rpy_loop_refuse(loop);
}

/* In debug mode also that this is the thread that runs the loop. */
int rpy_loop_check_thread(rpy_loop *loop);

/*
 * After a callback has failed: takes the exception that is set. SystemExit and KeyboardInterrupt end the run, which
 * raises them, and NULL is returned. Any other exception is returned, as a new reference: it is to be reported.
 */
PyObject *rpy_loop_callback_failed(rpy_loop *loop);

/*
 * What a task waits for cannot be told it: the exception that is set is taken, and the run raises it as soon as the
 * callback that runs has returned. Outside a run, or if another one leaves it already, it is unraisable.
 */
void rpy_loop_leave_run(rpy_loop *loop);

/*
 * loop.call_exception_handler({'message': message, 'exception': exception, name: value, ...}), by attribute.
 * `exception` may be NULL. Pairs of (char *, PyObject *) follow, ended by NULL; a pair whose value is NULL is left out.
 * An exception that comes out of it is dealt with.
 */
void rpy_loop_call_exception_handler(rpy_loop *loop, const char *message, PyObject *exception, ...);

/* The same with a message that is an object; NULL: none could be made, and why is dropped. */
void rpy_loop_report(rpy_loop *loop, PyObject *message, PyObject *exception, ...);

/* Debug mode: around a callback that is no handle. `what` is for the warning: a handle, or any object by its repr(). */
int64_t rpy_loop_begin_timed(const rpy_loop *loop);
void rpy_loop_end_timed(rpy_loop *loop, int64_t begun, PyObject *what);

/* Seconds, of any sign, to nanoseconds, rounded up; RP_NEVER for what is too far away, or no number. */
int64_t rpy_nanoseconds(double seconds);

/* A time of loop.time() as the core's timers have it. */
int64_t rpy_loop_when(const rpy_loop *loop, double time);

/* A core's error as an exception: raised, and NULL returned for convenience; or as a new object, or NULL. */
PyObject *rpy_set_error(rpy_state *state, int64_t error);
PyObject *rpy_error_object(rpy_state *state, int64_t error);

/* The source traceback of a new object in debug mode: a new reference; NULL with an exception. */
PyObject *rpy_source_traceback(rpy_state *state);

#endif
