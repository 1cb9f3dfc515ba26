/*
 * clock.c - timers by the program's clock: how far that is ahead of the kernel's, and what it is then to the timers.
 */
#include "clock.h"

#include <math.h>

#include "base/clock.h"
#include "handle.h"

#define FAR 4e9 /* seconds: half of what nanoseconds can count, so that differences can be counted, too */

/* What the clock's times count from: 0, unless that is too far away. */
static double find_origin(double seconds, double origin)
{
    if (!isfinite(seconds))
        return origin;
    if (fabs(seconds) < FAR)
        return 0;
    return fabs(seconds - origin) < FAR ? origin : seconds;
}

static void set(rpy_loop *self, double origin, int64_t lead)
{
    if (origin == self->clock_origin && lead == self->clock_lead)
        return;
    self->clock_origin = origin;
    self->clock_lead = lead;
    rpy_handle_reschedule_all(self);
}

/*
 * A clock that runs as the kernel's does is read at some time between two readings of that. So long as the lead that is
 * known agrees with these, the timers stay where they are. They also do if it is too great, as with a clock that has
 * stopped, as long as none is due by it: moving them all in each turn would cost time. The wait may then be too short.
 */
int rpy_clock_follow(rpy_loop *self, int64_t since)
{
    if (rpy_is_own(self, RPY_TIME)) {
        set(self, 0, 0);
        return 0;
    }
    PyObject *answer = PyObject_CallMethodNoArgs((PyObject *)self, self->state->names.time);
    double seconds = answer ? PyFloat_AsDouble(answer) : -1;
    Py_XDECREF(answer);
    if (seconds == -1 && PyErr_Occurred())
        return -1;
    double origin = find_origin(seconds, self->clock_origin);
    int64_t time = rpy_nanoseconds(seconds - origin);
    int64_t least = rp_time_add(time, -rp_loop_time(self->loop)), most = rp_time_add(time, -since);

    if (origin == self->clock_origin && self->clock_lead >= least &&
        (self->clock_lead <= most || rp_timers_next(&self->loop->timers) > since))
        return 0;
    set(self, origin, most);
    return 0;
}
