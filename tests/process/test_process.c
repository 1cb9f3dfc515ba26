/*
 * test_process.c - child processes as objects of a loop: their end, who waits for it, signals to them, references.
 */
#include "harness/children.h"

TEST(exit_codes)
{
    rp_loop *loop = wire_loop();

    CHECK_INT(child_run(loop, (rp_process_options){.argv = SHELL("exit 0")}, NULL, 0), ==, 0);
    CHECK_INT(child_run(loop, (rp_process_options){.argv = SHELL("exit 7")}, NULL, 0), ==, 7);
    CHECK_INT(child_run(loop, (rp_process_options){.argv = SHELL("exit 255")}, NULL, 0), ==, 255);
    CHECK_INT(child_run(loop, (rp_process_options){.argv = SHELL("kill -9 $$")}, NULL, 0), ==, -SIGKILL);
    CHECK_INT(child_run(loop, (rp_process_options){.argv = SHELL("kill -15 $$")}, NULL, 0), ==, -SIGTERM);
    rp_loop_free(loop);
}

TEST(what_is_known_of_it)
{
    rp_loop *loop = wire_loop();
    rp_process_options options = {.argv = SHELL("read line; exit 3"), .in.kind = RP_STDIO_PIPE};
    child_end end;
    int code = 99;
    rp_process *process = child_start(loop, &options, &end);
    int64_t pid = rp_process_pid(process);

    CHECK_INT(kill((pid_t)pid, 0), ==, 0);
    CHECK_INT(rp_process_returncode(process, &code), ==, RP_EINVALIDSTATE);
    CHECK_INT(code, ==, 99);
    CHECK_INT(rp_process_take_pipe(process, 1), ==, -1);
    CHECK_INT(rp_process_take_pipe(process, 3), ==, -1);
    CHECK_INT(rp_process_take_pipe(process, -1), ==, -1);
    rp_fd in = rp_process_take_pipe(process, 0);
    CHECK_INT(in, >=, 3);
    CHECK_INT(fcntl(in, F_GETFD) & FD_CLOEXEC, !=, 0);
    CHECK_INT(fcntl(in, F_GETFL) & O_NONBLOCK, !=, 0);
    CHECK_INT(rp_process_take_pipe(process, 0), ==, -1); /* it was taken */
    wire_settle(loop);
    CHECK_INT(end.count, ==, 0);
    close(in);
    child_wait(loop, &end);
    CHECK_INT(end.code, ==, 3);
    CHECK_INT(rp_process_returncode(process, NULL), ==, 0);
    CHECK_INT(rp_process_pid(process), ==, pid);
    CHECK_INT(waitpid((pid_t)pid, NULL, WNOHANG), ==, -1);
    rp_process_unref(process);
    rp_process_unref(NULL);
    rp_loop_free(loop);
}

/* ---- waiting ---- */

/* A child that lives until its stdin is closed, and the gate by which the test does that. */
static rp_process *start_gated(rp_loop *loop, const char *command, child_end *end, rp_fd *gate)
{
    rp_process_options options = {.argv = SHELL(command), .in.kind = RP_STDIO_PIPE};
    rp_process *process = child_start(loop, &options, end);

    *gate = rp_process_take_pipe(process, 0);
    return process;
}

TEST(several_wait_for_the_end)
{
    rp_loop *loop = wire_loop();
    rp_future *futures[4];
    child_end end;
    rp_fd gate;
    rp_process *process = start_gated(loop, "read line; exit 9", &end, &gate);

    for (int i = 0; i < 3; i++)
        CHECK_INT(rp_process_wait(process, &futures[i]), ==, 0);
    CHECK(futures[0] != futures[1]);
    CHECK(rp_future_cancel(futures[1])); /* is nothing to the others, nor to the process */
    rp_future_unref(futures[2]);         /* nobody looks at it any more */
    CHECK(!rp_future_done(futures[0]));
    CHECK_INT(kill((pid_t)rp_process_pid(process), 0), ==, 0);
    close(gate);
    CHECK_INT(rp_run_until_complete(loop, futures[0]), ==, 0);
    CHECK_INT(end.code, ==, 9);
    CHECK_INT(rp_process_wait(process, &futures[3]), ==, 0); /* of one that has ended */
    CHECK(rp_future_done(futures[3]));
    CHECK_INT(rp_future_result(futures[3]), ==, 0);
    CHECK(rp_future_cancelled(futures[1]));
    for (int i = 0; i < 4; i++)
        if (i != 2)
            rp_future_unref(futures[i]);
    rp_process_unref(process);
    rp_loop_free(loop);
}

