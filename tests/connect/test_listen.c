/*
 * test_listen.c - a listener by itself: what it accepts goes to its owner, and its memory with `closed`.
 */
#include "harness/wire.h"
#include "base/memory.h"
#include "connect/listen.h"

#ifndef _WIN32
#include <sys/un.h>
#endif

typedef struct owner {
    rp_listener *listener; /* NULL: it was closed */
    int accepted, closed;
    bool close;    /* as soon as something was accepted */
    uint64_t turn; /* that has accepted last, and how many have */
    int turns;
} owner;

static void on_accepted(rp_listener *listener, rp_fd fd)
{
    owner *o = listener->owner;

    CHECK(o->listener == listener);
    o->accepted++;
    o->turns += listener->loop->stats.turns != o->turn;
    o->turn = listener->loop->stats.turns;
    rp_kernel_close(&rp_system_kernel, fd);
    if (o->close) {
        o->close = false;
        rp_listener_close(listener);
    }
}

/* The listener's memory goes: whatever still used it would be found by the harness. */
static void on_closed(rp_listener *listener)
{
    owner *o = listener->owner;

    CHECK_INT(listener->fd, ==, -1);
    o->closed++;
    o->listener = NULL;
    memset(listener, 0x55, sizeof *listener);
    rp_free(listener);
}

static const rp_listener_type type = {.accepted = on_accepted, .closed = on_closed};

static const rp_listener_type lending = {.accepted = on_accepted, .closed = on_closed, .lends = true};

static rp_listener *listen_for(owner *o, rp_loop *loop, int *port)
{
    o->listener = rp_malloc(sizeof *o->listener);
    rp_listener_init(o->listener, loop, wire_listen(port), &type, o);
    return o->listener;
}

TEST(a_listener_accepts_until_it_is_closed)
{
    rp_loop *loop = wire_loop();
    owner o = {0};
    int port, fds[3];

    rp_listener_start(listen_for(&o, loop, &port));
    for (int i = 0; i < 3; i++) {
        fds[i] = wire_connect(port);
        RUN_UNTIL(loop, o.accepted == i + 1);
    }
    rp_listener_close(o.listener);
    CHECK_INT(o.closed, ==, 0); /* the kernel has its operation still */
    RUN_UNTIL(loop, o.closed == 1);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    rp_loop_free(loop);
}

TEST(a_listener_that_does_not_accept_is_closed_at_once)
{
    rp_loop *loop = wire_loop();
    owner o = {0};
    int port;

    rp_listener_close(listen_for(&o, loop, &port));
    CHECK_INT(o.closed, ==, 1);
    rp_loop_free(loop);
}

/* Those that were accepted before the close took hold still go to the owner: none is left open. */
TEST(a_listener_may_be_closed_by_what_it_has_accepted)
{
    rp_loop *loop = wire_loop();
    owner o = {.close = true};
    int port, fds[10];

    listen_for(&o, loop, &port);
    for (int i = 0; i < 10; i++)
        fds[i] = wire_connect(port);
    rp_listener_start(o.listener);
    RUN_UNTIL(loop, o.closed == 1);
    CHECK_INT(o.accepted, >=, 1);
    for (int i = 0; i < 10; i++) {
        char byte;

        CHECK_INT(recv(fds[i], &byte, 1, 0), <=, 0);
        close(fds[i]);
    }
    rp_loop_free(loop);
}

TEST(a_listener_goes_with_its_loop)
{
    rp_loop *loop = wire_loop();
    owner o = {0};
    int port;

    rp_listener_start(listen_for(&o, loop, &port));
    wire_run(loop, RP_MSEC(1));
    rp_loop_close(loop);
    rp_listener_reap(o.listener);
    CHECK_INT(o.closed, ==, 0);
    rp_free(o.listener);
    rp_loop_free(loop);
}

