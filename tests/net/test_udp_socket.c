/* test_udp_socket.c - what a socket of UDP can be told, seen at what it then receives and sends. */
#include <stdio.h>

#include "harness/sockets.h"
#include "ringport.h"

#ifndef _WIN32
#include <ifaddrs.h>
#include <net/if.h>
#endif

#define GROUP "239.255.77.1"
#define OTHER_GROUP "239.255.77.2"
#define GROUP6 "ff15::77:1"

/* A socket of all addresses, and its port. */
static int any_socket(int family, int *port)
{
    struct sockaddr_storage address = {.ss_family = (sa_family_t)family};
    socklen_t length = sizeof(struct sockaddr_in6);
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    CHECK_INT(fd, >=, 0);
    if (family == AF_INET)
        length = sizeof(struct sockaddr_in);
    CHECK_INT(bind(fd, (struct sockaddr *)&address, length), ==, 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&address, &length), ==, 0);
    *port = ntohs(((struct sockaddr_in *)&address)->sin_port); /* where IPv6 has it, too */
    return fd;
}

static void send_to(int fd, const char *group, int port, char byte)
{
    struct sockaddr_in address = loopback(port);

    CHECK_INT(inet_pton(AF_INET, group, &address.sin_addr), ==, 1);
    CHECK_INT(sendto(fd, &byte, 1, 0, (struct sockaddr *)&address, sizeof address), ==, 1);
}

/* The next byte. Loopback keeps order: what was sent before it and would have come is here already. */
static int next_byte(int fd)
{
    char byte = 0;

    CHECK_INT(recv(fd, &byte, 1, 0), ==, 1);
    return byte;
}

/* A sender to groups on the loopback. */
static int sender(void)
{
    int port, fd = any_socket(AF_INET, &port);

    CHECK_INT(rp_udp_set_multicast_interface(fd, "127.0.0.1"), ==, 0);
    CHECK_INT(rp_udp_set_multicast_ttl(fd, 0), ==, 0);
    return fd;
}

TEST(a_group_is_joined_and_left)
{
    int port, receiver = any_socket(AF_INET, &port), from = sender(), rc;

    CHECK_INT(rp_udp_join(receiver, GROUP, NULL, "127.0.0.1"), ==, 0);
    CHECK_INT(rp_udp_join(receiver, GROUP, NULL, "127.0.0.1"), ==, -EADDRINUSE);
    send_to(from, GROUP, port, 'a');
    CHECK_INT(next_byte(receiver), ==, 'a');

    CHECK_INT(rp_udp_leave(receiver, GROUP, NULL, "127.0.0.1"), ==, 0);
    rc = rp_udp_leave(receiver, GROUP, NULL, "127.0.0.1");
    CHECK(rc == -EADDRNOTAVAIL || (rc == -EINVAL && test_under_wine()));
    CHECK_INT(rp_udp_join(receiver, OTHER_GROUP, "", "127.0.0.1"), ==, 0);
    send_to(from, GROUP, port, 'b');
    send_to(from, OTHER_GROUP, port, 'c');
    CHECK_INT(next_byte(receiver), ==, 'c');
    close(receiver);
    close(from);
}

/* Two sockets have one port, and both hear the group. */
TEST(several_receive)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int on = 1, port, receivers[2], from = sender();
    socklen_t length = sizeof address;

    for (int i = 0; i < 2; i++) {
        receivers[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        CHECK_INT(receivers[i], >=, 0);
        CHECK_INT(setsockopt(receivers[i], SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), ==, 0);
        CHECK_INT(bind(receivers[i], (struct sockaddr *)&address, sizeof address), ==, 0);
        CHECK_INT(getsockname(receivers[i], (struct sockaddr *)&address, &length), ==, 0);
        CHECK_INT(rp_udp_join(receivers[i], GROUP, NULL, "127.0.0.1"), ==, 0);
    }
    port = ntohs(address.sin_port);
    send_to(from, GROUP, port, 'x');
    CHECK_INT(next_byte(receivers[0]), ==, 'x');
    CHECK_INT(next_byte(receivers[1]), ==, 'x');
    close(receivers[0]);
    close(receivers[1]);
    close(from);
}

