/*
 * test_spawn_clone.c - a child in its parent's memory: what must not happen to either of them.
 */
#include "process/spawn_clone_posix.h"

#include <stdlib.h>
#include <sys/time.h>

#include "harness/children.h"
#include "process/spawn.h"

static const char *const nothing[] = {"/bin/true", NULL};

/* ---- the parent's handlers of signals ---- */

static pid_t parent;
static atomic_int handled, handled_elsewhere;

static void note_process(int number)
{
    atomic_fetch_add(getpid() == parent ? &handled : &handled_elsewhere, 1);
}

static void *signal_group(void *stop)
{
    while (!atomic_load((atomic_bool *)stop)) {
        kill(0, SIGUSR1);
        sched_yield();
    }
    return NULL;
}

/* Signals go to the group all the time. They may end a child, and never run a handler of the parent's in it. */
TEST(handlers_do_not_run_in_the_child)
{
    rp_loop *loop = wire_loop();
    struct sigaction action = {.sa_handler = note_process, .sa_flags = SA_RESTART};
    atomic_bool stop = false;
    pthread_t thread;

    CHECK_INT(setpgid(0, 0), ==, 0);
    parent = getpid();
    CHECK_INT(sigaction(SIGUSR1, &action, NULL), ==, 0);
    CHECK_INT(pthread_create(&thread, NULL, signal_group, &stop), ==, 0);
    for (int i = 0; i < 100; i++) {
        child_end end;
        rp_process *process = child_start(loop, &(rp_process_options){.argv = nothing}, &end);

        child_wait(loop, &end);
        CHECK(end.code == 0 || end.code == -SIGUSR1);
        rp_process_unref(process);
    }
    while (atomic_load(&handled) == 0)
        sched_yield();
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    CHECK_INT(atomic_load(&handled_elsewhere), ==, 0);
    rp_loop_free(loop);
}

/* A profiler's timer does not run on in a child, nor keep it from being made. */
TEST(a_profiler_samples_the_parent)
{
    rp_loop *loop = wire_loop();
    struct itimerval often = {.it_interval.tv_usec = 500, .it_value.tv_usec = 500};

    parent = getpid();
    signal(SIGPROF, note_process);
    CHECK_INT(setitimer(ITIMER_PROF, &often, NULL), ==, 0);
    for (int i = 0; i < 50; i++)
        CHECK_INT(child_run(loop, (rp_process_options){.argv = nothing}, NULL, 0), ==, 0);
    while (atomic_load(&handled) == 0) {
    }
    CHECK_INT(setitimer(ITIMER_PROF, &(struct itimerval){0}, NULL), ==, 0);
    CHECK_INT(atomic_load(&handled_elsewhere), ==, 0);
    rp_loop_free(loop);
}

/* ---- the parent's threads ---- */

static rp_spawned spawned;

/* It has the thread's own control block: it must not take the thread's cancellation for its own. */
static void *spawn_while_cancelled(void *arg)
{
    rp_process_options options = {.argv = nothing, .in.kind = RP_STDIO_NULL};
    rp_spawn_step step;

    pthread_cancel(pthread_self()); /* takes effect at the next point of cancellation */
    CHECK_INT(rp_spawn(&options, &spawned, &step), ==, 0);
    pthread_testcancel();
    return NULL;
}

TEST(a_thread_that_is_cancelled)
{
    pthread_t thread;
    void *result;
    int status;

    CHECK_INT(pthread_create(&thread, NULL, spawn_while_cancelled, NULL), ==, 0);
    pthread_join(thread, &result);
    CHECK(result == PTHREAD_CANCELED);
    CHECK_INT(waitpid((pid_t)spawned.pid, &status, 0), ==, spawned.pid);
    CHECK_INT(status, ==, 0);
    rp_spawn_close(spawned.process);
}

static void *change_memory(void *stop)
{
    while (!atomic_load((atomic_bool *)stop)) {
        void *memory = malloc(200000);

        memset(memory, 1, 200000);
        free(memory);
    }
    return NULL;
}

/* Other threads of the parent go on in the memory that the child has. */
TEST(threads_that_go_on)
{
    rp_loop *loop = wire_loop();
    atomic_bool stop = false;
    pthread_t threads[2];

    for (int i = 0; i < 2; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, change_memory, &stop), ==, 0);
    for (int i = 0; i < 50; i++)
        CHECK_INT(child_run(loop, (rp_process_options){.argv = nothing, .env = (const char *[]){NULL}}, NULL, 0),
                  ==, 0);
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    rp_loop_free(loop);
}

/* ---- its own state ---- */

TEST(what_a_start_leaves_as_it_was)
{
    rp_loop *loop = wire_loop();
    rp_process *process;
    sigset_t before, after;
    int cancel_state;

    sigemptyset(&before);
    sigaddset(&before, SIGUSR2);
    CHECK_INT(pthread_sigmask(SIG_SETMASK, &before, NULL), ==, 0);
    for (int i = 0; i < 2; i++) {
        rp_process_options options = {.argv = i == 0 ? nothing : (const char *const[]){"/no/such", NULL}};

        CHECK_INT(rp_process_spawn(loop, &options, NULL, NULL, &process), ==, i == 0 ? 0 : -ENOENT);
        rp_process_unref(process);
        CHECK_INT(pthread_sigmask(SIG_BLOCK, NULL, &after), ==, 0);
        for (int number = 1; number < NSIG; number++)
            CHECK_INT(sigismember(&after, number), ==, number == SIGUSR2);
        CHECK_INT(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &cancel_state), ==, 0);
        CHECK_INT(cancel_state, ==, PTHREAD_CANCEL_ENABLE);
    }
    rp_loop_free(loop);
}

/* What is in the parent's signal handling tables stays there, though the child resets its own. */
TEST(the_parents_handlers_stay)
{
    rp_loop *loop = wire_loop();

    parent = getpid();
    signal(SIGUSR1, note_process);
    CHECK_INT(child_run(loop, (rp_process_options){.argv = nothing}, NULL, 0), ==, 0);
    raise(SIGUSR1);
    CHECK_INT(atomic_load(&handled), ==, 1);
    rp_loop_free(loop);
}

/* ---- descriptors ---- */

TEST(descriptors_above_the_standard_ones)
{
    for (int standard = 0; standard <= 2; standard++) {
        int saved = fcntl(standard, F_DUPFD_CLOEXEC, 10), other, low, high;

        close(standard);
        low = open("/dev/zero", O_RDONLY | O_CLOEXEC);
        high = rp_spawn_above_stdio(low);
        other = fcntl(standard, F_GETFD);
        dup2(saved, standard); /* where a check that fails would say so */
        close(saved);
        CHECK_INT(low, ==, standard);
        CHECK_INT(high, >=, 3);
        CHECK_INT(other, ==, -1);
        CHECK_INT(fcntl(high, F_GETFD), ==, FD_CLOEXEC);
        CHECK_INT(rp_spawn_above_stdio(high), ==, high);
        close(high);
    }
    CHECK_INT(rp_spawn_above_stdio(-1), ==, -1);
}
