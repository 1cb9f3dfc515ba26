/*
 * scenarios.c - the programs that faults strike, and the sweep over them: see scenarios.h.
 *
 * Each error that a call returns or the exception handler is told of is noted (`told`), so that the sweep can tell a
 * fault that somebody heard of from one that got lost on its way.
 */
#include "harness/scenarios.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/leaks.h"
#include "ringport.h"
#include "harness/wire.h"

enum {
    MESSAGES = 100,
    CLIENTS = 3,
    LARGE = 20000, /* bytes of every tenth message; the others have SMALL */
    SMALL = 64,
};

/* Where code runs slowly not all places are swept: the first ones, and of the others one in so many. */
#ifdef _WIN32
enum { DENSE = 20, STRIDE = 29 };
#else
enum { DENSE = 40, STRIDE = 7 };
#endif

static bool runs_slowly(void)
{
#ifdef _WIN32 /* under Wine, where each call to the kernel is a message to another process */
    return true;
#else
    return test_slow();
#endif
}

/* ---- what was told ---- */

static int told[256];
static int told_count;

int scenario_note(int rc)
{
    if (rc < 0 && told_count < (int)(sizeof told / sizeof told[0]))
        told[told_count++] = rc;
    return rc;
}

static bool was_told(int error)
{
    for (int i = 0; i < told_count; i++)
        if (told[i] == error)
            return true;
    return false;
}

void scenario_on_exception(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    (void)loop;
    (void)arg;
    scenario_note(context->error);
}

/* ---- the sweep ---- */

/* Of several threads nobody misses one that cannot be had; nor what would come after the last event of a watch. */
static bool does_without(scenario *run, int rc)
{
    return (run == scenario_files || run == scenario_watches) && rc == 0;
}

/* The end of a connection is all that may fail when all has been said: the peer learns of that, in words of TLS. */
static bool was_cut_off(scenario *run, int struck)
{
    return run == scenario_tls && struck == -ECONNRESET && was_told(RP_ETLS_TRUNCATED);
}

static int strike(scenario *run, const fault *kind, uint64_t nth)
{
    int rc, struck;
    char text[512];

    told_count = 0;
    kind->arm(nth);
    rc = scenario_note(run());
    struck = kind->disarm();
    fprintf(stderr, "%s in place %llu (%s): %s\n", kind->name, (unsigned long long)nth,
            struck == UNTOUCHED  ? "untouched"
            : struck == HARMLESS ? "harmless"
                                 : rp_errname(struck),
            rc < 0 ? rp_errname(rc) : "ended well");
    if (struck >= 0)
        CHECK_INT(rc, ==, 0);
    else
        CHECK(was_told(struck) || does_without(run, rc) || was_cut_off(run, struck));
    if (leaks_find(text, sizeof text))
        test_fail(__FILE__, __LINE__, "%s", text);
    return struck;
}

void sweep(scenario *run, const fault *kind)
{
    const char *fixed = getenv("RP_TEST_NTH");
    uint64_t nth = fixed ? strtoull(fixed, NULL, 10) : 1;

    while (strike(run, kind, nth) != UNTOUCHED && !fixed)
        nth += runs_slowly() && nth > DENSE ? STRIDE : 1;
}

/* What is tried again in a second is tried again at once. */
WRAP(int, rp_call_later, rp_loop *loop, rp_timer *timer, int64_t delay, rp_callback *callback, void *arg)
{
    return __real_rp_call_later(loop, timer, delay == RP_SEC(1) ? 0 : delay, callback, arg);
}

/* ---- running a coroutine on a loop of its own ---- */

int scenario_run(rp_coro *coro)
{
    rp_task *task = NULL;
    rp_loop *loop;
    int rc = rp_loop_new(NULL, &loop);

    if (rc < 0)
        return rc;
    rp_set_exception_handler(loop, scenario_on_exception, NULL);
    rc = rp_loop_create_task(loop, &task, coro, NULL);
    if (rc == 0)
        rc = rp_run_until_complete(loop, task);
    rp_future_unref(task);
    CHECK_INT(rp_loop_close(loop), ==, 0);
    rp_loop_free(loop);
    return rc;
}

static void stop(void *loop)
{
    rp_loop_stop(loop);
}

/* Runs the loop until one of its callbacks stops it. */
static int run_loop(rp_loop *loop)
{
    rp_timer timer = {0};
    int rc;

    RP_TRY(rp_call_later(loop, &timer, RP_MSEC(1), stop, loop));
    rc = rp_run_forever(loop);
    rp_timer_cancel(&timer);
    RP_TRY(rc);
    RP_TRY(rp_call_soon(loop, NULL, stop, loop));
    return rp_run_forever(loop);
}