TEST(whoever_lends_a_socket_can_close_it_at_once)
{
    rp_loop *loop = wire_loop();
    owner o = {0};
    int port, fd = wire_listen(&port), client;

    o.listener = rp_malloc(sizeof *o.listener);
    rp_listener_init(o.listener, loop, fd, &lending, &o);
    rp_listener_start(o.listener);
    client = wire_connect(port);
    RUN_UNTIL(loop, o.accepted == 1);
    rp_listener_close(o.listener);
    CHECK_INT(close(fd), ==, 0);
    CHECK(wire_is_refused(port)); /* no turn has passed */
    RUN_UNTIL(loop, o.closed == 1);
    close(client);
    rp_loop_free(loop);
}

#ifdef _WIN32
TEST_ABSENT(whoever_runs_accepts_at_a_shared_socket, "a socket belongs to one port on Windows");
TEST_ABSENT(whoever_runs_takes_a_burst_at_a_shared_socket, "a socket belongs to one port on Windows");
#else
/* Two loops stand for two processes that have a listening socket in common. */
typedef struct sharers {
    rp_loop *loops[2];
    owner owners[2];
    int fd;
} sharers;

static void share(sharers *s, int fd)
{
    *s = (sharers){.loops = {wire_loop(), wire_loop()}, .fd = fd};
    set_nonblocking(fd);
    for (int i = 0; i < 2; i++) {
        owner *o = &s->owners[i];

        o->listener = rp_malloc(sizeof *o->listener);
        rp_listener_init(o->listener, s->loops[i], fd, &lending, o);
        o->listener->shared = true;
        rp_listener_start(o->listener);
        wire_run(s->loops[i], RP_MSEC(1));
    }
}

static void end_sharing(sharers *s)
{
    for (int i = 0; i < 2; i++) {
        rp_listener_close(s->owners[i].listener);
        RUN_UNTIL(s->loops[i], s->owners[i].closed == 1);
        rp_loop_free(s->loops[i]);
    }
    close(s->fd);
}

/* One that does not run keeps no connection from the other. */
TEST(whoever_runs_accepts_at_a_shared_socket)
{
    sharers s;
    int port;

    share(&s, wire_listen(&port));
    for (int i = 0; i < 6; i++) {
        int client = wire_connect(port);

        RUN_UNTIL(s.loops[i % 2], s.owners[i % 2].accepted == i / 2 + 1);
        close(client);
    }
    end_sharing(&s);
}

/* A turn takes as many as it has room for. Connections of Unix sockets have come when connect() has returned. */
TEST(whoever_runs_takes_a_burst_at_a_shared_socket)
{
    enum { BURST = 100 };
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof address.sun_family; /* the kernel finds a name */
    int clients[BURST], fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sharers s;

    CHECK_INT(bind(fd, (struct sockaddr *)&address, length), ==, 0);
    length = sizeof address;
    CHECK_INT(getsockname(fd, (struct sockaddr *)&address, &length), ==, 0);
    CHECK_INT(listen(fd, BURST), ==, 0);
    share(&s, fd);
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < BURST; j++) {
            clients[j] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
            CHECK_INT(connect(clients[j], (struct sockaddr *)&address, length), ==, 0);
        }
        RUN_UNTIL(s.loops[i % 2], s.owners[i % 2].accepted == (i / 2 + 1) * BURST);
        CHECK_INT(s.owners[i % 2].turns, ==, i / 2 + 1);
        for (int j = 0; j < BURST; j++)
            close(clients[j]);
    }
    end_sharing(&s);
}
#endif

TEST(a_lent_socket_outlives_its_listener_and_the_loop)
{
    rp_loop *loop = wire_loop();
    owner o = {0};
    int port, fd = wire_listen(&port);

    o.listener = rp_malloc(sizeof *o.listener);
    rp_listener_init(o.listener, loop, fd, &lending, &o);
    rp_listener_start(o.listener);
    wire_run(loop, RP_MSEC(1));
    rp_loop_close(loop);
    rp_listener_reap(o.listener);
    rp_free(o.listener);
    rp_loop_free(loop);
    CHECK(!wire_is_refused(port));
    close(fd);
}
