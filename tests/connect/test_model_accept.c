/*
 * test_model_accept.c - what a server does when accepting fails: at once it goes on, or it waits a second and says why.
 *
 * Time is the test's own: it passes by what is read of it and waited for. So is what the kernel says to an accept, as
 * long as the script of a test has errors left.
 */
#include "loop/loop.h"
#include "proactor/op.h"
#include "harness/wire.h"
#include "harness/wrap.h"

enum { SCRIPT = 8, SECOND = 1000000000, MOMENT = 1000000 };

static int64_t now;
static int script[SCRIPT]; /* errors, in order; 0: the true answer */
static bool refuse;        /* they are those of submitting */
static int asked;          /* how often the server has asked for connections */
static int64_t asked_at[SCRIPT];
static rp_op *unanswered;
static int answer;

WRAP(int64_t, rp_clock_now, void)
{
    return now > 0 ? now += 40 : __real_rp_clock_now();
}

WRAP(int, rp_submit, rp_loop *loop, rp_op *op)
{
    int error;

    if (op->kind != RP_OP_ACCEPT_MULTI)
        return __real_rp_submit(loop, op);
    CHECK_INT(asked, <, SCRIPT);
    asked_at[asked] = now;
    error = script[asked++];
    if (error == 0)
        return __real_rp_submit(loop, op);
    if (refuse)
        return error;
    unanswered = op;
    answer = error;
    return 0;
}

WRAP(int, rp_proactor_wait, rp_proactor *proactor, rp_completion *completions, int capacity, int64_t deadline)
{
    bool limited = deadline != RP_NEVER;
    int n;

    if (unanswered != NULL) {
        completions[0] = (rp_completion){.op = unanswered, .result = answer};
        unanswered->state = RP_OP_TAKEN;
        unanswered = NULL;
        return 1;
    }
    n = __real_rp_proactor_wait(proactor, completions, capacity, limited ? 0 : RP_NEVER);
    if (limited && n == 0 && deadline > now)
        now = deadline;
    return n;
}

/* ---- a server, and what it says ---- */

static const char *message;
static int reports, reported;
static rp_server *to_free;

static void keep(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    (void)loop;
    (void)arg;
    reports++;
    message = context->message;
    reported = context->error;
    rp_server_free(to_free);
    to_free = NULL;
}

static int made;

static void count(void *self, rp_transport *transport)
{
    (void)self;
    made++;
    rp_transport_abort(transport);
}

static int factory(void *arg, const rp_protocol **protocol, void **self)
{
    static const rp_protocol counting = {.connection_made = count};

    *protocol = &counting;
    *self = arg;
    return 0;
}

static rp_loop *begin(rp_server **server, int *port, const int *errors, int error_count)
{
    rp_loop *loop = wire_loop();

    now = __real_rp_clock_now();
    asked = reports = made = 0;
    memset(script, 0, sizeof script);
    memcpy(script, errors, (size_t)error_count * sizeof errors[0]);
    rp_set_exception_handler(loop, keep, NULL);
    CHECK_INT(rp_create_server_fd(loop, factory, NULL, wire_listen(port), NULL, server), ==, 0);
    return loop;
}

static void run_until_asked(rp_loop *loop, int times)
{
    while (asked < times)
        wire_run(loop, RP_MSEC(100));
}

static void check_serves(rp_loop *loop, int port)
{
    int fd = wire_connect(port);

    RUN_UNTIL(loop, made == 1);
    close(fd);
}

static void end(rp_loop *loop, rp_server *server)
{
    rp_server_free(server);
    wire_run(loop, 1);
    rp_loop_free(loop);
    now = 0;
}

/* ---- errors ---- */

TEST(what_a_peer_or_the_network_does_to_an_accept_is_passed_over_at_once)
{
    static const int errors[] = {-ECONNABORTED, -ECONNRESET,  -EINTR,        -EAGAIN,     -EPROTO,
                                 -ENETDOWN,     -ENOPROTOOPT, -EHOSTUNREACH, -ENETUNREACH};

    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        int port, twice[] = {errors[i], errors[i]};
        rp_server *server;
        rp_loop *loop = begin(&server, &port, twice, 2);

        run_until_asked(loop, 3);
        CHECK_INT(asked_at[2] - asked_at[0], <, MOMENT);
        CHECK_INT(reports, ==, 0);
        check_serves(loop, port);
        end(loop, server);
    }
}

static void check_pauses(int error, const char *text)
{
    int port, twice[] = {error, error};
    rp_server *server;
    rp_loop *loop = begin(&server, &port, twice, 2);

    for (int i = 1; i <= 2; i++) {
        while (reports < i)
            wire_run(loop, 1);
        CHECK_INT(asked, ==, i);
        CHECK_STR(message, text);
        CHECK_INT(reported, ==, error);
        run_until_asked(loop, i + 1);
        CHECK_INT(asked_at[i] - asked_at[i - 1], >=, SECOND);
        CHECK_INT(asked_at[i] - asked_at[i - 1], <, SECOND + MOMENT);
    }
    check_serves(loop, port);
    CHECK_INT(reports, ==, 2);
    end(loop, server);
}

TEST(without_descriptors_or_memory_accepting_pauses_a_second)
{
    static const int errors[] = {-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM};

    for (int i = 0; i < 8; i++) {
        refuse = i % 2;
        check_pauses(errors[i / 2], "socket.accept() out of system resource");
    }
}

TEST(other_errors_pause_it_too)
{
    for (int i = 0; i < 2; i++) {
        refuse = i;
        check_pauses(-EINVAL, "accept failed on a socket");
        check_pauses(-EPERM, "accept failed on a socket");
    }
}

TEST(a_server_that_is_closed_while_it_pauses_does_not_go_on)
{
    for (int told = 0; told < 2; told++) {
        int port, error = -EMFILE;
        rp_server *server;
        rp_loop *loop = begin(&server, &port, &error, 1);

        to_free = told ? server : NULL; /* inside of the report */
        while (reports == 0)
            wire_run(loop, 1);
        CHECK(to_free == NULL);
        if (!told)
            rp_server_free(server);
        wire_run(loop, RP_SEC(5));
        CHECK_INT(asked, ==, 1);
        CHECK_INT(reports, ==, 1);
        end(loop, NULL);
    }
}
