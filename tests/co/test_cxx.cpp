/* test_cxx.cpp - exceptions of C++ in tasks, each of which has its own; and programs that end by one. */
#include <cerrno>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/sanitized.h"
#include "harness/trouble.h"

namespace
{

/* ---- what tasks throw and catch ---- */

void throw_number(int number)
{
    throw number;
}

/* What `throw;` throws here and now. */
int rethrown()
{
    try {
        throw;
    } catch (int number) {
        return number;
    }
}

struct numbers {
    int first;
    int suspensions;
};

int nested(rp_co *co, int depth, const numbers *n)
{
    try {
        throw_number(n->first + depth);
    } catch (int) {
        for (int i = 0; i < n->suspensions; i++) {
            CHECK_INT(rp_sleep(co, 0), ==, 0);
            CHECK_INT(rethrown(), ==, n->first + depth);
            CHECK_INT(std::uncaught_exceptions(), ==, 0);
        }
        if (depth < 3)
            CHECK_INT(nested(co, depth + 1, n), ==, 0);
        CHECK_INT(rp_sleep(co, 0), ==, 0);
        CHECK_INT(rethrown(), ==, n->first + depth);
        return 0;
    }
    return -1;
}

int catch_and_suspend(rp_co *co, void *arg)
{
    CHECK(std::current_exception() == nullptr);
    return nested(co, 0, static_cast<const numbers *>(arg));
}

int many(rp_co *co, void *)
{
    static numbers all[100];
    std::vector<rp_task *> tasks(100);

    for (int i = 0; i < 100; i++) {
        all[i] = {100 * i, i % 7};
        CHECK_INT(rp_create_task(&tasks[static_cast<size_t>(i)], catch_and_suspend, &all[i]), ==, 0);
    }
    for (rp_task *task : tasks) {
        CHECK_INT(rp_join(co, task), ==, 0);
        CHECK(std::current_exception() == nullptr);
    }
    return 0;
}

TEST(tasks_that_suspend_in_catch_keep_their_exceptions)
{
    CHECK_INT(rp_run(many, nullptr), ==, 0);
}

/* Yields in a catch block, with and without a wait before it. */
int yield_in_catch(rp_co *co, void *arg)
{
    int first = *static_cast<int *>(arg);

    CHECK(std::current_exception() == nullptr);
    for (int i = 0; i < 4; i++) {
        try {
            throw_number(first + i);
        } catch (int number) {
            if (i % 2 == 1)
                CHECK_INT(rp_sleep(co, 0), ==, 0);
            CHECK_INT(rp_yield(co, &number), ==, 0);
            CHECK_INT(rethrown(), ==, first + i);
            CHECK_INT(std::uncaught_exceptions(), ==, 0);
        }
    }
    return 0;
}

int ask_in_catch(rp_co *co, void *)
{
    int firsts[2] = {100, 200};
    rp_agen *agens[2];
    void *value;

    for (int i = 0; i < 2; i++)
        CHECK_INT(rp_agen_new(&agens[i], yield_in_catch, &firsts[i]), ==, 0);
    for (int i = 0; i < 8; i++) {
        try {
            throw_number(i);
        } catch (int) {
            CHECK_INT(rp_agen_next(co, agens[i % 2], &value), ==, 1);
            CHECK_INT(*static_cast<int *>(value), ==, firsts[i % 2] + i / 2);
            CHECK_INT(rethrown(), ==, i);
        }
        CHECK(std::current_exception() == nullptr);
    }
    for (rp_agen *agen : agens) {
        CHECK_INT(rp_agen_next(co, agen, &value), ==, 0);
        rp_agen_free(agen);
    }
    return 0;
}

TEST(generators_keep_their_exceptions_and_consumers_theirs)
{
    CHECK_INT(rp_run(ask_in_catch, nullptr), ==, 0);
}

/* Suspends while it is destroyed by an exception that is on its way. */
struct slow_end {
    rp_co *co;

