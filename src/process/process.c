/*
 * process.c - a child process as an object of its loop: its references, its end, and those who wait for that.
 *
 * The wait for the end is an operation that lies in the object. While it is in flight the loop holds a reference, so
 * the process is reaped even if nobody else refers to it. If the loop is closed first, nobody waits any more.
 */
#include "process/process.h"

#include <errno.h>
#include <signal.h>

#include "base/leave.h"
#include "base/memory.h"
#include "loop/future.h"
#include "loop/resource.h"

#ifndef SIGKILL /* which Windows lacks */
#define SIGKILL 9
#endif

struct rp_process {
    rp_op op;
    rp_resource resource; /* in the loop's while the operation is in flight */
    rp_loop *loop;        /* holds a reference */
    rp_process_exited *exited;
    void *arg;
    rp_spawned spawned;
    uint32_t refs;
    int error; /* why there is no code: RP_EINVALIDSTATE until it has ended */
    int code;
    rp_node waiters;
};

/* The future of a process's end. While it waits, it is in the process's list, which holds a reference to it. */
typedef struct waiter {
    rp_future future;
    rp_node link;
} waiter;

/* ---- those who wait ---- */

static void leave_list(waiter *w)
{
    rp_list_remove(&w->link);
    rp_future_unref(&w->future);
}

static bool cancel_waiter(rp_future *future)
{
    rp_future_finish_cancelled(future);
    leave_list(rp_container_of(future, waiter, future));
    return true;
}

static void dispose_waiter(rp_future *future)
{
    rp_future_fini(future);
    rp_free(rp_container_of(future, waiter, future));
}

static const rp_future_type waiter_type = {
    .name = "end of a process", .cancel = cancel_waiter, .dispose = dispose_waiter};

static void tell_waiters(rp_process *process)
{
    while (!rp_list_empty(&process->waiters)) {
        waiter *w = rp_container_of(process->waiters.next, waiter, link);

        rp_future_finish(&w->future, process->error, NULL);
        leave_list(w);
    }
}

int rp_process_wait(rp_process *process, rp_future **future)
{
    waiter *w;

    *future = NULL;
    RP_TRY(rp_loop_check(process->loop));
    w = rp_calloc(sizeof *w);
    if (!w)
        return -ENOMEM;
    rp_future_init(&w->future, process->loop, &waiter_type);
    *future = &w->future;
    if (process->error != RP_EINVALIDSTATE)
        rp_future_finish(&w->future, process->error, NULL);
    else
        rp_list_push(&process->waiters, &rp_container_of(rp_future_ref(&w->future), waiter, future)->link);
    return 0;
}

/* ---- its life ---- */

rp_process *rp_process_ref(rp_process *process)
{
    process->refs++;
    return process;
}

void rp_process_unref(rp_process *process)
{
    if (!process || --process->refs > 0)
        return;
    for (int i = 0; i < 3; i++)
        rp_spawn_close(process->spawned.pipes[i]);
    rp_spawn_close(process->spawned.process);
    rp_loop_unref(process->loop);
    rp_free(process);
}

static void drop(rp_process **process)
{
    rp_process_unref(*process);
}

static void on_end(rp_op *op)
{
    rp_process *process RP_ON_LEAVE(drop) = op->data;

    rp_resource_remove(&process->resource);
    process->error = op->result < 0 ? (int)op->result : 0;
    if (op->result >= 0)
        process->code = rp_spawn_returncode(op->result);
    if (op->result >= 0 || op->result == -ECHILD) { /* it is no more, and a program may keep thousands of these */
        rp_spawn_close(process->spawned.process);
        process->spawned.process = -1;
    }
    tell_waiters(process);
    if (process->exited)
        process->exited(process, process->arg);
}

/* The loop is closed: the operation was cancelled. */
static void reap(rp_resource *resource)
{
    rp_process *process = rp_container_of(resource, rp_process, resource);

    rp_resource_remove(&process->resource);
    process->error = RP_ECLOSED;
    while (!rp_list_empty(&process->waiters))
        cancel_waiter(&rp_container_of(process->waiters.next, waiter, link)->future);
    rp_spawn_reap(&process->spawned);
    rp_process_unref(process);
}

static const rp_resource_type resource_type = {.at = {[RP_REAP] = reap}};

/* ---- starting ---- */

/* One that nobody waits for yet, with the caller's reference. */
static int make(rp_loop *loop, rp_process_exited *exited, void *arg, rp_process **out)
{
    rp_process *process;

    *out = NULL;
    RP_TRY(rp_loop_check(loop));
    process = rp_calloc(sizeof *process);
    if (!process)
        return -ENOMEM;
    *process = (rp_process){
        .loop = rp_loop_ref(loop),
        .exited = exited,
        .arg = arg,
        .spawned = {.process = -1, .pipes = {-1, -1, -1}},
        .refs = 1,
        .error = RP_EINVALIDSTATE,
    };
    rp_list_init(&process->waiters);
    *out = process;
    return 0;
}

/* Waits for its end. If it was not started, the caller's reference is given up. */
static int watch(rp_process **process, int rc)
{
    rp_process *self = *process;

    if (rc == 0) {
        rp_op_wait_child_fd(&self->op, self->spawned.pid, self->spawned.process, on_end, self);
        rc = rp_submit(self->loop, &self->op);
        assert(rc == 0); /* the loop was asked before the start */
    }
    if (rc < 0) {
        *process = NULL;
        rp_process_unref(self);
        return rc;
    }
    rp_resource_add(self->loop, &self->resource, &resource_type);
    rp_process_ref(self);
    return 0;
}

int rp_process_start(rp_loop *loop, const rp_process_options *options, rp_process_exited *exited, void *arg,
                     rp_process **process, rp_spawn_step *step)
{
    *step = RP_SPAWN_PREPARE;
    RP_TRY(make(loop, exited, arg, process));
    return watch(process, rp_spawn(options, &(*process)->spawned, step));
}

int rp_process_spawn(rp_loop *loop, const rp_process_options *options, rp_process_exited *exited, void *arg,
                     rp_process **process)
{
    rp_spawn_step step;

    return rp_process_start(loop, options, exited, arg, process, &step);
}

int rp_process_adopt(rp_loop *loop, int64_t pid, rp_process_exited *exited, void *arg, rp_process **process)
{
    RP_TRY(make(loop, exited, arg, process));
    return watch(process, rp_spawn_open(pid, &(*process)->spawned));
}

/* ---- asking and telling ---- */

int64_t rp_process_pid(const rp_process *process)
{
    return process->spawned.pid;
}

int rp_process_returncode(const rp_process *process, int *code)
{
    if (process->error == 0 && code)
        *code = process->code;
    return process->error;
}

int rp_process_send_signal(rp_process *process, int signal)
{
    if (rp_loop_is_forked(process->loop))
        return RP_EFORK;
    if (process->spawned.process < 0)
        return -ESRCH;
    return rp_spawn_signal(&process->spawned, signal);
}

int rp_process_terminate(rp_process *process)
{
    return rp_process_send_signal(process, SIGTERM);
}

int rp_process_kill(rp_process *process)
{
    return rp_process_send_signal(process, SIGKILL);
}

rp_fd rp_process_take_pipe(rp_process *process, int number)
{
    rp_fd fd = -1;

    if (number >= 0 && number <= 2) {
        fd = process->spawned.pipes[number];
        process->spawned.pipes[number] = -1;
    }
    return fd;
}
