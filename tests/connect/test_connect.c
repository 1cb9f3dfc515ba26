/*
 * test_connect.c - connecting: names, addresses in turn, local addresses, Unix sockets, failure and cancellation.
 */
#include <stdio.h>

#include "harness/wire.h"

typedef int resolver(const char *host, const char *service, const struct addrinfo *hints,
                     struct addrinfo **result);

#ifdef _WIN32
/* Functions of other libraries are called through such pointers there. */
static resolver own_getaddrinfo;
resolver *__imp_getaddrinfo = own_getaddrinfo;
#define getaddrinfo own_getaddrinfo
#endif

/*
 * The C library's, which this one takes the place of; but the names "last-answers" and "last-fails" have three
 * addresses: of a family that there is not, ::1, and 127.0.0.1, in this order or the reverse. And "last-hangs" has
 * 127.0.0.1 and 127.0.0.2.
 */
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    static const char *const order[2][3] = {{"::1", "::1", "127.0.0.1"}, {"127.0.0.2", "::1", "::1"}};
    resolver *real = (resolver *)test_next_function("getaddrinfo");
    bool fails = host && strcmp(host, "last-fails") == 0;

    if (host && strcmp(host, "last-hangs") == 0 && !(hints->ai_flags & AI_NUMERICHOST)) {
        CHECK_INT(real("127.0.0.1", service, hints, result), ==, 0);
        return real("127.0.0.2", service, hints, &(*result)->ai_next);
    }
    if (!host || (!fails && strcmp(host, "last-answers") != 0) || hints->ai_flags & AI_NUMERICHOST)
        return hints && host && strncmp(host, "last-", 5) == 0 ? EAI_NONAME : real(host, service, hints, result);
    for (int i = 0; i < 3; i++, result = &(*result)->ai_next) {
        CHECK_INT(real(order[fails][i], service, hints, result), ==, 0);
        CHECK((*result)->ai_next == NULL);
        if (i == (fails ? 2 : 0))
            (*result)->ai_family = 99;
    }
    return 0;
}

typedef struct client {
    rp_transport *transport;
    int factory_error;
    int factories, made, lost;
} client;

static void made(void *self, rp_transport *transport)
{
    client *c = self;

    c->made++;
    c->transport = transport;
}

static void lost(void *self, int error)
{
    client *c = self;

    (void)error;
    c->lost++;
    c->transport = NULL;
}

static const rp_protocol protocol = {.connection_made = made, .connection_lost = lost};

static int factory(void *arg, const rp_protocol **made_protocol, void **self)
{
    client *c = arg;

    c->factories++;
    *made_protocol = &protocol;
    *self = c;
    return c->factory_error;
}

static void quit(rp_loop *loop, client *c)
{
    if (c->transport) {
        rp_transport_close(c->transport);
        RUN_UNTIL(loop, c->lost);
    }
    CHECK_INT(rp_shutdown_default_executor(loop, RP_NEVER), ==, 0);
    rp_loop_free(loop);
}

static int connect_to(rp_loop *loop, client *c, const char *host, int port, const rp_connect_options *options)
{
    rp_future *future;
    int rc = rp_create_connection(loop, factory, c, host, port, options, &future);

    if (rc < 0)
        return rc;
    rc = rp_run_until_complete(loop, future);
    CHECK(rp_future_value(future) == c->transport);
    rp_future_unref(future);
    return rc;
}

TEST(a_connection_has_a_transport_without_delay)
{
    rp_loop *loop = wire_loop();
    client c = {0};
    int port, listener = wire_listen(&port), on = 0;
    uint32_t length = sizeof on;

    CHECK_INT(connect_to(loop, &c, "127.0.0.1", port, NULL), ==, 0);
    CHECK_INT(c.made, ==, 1);
    CHECK_INT(rp_transport_getsockopt(c.transport, IPPROTO_TCP, TCP_NODELAY, &on, &length), ==, 0);
    CHECK_INT(on, !=, 0);
    CHECK(fcntl(rp_transport_fd(c.transport), F_GETFD) & FD_CLOEXEC);
    close(listener);
    quit(loop, &c);
}

TEST(options_take_effect)
{
    rp_loop *loop = wire_loop();
    client c = {0};
    int port, listener = wire_listen(&port), on = 1;
    rp_connect_options options = {.family = AF_INET, .nagle = true, .local_host = "localhost"};
    uint32_t length = sizeof on;

    CHECK_INT(connect_to(loop, &c, "localhost", port, &options), ==, 0);
    CHECK_INT(rp_transport_getsockopt(c.transport, IPPROTO_TCP, TCP_NODELAY, &on, &length), ==, 0);
    CHECK_INT(on, ==, 0);
    close(listener);
    quit(loop, &c);
}

