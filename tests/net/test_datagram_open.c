/*
 * test_datagram_open.c - endpoints: names and addresses of both ends, options, errors, cancellation.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "harness/datagrams.h"
#include "harness/reports.h"

#include "net/datagram_open.h"

/* Opens an endpoint: 0, or the error. */
static int open_endpoint(rp_loop *loop, mailbox *box, const rp_datagram_options *options)
{
    rp_future *future;
    int rc = rp_create_datagram_endpoint(loop, mailbox_factory, box, options, &future);

    if (rc < 0)
        return rc;
    rc = rp_run_until_complete(loop, future);
    if (rc == 0) {
        CHECK(rp_future_value(future) == box->transport);
        CHECK_INT(box->made, ==, 1);
    }
    rp_future_unref(future);
    return rc;
}

static int port_of(mailbox *box)
{
    struct sockaddr_in6 address;
    uint32_t length = sizeof address;

    CHECK_INT(rp_datagram_sockname(box->transport, (struct sockaddr *)&address, &length), ==, 0);
    return ntohs(address.sin6_port); /* where IPv4 has it too */
}

static void exchange(rp_loop *loop, mailbox *client, mailbox *server)
{
    CHECK_INT(rp_datagram_sendto(client->transport, "ping", 4, NULL, 0), ==, 0);
    RUN_UNTIL(loop, server->count == 1);
    CHECK_INT(rp_datagram_sendto(server->transport, "pong!", 5, (struct sockaddr *)&server->letters[0].address,
                                 server->letters[0].address_length),
              ==, 0);
    RUN_UNTIL(loop, client->count == 1);
    CHECK_INT(client->letters[0].length, ==, 5);
}

static void serve(const char *host)
{
    rp_loop *loop = wire_loop();
    mailbox *server = mailbox_new(), *client = mailbox_new();

    CHECK_INT(open_endpoint(loop, server, &(rp_datagram_options){.local_host = host}), ==, 0);
    CHECK_INT(
        open_endpoint(loop, client, &(rp_datagram_options){.remote_host = host, .remote_port = port_of(server)}),
        ==, 0);
    exchange(loop, client, server);
    mailbox_close(loop, client);
    mailbox_close(loop, server);
    rp_loop_free(loop);
}

TEST(an_endpoint_of_ipv4)
{
    serve("127.0.0.1");
}

TEST(an_endpoint_of_ipv6)
{
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        SKIP("there is no ::1 here");
    close(fd);
    serve("::1");
}

TEST(an_endpoint_of_a_name)
{
    serve("localhost");
}

TEST(both_ends_may_be_given)
{
    rp_loop *loop = wire_loop();
    mailbox *server = mailbox_new(), *client = mailbox_new();
    struct sockaddr_in any = loopback(0), peer;
    uint32_t length = sizeof peer;

    CHECK_INT(open_endpoint(
                  loop, server,
                  &(rp_datagram_options){.local_address = (struct sockaddr *)&any, .local_length = sizeof any}),
              ==, 0);
    CHECK_INT(open_endpoint(loop, client,
                            &(rp_datagram_options){.local_host = "127.0.0.1",
                                                   .remote_host = "localhost",
                                                   .remote_port = port_of(server)}),
              ==, 0);
    CHECK_INT(rp_datagram_peername(client->transport, (struct sockaddr *)&peer, &length), ==, 0);
    CHECK_INT(ntohs(peer.sin_port), ==, port_of(server));
    exchange(loop, client, server);
    mailbox_close(loop, client);
    mailbox_close(loop, server);
    rp_loop_free(loop);
}

TEST(a_port_alone_is_bound_on_all_interfaces)
{
    rp_loop *loop = wire_loop();
    mailbox *box = mailbox_new();
    struct sockaddr_in address;
    uint32_t length = sizeof address;
    int port, fd = udp_bound(&address);

    port = ntohs(address.sin_port);
    close(fd);
    CHECK_INT(open_endpoint(loop, box, &(rp_datagram_options){.local_port = port, .family = AF_INET}), ==, 0);
    CHECK_INT(rp_datagram_sockname(box->transport, (struct sockaddr *)&address, &length), ==, 0);
    CHECK_INT(address.sin_addr.s_addr, ==, INADDR_ANY);
    CHECK_INT(ntohs(address.sin_port), ==, port);
    mailbox_close(loop, box);
    rp_loop_free(loop);
}