/* A grandchild has stdout for as long as the gate is closed. The child's end is told all the same. */
TEST(pipes_that_a_grandchild_holds)
{
    rp_loop *loop = wire_loop();
    int gate[2];
    child_end end;
    char text[16];

    CHECK_INT(pipe2(gate, O_CLOEXEC), ==, 0);
    /* A shell's job in the background reads /dev/null, unless it is told what to read. */
    rp_process_options options = {.argv = SHELL("exec 5<&0; (read line <&5; echo late) & exit 4"),
                                  .in = {RP_STDIO_FD, gate[0]},
                                  .out.kind = RP_STDIO_PIPE};
    rp_process *process = child_start(loop, &options, &end);
    close(gate[0]);
    child_wait(loop, &end);
    CHECK_INT(end.code, ==, 4);
    rp_fd out = rp_process_take_pipe(process, 1);
    CHECK_INT(read(out, text, sizeof text), ==, -1); /* it is open yet */
    CHECK_INT(errno, ==, EAGAIN);
    close(gate[1]);
    CHECK_STR(child_read_all(out, text, sizeof text), "late\n");
    rp_process_unref(process);
    rp_loop_free(loop);
}

TEST(two_hundred_at_once)
{
    enum { COUNT = 200 };
    rp_loop *loop = wire_loop();
    rp_process *processes[COUNT];
    child_end ends[COUNT];
    int gate[2];

    CHECK_INT(pipe2(gate, O_CLOEXEC), ==, 0);
    for (int i = 0; i < COUNT; i++) {
        char command[32];
        snprintf(command, sizeof command, "read line; exit %d", i);
        rp_process_options options = {.argv = SHELL(command), .in = {RP_STDIO_FD, gate[0]}};
        processes[i] = child_start(loop, &options, &ends[i]);
    }
    wire_settle(loop);
    for (int i = 0; i < COUNT; i++)
        CHECK_INT(ends[i].count, ==, 0);
    close_pair(gate);
    for (int i = 0; i < COUNT; i++) {
        child_wait(loop, &ends[i]);
        CHECK_INT(ends[i].code, ==, i);
        rp_process_unref(processes[i]);
    }
    CHECK_INT(waitpid(-1, NULL, WNOHANG), ==, -1);
    CHECK_INT(errno, ==, ECHILD);
    rp_loop_free(loop);
}

/* ---- signals ---- */

TEST(signals)
{
    rp_loop *loop = wire_loop();
    child_end end;
    rp_fd gate;
    rp_process *process = start_gated(loop, "read line", &end, &gate);

    CHECK_INT(rp_process_send_signal(process, 0), ==, 0);
    CHECK_INT(rp_process_send_signal(process, 12345), ==, -EINVAL);
    CHECK_INT(rp_process_send_signal(process, -1), ==, -EINVAL);
    CHECK_INT(rp_process_send_signal(process, SIGUSR2), ==, 0);
    child_wait(loop, &end);
    CHECK_INT(end.code, ==, -SIGUSR2);
    CHECK_INT(rp_process_kill(process), ==, -ESRCH);
    rp_process_unref(process);
    close(gate);

    process = start_gated(loop, "read line", &end, &gate);
    CHECK_INT(rp_process_terminate(process), ==, 0);
    child_wait(loop, &end);
    CHECK_INT(end.code, ==, -SIGTERM);
    CHECK_INT(rp_process_terminate(process), ==, -ESRCH);
    rp_process_unref(process);
    close(gate);

    process = start_gated(loop, "trap '' TERM; read line", &end, &gate);
    CHECK_INT(rp_process_kill(process), ==, 0);
    CHECK_INT(rp_process_kill(process), ==, 0); /* it is not reaped before the loop has looked */
    child_wait(loop, &end);
    CHECK_INT(end.code, ==, -SIGKILL);
    rp_process_unref(process);
    close(gate);
    rp_loop_free(loop);
}