TEST(a_local_address_is_bound_to)
{
    rp_loop *loop = wire_loop();
    client c = {0};
    int port, listener = wire_listen(&port);
    rp_connect_options options = {.local_host = "127.0.0.9"};
    rp_connect_options wrong = {.local_host = "::1"};
    rp_connect_options foreign = {.local_host = "192.0.2.1"};
    struct sockaddr_in address;
    uint32_t length = sizeof address;

    CHECK_INT(connect_to(loop, &c, "127.0.0.1", port, &wrong), ==, -EADDRNOTAVAIL);
    CHECK_INT(connect_to(loop, &c, "127.0.0.1", port, &foreign), ==, -EADDRNOTAVAIL);
    CHECK_INT(connect_to(loop, &c, "127.0.0.1", port, &options), ==, 0);
    CHECK_INT(rp_transport_sockname(c.transport, (struct sockaddr *)&address, &length), ==, 0);
    CHECK_INT(ntohl(address.sin_addr.s_addr), ==, 0x7f000009);
    close(listener);
    quit(loop, &c);
}

TEST(refusals_and_nonsense)
{
    rp_loop *loop = wire_loop();
    client c = {0};
    rp_future *future;
    int port, listener = wire_listen(&port);

    close(listener);
    CHECK_INT(connect_to(loop, &c, "127.0.0.1", port, NULL), ==, -ECONNREFUSED);
    CHECK_INT(connect_to(loop, &c, "::1", port, NULL), ==, -ECONNREFUSED);
    CHECK_INT(connect_to(loop, &c, "127.0.0.1", 70000, NULL), ==, -EINVAL);
    CHECK_INT(connect_to(loop, &c, "127.0.0.1", -1, NULL), ==, -EINVAL);
    CHECK_INT(connect_to(loop, &c, "256.256.256.256", 1, &(rp_connect_options){.flags = AI_NUMERICHOST}), ==,
              RP_EAI_NONAME);
    CHECK_INT(connect_to(loop, &c, "localhost", port, &(rp_connect_options){.family = AF_INET}), ==,
              -ECONNREFUSED);
    CHECK_INT(c.factories, ==, 0);
    rp_loop_close(loop);
    CHECK_INT(rp_create_connection(loop, factory, &c, "127.0.0.1", port, NULL, &future), ==, RP_ECLOSED);
    CHECK_INT(rp_create_unix_connection(loop, factory, &c, "/x", 0, &future), ==, RP_ECLOSED);
    rp_loop_free(loop);
}

TEST(the_factory_can_refuse)
{
    rp_loop *loop = wire_loop();
    client c = {.factory_error = -EPERM};
    int port, listener = wire_listen(&port), peer;
    char byte;

    CHECK_INT(connect_to(loop, &c, "127.0.0.1", port, NULL), ==, -EPERM);
    peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK_INT(recv(peer, &byte, 1, 0), ==, 0);
    close(peer);
    close(listener);
    quit(loop, &c);
}

TEST(addresses_are_tried_in_turn)
{
    rp_loop *loop = wire_loop();
    client c = {0};
    int port, listener = wire_listen(&port);

    CHECK_INT(connect_to(loop, &c, "last-answers", port, NULL), ==, 0);
    CHECK_INT(c.made, ==, 1);
    CHECK_INT(connect_to(loop, &(client){0}, "last-fails", port, NULL), ==, -EAFNOSUPPORT);
    CHECK_INT(connect_to(loop, &(client){0}, "last-answers", port, &(rp_connect_options){.local_host = "::1"}), ==,
              -EADDRNOTAVAIL);
    close(listener);
    CHECK_INT(connect_to(loop, &(client){0}, "last-answers", port, NULL), ==, -ECONNREFUSED);
    quit(loop, &c);
}

static int unix_listener(const char *path, size_t length)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, path, length);
    CHECK_INT(bind(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)),
              ==, 0);
    CHECK_INT(listen(fd, 10), ==, 0);
    return fd;
}

TEST(unix_sockets_by_path_and_by_abstract_name)
{
    test_need_unix_sockets();
    rp_loop *loop = wire_loop();
    client c = {0}, d = {0};
    char path[64];
    int listener, rc;
    rp_future *future;

    snprintf(path, sizeof path, TEST_TMP "/ringport-connect-%d", (int)getpid());
    listener = unix_listener(path, strlen(path));
    CHECK_INT(rp_create_unix_connection(loop, factory, &c, path, 0, &future), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, future), ==, 0);
    rp_future_unref(future);
    close(listener);
    CHECK_INT(rp_create_unix_connection(loop, factory, &d, path, 0, &future), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, future), ==, -ECONNREFUSED);
    rp_future_unref(future);
    unlink(path);
    CHECK_INT(rp_create_unix_connection(loop, factory, &d, path, 0, &future), ==, 0);
    rc = rp_run_until_complete(loop, future);
    rp_future_unref(future);
    CHECK_INT(rp_create_unix_connection(loop, factory, &d, "", 0, &future), ==, -EINVAL);