TEST(a_family_alone_makes_a_socket_that_is_not_bound)
{
    rp_loop *loop = wire_loop();
    mailbox *box = mailbox_new(), *server;
    struct sockaddr_in address;

    server = mailbox_open(loop, NULL, &address);
    CHECK_INT(open_endpoint(loop, box, &(rp_datagram_options){.family = AF_INET}), ==, 0);
    CHECK_INT(port_of(box), ==, 0);
    CHECK_INT(box_send(box, &address, "x", 1), ==, 0);
    RUN_UNTIL(loop, server->count == 1);
    mailbox_close(loop, box);
    mailbox_close(loop, server);
    rp_loop_free(loop);
}

TEST(unix_endpoints_by_path)
{
    rp_loop *loop = wire_loop();
    mailbox *server = mailbox_new(), *client = mailbox_new(), *third = mailbox_new();
    struct sockaddr_un a = {.sun_family = AF_UNIX}, b = {.sun_family = AF_UNIX};

    snprintf(a.sun_path, sizeof a.sun_path, "/tmp/ringport-datagram-%d-a", (int)getpid());
    snprintf(b.sun_path, sizeof b.sun_path, "/tmp/ringport-datagram-%d-b", (int)getpid());
    rp_datagram_options one = {.local_address = (struct sockaddr *)&a, .local_length = sizeof a};
    rp_datagram_options two = {.local_address = (struct sockaddr *)&b,
                               .local_length = sizeof b,
                               .remote_address = (struct sockaddr *)&a,
                               .remote_length = sizeof a};
    CHECK_INT(open_endpoint(loop, server, &one), ==, 0);
    CHECK_INT(open_endpoint(loop, client, &two), ==, 0);
    exchange(loop, client, server);
    CHECK_STR(((struct sockaddr_un *)&server->letters[0].address)->sun_path, b.sun_path);
    mailbox_close(loop, server);
    CHECK_INT(open_endpoint(loop, third, &one), ==, 0); /* the socket that was left there is removed */
    mailbox_close(loop, client);
    mailbox_close(loop, third);
    unlink(a.sun_path);
    unlink(b.sun_path);
    CHECK_INT(mkdir(a.sun_path, 0700), ==, 0);
    third = mailbox_new();
    CHECK_INT(open_endpoint(loop, third, &one), ==, -EADDRINUSE);
    CHECK_INT(rmdir(a.sun_path), ==, 0);
    free(third);
    rp_loop_free(loop);
}

TEST(options_are_set_on_the_socket)
{
    rp_loop *loop = wire_loop();
    mailbox *box = mailbox_new(), *second = mailbox_new();
    rp_datagram_options options = {
        .local_host = "127.0.0.1", .reuse_port = true, .reuse_address = true, .broadcast = true};
    const int asked[] = {SO_REUSEPORT, SO_REUSEADDR, SO_BROADCAST};

    CHECK_INT(open_endpoint(loop, box, &options), ==, 0);
    for (int i = 0; i < 3; i++) {
        int value = 0;
        uint32_t length = sizeof value;

        CHECK_INT(rp_datagram_getsockopt(box->transport, SOL_SOCKET, asked[i], &value, &length), ==, 0);
        CHECK_INT(value, ==, 1);
    }
    options.local_port = port_of(box);
    CHECK_INT(open_endpoint(loop, second, &options), ==, 0);
    mailbox_close(loop, box);
    mailbox_close(loop, second);
    rp_loop_free(loop);
}

