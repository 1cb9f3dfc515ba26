/*
 * sanitizer.h - tells sanitizers and Valgrind about stacks, and about every switch between them.
 *
 * Without them all of it is empty. An rp_flow is what the tools know of one side of a switch: a fiber has one for
 * itself and one for whoever resumed it. A switch is announced before (leave) and confirmed on the other side (arrive).
 */
#ifndef RP_FIBER_SANITIZER_H
#define RP_FIBER_SANITIZER_H

#include "base/sanitized.h"
#include "ringport/base.h"

#ifdef RP_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#ifdef RP_TSAN
#include <sanitizer/tsan_interface.h>
#include <signal.h>
#endif
#ifdef RP_HAVE_VALGRIND
#include <valgrind/valgrind.h>
#endif

/* Instrumented frames are several times as large. */
#if defined(RP_ASAN) || defined(RP_TSAN)
#define RP_SANITIZED 1
#endif

/* For a function that never returns on its fiber: its entry must not be recorded there. */
#if !defined(RP_TSAN)
#define RP_NO_TSAN
#elif defined(__clang__)
#define RP_NO_TSAN __attribute__((disable_sanitizer_instrumentation))
#else
#define RP_NO_TSAN __attribute__((no_sanitize_thread))
#endif

#define RP_FLOW_INLINE static inline __attribute__((always_inline))

/* What goes with a stack for as long as it is mapped. */
typedef struct rp_stack_marks {
#ifdef RP_TSAN
    void *fiber;
#endif
#ifdef RP_HAVE_VALGRIND
    unsigned valgrind_id;
#endif
} rp_stack_marks;

typedef struct rp_flow {
#ifdef RP_ASAN
    void *fake_stack;
    const void *low;
    size_t size;
    bool resumer; /* its stack is the thread's, not one of ours */
#endif
#ifdef RP_TSAN
    void *tsan;
#endif
} rp_flow;

/*
 * Whether memory is one in which LeakSanitizer finds pointers that keep others reachable: a stack from when it is taken
 * until it comes back. Not a whole slab: it would read the guards, too.
 */
static inline void rp_stack_root(const void *low, const void *high, bool root)
{
    (void)low, (void)high, (void)root;
#ifdef RP_ASAN
    if (root)
        __lsan_register_root_region(low, (size_t)((const char *)high - (const char *)low));
    else
        __lsan_unregister_root_region(low, (size_t)((const char *)high - (const char *)low));
#endif
}

static inline void rp_stack_announce(rp_stack_marks *marks, char *low, char *high)
{
    (void)marks, (void)low, (void)high;
#ifdef RP_TSAN
    marks->fiber = __tsan_create_fiber(0);
#endif
#ifdef RP_HAVE_VALGRIND
    marks->valgrind_id = VALGRIND_STACK_REGISTER(low, high - 1);
#endif
}

static inline void rp_stack_retire(rp_stack_marks *marks)
{
    (void)marks;
#ifdef RP_TSAN
    __tsan_destroy_fiber(marks->fiber);
#endif
#ifdef RP_HAVE_VALGRIND
    VALGRIND_STACK_DEREGISTER(marks->valgrind_id);
#endif
}

/* A stack is about to be used anew: what the frames of its last user forbade is allowed again. */
static inline void rp_stack_cleanse(char *low, char *high)
{
    (void)low, (void)high;
#ifdef RP_ASAN
    ASAN_UNPOISON_MEMORY_REGION(low, (size_t)(high - low));
#endif
}

static inline void rp_flow_init(rp_flow *flow, const rp_stack_marks *marks, char *low, char *high)
{
    (void)flow, (void)marks, (void)low, (void)high;
#ifdef RP_ASAN
    flow->low = low;
    flow->size = (size_t)(high - low);
#endif
#ifdef RP_TSAN
    flow->tsan = marks->fiber;
#endif
}

/* Stores the flow that is running, so that it can be switched back to. */
RP_FLOW_INLINE void rp_flow_here(rp_flow *flow)
{
    (void)flow;
#ifdef RP_ASAN
    flow->resumer = true;
#endif
#ifdef RP_TSAN
    flow->tsan = __tsan_get_current_fiber();
#endif
}

/* `last`: nobody will come back to the flow that is left. */
RP_FLOW_INLINE void rp_flow_leave(rp_flow *from, rp_flow *to, bool last)
{
    (void)from, (void)to, (void)last;
#ifdef RP_ASAN
    if (to->resumer)
        rp_stack_root(to->low, (const char *)to->low + to->size, false);
    __sanitizer_start_switch_fiber(last ? NULL : &from->fake_stack, to->low, to->size);
#endif
#ifdef RP_TSAN
    /* It puts a signal off until the next library call of the same fiber: none may be left behind, where it is lost. */
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    __tsan_switch_to_fiber(to->tsan, 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
#endif
}

/*
 * `from` learns where the stack lies that was left. A thread's own is a root while a fiber runs: for LeakSanitizer
 * the thread's stack is the fiber's then.
 */
RP_FLOW_INLINE void rp_flow_arrive(rp_flow *self, rp_flow *from)
{
    (void)self, (void)from;
#ifdef RP_ASAN
    __sanitizer_finish_switch_fiber(self->fake_stack, &from->low, &from->size);
    if (from->resumer)
        rp_stack_root(from->low, (const char *)from->low + from->size, true);
#endif
}

#endif