    ~slow_end()
    {
        CHECK_INT(std::uncaught_exceptions(), ==, 1);
        CHECK_INT(rp_sleep(co, 0), ==, 0);
        CHECK_INT(rp_sleep(co, 0), ==, 0);
        CHECK_INT(std::uncaught_exceptions(), ==, 1);
    }
};

int unwind_slowly(rp_co *co, void *)
{
    try {
        slow_end end{co};
        throw std::string("slow");
    } catch (const std::string &text) {
        CHECK_INT(std::uncaught_exceptions(), ==, 0);
        return text == "slow" ? 7 : -1;
    }
}

int count_uncaught(rp_co *co, void *)
{
    rp_task *tasks[3];

    for (rp_task *&task : tasks)
        CHECK_INT(rp_create_task(&task, unwind_slowly, nullptr), ==, 0);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(std::uncaught_exceptions(), ==, 0);
        CHECK_INT(rp_sleep(co, 0), ==, 0);
    }
    for (rp_task *task : tasks)
        CHECK_INT(rp_join(co, task), ==, 7);
    return 0;
}

TEST(exceptions_on_their_way_are_counted_for_each_task)
{
    CHECK_INT(rp_run(count_uncaught, nullptr), ==, 0);
}

int end_in_catch(rp_co *co, void *)
{
    try {
        throw_number(1);
    } catch (int) {
        CHECK_INT(rp_sleep(co, 0), ==, 0);
        return rethrown();
    }
    return -1;
}

int cancelled_in_catch(rp_co *co, void *)
{
    try {
        throw_number(5);
    } catch (int) {
        int rc = rp_sleep(co, RP_SEC(1000));

        CHECK_INT(rp_sleep(co, 0), ==, 0);
        CHECK_INT(rethrown(), ==, 5);
        return rc;
    }
    return -1;
}

int ends(rp_co *co, void *)
{
    rp_task *first, *second, *third;

    CHECK_INT(rp_create_task(&first, end_in_catch, nullptr), ==, 0);
    CHECK_INT(rp_create_task(&second, cancelled_in_catch, nullptr), ==, 0);
    CHECK_INT(rp_join(co, first), ==, 1);
    CHECK(std::current_exception() == nullptr);
    rp_task_cancel(second);
    CHECK_INT(rp_join(co, second), ==, RP_EFUTCANCELED);
    CHECK(std::current_exception() == nullptr);
    /* On a stack that has been used. */
    CHECK_INT(rp_create_task(&third, end_in_catch, nullptr), ==, 0);
    CHECK_INT(rp_join(co, third), ==, 1);
    return 0;
}

void throw_at_progress(void *, int64_t, int64_t)
{
    throw trouble();
}

int copies_into_trouble(rp_co *co, void *)
{
    char from[] = "ringport-test-XXXXXX";
    rp_fd fd = rp_mkstemp(co, from);
    std::string to = std::string(from) + "-copy";
    rp_copy_options options{};
    bool caught = false;

    CHECK_INT(fd, >=, 0);
    CHECK_INT(rp_write(co, fd, "abc", 3, 0), ==, 3);
    CHECK_INT(rp_close(co, fd), ==, 0);
    options.progress = throw_at_progress;
    try {
        rp_copy_file(co, from, to.c_str(), &options);
    } catch (const trouble &) {
        caught = true;
    }
    CHECK(caught);
    CHECK_INT(rp_unlink(co, to.c_str()), ==, -ENOENT);
    CHECK_INT(rp_unlink(co, from), ==, 0);
    return 0;
}

TEST(a_copy_whose_progress_throws_is_closed_and_removed)
{
    CHECK_INT(rp_run(copies_into_trouble, nullptr), ==, 0);
}

TEST(tasks_end_and_are_cancelled_in_catch)
{
    CHECK_INT(rp_run(ends, nullptr), ==, 0);
}

TEST(a_run_in_catch_has_exceptions_of_its_own)
{
    try {
        throw_number(42);
    } catch (int) {
        CHECK_INT(rp_run(many, nullptr), ==, 0);
        CHECK_INT(rethrown(), ==, 42);
        return;
    }
    CHECK(false);
}

int throws(rp_co *co, void *)
{
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    throw std::runtime_error("out of a coroutine");
}

void run_what_throws()
{
    try {
        rp_run(throws, nullptr);
    } catch (...) {
    }
}

TEST(an_exception_that_leaves_a_coroutine_terminates)
{
    char output[4096];
    test_end end = test_in_child(run_what_throws, output, sizeof output);

    CHECK(end.name != nullptr || end.status != 0);
#ifndef _WIN32
    CHECK_STR(end.name, "SIGABRT");
    CHECK(std::strstr(output, "out of a coroutine") != nullptr);
#endif
}

