/*
 * test_intake.c - a server whose connections come from somebody else: an intake of the test's own hands them out.
 */
#include "harness/reports.h"
#include "harness/service.h"

#include "base/memory.h"
#include "connect/server.h"

enum { SOCKETS = 2 };

/* Sockets that somebody has accepted, and what the server has asked for. */
typedef struct desk {
    rp_intake intake;
    int fds[SOCKETS];
    int count;
    int served, left;
} desk;

static int serve(rp_intake *intake)
{
    rp_container_of(intake, desk, intake)->served++;
    return 0;
}

static bool take(rp_intake *intake, rp_fd *fd)
{
    desk *d = rp_container_of(intake, desk, intake);

    if (d->count == 0)
        return false;
    *fd = d->fds[--d->count];
    return true;
}

static void leave(rp_intake *intake)
{
    rp_container_of(intake, desk, intake)->left++;
}

static const rp_intake_type type = {.serve = serve, .take = take, .leave = leave};

/* What a test's server makes its protocols with. */
typedef struct shop {
    service service;
    rp_server *server;
    rp_future *end;  /* the server's, for whoever waits */
    bool free_first; /* the factory gives the server up */
    int released;
} shop;

static int factory(void *arg, const rp_protocol **protocol, void **self)
{
    shop *s = arg;

    CHECK_INT(s->released, ==, 0);
    if (s->free_first && s->service.made == 0)
        rp_server_free(s->server);
    CHECK_INT(s->released, ==, 0); /* it is needed yet */
    return service_factory(&s->service, protocol, self);
}

static void release(void *arg)
{
    shop *s = arg;

    s->released++;
}

/* A server that serves what comes from a desk, which it owns. */
static desk *open_shop(rp_loop *loop, shop *s)
{
    desk *d = rp_calloc(sizeof *d);

    d->intake.type = &type;
    s->server = rp_server_new(loop, &(rp_server_protocol){.factory = factory, .arg = s, .release = release}, 0);
    rp_server_set_intake(s->server, &d->intake);
    CHECK_INT(rp_server_start_serving(s->server), ==, 0);
    CHECK_INT(rp_server_start_serving(s->server), ==, 0);
    CHECK_INT(d->served, ==, 1);
    CHECK_INT(rp_server_closed_future(s->server, &s->end), ==, 0);
    return d;
}

/* Hands a connection to the server; returns the peer's end. */
static int hand_over(desk *d)
{
    int here, there;

    wire_pair(&here, &there);
    d->fds[d->count++] = here;
    atomic_fetch_add(&d->intake.load, 1);
    (void)rp_call_soon_threadsafe(d->intake.loop, &d->intake.wake, d->intake.woken, d->intake.server);
    return there;
}

static void expect_echo(rp_loop *loop, int fd)
{
    char byte = 0;

    CHECK_INT(send(fd, "x", 1, 0), ==, 1);
    CHECK_INT(wire_await(loop, fd, &byte, 1), ==, 1);
    CHECK_INT(byte, ==, 'x');
}

TEST(a_server_takes_what_its_intake_has)
{
    rp_loop *loop = wire_loop();
    shop s = {.released = 0};
    desk *d = open_shop(loop, &s);
    int first = hand_over(d), second = hand_over(d);

    expect_echo(loop, first);
    expect_echo(loop, second);
    CHECK_INT(atomic_load(&d->intake.load), ==, 2);
    close(first);
    RUN_UNTIL(loop, s.service.lost == 1);
    CHECK_INT(atomic_load(&d->intake.load), ==, 1);
    rp_server_close(s.server);
    CHECK_INT(d->left, ==, 1);
    expect_echo(loop, second);
    close(second);
    CHECK_INT(rp_run_until_complete(loop, s.end), ==, 0);
    rp_future_unref(s.end);
    CHECK_INT(s.released, ==, 0);
    rp_server_free(s.server);
    CHECK_INT(s.released, ==, 1);
    rp_loop_free(loop);
}

TEST(a_factory_may_free_the_server_that_takes_from_an_intake)
{
    rp_loop *loop = wire_loop();
    shop s = {.free_first = true};
    desk *d = open_shop(loop, &s);
    int fd = hand_over(d);

    expect_echo(loop, fd);
    CHECK(!rp_future_done(s.end));
    CHECK_INT(s.released, ==, 0);
    close(fd);
    CHECK_INT(rp_run_until_complete(loop, s.end), ==, 0);
    rp_future_unref(s.end);
    CHECK_INT(s.service.lost, ==, 1);
    CHECK_INT(s.released, ==, 1);
    rp_loop_free(loop);
}

TEST(a_factory_may_free_such_a_server_and_refuse)
{
    rp_loop *loop = wire_loop();
    shop s = {.free_first = true, .service.refuse = -EIO};
    desk *d = open_shop(loop, &s);
    int fd = hand_over(d);
    char byte;

    rp_set_exception_handler(loop, be_quiet, NULL);
    CHECK_INT(rp_run_until_complete(loop, s.end), ==, 0);
    rp_future_unref(s.end);
    CHECK_INT(s.service.refused, ==, 1);
    CHECK_INT(s.released, ==, 1);
    CHECK_INT(wire_await(loop, fd, &byte, 1), ==, 0);
    close(fd);
    rp_loop_free(loop);
}
