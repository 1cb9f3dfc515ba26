/*
 * switch_boost.c - what a switch between two stacks costs with Boost.Context, by the two functions in C on which its
 * C++ classes stand: so without what those classes add.
 */
#include "bench.h"

enum { STACK = 64 * 1024, ROUNDS = 20 * 1000 * 1000 };

typedef struct transfer {
    void *context; /* that was left */
    void *data;
} transfer;

/* boost/context/detail/fcontext.hpp, which is for C++ only */
transfer jump_fcontext(void *to, void *data);
void *make_fcontext(void *top, size_t size, void (*entry)(transfer from));

static void back(transfer from)
{
    for (;;)
        from = jump_fcontext(from.context, NULL);
}

int main(void)
{
    char *stack = bench_alloc(STACK);
    transfer inside = jump_fcontext(make_fcontext(stack + STACK, STACK, back), NULL);
    int64_t begun = bench_now();

    for (int i = 0; i < ROUNDS; i++)
        inside = jump_fcontext(inside.context, NULL);
    printf("{\"ns_per_switch\": %.3f}\n", (double)(bench_now() - begun) / ROUNDS / 2);
    free(stack);
    return 0;
}
