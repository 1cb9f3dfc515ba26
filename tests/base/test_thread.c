/*
 * test_thread.c - conditions and their deadlines, threads and their ids, fork detection.
 */
#include "harness/harness.h"
#include "harness/platform.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/thread.h"

#ifndef _WIN32
#include <sys/mman.h>
#include <sys/syscall.h>
#endif

static rp_mutex mutex;
static rp_cond cond;
static int stage;
static uint64_t other_id;

static void set_up(void)
{
    CHECK_INT(rp_mutex_init(&mutex), ==, 0);
    CHECK_INT(rp_cond_init(&cond), ==, 0);
}

static void tear_down(void)
{
    rp_cond_fini(&cond);
    rp_mutex_fini(&mutex);
}

static void reach(int next)
{
    rp_mutex_lock(&mutex);
    stage = next;
    rp_cond_broadcast(&cond);
    rp_mutex_unlock(&mutex);
}

static void await_stage(int awaited)
{
    rp_mutex_lock(&mutex);
    while (stage != awaited)
        CHECK(rp_cond_wait(&cond, &mutex, RP_NEVER));
    rp_mutex_unlock(&mutex);
}

TEST(condition_times_out_at_its_deadline)
{
    int64_t start = rp_monotonic();

    set_up();
    rp_mutex_lock(&mutex);
    while (rp_cond_wait(&cond, &mutex, start + RP_MSEC(30)))
        CHECK_INT(rp_monotonic() - start, <, RP_MSEC(30));
    CHECK_INT(rp_monotonic() - start, >=, RP_MSEC(30));
    CHECK(!rp_cond_wait(&cond, &mutex, 0));
    CHECK(!rp_cond_wait(&cond, &mutex, -5));
    rp_mutex_unlock(&mutex);
    tear_down();
}

static void note_identity(void *arg)
{
    CHECK(arg == &stage);
    other_id = rp_thread_id();
#ifndef _WIN32
    CHECK(!rp_thread_is_main());
#endif
    reach(1);
}

TEST(threads_have_ids)
{
    set_up();
    CHECK_INT(rp_thread_start(note_identity, &stage), ==, 0);
    await_stage(1);
    CHECK(rp_thread_id() != 0);
    CHECK(other_id != 0);
    CHECK(other_id != rp_thread_id());
#ifndef _WIN32
    CHECK(rp_thread_is_main());
#endif
}

#ifndef _WIN32
static int kernel_id;

static void note_kernel_id(void *arg)
{
    kernel_id = (int)gettid();
    note_identity(arg);
}

/* Has the kernel number the next thread as the last one, where that is permitted. */
static void repeat_kernel_id(void)
{
    FILE *file = fopen("/proc/sys/kernel/ns_last_pid", "w");

    if (!file)
        return;
    fprintf(file, "%d", kernel_id - 1);
    fclose(file);
}

TEST(a_thread_is_not_taken_for_one_that_has_ended)
{
    uint64_t last = rp_thread_id();

    set_up();
    for (int i = 0; i < 5; i++) {
        CHECK_INT(rp_thread_start(note_kernel_id, &stage), ==, 0);
        await_stage(1);
        CHECK_INT(other_id, >, last);
        last = other_id;
        stage = 0;
        while (syscall(SYS_tgkill, getpid(), kernel_id, 0) == 0) /* it has not ended yet */
            sched_yield();
        repeat_kernel_id();
    }
    tear_down();
}
#else
TEST_ABSENT(a_thread_is_not_taken_for_one_that_has_ended, "nothing is bound to a thread there");
#endif

#ifndef _WIN32
static sigset_t other_mask;

static void note_signals(void *arg)
{
    rp_signal_mask mask;

    rp_signal_mask_get(&mask);
    other_mask = mask.signals;
    reach(1);
}

/* The kernel would kill the process at once where the signal of a fault is blocked. */
static const int open_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGPROF};