int scenario_loop_opened_and_closed(void)
{
    rp_loop *loop;
    int rc = rp_loop_new(NULL, &loop);

    if (rc < 0)
        return rc;
    rp_set_exception_handler(loop, scenario_on_exception, NULL);
    rc = run_loop(loop);
    CHECK_INT(rp_loop_close(loop), ==, 0);
    rp_loop_free(loop);
    return rc;
}

/* ---- echoing ---- */

static int echo(rp_co *co, rp_stream *stream, void *arg)
{
    char buffer[4096];
    ssize_t n;

    (void)arg;
    while ((n = rp_stream_read(co, stream, buffer, sizeof buffer)) > 0)
        RP_TRY(scenario_note(rp_stream_write(co, stream, buffer, (size_t)n)));
    return scenario_note((int)n);
}

/* Sends a message, and takes it back. */
static int exchange(rp_co *co, rp_stream *stream, int number)
{
    char message[LARGE];
    size_t length = number % 10 == 1 ? LARGE : SMALL;
    ssize_t n;

    wire_fill(message, length, (uint64_t)number);
    RP_TRY(scenario_note(rp_stream_write(co, stream, message, length)));
    memset(message, 0, length);
    n = rp_stream_read_exactly(co, stream, message, length);
    if (n < 0)
        return scenario_note((int)n);
    CHECK_INT(n, ==, length);
    CHECK(wire_same(message, length, (uint64_t)number));
    return 0;
}

/* Has large messages go out in pieces, the most of them in the background. */
static void narrow(rp_stream *stream)
{
    rp_transport *transport = rp_stream_transport(stream);
    int size = 1024;

    if (transport)
        CHECK_INT(rp_transport_setsockopt(transport, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), ==, 0);
}

/* A client's whole life. */
static int converse(rp_co *co, int port, int messages)
{
    rp_stream *stream;
    int rc;

    RP_TRY(scenario_note(rp_open_connection(co, &stream, "127.0.0.1", port, NULL)));
    narrow(stream);
    rc = 0;
    for (int i = 0; i < messages && rc == 0; i++)
        rc = exchange(co, stream, i);
    rp_stream_close(stream);
    if (rc == 0)
        rc = scenario_note(rp_stream_wait_closed(co, stream));
    rp_stream_free(stream);
    return rc;
}

static int serve_and_converse(rp_co *co, int messages)
{
    rp_server *server;
    int rc;

    RP_TRY(scenario_note(rp_start_server(co, &server, echo, NULL, "127.0.0.1", 0, NULL)));
    rc = converse(co, rp_server_port(server), messages);
    rp_server_close(server);
    if (rc == 0)
        rc = scenario_note(rp_server_wait_closed(co, server));
    rp_server_free(server);
    return rc;
}

static int hundred_messages(rp_co *co, void *arg)
{
    (void)arg;
    return serve_and_converse(co, MESSAGES);
}

int scenario_hundred_messages_echoed(void)
{
    return scenario_run(hundred_messages);
}

/* ---- a server and its clients ---- */

static int client(rp_co *co, void *arg)
{
    return converse(co, *(int *)arg, 3);
}

typedef struct lingering {
    int port;
    bool served; /* and so a fault of its connection's beginning has been told */
} lingering;

/* Stays connected until the server ends it. */
static int lingering_client(rp_co *co, void *arg)
{
    lingering *self = arg;
    rp_stream *stream;
    char byte;
    int rc;

    RP_TRY(scenario_note(rp_open_connection(co, &stream, "127.0.0.1", self->port, NULL)));
    rc = exchange(co, stream, 0);
    self->served = rc == 0;
    if (rc == 0)
        rc = scenario_note((int)rp_stream_read(co, stream, &byte, 1));
    rp_stream_free(stream);
    return rc;
}

static int clients_come_and_go(rp_co *co, rp_server *server)
{
    int port = rp_server_port(server);
    rp_group group;
    int rc = 0;

    rp_group_begin(co, &group);
    for (int i = 0; i < CLIENTS && rc == 0; i++)
        rc = scenario_note(rp_group_create_task(&group, NULL, client, &port));
    return scenario_note(rp_group_end(co, &group, rc));
}

