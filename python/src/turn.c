/*
 * turn.c - runs a loop for Python: turn after turn, in asyncio's order.
 *
 * The order is: callbacks that were ready, what was received, timers that are due. What any of these schedule comes in
 * the next turn.
 * The GIL is given up around a wait that may sleep. A loop that is never idle gives it up once in a while, since its
 * callbacks may all be C functions, after which CPython does not look whether another thread wants it.
 * Whether a loop may run inside another one's run is asyncio's to say. Programs get around it: the outer run waits.
 */
#include "turn.h"

#include <errno.h>

#include "clock.h"
#include "loop/running.h"
#include "loop/turn.h"
#include "proactor/proactor.h"
#include "watch.h"

#define SWITCH_INTERVAL RP_MSEC(5) /* CPython's own, unless sys.setswitchinterval() is called */

/*
 * How long to wait. As in asyncio, another clock than ours is asked only if it tells that. Then timers are looked at
 * anew. 0, or -1 with an error.
 */
static int find_deadline(rpy_loop *self, int64_t *deadline)
{
    for (bool followed = false;; followed = true) {
        *deadline = self->look ? 0 : rp_turn_deadline(self->loop);
        if (followed || *deadline == 0 || self->loop->timers.count == 0 || rpy_clock_is_own(self))
            return 0;
        if (rpy_clock_follow(self, rp_loop_time(self->loop)) < 0)
            return -1;
    }
}

static int wait(rpy_loop *self, int64_t deadline)
{
    rp_loop *loop = self->loop;
    int rc;

    rp_proactor_ask(loop->proactor); /* asyncio asks in each turn, and order tells */
    if (deadline == 0 && loop->now - self->gil_released_at < SWITCH_INTERVAL) {
        rc = rp_turn_wait(loop, 0);
    } else {
        Py_BEGIN_ALLOW_THREADS
        rc = rp_turn_wait(loop, deadline);
        Py_END_ALLOW_THREADS
        self->gil_released_at = loop->now;
    }
    return rc;
}

static int run_turn(rpy_loop *self)
{
    rp_loop *loop = self->loop;
    int64_t deadline;

    if (find_deadline(self, &deadline) < 0)
        return -EINTR;
    int rc = wait(self, deadline);
    if (PyErr_CheckSignals() < 0)
        return -EINTR;
    if (rc < 0)
        return rc;
    if (!rpy_clock_is_own(self) && rpy_clock_follow(self, loop->now) < 0)
        return -EINTR;
    rpy_watch_collect(self);
    rp_turn_collect(loop);
    rc = rp_turn_run(loop);
    if (rc == 0)
        rc = rp_turn_deliver(loop);
    if (rc == 0)
        rpy_watch_schedule(self);
    return rc == 0 ? rp_turn_timers(loop) : rc;
}

PyObject *rpy_loop_run(rpy_loop *self)
{
    if (rpy_loop_check(self) < 0)
        return NULL;
    rp_loop *loop = self->loop;
    rp_loop *outer = rp_loop_set_aside();
    int rc = rp_loop_enter(loop);
    if (rc < 0) {
        rp_loop_take_up(outer);
        return rpy_set_error(self->state, rc);
    }
    self->thread = PyThread_get_thread_ident();
    self->gil_released_at = loop->now;
    if (loop->turn != RP_TURN_ENDED) /* what an exception has left of the last run comes before the first turn */
        rc = run_turn(self);
    while (rc == 0) {
        rc = run_turn(self);
        if (loop->stopping)
            break;
    }
    self->thread = 0;
    rp_loop_leave(loop);
    rp_loop_take_up(outer);
    if (self->failure) {
        PyErr_Clear();
        rpy_set_exception(self->failure);
        self->failure = NULL;
        return NULL;
    }
    if (PyErr_Occurred())
        return NULL;
    if (rc < 0 && rc != -EINTR)
        return rpy_set_error(self->state, rc);
    Py_RETURN_NONE;
}
