/*
 * test_spawn_child.c - what a child finds: its descriptors, signals, directory, groups and ids.
 */
#include <grp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "harness/children.h"

/* Prints the descriptors that the shell has, which opens none for itself. */
#define LIST_DESCRIPTORS "for f in /proc/$$/fd/*; do [ -e $f ] && printf '%s ' ${f##*/}; done; exit 0"

/* ---- descriptors ---- */

TEST(no_others_are_inherited)
{
    rp_loop *loop = wire_loop();
    int fds[20];

    for (int i = 0; i < 20; i++)
        fds[i] = open("/dev/zero", O_RDONLY); /* not close-on-exec */
    CHECK_INT(dup2(fds[0], 200), ==, 200);
    CHECK_CHILD_PRINTS(loop, "0 1 2 ", .argv = SHELL(LIST_DESCRIPTORS));
    CHECK_CHILD_PRINTS(loop, "0 1 2 ", .argv = SHELL(LIST_DESCRIPTORS), .in.kind = RP_STDIO_PIPE,
                       .err.kind = RP_STDIO_PIPE);
    CHECK_INT(fcntl(fds[0], F_GETFD), ==, 0); /* nothing has changed here */
    CHECK_INT(fcntl(200, F_GETFD), ==, 0);
    close(200);
    for (int i = 0; i < 20; i++)
        close(fds[i]);
    rp_loop_free(loop);
}

static void *open_and_close(void *stop)
{
    int fds[50];

    while (!atomic_load((atomic_bool *)stop)) {
        for (int i = 0; i < 50; i++)
            fds[i] = open("/dev/zero", O_RDONLY);
        for (int i = 0; i < 50; i++)
            close(fds[i]);
    }
    return NULL;
}

TEST(what_another_thread_opens_meanwhile)
{
    rp_loop *loop = wire_loop();
    atomic_bool stop = false;
    pthread_t thread;

    CHECK_INT(pthread_create(&thread, NULL, open_and_close, &stop), ==, 0);
    for (int i = 0; i < 30; i++)
        CHECK_CHILD_PRINTS(loop, "0 1 2 ", .argv = SHELL(LIST_DESCRIPTORS));
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    rp_loop_free(loop);
}

TEST(pass_fds)
{
    rp_loop *loop = wire_loop();
    int one = open("/dev/zero", O_RDONLY | O_CLOEXEC), two = fcntl(one, F_DUPFD_CLOEXEC, 40);
    int three = fcntl(one, F_DUPFD_CLOEXEC, 50), none = fcntl(one, F_DUPFD_CLOEXEC, 60);
    rp_process *process;

    close(none);
    CHECK_INT(two, ==, 40);
    CHECK_INT(three, ==, 50);
    CHECK_CHILD_PRINTS(loop, "0 1 2 40 50 ", .argv = SHELL(LIST_DESCRIPTORS), .pass_fds = (rp_fd[]){50, 40, 50},
                       .pass_fd_count = 3);
    CHECK_CHILD_PRINTS(loop, "0 1 2 40 ", .argv = SHELL(LIST_DESCRIPTORS), .pass_fds = (rp_fd[]){1, 40},
                       .pass_fd_count = 2);
    CHECK_INT(fcntl(40, F_GETFD), ==, FD_CLOEXEC);
    rp_process_options options = {.argv = SHELL("exit 0"), .pass_fds = (rp_fd[]){none}, .pass_fd_count = 1};
    CHECK_INT(rp_process_spawn(loop, &options, NULL, NULL, &process), ==, -EBADF);
    options.pass_fds = (rp_fd[]){-1};
    CHECK_INT(rp_process_spawn(loop, &options, NULL, NULL, &process), ==, -EBADF);
    close(one);
    close(two);
    close(three);
    rp_loop_free(loop);
}