TEST(threads_take_no_signals_but_their_own)
{
    sigset_t before, after;

    set_up();
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    CHECK_INT(rp_thread_start(note_signals, NULL), ==, 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    await_stage(1);
    CHECK_INT(sigismember(&before, SIGTERM), ==, sigismember(&after, SIGTERM));
    for (int number = 1; number < 32; number++) { /* of the others the C library has some, and qemu */
        bool open = false;

        for (size_t i = 0; i < sizeof open_signals / sizeof open_signals[0]; i++)
            open = open || number == open_signals[i];
        if (number != SIGKILL && number != SIGSTOP)
            CHECK_INT(sigismember(&other_mask, number), ==, !open);
    }
    tear_down();
}

TEST(a_signal_mask_is_swapped_and_put_back)
{
    rp_signal_mask mask, now;

    rp_signal_mask_get(&mask);
    sigaddset(&mask.signals, SIGUSR1);
    rp_signal_mask_swap(&mask);
    rp_signal_mask_get(&now);
    CHECK(sigismember(&now.signals, SIGUSR1));
    rp_signal_mask_swap(&mask);
    rp_signal_mask_get(&now);
    CHECK(!sigismember(&now.signals, SIGUSR1));
    CHECK(sigismember(&mask.signals, SIGUSR1));
}
#else
TEST_ABSENT(threads_take_no_signals_but_their_own, "no signal interrupts a thread on Windows");
TEST_ABSENT(a_signal_mask_is_swapped_and_put_back, "no signal interrupts a thread on Windows");
#endif

/* More than the stack that is asked for, out of which glibc takes it. */
static _Thread_local volatile char large[512 * 1024];
static rp_cond small_ended;
static rp_mutex small_mutex = RP_MUTEX_INIT;
static bool small_has_ended;

static void use_small_stack(void *arg)
{
    volatile char frame[96 * 1024];

    for (size_t i = 0; i < sizeof frame; i += 1024)
        frame[i] = 1;
    for (size_t i = 0; i < sizeof large; i += 1024)
        large[i] = 1;
    rp_mutex_lock(&small_mutex);
    small_has_ended = true;
    rp_cond_signal(&small_ended);
    rp_mutex_unlock(&small_mutex);
}

TEST(a_small_stack_has_room_for_thread_locals_besides)
{
    CHECK_INT(rp_cond_init(&small_ended), ==, 0);
    CHECK_INT(rp_thread_start_small(use_small_stack, NULL, 128 * 1024), ==, 0);
    rp_mutex_lock(&small_mutex);
    while (!small_has_ended)
        rp_cond_wait(&small_ended, &small_mutex, RP_NEVER);
    rp_mutex_unlock(&small_mutex);
}

TEST(thread_without_memory)
{
    test_fail_allocation(1);
    CHECK_INT(rp_thread_start(note_identity, NULL), ==, -ENOMEM);
}

#ifndef _WIN32
static int exit_status(pid_t pid)
{
    int status;

    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static unsigned generation_early, generation_at_fork;

static void note_generation(void)
{
    generation_at_fork = rp_fork_generation();
}

__attribute__((constructor(101))) static void ask_early(void)
{
    generation_early = rp_fork_generation();
    pthread_atfork(note_generation, NULL, NULL);
}

/* A loop that a constructor has made, before any of the library's own has run, is this process's all the same. */
TEST(the_generation_of_constructors_stays)
{
    CHECK(generation_early != 0);
    CHECK_INT(generation_at_fork, ==, generation_early); /* when this case's own process was forked */
}

TEST(a_child_finds_a_generation_of_its_own)
{
    unsigned generation = rp_fork_generation();
    pid_t pid = fork();

    CHECK(generation != 0);
    if (pid == 0) {
        unsigned child = rp_fork_generation();

        CHECK(child != generation);
        CHECK_INT(rp_fork_generation(), ==, child);
        pid = fork();
        if (pid == 0) {
            CHECK(rp_fork_generation() != generation);
            CHECK(rp_fork_generation() != child);
            _exit(0);
        }
        _exit(exit_status(pid));
    }
    CHECK_INT(exit_status(pid), ==, 0);
    CHECK_INT(rp_fork_generation(), ==, generation);
}

/* Whether the kernel wipes a page in a child; emulators may not. */
static bool can_wipe(void)
{
    unsigned char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(page != MAP_FAILED);
    page[0] = 1;
    bool told = madvise(page, 4096, MADV_WIPEONFORK) == 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(page[0]);
    bool kept = exit_status(pid) != 0;
    munmap(page, 4096);
    return told && !kept;
}

static void check_child(pid_t pid, unsigned generation)
{
    if (pid == 0)
        _exit(rp_fork_generation() == generation);
    CHECK_INT(exit_status(pid), ==, 0);
    CHECK_INT(rp_fork_generation(), ==, generation);
}

TEST(a_fork_without_handlers_is_noticed)
{
    unsigned generation = rp_fork_generation();

    if (!can_wipe())
        SKIP("nothing wipes a page in a child here");
    check_child(_Fork(), generation);
    check_child((pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0), generation);
}

static void fork_off_main_thread(void *arg)
{
    pid_t pid;

    CHECK(!rp_thread_is_main());
    pid = fork();
    if (pid == 0) {
        CHECK(rp_thread_is_main());
        _exit(0);
    }
    CHECK_INT(exit_status(pid), ==, 0);
    CHECK(!rp_thread_is_main());
    reach(1);
}

/* The child of a fork has one thread, with a new id, and that is the main one. */
TEST(forking_thread_is_the_childs_main_thread)
{
    set_up();
    CHECK_INT(rp_thread_start(fork_off_main_thread, NULL), ==, 0);
    await_stage(1);
}
#else
TEST_ABSENT(the_generation_of_constructors_stays, "Windows has no fork()");
TEST_ABSENT(a_child_finds_a_generation_of_its_own, "Windows has no fork()");
TEST_ABSENT(a_fork_without_handlers_is_noticed, "Windows has no fork()");
TEST_ABSENT(forking_thread_is_the_childs_main_thread, "Windows has no fork()");
#endif

TEST(cpus_are_counted)
{
    CHECK_INT(rp_cpu_count(), >=, 1);
    CHECK_INT(rp_cpu_count(), <=, 65536);
}
