/*
 * test_run_console.c - a runner and the console: Ctrl-C, and what the system says before it ends the process.
 *
 * Programs cannot cause the latter events. So the handler is taken on its way to the system, and called as the console
 * calls it: in a thread of its own, under a lock that SetConsoleCtrlHandler() waits for.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/thread.h"
#include "harness/support.h"
#include "ringport.h"

/* ---- the console ---- */

typedef WINAPI BOOL set_handler(PHANDLER_ROUTINE handler, BOOL add);

static rp_mutex console = RP_MUTEX_INIT;
static PHANDLER_ROUTINE handler;

static WINAPI BOOL set_and_keep(PHANDLER_ROUTINE routine, BOOL add)
{
    set_handler *real =
        (set_handler *)(void *)GetProcAddress(GetModuleHandleA("kernel32"), "SetConsoleCtrlHandler");

    rp_mutex_lock(&console);
    if (routine && add)
        handler = routine;
    rp_mutex_unlock(&console);
    return real(routine, add);
}

set_handler *__imp_SetConsoleCtrlHandler = set_and_keep; /* the pointer that it is called through */

static BOOL handled;
static atomic_bool returned;

static void call_handler(void *event)
{
    rp_mutex_lock(&console);
    handled = handler((DWORD)(uintptr_t)event);
    atomic_store(&returned, true);
    rp_mutex_unlock(&console);
}

static void cause(DWORD event)
{
    CHECK_INT(rp_thread_start(call_handler, (void *)(uintptr_t)event), ==, 0);
}

static void await_return(void)
{
    while (!atomic_load(&returned))
        Sleep(1);
    rp_mutex_lock(&console);
    rp_mutex_unlock(&console);
}

/* ---- the end of the console, and of the machine ---- */

static atomic_int ended_in_order;

/*
 * Ends by several suspensions, during which the console's handler has not returned. Of workers one ends after the
 * other, and none disturbs those that are still at it.
 */
static int wait_for_end(rp_co *co, void *arg)
{
    DWORD event = (DWORD)(uintptr_t)arg;

    if (rp_worker_index() <= 0)
        cause(event);
    int rc = rp_sleep(co, RP_SEC(1000));
    for (int i = 0; i < 20 + 10 * rp_worker_index(); i++) {
        CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0);
        CHECK(!atomic_load(&returned));
    }
    atomic_fetch_add(&ended_in_order, 1);
    return rc;
}

static void check_end(DWORD event)
{
    atomic_store(&returned, false);
    CHECK_INT(rp_run(wait_for_end, (void *)(uintptr_t)event), ==, -EINTR);
    await_return();
    CHECK(!handled); /* others are asked, and then the system ends the process */
}

TEST(the_end_of_the_console_and_of_the_machine_ends_a_runner_in_order)
{
    signal(SIGINT, SIG_DFL);
    check_end(CTRL_CLOSE_EVENT);
    check_end(CTRL_SHUTDOWN_EVENT);
    CHECK_INT(ended_in_order, ==, 2);
}

TEST(it_ends_a_group_of_workers)
{
    CHECK_INT(rp_run_workers(3, wait_for_end, (void *)(uintptr_t)CTRL_CLOSE_EVENT), ==, -EINTR);
    await_return();
    CHECK_INT(ended_in_order, ==, 3);
}

static int return_at_once(rp_co *co, void *arg)
{
    return 5;
}

static int sleep_long(rp_co *co, void *arg)
{
    return rp_sleep(co, RP_SEC(1000));
}

/* It is told to the next run; and the console waits for the runner, not for the run. */
TEST(between_two_runs_it_is_remembered)
{
    rp_runner *runner;

    CHECK_INT(rp_runner_new(NULL, &runner), ==, 0);
    CHECK_INT(rp_runner_run(runner, return_at_once, NULL), ==, 5);
    cause(CTRL_CLOSE_EVENT);
    CHECK_INT(rp_runner_run(runner, sleep_long, NULL), ==, -EINTR);
    CHECK(!atomic_load(&returned));
    CHECK_INT(rp_runner_close(runner), ==, 0);
    await_return();
    rp_runner_free(runner);
}

