/*
 * op.h - an operation on the program's own socket, as an awaitable: it tries at once, and else waits for readiness.
 *
 * It is a coroutine without a frame: it does nothing until it is awaited, runs as a task, and can be cancelled wherever
 * it waits. What it is to receive stays with the kernel until it tries again, so nothing is lost then.
 */
#ifndef RPY_OP_H
#define RPY_OP_H

#include "watch.h"

typedef enum rpy_attempt {
    RPY_FAILED, /* with an exception */
    RPY_WAITS,  /* it would have blocked */
    RPY_DONE,   /* there is a result */
} rpy_attempt;

typedef struct rpy_op rpy_op;

/* What one kind of operation does. */
typedef struct rpy_op_kind {
    const char *name; /* of the Loop's method */
    int direction;
    bool is_last; /* the socket is not likely to wait in this way again */
    /* Looks at the arguments, when it is first awaited. 0, or -1 with an exception. NULL: there is nothing to see. */
    int (*begin)(rpy_op *op);
    /* Does what it can without waiting. `result` is a new reference. */
    rpy_attempt (*attempt)(rpy_op *op, PyObject **result);
} rpy_op_kind;

enum { RPY_OP_ARGS = 2 };

struct rpy_op {
    PyObject_HEAD
    rpy_loop *loop;
    const rpy_op_kind *kind;
    PyObject *socket;
    PyObject *args[RPY_OP_ARGS]; /* the others of the method; NULL: not given */
    PyObject *future;            /* what its task waits for; NULL: it has not waited */
    PyObject *result;            /* when it has ended: this or the exception, until the task takes it */
    PyObject *exception;
    PyObject *weakrefs;
    rpy_waiter waiter;
    int fd;
    char state;
    bool is_plain; /* a socket.socket as Python has it: its methods need not be called */
    bool has_view;
    Py_buffer view; /* of what is sent */
    int64_t size;   /* how much is asked for, in bytes */
    int64_t done;   /* of it */
};

int rpy_op_init(PyObject *module, rpy_state *state);

/* An operation that is to be awaited; `args` are RPY_OP_ARGS pointers, NULL where nothing was given. */
PyObject *rpy_op_new(rpy_loop *loop, const rpy_op_kind *kind, PyObject *socket, PyObject *const *args);

/* What a system call came to that has failed: errno says whether it would have blocked. */
rpy_attempt rpy_op_call_failed(void);

/* What a method of the socket's came to: what it has returned, which is taken, or its exception. */
rpy_attempt rpy_op_by_method(PyObject *returned, PyObject **result);

/* Whether it has waited already: it tries because the socket may be ready. */
bool rpy_op_has_waited(const rpy_op *op);

#endif
