/*
 * agen.c - asynchronous generators: a coroutine that the consumer's call enters directly, and that comes back with a
 * value.
 *
 * While it does not wait for anything a value costs two switches, and no callback. If it waits, the call comes back
 * without a value, and the consumer is suspended. The loop resumes the generator, as any coroutine, and the generator's
 * next value or end wakes the consumer.
 *
 * The coroutine is made when the first value is asked for, and is in the runtime's list from then until it ends. It is
 * `co` of the generator, and knows that by its `agen`. One that nobody has any more ("dropped") is freed by its end, or
 * with its loop.
 */
#include "ringport/agen.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"
#include "co/await.h"
#include "co/create.h"
#include "loop/exception.h"

struct rp_agen {
    rp_loop *loop; /* a reference */
    rp_coro *coro;
    void *arg;
    rp_co *co;       /* a reference, from its beginning to its end; else NULL */
    rp_co *consumer; /* whose call goes on; NULL: none */
    bool waits;      /* the consumer is suspended */
    bool yielded;    /* `value` is for the consumer */
    bool ended;
    bool dropped;
    rp_task *closer; /* the task that closes it on behalf of the loop; NULL: none */
    int thrown;      /* what rp_yield() is to return */
    int result;      /* when it has ended */
    void *value;
    rp_watcher watcher;
    max_align_t copy[]; /* of the argument */
};

/* ---- making and freeing ---- */

static int make(rp_agen **result, rp_coro *coro, void *arg, size_t copy_size)
{
    rp_loop *loop = rp_get_running_loop();
    rp_agen *agen;

    if (!loop)
        return RP_ENOLOOP;
    if (!coro)
        return -EINVAL;
    agen = copy_size < SIZE_MAX - sizeof *agen ? rp_calloc(sizeof *agen + copy_size) : NULL;
    if (!agen)
        return -ENOMEM;
    agen->loop = rp_loop_ref(loop);
    agen->coro = coro;
    agen->arg = copy_size > 0 ? memcpy(agen->copy, arg, copy_size) : arg;
    *result = agen;
    return 0;
}

int rp_agen_new(rp_agen **agen, rp_coro *coro, void *arg)
{
    return make(agen, coro, arg, 0);
}

int rp_agen_new_copy(rp_agen **agen, rp_coro *coro, const void *arg, size_t size)
{
    return arg && size > 0 ? make(agen, coro, (void *)(uintptr_t)arg, size) : -EINVAL;
}

/* Frees one that nobody has any more, if it has ended, and nobody is about to look. */
static void free_dropped(rp_agen *agen)
{
    if (!agen->dropped || agen->co || agen->consumer)
        return;
    rp_loop_unref(agen->loop);
    rp_free(agen);
}

/* ---- its beginning and its end ---- */

/* The generator runs with the task locals of whoever asks, and these are nobody else's meanwhile. */
static void move_bindings(rp_co *from, rp_co *to)
{
    to->bindings = from->bindings;
    from->bindings = NULL;
}

static void let_go_of_co(rp_agen *agen)
{
    rp_co *co = agen->co;

    agen->co = NULL;
    agen->ended = true;
    rp_future_unref(&co->future);
}

static void on_ended(rp_watcher *watcher, rp_co *co)
{
    rp_agen *agen = rp_container_of(watcher, rp_agen, watcher);

    assert(agen->consumer); /* who frees it if it was dropped */
    agen->result = rp_future_cancelled(&co->future) ? -ECANCELED : rp_future_result(&co->future);
    move_bindings(co, agen->consumer);
    let_go_of_co(agen);
    if (agen->waits)
        rp_co_wake(agen->consumer);
}

/* The loop is closed. */
static void on_abandoned(rp_watcher *watcher, rp_co *co)
{
    rp_agen *agen = rp_container_of(watcher, rp_agen, watcher);

    (void)co;
    agen->result = RP_ECLOSED;
    let_go_of_co(agen);
    free_dropped(agen);
}

static rp_future *shut_down(rp_loop *loop, void *arg);

