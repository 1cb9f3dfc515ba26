/*
 * test_sweep_completions.c - the nth operation's completion brings an error, in every scenario and for every n.
 *
 * The loop's wait is wrapped by the linker. A completion that is to fail gives back what it has brought, as if the
 * kernel had never done it. A multishot operation fails with its last completion: it is cancelled, and what it still
 * brings until then is dropped.
 */
#include "harness/scenarios.h"

#include "proactor/proactor.h"

static uint64_t left;      /* until one fails */
static bool second;        /* by the second error of its kind */
static int error;          /* that it failed by; 0: none has */
static const rp_op *dying; /* a multishot operation whose last completion is to bring the error */
static const rp_op *taken; /* an operation has brought that in this turn */
static bool unheard;       /* the library has given it up before it heard of the error */

WRAP(void, rp_proactor_cancel, rp_proactor *proactor, rp_op *op)
{
    unheard = unheard || op == dying || op == taken;
    __real_rp_proactor_cancel(proactor, op);
}

/* What an operation of a kind really fails by. */
static int error_of(const rp_op *op)
{
    switch (op->kind) {
    case RP_OP_ACCEPT_MULTI:
        return second ? -EMFILE : -ENOBUFS;
    case RP_OP_CONNECT:
        return second ? -ECONNREFUSED : -ETIMEDOUT;
    case RP_OP_SEND:
        return second ? -ECONNRESET : -EPIPE;
    default:
        return second ? -ENOMEM : -EIO;
    }
}

/* What a completion has brought; it is still to be delivered. */
static void give_back(const rp_completion *completion)
{
    uint8_t state = completion->op->state;

    rp_completion_drop(completion);
    completion->op->state = state;
}

/* Lets a completion fail; returns whether it is to be delivered now. */
static bool fail(rp_proactor *proactor, rp_completion *completion)
{
    error = error_of(completion->op);
    give_back(completion);
    if (completion->flags & RP_OP_MORE) {
        dying = completion->op;
        __real_rp_proactor_cancel(proactor, completion->op);
        return false;
    }
    completion->result = error;
    taken = completion->op;
    return true;
}

/* The same for what comes after: only the last completion of the one that failed is changed. */
static bool pass(rp_completion *completion)
{
    if (completion->op != dying)
        return true;
    give_back(completion);
    completion->result = error;
    if (completion->flags & RP_OP_MORE)
        return false;
    taken = dying;
    dying = NULL;
    return true;
}

WRAP(int, rp_proactor_wait, rp_proactor *proactor, rp_completion *completions, int capacity, int64_t deadline)
{
    int n = __real_rp_proactor_wait(proactor, completions, capacity, deadline);
    int kept = 0;

    taken = NULL;
    for (int i = 0; i < n; i++) {
        bool fails = left > 0 && completions[i].result != -ECANCELED && --left == 0;

        if (fails ? fail(proactor, &completions[i]) : pass(&completions[i]))
            completions[kept++] = completions[i];
    }
    return n < 0 ? n : kept;
}

/* ---- the sweep ---- */

static void arm(uint64_t nth, bool by_second)
{
    left = nth;
    second = by_second;
    error = 0;
    dying = NULL;
    taken = NULL;
    unheard = false;
}

static void arm_first(uint64_t nth)
{
    arm(nth, false);
}

static void arm_second(uint64_t nth)
{
    arm(nth, true);
}

static int disarm(void)
{
    left = 0;
    if (error == 0)
        return UNTOUCHED;
    return !dying && !unheard ? error : HARMLESS; /* dying: the loop was closed before it was over */
}

static const fault first_error = {"first error", arm_first, disarm};
static const fault second_error = {"second error", arm_second, disarm};

#define SWEEP(name)                                                                                               \
    TEST(name)                                                                                                    \
    {                                                                                                             \
        sweep(scenario_##name, &first_error);                                                                     \
        sweep(scenario_##name, &second_error);                                                                    \
    }
SCENARIOS(SWEEP)
