/*
 * test_iocp_accept.c - a socket is ready before a connection comes for it: what becomes of both when accepting ends.
 */
#include "proactor/iocp_port.h"
#include "harness/support.h"

/* ---- stopped_serving: a listener that is closed while an accept is pending ---- */

TEST(stopped_serving)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address;
    rp_op op;

    for (int i = 0; i < 4; i++) {
        int listener = listen_tcp(&address);

        if (i & 1)
            rp_op_accept_multi(&op, listener, NULL, NULL);
        else
            rp_op_accept(&op, listener, NULL, NULL, NULL, NULL);
        submit(port, &op);
        if (i & 2)
            stays_quiet(port);
        close(listener);
        CHECK_INT(finish(port, &op), ==, -EBADF);
        CHECK_INT(port->in_flight, ==, 0);
    }
    rp_proactor_close(port);
}

/* Until the connection has come: its packet is in the port, then. */
static void await_accepted(rp_op *op)
{
    while (!HasOverlappedIoCompleted(&iocp_extra_of(op)->overlapped))
        Sleep(1);
}

static bool says_hello(int fd, int client)
{
    char bytes[5];

    CHECK_INT(write(client, "hello", 5), ==, 5);
    while (recv(fd, bytes, 5, MSG_PEEK) != 5)
        Sleep(1);
    return read(fd, bytes, 5) == 5 && write(fd, bytes, 5) == 5;
}

/* What had been accepted by then is delivered, and is a connection. */
TEST(stopped_serving_with_connection)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address;
    rp_completion completion;
    rp_op op;

    for (int i = 0; i < 2; i++) {
        int listener = listen_tcp(&address);

        if (i & 1)
            rp_op_accept_multi(&op, listener, NULL, NULL);
        else
            rp_op_accept(&op, listener, NULL, NULL, NULL, NULL);
        submit(port, &op);
        int client = connect_tcp(&address);
        await_accepted(&op);
        close(listener);
        completion = next_completion(port, &op);
        CHECK_INT(completion.result, >=, 0);
        CHECK(says_hello((int)completion.result, client));
        close((int)completion.result);
        close(client);
        if (completion.flags & RP_OP_MORE)
            CHECK_INT(finish(port, &op), <, 0);
        CHECK_INT(port->in_flight, ==, 0);
    }
    rp_proactor_close(port);
}

/* An accept that is cancelled when a connection has come already ends with it. */
TEST(cancelled_accept_keeps_connection)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address;
    int listener = listen_tcp(&address);
    rp_op op;

    rp_op_accept(&op, listener, NULL, NULL, NULL, NULL);
    submit(port, &op);
    int client = connect_tcp(&address);
    await_accepted(&op);
    rp_proactor_cancel(port, &op);
    int64_t fd = finish(port, &op);
    CHECK_INT(fd, >=, 0);
    CHECK(says_hello((int)fd, client));
    close((int)fd);
    close(client);
    close(listener);
    rp_proactor_close(port);
}

/* Peers that give up while they wait to be accepted do not end it. */
TEST(accept_survives_resets)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address;
    int listener = listen_tcp(&address);
    rp_completion completion;
    rp_op op;

    for (int i = 0; i < 10; i++)
        close_with_reset(connect_tcp(&address));
    rp_op_accept_multi(&op, listener, NULL, NULL);
    submit(port, &op);
    for (int i = 0; i < 10; i++)
        close_with_reset(connect_tcp(&address));
    int client = connect_tcp(&address);
    struct sockaddr_in own, peer;
    socklen_t length = sizeof own;
    CHECK_INT(getsockname(client, (struct sockaddr *)&own, &length), ==, 0);
    for (int i = 0; i < 21; i++) { /* some of the others may be delivered, and be found to have ended */
        completion = next_completion(port, &op);
        CHECK_INT(completion.result, >=, 0);
        CHECK_INT(completion.flags, ==, RP_OP_MORE);
        length = sizeof peer;
        if (getpeername((int)completion.result, (struct sockaddr *)&peer, &length) == 0 &&
            peer.sin_port == own.sin_port) {
            CHECK(says_hello((int)completion.result, client));
            close((int)completion.result);
            break;
        }
        close((int)completion.result);
        CHECK_INT(i, <, 20);
    }
    cancel_and_finish(port, &op);
    close(client);
    close(listener);
    rp_proactor_close(port);
}
