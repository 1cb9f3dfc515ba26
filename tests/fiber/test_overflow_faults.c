/*
 * test_overflow_faults.c - faults that are no overflows have the effect they would have without the library, which
 * takes its handler away with the last loop.
 */
#include <pthread.h>
#include <signal.h>

#include "harness/overflow_child.h"

static char *volatile nowhere = (char *)16;

static int faults(rp_co *co, void *arg)
{
    RP_TRY(rp_sleep(co, 0));
    *nowhere = 1;
    return 0;
}

static void fault(void)
{
    rp_run(faults, NULL);
}

TEST(another_fault_has_its_default_effect)
{
    test_end end = run_child(fault);

    CHECK(faulted(end));
    check_output("");
}

static int quiet(rp_co *co, void *arg)
{
    return rp_sleep(co, 0);
}

static void *run_once(void *arg)
{
    rp_task *task;

    CHECK_INT(rp_loop_create_task(arg, &task, quiet, NULL), ==, 0);
    CHECK_INT(rp_run_until_complete(arg, task), ==, 0);
    rp_future_unref(task);
    return NULL;
}

#ifndef _WIN32
static void on_segv(int number, siginfo_t *info, void *context)
{
    _exit(info->si_addr == (void *)16 ? 42 : 43);
}

static void on_segv_plain(int number)
{
    _exit(44);
}

static void fault_handled(void)
{
    struct sigaction action = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO};

    sigaction(SIGSEGV, &action, NULL);
    rp_run(faults, NULL);
}

static void fault_handled_plainly(void)
{
    signal(SIGSEGV, on_segv_plain);
    rp_run(faults, NULL);
}

static int raises(rp_co *co, void *arg)
{
    raise(SIGSEGV);
    return 0;
}

static void raised(void)
{
    rp_run(raises, NULL);
}

static void raised_ignored(void)
{
    signal(SIGSEGV, SIG_IGN);
    rp_run(raises, NULL);
}

static void fault_ignored(void)
{
    signal(SIGSEGV, SIG_IGN);
    rp_run(faults, NULL);
}

TEST(earlier_handlers_are_called)
{
    test_end end = run_child(fault_handled);

    CHECK(!end.name && end.status == 42);
    end = run_child(fault_handled_plainly);
    CHECK(!end.name && end.status == 44);
    end = run_child(raised);
    CHECK(faulted(end));
    end = run_child(raised_ignored);
    CHECK(!end.name && end.status == 0);
    end = run_child(fault_ignored);
    CHECK(faulted(end));
}

/* ---- restoring ---- */

TEST(what_was_there_is_restored)
{
    struct sigaction before, after;
    stack_t stack_before, stack_after;

    sigaction(SIGSEGV, NULL, &before);
    sigaltstack(NULL, &stack_before);
    for (int i = 0; i < 3; i++)
        CHECK_INT(rp_run(quiet, NULL), ==, 0);
    sigaction(SIGSEGV, NULL, &after);
    sigaltstack(NULL, &stack_after);
    CHECK(before.sa_handler == after.sa_handler);
    CHECK_INT(stack_before.ss_flags, ==, stack_after.ss_flags);
    CHECK(stack_before.ss_sp == stack_after.ss_sp || (stack_after.ss_flags & SS_DISABLE));
}

static pthread_key_t late;
static bool run_late;
static _Thread_local int rounds;

static void *free_late(void *arg)
{
    rp_loop *loop;

    (void)arg;
    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    CHECK_INT(pthread_setspecific(late, loop), ==, 0);
    return run_once(loop);
}

/* By a second round of destructors, whatever their order: then the claims were given up. */
static void put_off(void *arg)
{
    if (rounds++ == 0) {
        pthread_setspecific(late, arg);
        return;
    }
    if (run_late) /* a loop may even run there */
        run_once(arg);
    rp_loop_free(arg);
}

TEST(a_loop_freed_by_a_late_destructor)
{
    struct sigaction before, after;
    pthread_t id;

    CHECK_INT(pthread_key_create(&late, put_off), ==, 0);
    sigaction(SIGSEGV, NULL, &before);
    for (int i = 0; i < 4; i++) {
        run_late = i % 2 == 1;
        CHECK_INT(pthread_create(&id, NULL, free_late, NULL), ==, 0);
        CHECK_INT(pthread_join(id, NULL), ==, 0);
        sigaction(SIGSEGV, NULL, &after);
        CHECK(before.sa_handler == after.sa_handler);
    }
    /* The counts are right: the next to run has the handler. */
    test_end end = run_child(named);
    CHECK(faulted(end));
    check_output("ringport: stack overflow in task 'greedy'\n");
}
#else
TEST_ABSENT(a_loop_freed_by_a_late_destructor, "claims are not given up at a thread's end on Windows");
TEST_ABSENT(earlier_handlers_are_called, "there are no signal handlers to pass a fault on to on Windows");
TEST_ABSENT(what_was_there_is_restored, "there are no signal handlers to pass a fault on to on Windows");
#endif

/* A loop that runs on several threads, the first of which are gone when it is closed. */
TEST(a_loop_moves_between_threads)
{
    pthread_t id;
    rp_loop *loop;

#ifndef _WIN32
    struct sigaction before, after;
    sigaction(SIGSEGV, NULL, &before);
#endif
    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_create(&id, NULL, run_once, loop) == 0);
        CHECK(pthread_join(id, NULL) == 0);
    }
    run_once(loop);
    rp_loop_free(loop);
#ifndef _WIN32
    sigaction(SIGSEGV, NULL, &after);
    CHECK(before.sa_handler == after.sa_handler);
#endif
}
