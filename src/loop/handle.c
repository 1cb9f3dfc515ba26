/*
 * handle.c - callbacks and timers: scheduling them, running them, taking them back.
 *
 * A handle's state says which list its link is in. Only POSTED handles are under the mutex.
 * A handle becomes idle before its callback is called, so that the callback may schedule it again, or free it. One that
 * another thread has posted becomes idle under the mutex: a thread that gets -EBUSY knows that the callback will see
 * what the thread has written before.
 * Where a handle was scheduled is kept in debug mode only, and belongs to the handle until that has run.
 */
#include "loop/handle.h"

#include "base/clock.h"
#include "base/leave.h"
#include "base/memory.h"
#include "base/names.h"
#include "base/origin.h"
#include "loop/exception.h"

static uint32_t place(const rp_handle *handle)
{
    return handle->state & RP_HANDLE_STATES;
}

static void set_place(rp_handle *handle, uint32_t state)
{
    handle->state = (handle->state & ~(uint32_t)RP_HANDLE_STATES) | state;
}

/* In a child of fork() a thread that does not exist may hold it for ever, and there is no other thread to keep out. */
static void lock(rp_loop *loop)
{
    if (!rp_loop_is_forked(loop))
        rp_mutex_lock(&loop->mutex);
}

static void unlock(rp_loop *loop)
{
    if (!rp_loop_is_forked(loop))
        rp_mutex_unlock(&loop->mutex);
}

/* Makes a handle idle that is in no list any more, and frees what the loop has of it. */
static void release(rp_handle *handle)
{
    assert(place(handle) != RP_HANDLE_IDLE && !rp_node_linked(&handle->link));
    rp_loop *shared = handle->state & RP_HANDLE_FOREIGN ? handle->loop : NULL;
    bool allocated = handle->state & RP_HANDLE_ALLOCATED;

    rp_free(handle->origin);
    handle->origin = NULL;
    if (shared)
        lock(shared);
    handle->state = RP_HANDLE_IDLE;
    if (shared)
        unlock(shared);
    if (allocated)
        rp_free(handle);
}

/* ---- running ---- */

void rp_loop_report_if_slow(rp_loop *loop, int64_t start, void *function, void *origin)
{
    int64_t duration = rp_kernel_now(loop->kernel) - start;
    char symbol[128];
    const char *name = loop->task_name;

    if (duration >= loop->slow_callback_duration) {
        if (name[0] == '\0')
            name = rp_origin_symbol(function, symbol, sizeof symbol);
        rp_loop_report(
            loop,
            &(rp_report){.where = RP_WHERE_SLOW_CALLBACK, .name = name, .origin = origin, .duration = duration});
    }
    loop->task_name[0] = '\0';
}

static void free_origin(rp_origin **origin)
{
    rp_free(*origin);
}

/* Debug mode: runs it, and reports if that takes too long. */
static void run_timed(rp_loop *loop, rp_handle *handle)
{
    rp_callback *callback = handle->callback;
    void *arg = handle->arg;
    rp_origin *origin RP_ON_LEAVE(free_origin) = handle->origin;
    int64_t start = rp_kernel_now(loop->kernel);

    handle->origin = NULL;
    release(handle);
    callback(arg);
    rp_loop_report_if_slow(loop, start, (void *)(uintptr_t)callback, origin);
}

void rp_handle_run(rp_loop *loop, rp_handle *handle)
{
    rp_callback *callback = handle->callback;
    void *arg = handle->arg;

    loop->stats.callbacks++;
    if (loop->debug) {
        run_timed(loop, handle);
        return;
    }
    if ((handle->state & ~(uint32_t)RP_HANDLE_CERTAIN) == RP_HANDLE_READY && !handle->origin)
        handle->state = RP_HANDLE_IDLE;
    else
        release(handle);
    callback(arg);
}

/* ---- scheduling ---- */

/*
 * The handle to schedule: the caller's, or if that is NULL one of `size` bytes that the loop frees. *error says why
 * there is none.
 */
static rp_handle *claim(rp_loop *loop, rp_handle *handle, size_t size, rp_callback *callback, void *arg,
                        int *error)
{
    uint32_t flags = 0;

    *error = !callback ? -EINVAL : handle && place(handle) != RP_HANDLE_IDLE ? -EBUSY : 0;
    if (*error < 0)
        return NULL;
    if (!handle) {
        handle = rp_malloc(size);
        flags = RP_HANDLE_ALLOCATED;
    }
    if (!handle) {
        *error = -ENOMEM;
        return NULL;
    }
    rp_handle_prepare(handle, loop, callback, arg);
    handle->state = flags;
    if (loop->debug)
        handle->origin = rp_origin_capture();
    return handle;
}

int rp_call_soon(rp_loop *loop, rp_handle *handle, rp_callback *callback, void *arg)
{
    int rc = rp_loop_check(loop);

    if (rc < 0)
        return rc;
    handle = claim(loop, handle, sizeof *handle, callback, arg, &rc);
    if (!handle)
        return rc;
    rp_loop_ready(loop, handle);
    return 0;
}

void rp_loop_post(rp_loop *loop, rp_handle *handle)
{
    assert(!loop->posts_refused && !rp_node_linked(&handle->link));
    set_place(handle, RP_HANDLE_POSTED);
    rp_list_push(&loop->posted, &handle->link);
    atomic_store_explicit(&loop->posts_waiting, true, memory_order_release);
    rp_proactor_wake(loop->proactor);
}

