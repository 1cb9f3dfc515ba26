/*
 * as_completed.c - rp_as_completed: futures one by one, in the order in which they end.
 *
 * Each future's callback moves its slot to the list of those that have ended, from which the task takes them. All of it
 * stands on the heap, and is a resource of the loop, since the task may vanish with the loop between two steps.
 */
#include "base/memory.h"
#include "co/waitlist.h"
#include "loop/resource.h"

typedef struct slot {
    rp_done_callback done;
    rp_node link; /* in `ended` */
    rp_future *future;
    rp_as_completed *owner;
} slot;

struct rp_as_completed {
    rp_resource resource;
    rp_waitlist waiters; /* the task, while nothing has ended */
    rp_timer timer;
    rp_node ended;  /* slots whose futures have, and were not handed out */
    size_t left;    /* futures that were not handed out */
    bool timed_out; /* the others do not count any more */
    size_t count;
    slot slots[];
};

static void on_done(rp_future *future, void *arg)
{
    slot *s = arg;

    (void)future;
    rp_list_push(&s->owner->ended, &s->link);
    rp_waitlist_wake(&s->owner->waiters, 0);
}

static void stop_listening(rp_as_completed *it)
{
    for (size_t i = 0; i < it->count; i++)
        rp_future_remove_done_callback(&it->slots[i].done);
}

static void on_time(void *arg)
{
    rp_as_completed *it = arg;

    it->timed_out = true;
    stop_listening(it);
    rp_waitlist_wake(&it->waiters, 0);
}

static void reap(rp_resource *resource)
{
    rp_as_completed_end(rp_container_of(resource, rp_as_completed, resource));
}

static const rp_resource_type resource_type = {.at = {[RP_REAP] = reap}};

static int listen_to(rp_as_completed *it, rp_co *co, rp_future *const *futures)
{
    for (size_t i = 0; i < it->count; i++) {
        slot *s = &it->slots[i];

        if (futures[i] == &co->future)
            return -EDEADLK;
        if (futures[i]->loop != co->future.loop)
            return -EINVAL;
        s->future = futures[i];
        s->owner = it;
        RP_TRY(rp_future_add_done_callback(s->future, &s->done, on_done, s));
    }
    return 0;
}

int rp_as_completed_begin(rp_co *co, rp_as_completed **result, rp_future *const *futures, size_t count,
                          int64_t timeout)
{
    rp_as_completed *it = NULL;
    int rc;

    *result = NULL;
    RP_TRY(rp_co_here(co));
    if (count < (SIZE_MAX - sizeof *it) / sizeof it->slots[0])
        it = rp_calloc(sizeof *it + count * sizeof it->slots[0]);
    if (!it)
        return -ENOMEM;
    it->count = it->left = count;
    rp_list_init(&it->ended);
    rp_waitlist_init(&it->waiters, "the next of several futures");
    rp_resource_add(co->future.loop, &it->resource, &resource_type);
    rc = listen_to(it, co, futures);
    if (rc == 0 && timeout != RP_NEVER)
        rc = rp_call_later(co->future.loop, &it->timer, timeout, on_time, it);
    if (rc < 0) {
        rp_as_completed_end(it);
        return rc;
    }
    *result = it;
    return 0;
}

int rp_as_completed_next(rp_co *co, rp_as_completed *it, rp_future **future, size_t *index)
{
    slot *s;

    RP_TRY(rp_co_here(co));
    while (rp_list_empty(&it->ended)) {
        if (it->left == 0)
            return 0;
        if (it->timed_out)
            return -ETIMEDOUT;
        RP_TRY(rp_waitlist_wait(co, &it->waiters));
    }
    s = rp_container_of(rp_list_pop(&it->ended), slot, link);
    if (future)
        *future = s->future;
    if (index)
        *index = (size_t)(s - it->slots);
    it->left--;
    return 1;
}

void rp_as_completed_end(rp_as_completed *it)
{
    if (!it)
        return;
    rp_timer_cancel(&it->timer);
    stop_listening(it);
    rp_resource_remove(&it->resource);
    rp_free(it);
}
