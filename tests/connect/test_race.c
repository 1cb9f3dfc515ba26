/*
 * test_race.c - happy eyeballs: which addresses are tried, in which order, beside each other; who wins; what is left.
 *
 * The resolver is the test's own, and so is what becomes of an attempt to connect: it ends when the test says so.
 */
#include <limits.h>

#include "harness/wire.h"
#include "harness/wrap.h"
#include "proactor/op.h"

enum { MOST = 8 };

#define NEVER_WAITED RP_SEC(1000000) /* a delay that is never waited for */

/* ---- the resolver ---- */

typedef int resolver(const char *host, const char *service, const struct addrinfo *hints,
                     struct addrinfo **result);

#ifdef _WIN32
/* Functions of other libraries are called through such pointers there. */
static resolver own_getaddrinfo;
resolver *__imp_getaddrinfo = own_getaddrinfo;
#define getaddrinfo own_getaddrinfo
#endif

/* A host "race-464" has an address of IPv4 with port 1, one of IPv6 with port 2, and one of IPv4 with port 3. */
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    resolver *real = (resolver *)test_next_function("getaddrinfo");
    struct addrinfo numeric = *hints;
    char port[] = "1";

    if (!host || strncmp(host, "race-", 5) != 0)
        return real(host, service, hints, result);
    if (hints->ai_flags & AI_NUMERICHOST)
        return EAI_NONAME;
    numeric.ai_flags = AI_NUMERICHOST;
    for (const char *family = host + 5; *family; family++, port[0]++, result = &(*result)->ai_next)
        CHECK_INT(real(*family == '4' ? "127.0.0.1" : "::1", port, &numeric, result), ==, 0);
    return 0;
}

/* ---- the attempts, by the ports that they are for ---- */

static struct {
    rp_op *op[MOST + 1]; /* that is under way */
    char begun[MOST + 1];
    int count;
    int refused_at_once; /* the port of an attempt that cannot even be begun */
    int cancelled;
} net;

static int port_of(const rp_op *op)
{
    return ntohs(((const struct sockaddr_in *)(const void *)op->u.connect.address)->sin_port);
}

static void end_op(void *arg)
{
    rp_op *op = arg;

    op->callback(op);
}

static rp_handle ends[MOST + 1];

/* Its completion comes in the next turn, with others that end before. */
static void end_attempt(rp_loop *loop, int port, int result)
{
    rp_op *op = net.op[port];

    CHECK(op != NULL);
    net.op[port] = NULL;
    op->result = result;
    CHECK_INT(rp_call_soon(loop, &ends[port], end_op, op), ==, 0);
}

WRAP(int, rp_submit, rp_loop *loop, rp_op *op)
{
    if (op->kind != RP_OP_CONNECT)
        return __real_rp_submit(loop, op);
    net.begun[net.count++] = (char)('0' + port_of(op));
    if (port_of(op) == net.refused_at_once)
        return -ENETUNREACH;
    net.op[port_of(op)] = op;
    return 0;
}

WRAP(void, rp_cancel, rp_loop *loop, rp_op *op)
{
    int port = op->kind == RP_OP_CONNECT ? port_of(op) : 0;

    if (op->kind != RP_OP_CONNECT) {
        __real_rp_cancel(loop, op);
        return;
    }
    net.cancelled++;
    if (net.op[port] == op)
        end_attempt(loop, port, -ECANCELED);
}

/* ---- clients ---- */

typedef struct client {
    rp_transport *transport;
    int lost;
} client;

static void made(void *self, rp_transport *transport)
{
    ((client *)self)->transport = transport;
}

static void lost(void *self, int error)
{
    client *c = self;

    (void)error;
    c->lost++;
}

static int factory(void *arg, const rp_protocol **protocol, void **self)
{
    static const rp_protocol connection = {.connection_made = made, .connection_lost = lost};

    *protocol = &connection;
    *self = arg;
    return 0;
}

static rp_connect_error kept[MOST];
static rp_connect_errors errors = {kept, MOST, 77};

