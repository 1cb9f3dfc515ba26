/*
 * test_bind.c - sockets that are bound: their ports, the one that keeps a port, local addresses, Unix sockets.
 */
#include <stdio.h>

#include "harness/wire.h"
#include "net/bind.h"

static const rp_server_options defaults;
static const rp_kernel *const kernel = &rp_system_kernel;

static struct addrinfo *numeric(const char *host)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *list;

    CHECK_INT(rp_kernel_start_names(kernel), ==, 0);
    CHECK_INT(getaddrinfo(host, "0", &hints, &list), ==, 0);
    return list;
}

TEST(a_port_replaces_the_address_own)
{
    static const char *const hosts[] = {"127.0.0.1", "::1"};

    for (int i = 0; i < 2; i++) {
        struct addrinfo *info = numeric(hosts[i]);
        struct sockaddr_storage address = {0};
        rp_fd fd, second;
        int port;

        rp_bind_address(info, 0, &address);
        CHECK(memcmp(&address, info->ai_addr, info->ai_addrlen) == 0);
        CHECK_INT(rp_bind_tcp(kernel, info, 0, &defaults, &fd), ==, 0);
        port = rp_bind_port(kernel, fd);
        CHECK_INT(port, >, 0);
        CHECK_INT(rp_kernel_listen(kernel, fd, 1), ==, 0);
        CHECK_INT(rp_bind_tcp(kernel, info, port, &defaults, &second), ==, -EADDRINUSE); /* and leaves none open */
        rp_kernel_close(kernel, fd);
        freeaddrinfo(info);
    }
    CHECK_INT(rp_bind_port(kernel, -1), ==, 0);
}

/* What the options ask of the system: SO_REUSEADDR on POSIX, SO_EXCLUSIVEADDRUSE on Windows, which has it reversed. */
TEST(an_address_is_bound_again_unless_the_options_forbid_it)
{
    struct addrinfo *info = numeric("127.0.0.1");

    for (int strict = 0; strict < 2; strict++) {
        rp_fd fd;

        CHECK_INT(rp_bind_tcp(kernel, info, 0, &(rp_server_options){.no_reuse_address = strict}, &fd), ==, 0);
#ifdef _WIN32
        CHECK_INT(rp_kernel_get_number(kernel, fd, SOL_SOCKET, SO_EXCLUSIVEADDRUSE), ==, strict);
        CHECK_INT(rp_kernel_get_number(kernel, fd, SOL_SOCKET, SO_REUSEADDR), ==, 0);
#else
        CHECK_INT(rp_kernel_get_number(kernel, fd, SOL_SOCKET, SO_REUSEADDR), ==, !strict);
#endif
        rp_kernel_close(kernel, fd);
    }
    freeaddrinfo(info);
}

TEST(a_reserved_port_is_for_those_who_share_it)
{
    struct addrinfo *info = numeric("127.0.0.1");
    rp_server_options sharing = {.reuse_port = true};
    rp_fd reserved, fds[2], other;
    int port, rc = rp_bind_reserve_port(kernel, &reserved, &port);

    if (!kernel->spreads) {
        CHECK_INT(rc, ==, -ENOTSUP);
    } else {
        CHECK_INT(rc, ==, 0);
        CHECK_INT(port, >, 0);
        CHECK_INT(rp_bind_tcp(kernel, info, port, &defaults, &other), ==, -EADDRINUSE);
        for (int i = 0; i < 2; i++)
            CHECK_INT(rp_bind_tcp(kernel, info, port, &sharing, &fds[i]), ==, 0);
        for (int i = 0; i < 2; i++)
            rp_kernel_close(kernel, fds[i]);
        rp_kernel_close(kernel, reserved);
    }
    freeaddrinfo(info);
}

TEST(the_first_address_of_a_family_that_can_be_had_is_taken)
{
    struct addrinfo *four = numeric("127.0.0.9"), *six = numeric("::1"), *foreign = numeric("192.0.2.1");
    struct sockaddr_in name;
    uint32_t length = sizeof name;
    rp_fd fd;

    foreign->ai_next = six;
    CHECK_INT(rp_kernel_open(kernel, AF_INET, SOCK_STREAM, 0, &fd), ==, 0);
    CHECK_INT(rp_bind_first(kernel, fd, AF_INET, six), ==, -EADDRNOTAVAIL);
    CHECK_INT(rp_bind_first(kernel, fd, AF_INET, foreign), ==, -EADDRNOTAVAIL);
    six->ai_next = four;
    CHECK_INT(rp_bind_first(kernel, fd, AF_INET, foreign), ==, 0);
    CHECK_INT(rp_kernel_name(kernel, fd, (struct sockaddr *)&name, &length), ==, 0);
    CHECK_INT(ntohl(name.sin_addr.s_addr), ==, 0x7f000009);
    rp_kernel_close(kernel, fd);
    foreign->ai_next = six->ai_next = NULL;
    freeaddrinfo(four);
    freeaddrinfo(six);
    freeaddrinfo(foreign);
}

TEST(a_unix_socket_is_told_by_its_file)
{
    test_need_unix_sockets();
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    rp_socket_file file = {0}, none = {0};
    rp_fd fd, second, third;

    snprintf(address.sun_path, sizeof address.sun_path, TEST_TMP "/ringport-bind-%d", (int)getpid());
    CHECK_INT(rp_bind_unix(kernel, &address, sizeof address, &fd, &file), ==, 0);
    CHECK(file.inode != 0);
    CHECK_INT(rp_bind_port(kernel, fd), ==, 0);
    /* One that lies there is removed first: the file is another one then. */
    CHECK_INT(rp_bind_unix(kernel, &address, sizeof address, &second, &none), ==, 0);
    rp_socket_file_remove(address.sun_path, &file);
    CHECK_INT(access(address.sun_path, F_OK), ==, 0);
    rp_socket_file_remove(address.sun_path, &none);
    CHECK_INT(access(address.sun_path, F_OK), ==, -1);
    snprintf(address.sun_path, sizeof address.sun_path, "/nowhere/at/all");
#ifdef _WIN32 /* which tells another error */
    CHECK_INT(rp_bind_unix(kernel, &address, sizeof address, &third, &none), <, 0);
#else
    CHECK_INT(rp_bind_unix(kernel, &address, sizeof address, &third, &none), ==, -ENOENT);
#endif
    rp_kernel_close(kernel, second);
    rp_kernel_close(kernel, fd);
}