static int begin(rp_agen *agen)
{
    static const rp_watching watching = {on_ended, on_abandoned};
    rp_loop *loop = agen->loop;
    rp_runtime *runtime;

    RP_TRY(rp_runtime_get(loop, &runtime));
    RP_TRY(rp_co_new(loop, &agen->co, agen->coro, agen->arg, &runtime->agens));
    agen->co->agen = agen;
    rp_bindings_unref(agen->co->bindings);
    agen->co->bindings = NULL;
    rp_co_watch(agen->co, &agen->watcher, &watching);
    loop->slots[RP_SLOT_AGENS] = (void *)(uintptr_t)shut_down;
    if (loop->slots[RP_SLOT_AGENS_OVER])
        rp_loop_report(loop, &(rp_report){.where = RP_WHERE_LATE_AGEN,
                                          .name = rp_task_get_name(&agen->co->future),
                                          .origin = agen->co->future.origin});
    return 0;
}

/* ---- the generator's side ---- */

int rp_yield(rp_co *co, void *value)
{
    static const rp_waiting waiting = {NULL, NULL, "its consumer"};
    rp_agen *agen;
    int thrown;

    RP_TRY(rp_co_here(co));
    agen = co->agen;
    if (!agen)
        return -EINVAL;
    RP_TRY(rp_co_pending(co));
    agen->value = value;
    agen->yielded = true;
    if (agen->waits)
        rp_co_wake(agen->consumer);
    rp_co_suspend(co, &waiting, NULL);
    thrown = agen->thrown;
    agen->thrown = 0;
    return thrown;
}

/* ---- the consumer's side ---- */

static void interrupt_consumer(rp_co *co, void *arg)
{
    const rp_agen *agen = arg;

    (void)co;
    if (agen->co)
        rp_future_cancel(&agen->co->future);
}

static void abandon_consumer(rp_co *co, void *arg)
{
    rp_agen *agen = arg;

    (void)co;
    agen->consumer = NULL;
    agen->waits = false;
    free_dropped(agen); /* it may have ended since, and woken the consumer */
}

/* The generator waits for something: so does the consumer, who is cancelled if that one has cancelled it. */
static bool wait(rp_co *co, rp_agen *agen)
{
    static const rp_waiting waiting = {interrupt_consumer, abandon_consumer, "a generator"};
    bool cancelled = co->must_cancel;

    if (cancelled)
        rp_future_cancel(&agen->co->future);
    agen->waits = true;
    cancelled |= rp_co_suspend(co, &waiting, agen);
    agen->waits = false;
    return cancelled;
}

/* Lets the generator go on until it yields or ends; *cancelled tells whether it was asked to end for the consumer. */
static void go_on(rp_co *co, rp_agen *agen, bool *cancelled)
{
    agen->consumer = co;
    agen->yielded = false;
    move_bindings(co, agen->co);
    rp_co_enter(agen->co, co);
    *cancelled = !agen->yielded && !agen->ended && wait(co, agen);
    if (agen->yielded)
        move_bindings(agen->co, co);
    agen->consumer = NULL;
}

/* Why a consumer cannot ask; or 0. */
static int check(const rp_co *co, const rp_agen *agen)
{
    if (!agen || agen->loop != co->loop)
        return -EINVAL;
    if (rp_loop_is_forked(co->loop))
        return RP_EFORK;
    return agen->consumer ? -EBUSY : 0;
}

/* What the generator's end is to the consumer: 0, or an error. */
static int end_of(rp_co *co, const rp_agen *agen, bool cancelled)
{
    if (agen->result != -ECANCELED)
        return agen->result < 0 ? agen->result : 0;
    return cancelled ? rp_co_cancelled(co) : RP_EFUTCANCELED;
}

int rp_agen_next(rp_co *co, rp_agen *agen, void **value)
{
    bool cancelled;
    int rc = 1;

    RP_TRY(rp_co_here(co));
    RP_TRY(check(co, agen));
    RP_TRY(rp_co_pending(co));
    if (agen->ended)
        return 0;
    if (!agen->co)
        RP_TRY(begin(agen));
    go_on(co, agen, &cancelled);
    if (agen->yielded)
        *value = agen->value;
    else
        rc = end_of(co, agen, cancelled);
    if (agen->dropped) /* meanwhile */
        rp_agen_free(agen);
    return rc;
}

int rp_agen_throw(rp_co *co, rp_agen *agen, int error, void **value)
{
    RP_TRY(rp_co_here(co));
    RP_TRY(check(co, agen));
    if (error >= 0)
        return -EINVAL;
    RP_TRY(rp_co_pending(co));
    if (agen->co) {
        agen->thrown = error;
    } else if (!agen->ended) {
        agen->ended = true;
        return error;
    }
    return rp_agen_next(co, agen, value);
}