static rp_future *begin(rp_loop *loop, client *c, const char *host, int64_t delay, int interleave)
{
    rp_connect_options options = {
        .happy_eyeballs_delay = delay, .interleave = interleave, .errors = &errors, .family = AF_UNSPEC};
    rp_future *future = NULL;

    CHECK_INT(rp_create_connection(loop, factory, c, host, 1, &options, &future), ==, 0);
    CHECK_INT(errors.count, ==, 0);
    RUN_UNTIL(loop, net.count > 0 || rp_future_done(future));
    return future;
}

static void end(rp_loop *loop, client *c, rp_future *future)
{
    rp_future_unref(future);
    if (c->transport) {
        rp_transport_close(c->transport);
        RUN_UNTIL(loop, c->lost);
    }
    for (int port = 0; port <= MOST; port++)
        CHECK(!net.op[port]);
    rp_loop_free(loop);
}

static int port_that_failed(int i)
{
    struct sockaddr_in address; /* whose port is where IPv6's is */

    memcpy(&address, kept[i].address, sizeof address);
    return ntohs(address.sin_port);
}

/* The ports in the order in which they are tried when each is refused. */
static const char *order(const char *host, int64_t delay, int interleave)
{
    rp_loop *loop = wire_loop();
    client c = {0};
    rp_future *future;

    memset(&net, 0, sizeof net);
    future = begin(loop, &c, host, delay, interleave);
    while (!rp_future_done(future)) {
        int port = net.begun[net.count - 1] - '0';

        CHECK_INT(errors.count, ==, net.count - 1); /* none is beside another */
        end_attempt(loop, port, -1000 - port);
        wire_settle(loop);
    }
    CHECK_INT(rp_future_result(future), ==, -1000 - (net.begun[net.count - 1] - '0'));
    CHECK_INT(errors.count, ==, strlen(host + 5));
    for (int i = 0; i < net.count; i++) {
        CHECK_INT(kept[i].error, ==, -1000 - (net.begun[i] - '0'));
        CHECK_INT(port_that_failed(i), ==, net.begun[i] - '0');
    }
    end(loop, &c, future);
    return net.begun;
}

TEST(families_take_turns)
{
    CHECK_STR(order("race-66644", 0, 0), "12345");
    CHECK_STR(order("race-66644", 0, 1), "14253");
    CHECK_STR(order("race-66644", NEVER_WAITED, 0), "14253");
    CHECK_STR(order("race-66644", NEVER_WAITED, -1), "12345");
    CHECK_STR(order("race-66644", NEVER_WAITED, 2), "12435");
    CHECK_STR(order("race-66644", NEVER_WAITED, 3), "12345");
    CHECK_STR(order("race-66644", NEVER_WAITED, INT_MAX), "12345");
    CHECK_STR(order("race-44666", NEVER_WAITED, 1), "13245");
    CHECK_STR(order("race-46464", NEVER_WAITED, 1), "12345");
    CHECK_STR(order("race-466", NEVER_WAITED, 4), "123");
    CHECK_STR(order("race-66", NEVER_WAITED, 0), "12");
    CHECK_STR(order("race-6", NEVER_WAITED, 0), "1");
}

TEST(what_cannot_be_begun_starts_the_next_one_at_once)
{
    rp_loop *loop = wire_loop();
    client c = {0};
    rp_future *future;

    net.refused_at_once = 1;
    future = begin(loop, &c, "race-464", NEVER_WAITED, 0);
    CHECK_STR(net.begun, "12");
    CHECK_INT(errors.count, ==, 1);
    CHECK_INT(kept[0].error, ==, -ENETUNREACH);
    end_attempt(loop, 2, -ECONNREFUSED);
    wire_settle(loop);
    CHECK_STR(net.begun, "123");
    end_attempt(loop, 3, -ETIMEDOUT);
    CHECK_INT(rp_run_until_complete(loop, future), ==, -ETIMEDOUT);
    CHECK_INT(errors.count, ==, 3);
    end(loop, &c, future);
}

