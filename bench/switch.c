/*
 * switch.c - what a switch between two stacks costs: there and back, over and over. The library's own switch, by its
 * internal name, against that of Boost.Context (switch_boost.c).
 */
#include "fiber/switch.h"

#include "bench.h"

enum { STACK = 64 * 1024, ROUNDS = 20 * 1000 * 1000 };

static void *outside, *inside;

static void back(void *arg)
{
    (void)arg;
    for (;;)
        rp_switch(&inside, outside);
}

int main(void)
{
    char *stack = bench_alloc(STACK);
    int64_t begun;

    inside = rp_switch_prepare(stack + STACK, back, NULL);
    rp_switch(&outside, inside);
    begun = bench_now();
    for (int i = 0; i < ROUNDS; i++)
        rp_switch(&outside, inside);
    printf("{\"ns_per_switch\": %.3f}\n", (double)(bench_now() - begun) / ROUNDS / 2);
    free(stack);
    return 0;
}