TEST(all_others_are_inherited)
{
    rp_loop *loop = wire_loop();
    int open_one = open("/dev/zero", O_RDONLY), kept = dup2(open_one, 40);
    int closed = fcntl(open_one, F_DUPFD_CLOEXEC, 50);

    close(open_one);
    CHECK_CHILD_PRINTS(loop, "", .argv = SHELL("[ -e /proc/$$/fd/40 ] && [ ! -e /proc/$$/fd/50 ]"),
                       .flags = RP_PROCESS_KEEP_FDS);
    close(kept);
    close(closed);
    rp_loop_free(loop);
}

TEST(each_kind_of_stdio)
{
    rp_loop *loop = wire_loop();
    char text[64];
    child_end end;

    CHECK_CHILD_PRINTS(loop, "out\nerr\n", .argv = SHELL("echo out; echo err >&2"),
                       .err.kind = RP_STDIO_TO_STDOUT);
    CHECK_CHILD_PRINTS(loop, "/dev/null /dev/null\n",
                       .argv = SHELL("echo $(readlink /proc/$$/fd/0 /proc/$$/fd/2)"), .in.kind = RP_STDIO_NULL,
                       .err.kind = RP_STDIO_NULL);
    rp_process_options options = {.argv = SHELL("cat; echo err >&2"),
                                  .in.kind = RP_STDIO_PIPE,
                                  .out.kind = RP_STDIO_PIPE,
                                  .err.kind = RP_STDIO_PIPE};
    rp_process *process = child_start(loop, &options, &end);
    rp_fd in = rp_process_take_pipe(process, 0);
    CHECK_INT(write(in, "text", 4), ==, 4);
    close(in);
    CHECK_STR(child_read_all(rp_process_take_pipe(process, 1), text, sizeof text), "text");
    CHECK_STR(child_read_all(rp_process_take_pipe(process, 2), text, sizeof text), "err\n");
    child_wait(loop, &end);
    rp_process_unref(process);
    rp_loop_free(loop);
}

/* Numbers from 0 to 2 of the parent's, in all orders: none is overwritten before it was used. */
TEST(standard_descriptors_are_exchanged)
{
    rp_loop *loop = wire_loop();
    int saved[3], files[3];
    char text[3][16];

    for (int i = 0; i < 3; i++) {
        saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
        files[i] = memfd_create("file", MFD_CLOEXEC);
    }
    for (int order = 0; order < 27; order++) {
        rp_process_options options = {.argv = SHELL("printf 0 >&0; printf 1 >&1; printf 2 >&2"),
                                      .in = {RP_STDIO_FD, order % 3},
                                      .out = {RP_STDIO_FD, order / 3 % 3},
                                      .err = {RP_STDIO_FD, order / 9}};
        const rp_fd which[] = {options.in.fd, options.out.fd, options.err.fd};
        child_end end;

        for (int i = 0; i < 3; i++) {
            CHECK_INT(ftruncate(files[i], 0), ==, 0);
            CHECK_INT(lseek(files[i], 0, SEEK_SET), ==, 0);
            dup2(files[i], i);
        }
        rp_process *process = child_start(loop, &options, &end);
        child_wait(loop, &end);
        rp_process_unref(process);
        for (int i = 0; i < 3; i++) {
            ssize_t n = pread(files[i], text[i], sizeof text[i] - 1, 0);
            text[i][n] = '\0';
            dup2(saved[i], i);
        }
        for (int i = 0; i < 3; i++)
            CHECK(strchr(text[which[i]], '0' + i) != NULL);
        CHECK_INT(strlen(text[0]) + strlen(text[1]) + strlen(text[2]), ==, 3);
    }
    for (int i = 0; i < 3; i++) {
        close(saved[i]);
        close(files[i]);
    }
    rp_loop_free(loop);
}