TEST(the_next_one_starts_after_the_delay)
{
    rp_loop *loop = wire_loop();
    client c = {0};
    rp_future *future = begin(loop, &c, "race-464", 1, 0);

    RUN_UNTIL(loop, net.count == 3);
    CHECK(net.op[1] && net.op[2] && net.op[3]);
    end_attempt(loop, 2, 0);
    CHECK_INT(rp_run_until_complete(loop, future), ==, 0);
    CHECK(rp_future_value(future) == c.transport);
    CHECK_INT(net.cancelled, ==, 2);
    CHECK_INT(errors.count, ==, 0);
    end(loop, &c, future);
}

TEST(without_a_delay_one_that_hangs_is_waited_for)
{
    rp_loop *loop = wire_loop();
    client c = {0};
    rp_future *future = begin(loop, &c, "race-46", 0, 1);

    wire_settle(loop);
    CHECK_STR(net.begun, "1");
    end_attempt(loop, 1, -ETIMEDOUT);
    wire_settle(loop);
    CHECK_STR(net.begun, "12");
    end_attempt(loop, 2, 0);
    CHECK_INT(rp_run_until_complete(loop, future), ==, 0);
    CHECK_INT(errors.count, ==, 1);
    end(loop, &c, future);
}

/* As with asyncio's staggered_race(), it is the last one that counts. */
TEST(an_early_one_that_fails_does_not_hurry_the_others)
{
    rp_loop *loop = wire_loop();
    client c = {0};
    rp_future *future = begin(loop, &c, "race-4444", RP_MSEC(1), 0);

    RUN_UNTIL(loop, net.count >= 2);
    if (net.count == 2) { /* else the machine was slow, and there is nothing to see */
        end_attempt(loop, 1, -ECONNREFUSED);
        rp_loop_stop(loop);
        CHECK_INT(rp_run_forever(loop), ==, 0);
    }
    RUN_UNTIL(loop, net.count == 4);
    for (int port = 4; port > 1; port--)
        end_attempt(loop, port, -1000 - port);
    if (net.op[1])
        end_attempt(loop, 1, -ECONNREFUSED);
    CHECK_INT(rp_run_until_complete(loop, future), ==,
              -1004); /* of the last one, whichever was the last to fail */
    CHECK_INT(errors.count, ==, 4);
    end(loop, &c, future);
}

TEST(two_that_connect_in_the_same_turn)
{
    rp_loop *loop = wire_loop();
    client c = {0};
    rp_future *future = begin(loop, &c, "race-46", 1, 0);

    RUN_UNTIL(loop, net.count == 2);
    end_attempt(loop, 2, 0);
    end_attempt(loop, 1, 0);
    CHECK_INT(rp_run_until_complete(loop, future), ==, 0);
    CHECK_INT(net.cancelled, ==, 1);
    end(loop, &c, future); /* which finds no descriptor of the other one */
}

TEST(the_factory_is_called_when_the_losers_have_ended)
{
    rp_loop *loop = wire_loop();
    client c = {0};
    rp_future *future = begin(loop, &c, "race-46", 1, 0);
    rp_op *slow;

    RUN_UNTIL(loop, net.count == 2);
    slow = net.op[1];
    net.op[1] = NULL; /* its cancellation takes a while */
    end_attempt(loop, 2, 0);
    wire_settle(loop);
    CHECK(!rp_future_done(future));
    CHECK(!c.transport);
    net.op[1] = slow;
    end_attempt(loop, 1, -ECANCELED);
    CHECK_INT(rp_run_until_complete(loop, future), ==, 0);
    CHECK(c.transport != NULL);
    end(loop, &c, future);
}

TEST(a_race_can_be_cancelled_at_every_stage)
{
    for (int begun = 1; begun <= 3; begun++) {
        rp_loop *loop = wire_loop();
        client c = {0};
        rp_future *future;

        memset(&net, 0, sizeof net);
        future = begin(loop, &c, "race-464", 1, 0);
        RUN_UNTIL(loop, net.count >= begun);
        CHECK(rp_future_cancel(future));
        CHECK_INT(rp_run_until_complete(loop, future), ==, RP_EFUTCANCELED);
        CHECK_INT(net.cancelled, ==, net.count);
        CHECK(!c.transport);
        end(loop, &c, future);
    }
}