#ifdef _WIN32 /* whose error is another one, and which has no abstract names */
    CHECK_INT(rc, <, 0);
#else
    char name[64];
    int length = snprintf(name, sizeof name, "%cringport-%d", 0, (int)getpid());

    CHECK_INT(rc, ==, -ENOENT);
    listener = unix_listener(name, (size_t)length);
    CHECK_INT(rp_create_unix_connection(loop, factory, &d, name, (size_t)length, &future), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, future), ==, 0);
    rp_future_unref(future);
    close(listener);
    rp_transport_close(d.transport);
    RUN_UNTIL(loop, d.lost);
#endif
    quit(loop, &c);
}

/* A listener whose queue is full answers nobody: the attempt stays under way. */
static int full_listener(int *port, int *filler)
{
    struct sockaddr_in address;
    int listener = bound_tcp(&address);

    CHECK_INT(listen(listener, 0), ==, 0);
    *port = ntohs(address.sin_port);
    *filler = wire_connect(*port);
    return listener;
}

TEST(an_address_that_hangs_is_overtaken)
{
    rp_loop *loop = wire_loop();
    client c = {0};
    int filler, port, hanging = full_listener(&port, &filler), good = socket(AF_INET, SOCK_STREAM, 0);
    const rp_connect_options options = {.happy_eyeballs_delay = RP_MSEC(1)};
    struct sockaddr_in address = loopback(port);
    uint32_t length = sizeof address;

    address.sin_addr.s_addr = htonl(0x7f000002);
    CHECK_INT(bind(good, (struct sockaddr *)&address, sizeof address), ==, 0);
    CHECK_INT(listen(good, 1), ==, 0);
    CHECK_INT(connect_to(loop, &c, "last-hangs", port, &options), ==, 0);
    CHECK_INT(rp_transport_peername(c.transport, (struct sockaddr *)&address, &length), ==, 0);
    CHECK_INT(ntohl(address.sin_addr.s_addr), ==, 0x7f000002);
    close(good);
    close(filler);
    close(hanging);
    quit(loop, &c);
}

TEST(an_attempt_can_be_cancelled_at_every_stage)
{
    rp_loop *loop = wire_loop();
    client c = {0};
    rp_future *future;
    int filler, port, listener = full_listener(&port, &filler);

    for (int turns = 0; turns < 4; turns++) {
        CHECK_INT(rp_create_connection(loop, factory, &c, "127.0.0.1", port, NULL, &future), ==, 0);
        for (int i = 0; i < turns; i++)
            wire_settle(loop);
        CHECK(!rp_future_done(future));
        CHECK(rp_future_cancel(future));
        CHECK_INT(rp_run_until_complete(loop, future), ==, RP_EFUTCANCELED);
        CHECK(rp_future_cancelled(future));
        CHECK(!rp_future_cancel(future));
        rp_future_unref(future);
    }
    CHECK_INT(rp_create_connection(loop, factory, &c, "localhost", port, NULL, &future), ==, 0);
    CHECK(rp_future_cancel(future));
    CHECK_INT(rp_run_until_complete(loop, future), ==, RP_EFUTCANCELED);
    rp_future_unref(future);
    CHECK_INT(c.factories, ==, 0);
    close(filler);
    close(listener);
    quit(loop, &c);
}

TEST(a_loop_that_is_closed_leaves_no_attempt_behind)
{
    rp_loop *loop = wire_loop();
    client c = {0};
    rp_future *connecting, *dropped, *resolving;
    int filler, port, listener = full_listener(&port, &filler);

    CHECK_INT(rp_create_connection(loop, factory, &c, "127.0.0.1", port, NULL, &connecting), ==, 0);
    CHECK_INT(rp_create_connection(loop, factory, &c, "127.0.0.1", port, NULL, &dropped), ==, 0);
    rp_future_unref(dropped);
    wire_settle(loop);
    CHECK_INT(rp_create_connection(loop, factory, &c, "127.0.0.1", port, NULL, &resolving), ==, 0);
    rp_loop_close(loop);
    CHECK(!rp_future_done(connecting));
    rp_future_unref(connecting);
    rp_future_unref(resolving);
    rp_loop_free(loop);
    close(filler);
    close(listener);
}

TEST(no_memory_for_an_attempt)
{
    rp_loop *loop = wire_loop();
    client c = {0};
    int rc = -ENOMEM, port, listener = wire_listen(&port);

    for (uint64_t n = 1; rc < 0; n++) {
        test_fail_allocation(n);
        rc = connect_to(loop, &c, "127.0.0.1", port, NULL);
        CHECK(rc == 0 || rc == -ENOMEM);
    }
    test_fail_allocation(0);
    close(listener);
    quit(loop, &c);
}
