/*
 * Exceptions of C++ in tasks, each of which has its own; and exceptions that leave callbacks, and so the run.
 */
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/sanitized.h"
#include "harness/harness.h"
#include "ringport.h"

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

/* ---- what callbacks throw ---- */

struct trouble {
};

std::string events;

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

void stop(void *arg)
{
    rp_loop_stop(static_cast<rp_loop *>(arg));
}

rp_loop *new_loop()
{
    rp_loop *loop;

    events.clear();
    CHECK_INT(rp_loop_new(nullptr, &loop), ==, 0);
    return loop;
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

/* Runs what is ready. */
void run_once(rp_loop *loop)
{
    rp_loop_stop(loop);
    CHECK_INT(rp_run_forever(loop), ==, 0);
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

/* ---- connections ---- */

struct peer {
    rp_transport *transport;
    char bad; /* what throws: 'm'ade, 'd'ata, 'e'of, 'l'ost, 'f'actory, 'g'et_buffer, buffer_u'n'used */
    char letter;
    std::string received;
    const rp_protocol *protocol; /* NULL: peer_protocol */
    char buffer[4];
};

void happens(void *self, char what)
{
    peer *p = static_cast<peer *>(self);

    events += what;
    if (p->bad == what) {
        p->bad = 0;
        throw trouble();
    }
}

void on_made(void *self, rp_transport *transport)
{
    static_cast<peer *>(self)->transport = transport;
    happens(self, 'm');
}

void on_data(void *self, const void *data, size_t length)
{
    static_cast<peer *>(self)->received.append(static_cast<const char *>(data), length);
    happens(self, 'd');
}

bool on_eof(void *self)
{
    happens(self, 'e');
    return false;
}

void on_lost(void *self, int)
{
    happens(self, 'l');
}

void on_get(void *self, size_t, void **buffer, size_t *length)
{
    happens(self, 'g');
    *buffer = static_cast<peer *>(self)->buffer;
    *length = sizeof(peer::buffer);
}

void on_updated(void *self, size_t length)
{
    on_data(self, static_cast<peer *>(self)->buffer, length);
}

void on_unused(void *self)
{
    happens(self, 'n');
}

rp_protocol make_protocol(bool begins_soon, bool buffered)
{
    rp_protocol protocol{};

    protocol.connection_made = on_made;
    protocol.data_received = on_data;
    protocol.eof_received = on_eof;
    protocol.connection_lost = on_lost;
    protocol.begins_soon = begins_soon;
    if (buffered) {
        protocol.get_buffer = on_get;
        protocol.buffer_updated = on_updated;
        protocol.buffer_unused = on_unused;
    }
    return protocol;
}

const rp_protocol peer_protocol = make_protocol(false, false);
const rp_protocol soon_protocol = make_protocol(true, false);
const rp_protocol buffered_protocol = make_protocol(false, true);

int make_peer(void *arg, const rp_protocol **protocol, void **self)
{
    happens(arg, 'f');
    *protocol = static_cast<peer *>(arg)->protocol;
    if (*protocol == nullptr)
        *protocol = &peer_protocol;
    *self = arg;
    return 0;
}

/* Protocols on this side note nothing. */
const rp_protocol quiet_protocol{};

int make_quiet(void *arg, const rp_protocol **protocol, void **self)
{
    *protocol = &quiet_protocol;
    *self = arg;
    return 0;
}

struct fixture {
    rp_loop *loop = new_loop();
    rp_server *server = nullptr;
    peer accepted{};

    fixture()
    {
        rp_future *future;

        CHECK_INT(rp_create_server(loop, make_peer, &accepted, "127.0.0.1", 0, nullptr, &future), ==, 0);
        CHECK_INT(rp_run_until_complete(loop, future), ==, 0);
        server = static_cast<rp_server *>(rp_future_value(future));
        rp_future_unref(future);
    }

    rp_transport *connect()
    {
        rp_future *future;
        rp_transport *transport;
        int rc = 1;

        CHECK_INT(
            rp_create_connection(loop, make_quiet, nullptr, "127.0.0.1", rp_server_port(server), nullptr, &future),
            ==, 0);
        for (int i = 0; rc > 0; i++) {
            try {
                rc = rp_run_until_complete(loop, future);
            } catch (const trouble &) {
                CHECK(i == 0);
            }
        }
        CHECK_INT(rc, ==, 0);
        transport = static_cast<rp_transport *>(rp_future_value(future));
        rp_future_unref(future);
        return transport;
    }

    /* Runs until something holds, or has happened, whatever is thrown. Returns how often something was. */
    int run_until(const char *what)
    {
        return run_until([=] { return events.find(what) != std::string::npos; });
    }

    template <typename condition> int run_until(condition holds)
    {
        int thrown = 0;

        while (!holds()) {
            try {
                CHECK_INT(rp_call_later(loop, nullptr, RP_MSEC(1), stop, loop), ==, 0);
                CHECK_INT(rp_run_forever(loop), ==, 0);
            } catch (const trouble &) {
                thrown++;
            }
        }
        return thrown;
    }

    ~fixture()
    {
        rp_server_free(server);
        rp_loop_free(loop);
    }
};

void survive(const rp_protocol *protocol, char bad)
{
    fixture f;

    events.clear();
    f.accepted.protocol = protocol;
    f.accepted.bad = bad;
    rp_transport *transport = f.connect();
    f.run_until("m");
    CHECK_INT(rp_transport_write(transport, "0123456789", 10), ==, 0);
    f.run_until("d");
    f.run_until([&] { return f.accepted.received == "0123456789"; });
    CHECK_INT(rp_transport_write_eof(transport), ==, 0);
    f.run_until("e");
    if (bad == 'e') /* whether to stay open was not to be known */
        rp_transport_close(f.accepted.transport);
    f.run_until("l");
    CHECK_INT(f.accepted.bad, ==, 0);
    CHECK_INT(rp_server_connections(f.server), ==, 0);
}

TEST(connections_survive_a_protocol_that_throws)
{
    for (char bad : {'m', 'd', 'e', 'l'})
        survive(&peer_protocol, bad);
    for (char bad : {'m', 'd', 'e', 'l'})
        survive(&soon_protocol, bad);
    for (char bad : {'m', 'g', 'd', 'n', 'e', 'l'})
        survive(&buffered_protocol, bad);
}

TEST(a_server_goes_on_accepting_when_a_factory_throws)
{
    fixture f;

    f.accepted.bad = 'f';
    f.connect();
    f.run_until("f");
    CHECK_INT(f.accepted.bad, ==, 0);
    CHECK_INT(rp_server_connections(f.server), ==, 0);
    f.connect();
    f.run_until("fm");
    CHECK_INT(rp_server_connections(f.server), ==, 1);
}

TEST(an_attempt_ends_when_its_factory_throws)
{
    for (char bad : {'f', 'm'}) {
        fixture f;
        peer client{};
        rp_future *future;
        int thrown = 0, rc = 1;

        client.bad = bad;
        CHECK_INT(rp_create_connection(f.loop, make_peer, &client, "127.0.0.1", rp_server_port(f.server), nullptr,
                                       &future),
                  ==, 0);
        while (rc > 0) {
            try {
                rc = rp_run_until_complete(f.loop, future);
            } catch (const trouble &) {
                thrown++;
            }
        }
        CHECK_INT(thrown, ==, 1);
        CHECK_INT(rc, ==, bad == 'f' ? RP_EFUTCANCELED : 0);
        rp_future_unref(future);
    }
}

struct writer {
    rp_transport *transport;
    int resumed;
};

void on_resumed(void *self)
{
    static_cast<writer *>(self)->resumed++;
    throw trouble();
}

TEST(sending_goes_on_when_resume_writing_throws)
{
    static const size_t SIZE = 16 * 1024 * 1024;
    fixture f;
    writer w{};
    rp_protocol protocol{};
    std::string bytes(SIZE, 'x');
    int thrown = 0;

    protocol.resume_writing = on_resumed;
    w.transport = f.connect();
    rp_transport_set_protocol(w.transport, &protocol, &w);
    CHECK_INT(rp_transport_set_write_buffer_limits(w.transport, SIZE / 4, SIZE / 4), ==, 0);
    CHECK_INT(rp_transport_write(w.transport, bytes.data(), SIZE), ==, 0);
    while (f.accepted.received.size() < SIZE) {
        try {
            run_once(f.loop);
        } catch (const trouble &) {
            thrown++;
        }
    }
    CHECK_INT(thrown, ==, w.resumed);
    CHECK_INT(w.resumed, ==, 1);
}

#ifndef _WIN32

#include <unistd.h>

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

} // namespace