/* The parent has closed some of its own: pipes are to get no such number, and the child what it is to have. */
TEST(the_parent_has_closed_its_own)
{
    rp_loop *loop = wire_loop();

    for (int closed = 1; closed < 8; closed++) {
        int saved[3];
        char text[64];
        child_end end;

        for (int i = 0; i < 3; i++) {
            saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
            if (closed & 1 << i)
                close(i);
        }
        rp_process_options options = {
            .argv = SHELL("cat; " LIST_DESCRIPTORS), .in.kind = RP_STDIO_PIPE, .out.kind = RP_STDIO_PIPE};
        rp_process *process = child_start(loop, &options, &end);
        rp_fd in = rp_process_take_pipe(process, 0), out = rp_process_take_pipe(process, 1);
        for (int i = 0; i < 3; i++)
            CHECK_INT(fcntl(i, F_GETFD), ==, closed & 1 << i ? -1 : 0);
        for (int i = 0; i < 3; i++) {
            dup2(saved[i], i);
            close(saved[i]);
        }
        CHECK_INT(write(in, "text ", 5), ==, 5);
        close(in);
        CHECK_STR(child_read_all(out, text, sizeof text), closed & 4 ? "text 0 1 " : "text 0 1 2 ");
        child_wait(loop, &end);
        rp_process_unref(process);
    }
    rp_loop_free(loop);
}

TEST(a_closed_stdin_is_inherited)
{
    rp_loop *loop = wire_loop();
    int saved = fcntl(0, F_DUPFD_CLOEXEC, 10);

    close(0);
    CHECK_CHILD_PRINTS(loop, "1 2 ", .argv = SHELL(LIST_DESCRIPTORS));
    CHECK_CHILD_PRINTS(loop, "0 1 2 ", .argv = SHELL(LIST_DESCRIPTORS), .in.kind = RP_STDIO_NULL);
    CHECK_INT(fcntl(0, F_GETFD), ==, -1);
    dup2(saved, 0);
    close(saved);
    rp_loop_free(loop);
}

/* A shell's `read` fails if its stdin does not block and nothing is there. */
TEST(descriptors_block)
{
    rp_loop *loop = wire_loop();
    int pipe_[2];
    child_end end;
    char text[64];

    CHECK_INT(pipe2(pipe_, O_CLOEXEC | O_NONBLOCK), ==, 0);
    rp_process_options options = {.argv = SHELL("echo begun; read line && echo $line"),
                                  .in = {RP_STDIO_FD, pipe_[0]},
                                  .out.kind = RP_STDIO_PIPE};
    rp_process *process = child_start(loop, &options, &end);
    rp_fd out = rp_process_take_pipe(process, 1);
    CHECK_INT(fcntl(pipe_[0], F_GETFL) & O_NONBLOCK, ==, 0);
    CHECK_INT(poll(&(struct pollfd){.fd = out, .events = POLLIN}, 1, -1), ==, 1);
    CHECK_INT(write(pipe_[1], "line\n", 5), ==, 5);
    CHECK_STR(child_read_all(out, text, sizeof text), "begun\nline\n");
    child_wait(loop, &end);
    rp_process_unref(process);
    CHECK_INT(fcntl(pipe_[0], F_SETFL, O_NONBLOCK), ==, 0);
    options.argv = SHELL("exit 0");
    options.flags = RP_PROCESS_KEEP_NONBLOCK;
    CHECK_INT(child_run(loop, options, NULL, 0), ==, 0);
    CHECK_INT(fcntl(pipe_[0], F_GETFL) & O_NONBLOCK, !=, 0);
    close_pair(pipe_);
    rp_loop_free(loop);
}

/* ---- signals ---- */

static void handle(int number)
{
    (void)number;
}

/* A mask of /proc/self/status, as grep finds it, which handles nothing itself. */
static uint64_t signal_mask(rp_loop *loop, const char *name, unsigned flags)
{
    char text[64];
    rp_process_options options = {.argv = (const char *[]){"grep", name, "/proc/self/status", NULL},
                                  .flags = flags};

    CHECK_INT(child_run(loop, options, text, sizeof text), ==, 0);
    return strtoull(strchr(text, ':') + 1, NULL, 16);
}

#define BIT(number) (UINT64_C(1) << ((number)-1))

