/*
 * test_agen.c - asynchronous generators: values, ends, errors, what is thrown in, closing, cancelling, dropping.
 */
#include <stdio.h>

#include "harness/co_test.h"
#include "harness/platform.h"
#include "harness/tasks.h"
#include "ringport.h"

typedef struct source {
    int count;      /* values */
    bool sleeps;    /* before each of them */
    bool stubborn;  /* it yields on when it is to end */
    bool survives;  /* it goes on when its sleep is cancelled */
    int clean_up;   /* how often it sleeps at its end */
    int result;     /* of its own accord */
    rp_event *gate; /* that it waits for before each value */
    int begun, ended, error;
} source;

static int run_source(rp_co *co, source *self)
{
    for (int i = 0; i < self->count; i++) {
        int rc = self->gate ? rp_event_wait(co, self->gate) : self->sleeps ? rp_sleep(co, 0) : 0;

        if (rc < 0 && !self->survives)
            return rc;
        rc = rp_yield(co, &i);
        if (rc < 0 && !self->stubborn)
            return rc;
    }
    return self->result;
}

static int numbers(rp_co *co, void *arg)
{
    source *self = arg;

    self->begun++;
    self->error = run_source(co, self);
    for (int i = 0; i < self->clean_up; i++)
        CHECK_INT(rp_sleep(co, 0), ==, 0);
    self->ended++;
    return self->error;
}

static rp_agen *make(source *s)
{
    rp_agen *agen = NULL;

    CHECK_INT(rp_agen_new(&agen, numbers, s), ==, 0);
    return agen;
}

static int next_number(rp_co *co, rp_agen *agen)
{
    void *value = NULL;
    int rc = rp_agen_next(co, agen, &value);

    return rc > 0 ? *(int *)value : rc;
}

static void check_all(rp_co *co, source s)
{
    rp_agen *agen = make(&s);
    void *value;
    int rc, count = 0;

    CHECK_INT(s.begun, ==, 0);
    while ((rc = rp_agen_next(co, agen, &value)) > 0)
        CHECK_INT(*(int *)value, ==, count++);
    CHECK_INT(rc, ==, s.result < 0 ? s.result : 0);
    CHECK_INT(count, ==, s.count);
    CHECK_INT(s.ended, ==, 1);
    CHECK_INT(rp_agen_next(co, agen, &value), ==, 0); /* from now on */
    CHECK_INT(rp_agen_throw(co, agen, -EIO, &value), ==, 0);
    CHECK_INT(rp_agen_close(co, agen), ==, 0);
    rp_agen_free(agen);
}

CO_TEST(values_come_one_after_the_other)
{
    check_all(co, (source){.count = 100});
    check_all(co, (source){.count = 100, .sleeps = true});
    check_all(co, (source){.count = 0});
    check_all(co, (source){.count = 0, .clean_up = 3});
    check_all(co, (source){.count = 3, .clean_up = 3, .result = 7});
}

CO_TEST(an_error_ends_it_and_is_told_once)
{
    check_all(co, (source){.count = 2, .result = -EIO});
    check_all(co, (source){.count = 2, .result = -EIO, .sleeps = true, .clean_up = 1});
}

CO_TEST(what_is_thrown_comes_out_of_yield)
{
    source s = {.count = 10}, t = {.count = 10, .stubborn = true};
    rp_agen *agen = make(&s), *other = make(&t);
    void *value = NULL;

    CHECK_INT(next_number(co, agen), ==, 0);
    CHECK_INT(rp_agen_throw(co, agen, 0, &value), ==, -EINVAL);
    CHECK_INT(rp_agen_throw(co, agen, -EPERM, &value), ==, -EPERM);
    CHECK_INT(s.error, ==, -EPERM);
    CHECK_INT(s.ended, ==, 1);
    rp_agen_free(agen);
    CHECK_INT(next_number(co, other), ==, 0);
    CHECK_INT(rp_agen_throw(co, other, -EPERM, &value), ==, 1); /* it goes on */
    CHECK_INT(*(int *)value, ==, 1);
    CHECK_INT(next_number(co, other), ==, 2);
    CHECK_INT(rp_agen_throw(co, other, -ECANCELED, &value), ==, 1);
    CHECK_INT(rp_agen_throw(co, other, RP_EOF, &value), ==, 1);
    while (next_number(co, other) > 0)
        ;
    rp_agen_free(other);
}

