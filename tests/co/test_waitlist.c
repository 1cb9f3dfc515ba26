/* test_waitlist.c - what all synchronisation primitives have in common: no memory for waiting, and the loop's close. */
#include "harness/reports.h"
#include "harness/tasks.h"

typedef struct everything {
    rp_event event;
    rp_lock lock;
    rp_condition condition;
    rp_semaphore semaphore;
    rp_barrier barrier;
    rp_queue empty;
    rp_queue full;
} everything;

static void init(everything *e)
{
    rp_event_init(&e->event);
    rp_lock_init(&e->lock);
    rp_condition_init(&e->condition, NULL);
    rp_semaphore_init(&e->semaphore, 0);
    CHECK_INT(rp_barrier_init(&e->barrier, 100), ==, 0);
    rp_queue_init(&e->empty, 0);
    rp_queue_init(&e->full, 1);
    CHECK_INT(rp_queue_put_nowait(&e->full, e), ==, 0);
}

static int fini(everything *e)
{
    RP_TRY(rp_event_fini(&e->event));
    RP_TRY(rp_lock_fini(&e->lock));
    RP_TRY(rp_condition_fini(&e->condition));
    RP_TRY(rp_semaphore_fini(&e->semaphore));
    RP_TRY(rp_barrier_fini(&e->barrier));
    RP_TRY(rp_queue_fini(&e->empty));
    return rp_queue_fini(&e->full);
}

static int waits_for_event(rp_co *co, void *arg)
{
    return rp_event_wait(co, &((everything *)arg)->event);
}

static int keeps_lock(rp_co *co, void *arg)
{
    return rp_lock_acquire(co, &((everything *)arg)->lock);
}

static int waits_for_condition(rp_co *co, void *arg)
{
    everything *e = arg;

    RP_TRY(rp_condition_acquire(co, &e->condition));
    int rc = rp_condition_wait(co, &e->condition);
    CHECK_INT(rp_condition_release(&e->condition), ==, 0);
    return rc;
}

static int waits_for_semaphore(rp_co *co, void *arg)
{
    return rp_semaphore_acquire(co, &((everything *)arg)->semaphore);
}

static int waits_for_barrier(rp_co *co, void *arg)
{
    return rp_barrier_wait(co, &((everything *)arg)->barrier);
}

static int waits_for_item(rp_co *co, void *arg)
{
    void *item;

    return rp_queue_get(co, &((everything *)arg)->empty, &item);
}

static int waits_for_room(rp_co *co, void *arg)
{
    return rp_queue_put(co, &((everything *)arg)->full, NULL);
}

static int waits_for_work_done(rp_co *co, void *arg)
{
    return rp_queue_join(co, &((everything *)arg)->full);
}

static rp_coro *const kinds[] = {waits_for_event,   keeps_lock,     waits_for_condition, waits_for_semaphore,
                                 waits_for_barrier, waits_for_item, waits_for_room,      waits_for_work_done};

enum { KINDS = sizeof kinds / sizeof kinds[0], TASKS = 3 * KINDS };

/* Wakes one or more of each kind. */
static void wake(everything *e)
{
    void *item;

    rp_event_set(&e->event);
    CHECK_INT(rp_lock_release(&e->lock), ==, 0);
    e->condition.own.locked = true;
    CHECK_INT(rp_condition_notify(&e->condition, 1), ==, 0);
    CHECK_INT(rp_condition_release(&e->condition), ==, 0);
    CHECK_INT(rp_semaphore_release(&e->semaphore), ==, 0);
    rp_barrier_reset(&e->barrier);
    CHECK_INT(rp_queue_put_nowait(&e->empty, NULL), ==, 0);
    CHECK_INT(rp_queue_get_nowait(&e->full, &item), ==, 0);
    CHECK_INT(rp_queue_task_done(&e->full), ==, 0);
}

/* ---- memory ---- */