/* 127.0.0.1 is the source of what is sent on the loopback. */
TEST(only_one_source_is_heard)
{
    int port, fd = any_socket(AF_INET, &port), from = sender();

#ifdef _WIN32
    test_need_real_windows("an interface and a source that do not change places");
#endif
    CHECK_INT(rp_udp_join(fd, GROUP, "127.0.0.9", "127.0.0.1"), ==, 0);
    send_to(from, GROUP, port, 'a');
    CHECK_INT(rp_udp_join(fd, GROUP, "127.0.0.1", "127.0.0.1"), ==, 0);
    send_to(from, GROUP, port, 'b');
    CHECK_INT(next_byte(fd), ==, 'b');
    CHECK_INT(rp_udp_leave(fd, GROUP, "127.0.0.1", "127.0.0.1"), ==, 0);
    send_to(from, GROUP, port, 'c');
    CHECK_INT(rp_udp_join(fd, OTHER_GROUP, NULL, "127.0.0.1"), ==, 0);
    send_to(from, OTHER_GROUP, port, 'd');
    CHECK_INT(next_byte(fd), ==, 'd');
    close(fd);
    close(from);
}

static int number_option(int fd, int level, int option)
{
    int value = -1;
    socklen_t length = sizeof value;

    CHECK_INT(getsockopt(fd, level, option, (void *)&value, &length), ==, 0);
    return value;
}

TEST(how_far_packets_go)
{
    int port, fds[] = {any_socket(AF_INET, &port), any_socket(AF_INET6, &port)};

    for (int i = 0; i < 2; i++) {
        int level = i == 0 ? IPPROTO_IP : IPPROTO_IPV6;

        CHECK_INT(rp_udp_set_ttl(fds[i], 7), ==, 0);
        CHECK_INT(number_option(fds[i], level, i == 0 ? IP_TTL : IPV6_UNICAST_HOPS), ==, 7);
        CHECK_INT(rp_udp_set_multicast_ttl(fds[i], 8), ==, 0);
        CHECK_INT(number_option(fds[i], level, i == 0 ? IP_MULTICAST_TTL : IPV6_MULTICAST_HOPS), ==, 8);
        CHECK_INT(rp_udp_set_multicast_loop(fds[i], false), ==, 0);
        CHECK_INT(number_option(fds[i], level, i == 0 ? IP_MULTICAST_LOOP : IPV6_MULTICAST_LOOP), ==, 0);
        CHECK_INT(rp_udp_set_ttl(fds[i], 0), ==, -EINVAL);
        CHECK_INT(rp_udp_set_ttl(fds[i], 256), ==, -EINVAL);
        CHECK_INT(rp_udp_set_multicast_ttl(fds[i], -1), ==, -EINVAL);
        CHECK_INT(rp_udp_set_multicast_ttl(fds[i], 256), ==, -EINVAL);
        close(fds[i]);
    }
}

TEST(broadcast)
{
    struct sockaddr_in everybody = loopback(9);
    int port, fd = any_socket(AF_INET, &port);

    everybody.sin_addr.s_addr = htonl(INADDR_BROADCAST);
    CHECK_INT(number_option(fd, SOL_SOCKET, SO_BROADCAST), ==, 0);
    CHECK_INT(sendto(fd, "x", 1, 0, (struct sockaddr *)&everybody, sizeof everybody), ==, -1);
    CHECK_INT(errno, ==, EACCES);
    CHECK_INT(rp_udp_set_broadcast(fd, true), ==, 0);
    CHECK_INT(number_option(fd, SOL_SOCKET, SO_BROADCAST), !=, 0);
    CHECK_INT(rp_udp_set_broadcast(fd, false), ==, 0);
    CHECK_INT(number_option(fd, SOL_SOCKET, SO_BROADCAST), ==, 0);
    close(fd);
}

