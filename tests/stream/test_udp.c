/* test_udp.c - opening sockets of datagrams: bound, connected, by name or address, with options; what is refused. */
#include <stdio.h>

#include "harness/datagrams.h"
#include "harness/tasks.h"

static int send_and_receive(rp_co *co, rp_fd from, rp_fd to, const struct sockaddr *address, uint32_t length)
{
    char bytes[16];

    RP_TRY(rp_sendto(co, from, "hello", 5, 0, address, length));
    return (int)rp_recvfrom(co, to, bytes, sizeof bytes, 0, NULL, NULL);
}

static rp_fd opened(rp_co *co, const rp_datagram_options *options)
{
    rp_fd fd = -7;

    CHECK_INT(rp_udp_open(co, &fd, options), ==, 0);
    CHECK_INT(fd, >=, 0);
    return fd;
}

/* With an error that was expected; nothing is stored. */
static void refused(rp_co *co, const rp_datagram_options *options, int error)
{
    rp_fd fd = -7;

    CHECK_INT(rp_udp_open(co, &fd, options), ==, error);
    CHECK_INT(fd, ==, -7);
}

/* ---- which socket ---- */

CO_TEST(bound_and_connected)
{
    static const char *hosts[] = {"127.0.0.1", "localhost", "::1"};

    for (int i = 0; i < 3; i++) {
        rp_fd server = opened(co, &(rp_datagram_options){.local_host = hosts[i], .family = i < 2 ? AF_INET : 0});
        int port = rp_udp_port(server);
        CHECK_INT(port, >, 0);
        rp_fd client = opened(
            co,
            &(rp_datagram_options){.remote_host = hosts[i], .remote_port = port, .family = i < 2 ? AF_INET : 0});
        struct sockaddr_storage peer;
        uint32_t length = sizeof peer;
        char bytes[16];

        CHECK_INT(send_and_receive(co, client, server, NULL, 0), ==, 5);
        CHECK_INT(rp_sendto(co, client, "again", 5, 0, NULL, 0), ==, 5);
        CHECK_INT(rp_recvfrom(co, server, bytes, sizeof bytes, 0, (struct sockaddr *)&peer, &length), ==, 5);
        CHECK_INT(send_and_receive(co, server, client, (struct sockaddr *)&peer, length), ==, 5);
        CHECK(fcntl((int)server, F_GETFL) & O_NONBLOCK);
#ifndef _WIN32
        CHECK(fcntl((int)server, F_GETFD) & FD_CLOEXEC);
#endif
        CHECK_INT(rp_close(co, client), ==, 0);
        CHECK_INT(rp_close(co, server), ==, 0);
    }
}

CO_TEST(by_addresses_and_by_the_family_alone)
{
    struct sockaddr_in here = loopback(0), there;
    int peer = udp_bound(&there);
    rp_fd both = opened(co, &(rp_datagram_options){.local_address = (struct sockaddr *)&here,
                                                   .local_length = sizeof here,
                                                   .remote_address = (struct sockaddr *)&there,
                                                   .remote_length = sizeof there});
    rp_fd neither = opened(co, &(rp_datagram_options){.family = AF_INET});

    CHECK_INT(rp_udp_port(both), >, 0);
    CHECK_INT(rp_udp_port(neither), ==, 0);
    CHECK_INT(send_and_receive(co, both, peer, NULL, 0), ==, 5);
    CHECK_INT(send_and_receive(co, neither, peer, (struct sockaddr *)&there, sizeof there), ==, 5);
    CHECK_INT(rp_close(co, both), ==, 0);
    CHECK_INT(rp_close(co, neither), ==, 0);
    close(peer);
}

static int number_option(rp_fd fd, int level, int option)
{
    int value = -1;
    socklen_t length = sizeof value;

    CHECK_INT(getsockopt((int)fd, level, option, (void *)&value, &length), ==, 0);
    return value;
}