static int close_one(rp_co *co, rp_agen *agen)
{
    bool cancelled;

    RP_TRY(check(co, agen));
    if (!agen->co) {
        agen->ended = true;
        return 0;
    }
    agen->thrown = -ECANCELED;
    go_on(co, agen, &cancelled);
    if (agen->yielded)
        return RP_EINVALIDSTATE;
    return agen->result != -ECANCELED || cancelled ? end_of(co, agen, cancelled) : 0;
}

int rp_agen_close(rp_co *co, rp_agen *agen)
{
    int rc;

    RP_TRY(rp_co_here(co));
    rc = close_one(co, agen);
    if (agen)
        free_dropped(agen);
    return rc;
}

/* ---- on behalf of the loop ---- */

/*
 * Those that nobody has any more are at the front of the runtime's list, and those that had their turn at its back. A
 * task that is to close one takes it from the front when it begins: what was closed meanwhile is not there any more.
 */
static rp_agen *take_first(rp_node *list)
{
    rp_node *node = rp_list_pop(list);

    if (!node)
        return NULL;
    rp_list_push(list, node);
    return rp_co_of(rp_container_of(node, rp_future, link))->agen;
}

static void close_for_loop(rp_co *co, rp_agen *agen)
{
    int rc;

    agen->closer = rp_co_task(co);
    rc = close_one(co, agen);
    agen->closer = NULL;
    free_dropped(agen);
    if (rc < 0 && rc != -ECANCELED)
        rp_loop_report(co->loop, &(rp_report){.where = RP_WHERE_AGEN_CLOSE, .error = rc});
}

/* ---- what nobody has any more ---- */

static int close_dropped(rp_co *co, void *arg)
{
    rp_node *list = &((rp_runtime *)arg)->agens;
    const rp_agen *first =
        rp_list_empty(list) ? NULL : rp_co_of(rp_container_of(list->next, rp_future, link))->agen;

    if (first && first->dropped && !first->consumer)
        close_for_loop(co, take_first(list));
    return 0;
}

/* By a task which the runner's end waits for, but does not cancel: that would strike the generator's clean-up. */
static void close_soon(rp_agen *agen)
{
    rp_runtime *runtime = rp_runtime_of(agen->loop);
    rp_task *task;

    rp_list_remove(&agen->co->future.link);
    rp_list_push_front(&runtime->agens, &agen->co->future.link);
    if (rp_loop_create_task(agen->loop, &task, close_dropped, runtime) < 0)
        return; /* it is closed when all are */
    task->cancelled_at_end = true;
    rp_task_detach(task);
}

void rp_agen_free(rp_agen *agen)
{
    if (!agen)
        return;
    agen->dropped = true;
    if (!agen->co)
        free_dropped(agen);
    else if (!agen->consumer) /* whose call finds it dropped */
        close_soon(agen);
}

/* ---- the end of all ---- */

/* In a task of the group that ends all. */
static int close_next(rp_co *co, void *arg)
{
    rp_agen *agen = take_first(&((rp_runtime *)arg)->agens);

    if (agen && agen->closer) {
        rp_task *closer = rp_future_ref(agen->closer);
        (void)rp_shield(co, closer);
        rp_future_unref(closer);
    } else if (agen) {
        close_for_loop(co, agen);
    }
    return 0;
}

static int close_all(rp_co *co, rp_runtime *runtime)
{
    rp_group group;
    size_t count = 0;

    for (rp_node *node = runtime->agens.next; node != &runtime->agens; node = node->next)
        count++;
    rp_group_begin(co, &group);
    for (; count > 0; count--)
        if (rp_group_create_task(&group, NULL, close_next, runtime) < 0)
            close_next(co, runtime);
    return rp_group_end(co, &group, 0);
}

static int close_all_in_task(rp_co *co, void *arg)
{
    return close_all(co, arg);
}

static rp_future *shut_down(rp_loop *loop, void *arg)
{
    rp_runtime *runtime = rp_runtime_of(loop);
    rp_task *task;
    int rc;

    (void)arg;
    if (rp_list_empty(&runtime->agens))
        return NULL;
    rc = rp_loop_create_task(loop, &task, close_all_in_task, runtime);
    if (rc == 0)
        return task;
    rp_loop_report(loop, &(rp_report){.where = RP_WHERE_AGEN_CLOSE, .error = rc});
    return NULL;
}

int rp_shutdown_asyncgens_wait(rp_co *co)
{
    RP_TRY(rp_co_check(co));
    co->loop->slots[RP_SLOT_AGENS_OVER] = co->loop;
    return close_all(co, rp_runtime_of(co->loop));
}