static int wait_for_sigterm(rp_co *co, void *arg)
{
    return rp_wait_signal(co, SIGTERM);
}

static int end_at_sigterm(rp_co *co, void *arg)
{
    rp_task *task;

    RP_TRY(rp_create_task(&task, wait_for_sigterm, NULL));
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    cause(CTRL_CLOSE_EVENT);
    CHECK_INT(rp_join(co, task), ==, 0);
    CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0); /* it is cancelled by nobody */
    CHECK(!atomic_load(&returned));
    return 7;
}

TEST(a_program_that_asks_for_sigterm_ends_by_itself)
{
    CHECK_INT(rp_run(end_at_sigterm, NULL), ==, 7);
    await_return();
}

static void stop_loop(void *loop)
{
    rp_loop_stop(loop);
}

TEST(so_does_a_loop_without_a_runner)
{
    rp_loop *loop;

    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    CHECK_INT(rp_add_signal_handler(loop, SIGTERM, stop_loop, loop), ==, 0);
    cause(CTRL_SHUTDOWN_EVENT);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK(!atomic_load(&returned));
    rp_loop_free(loop);
    await_return();
}

TEST(with_nothing_to_end_the_system_goes_on_at_once)
{
    CHECK_INT(rp_run(return_at_once, NULL), ==, 5);
    cause(CTRL_CLOSE_EVENT);
    await_return();
    CHECK(!handled);
}

/* ---- the end of a session ---- */

typedef WINAPI BOOL get_session(DWORD process, DWORD *session);

static DWORD session;

static WINAPI BOOL tell_session(DWORD process, DWORD *out)
{
    *out = session;
    return process == GetCurrentProcessId();
}

get_session *__imp_ProcessIdToSessionId = tell_session;

static int outlive_session(rp_co *co, void *arg)
{
    cause(CTRL_LOGOFF_EVENT);
    while (!atomic_load(&returned))
        RP_TRY(rp_sleep(co, RP_MSEC(1)));
    return 9;
}

TEST(the_end_of_a_session_ends_a_program_of_it_and_no_service)
{
    session = 1;
    check_end(CTRL_LOGOFF_EVENT);
    atomic_store(&returned, false);
    session = 0;
    CHECK_INT(rp_run(outlive_session, NULL), ==, 9);
    CHECK(!handled);
}

/* ---- Ctrl-C ---- */

/* Shrugs the first off. That is told by the system's thread, from a real console. */
static int heed_no_interrupt(rp_co *co, void *arg)
{
    CHECK(GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0));
    CHECK_INT(rp_sleep(co, RP_SEC(1000)), ==, -ECANCELED);
    puts("first");
    CHECK(GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0));
    if (arg) /* the loop is stuck */
        Sleep(INFINITE);
    (void)rp_sleep(co, RP_SEC(1000));
    return 0;
}

static void run_in_own_console(void *arg)
{
    FreeConsole();
    CHECK(AllocConsole());
    SetConsoleCtrlHandler(NULL, FALSE); /* or a parent may have had it ignored */
    exit(rp_run(heed_no_interrupt, arg) == 0);
}

static void interrupt_twice(void)
{
    run_in_own_console(NULL);
}

static void interrupt_twice_when_stuck(void)
{
    run_in_own_console("stuck");
}

TEST(the_second_ctrl_c_ends_the_process_as_windows_does)
{
    void (*ways[])(void) = {interrupt_twice, interrupt_twice_when_stuck};
    char output[256];

    for (int i = 0; i < 2; i++) {
        CHECK(test_killed_by_interrupt(test_in_child(ways[i], output, sizeof output)));
        CHECK_STR(output, "first\n");
    }
}