TEST(what_is_no_group_and_no_interface)
{
    static const char long_text[] = "ff15:ff15:ff15:ff15:ff15:ff15:ff15:ff15:ff15:ff15:ff15:ff15";
    int port, fd = any_socket(AF_INET, &port), stream = tcp_socket();

    CHECK_INT(rp_udp_join(fd, NULL, NULL, NULL), ==, -EINVAL);
    CHECK_INT(rp_udp_join(fd, "", NULL, NULL), ==, -EINVAL);
    CHECK_INT(rp_udp_join(fd, "localhost", NULL, NULL), ==, -EINVAL);
    CHECK_INT(rp_udp_join(fd, long_text, NULL, NULL), ==, -EINVAL);
    CHECK_INT(rp_udp_join(fd, "127.0.0.1", NULL, "127.0.0.1"), ==, -EINVAL);
    CHECK_INT(rp_udp_join(fd, GROUP, "::1", "127.0.0.1"), ==, -EINVAL);
    CHECK_INT(rp_udp_join(fd, GROUP, "nobody", "127.0.0.1"), ==, -EINVAL);
    CHECK_INT(rp_udp_join(fd, GROUP, NULL, "there-is-none"), ==, -ENODEV);
    CHECK_INT(rp_udp_join(fd, GROUP6, NULL, "127.0.0.1"), ==, -EINVAL);
    CHECK_INT(rp_udp_join(fd, GROUP6, NULL, "::1"), ==, -ENODEV); /* says no interface */
    CHECK_INT(rp_udp_join(fd, "ff02::1%there-is-none", NULL, NULL), ==, -ENODEV);
    CHECK_INT(rp_udp_set_multicast_interface(fd, "there-is-none"), ==, -ENODEV);
    CHECK_INT(rp_udp_set_multicast_interface(fd, NULL), ==, 0);

    CHECK_INT(rp_udp_join(-1, GROUP, NULL, "127.0.0.1"), ==, -EBADF);
    CHECK_INT(rp_udp_leave(-1, GROUP, NULL, "127.0.0.1"), ==, -EBADF);
    CHECK_INT(rp_udp_set_multicast_interface(-1, NULL), ==, -EBADF);
    CHECK_INT(rp_udp_set_multicast_ttl(-1, 1), ==, -EBADF);
    CHECK_INT(rp_udp_set_multicast_loop(-1, true), ==, -EBADF);
    CHECK_INT(rp_udp_set_ttl(-1, 1), ==, -EBADF);
    CHECK_INT(rp_udp_set_broadcast(-1, true), ==, -EBADF);
    CHECK_INT(rp_udp_set_gso(-1, 100), ==, -EBADF);
    CHECK_INT(rp_udp_set_gso(fd, -1), ==, -EINVAL);
    CHECK_INT(rp_udp_set_gso(fd, 65536), ==, -EINVAL);
    CHECK_INT(rp_udp_set_gro(-1, true), ==, -EBADF);
    CHECK_INT(rp_udp_set_gro(stream, true), ==, -ENOTSUP);
    close(fd);
    close(stream);
}

#ifdef _WIN32

TEST_ABSENT(a_group_on_an_interface_by_name, "the loopback has no name that one knows beforehand");
TEST_ABSENT(groups_of_ipv6_are_joined_on_an_interface, "the loopback has no name that one knows beforehand");
TEST_ABSENT(groups_of_ipv6, "the same");
TEST_ABSENT(datagrams_of_one_size_as_one, "no receive tells the size of datagrams that came together");
TEST_ABSENT(what_is_neither_of_ipv4_nor_of_ipv6, "there are no datagrams of Unix sockets");

#else

TEST(a_group_on_an_interface_by_name)
{
    int port, fd = any_socket(AF_INET, &port), from = any_socket(AF_INET, &port);
    char number[16];
    struct sockaddr_in address;
    socklen_t length = sizeof address;

    snprintf(number, sizeof number, "%u", if_nametoindex("lo"));
    CHECK_INT(getsockname(fd, (struct sockaddr *)&address, &length), ==, 0);
    port = ntohs(address.sin_port);
    CHECK_INT(rp_udp_set_multicast_interface(from, "lo"), ==, 0);
    CHECK_INT(rp_udp_join(fd, GROUP, NULL, "lo"), ==, 0);
    send_to(from, GROUP, port, 'a');
    CHECK_INT(next_byte(fd), ==, 'a');
    CHECK_INT(rp_udp_leave(fd, GROUP, NULL, number), ==, 0);

    CHECK_INT(rp_udp_set_multicast_interface(from, number), ==, 0);
    CHECK_INT(rp_udp_join(fd, GROUP, NULL, "lo"), ==, 0);
    send_to(from, GROUP, port, 'n');
    CHECK_INT(next_byte(fd), ==, 'n');
    CHECK_INT(rp_udp_leave(fd, GROUP, NULL, number), ==, 0);

    CHECK_INT(rp_udp_join(fd, GROUP, "127.0.0.1", "lo"), ==, 0); /* with a source, too */
    CHECK_INT(rp_udp_set_multicast_interface(from, "127.0.0.1"), ==, 0);
    send_to(from, GROUP, port, 'b');
    CHECK_INT(next_byte(fd), ==, 'b');
    CHECK_INT(rp_udp_leave(fd, GROUP, "127.0.0.1", number), ==, 0);
    close(fd);
    close(from);
}