TEST(one_that_has_just_connected_wins_over_a_cancellation)
{
    rp_loop *loop = wire_loop();
    client c = {0};
    rp_future *future = begin(loop, &c, "race-46", 1, 0);

    RUN_UNTIL(loop, net.count == 2);
    end_attempt(loop, 1, 0);
    CHECK(rp_future_cancel(future));
    CHECK_INT(rp_run_until_complete(loop, future), ==, 0);
    CHECK(rp_future_value(future) == c.transport);
    end(loop, &c, future);
}

TEST(a_loop_that_is_closed_amid_a_race)
{
    rp_loop *loop = wire_loop();
    client c = {0};
    rp_future *future = begin(loop, &c, "race-464", 1, 0);

    RUN_UNTIL(loop, net.count == 3);
    rp_loop_close(loop);
    CHECK(!rp_future_done(future));
    memset(net.op, 0, sizeof net.op);
    end(loop, &c, future);
}

TEST(a_loop_that_is_closed_when_one_has_won)
{
    rp_loop *loop = wire_loop();
    client c = {0};
    rp_future *future = begin(loop, &c, "race-46", 1, 0);

    RUN_UNTIL(loop, net.count == 2);
    net.op[1] = NULL; /* its end never comes */
    end_attempt(loop, 2, 0);
    wire_settle(loop);
    rp_loop_close(loop);
    end(loop, &c, future);
}

TEST(errors_beyond_the_callers_room_are_counted)
{
    rp_loop *loop = wire_loop();
    client c = {0};
    rp_future *future;

    errors.capacity = 1;
    future = begin(loop, &c, "race-464", NEVER_WAITED, 0);
    for (int i = 0; i < 3; i++) {
        end_attempt(loop, net.begun[i] - '0', -ECONNREFUSED);
        wire_settle(loop);
    }
    CHECK_INT(rp_run_until_complete(loop, future), ==, -ECONNREFUSED);
    CHECK_INT(errors.count, ==, 3);
    CHECK_INT(kept[0].error, ==, -ECONNREFUSED);
    CHECK_INT(kept[1].error, ==, 0);
    end(loop, &c, future);
}

/* Memory that is lacking for one attempt is that attempt's error. */
TEST(no_memory_for_a_race)
{
    rp_connect_options options = {.happy_eyeballs_delay = 1, .errors = &errors};
    int attempts_failed = 0;
    bool failed = true;

    for (uint64_t n = 1; failed; n++) {
        rp_loop *loop = wire_loop();
        client c = {0};
        rp_future *future = NULL;
        int rc;

        memset(&net, 0, sizeof net);
        test_fail_allocation(n);
        rc = rp_create_connection(loop, factory, &c, "race-446", 1, &options, &future);
        if (rc == 0) {
            RUN_UNTIL(loop, rp_future_done(future) || net.count + (int)errors.count == 3);
            for (size_t i = 0; i < errors.count; i++)
                CHECK_INT(kept[i].error, ==, -ENOMEM);
            attempts_failed += (int)errors.count;
        } else {
            CHECK_INT(rc, ==, -ENOMEM);
        }
        failed = test_allocation_failed();
        test_fail_allocation(0);
        if (rc == 0 && rp_future_cancel(future))
            CHECK_INT(rp_run_until_complete(loop, future), ==, RP_EFUTCANCELED);
        else if (rc == 0)
            CHECK_INT(rp_future_result(future), ==, -ENOMEM);
        end(loop, &c, future);
    }
    CHECK_INT(attempts_failed, ==, 2);
}

TEST(options_out_of_bounds)
{
    rp_loop *loop = wire_loop();
    client c = {0};
    rp_future *future = NULL;
    rp_connect_options early = {.happy_eyeballs_delay = -1}, odd = {.interleave = -2};

    CHECK_INT(rp_create_connection(loop, factory, &c, "race-4", 1, &early, &future), ==, -EINVAL);
    CHECK_INT(rp_create_connection(loop, factory, &c, "race-4", 1, &odd, &future), ==, -EINVAL);
    end(loop, &c, future);
}
