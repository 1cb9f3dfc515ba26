/* test_switch.c - the bare context switch. */
#include "fiber/switch.h"

#include <fenv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fiber/sanitizer.h"
#include "harness/harness.h"

typedef struct flow {
    void *sp;
    void *caller;
    int steps;
    int limit;
    volatile double sum;
    char *low;
    uintptr_t frame;
    rp_stack_marks marks;
    rp_flow self, back;
} flow;

enum { SIZE = 256 * 1024 };

static void flow_yield(flow *f)
{
    rp_flow_leave(&f->self, &f->back, false);
    rp_switch(&f->sp, f->caller);
    rp_flow_arrive(&f->self, &f->back);
}

static void flow_run(flow *f)
{
    rp_flow_here(&f->back);
    rp_flow_leave(&f->back, &f->self, false);
    rp_switch(&f->caller, f->sp);
    rp_flow_arrive(&f->back, &f->self);
}

static void flow_init(flow *f, void (*entry)(void *))
{
    memset(f, 0, sizeof *f);
    f->low = malloc(SIZE);
    CHECK(f->low != NULL);
    rp_stack_announce(&f->marks, f->low, f->low + SIZE);
    rp_flow_init(&f->self, &f->marks, f->low, f->low + SIZE);
    f->sp = rp_switch_prepare(f->low + SIZE, entry, f);
}

static void flow_fini(flow *f)
{
    rp_stack_retire(&f->marks);
    free(f->low);
}

static void counting(void *arg)
{
    flow *f = arg;

    rp_flow_arrive(&f->self, &f->back);
    f->frame = (uintptr_t)__builtin_frame_address(0);
    for (;;) {
        f->steps++;
        flow_yield(f);
    }
}

TEST(goes_back_and_forth)
{
    flow f;

    flow_init(&f, counting);
    for (int i = 1; i <= 1000; i++) {
        flow_run(&f);
        CHECK_INT(f.steps, ==, i);
    }
    CHECK(f.frame % 16 == 0);
    CHECK(f.frame > (uintptr_t)f.low && f.frame < (uintptr_t)f.low + SIZE);
    flow_fini(&f);
}

/* Many values that live across the switch, so that the callee-saved registers are all in use on both sides. */
static void registers(void *arg)
{
    flow *f = arg;
    long a = 1, b = 2, c = 3, d = 4, e = 5, g = 6, h = 7, i = 8;
    double p = 0.5, q = 0.25, r = 0.125, s = 0.0625;

    rp_flow_arrive(&f->self, &f->back);
    for (;;) {
        flow_yield(f);
        a += b, b += c, c += d, d += e, e += g, g += h, h += i, i += 1;
        p += q, q += r, r += s, s *= 0.5;
        f->sum = (double)(a + b + c + d + e + g + h + i) + p + q + r + s;
    }
}

TEST(registers_are_kept)
{
    flow one, two;
    long a = 11, b = 12, c = 13, d = 14, e = 15, g = 16;
    double p = 1.5, q = 2.5, r = 3.5;

    flow_init(&one, registers);
    flow_init(&two, registers);
    for (int n = 0; n < 50; n++) {
        flow_run(&one);
        a++, b++, c++, d++, e++, g++;
        p += 1, q += 1, r += 1;
        flow_run(&two);
    }
    CHECK(a == 61 && b == 62 && c == 63 && d == 64 && e == 65 && g == 66);
    CHECK(p == 51.5 && q == 52.5 && r == 53.5);
    CHECK(one.sum == two.sum && one.sum != 0);
    flow_fini(&one);
    flow_fini(&two);
}

static void rounding(void *arg)
{
    flow *f = arg;

    rp_flow_arrive(&f->self, &f->back);
    f->steps = fegetround();
    fesetround(FE_DOWNWARD);
    flow_yield(f);
    f->limit = fegetround();
    for (;;)
        flow_yield(f);
}

TEST(floating_point_control_is_each_flows_own)
{
    flow f;

    fesetround(FE_UPWARD);
    flow_init(&f, rounding);
    fesetround(FE_TONEAREST);
    flow_run(&f);
    CHECK_INT(f.steps, ==, FE_UPWARD); /* that of its making */
    CHECK_INT(fegetround(), ==, FE_TONEAREST);
    fesetround(FE_TOWARDZERO);
    flow_run(&f);
    CHECK_INT(f.limit, ==, FE_DOWNWARD);
    CHECK_INT(fegetround(), ==, FE_TOWARDZERO);
    fesetround(FE_TONEAREST);
    flow_fini(&f);
}

static void printing(void *arg)
{
    flow *f = arg;
    char text[64];

    rp_flow_arrive(&f->self, &f->back);
    for (;;) {
        snprintf(text, sizeof text, "%.3f %d", 1.4142, 42); /* needs an aligned stack */
        f->steps = strcmp(text, "1.414 42") == 0;
        flow_yield(f);
    }
}

TEST(the_c_library_works_there)
{
    flow f;

    flow_init(&f, printing);
    flow_run(&f);
    CHECK(f.steps);
    flow_fini(&f);
}
