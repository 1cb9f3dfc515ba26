/*
 * clock.c - timers by the program's clock: how far that is ahead of the kernel's, and what it is then to the timers.
 */
#include "clock.h"

#include "base/clock.h"
#include "handle.h"

static void set_lead(rpy_loop *self, int64_t lead)
{
    if (lead == self->clock_lead)
        return;
    self->clock_lead = lead;
    rpy_handle_reschedule_all(self);
}

/*
 * A clock that runs as the kernel's does is read at some time between two readings of that. So long as the lead that is
 * known agrees with these, the timers stay where they are. A clock that has stopped is followed to the nanosecond.
 */
int rpy_clock_follow(rpy_loop *self, int64_t since)
{
    if (rpy_is_own(self, RPY_TIME)) {
        set_lead(self, 0);
        return 0;
    }
    PyObject *answer = PyObject_CallMethodNoArgs((PyObject *)self, self->state->names.time);
    double seconds = answer ? PyFloat_AsDouble(answer) : -1;
    Py_XDECREF(answer);
    if (seconds == -1 && PyErr_Occurred())
        return -1;
    int64_t time = rpy_nanoseconds(seconds);
    int64_t least = rp_time_add(time, -rp_loop_time(self->loop)), most = rp_time_add(time, -since);

    if (self->clock_lead < least || self->clock_lead > most)
        set_lead(self, most);
    return 0;
}