CO_TEST(one_that_never_began_never_runs)
{
    source s = {.count = 1};
    rp_agen *thrown = make(&s), *closed = make(&s), *freed = make(&s);
    void *value;

    CHECK_INT(rp_agen_throw(co, thrown, -EPERM, &value), ==, -EPERM);
    CHECK_INT(rp_agen_next(co, thrown, &value), ==, 0);
    CHECK_INT(rp_agen_close(co, closed), ==, 0);
    CHECK_INT(rp_agen_next(co, closed, &value), ==, 0);
    rp_agen_free(thrown);
    rp_agen_free(closed);
    rp_agen_free(freed);
    rp_agen_free(NULL);
    CHECK_INT(s.begun, ==, 0);
}

CO_TEST(closing_runs_the_clean_up_to_its_end)
{
    source s = {.count = 10, .clean_up = 5};
    rp_agen *agen = make(&s);

    CHECK_INT(next_number(co, agen), ==, 0);
    CHECK_INT(rp_agen_close(co, agen), ==, 0);
    CHECK_INT(s.error, ==, -ECANCELED);
    CHECK_INT(s.ended, ==, 1);
    CHECK_INT(rp_agen_close(co, agen), ==, 0);
    CHECK_INT(next_number(co, agen), ==, 0);
    rp_agen_free(agen);
}

static int fail_at_the_end(rp_co *co, void *arg)
{
    if (rp_yield(co, arg) < 0)
        return -EIO;
    return 0;
}

CO_TEST(closing_tells_another_error)
{
    rp_agen *agen;
    void *value;

    CHECK_INT(rp_agen_new(&agen, fail_at_the_end, &value), ==, 0);
    CHECK_INT(rp_agen_next(co, agen, &value), ==, 1);
    CHECK(value == &value);
    CHECK_INT(rp_agen_close(co, agen), ==, -EIO);
    CHECK_INT(rp_agen_close(co, agen), ==, 0);
    rp_agen_free(agen);
}

CO_TEST(one_that_yields_in_place_of_ending)
{
    source s = {.count = 3, .stubborn = true};
    rp_agen *agen = make(&s);

    CHECK_INT(next_number(co, agen), ==, 0);
    CHECK_INT(rp_agen_close(co, agen), ==, RP_EINVALIDSTATE);
    CHECK_INT(rp_agen_close(co, agen), ==, RP_EINVALIDSTATE);
    CHECK_INT(rp_agen_close(co, agen), ==, 0);
    rp_agen_free(agen);
}

static int copied(rp_co *co, void *arg)
{
    const char *text = arg;

    for (; *text; text++)
        RP_TRY(rp_yield(co, (void *)(uintptr_t)text));
    return 0;
}

CO_TEST(an_argument_can_be_copied)
{
    char text[] = "ab", found[3] = "";
    rp_agen *agen;
    void *value;

    CHECK_INT(rp_agen_new_copy(&agen, copied, text, sizeof text), ==, 0);
    text[0] = text[1] = 'x';
    for (int i = 0; rp_agen_next(co, agen, &value) > 0; i++)
        found[i] = *(const char *)value;
    CHECK_STR(found, "ab");
    rp_agen_free(agen);
    CHECK_INT(rp_agen_new_copy(&agen, copied, NULL, 1), ==, -EINVAL);
    CHECK_INT(rp_agen_new_copy(&agen, copied, text, 0), ==, -EINVAL);
    CHECK_INT(rp_agen_new_copy(&agen, copied, text, SIZE_MAX), ==, -ENOMEM);
}

/* ---- one in another ---- */

static int doubled(rp_co *co, void *arg)
{
    rp_agen *inner = arg;
    void *value;
    int rc;

    while ((rc = rp_agen_next(co, inner, &value)) > 0) {
        int twice = 2 * *(int *)value;
        rc = rp_yield(co, &twice);
        if (rc < 0)
            break;
    }
    (void)rp_agen_close(co, inner);
    rp_agen_free(inner);
    return rc;
}