/* Ends the server under a client, after the others have gone. */
static int stop_under_client(rp_co *co, rp_server *server)
{
    lingering last = {.port = rp_server_port(server)};
    rp_task *task;

    while (rp_server_connections(server) > 0)
        RP_TRY(scenario_note(rp_sleep(co, RP_MSEC(1))));
    RP_TRY(scenario_note(rp_create_task(&task, lingering_client, &last)));
    while (!last.served && !rp_future_done(task))
        if (scenario_note(rp_sleep(co, RP_MSEC(1))) < 0)
            break;
    rp_server_close(server);
    rp_server_close_clients(server);
    return scenario_note(rp_join(co, task));
}

static int start_to_stop(rp_co *co, void *arg)
{
    rp_server *server;
    int rc;

    (void)arg;
    RP_TRY(scenario_note(rp_start_server(co, &server, echo, NULL, "127.0.0.1", 0, NULL)));
    rc = clients_come_and_go(co, server);
    if (rc == 0)
        rc = stop_under_client(co, server);
    rp_server_close(server);
    if (rc == 0)
        rc = scenario_note(rp_server_wait_closed(co, server));
    rp_server_free(server);
    return rc;
}

int scenario_server_from_start_to_stop(void)
{
    return scenario_run(start_to_stop);
}

/* ---- groups and timeouts ---- */

static int sleeping_child(rp_co *co, void *arg)
{
    (void)arg;
    return rp_sleep(co, RP_SEC(100));
}

static int failing_child(rp_co *co, void *arg)
{
    (void)arg;
    RP_TRY(scenario_note(rp_sleep(co, 0)));
    return -EIO;
}

static int failing_group(rp_co *co, void *arg)
{
    rp_group group;
    int rc;

    (void)arg;
    rp_group_begin(co, &group);
    rc = scenario_note(rp_group_create_task(&group, NULL, sleeping_child, NULL));
    if (rc == 0)
        rc = scenario_note(rp_group_create_task(&group, NULL, failing_child, NULL));
    if (rc == 0)
        rc = scenario_note(rp_group_create_task(&group, NULL, sleeping_child, NULL));
    if (rc == 0)
        rc = rp_sleep(co, RP_SEC(100));
    rc = rp_group_end(co, &group, rc);
    return rc == -EIO ? 0 : rc;
}

int scenario_group_with_a_failing_child(void)
{
    return scenario_run(failing_group);
}

static int expiring_timeout(rp_co *co, void *arg)
{
    rp_timeout timeout;
    rp_task *task;
    int rc;

    (void)arg;
    rp_timeout_begin(co, &timeout, RP_MSEC(1));
    rc = rp_timeout_end(co, &timeout, rp_sleep(co, RP_SEC(100)));
    if (rc != -ETIMEDOUT)
        return rc;
    RP_TRY(scenario_note(rp_create_task(&task, sleeping_child, NULL)));
    rc = rp_wait_for(co, task, RP_MSEC(1));
    rp_future_unref(task);
    return rc == -ETIMEDOUT ? 0 : rc;
}

int scenario_timeout_that_expires(void)
{
    return scenario_run(expiring_timeout);
}

/* ---- echoing by callbacks, in the order and by the buffers of a second face ---- */

typedef struct speaker {
    rp_transport *transport;
    bool echoes;
    int rounds; /* messages that the other one has still to take and give back */
    size_t received;
    char buffer[1000];
    int lent; /* how often it was, and was not given back */
} speaker;

static void speak(speaker *s)
{
    char message[LARGE];

    wire_fill(message, sizeof message, 0);
    if (scenario_note(rp_transport_write(s->transport, message, sizeof message)) < 0)
        rp_transport_abort(s->transport);
}

static void speaker_made(void *self, rp_transport *transport)
{
    speaker *s = self;

    s->transport = transport;
    if (!s->echoes)
        speak(s);
}

static void speaker_lends(void *self, size_t hint, void **buffer, size_t *length)
{
    speaker *s = self;

    CHECK_INT(s->lent, ==, 0);
    s->lent++;
    *buffer = s->buffer;
    *length = sizeof s->buffer;
}

static void speaker_hears(void *self, size_t length)
{
    speaker *s = self;

    CHECK_INT(s->lent, ==, 1);
    s->lent--;
    CHECK(wire_same(s->buffer, length, s->received % LARGE) || s->received % LARGE + length > LARGE);
    s->received += length;
    if (s->echoes && scenario_note(rp_transport_write(s->transport, s->buffer, length)) < 0)
        rp_transport_abort(s->transport);
    if (s->echoes || s->received % LARGE != 0)
        return;
    if (--s->rounds > 0)
        speak(s);
    else
        rp_transport_close(s->transport);
}

