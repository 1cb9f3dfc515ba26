/*
 * future.c - futures: one result, and callbacks that run when it is there.
 *
 * A pending future keeps its callbacks in a list; when it is done they become ready handles, in order. Each callback
 * holds a reference to the future until it has run, is removed, or is dropped with the loop.
 */
#include "loop/future.h"

#include <assert.h>

#include "base/leave.h"
#include "base/memory.h"
#include "base/origin.h"
#include "loop/exception.h"
#include "loop/handle.h"

/* ---- life ---- */

void rp_future_init(rp_future *future, rp_loop *loop, const rp_future_type *type)
{
    *future = (rp_future){.type = type, .loop = rp_loop_ref(loop), .refs = 1, .error_read = true};
    rp_list_init(&future->callbacks);
    if (loop->debug)
        future->origin = rp_origin_capture();
}

/* ---- errors that nobody reads ---- */

static void mark_read(rp_future *future)
{
    if (future->error_read)
        return;
    future->error_read = true;
    if (rp_node_linked(&future->link))
        rp_list_remove(&future->link);
}

static void report_unread(rp_future *future)
{
    const char *name = future->type->get_name ? future->type->get_name(future) : future->type->name;

    mark_read(future);
    rp_loop_report(future->loop, &(rp_report){.where = RP_WHERE_UNREAD_ERROR,
                                              .error = future->result,
                                              .name = name,
                                              .future = future,
                                              .origin = future->origin});
}

void rp_futures_report_unread(rp_loop *loop)
{
    while (!rp_list_empty(&loop->unread)) {
        rp_future *future = rp_future_ref(rp_container_of(loop->unread.next, rp_future, link));

        if (rp_loop_is_forked(loop)) /* the parent's may yet be read */
            mark_read(future);
        else
            report_unread(future);
        rp_future_unref(future);
    }
}

void rp_future_fini(rp_future *future)
{
    assert(future->refs == 0 && rp_list_empty(&future->callbacks));
    if (!future->error_read) {
        future->refs = 1; /* whoever is told may look at it */
        report_unread(future);
        future->refs = 0;
    }
    rp_free(future->origin);
    rp_loop_unref(future->loop);
}

static void dispose(rp_future *future)
{
    rp_future_fini(future);
    rp_free(future);
}

static const rp_future_type plain_future = {.name = "future", .dispose = dispose};

int rp_future_new(rp_loop *loop, rp_future **out)
{
    int rc = rp_loop_check(loop);

    *out = NULL;
    if (rc < 0)
        return rc;
    rp_future *future = rp_malloc(sizeof *future);
    if (!future)
        return -ENOMEM;
    rp_future_init(future, loop, &plain_future);
    *out = future;
    return 0;
}

rp_future *rp_future_ref(rp_future *future)
{
    if (future)
        future->refs++;
    return future;
}

void rp_future_unref(rp_future *future)
{
    if (future && --future->refs == 0)
        future->type->dispose(future);
}

/* ---- the end ---- */

static void drop_callback(rp_done_callback *entry)
{
    rp_future *future = entry->future;

    entry->future = NULL;
    rp_future_unref(future);
}

/* Also if the loop drops it. */
static void run_callback(void *arg)
{
    rp_done_callback *entry = arg;
    rp_future *future RP_ON_LEAVE(rp_future_drop) = entry->future;

    entry->future = NULL;
    if (!future->loop->closed)
        entry->callback(future, entry->arg); /* which may free the entry */
}

static void schedule_callbacks(rp_future *future)
{
    while (!rp_list_empty(&future->callbacks)) {
        rp_handle *handle = rp_container_of(rp_list_pop(&future->callbacks), rp_handle, link);

        if (!future->loop->closed) {
            rp_loop_ready(future->loop, handle);
            continue;
        }
        handle->state = RP_HANDLE_IDLE;
        drop_callback(handle->arg);
    }
}

void rp_future_finish(rp_future *future, int result, void *value)
{
    assert(future->state == RP_FUTURE_PENDING && future->refs > 0);
    future->state = RP_FUTURE_FINISHED;
    future->result = result;
    future->value = value;
    if (result < 0) {
        future->error_read = false;
        if (!future->loop->closed) /* else it is its holder's alone, in whichever thread */
            rp_list_push(&future->loop->unread, &future->link);
    }
    rp_future_ref(future); /* a dropped callback may have held the last one */
    schedule_callbacks(future);
    rp_future_unref(future);
}

void rp_future_finish_cancelled(rp_future *future)
{
    assert(future->state == RP_FUTURE_PENDING && future->refs > 0);
    future->state = RP_FUTURE_CANCELLED;
    future->result = RP_EFUTCANCELED;
    rp_future_ref(future);
    schedule_callbacks(future);
    rp_future_unref(future);
}

static int check_settable(const rp_future *future)
{
    if (future->type != &plain_future)
        return -EINVAL;
    if (future->state != RP_FUTURE_PENDING)
        return RP_EINVALIDSTATE;
    return rp_loop_check(future->loop) == RP_ETHREAD ? RP_ETHREAD : 0;
}

int rp_future_set_result(rp_future *future, void *value)
{
    int rc = check_settable(future);

    if (rc == 0)
        rp_future_finish(future, 0, value);
    return rc;
}

int rp_future_set_error(rp_future *future, int error)
{
    int rc = error >= 0 ? -EINVAL : check_settable(future);

    if (rc == 0)
        rp_future_finish(future, error, NULL);
    return rc;
}

bool rp_future_cancel(rp_future *future)
{
    if (future->state != RP_FUTURE_PENDING)
        return false;
    if (future->type->cancel)
        return future->type->cancel(future);
    rp_future_finish_cancelled(future);
    return true;
}

/* ---- asking ---- */

bool rp_future_done(const rp_future *future)
{
    return future->state != RP_FUTURE_PENDING;
}

bool rp_future_cancelled(const rp_future *future)
{
    return future->state == RP_FUTURE_CANCELLED;
}

int rp_future_result(rp_future *future)
{
    if (future->state == RP_FUTURE_PENDING)
        return RP_EINVALIDSTATE;
    mark_read(future);
    return future->result;
}

void *rp_future_value(const rp_future *future)
{
    return future->value;
}

void rp_future_set_data(rp_future *future, void *data)
{
    future->data = data;
}

void *rp_future_data(const rp_future *future)
{
    return future->data;
}

rp_loop *rp_future_get_loop(const rp_future *future)
{
    return future->loop;
}

/* ---- callbacks ---- */

int rp_future_add_done_callback(rp_future *future, rp_done_callback *entry, rp_future_callback *callback,
                                void *arg)
{
    int rc = rp_loop_check(future->loop);

    if (rc < 0)
        return rc;
    if (!callback || !entry)
        return -EINVAL;
    if (entry->future)
        return -EBUSY;
    rp_handle_prepare(&entry->handle, future->loop, run_callback, entry);
    entry->handle.state = RP_HANDLE_CERTAIN;
    entry->future = rp_future_ref(future);
    entry->callback = callback;
    entry->arg = arg;
    if (future->state == RP_FUTURE_PENDING) {
        entry->handle.state |= RP_HANDLE_WAITING;
        rp_list_push(&future->callbacks, &entry->handle.link);
    } else {
        rp_loop_ready(future->loop, &entry->handle);
    }
    return 0;
}

bool rp_future_remove_done_callback(rp_done_callback *entry)
{
    if (!entry->future)
        return false;
    rp_handle_cancel(&entry->handle);
    drop_callback(entry);
    return true;
}