CO_TEST(generators_ask_each_other)
{
    for (int sleeps = 0; sleeps < 2; sleeps++) {
        source s = {.count = 10, .sleeps = sleeps, .clean_up = sleeps};
        rp_agen *outer;

        CHECK_INT(rp_agen_new(&outer, doubled, make(&s)), ==, 0);
        for (int i = 0; i < 5; i++)
            CHECK_INT(next_number(co, outer), ==, 2 * i);
        CHECK_INT(rp_agen_close(co, outer), ==, 0);
        CHECK_INT(s.error, ==, -ECANCELED);
        rp_agen_free(outer);
    }
}

/* ---- cancelling ---- */

typedef struct consumer {
    rp_agen *agen;
    int rc;
    int after; /* of its next wait */
} consumer;

static int ask_once(rp_co *co, void *arg)
{
    consumer *self = arg;
    void *value;

    self->rc = rp_agen_next(co, self->agen, &value);
    self->after = rp_sleep(co, 0);
    return self->after;
}

CO_TEST(a_cancelled_consumer_cancels_the_generator)
{
    for (int clean_up = 0; clean_up < 3; clean_up++) {
        rp_event gate;
        source s = {.count = 3, .gate = &gate, .clean_up = clean_up};
        consumer c = {.agen = make(&s)};
        rp_task *task;

        rp_event_init(&gate);
        CHECK_INT(rp_create_task(&task, ask_once, &c), ==, 0);
        CHECK_INT(rp_sleep(co, 0), ==, 0);
        CHECK_INT(s.begun, ==, 1);
        rp_task_cancel(task);
        CHECK_INT(rp_join(co, task), ==, 0);
        CHECK_INT(c.rc, ==, -ECANCELED);
        CHECK_INT(c.after, ==, 0); /* it was told of it once */
        CHECK_INT(s.error, ==, -ECANCELED);
        CHECK_INT(s.ended, ==, 1);
        CHECK_INT(next_number(co, c.agen), ==, 0);
        rp_agen_free(c.agen);
    }
}