static void send_to_six(int fd, const char *group, int port, char byte)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};

    CHECK_INT(inet_pton(AF_INET6, group, &address.sin6_addr), ==, 1);
    CHECK_INT(sendto(fd, &byte, 1, 0, (struct sockaddr *)&address, sizeof address), ==, 1);
}

TEST(groups_of_ipv6_are_joined_on_an_interface)
{
    int port, fd = any_socket(AF_INET6, &port);

    CHECK_INT(rp_udp_join(fd, GROUP6, NULL, "lo"), ==, 0);
    CHECK_INT(rp_udp_join(fd, GROUP6, NULL, "::1%lo"), ==, -EADDRINUSE);
    CHECK_INT(rp_udp_join(fd, GROUP6 "%lo", NULL, NULL), ==, -EADDRINUSE);
    CHECK_INT(rp_udp_leave(fd, GROUP6, NULL, "1"), ==, 0);
    CHECK_INT(rp_udp_leave(fd, GROUP6, NULL, "lo"), ==, -EADDRNOTAVAIL);
    CHECK_INT(rp_udp_join(fd, GROUP6, "::2", "lo"), ==, 0);
    CHECK_INT(rp_udp_join(fd, GROUP6, "::2", "lo"), ==, -EADDRNOTAVAIL); /* which the kernel says of sources */
    CHECK_INT(rp_udp_leave(fd, GROUP6, "::2", "lo"), ==, 0);
    CHECK_INT(rp_udp_set_multicast_interface(fd, "::1%lo"), ==, 0);
    CHECK_INT(number_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF), ==, if_nametoindex("lo"));
    CHECK_INT(rp_udp_set_multicast_interface(fd, "127.0.0.1"), ==, -EINVAL);
    close(fd);
}

/* An interface that knows groups of IPv6, which the loopback does not, and its address there. */
static bool find_interface(char name[IF_NAMESIZE], char address[INET6_ADDRSTRLEN])
{
    struct ifaddrs *all, *i;
    bool found = false;

    CHECK_INT(getifaddrs(&all), ==, 0);
    for (i = all; i && !found; i = i->ifa_next) {
        const struct sockaddr_in6 *own = (const struct sockaddr_in6 *)i->ifa_addr;

        if (!own || own->sin6_family != AF_INET6 || !IN6_IS_ADDR_LINKLOCAL(&own->sin6_addr) ||
            !(i->ifa_flags & IFF_UP) || !(i->ifa_flags & IFF_MULTICAST))
            continue;
        snprintf(name, IF_NAMESIZE, "%s", i->ifa_name);
        CHECK(inet_ntop(AF_INET6, &own->sin6_addr, address, INET6_ADDRSTRLEN));
        found = true;
    }
    freeifaddrs(all);
    return found;
}

/* Groups of ff01::/16 are local to a machine: neither their datagrams nor reports of their members are sent out. */
TEST(groups_of_ipv6)
{
    int port, unused, fd = any_socket(AF_INET6, &port), from = any_socket(AF_INET6, &unused);
    char name[IF_NAMESIZE], own[INET6_ADDRSTRLEN];

    if (!find_interface(name, own))
        SKIP("no interface knows groups of IPv6");
    CHECK_INT(rp_udp_set_multicast_interface(from, name), ==, 0);
    CHECK_INT(rp_udp_join(fd, "ff01::77", NULL, name), ==, 0);
    send_to_six(from, "ff01::77", port, 'a');
    CHECK_INT(next_byte(fd), ==, 'a');
    CHECK_INT(rp_udp_leave(fd, "ff01::77", NULL, name), ==, 0);

    CHECK_INT(rp_udp_join(fd, "ff01::77", "::2", name), ==, 0); /* who does not send */
    send_to_six(from, "ff01::77", port, 'b');
    CHECK_INT(rp_udp_join(fd, "ff01::77", own, name), ==, 0);
    send_to_six(from, "ff01::77", port, 'c');
    CHECK_INT(next_byte(fd), ==, 'c');

    CHECK_INT(rp_udp_set_multicast_loop(from, false), ==, 0);
    send_to_six(from, "ff01::77", port, 'd');
    CHECK_INT(rp_udp_set_multicast_loop(from, true), ==, 0);
    send_to_six(from, "ff01::77", port, 'e');
    CHECK_INT(next_byte(fd), ==, 'e');
    close(fd);
    close(from);
}