TEST(ipv6_alone_if_it_is_asked_for)
{
    rp_loop *loop = wire_loop();
    int value = 0;
    uint32_t length = sizeof value;
    mailbox *box = mailbox_new();
    int rc = open_endpoint(loop, box,
                           &(rp_datagram_options){.local_host = "::1", .family = AF_INET6, .ipv6_only = true});

    if (rc < 0)
        SKIP("there is no ::1 here");
    CHECK_INT(rp_datagram_getsockopt(box->transport, IPPROTO_IPV6, IPV6_V6ONLY, &value, &length), ==, 0);
    CHECK_INT(value, ==, 1);
    mailbox_close(loop, box);
    rp_loop_free(loop);
}

TEST(broadcasts_are_sent_if_they_are_asked_for)
{
    rp_loop *loop = wire_loop();
    mailbox *mute = mailbox_new(), *loud = mailbox_new();
    struct sockaddr_in all, here = {.sin_family = AF_INET};
    socklen_t length = sizeof here;
    int peer = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    char bytes[4];

    CHECK_INT(bind(peer, (struct sockaddr *)&here, sizeof here), ==, 0);
    CHECK_INT(getsockname(peer, (struct sockaddr *)&here, &length), ==, 0);
    all = loopback(ntohs(here.sin_port));
    all.sin_addr.s_addr = htonl(0x7fffffff); /* 127.255.255.255 */
    CHECK_INT(open_endpoint(loop, mute, &(rp_datagram_options){.local_host = "127.0.0.1"}), ==, 0);
    CHECK_INT(open_endpoint(loop, loud, &(rp_datagram_options){.local_host = "127.0.0.1", .broadcast = true}), ==,
              0);
    CHECK_INT(box_send(mute, &all, "mute", 4), ==, 0);
    CHECK_INT(mute->errors, ==, 1);
    CHECK_INT(mute->last_error, ==, -EACCES);
    CHECK_INT(box_send(loud, &all, "loud", 4), ==, 0);
    CHECK_INT(loud->errors, ==, 0);
    CHECK_INT(wire_await(loop, peer, bytes, sizeof bytes), ==, 4);
    CHECK(memcmp(bytes, "loud", 4) == 0);
    close(peer);
    mailbox_close(loop, mute);
    mailbox_close(loop, loud);
    rp_loop_free(loop);
}

/* ---- what goes wrong ---- */

static int refuse(void *arg, const rp_datagram_protocol **protocol, void **self)
{
    ++*(int *)arg;
    return -EACCES;
}

TEST(a_factory_that_fails_leaves_no_socket)
{
    rp_loop *loop = wire_loop();
    rp_future *future;
    int called = 0;

    CHECK_INT(rp_create_datagram_endpoint(loop, refuse, &called, &(rp_datagram_options){.local_host = "127.0.0.1"},
                                          &future),
              ==, 0);
    CHECK_INT(rp_run_until_complete(loop, future), ==, -EACCES);
    CHECK_INT(called, ==, 1);
    rp_future_unref(future);
    rp_loop_free(loop);
}

TEST(what_is_out_of_bounds_is_refused_at_once)
{
    rp_loop *loop = wire_loop();
    mailbox *box = mailbox_new();
    struct sockaddr_in address = loopback(0);
    const struct sockaddr *a = (struct sockaddr *)&address;
    const rp_datagram_options bad[] = {
        {0},
        {.local_host = "127.0.0.1", .local_port = 65536},
        {.local_host = "127.0.0.1", .local_port = -1},
        {.remote_host = "127.0.0.1", .remote_port = 65536},
        {.local_address = a, .local_length = 1},
        {.local_address = a, .local_length = sizeof(struct sockaddr_storage) + 1},
        {.remote_host = "127.0.0.1", .local_address = a, .local_length = 1},
        {.family = AF_INET, .receive_size = (1 << 20) + 1},
    };
    rp_future *future;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_INT(open_endpoint(loop, box, &bad[i]), ==, -EINVAL);
    CHECK_INT(rp_create_datagram_endpoint(loop, NULL, NULL, &(rp_datagram_options){.family = AF_INET}, &future),
              ==, -EINVAL);
    CHECK_INT(rp_create_datagram_endpoint(loop, mailbox_factory, box, NULL, &future), ==, -EINVAL);
    CHECK_INT(box->made, ==, 0);
    free(box);
    rp_loop_free(loop);
}