TEST(signals_do_what_they_do_by_default)
{
    rp_loop *loop = wire_loop();
    sigset_t blocked;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGUSR1, handle);
    signal(SIGRTMIN, handle);
    signal(SIGHUP, SIG_IGN);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGUSR2);
    CHECK_INT(pthread_sigmask(SIG_BLOCK, &blocked, NULL), ==, 0);
    CHECK_INT(signal_mask(loop, "SigBlk", 0), ==, 0);
    CHECK_INT(signal_mask(loop, "SigCgt", 0) & (BIT(SIGUSR1) | BIT(SIGRTMIN)), ==, 0);
    CHECK_INT(signal_mask(loop, "SigIgn", 0) & (BIT(SIGPIPE) | BIT(SIGXFSZ) | BIT(SIGHUP) | BIT(SIGUSR1)), ==,
              BIT(SIGHUP));
    CHECK_INT(signal_mask(loop, "SigIgn", RP_PROCESS_KEEP_SIGNALS) & (BIT(SIGPIPE) | BIT(SIGXFSZ) | BIT(SIGHUP)),
              ==, BIT(SIGPIPE) | BIT(SIGXFSZ) | BIT(SIGHUP));
    CHECK_INT(signal_mask(loop, "SigBlk", RP_PROCESS_KEEP_SIGNALS), ==, BIT(SIGTERM) | BIT(SIGUSR2));
    sigset_t now;
    CHECK_INT(pthread_sigmask(SIG_BLOCK, NULL, &now), ==, 0); /* nothing has changed here */
    CHECK_INT(sigismember(&now, SIGTERM), ==, 1);
    CHECK_INT(sigismember(&now, SIGUSR1), ==, 0);
    struct sigaction action;
    CHECK_INT(sigaction(SIGUSR1, NULL, &action), ==, 0);
    CHECK(action.sa_handler == handle);
    CHECK_INT(sigaction(SIGPIPE, NULL, &action), ==, 0);
    CHECK(action.sa_handler == SIG_IGN);
    rp_loop_free(loop);
}

/* ---- directory, umask, session, group, terminal ---- */

TEST(directory_umask_and_environment)
{
    rp_loop *loop = wire_loop();
    rp_process *process;

    CHECK_CHILD_PRINTS(loop, "/usr/lib\n", .argv = SHELL("pwd -P"), .cwd = "/usr/lib");
    CHECK_CHILD_PRINTS(loop, "0027\n", .argv = SHELL("umask"), .umask = 027, .flags = RP_PROCESS_UMASK);
    CHECK_CHILD_PRINTS(loop, "0000\n", .argv = SHELL("umask"), .umask = 0, .flags = RP_PROCESS_UMASK);
    CHECK_INT(umask(022), !=, 01000);
    CHECK_INT(umask(022), ==, 022);
    CHECK_CHILD_PRINTS(loop, "A=1\nB=\n", .argv = (const char *[]){"/usr/bin/env", NULL},
                       .env = (const char *[]){"A=1", "B=", NULL});
    CHECK_CHILD_PRINTS(loop, "", .argv = (const char *[]){"/usr/bin/env", NULL}, .env = (const char *[]){NULL});
    setenv("TEST_SPAWN", "inherited", 1);
    CHECK_CHILD_PRINTS(loop, "inherited\n", .argv = SHELL("echo $TEST_SPAWN"));
    rp_process_options options = {.argv = SHELL("exit 0"), .cwd = "/no/such"};
    CHECK_INT(rp_process_spawn(loop, &options, NULL, NULL, &process), ==, -ENOENT);
    options.cwd = "/bin/sh";
    CHECK_INT(rp_process_spawn(loop, &options, NULL, NULL, &process), ==, -ENOTDIR);
    rp_loop_free(loop);
}

/* The session and process group of a child, of whose stat only the fields after the name count. */
static void identity(rp_process *process, long *group, long *session, long *terminal)
{
    char path[64], text[512];

    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)rp_process_pid(process));
    FILE *file = fopen(path, "re");
    CHECK(file && fgets(text, sizeof text, file));
    fclose(file);
    CHECK_INT(sscanf(strrchr(text, ')') + 1, " %*c %*d %ld %ld %ld", group, session, terminal), ==, 3);
}