CO_TEST(a_generator_that_survives_gives_its_value_first)
{
    rp_event gate;
    source s = {.count = 3, .gate = &gate, .survives = true};
    consumer c = {.agen = make(&s)};
    rp_task *task;

    rp_event_init(&gate);
    CHECK_INT(rp_create_task(&task, ask_once, &c), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    rp_task_cancel(task);
    CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
    CHECK_INT(c.rc, ==, 1);
    CHECK_INT(c.after, ==, -ECANCELED);
    CHECK_INT(rp_agen_close(co, c.agen), ==, 0);
    rp_agen_free(c.agen);
}

CO_TEST(a_pending_cancellation_asks_for_nothing)
{
    source s = {.count = 3};
    rp_agen *agen = make(&s);
    void *value;

    rp_task_cancel(rp_current_task());
    CHECK_INT(rp_agen_next(co, agen, &value), ==, -ECANCELED);
    CHECK_INT(s.begun, ==, 0);
    CHECK_INT(next_number(co, agen), ==, 0);
    rp_task_cancel(rp_current_task());
    CHECK_INT(rp_agen_throw(co, agen, -EIO, &value), ==, -ECANCELED);
    CHECK_INT(s.ended, ==, 0);
    rp_task_cancel(rp_current_task()); /* but clean-up is not kept from */
    CHECK_INT(rp_agen_close(co, agen), ==, 0);
    CHECK_INT(s.ended, ==, 1);
    CHECK_INT(rp_sleep(co, 0), ==, -ECANCELED);
    rp_agen_free(agen);
}

static int cancel_consumer(rp_co *co, void *arg)
{
    rp_task_cancel(arg);
    CHECK_INT(rp_sleep(co, RP_SEC(1000)), ==, -ECANCELED);
    return -ECANCELED;
}

CO_TEST(a_generator_may_cancel_its_consumer)
{
    rp_agen *agen;
    void *value;

    CHECK_INT(rp_agen_new(&agen, cancel_consumer, rp_current_task()), ==, 0);
    CHECK_INT(rp_agen_next(co, agen, &value), ==, -ECANCELED);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    rp_agen_free(agen);
}

static int give_up(rp_co *co, void *arg)
{
    return arg ? rp_sleep(co, 0), -ECANCELED : -ECANCELED;
}

CO_TEST(a_generator_that_gives_up_by_itself)
{
    for (int i = 0; i < 2; i++) {
        rp_agen *agen;
        void *value;

        CHECK_INT(rp_agen_new(&agen, give_up, i ? &value : NULL), ==, 0);
        CHECK_INT(rp_agen_next(co, agen, &value), ==, RP_EFUTCANCELED);
        rp_agen_free(agen);
    }
}

CO_TEST(a_time_limit_reaches_into_the_generator)
{
    rp_event gate;
    source s = {.count = 3, .gate = &gate};
    rp_agen *agen = make(&s);
    rp_timeout timeout;
    void *value;
    int rc;

    rp_event_init(&gate);
    rp_timeout_begin(co, &timeout, 1);
    rc = rp_agen_next(co, agen, &value);
    CHECK_INT(rp_timeout_end(co, &timeout, rc), ==, -ETIMEDOUT);
    CHECK_INT(s.error, ==, -ECANCELED);
    rp_agen_free(agen);
}

/* ---- several consumers ---- */

static int ask_itself(rp_co *co, void *arg)
{
    rp_agen *agen = *(rp_agen **)arg;
    void *value;

    CHECK_INT(rp_agen_next(co, agen, &value), ==, -EBUSY);
    CHECK_INT(rp_agen_close(co, agen), ==, -EBUSY);
    return rp_yield(co, NULL);
}

CO_TEST(one_at_a_time_may_ask)
{
    rp_event gate;
    source s = {.count = 3, .gate = &gate};
    consumer c = {.agen = make(&s)};
    rp_agen *itself;
    rp_task *task;
    void *value = &value;

    rp_event_init(&gate);
    CHECK_INT(rp_create_task(&task, ask_once, &c), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(rp_agen_next(co, c.agen, &value), ==, -EBUSY);
    CHECK_INT(rp_agen_throw(co, c.agen, -EIO, &value), ==, -EBUSY);
    CHECK_INT(rp_agen_close(co, c.agen), ==, -EBUSY);
    rp_event_set(&gate);
    CHECK_INT(rp_join(co, task), ==, 0);
    CHECK_INT(c.rc, ==, 1);
    CHECK_INT(next_number(co, c.agen), ==, 1); /* another task goes on */
    CHECK_INT(rp_agen_close(co, c.agen), ==, 0);
    rp_agen_free(c.agen);

    CHECK_INT(rp_agen_new(&itself, ask_itself, &itself), ==, 0);
    CHECK_INT(rp_agen_next(co, itself, &value), ==, 1);
    CHECK(!value);
    CHECK_INT(rp_agen_next(co, itself, &value), ==, 0);
    rp_agen_free(itself);
}

CO_TEST(nonsense_is_refused)
{
    source s = {.count = 3};
    rp_agen *agen = make(&s), *none;
    void *value;

    CHECK_INT(rp_agen_new(&none, NULL, NULL), ==, -EINVAL);
    CHECK_INT(rp_agen_next(co, NULL, &value), ==, -EINVAL);
    CHECK_INT(rp_agen_next(NULL, agen, &value), ==, RP_ENOTASK);
    CHECK_INT(rp_agen_close(NULL, agen), ==, RP_ENOTASK);
    CHECK_INT(rp_yield(co, NULL), ==, -EINVAL); /* a task's */
    CHECK_INT(rp_yield(NULL, NULL), ==, RP_ENOTASK);
    rp_agen_free(agen);
}

TEST(without_a_loop_there_is_none)
{
    rp_agen *agen;

    CHECK_INT(rp_agen_new(&agen, numbers, NULL), ==, RP_ENOLOOP);
}

CO_TEST(no_memory)
{
    source s = {.count = 1};
    rp_agen *agen;
    void *value;

    test_fail_allocation(1);
    CHECK_INT(rp_agen_new(&agen, numbers, &s), ==, -ENOMEM);
    test_fail_allocation(0);
    agen = make(&s);
    CHECK_INT(rp_agen_next(co, agen, &value), ==, 1);
    CHECK_INT(rp_agen_next(co, agen, &value), ==, 0);
    rp_agen_free(agen);
}

/* ---- task locals ---- */

static rp_contextvar user = {"user", "nobody"};

static int tell_user(rp_co *co, void *arg)
{
    for (;;) {
        if (arg)
            RP_TRY(rp_sleep(co, 0));
        RP_TRY(rp_yield(co, rp_contextvar_get(&user)));
        CHECK_INT(rp_contextvar_set(&user, "set within", NULL), ==, 0);
    }
}

static int ask_as_another(rp_co *co, void *arg)
{
    void *value = NULL;

    CHECK_INT(rp_contextvar_set(&user, "another", NULL), ==, 0);
    CHECK_INT(rp_agen_next(co, arg, &value), ==, 1);
    CHECK_STR(value, "set within");
    CHECK_STR(rp_contextvar_get(&user), "set within");
    return 0;
}

CO_TEST(a_generator_has_the_task_locals_of_whoever_asks)
{
    for (int sleeps = 0; sleeps < 2; sleeps++) {
        rp_agen *agen;
        rp_task *task;
        void *value;

        CHECK_INT(rp_agen_new(&agen, tell_user, sleeps ? &value : NULL), ==, 0);
        CHECK_INT(rp_contextvar_set(&user, "first", NULL), ==, 0);
        CHECK_INT(rp_agen_next(co, agen, &value), ==, 1);
        CHECK_STR(value, "first");
        CHECK_STR(rp_contextvar_get(&user), "first");
        CHECK_INT(rp_create_task(&task, ask_as_another, agen), ==, 0);
        CHECK_INT(rp_join(co, task), ==, 0);
        CHECK_STR(rp_contextvar_get(&user), "first");
        CHECK_INT(rp_agen_next(co, agen, &value), ==, 1);
        CHECK_STR(rp_contextvar_get(&user), "set within");
        CHECK_INT(rp_contextvar_set(&user, "last", NULL), ==, 0);
        CHECK_INT(rp_agen_close(co, agen), ==, 0);
        CHECK_STR(rp_contextvar_get(&user), "last");
        rp_agen_free(agen);
    }
}

/* ---- being dropped, and shut down ---- */

static int told, last_where;

static void note_report(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    (void)loop, (void)arg;
    told++;
    last_where = (int)context->where;
}

CO_TEST(one_that_is_dropped_is_closed_soon)
{
    source s = {.count = 3, .clean_up = 2};
    rp_agen *agen = make(&s), *failing;
    void *value;

    rp_set_exception_handler(rp_co_loop(co), note_report, NULL);
    CHECK_INT(next_number(co, agen), ==, 0);
    rp_agen_free(agen);
    CHECK_INT(s.ended, ==, 0);
    for (int i = 0; i < 10; i++)
        CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(s.ended, ==, 1);
    CHECK_INT(told, ==, 0);
    CHECK_INT(rp_agen_new(&failing, fail_at_the_end, NULL), ==, 0);
    CHECK_INT(rp_agen_next(co, failing, &value), ==, 1);
    rp_agen_free(failing);
    for (int i = 0; i < 10; i++)
        CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(told, ==, 1);
    CHECK_INT(last_where, ==, RP_WHERE_AGEN_CLOSE);
}

CO_TEST(one_may_be_dropped_while_somebody_asks)
{
    for (int ends = 0; ends < 2; ends++) {
        rp_event gate;
        source s = {.count = !ends, .gate = &gate, .clean_up = 1};
        consumer c = {.agen = make(&s)};
        rp_task *task;

        s.count = ends ? 0 : 3;
        rp_event_init(&gate);
        CHECK_INT(rp_create_task(&task, ask_once, &c), ==, 0);
        CHECK_INT(rp_sleep(co, 0), ==, 0);
        rp_agen_free(c.agen);
        rp_event_set(&gate);
        CHECK_INT(rp_join(co, task), ==, 0);
        for (int i = 0; i < 10; i++)
            CHECK_INT(rp_sleep(co, 0), ==, 0);
        CHECK_INT(s.ended, ==, 1);
    }
}

static source left[4];
static rp_agen *left_agens[4];

static int leave_generators(rp_co *co, void *arg)
{
    rp_set_exception_handler(rp_co_loop(co), note_report, NULL);
    for (int i = 0; i < 4; i++) {
        left[i] = (source){.count = 3, .clean_up = i, .sleeps = i % 2};
        left_agens[i] = make(&left[i]);
        CHECK_INT(next_number(co, left_agens[i]), ==, 0);
    }
    return arg ? *(int *)arg : 0;
}

TEST(what_is_left_is_closed_when_the_run_ends)
{
    CHECK_INT(rp_run(leave_generators, NULL), ==, 0);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(left[i].error, ==, -ECANCELED);
        CHECK_INT(left[i].ended, ==, 1);
        rp_agen_free(left_agens[i]); /* the loop is closed */
    }
    CHECK_INT(told, ==, 0);
}

static int drop_generators(rp_co *co, void *arg)
{
    leave_generators(co, arg);
    for (int i = 0; i < 4; i++)
        rp_agen_free(left_agens[i]);
    return 0;
}

TEST(what_is_dropped_last_is_closed_when_the_run_ends)
{
    CHECK_INT(rp_run(drop_generators, NULL), ==, 0);
    for (int i = 0; i < 4; i++)
        CHECK_INT(left[i].ended, ==, 1);
    CHECK_INT(told, ==, 0);
}

CO_TEST(a_task_can_shut_them_down)
{
    source late = {.count = 2};
    rp_agen *agen;

    leave_generators(co, NULL);
    rp_agen_free(left_agens[0]);
    rp_agen_free(left_agens[3]);
    CHECK_INT(rp_shutdown_asyncgens_wait(co), ==, 0);
    for (int i = 0; i < 4; i++)
        CHECK_INT(left[i].ended, ==, 1);
    CHECK_INT(rp_shutdown_asyncgens_wait(co), ==, 0);
    CHECK_INT(told, ==, 0);
    agen = make(&late);
    CHECK_INT(next_number(co, agen), ==, 0);
    CHECK_INT(told, ==, 1);
    CHECK_INT(last_where, ==, RP_WHERE_LATE_AGEN);
    CHECK_INT(next_number(co, agen), ==, 1);
    CHECK_INT(told, ==, 1); /* once */
    CHECK_INT(rp_agen_close(co, agen), ==, 0);
    rp_agen_free(agen);
    rp_agen_free(left_agens[1]);
    rp_agen_free(left_agens[2]);
}

CO_TEST(one_that_is_being_asked_cannot_be_shut_down)
{
    rp_event gate;
    source s = {.count = 3, .gate = &gate};
    consumer c = {.agen = make(&s)};
    rp_task *task;

    rp_set_exception_handler(rp_co_loop(co), note_report, NULL);
    rp_event_init(&gate);
    CHECK_INT(rp_create_task(&task, ask_once, &c), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(rp_shutdown_asyncgens_wait(co), ==, 0);
    CHECK_INT(told, ==, 1);
    CHECK_INT(last_where, ==, RP_WHERE_AGEN_CLOSE);
    CHECK_INT(rp_cancel_and_join(co, task), ==, 0);
    rp_agen_free(c.agen);
}

static int run_on(rp_loop *loop, rp_coro *coro, void *arg)
{
    rp_task *task;
    int rc;

    CHECK_INT(rp_loop_create_task(loop, &task, coro, arg), ==, 0);
    rc = rp_run_until_complete(loop, task);
    rp_future_unref(task);
    return rc;
}

static int shut_down(rp_co *co, void *arg)
{
    (void)arg;
    return rp_shutdown_asyncgens_wait(co);
}

/* Begins a shutdown. Its tasks have been created then, and have not begun. */
static rp_task *begin_shutdown(rp_co *co)
{
    rp_task *task;

    CHECK_INT(rp_create_task(&task, shut_down, NULL), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    return task;
}

CO_TEST(one_may_be_dropped_while_a_shutdown_begins)
{
    for (int ends = 0; ends < 2; ends++) {
        source s = {.count = 3}, other = {.count = 3, .clean_up = 1};
        rp_agen *agen = make(&s), *kept = make(&other);
        rp_task *task;

        rp_set_exception_handler(rp_co_loop(co), NULL, NULL);
        CHECK_INT(next_number(co, agen), ==, 0);
        CHECK_INT(next_number(co, kept), ==, 0);
        rp_set_exception_handler(rp_co_loop(co), note_report, NULL);
        told = 0;
        task = begin_shutdown(co);
        if (ends)
            CHECK_INT(rp_agen_close(co, agen), ==, 0);
        rp_agen_free(agen);
        CHECK_INT(rp_join(co, task), ==, 0);
        for (int i = 0; i < 10; i++)
            CHECK_INT(rp_sleep(co, 0), ==, 0);
        CHECK_INT(s.ended, ==, 1);
        CHECK_INT(other.ended, ==, 1);
        CHECK_INT(told, ==, 0);
        rp_agen_free(kept);
    }
}

/* Yields in place of ending, but not at once. */
static int yield_late(rp_co *co, void *arg)
{
    (void)arg;
    if (rp_yield(co, NULL) < 0)
        for (int i = 0; i < 5; i++)
            CHECK_INT(rp_sleep(co, 0), ==, 0);
    return rp_yield(co, NULL);
}

CO_TEST(a_shutdown_does_not_wait_for_one_that_was_dropped_and_does_not_end)
{
    rp_agen *agen;
    void *value;

    rp_set_exception_handler(rp_co_loop(co), note_report, NULL);
    CHECK_INT(rp_agen_new(&agen, yield_late, NULL), ==, 0);
    CHECK_INT(rp_agen_next(co, agen, &value), ==, 1);
    rp_agen_free(agen);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(rp_shutdown_asyncgens_wait(co), ==, 0); /* it is being closed */
    CHECK_INT(told, ==, 1);
    CHECK_INT(last_where, ==, RP_WHERE_AGEN_CLOSE);
    CHECK_INT(rp_shutdown_asyncgens_wait(co), ==, 0); /* and ends now */
}

/* From outside of a run; and a loop that had none is shut down as well. */
TEST(a_loop_that_does_not_run_shuts_them_down)
{
    rp_loop *loop;

    for (int first = 0; first < 2; first++) {
        CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
        told = 0;
        if (first)
            CHECK_INT(rp_shutdown_asyncgens(loop), ==, 0);
        CHECK_INT(run_on(loop, leave_generators, NULL), ==, 0);
        CHECK_INT(told, ==, first ? 4 : 0);
        CHECK_INT(rp_shutdown_asyncgens(loop), ==, 0);
        for (int i = 0; i < 4; i++) {
            CHECK_INT(left[i].ended, ==, 1);
            rp_agen_free(left_agens[i]);
        }
        rp_loop_free(loop);
    }
}

TEST(a_loop_that_is_closed_with_generators_reports_and_frees_them)
{
    for (int when = 0; when < 3; when++) { /* freed after, before, and never having run on */
        rp_loop *loop;

        told = 0;
        CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
        CHECK_INT(run_on(loop, leave_generators, NULL), ==, 0);
        for (int i = 0; i < 4 && when > 0; i++)
            rp_agen_free(left_agens[i]);
        rp_loop_close(loop);
        CHECK_INT(told, >=, 4); /* and the tasks that were to close them */
        CHECK_INT(last_where, ==, RP_WHERE_PENDING_AGEN);
        for (int i = 0; i < 4 && when == 0; i++)
            rp_agen_free(left_agens[i]);
        rp_loop_free(loop);
        for (int i = 0; i < 4; i++)
            CHECK_INT(left[i].ended, ==, 0);
    }
}

typedef struct departure {
    consumer c;
    source s;
    rp_event gate;
} departure;

/* The generator has ended, its consumer has not gone on, and the loop goes no further. */
static int drop_one_that_has_just_ended(rp_co *co, void *arg)
{
    departure *d = arg;
    rp_task *task;

    rp_event_init(&d->gate);
    d->s = (source){.count = 1, .gate = &d->gate, .survives = true};
    d->c.agen = make(&d->s);
    rp_event_set(&d->gate);
    CHECK_INT(next_number(co, d->c.agen), ==, 0);
    d->s.clean_up = 1;
    CHECK_INT(rp_create_task(&task, ask_once, &d->c), ==, 0);
    rp_task_detach(task);
    for (int i = 0; i < 10 && d->s.ended == 0; i++)
        CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(d->s.ended, ==, 1);
    rp_agen_free(d->c.agen);
    rp_loop_stop(rp_co_loop(co));
    return rp_sleep(co, RP_SEC(1000000));
}

static int drop_one_that_was_to_be_closed(rp_co *co, void *arg)
{
    departure *d = arg;

    d->s = (source){.count = 3};
    d->c.agen = make(&d->s);
    CHECK_INT(next_number(co, d->c.agen), ==, 0);
    rp_task_detach(begin_shutdown(co));
    CHECK_INT(rp_agen_close(co, d->c.agen), ==, 0);
    rp_agen_free(d->c.agen);
    rp_loop_stop(rp_co_loop(co));
    return rp_sleep(co, RP_SEC(1000000));
}

TEST(a_loop_that_is_closed_frees_those_that_were_dropped_last)
{
    rp_coro *const all[] = {drop_one_that_has_just_ended, drop_one_that_was_to_be_closed};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        departure d = {0};
        rp_loop *loop;

        CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
        rp_set_exception_handler(loop, note_report, NULL);
        CHECK_INT(run_on(loop, all[i], &d), ==, RP_ESTOPPED);
        rp_loop_free(loop);
    }
}

static int hang(rp_co *co, void *arg)
{
    int rc = rp_yield(co, NULL);

    (void)arg;
    (void)rp_sleep(co, RP_SEC(1000000)); /* in clean-up */
    return rc;
}

static int close_one(rp_co *co, void *arg)
{
    return rp_agen_close(co, *(rp_agen **)arg);
}

static int begin_to_close(rp_co *co, void *arg)
{
    static rp_agen *agen;
    void *value;

    (void)arg;
    rp_set_exception_handler(rp_co_loop(co), note_report, NULL);
    CHECK_INT(rp_agen_new(&agen, hang, NULL), ==, 0);
    CHECK_INT(rp_agen_next(co, agen, &value), ==, 1);
    CHECK_INT(rp_create_task(NULL, close_one, &agen), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    rp_agen_free(agen);
    return 0;
}

TEST(a_loop_that_is_closed_amid_a_close)
{
    rp_loop *loop;

    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    CHECK_INT(run_on(loop, begin_to_close, NULL), ==, 0);
    rp_loop_free(loop);
    CHECK_INT(told, ==, 2);
}

TEST(a_close_that_is_cancelled_cancels_the_clean_up)
{
    CHECK_INT(rp_run(begin_to_close, NULL), ==, 0); /* whose end cancels the task that closes */
    CHECK_INT(told, ==, 0);
}

#ifndef _WIN32
static int fork_in_generator(rp_co *co, void *arg)
{
    pid_t pid = fork();
    int status = 0;

    (void)arg;
    if (pid == 0) {
        if (rp_sleep(co, 0) != RP_EFORK)
            _exit(1);
        return RP_EFORK;
    }
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK_INT(status, ==, 0);
    return rp_yield(co, NULL);
}

static int ask_for_a_fork(rp_co *co, void *arg)
{
    rp_agen *agen;
    void *value;
    int rc;

    (void)arg;
    CHECK_INT(rp_agen_new(&agen, fork_in_generator, NULL), ==, 0);
    rc = rp_agen_next(co, agen, &value);
    if (rc == RP_EFORK)
        _exit(0);
    CHECK_INT(rc, ==, 1);
    CHECK_INT(rp_agen_close(co, agen), ==, 0);
    rp_agen_free(agen);
    return 0;
}

TEST(a_generator_that_forks)
{
    CHECK_INT(rp_run(ask_for_a_fork, NULL), ==, 0);
}
#else
TEST_ABSENT(a_generator_that_forks, "Windows has no fork()");
#endif
