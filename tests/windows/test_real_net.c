/*
 * test_real_net.c - what a real Windows alone shows of the network: its Unix sockets, and what its TCP and UDP do.
 */
#include <stdio.h>

#include "base/socket.h"
#include "harness/service.h"
#include "harness/support.h"
#include "net/socket_file.h"

/* ---- Unix sockets ---- */

/* The letters are of several scripts: no code page has all of them. */
#define UNIX_PATH "ringport-stra\u00dfe-\u043f\u0443\u0442\u044c-\u65e5\u672c.sock"
#define WIDE_PATH L"ringport-stra\u00dfe-\u043f\u0443\u0442\u044c-\u65e5\u672c.sock"

static bool exists(void)
{
    return GetFileAttributesW(WIDE_PATH) != INVALID_FILE_ATTRIBUTES;
}

static void connect_once(rp_loop *loop, service *s)
{
    rp_future *future;

    CHECK_INT(rp_create_unix_connection(loop, service_factory, s, UNIX_PATH, 0, &future), ==, 0);
    CHECK_INT(rp_run_until_complete(loop, future), ==, 0);
    rp_transport_close(rp_future_value(future));
    rp_future_unref(future);
    RUN_UNTIL(loop, s->made == 2 && s->lost == 2);
}

TEST(a_unix_server_takes_over_a_stale_socket_with_a_path_in_utf8)
{
    test_need_real_windows("there are no Unix sockets");
    rp_loop *loop = wire_loop();
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = UNIX_PATH};
    service s = {0};
    rp_server *server;
    int stale;

    DeleteFileW(WIDE_PATH);
    stale = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_INT(bind(stale, (struct sockaddr *)&address, sizeof address), ==, 0);
    close(stale);
    printf("# the file of a stale socket: attributes 0x%lx\n", GetFileAttributesW(WIDE_PATH));
    CHECK(exists());
    CHECK_INT(rp_create_unix_server(loop, service_factory, &s, UNIX_PATH, 0, NULL, &server), ==, 0);
    CHECK(exists());
    connect_once(loop, &s);
    rp_server_free(server);
    CHECK(!exists());
    wire_settle(loop);
    rp_loop_free(loop);
}

TEST(what_winsock_says_where_there_is_no_socket)
{
    test_need_real_windows("there are no Unix sockets");
    rp_loop *loop = wire_loop();
    rp_proactor *port = open_port();
    service s = {0};
    rp_server *server;
    rp_future *future;
    struct sockaddr_un abstract = {.sun_family = AF_UNIX, .sun_path = "\0ringport"};
    rp_op op;
    int rc, fd = socket(AF_UNIX, SOCK_STREAM, 0);

    DeleteFileW(WIDE_PATH);
    CHECK_INT(rp_create_unix_connection(loop, service_factory, &s, UNIX_PATH, 0, &future), ==, 0);
    rc = rp_run_until_complete(loop, future);
    rp_future_unref(future);
    printf("# connecting to a path where nothing is: %s\n", rp_errname(rc));
    CHECK_INT(rc, <, 0);
    rc = rp_create_unix_server(loop, service_factory, &s, "nowhere/at/all", 0, NULL, &server);
    printf("# binding to a path in no directory: %s\n", rp_errname(rc));
    CHECK_INT(rc, <, 0);
    printf("# binding to an abstract name: %d, error %d\n",
           (bind)(fd, (struct sockaddr *)&abstract, offsetof(struct sockaddr_un, sun_path) + 9),
           WSAGetLastError());
    CHECK_INT(rp_create_unix_server(loop, service_factory, &s, "\0ringport", 9, NULL, &server), ==, -ENOTSUP);
    rp_op_connect(&op, fd, (struct sockaddr *)&abstract, offsetof(struct sockaddr_un, sun_path) + 9, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -ENOTSUP);
    close(fd);
    rp_proactor_close(port);
    rp_loop_free(loop);
}