/* Its number may be another process's by then: a signal must not go by the number. */
TEST(signal_after_others_have_reaped_it)
{
    rp_loop *loop = wire_loop();
    child_end end;
    rp_fd gate;
    rp_process *process = start_gated(loop, "read line", &end, &gate);

    close(gate);
    CHECK_INT(waitpid((pid_t)rp_process_pid(process), NULL, 0), ==, rp_process_pid(process));
    CHECK_INT(rp_process_kill(process), ==, -ESRCH);
    CHECK_INT(rp_process_returncode(process, NULL), ==, RP_EINVALIDSTATE); /* the loop has not heard of it */
    child_wait(loop, &end);
    CHECK_INT(end.error, ==, -ECHILD);
    rp_process_unref(process);
    rp_loop_free(loop);
}

/* ---- an end of which nobody can say how it was ---- */

static void check_end_is_unknown(rp_loop *loop)
{
    rp_future *future;
    child_end end;
    int code = 99;
    rp_fd gate;
    rp_process *process = start_gated(loop, "read line; exit 3", &end, &gate);

    CHECK_INT(rp_process_wait(process, &future), ==, 0);
    wire_settle(loop);
    CHECK_INT(end.count, ==, 0);
    close(gate);
    child_wait(loop, &end);
    CHECK_INT(end.error, ==, -ECHILD);
    CHECK_INT(rp_process_returncode(process, &code), ==, -ECHILD);
    CHECK_INT(code, ==, 99);
    CHECK_INT(rp_run_until_complete(loop, future), ==, -ECHILD);
    CHECK_INT(rp_process_kill(process), ==, -ESRCH);
    rp_future_unref(future);
    rp_process_unref(process);
}

TEST(sigchld_is_ignored)
{
    rp_loop *loop = wire_loop();
    rp_process *process;

    signal(SIGCHLD, SIG_IGN);
    check_end_is_unknown(loop);
    CHECK_INT(rp_process_spawn(loop, &(rp_process_options){.argv = (const char *[]){"/no/such/program", NULL}},
                               NULL, NULL, &process),
              ==, -ENOENT);
    rp_loop_free(loop);
}

TEST(children_are_not_to_be_waited_for)
{
    rp_loop *loop = wire_loop();
    struct sigaction action = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};

    CHECK_INT(sigaction(SIGCHLD, &action, NULL), ==, 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    if (waitpid(pid, NULL, 0) == pid)
        SKIP("children can be waited for in any case"); /* under qemu */
    check_end_is_unknown(loop);
    rp_loop_free(loop);
}

static void *reap_all(void *stop)
{
    siginfo_t info;

    while (!atomic_load((atomic_bool *)stop))
        if (waitid(P_ALL, 0, &info, WEXITED) < 0)
            sched_yield(); /* there is no child */
    return NULL;
}