static int post(rp_loop *loop, rp_handle *handle, uint32_t flags, rp_callback *callback, void *arg)
{
    int rc = rp_loop_is_forked(loop) ? RP_EFORK : 0;

    if (rc < 0)
        return rc;
    rp_mutex_lock(&loop->mutex);
    if (loop->posts_refused)
        rc = RP_ECLOSED;
    else
        handle = claim(loop, handle, sizeof *handle, callback, arg, &rc);
    if (rc == 0) {
        loop->posts_expected = loop->posts_expected || loop != rp_get_running_loop();
        handle->state |= RP_HANDLE_FOREIGN | flags;
        rp_loop_post(loop, handle);
    }
    rp_mutex_unlock(&loop->mutex);
    return rc;
}

int rp_call_soon_threadsafe(rp_loop *loop, rp_handle *handle, rp_callback *callback, void *arg)
{
    return post(loop, handle, 0, callback, arg);
}

static void run_errand(void *arg)
{
    rp_errand *errand = arg;

    errand->run(errand->arg, errand->handle.loop->closed);
}

int rp_post_errand(rp_loop *loop, rp_errand *errand, void (*run)(void *arg, bool dropped), void *arg)
{
    *errand = (rp_errand){.run = run, .arg = arg};
    return post(loop, &errand->handle, RP_HANDLE_CERTAIN, run_errand, errand);
}

int rp_call_at(rp_loop *loop, rp_timer *timer, int64_t when, rp_callback *callback, void *arg)
{
    int rc = rp_loop_check(loop);
    rp_handle *handle;

    if (rc < 0)
        return rc;
    handle = claim(loop, timer ? &timer->handle : NULL, sizeof *timer, callback, arg, &rc);
    if (!handle)
        return rc;
    timer = rp_container_of(handle, rp_timer, handle);
    timer->when = when;
    set_place(handle, RP_HANDLE_TIMED);
    rp_timers_insert(&loop->timers, timer);
    loop->stats.timers_scheduled++;
    return 0;
}

int rp_call_later(rp_loop *loop, rp_timer *timer, int64_t delay, rp_callback *callback, void *arg)
{
    return rp_call_at(loop, timer, rp_time_add(rp_kernel_now(loop->kernel), delay), callback, arg);
}

void rp_loop_take_posts(rp_loop *loop)
{
    rp_mutex_lock(&loop->mutex);
    for (rp_node *node = loop->posted.next; node != &loop->posted; node = node->next)
        set_place(rp_container_of(node, rp_handle, link), RP_HANDLE_READY);
    rp_list_splice(&loop->ready, &loop->posted);
    atomic_store_explicit(&loop->posts_waiting, false, memory_order_relaxed);
    rp_mutex_unlock(&loop->mutex);
}

void rp_loop_take_due_timers(rp_loop *loop)
{
    if (loop->timers.count == 0)
        return;
    rp_timers_expire(&loop->timers, loop->now, &loop->due);
    for (rp_node *node = loop->due.next; node != &loop->due; node = node->next)
        set_place(rp_container_of(node, rp_handle, link), RP_HANDLE_READY);
}

/* ---- taking back ---- */

bool rp_handle_cancel(rp_handle *handle)
{
    rp_loop *loop = handle->loop;

    switch (place(handle)) {
    case RP_HANDLE_IDLE:
        return false;
    case RP_HANDLE_TIMED:
        rp_timers_remove(&loop->timers, rp_container_of(handle, rp_timer, handle));
        loop->stats.timers_cancelled++;
        break;
    case RP_HANDLE_POSTED: /* only the loop's thread moves it out of `posted`, and this is it */
        lock(loop);
        rp_list_remove(&handle->link);
        unlock(loop);
        break;
    default:
        rp_list_remove(&handle->link);
        break;
    }
    release(handle);
    return true;
}

bool rp_timer_cancel(rp_timer *timer)
{
    return rp_handle_cancel(&timer->handle);
}

static void drop_list(rp_node *list)
{
    while (!rp_list_empty(list)) {
        rp_handle *handle = rp_container_of(rp_list_pop(list), rp_handle, link);
        rp_callback *callback = handle->state & RP_HANDLE_CERTAIN ? handle->callback : NULL;
        void *arg = handle->arg;

        release(handle);
        if (callback)
            callback(arg);
    }
}

void rp_loop_drop_handles(rp_loop *loop)
{
    rp_mutex_lock(&loop->mutex);
    loop->posts_refused = true;
    rp_mutex_unlock(&loop->mutex);
    rp_timers_expire(&loop->timers, INT64_MAX, &loop->due);
    drop_list(&loop->due);
    drop_list(&loop->posted);
    drop_list(&loop->batch);
    drop_list(&loop->ready);
    drop_list(&loop->last);
    drop_list(&loop->arrived);
    drop_list(&loop->arrivals);
}

/* ---- asking ---- */

bool rp_handle_scheduled(const rp_handle *handle)
{
    return place(handle) != RP_HANDLE_IDLE;
}

bool rp_timer_scheduled(const rp_timer *timer)
{
    return rp_handle_scheduled(&timer->handle);
}

int64_t rp_timer_when(const rp_timer *timer)
{
    return timer->when;
}