static void speaker_hears_nothing(void *self)
{
    speaker *s = self;

    CHECK_INT(s->lent, ==, 1);
    s->lent--;
}

static void speaker_lost(void *self, int error)
{
    speaker *s = self;

    CHECK_INT(s->lent, ==, 0);
    scenario_note(error);
    if (!s->echoes)
        rp_loop_stop(rp_transport_get_loop(s->transport));
}

static int make_speaker(void *arg, const rp_protocol **protocol, void **self)
{
    static const rp_protocol lends = {
        .connection_made = speaker_made,
        .get_buffer = speaker_lends,
        .buffer_updated = speaker_hears,
        .buffer_unused = speaker_hears_nothing,
        .connection_lost = speaker_lost,
        .begins_soon = true,
        .receives = 1,
    };

    *protocol = &lends;
    *self = arg;
    return 0;
}

/* Until both of its ends are lost. The attempt's error, or else whether the client has heard all. */
static int speak_with(rp_loop *loop, rp_server *server, speaker *client)
{
    rp_future *attempt, *closed;
    int rc;

    RP_TRY(rp_create_connection(loop, make_speaker, client, "127.0.0.1", rp_server_port(server), NULL, &attempt));
    rc = rp_run_until_complete(loop, attempt);
    rp_future_unref(attempt);
    RP_TRY(rc);
    RP_TRY(rp_run_forever(loop));
    rp_server_close(server);
    RP_TRY(rp_server_closed_future(server, &closed));
    rc = rp_run_until_complete(loop, closed);
    rp_future_unref(closed);
    RP_TRY(rc);
    return client->rounds == 0 ? 0 : told_count > 0 ? told[0] : -ECONNABORTED;
}

int scenario_messages_by_callbacks(void)
{
    speaker client = {.rounds = 3}, echo_speaker = {.echoes = true};
    rp_future *future;
    rp_server *server;
    rp_loop *loop;
    int rc = rp_loop_new(NULL, &loop);

    if (rc < 0)
        return rc;
    rp_set_exception_handler(loop, scenario_on_exception, NULL);
    rc = rp_create_server(loop, make_speaker, &echo_speaker, "127.0.0.1", 0, NULL, &future);
    if (rc == 0) {
        rc = rp_run_until_complete(loop, future);
        server = rc == 0 ? rp_future_value(future) : NULL;
        rp_future_unref(future);
    }
    if (rc == 0) {
        rc = scenario_note(speak_with(loop, server, &client));
        rp_server_free(server);
    }
    CHECK_INT(rp_loop_close(loop), ==, 0);
    CHECK_INT(client.lent + echo_speaker.lent, ==, 0);
    rp_loop_free(loop);
    return rc;
}

/* ---- the executor ---- */

static int blocking_add(void *arg)
{
    return ++*(int *)arg;
}

static int use_executor(rp_co *co, void *arg)
{
    rp_executor *executor;
    int number = 41;
    rp_future *job;
    int rc;

    (void)arg;
    /* Of one thread: that a second one cannot be had is no error. */
    RP_TRY(scenario_note(rp_executor_new(1, &executor)));
    CHECK_INT(rp_set_default_executor(rp_co_loop(co), executor), ==, 0);
    RP_TRY(scenario_note(rp_to_thread(co, blocking_add, &number)));
    CHECK_INT(number, ==, 42);
    RP_TRY(scenario_note(rp_run_in_executor(rp_co_loop(co), NULL, blocking_add, &number, &job)));
    rc = scenario_note(rp_await(co, job));
    rp_future_unref(job);
    if (rc == 43)
        rc = 0;
    RP_TRY(rc);
    return scenario_note(rp_shutdown_default_executor_wait(co, RP_NEVER));
}

int scenario_executor_job(void)
{
    return scenario_run(use_executor);
}

/* ---- signals ---- */

static void set_event(void *event)
{
    rp_event_set(event);
}

static int await_signal(rp_co *co, void *arg)
{
    rp_loop *loop = rp_co_loop(co);
    rp_event event;
    int rc;

    (void)arg;
    rp_event_init(&event);
    RP_TRY(scenario_note(rp_add_signal_handler(loop, SIGINT, set_event, &event)));
    raise(SIGINT);
    rc = scenario_note(rp_event_wait(co, &event));
    CHECK_INT(rp_remove_signal_handler(loop, SIGINT), ==, 1);
    return rc;
}

