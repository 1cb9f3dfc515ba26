/* test_cxx_callbacks.cpp - exceptions that leave callbacks of a loop, and so the run: nothing is lost with them. */
#include <csignal>
#include <unistd.h>

#include "harness/trouble.h"

namespace
{

struct step {
    rp_loop *loop;
    char letter;
    bool bad;
};

void take_step(void *arg)
{
    const step *s = static_cast<const step *>(arg);

    events += s->letter;
    if (s->bad)
        throw trouble();
}

/* Runs the loop, which an exception is to end. */
void run_into_trouble(rp_loop *loop)
{
    try {
        rp_run_forever(loop);
    } catch (const trouble &) {
        CHECK(!rp_loop_is_running(loop));
        CHECK(rp_get_running_loop() == nullptr);
        return;
    }
    CHECK(false);
}

void schedule_after(void *arg)
{
    step *s = static_cast<step *>(arg);

    CHECK_INT(rp_call_soon(s->loop, nullptr, take_step, s), ==, 0);
    throw trouble();
}

void callbacks_go_on(bool debug)
{
    rp_loop *loop = new_loop();
    step a{loop, 'a', false}, b{loop, 'b', true}, c{loop, 'c', false}, d{loop, 'd', true}, e{loop, 'e', false};

    rp_set_debug(loop, debug);
    for (step *s : {&a, &b, &c})
        CHECK_INT(rp_call_soon(loop, nullptr, take_step, s), ==, 0);
    CHECK_INT(rp_call_soon(loop, nullptr, schedule_after, &e), ==, 0);
    CHECK_INT(rp_call_soon(loop, nullptr, take_step, &d), ==, 0);
    run_into_trouble(loop);
    CHECK_STR(events.c_str(), "ab");
    run_into_trouble(loop);
    CHECK_STR(events.c_str(), "abc");
    run_into_trouble(loop);
    CHECK_STR(events.c_str(), "abcd");
    run_once(loop);
    CHECK_STR(events.c_str(), "abcde");
    CHECK_INT(rp_call_soon(loop, nullptr, take_step, &b), ==, 0);
    CHECK_INT(rp_call_soon(loop, nullptr, take_step, &c), ==, 0);
    run_into_trouble(loop);
    rp_loop_free(loop); /* with something that is ready */
    CHECK_STR(events.c_str(), "abcdeb");
}

TEST(callbacks_after_the_one_that_throws_come_in_the_next_run)
{
    callbacks_go_on(false);
}

TEST(the_same_in_debug_mode)
{
    callbacks_go_on(true);
}

void count_completion(rp_op *op)
{
    int *left = static_cast<int *>(op->data);

    CHECK_INT(op->result, ==, 0);
    if (--*left % 2 == 0)
        throw trouble();
}

TEST(completions_after_the_one_that_throws_come_in_the_next_run)
{
    rp_loop *loop = new_loop();
    rp_op ops[10];
    rp_loop_stats stats;
    int left = 10;

    for (rp_op &op : ops) {
        rp_op_nop(&op, count_completion, &left);
        CHECK_INT(rp_submit(loop, &op), ==, 0);
    }
    for (int i = 0; i < 5; i++) {
        CHECK_INT(left, ==, 10 - 2 * i);
        run_into_trouble(loop);
    }
    CHECK_INT(left, ==, 0);
    run_once(loop);
    rp_loop_get_stats(loop, &stats);
    CHECK_INT(stats.completions, ==, 10);
    CHECK_INT(stats.operations_in_flight, ==, 0);
    CHECK_INT(rp_submit(loop, &ops[0]), ==, 0); /* it is idle */
    rp_loop_free(loop);
}

TEST(a_loop_is_closed_with_completions_that_were_not_delivered)
{
    rp_loop *loop = new_loop();
    rp_op ops[10];
    int left = 10;

    for (rp_op &op : ops) {
        rp_op_nop(&op, count_completion, &left);
        CHECK_INT(rp_submit(loop, &op), ==, 0);
    }
    run_into_trouble(loop);
    CHECK_INT(left, ==, 8);
    rp_loop_free(loop);
    CHECK_INT(left, ==, 8);
}

void future_throws(rp_future *, void *arg)
{
    take_step(arg);
}

TEST(timers_and_futures_throw)
{
    rp_loop *loop = new_loop();
    step a{loop, 'a', true}, b{loop, 'b', true}, c{loop, 'c', false};
    rp_future *future;
    rp_done_callback done[2] = {};

    CHECK_INT(rp_call_later(loop, nullptr, 0, take_step, &a), ==, 0);
    run_into_trouble(loop);
    CHECK_STR(events.c_str(), "a");
    CHECK_INT(rp_future_new(loop, &future), ==, 0);
    CHECK_INT(rp_future_add_done_callback(future, &done[0], future_throws, &b), ==, 0);
    CHECK_INT(rp_future_add_done_callback(future, &done[1], future_throws, &c), ==, 0);
    CHECK_INT(rp_future_set_result(future, nullptr), ==, 0);
    run_into_trouble(loop);
    CHECK_STR(events.c_str(), "ab");
    run_once(loop);
    CHECK_STR(events.c_str(), "abc");
    rp_future_unref(future);
    rp_loop_free(loop);
}

TEST(a_future_is_awaited_again_after_a_run_that_an_exception_ended)
{
    rp_loop *loop = new_loop();
    step a{loop, 'a', true};
    rp_future *future;

    CHECK_INT(rp_future_new(loop, &future), ==, 0);
    CHECK_INT(rp_call_soon(loop, nullptr, take_step, &a), ==, 0);
    try {
        rp_run_until_complete(loop, future);
        CHECK(false);
    } catch (const trouble &) {
    }
    CHECK_INT(rp_future_set_result(future, nullptr), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, future), ==, 0);
    rp_future_unref(future);
    rp_loop_free(loop);
}