/* Whoever reaps first, each end is told once, by a code or an error; and nothing hangs. */
TEST(a_thread_reaps_all_children)
{
    rp_loop *loop = wire_loop();
    atomic_bool stop = false;
    pthread_t thread;

    CHECK_INT(pthread_create(&thread, NULL, reap_all, &stop), ==, 0);
    for (int i = 0; i < 50; i++) {
        child_end end;
        rp_process *process = child_start(loop, &(rp_process_options){.argv = SHELL("exit 3")}, &end);

        child_wait(loop, &end);
        CHECK(end.error == -ECHILD || (end.error == 0 && end.code == 3));
        rp_process_unref(process);
        CHECK_INT(rp_process_spawn(loop, &(rp_process_options){.argv = (const char *[]){"/no/such", NULL}}, NULL,
                                   NULL, &process),
                  ==, -ENOENT);
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    rp_loop_free(loop);
}

/* ---- references and the loop's end ---- */

TEST(nobody_refers_to_it)
{
    rp_loop *loop = wire_loop();
    child_end end;
    rp_fd gate;
    rp_process *process = start_gated(loop, "read line; exit 5", &end, &gate);
    int64_t pid = rp_process_pid(process);

    CHECK(rp_process_ref(process) == process);
    rp_process_unref(process);
    rp_process_unref(process);
    CHECK_INT(kill((pid_t)pid, 0), ==, 0); /* it lives */
    close(gate);
    child_wait(loop, &end);
    CHECK_INT(end.code, ==, 5);
    CHECK_INT(waitpid((pid_t)pid, NULL, WNOHANG), ==, -1); /* it was reaped */
    rp_loop_free(loop);
}

static void unref_at_end(rp_process *process, void *arg)
{
    rp_process_unref(process);
    rp_loop_stop(arg);
}

TEST(last_reference_is_dropped_at_its_end)
{
    rp_loop *loop = wire_loop();
    rp_process *process;

    CHECK_INT(rp_process_spawn(loop, &(rp_process_options){.argv = SHELL("exit 1")}, unref_at_end, loop, &process),
              ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(rp_process_spawn(loop, &(rp_process_options){.argv = SHELL("exit 1")}, NULL, NULL, &process), ==, 0);
    rp_future *future;
    CHECK_INT(rp_process_wait(process, &future), ==, 0);
    rp_process_unref(process);
    CHECK_INT(rp_run_until_complete(loop, future), ==, 0);
    rp_future_unref(future);
    rp_loop_free(loop);
}

static int count_open(void)
{
    int count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

TEST(one_that_has_ended_holds_no_descriptor)
{
    rp_loop *loop = wire_loop();
    child_end end;
    int before = count_open();
    rp_process *process = child_start(loop, &(rp_process_options){.argv = SHELL("exit 3")}, &end);

    CHECK_INT(count_open(), >, before);
    child_wait(loop, &end);
    CHECK_INT(count_open(), ==, before);
    CHECK_INT(rp_process_kill(process), ==, -ESRCH);
    CHECK_INT(rp_process_send_signal(process, 0), ==, -ESRCH);
    CHECK_INT(rp_process_returncode(process, NULL), ==, 0);
    rp_process_unref(process);
    rp_loop_free(loop);
}

TEST(pipes_that_nobody_takes_are_closed)
{
    rp_loop *loop = wire_loop();
    rp_process_options options = {.argv = SHELL("cat; exit 6"),
                                  .in.kind = RP_STDIO_PIPE,
                                  .out.kind = RP_STDIO_PIPE,
                                  .err.kind = RP_STDIO_PIPE};
    child_end end;
    rp_process *process = child_start(loop, &options, &end);

    CHECK_INT(rp_process_terminate(process), ==, 0);
    child_wait(loop, &end);
    rp_process_unref(process); /* the harness counts descriptors */
    rp_loop_free(loop);
}

TEST(the_loop_is_closed_first)
{
    rp_loop *loop = wire_loop();
    rp_future *future;
    child_end end;
    rp_fd gate, other;
    rp_process *dropped = start_gated(loop, "read line; exit 5", &end, &other);
    rp_process *process = start_gated(loop, "read line; exit 5", &end, &gate);

    rp_process_unref(dropped);
    CHECK_INT(rp_process_wait(process, &future), ==, 0);
    CHECK_INT(rp_loop_close(loop), ==, 0);
    CHECK_INT(end.count, ==, 0);
    CHECK_INT(rp_process_returncode(process, NULL), ==, RP_ECLOSED);
    CHECK(rp_future_cancelled(future));
    rp_future_unref(future);
    CHECK_INT(rp_process_wait(process, &future), ==, RP_ECLOSED);
    CHECK(!future);
    CHECK_INT(rp_process_send_signal(process, 0), ==, 0); /* it goes on */
    CHECK_INT(rp_process_kill(process), ==, 0);
    close(gate);
    close(other);
    CHECK_INT(waitpid((pid_t)rp_process_pid(process), NULL, 0), ==, rp_process_pid(process));
    CHECK_INT(rp_process_kill(process), ==, -ESRCH);
    rp_process *another = process;
    CHECK_INT(rp_process_spawn(loop, &(rp_process_options){.argv = SHELL("exit 0")}, NULL, NULL, &another), ==,
              RP_ECLOSED);
    CHECK(!another);
    rp_process_unref(process);
    rp_loop_free(loop);
}

/* One that has ended by the time the loop is closed is no zombie afterwards. */
TEST(the_loop_is_closed_when_it_has_ended)
{
    rp_loop *loop = wire_loop();
    siginfo_t info;
    child_end end;
    rp_process *process = child_start(loop, &(rp_process_options){.argv = SHELL("exit 0")}, &end);

    if (waitid(P_PID, (id_t)rp_process_pid(process), &info, WEXITED | WNOWAIT) < 0)
        CHECK_INT(errno, ==, ECHILD); /* it had ended when the wait for it began */
    rp_loop_free(loop);
    CHECK_INT(end.count, ==, 0);
    CHECK_INT(waitpid((pid_t)rp_process_pid(process), NULL, WNOHANG), ==, -1);
    rp_process_unref(process);
}

TEST(in_a_child_of_fork)
{
    rp_loop *loop = wire_loop();
    child_end end;
    rp_fd gate;
    int status;
    rp_process *process = start_gated(loop, "read line; exit 5", &end, &gate);
    pid_t pid = fork();

    if (pid == 0) {
        rp_process *another;
        rp_future *future;

        CHECK_INT(rp_process_kill(process), ==, RP_EFORK);
        CHECK_INT(rp_process_wait(process, &future), ==, RP_EFORK);
        CHECK_INT(rp_process_spawn(loop, &(rp_process_options){.argv = SHELL("exit 0")}, NULL, NULL, &another), ==,
                  RP_EFORK);
        rp_process_unref(process);
        rp_loop_free(loop);
        _exit(0);
    }
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK_INT(status, ==, 0);
    close(gate);
    child_wait(loop, &end);
    CHECK_INT(end.code, ==, 5);
    rp_process_unref(process);
    rp_loop_free(loop);
}

/* ---- loops in any thread ---- */

static void *run_children(void *arg)
{
    rp_loop *loop = wire_loop();

    for (int i = 0; i < 20; i++)
        CHECK_INT(child_run(loop, (rp_process_options){.argv = SHELL("exit 11")}, NULL, 0), ==, 11);
    rp_loop_free(loop);
    return NULL;
}

TEST(loops_in_several_threads)
{
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, run_children, NULL), ==, 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

/* The wait moves along. */
static void *wait_elsewhere(void *arg)
{
    child_end *end = arg;

    child_wait(end->loop, end);
    return NULL;
}

TEST(a_loop_that_moves_to_another_thread)
{
    rp_loop *loop = wire_loop();
    pthread_t thread;
    child_end end;
    rp_fd gate;
    rp_process *process = start_gated(loop, "read line; exit 5", &end, &gate);

    wire_settle(loop);
    CHECK_INT(pthread_create(&thread, NULL, wait_elsewhere, &end), ==, 0);
    close(gate);
    pthread_join(thread, NULL);
    CHECK_INT(end.code, ==, 5);
    rp_process_unref(process);
    rp_loop_free(loop);
}
