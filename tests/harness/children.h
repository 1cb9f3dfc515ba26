/*
 * children.h - for tests of child processes: starting one, what it prints, and its end.
 */
#ifndef RP_TESTS_CHILDREN_H
#define RP_TESTS_CHILDREN_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/wire.h"

/* A shell's command as arguments. */
#define SHELL(command) ((const char *const[]){"/bin/sh", "-c", command, NULL})

/* What is written down of a child's end. */
typedef struct child_end {
    int count;
    int error;
    int code;
    rp_loop *loop;
} child_end;

static inline void child_ended(rp_process *process, void *arg)
{
    child_end *end = arg;

    end->count++;
    end->error = rp_process_returncode(process, &end->code);
    if (end->loop)
        rp_loop_stop(end->loop);
}

/* Reads until the end of the stream, and closes the descriptor; the text ends with '\0'. */
static inline const char *child_read_all(rp_fd fd, char *text, size_t size)
{
    size_t length = 0;
    ssize_t n;

    CHECK_INT(fcntl(fd, F_SETFL, 0), ==, 0);
    while ((n = read(fd, text + length, size - 1 - length)) > 0)
        length += (size_t)n;
    CHECK_INT(n, ==, 0);
    text[length] = '\0';
    close(fd);
    return text;
}

static inline rp_process *child_start(rp_loop *loop, const rp_process_options *options, child_end *end)
{
    rp_process *process;

    *end = (child_end){.loop = loop};
    CHECK_INT(rp_process_spawn(loop, options, child_ended, end, &process), ==, 0);
    return process;
}

/* Runs the loop until the child has ended. */
static inline void child_wait(rp_loop *loop, const child_end *end)
{
    while (end->count == 0)
        CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(end->count, ==, 1);
}

/* Runs a child to its end: its code. What it prints goes to `text`, unless that is NULL. */
static inline int child_run(rp_loop *loop, rp_process_options options, char *text, size_t size)
{
    child_end end;

    if (text)
        options.out.kind = RP_STDIO_PIPE;
    rp_process *process = child_start(loop, &options, &end);
    if (text)
        child_read_all(rp_process_take_pipe(process, 1), text, size);
    child_wait(loop, &end);
    CHECK_INT(end.error, ==, 0);
    rp_process_unref(process);
    return end.code;
}

/* What a child prints that is to succeed. */
#define CHECK_CHILD_PRINTS(loop, text, ...)                                                                       \
    do {                                                                                                          \
        char output_[4096];                                                                                       \
        CHECK_INT(child_run(loop, (rp_process_options){__VA_ARGS__}, output_, sizeof output_), ==, 0);            \
        CHECK_STR(output_, text);                                                                                 \
    } while (0)

#endif