/* Starts a child that waits, and says in which group and session it is. */
static void check_identity(rp_loop *loop, rp_process_options options, long *group, long *session, long *terminal,
                           pid_t *pid)
{
    int gate[2];
    child_end end;

    CHECK_INT(pipe2(gate, O_CLOEXEC), ==, 0);
    options.argv = SHELL("read line");
    options.in = (rp_stdio){RP_STDIO_FD, gate[0]};
    rp_process *process = child_start(loop, &options, &end);
    identity(process, group, session, terminal);
    *pid = (pid_t)rp_process_pid(process);
    close_pair(gate);
    child_wait(loop, &end);
    rp_process_unref(process);
}

TEST(sessions_and_groups)
{
    rp_loop *loop = wire_loop();
    long group, session, terminal;
    rp_process *process;
    int gate[2];
    child_end end;
    pid_t pid;

    check_identity(loop, (rp_process_options){0}, &group, &session, &terminal, &pid);
    CHECK_INT(group, ==, getpgrp());
    CHECK_INT(session, ==, getsid(0));
    check_identity(loop, (rp_process_options){.flags = RP_PROCESS_NEW_SESSION}, &group, &session, &terminal, &pid);
    CHECK_INT(group, ==, pid);
    CHECK_INT(session, ==, pid);
    check_identity(loop, (rp_process_options){.flags = RP_PROCESS_GROUP}, &group, &session, &terminal, &pid);
    CHECK_INT(group, ==, pid);
    CHECK_INT(session, ==, getsid(0));

    CHECK_INT(pipe2(gate, O_CLOEXEC), ==, 0);
    rp_process_options options = {
        .argv = SHELL("read line"), .in = {RP_STDIO_FD, gate[0]}, .flags = RP_PROCESS_GROUP};
    rp_process *leader = child_start(loop, &options, &end);
    check_identity(loop, (rp_process_options){.flags = RP_PROCESS_GROUP, .process_group = rp_process_pid(leader)},
                   &group, &session, &terminal, &pid);
    CHECK_INT(group, ==, rp_process_pid(leader));
    close_pair(gate);
    child_wait(loop, &end);
    rp_process_unref(leader);

    options = (rp_process_options){.argv = SHELL("exit 0"), .flags = RP_PROCESS_GROUP, .process_group = 1};
    CHECK_INT(rp_process_spawn(loop, &options, NULL, NULL, &process), ==, -EPERM);
    options.process_group = -1;
    CHECK_INT(rp_process_spawn(loop, &options, NULL, NULL, &process), ==, -EINVAL);
    options.process_group = INT64_C(1) << 40;
    CHECK_INT(rp_process_spawn(loop, &options, NULL, NULL, &process), ==, -EINVAL);
    rp_loop_free(loop);
}

