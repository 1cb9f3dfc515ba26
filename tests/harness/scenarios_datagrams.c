/*
 * scenarios_datagrams.c - programs of datagrams that faults strike: see scenarios.h.
 */
#include "harness/scenarios.h"

#include <string.h>

#include "ringport.h"
#include "harness/wire.h"

enum { ROUNDS = 3, BURST = 10 };

/* One end: of the two, one asks in bursts, and the other answers. */
typedef struct caller {
    rp_datagram_transport *transport;
    bool asks;
    int rounds, received;
    int error; /* the first that it was told */
    bool lost;
} caller;

static void give_up(caller *c, int error)
{
    scenario_note(error);
    if (c->error == 0)
        c->error = error;
    rp_loop_stop(rp_datagram_get_loop(c->transport));
}

static void ask(caller *c)
{
    for (char i = 0; i < BURST; i++) {
        int rc = rp_datagram_sendto(c->transport, &i, 1, NULL, 0);

        if (rc < 0)
            give_up(c, rc);
    }
}

static void caller_made(void *self, rp_datagram_transport *transport)
{
    caller *c = self;

    c->transport = transport;
    if (c->asks)
        ask(c);
}

static void caller_hears(void *self, const void *data, size_t length, const struct sockaddr *address,
                         uint32_t address_length, unsigned flags)
{
    caller *c = self;

    CHECK_INT(length, ==, 1);
    CHECK(c->error != 0 || *(const char *)data == c->received % BURST);
    c->received++;
    if (!c->asks) {
        int rc = rp_datagram_sendto(c->transport, data, length, address, address_length);

        if (rc < 0)
            give_up(c, rc);
    } else if (c->received % BURST == 0) {
        if (--c->rounds > 0)
            ask(c);
        else
            rp_loop_stop(rp_datagram_get_loop(c->transport));
    }
}

static void caller_fails(void *self, int error)
{
    give_up(self, error);
}

static void caller_lost(void *self, int error)
{
    caller *c = self;

    c->lost = true;
    if (error < 0)
        give_up(c, error);
}

static int make_caller(void *arg, const rp_datagram_protocol **protocol, void **self)
{
    static const rp_datagram_protocol table = {
        .connection_made = caller_made,
        .datagram_received = caller_hears,
        .error_received = caller_fails,
        .connection_lost = caller_lost,
        .begins_soon = true,
    };

    *protocol = &table;
    *self = arg;
    return 0;
}

static int open_caller(rp_loop *loop, caller *c, const rp_datagram_options *options)
{
    rp_future *future;
    int rc;

    RP_TRY(rp_create_datagram_endpoint(loop, make_caller, c, options, &future));
    rc = rp_run_until_complete(loop, future);
    rp_future_unref(future);
    return rc;
}

static int call(rp_loop *loop, caller *client, caller *server)
{
    struct sockaddr_in address;
    uint32_t length = sizeof address;

    RP_TRY(open_caller(loop, server, &(rp_datagram_options){.local_host = "127.0.0.1"}));
    if (!server->lost)
        RP_TRY(rp_datagram_sockname(server->transport, (struct sockaddr *)&address, &length));
    if (!server->lost && server->error == 0)
        RP_TRY(open_caller(
            loop, client,
            &(rp_datagram_options){.remote_address = (struct sockaddr *)&address, .remote_length = length}));
    if (client->rounds > 0 && client->error == 0 && server->error == 0)
        RP_TRY(rp_run_forever(loop));
    RP_TRY(client->error);
    return server->error;
}

int scenario_datagrams_by_callbacks(void)
{
    caller client = {.asks = true, .rounds = ROUNDS}, server = {0};
    rp_loop *loop;
    int rc = rp_loop_new(NULL, &loop);

    if (rc < 0)
        return rc;
    rp_set_exception_handler(loop, scenario_on_exception, NULL);
    rc = scenario_note(call(loop, &client, &server));
    if (rc == 0)
        CHECK_INT(client.received, ==, ROUNDS * BURST);
    if (client.transport && !client.lost)
        rp_datagram_close(client.transport);
    CHECK_INT(rp_loop_close(loop), ==, 0);
    rp_loop_free(loop);
    return rc;
}