TEST(an_address_that_is_taken_is_told)
{
    rp_loop *loop = wire_loop();
    mailbox *box = mailbox_new();
    struct sockaddr_in address;
    int fd = udp_bound(&address);

    CHECK_INT(
        open_endpoint(loop, box,
                      &(rp_datagram_options){.local_host = "127.0.0.1", .local_port = ntohs(address.sin_port)}),
        ==, -EADDRINUSE);
    CHECK_INT(open_endpoint(loop, box, &(rp_datagram_options){.local_host = "127.0.0.1", .remote_host = "::1"}),
              ==, -EADDRNOTAVAIL); /* of two families */
    CHECK_INT(box->made, ==, 0);
    close(fd);
    free(box);
    rp_loop_free(loop);
}

TEST(a_name_that_is_not_known_is_told)
{
    rp_loop *loop = wire_loop();
    mailbox *box = mailbox_new();
    int rc = open_endpoint(loop, box, &(rp_datagram_options){.remote_host = "no such host", .remote_port = 1});

    CHECK_INT(rc, <=, -4001);
    free(box);
    rp_loop_free(loop);
}

TEST(an_endpoint_that_is_cancelled_makes_nothing)
{
    rp_loop *loop = wire_loop();
    mailbox *box = mailbox_new();
    rp_future *future;

    CHECK_INT(rp_create_datagram_endpoint(
                  loop, mailbox_factory, box,
                  &(rp_datagram_options){.local_host = "127.0.0.1", .remote_host = "localhost"}, &future),
              ==, 0);
    CHECK(rp_future_cancel(future));
    CHECK_INT(rp_run_until_complete(loop, future), ==, RP_EFUTCANCELED);
    CHECK_INT(box->made, ==, 0);
    rp_future_unref(future);

    CHECK_INT(rp_create_datagram_endpoint(loop, mailbox_factory, box,
                                          &(rp_datagram_options){.remote_host = "localhost"}, &future),
              ==, 0);
    rp_loop_free(loop); /* or the loop is closed */
    CHECK(!rp_future_done(future));
    rp_future_cancel(future);
    rp_future_unref(future);
    CHECK_INT(box->made, ==, 0);
    free(box);
}

TEST(each_allocation_may_fail)
{
    rp_loop *loop = wire_loop();
    struct sockaddr_in address = loopback(0);
    rp_datagram_options options = {.local_address = (struct sockaddr *)&address, .local_length = sizeof address};

    rp_set_exception_handler(loop, be_quiet, NULL);
    for (uint64_t nth = 1;; nth++) {
        mailbox *box = mailbox_new();
        bool failed;

        test_fail_allocation(nth);
        int rc = open_endpoint(loop, box, &options);
        failed = test_allocation_failed();
        test_fail_allocation(0);
        if (!failed) {
            CHECK_INT(rc, ==, 0);
            mailbox_close(loop, box);
            break;
        }
        if (rc == 0) { /* it was made, and cannot receive */
            RUN_UNTIL(loop, box->lost);
            CHECK_INT(box->error, ==, -ENOMEM);
        } else {
            CHECK_INT(rc, ==, -ENOMEM);
            CHECK_INT(box->made, ==, 0);
        }
        free(box);
    }
    rp_loop_free(loop);
}

/* ---- the socket alone ---- */

TEST(a_socket_that_nobody_takes_is_closed)
{
    rp_loop *loop = wire_loop();
    rp_future *future;

    for (int take = 0; take < 2; take++) {
        CHECK_INT(rp_datagram_open(loop, NULL, NULL, &(rp_datagram_options){.local_host = "127.0.0.1"}, &future),
                  ==, 0);
        CHECK_INT(rp_run_until_complete(loop, future), ==, 0);
        if (take) {
            rp_fd fd = rp_datagram_open_take(future);

            CHECK_INT(fd, >=, 0);
            CHECK_INT(rp_datagram_open_take(future), ==, -1);
            close(fd);
        }
        rp_future_unref(future);
    }
    rp_loop_free(loop);
}