/* ---- whole programs ---- */

void throw_trouble(void *)
{
    throw trouble();
}

int wait_for_ever(rp_co *co, void *arg)
{
    int rc;

    CHECK_INT(rp_call_soon(rp_co_loop(co), nullptr, throw_trouble, nullptr), ==, 0);
    rc = rp_sleep(co, RP_SEC(1000));
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    *static_cast<int *>(arg) = rc;
    return rc;
}

TEST(rp_run_ends_its_tasks_when_a_callback_throws)
{
    int rc = 0;

    try {
        rp_run(wait_for_ever, &rc);
        CHECK(false);
    } catch (const trouble &) {
    }
    CHECK_INT(rc, ==, -ECANCELED);
    CHECK_INT(std::uncaught_exceptions(), ==, 0);
    CHECK(rp_get_running_loop() == nullptr);
    CHECK_INT(rp_run(count_uncaught, nullptr), ==, 0);
}

TEST(a_runner_goes_on_after_a_callback_has_thrown)
{
    rp_runner *runner;
    int rc = 0;

    CHECK_INT(rp_runner_new(nullptr, &runner), ==, 0);
    try {
        rp_runner_run(runner, wait_for_ever, &rc);
        CHECK(false);
    } catch (const trouble &) {
    }
    CHECK_INT(rc, ==, 0);
    CHECK_INT(rp_runner_run(runner, many, nullptr), ==, 0);
    CHECK_INT(rp_runner_close(runner), ==, 0);
    CHECK_INT(rc, ==, -ECANCELED);
    rp_runner_free(runner);
}

/* Throws once more when it is cancelled, and then does not end before that was. */
int throw_at_the_end(rp_co *co, void *arg)
{
    CHECK_INT(rp_call_soon(rp_co_loop(co), nullptr, throw_trouble, nullptr), ==, 0);
    CHECK_INT(rp_sleep(co, RP_SEC(1000)), ==, -ECANCELED);
    CHECK_INT(rp_call_soon(rp_co_loop(co), nullptr, throw_trouble, nullptr), ==, 0);
    CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0);
    ++*static_cast<int *>(arg);
    return 0;
}

TEST(a_runner_is_closed_again_after_a_callback_has_thrown)
{
    rp_runner_options options = {};
    rp_loop_stats stats;
    rp_runner *runner;
    rp_loop *loop;
    int ended = 0, thrown = 0;

    options.debug = true;
    CHECK_INT(rp_runner_new(&options, &runner), ==, 0);
    CHECK_INT(rp_runner_get_loop(runner, &loop), ==, 0);
    try {
        rp_runner_run(runner, throw_at_the_end, &ended);
    } catch (const trouble &) {
        thrown++;
    }
    try {
        rp_runner_close(runner);
    } catch (const trouble &) {
        thrown++;
    }
    CHECK_INT(thrown, ==, 2);
    rp_loop_get_stats(loop, &stats);
    CHECK_INT(stats.timers_pending, ==, 1); /* the task's, and none of the runner's */
    CHECK_INT(rp_runner_close(runner), ==, 0);
    CHECK_INT(ended, ==, 1);
    rp_runner_free(runner);
}

/* The exception that comes second replaces the first, whose object the C++ runtime then keeps for ever. */
TEST(nothing_is_left_of_a_runner_whose_end_throws)
{
    int ended = 0, thrown = 0;

#ifdef RP_ASAN
    SKIP("LeakSanitizer tells of the exception that was replaced");
#endif
    try {
        rp_run(throw_at_the_end, &ended);
    } catch (const trouble &) {
        thrown++;
    }
    CHECK_INT(thrown, ==, 1);
    CHECK(rp_get_running_loop() == nullptr);
    CHECK_INT(rp_run(count_uncaught, nullptr), ==, 0);
}

int worker_main(rp_co *co, void *arg)
{
    return rp_worker_index() == 0 ? wait_for_ever(co, arg) : rp_sleep(co, RP_SEC(1000));
}

TEST(a_callback_that_throws_in_the_first_worker_ends_the_others)
{
    int rc = 0;

    try {
        rp_run_workers(3, worker_main, &rc);
        CHECK(false);
    } catch (const trouble &) {
    }
    CHECK_INT(rc, ==, -ECANCELED);
    CHECK_INT(rp_worker_index(), ==, -1);
}

} // namespace