int scenario_signal_handler(void)
{
    return scenario_run(await_signal);
}

/* ---- all of it, in a runner ---- */

static int everything(rp_co *co, void *arg)
{
    rp_timeout timeout;

    rp_timeout_begin(co, &timeout, RP_SEC(100));
    RP_TRY(rp_timeout_end(co, &timeout, serve_and_converse(co, 2)));
    RP_TRY(failing_group(co, arg));
    return scenario_note(rp_to_thread(co, blocking_add, &(int){-1}));
}

/* A policy for the sake of its loops' exception handler: rp_run's loop has errors to tell before the task begins. */
static int new_loop(rp_event_loop_policy *policy, rp_loop **loop)
{
    int rc = rp_loop_new(NULL, loop);

    (void)policy;
    if (rc == 0)
        rp_set_exception_handler(*loop, scenario_on_exception, NULL);
    return rc;
}

static int set_loop(rp_event_loop_policy *policy, rp_loop *loop)
{
    (void)policy;
    (void)loop;
    return 0;
}

int scenario_run_whole(void)
{
    static rp_event_loop_policy policy = {.new_event_loop = new_loop, .set_event_loop = set_loop};
    int rc;

    rp_set_event_loop_policy(&policy);
    rc = rp_run(everything, NULL);
    rp_set_event_loop_policy(NULL);
    return rc;
}

/* ---- generators ---- */

static int ticks(rp_co *co, void *arg)
{
    int rc = 0;

    (void)arg;
    for (int i = 0; i < 3 && rc == 0; i++) {
        rc = scenario_note(rp_sleep(co, 0));
        if (rc == 0)
            rc = rp_yield(co, &i);
    }
    if (rc < 0)
        (void)rp_sleep(co, 0); /* clean-up */
    return rc;
}

static int ask_generator(rp_co *co, int values, bool close)
{
    rp_agen *agen;
    void *value;
    int rc = 1;

    RP_TRY(scenario_note(rp_agen_new(&agen, ticks, NULL)));
    for (int i = 0; i < values && rc > 0; i++)
        rc = scenario_note(rp_agen_next(co, agen, &value));
    if (close)
        CHECK_INT(rp_agen_close(co, agen), ==, 0);
    rp_agen_free(agen); /* one that is not closed is closed soon, or when all are */
    return rc < 0 ? rc : 0;
}

static int ask_generators(rp_co *co, void *arg)
{
    int rc = ask_generator(co, 4, true);

    (void)arg;
    if (rc == 0)
        rc = ask_generator(co, 2, true);
    if (rc == 0)
        rc = ask_generator(co, 1, false);
    (void)rp_shutdown_asyncgens_wait(co);
    return rc;
}

int scenario_generators(void)
{
    return scenario_run(ask_generators);
}

/* ---- names, and happy eyeballs ---- */

static int connect_by_name(rp_co *co, int port)
{
    rp_connect_error list[4];
    rp_connect_errors errors = {list, 4, 0};
    rp_connect_options options = {.happy_eyeballs_delay = RP_SEC(100), .errors = &errors};
    rp_stream *stream;
    int rc = scenario_note(rp_open_connection(co, &stream, "localhost", port, &options));

    for (size_t i = 0; i < errors.count && i < 4; i++)
        scenario_note(list[i].error);
    if (rc < 0)
        return rc;
    rc = exchange(co, stream, 0);
    rp_stream_free(stream);
    return rc;
}

static int serve_a_name(rp_co *co, void *arg)
{
    rp_server *server;
    char host[64];
    struct sockaddr_in address;
    uint32_t length = sizeof address;
    int rc;

    (void)arg;
    RP_TRY(scenario_note(rp_start_server(co, &server, echo, NULL, "127.0.0.1", 0, NULL)));
    rc = connect_by_name(co, rp_server_port(server));
    if (rc == 0)
        rc = scenario_note(rp_server_sockname(server, 0, (struct sockaddr *)&address, &length));
    if (rc == 0)
        rc = scenario_note(rp_getnameinfo(co, (struct sockaddr *)&address, length, host, sizeof host, NULL, 0,
                                          NI_NUMERICHOST | NI_NUMERICSERV));
    rp_server_free(server);
    return rc;
}

int scenario_name_that_is_raced_for(void)
{
    return scenario_run(serve_a_name);
}
