/*
 * gather.c - waiting for several futures at once: rp_gather and rp_wait.
 *
 * A watch is the list of callbacks by which a coroutine learns of each future's end. The coroutine goes on as soon as
 * its condition holds. Callbacks that have not come by then are taken back, so the watch can lie on the coroutine's
 * stack. So does an array of a few callbacks; a larger one is allocated, since a stack is small.
 */
#include "base/memory.h"
#include "co/await.h"

enum { FEW = 8 };

typedef struct watch {
    rp_co *co;
    rp_future *const *futures;
    size_t count;
    size_t pending;                          /* futures that are not done */
    bool until_all;                          /* the wait ends when all futures have ended, and not before */
    bool (*enough)(const rp_future *future); /* whether one that is done ends the wait; NULL: none */
    bool cut_short;                          /* one of those came, or the time ran out */
    bool waiting;
    rp_done_callback *entries;
    rp_done_callback few[FEW];
    rp_timer timer;
} watch;

/* Makes the array of callbacks. -ENOMEM; -EDEADLK for the task itself, -EINVAL for a future of another loop. */
static int watch_init(watch *w, rp_co *co, rp_future *const *futures, size_t count)
{
    RP_TRY(rp_co_here(co));
    *w = (watch){.co = co, .futures = futures, .count = count, .entries = w->few};
    for (size_t i = 0; i < count; i++) {
        if (futures[i] == &co->future)
            return -EDEADLK;
        if (futures[i]->loop != co->future.loop)
            return -EINVAL;
    }
    if (count > FEW) {
        w->entries = count <= SIZE_MAX / sizeof *w->entries ? rp_calloc(count * sizeof *w->entries) : NULL;
        if (!w->entries)
            return -ENOMEM;
    }
    return 0;
}

static void watch_fini(watch *w)
{
    rp_timer_cancel(&w->timer);
    for (size_t i = 0; i < w->count; i++)
        rp_future_remove_done_callback(&w->entries[i]);
    if (w->entries != w->few)
        rp_free(w->entries);
}

static bool satisfied(const watch *w)
{
    return w->pending == 0 || (w->cut_short && !w->until_all);
}

static void look_at(watch *w, const rp_future *future)
{
    if (w->enough && w->enough(future))
        w->cut_short = true;
}

/* The last callback resumes the coroutine. Others that are still on their way find nobody waiting. */
static void resume_if_satisfied(watch *w)
{
    if (w->waiting && satisfied(w)) {
        w->waiting = false;
        rp_co_resume(w->co);
    }
}

static void on_done(rp_future *future, void *arg)
{
    watch *w = arg;

    w->pending--;
    look_at(w, future);
    resume_if_satisfied(w);
}

static void on_time(void *arg)
{
    watch *w = arg;

    w->cut_short = true;
    resume_if_satisfied(w);
}

static int watch_start(watch *w)
{
    for (size_t i = 0; i < w->count; i++)
        if (rp_future_done(w->futures[i]))
            look_at(w, w->futures[i]);
        else {
            RP_TRY(rp_future_add_done_callback(w->futures[i], &w->entries[i], on_done, w));
            w->pending++;
        }
    return 0;
}

static bool watch_wait(watch *w, const rp_waiting *waiting)
{
    w->waiting = true;
    return rp_co_suspend(w->co, waiting, w);
}

static void abandon_watch(rp_co *co, void *arg)
{
    (void)co;
    watch_fini(arg);
}

/* ---- gather ---- */

static void cancel_all(watch *w)
{
    w->until_all = true;
    for (size_t i = 0; i < w->count; i++)
        rp_future_cancel(w->futures[i]);
}

static void interrupt_gather(rp_co *co, void *arg)
{
    (void)co;
    cancel_all(arg);
}

static bool ended_badly(const rp_future *future)
{
    return future->state == RP_FUTURE_CANCELLED || future->result < 0;
}

/* Reads the results there are; returns the first error. *cancelled: whether one of the futures was cancelled. */
static int collect(rp_future *const *futures, size_t count, int *results, bool *cancelled)
{
    int first = 0;

    for (size_t i = 0; i < count; i++) {
        bool done = rp_future_done(futures[i]);
        int result = rp_await_result(futures[i]);

        if (done && result < 0 && first == 0)
            first = result;
        if (rp_future_cancelled(futures[i]))
            *cancelled = true;
        if (results)
            results[i] = result;
    }
    return first;
}

int rp_gather(rp_co *co, rp_future *const *futures, size_t count, int *results, unsigned flags)
{
    static const rp_waiting waiting = {interrupt_gather, abandon_watch, "several futures"};
    bool asked = false, cancelled = false;
    watch w;
    int rc = watch_init(&w, co, futures, count), error;

    if (rc < 0)
        return rc;
    if (!(flags & RP_RETURN_EXCEPTIONS))
        w.enough = ended_badly;
    rc = watch_start(&w);
    if (rc == 0 && !satisfied(&w)) {
        asked = co->must_cancel;
        if (asked)
            cancel_all(&w);
        asked |= watch_wait(&w, &waiting);
    }
    watch_fini(&w);
    if (rc < 0)
        return rc;
    error = collect(futures, count, results, &cancelled);
    if (asked && cancelled)
        return rp_co_cancelled(co);
    return flags & RP_RETURN_EXCEPTIONS ? 0 : error;
}

/* ---- wait ---- */

static bool ended(const rp_future *future)
{
    (void)future;
    return true;
}

/* As asyncio has it, a cancelled one is no exception. */
static bool failed(const rp_future *future)
{
    return future->state == RP_FUTURE_FINISHED && future->result < 0;
}

static void interrupt_wait(rp_co *co, void *arg)
{
    watch *w = arg;

    w->waiting = false;
    rp_co_wake(co);
}

int64_t rp_wait(rp_co *co, rp_future *const *futures, size_t count, int64_t timeout, rp_return_when when)
{
    static const rp_waiting waiting = {interrupt_wait, abandon_watch, "several futures"};
    int64_t done = 0;
    bool cancelled = false;
    watch w;
    int rc = watch_init(&w, co, futures, count);

    if (rc < 0)
        return rc;
    if (when != RP_ALL_COMPLETED)
        w.enough = when == RP_FIRST_COMPLETED ? ended : failed;
    rc = watch_start(&w);
    if (rc == 0 && !satisfied(&w)) {
        rc = rp_co_check(co);
        if (rc == 0 && timeout != RP_NEVER)
            rc = rp_call_later(co->future.loop, &w.timer, timeout, on_time, &w);
        if (rc == 0)
            cancelled = watch_wait(&w, &waiting);
    }
    watch_fini(&w);
    if (rc < 0)
        return rc;
    if (cancelled)
        return rp_co_cancelled(co);
    for (size_t i = 0; i < count; i++)
        done += rp_future_done(futures[i]);
    return done;
}
