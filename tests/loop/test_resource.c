/*
 * test_resource.c - what goes with a loop: the phases of its end, and resources that come and go within one.
 *
 * Each call is noted as the resource's letter and the phase's number.
 */
#include <stdio.h>

#include "loop/handle.h"
#include "loop/resource.h"
#include "harness/support.h"

typedef struct tenant {
    rp_resource resource;
    rp_loop *loop;
    char letter;
    struct tenant *other; /* that it takes along, or brings in */
} tenant;

static char trace[256];

static tenant *note(rp_resource *resource, int phase)
{
    tenant *t = rp_container_of(resource, tenant, resource);

    snprintf(trace + strlen(trace), sizeof trace - strlen(trace), "%c%d ", t->letter, phase);
    return t;
}

static void quiesce(rp_resource *resource)
{
    note(resource, RP_QUIESCE);
}

static void stop(rp_resource *resource)
{
    tenant *t = note(resource, RP_STOP);

    CHECK(rp_loop_is_closed(t->loop));
    CHECK(rp_loop_proactor(t->loop) != NULL);
}

static void report(rp_resource *resource)
{
    tenant *t = note(resource, RP_REPORT);

    CHECK(rp_loop_proactor(t->loop) == NULL);
}

static void reap(rp_resource *resource)
{
    note(resource, RP_REAP);
    rp_resource_remove(resource);
}

static void stay(rp_resource *resource)
{
    note(resource, RP_REAP);
}

static void reap_late(rp_resource *resource)
{
    note(resource, RP_LATE);
    rp_resource_remove(resource);
}

static const rp_resource_type early = {
    .at = {[RP_QUIESCE] = quiesce, [RP_STOP] = stop, [RP_REPORT] = report, [RP_REAP] = reap},
};
static const rp_resource_type late = {
    .at =
        {[RP_QUIESCE] = quiesce, [RP_STOP] = stop, [RP_REPORT] = report, [RP_REAP] = stay, [RP_LATE] = reap_late},
};

static rp_loop *make_loop(void)
{
    rp_loop *loop;

    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    return loop;
}

TEST(the_phases_of_a_close)
{
    rp_loop *loop = make_loop();
    tenant a = {.letter = 'a', .loop = loop}, b = {.letter = 'b', .loop = loop}, c = {.letter = 'c', .loop = loop};

    rp_resource_add(loop, &a.resource, &late);
    rp_resource_add(loop, &b.resource, &early);
    rp_resource_add(loop, &c.resource, &late);
    CHECK_INT(rp_loop_close(loop), ==, 0);
    CHECK_STR(trace, "a1 b1 c1 a2 b2 c2 a3 b3 c3 a4 c4 ");
    CHECK_INT(rp_loop_close(loop), ==, 0); /* once is enough */
    CHECK_STR(trace, "a1 b1 c1 a2 b2 c2 a3 b3 c3 a4 c4 ");
    rp_loop_free(loop);
}

TEST(the_end_of_a_runner_begins_with_a_phase_of_its_own)
{
    rp_runner *runner;
    tenant a = {.letter = 'a'};

    CHECK_INT(rp_runner_new(NULL, &runner), ==, 0);
    CHECK_INT(rp_runner_get_loop(runner, &a.loop), ==, 0);
    rp_resource_add(a.loop, &a.resource, &early);
    rp_runner_free(runner);
    CHECK_STR(trace, "a0 a1 a2 a3 ");
}

static void reap_with_other(rp_resource *resource)
{
    tenant *t = note(resource, RP_REAP);

    rp_resource_remove(&t->other->resource);
    rp_resource_remove(resource);
}

static const rp_resource_type greedy = {.at = {[RP_REAP] = reap_with_other}};