/* One call sends five datagrams, and one receives as many as the kernel has put together: all bytes come, in order. */
TEST(datagrams_of_one_size_as_one)
{
    static char sent[4500], received[65536];
    size_t room[RP_UDP_SEGMENT_ROOM / sizeof(size_t)];
    struct iovec vector = {.iov_base = sent, .iov_len = sizeof sent};
    int port, fd = any_socket(AF_INET, &port), unused, from = any_socket(AF_INET, &unused);
    struct sockaddr_in address = loopback(port);
    struct msghdr message = {
        .msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &vector, .msg_iovlen = 1};
    size_t total = 0;

    if (rp_udp_set_gro(fd, true) == -ENOTSUP)
        SKIP("the kernel has no GRO for UDP");
    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (char)(i * 7 + i / 251);
    CHECK_INT(rp_udp_put_segment(&message, room, -1), ==, -EINVAL);
    CHECK_INT(rp_udp_put_segment(&message, room, 65536), ==, -EINVAL);
    CHECK_INT(rp_udp_put_segment(&message, room, 1000), ==, 0);
    CHECK_INT(sendmsg(from, &message, 0), ==, sizeof sent);
    while (total < sizeof sent) {
        vector = (struct iovec){.iov_base = received + total, .iov_len = sizeof received - total};
        message = (struct msghdr){
            .msg_iov = &vector, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
        ssize_t n = recvmsg(fd, &message, 0);
        CHECK_INT(n, >, 0);
        CHECK(n <= 1000 ? rp_udp_segment(&message) == 0 || n == rp_udp_segment(&message)
                        : rp_udp_segment(&message) == 1000);
        total += (size_t)n;
    }
    CHECK(memcmp(sent, received, sizeof sent) == 0);

    /* Of the socket, not the message; and without GRO each comes by itself. */
    CHECK_INT(rp_udp_set_gro(fd, false), ==, 0);
    CHECK_INT(rp_udp_set_gso(from, 2000), ==, 0);
    CHECK_INT(sendto(from, sent, sizeof sent, 0, (struct sockaddr *)&address, sizeof address), ==, sizeof sent);
    CHECK_INT(recv(fd, received, sizeof received, 0), ==, 2000);
    CHECK_INT(recv(fd, received, sizeof received, 0), ==, 2000);
    CHECK_INT(recv(fd, received, sizeof received, 0), ==, 500);
    CHECK_INT(rp_udp_set_gso(from, 0), ==, 0);
    CHECK_INT(sendto(from, sent, sizeof sent, 0, (struct sockaddr *)&address, sizeof address), ==, sizeof sent);
    CHECK_INT(recv(fd, received, sizeof received, 0), ==, sizeof sent);

    vector = (struct iovec){.iov_base = received, .iov_len = sizeof received};
    message = (struct msghdr){.msg_iov = &vector, .msg_iovlen = 1};
    CHECK_INT(rp_udp_put_segment(&message, room, 0), ==, 0);
    CHECK(!message.msg_control);
    CHECK_INT(rp_udp_segment(&message), ==, 0); /* no control message at all */
    close(fd);
    close(from);
}

TEST(what_is_neither_of_ipv4_nor_of_ipv6)
{
    int fds[2];

    unix_pair(fds);
    CHECK_INT(rp_udp_set_ttl(fds[0], 1), ==, -EAFNOSUPPORT);
    CHECK_INT(rp_udp_set_multicast_ttl(fds[0], 1), ==, -EAFNOSUPPORT);
    CHECK_INT(rp_udp_set_multicast_interface(fds[0], "lo"), ==, -EAFNOSUPPORT);
    close_pair(fds);
}

#endif