TEST(controlling_terminal)
{
    rp_loop *loop = wire_loop();
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    char text[64];
    long group, session, terminal;
    rp_process *process;
    pid_t pid;

    CHECK_INT(grantpt(master), ==, 0);
    CHECK_INT(unlockpt(master), ==, 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    rp_process_options options = {.flags = RP_PROCESS_NEW_SESSION | RP_PROCESS_TERMINAL, .terminal = slave};
    check_identity(loop, options, &group, &session, &terminal, &pid);
    CHECK(terminal != 0);
    options.argv = SHELL("echo on the terminal >/dev/tty");
    CHECK_INT(child_run(loop, options, NULL, 0), ==, 0);
    CHECK_INT(read(master, text, sizeof text), ==, 17); /* with a carriage return */
    int saved = fcntl(0, F_DUPFD_CLOEXEC, 10);          /* it is one that the child's stdin takes the place of */
    dup2(slave, 0);
    options.terminal = 0;
    options.in.kind = RP_STDIO_NULL;
    CHECK_INT(child_run(loop, options, NULL, 0), ==, 0);
    dup2(saved, 0);
    close(saved);

    options.flags = RP_PROCESS_TERMINAL;
    CHECK_INT(rp_process_spawn(loop, &options, NULL, NULL, &process), ==, -EINVAL);
    options.flags = RP_PROCESS_NEW_SESSION | RP_PROCESS_TERMINAL;
    options.terminal = master + 1000;
    CHECK_INT(rp_process_spawn(loop, &options, NULL, NULL, &process), ==, -EBADF);
    int file = open("/dev/zero", O_RDWR | O_CLOEXEC);
    options.terminal = file;
    CHECK_INT(rp_process_spawn(loop, &options, NULL, NULL, &process), ==, -ENOTTY);
    close(file);
    close(slave);
    close(master);
    rp_loop_free(loop);
}

/* ---- ids ---- */

TEST(ids)
{
    rp_loop *loop = wire_loop();
    const uint32_t groups[] = {1234, 77};
    rp_process *process;

    if (geteuid() != 0)
        SKIP("only root may change ids");
    CHECK_INT(setgroups(1, (gid_t[]){5}), ==, 0);
    CHECK_CHILD_PRINTS(loop, "0 0 0 0\n1001 1001 1001 1001\n77 1234 \n",
                       .argv = SHELL("grep ^Uid: /proc/self/status | cut -f2- | tr '\\t' ' ';"
                                     "grep ^Gid: /proc/self/status | cut -f2- | tr '\\t' ' ';"
                                     "grep ^Groups: /proc/self/status | cut -f2-"),
                       .gid = 1001, .groups = groups, .group_count = 2,
                       .flags = RP_PROCESS_GID | RP_PROCESS_GROUPS);
    CHECK_CHILD_PRINTS(loop, "1002 1002 1002 1002\n0 0 0 0\n5 \n",
                       .argv = SHELL("grep ^Uid: /proc/self/status | cut -f2- | tr '\\t' ' ';"
                                     "grep ^Gid: /proc/self/status | cut -f2- | tr '\\t' ' ';"
                                     "grep ^Groups: /proc/self/status | cut -f2-"),
                       .uid = 1002, .flags = RP_PROCESS_UID);
    CHECK_CHILD_PRINTS(loop, "\n", .argv = SHELL("grep ^Groups: /proc/self/status | cut -f2- | tr -d ' '"),
                       .flags = RP_PROCESS_GROUPS);
    CHECK_INT(getuid(), ==, 0); /* the parent has its own yet, and so has each of its threads */
    CHECK_INT(geteuid(), ==, 0);
    CHECK_INT(getegid(), ==, 0);
    CHECK_INT(getgroups(0, NULL), ==, 1);
    CHECK_INT(prctl(PR_GET_DUMPABLE), ==, 1); /* the memory was lent to a process of another user */
    rp_process_options options = {.argv = SHELL("exit 0"), .uid = UINT32_MAX, .flags = RP_PROCESS_UID};
    CHECK_INT(rp_process_spawn(loop, &options, NULL, NULL, &process), ==,
              -EINVAL); /* it would keep the parent's */
    options = (rp_process_options){.argv = SHELL("exit 0"), .gid = UINT32_MAX, .flags = RP_PROCESS_GID};
    CHECK_INT(rp_process_spawn(loop, &options, NULL, NULL, &process), ==, -EINVAL);
    rp_loop_free(loop);
}

TEST(ids_that_are_not_permitted)
{
    rp_loop *loop = wire_loop();
    rp_process *process;

    if (geteuid() == 0)
        CHECK_INT(setresuid(65534, 65534, 65534), ==, 0);
    CHECK_INT(prctl(PR_SET_DUMPABLE, 1), ==, 0); /* for /proc, which the harness looks into */
    rp_process_options options = {.argv = SHELL("exit 0"), .uid = 0, .flags = RP_PROCESS_UID};
    CHECK_INT(rp_process_spawn(loop, &options, NULL, NULL, &process), ==, -EPERM);
    options.flags = RP_PROCESS_GROUPS;
    CHECK_INT(rp_process_spawn(loop, &options, NULL, NULL, &process), ==, -EPERM);
    options = (rp_process_options){.argv = SHELL("exit 0"), .uid = getuid(), .flags = RP_PROCESS_UID};
    CHECK_INT(child_run(loop, options, NULL, 0), ==, 0);
    rp_loop_free(loop);
}