CO_TEST(options)
{
    rp_fd fds[2];

    fds[0] = opened(co, &(rp_datagram_options){.local_host = "127.0.0.1", .broadcast = true});
    CHECK_INT(number_option(fds[0], SOL_SOCKET, SO_BROADCAST), !=, 0);
    CHECK_INT(rp_close(co, fds[0]), ==, 0);
    fds[0] = opened(co, &(rp_datagram_options){.local_host = "::", .ipv6_only = true});
    CHECK_INT(number_option(fds[0], IPPROTO_IPV6, IPV6_V6ONLY), !=, 0);
    CHECK_INT(rp_close(co, fds[0]), ==, 0);

    for (int i = 0; i < 2; i++) /* receivers of one group */
        fds[i] = opened(co, &(rp_datagram_options){.local_host = "",
                                                   .family = AF_INET,
                                                   .reuse_address = true,
                                                   .local_port = i == 0 ? 0 : rp_udp_port(fds[0])});
    refused(co, &(rp_datagram_options){.local_host = "", .family = AF_INET, .local_port = rp_udp_port(fds[0])},
            -EADDRINUSE);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(rp_udp_join(fds[i], "239.255.77.3", NULL, "127.0.0.1"), ==, 0);
        CHECK_INT(rp_udp_set_multicast_interface(fds[i], "127.0.0.1"), ==, 0);
    }
    struct sockaddr_in group = loopback(rp_udp_port(fds[0]));
    CHECK_INT(inet_pton(AF_INET, "239.255.77.3", &group.sin_addr), ==, 1);
    char bytes[16];
    CHECK_INT(send_and_receive(co, fds[0], fds[1], (struct sockaddr *)&group, sizeof group), ==, 5);
    CHECK_INT(rp_recvfrom(co, fds[0], bytes, sizeof bytes, 0, NULL, NULL), ==, 5); /* and so does the sender */
    for (int i = 0; i < 2; i++)
        CHECK_INT(rp_close(co, fds[i]), ==, 0);
}

/* ---- what is refused ---- */

CO_TEST(what_makes_no_sense)
{
    struct sockaddr_in here = loopback(0);

    refused(co, NULL, -EINVAL);
    refused(co, &(rp_datagram_options){0}, -EINVAL);
    refused(co, &(rp_datagram_options){.local_host = "127.0.0.1", .local_port = -1}, -EINVAL);
    refused(co, &(rp_datagram_options){.local_host = "127.0.0.1", .local_port = 65536}, -EINVAL);
    refused(co, &(rp_datagram_options){.remote_host = "127.0.0.1", .remote_port = 70000}, -EINVAL);
    refused(co, &(rp_datagram_options){.local_address = (struct sockaddr *)&here, .local_length = 1}, -EINVAL);
    refused(co, &(rp_datagram_options){.local_address = (struct sockaddr *)&here, .local_length = 4000}, -EINVAL);
    rp_fd none = -7;
    CHECK_INT(rp_udp_open(co, &none, &(rp_datagram_options){.local_host = "127.0.0.1", .family = AF_INET6}), <, 0);

    struct sockaddr_in taken;
    int fd = udp_bound(&taken);
    refused(co, &(rp_datagram_options){.local_host = "127.0.0.1", .local_port = ntohs(taken.sin_port)},
            -EADDRINUSE);
    close(fd);

    CHECK_INT(rp_udp_open(NULL, &none, &(rp_datagram_options){.family = AF_INET}), ==, RP_ENOTASK);
    rp_task_cancel(rp_co_task(co));
    refused(co, &(rp_datagram_options){.family = AF_INET}, -ECANCELED);
}

/* ---- cancelled, and left behind ---- */

static int opens(rp_co *co, void *arg)
{
    rp_fd fd;

    RP_TRY(rp_udp_open(co, &fd, &(rp_datagram_options){.local_host = "localhost"}));
    return rp_close(co, fd);
}

/* That no socket is left the harness sees. */
CO_TEST(a_cancelled_opening_leaves_nothing)
{
    for (int turns = 0; turns < 6; turns++) {
        rp_task *task = spawn(opens, NULL);
        int rc;

        for (int i = 0; i < turns; i++)
            CHECK_INT(rp_sleep(co, 0), ==, 0);
        rp_task_cancel(task);
        rc = rp_join(co, task);
        CHECK(rc == 0 || rc == RP_EFUTCANCELED);
    }
}

static void ignore(rp_loop *loop, const rp_exception_context *context, void *arg)
{
}