CO_TEST(waiting_allocates_nothing)
{
    rp_task *tasks[TASKS];
    uint64_t before;
    everything e;

    init(&e);
    rp_queue_put_nowait(&e.empty, NULL); /* so that it has its memory */
    for (int i = 0; i < TASKS; i++)
        tasks[i] = spawn(kinds[i % KINDS], &e);
    before = test_allocations();
    settle(co);
    CHECK_INT(fini(&e), ==, -EBUSY);
    wake(&e);
    CHECK_INT(fini(&e), ==, -EBUSY);
    settle(co);
    for (int i = 0; i < TASKS; i++)
        rp_task_cancel(tasks[i]);
    settle(co);
    CHECK_INT(test_allocations(), ==, before);
    for (int i = 0; i < TASKS; i++) {
        int rc = rp_join(co, tasks[i]);
        CHECK(rc == 0 || rc == RP_EFUTCANCELED || rc == RP_EBROKENBARRIER);
    }
    CHECK_INT(fini(&e), ==, 0);
}

/* ---- the loop's close ---- */

static rp_loop *counting_loop(int *reports)
{
    rp_loop *loop = new_loop();

    rp_set_exception_handler(loop, count_report, reports);
    return loop;
}

static void create(rp_loop *loop, rp_coro *coro, void *arg)
{
    rp_task *task;

    CHECK_INT(rp_loop_create_task(loop, &task, coro, arg), ==, 0);
    rp_task_detach(task);
}

static void stop_loop(void *arg)
{
    rp_loop_stop(arg);
}

static void run_a_little(rp_loop *loop)
{
    CHECK_INT(rp_call_later(loop, NULL, RP_MSEC(1), stop_loop, loop), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
}

/* How far tasks have come: they wait; they were woken and did not run; they were cancelled and did not run. */
static void close_with_waiters(int stage)
{
    rp_task *tasks[TASKS];
    everything e;
    int reports = 0;
    rp_loop *loop = counting_loop(&reports);

    init(&e);
    for (int i = 0; i < TASKS; i++)
        CHECK_INT(rp_loop_create_task(loop, &tasks[i], kinds[i % KINDS], &e), ==, 0);
    run_a_little(loop);
    CHECK_INT(fini(&e), ==, -EBUSY);
    if (stage == 1)
        wake(&e);
    for (int i = 0; i < TASKS && stage == 2; i++)
        rp_task_cancel(tasks[i]);
    CHECK_INT(rp_loop_close(loop), ==, 0);
    CHECK_INT(reports, ==, TASKS - 1); /* one took the lock, and ended */
    CHECK_INT(fini(&e), ==, 0);
    for (int i = 0; i < TASKS; i++)
        rp_future_unref(tasks[i]);
    rp_loop_free(loop);
}

TEST(the_loop_is_closed_under_waiters)
{
    for (int stage = 0; stage < 3; stage++)
        close_with_waiters(stage);
}

/* ---- a primitive on the stack of a task that vanishes with the loop ---- */

typedef struct small {
    rp_event event;
    rp_lock lock;
} small;

static int waits_for_small_event(rp_co *co, void *arg)
{
    return rp_event_wait(co, &((small *)arg)->event);
}

static int waits_for_small_lock(rp_co *co, void *arg)
{
    return rp_lock_acquire(co, &((small *)arg)->lock);
}

static int owns(rp_co *co, void *arg)
{
    small s;

    rp_event_init(&s.event);
    rp_lock_init(&s.lock);
    CHECK_INT(rp_lock_acquire(co, &s.lock), ==, 0);
    for (int i = 0; i < 3; i++) {
        create(rp_co_loop(co), waits_for_small_event, &s);
        create(rp_co_loop(co), waits_for_small_lock, &s);
    }
    RP_TRY(rp_sleep(co, RP_SEC(100)));
    return 0;
}

TEST(a_primitive_vanishes_with_its_waiters)
{
    int reports = 0;
    rp_loop *loop = counting_loop(&reports);

    for (int i = 0; i < 200; i++)
        create(loop, owns, NULL);
    run_a_little(loop);
    rp_loop_free(loop);
    CHECK_INT(reports, ==, 200 * 7);
}
