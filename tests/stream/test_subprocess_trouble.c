/*
 * test_subprocess_trouble.c - child processes for coroutines where something is short: memory, descriptors, or what the
 * system tells of children; and many of them at once.
 */
#include <stdio.h>
#include <stdlib.h>

#include "harness/platform.h"
#include "harness/puppet.h"
#include "harness/tasks.h"
#include "harness/wire.h"

#ifdef _WIN32
enum { CHILDREN = 20 }; /* each takes Wine a while */
#else
enum { CHILDREN = 200 };
#endif

#define OPTIONS(arguments, ...)                                                                                   \
    ((rp_process_options){.program = puppet_program(), .argv = (arguments), __VA_ARGS__})
#define ALL_PIPES .in.kind = RP_STDIO_PIPE, .out.kind = RP_STDIO_PIPE, .err.kind = RP_STDIO_PIPE

static rp_subprocess *start(rp_co *co, rp_process_options options)
{
    rp_subprocess *child = NULL;

    CHECK_INT(rp_create_subprocess_exec(co, &child, &options), ==, 0);
    CHECK(child);
    return child;
}

/* ---- many ---- */

static int started; /* the first ones wait for the last, so that all are there at once */

static int say_and_hear(rp_co *co, void *arg)
{
    const char *argv[] = PUPPET("cat");
    rp_subprocess *child = start(co, OPTIONS(argv, ALL_PIPES));
    rp_communication said = {.input = arg, .input_length = strlen(arg)};
    int code;

    started++;
    while (started < CHILDREN)
        RP_TRY(rp_sleep(co, 0));
    RP_TRY(rp_subprocess_communicate(co, child, &said));
    CHECK_STR(said.out, arg);
    RP_TRY(rp_subprocess_wait(co, child, &code));
    CHECK_INT(code, ==, 0);
    rp_subprocess_free(child);
    return 0;
}

CO_TEST(many_at_once)
{
    static char texts[CHILDREN][32];
    rp_task *tasks[CHILDREN];

    for (int i = 0; i < CHILDREN; i++) {
        snprintf(texts[i], sizeof texts[i], "the child %d", i);
        tasks[i] = spawn(say_and_hear, texts[i]);
    }
    for (int i = 0; i < CHILDREN; i++)
        CHECK_INT(rp_join(co, tasks[i]), ==, 0);
}

/* ---- memory ---- */

/* Each allocation of a start in its turn: nothing is left open, and no child. */
CO_TEST(without_memory_there_is_no_child)
{
    const char *argv[] = PUPPET("cat");
    rp_process_options options = OPTIONS(argv, ALL_PIPES);

    for (uint64_t nth = 1;; nth++) {
        rp_subprocess *child = NULL;

        test_fail_allocation(nth);
        int rc = rp_create_subprocess_exec(co, &child, &options);
        bool failed = test_allocation_failed();
        test_fail_allocation(0);
        if (rc == 0)
            rp_subprocess_free(child);
        if (!failed)
            break;
        if (rc < 0) {
            CHECK_INT(rc, ==, -ENOMEM);
            CHECK(!child);
        }
    }
    settle(co);
}

/* The same of a communication: what fails can be tried again. */
CO_TEST(without_memory_a_communication_can_be_tried_again)
{
    const char *argv[] = PUPPET("cat");
    bool failed = true;

    for (uint64_t nth = 1; failed; nth++) {
        rp_subprocess *child = start(co, OPTIONS(argv, ALL_PIPES));
        rp_communication said = {.input = "again", .input_length = 5};

        test_fail_allocation(nth);
        int rc = rp_subprocess_communicate(co, child, &said);
        failed = test_allocation_failed();
        test_fail_allocation(0);
        if (rc < 0) {
            CHECK_INT(rc, ==, -ENOMEM);
            rc = rp_subprocess_communicate(co, child, &said);
        }
        CHECK_INT(rc, ==, 0);
        CHECK_STR(said.out, "again");
        rp_subprocess_free(child);
    }
}

#ifndef _WIN32

/* ---- descriptors ---- */

/* With each number of descriptors that are left: it starts, or nothing is left open. */
CO_TEST(without_descriptors_there_is_no_child)
{
    const char *argv[] = PUPPET("cat");
    rp_process_options options = OPTIONS(argv, ALL_PIPES);
    struct rlimit before, limit;
    int next = dup(0), rc = -EMFILE;

    close(next); /* from here on none is in use, or few */
    getrlimit(RLIMIT_NOFILE, &before);
    for (int more = 0; rc == -EMFILE; more++) {
        rp_subprocess *child = NULL;

        limit = before;
        limit.rlim_cur = (rlim_t)(next + more);
        CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
        rc = rp_create_subprocess_exec(co, &child, &options);
        setrlimit(RLIMIT_NOFILE, &before);
        CHECK(rc == 0 || (rc == -EMFILE && !child));
        CHECK(rc == 0 || dup(0) == next); /* nothing is left open */
        close(rc == 0 ? -1 : next);
        rp_subprocess_free(child);
        CHECK_INT(more, <, 100);
    }
}

/* ---- what the system tells ---- */

/* Children that nobody is told of: an error, and no hang. What they have said is there. */
CO_TEST(children_that_are_ignored)
{
    const char *argv[] = PUPPET("cat");
    rp_communication said = {.input = "heard", .input_length = 5};
    int code;

    signal(SIGCHLD, SIG_IGN);
    rp_subprocess *child = start(co, OPTIONS(argv, ALL_PIPES));
    CHECK_INT(rp_subprocess_communicate(co, child, &said), ==, -ECHILD);
    CHECK_STR(said.out, "heard");
    CHECK_INT(rp_subprocess_wait(co, child, &code), ==, -ECHILD);
    CHECK_INT(rp_subprocess_kill(child), ==, -ESRCH);
    rp_subprocess_free(child);
    signal(SIGCHLD, SIG_DFL);
}

/* Somebody else reaps all children. Of one that ended before, the loop might know. */
CO_TEST(children_that_others_have_reaped)
{
    const char *argv[] = PUPPET("cat");
    rp_subprocess *child = start(co, OPTIONS(argv, ALL_PIPES));
    int code;

    CHECK_INT(kill((pid_t)rp_subprocess_pid(child), SIGKILL), ==, 0);
    CHECK_INT(waitpid(-1, NULL, 0), ==, rp_subprocess_pid(child));
    CHECK_INT(rp_subprocess_wait(co, child, &code), ==, -ECHILD);
    CHECK_INT(rp_subprocess_communicate(co, child, NULL), ==, -ECHILD);
    rp_subprocess_free(child);
}

#else

TEST_ABSENT(without_descriptors_there_is_no_child, "there is no limit on descriptors to run into");
TEST_ABSENT(children_that_are_ignored, "no signal tells of a child's end");
TEST_ABSENT(children_that_others_have_reaped, "nothing is reaped");

#endif