/* Whether that comes after it in the list, or has been called before. */
TEST(a_resource_takes_another_along)
{
    rp_loop *loop = make_loop();
    tenant a = {.letter = 'a', .loop = loop}, b = {.letter = 'b', .loop = loop}, c = {.letter = 'c', .loop = loop},
           d = {.letter = 'd', .loop = loop};

    a.other = &b;
    d.other = &c;
    rp_resource_add(loop, &a.resource, &greedy);
    rp_resource_add(loop, &b.resource, &late);
    rp_resource_add(loop, &c.resource, &late);
    rp_resource_add(loop, &d.resource, &greedy);
    rp_loop_free(loop);
    CHECK_STR(trace, "b1 c1 b2 c2 a3 c3 d3 ");
}

static void bring_in(rp_resource *resource)
{
    tenant *t = note(resource, RP_REPORT);

    rp_resource_add(t->loop, &t->other->resource, &early);
}

static const rp_resource_type host = {.at = {[RP_REPORT] = bring_in, [RP_REAP] = reap}};

TEST(a_resource_that_is_added_meanwhile_is_called)
{
    rp_loop *loop = make_loop();
    tenant a = {.letter = 'a', .loop = loop}, b = {.letter = 'b', .loop = loop}, c = {.letter = 'c', .loop = loop};

    a.other = &c;
    rp_resource_add(loop, &a.resource, &host);
    rp_resource_add(loop, &b.resource, &early);
    rp_loop_free(loop);
    CHECK_STR(trace, "b1 a2 b2 c2 a3 b3 c3 ");
}

static void on_errand(void *arg, bool dropped)
{
    CHECK(dropped);
    ++*(int *)arg;
}

static void must_not_run(void *arg)
{
    (void)arg;
    CHECK(false);
}

static rp_handle left, left_late;

static void make_ready(rp_resource *resource)
{
    tenant *t = note(resource, RP_REPORT);

    rp_handle_prepare(&left, t->loop, must_not_run, NULL);
    rp_loop_ready(t->loop, &left);
}

static void reap_and_make_ready(rp_resource *resource)
{
    tenant *t = note(resource, RP_REAP);

    rp_resource_remove(resource);
    rp_handle_prepare(&left_late, t->loop, must_not_run, NULL);
    rp_loop_ready(t->loop, &left_late);
}

static const rp_resource_type restless = {.at = {[RP_REPORT] = make_ready, [RP_REAP] = reap_and_make_ready}};

/* Handles are dropped, before the phases and between them; an errand is told. */
TEST(nothing_is_called_back_in_any_phase)
{
    rp_loop *loop = make_loop();
    tenant a = {.letter = 'a', .loop = loop};
    rp_errand errand;
    int told = 0;

    CHECK_INT(rp_post_errand(loop, &errand, on_errand, &told), ==, 0);
    CHECK_INT(rp_call_soon(loop, NULL, must_not_run, NULL), ==, 0);
    rp_resource_add(loop, &a.resource, &restless);
    CHECK_INT(rp_loop_close(loop), ==, 0);
    CHECK_STR(trace, "a2 a3 ");
    CHECK_INT(told, ==, 1);
    CHECK(!rp_handle_scheduled(&left) && !rp_handle_scheduled(&left_late));
    rp_loop_free(loop);
}

static bool answer(rp_resource *resource)
{
    return rp_container_of(resource, tenant, resource)->letter == 'y';
}

static const rp_resource_type asked = {.at = {[RP_REAP] = reap}, .expects = answer};

TEST(whether_one_of_them_may_wake_a_task)
{
    rp_loop *loop = make_loop();
    tenant a = {.letter = 'a', .loop = loop}, n = {.letter = 'n', .loop = loop}, y = {.letter = 'y', .loop = loop};

    CHECK(!rp_resources_expect(loop));
    rp_resource_add(loop, &a.resource, &early);
    rp_resource_add(loop, &n.resource, &asked);
    CHECK(!rp_resources_expect(loop));
    rp_resource_add(loop, &y.resource, &asked);
    CHECK(rp_resources_expect(loop));
    rp_resource_remove(&y.resource);
    CHECK(!rp_resources_expect(loop));
    rp_loop_free(loop);
}