TEST(a_loop_that_is_closed_meanwhile_leaves_nothing)
{
    for (int turns = 0; turns < 4; turns++) {
        rp_loop *loop = new_loop();
        rp_task *task;

        rp_set_exception_handler(loop, ignore, NULL);
        CHECK_INT(rp_loop_create_task(loop, &task, opens, NULL), ==, 0);
        for (int i = 0; i < turns; i++) {
            rp_loop_stop(loop);
            CHECK_INT(rp_run_forever(loop), ==, 0);
        }
        rp_loop_free(loop);
        rp_task_detach(task);
    }
}

#ifdef _WIN32

TEST_ABSENT(unix_sockets, "no datagrams of Unix sockets");
TEST_ABSENT(ports_that_are_shared, "no SO_REUSEPORT; ports_cannot_be_shared runs in its place");
TEST_ABSENT(segments, "no receive tells the size of datagrams that came together");
TEST_ABSENT(without_descriptors, "there is no limit on descriptors to run into");

CO_TEST(ports_cannot_be_shared)
{
    refused(co, &(rp_datagram_options){.local_host = "127.0.0.1", .reuse_port = true}, -ENOTSUP);
}

CO_TEST(segments_are_not_supported)
{
    refused(co, &(rp_datagram_options){.local_host = "127.0.0.1", .gro = true}, -ENOTSUP);
    refused(co, &(rp_datagram_options){.local_host = "127.0.0.1", .gso = true}, -ENOTSUP);
}

#else

CO_TEST(unix_sockets)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof address.sun_path, TEST_TMP "/ringport-test-udp-%d", (int)getpid());
    for (int i = 0; i < 2; i++) { /* the second one takes the place of the first, which is stale then */
        rp_fd server = opened(co, &(rp_datagram_options){.local_address = (struct sockaddr *)&address,
                                                         .local_length = sizeof address});
        rp_fd client = opened(co, &(rp_datagram_options){.remote_address = (struct sockaddr *)&address,
                                                         .remote_length = sizeof address});

        CHECK_INT(send_and_receive(co, client, server, NULL, 0), ==, 5);
        CHECK_INT(rp_close(co, client), ==, 0);
        CHECK_INT(rp_close(co, server), ==, 0);
    }
    CHECK_INT(unlink(address.sun_path), ==, 0);
}

CO_TEST(ports_that_are_shared)
{
    rp_fd fds[2];

    for (int i = 0; i < 2; i++)
        fds[i] = opened(co, &(rp_datagram_options){.local_host = "127.0.0.1",
                                                   .local_port = i == 0 ? 0 : rp_udp_port(fds[0]),
                                                   .reuse_port = true});
    CHECK_INT(rp_udp_port(fds[0]), ==, rp_udp_port(fds[1]));
    for (int i = 0; i < 2; i++)
        CHECK_INT(rp_close(co, fds[i]), ==, 0);
}

CO_TEST(segments)
{
    rp_fd fd;
    int rc = rp_udp_open(co, &fd, &(rp_datagram_options){.local_host = "127.0.0.1", .gro = true, .gso = true});
    struct sockaddr_un unnamed = {.sun_family = AF_UNIX};

    if (rc == -ENOTSUP)
        SKIP("the kernel has no GRO for UDP");
    CHECK_INT(rc, ==, 0);
    CHECK_INT(number_option(fd, IPPROTO_UDP, UDP_GRO), ==, 1);
    CHECK_INT(rp_close(co, fd), ==, 0);
    refused(co,
            &(rp_datagram_options){.local_address = (struct sockaddr *)&unnamed,
                                   .local_length = sizeof unnamed.sun_family,
                                   .gro = true},
            -ENOTSUP);
}

CO_TEST(without_descriptors)
{
    struct rlimit old, low;
    int used[64], count = 0;

    CHECK_INT(getrlimit(RLIMIT_NOFILE, &old), ==, 0);
    low = (struct rlimit){.rlim_cur = 64, .rlim_max = old.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &low), ==, 0);
    while (count < 64 && (used[count] = fcntl(0, F_DUPFD_CLOEXEC, 3)) >= 0)
        count++;
    refused(co, &(rp_datagram_options){.local_host = "127.0.0.1"}, -EMFILE);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &old), ==, 0);
    while (count > 0)
        close(used[--count]);
    CHECK_INT(rp_close(co, opened(co, &(rp_datagram_options){.local_host = "127.0.0.1"})), ==, 0);
}

#endif