void on_signal(void *arg)
{
    take_step(arg);
}

TEST(a_signal_handler_throws)
{
    rp_loop *loop = new_loop();
    step a{loop, 'a', true};

    CHECK_INT(rp_add_signal_handler(loop, SIGINT, on_signal, &a), ==, 0);
    CHECK_INT(std::raise(SIGINT), ==, 0);
    run_into_trouble(loop);
    CHECK_INT(std::raise(SIGINT), ==, 0);
    run_into_trouble(loop);
    CHECK_STR(events.c_str(), "aa");
    CHECK_INT(rp_remove_signal_handler(loop, SIGINT), ==, 1);
    rp_loop_free(loop);
}

#ifndef _WIN32

void read_byte(rp_fd fd, void *)
{
    char byte;

    CHECK_INT(read(fd, &byte, 1), ==, 1);
    events += byte;
    throw trouble();
}

TEST(a_reader_that_throws_is_called_again)
{
    rp_loop *loop = new_loop();
    int fds[2];

    CHECK_INT(pipe(fds), ==, 0);
    CHECK_INT(write(fds[1], "abc", 3), ==, 3);
    CHECK_INT(rp_add_reader(loop, fds[0], read_byte, nullptr), ==, 0);
    for (int i = 0; i < 3; i++)
        run_into_trouble(loop);
    CHECK_STR(events.c_str(), "abc");
    CHECK_INT(rp_remove_reader(loop, fds[0]), ==, 1);
    close(fds[0]);
    close(fds[1]);
    rp_loop_free(loop);
}

#else
TEST_ABSENT(a_reader_that_throws_is_called_again, "only sockets can be polled");
#endif

void end_badly(rp_process *, void *)
{
    throw trouble();
}

TEST(the_end_of_a_process_throws)
{
#ifdef _WIN32
    static const char *const argv[] = {"cmd.exe", "/c", "exit", nullptr};
#else
    static const char *const argv[] = {"/bin/true", nullptr};
#endif
    rp_loop *loop = new_loop();
    rp_process_options options{};
    rp_process *process;
    rp_future *future;

    options.argv = argv;
    CHECK_INT(rp_process_spawn(loop, &options, end_badly, nullptr, &process), ==, 0);
    CHECK_INT(rp_process_wait(process, &future), ==, 0);
    rp_process_unref(process); /* the loop's own reference is dropped all the same */
    run_into_trouble(loop);
    CHECK(rp_future_done(future));
    rp_future_unref(future);
    rp_loop_free(loop);
}

} // namespace
