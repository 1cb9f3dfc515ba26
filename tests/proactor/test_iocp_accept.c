/*
 * test_iocp_accept.c - a socket is ready before a connection comes for it: what becomes of both when accepting ends.
 */
#include "proactor/iocp_accept.h"
#include "harness/support.h"

/* How many connections have come for an accept: their packets are in the port. */
static int count_accepted(rp_op *op)
{
    iocp_accept_parts *parts = iocp_extra_of(op)->u.accept.parts;
    int count = 0;

    if (op->kind == RP_OP_ACCEPT)
        return HasOverlappedIoCompleted(&iocp_extra_of(op)->overlapped);
    for (int k = 0; k < IOCP_ACCEPTS; k++)
        count += parts->ops[k].state == RP_OP_SUBMITTED &&
                 HasOverlappedIoCompleted(&iocp_extra_of(&parts->ops[k])->overlapped);
    return count;
}

static void await_accepted(rp_op *op, int count)
{
    while (count_accepted(op) < count)
        Sleep(1);
}

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
        await_accepted(&op, 1);
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

/* The closed listener's number may be the next one's at once. What comes for that one is not for the old accept. */
TEST(stopped_serving_before_another_serves)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address;
    int reused = 0, others[2];
    rp_op op, other;

    for (int i = 0; i < 20; i++) {
        int listener = listen_tcp(&address);

        rp_op_accept_multi(&op, listener, NULL, NULL);
        submit(port, &op);
        int client = connect_tcp(&address);
        await_accepted(&op, 1);
        close(listener);
        int next = listen_tcp(&address);
        reused += next == listener;
        rp_op_accept(&other, next, NULL, NULL, NULL, NULL);
        submit(port, &other);
        for (int k = 0; k < 2; k++)
            others[k] = connect_tcp(&address);
        await_accepted(&other, 1);
        int64_t fd = next_completion(port, &op).result;
        CHECK_INT(fd, >=, 0);
        CHECK(says_hello((int)fd, client));
        close((int)fd);
        close(client);
        CHECK_INT(finish(port, &op), ==, -EBADF);
        for (int k = 0; k < 2; k++) {
            if (k == 1)
                submit(port, &other);
            fd = finish(port, &other);
            CHECK_INT(fd, >=, 0);
            CHECK(says_hello((int)fd, others[k]));
            close((int)fd);
            close(others[k]);
        }
        close(next);
    }
    CHECK_INT(reused, >, 0);
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
    await_accepted(&op, 1);
    rp_proactor_cancel(port, &op);
    int64_t fd = finish(port, &op);
    CHECK_INT(fd, >=, 0);
    CHECK(says_hello((int)fd, client));
    close((int)fd);
    close(client);
    close(listener);
    rp_proactor_close(port);
}

/* ---- many at a time ---- */

enum { CLIENTS = 20 };

static void connect_all(const struct sockaddr_in *address, int *clients)
{
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = connect_tcp(address);
}

/*
 * More connections come about than the backlog holds, while nobody waits on the port; and they are delivered in their
 * order.
 */
TEST(many_are_accepted_while_nobody_looks)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address, own, peer;
    int listener = bound_tcp(&address), clients[CLIENTS];
    rp_completion completion;
    rp_op op;

    CHECK_INT(listen(listener, 1), ==, 0);
    rp_op_accept_multi(&op, listener, NULL, NULL);
    submit(port, &op);
    for (int round = 0; round < 3; round++) { /* each is begun again */
        connect_all(&address, clients);
        await_accepted(&op, CLIENTS);
        for (int i = 0; i < CLIENTS; i++) {
            socklen_t length = sizeof own;

            completion = next_completion(port, &op);
            CHECK_INT(completion.result, >=, 0);
            CHECK_INT(completion.flags, ==, RP_OP_MORE);
            CHECK_INT(getsockname(clients[i], (struct sockaddr *)&own, &length), ==, 0);
            CHECK_INT(getpeername((int)completion.result, (struct sockaddr *)&peer, &length), ==, 0);
            CHECK_INT(own.sin_port, ==, peer.sin_port);
            CHECK(says_hello((int)completion.result, clients[i]));
            close((int)completion.result);
            close(clients[i]);
        }
    }
    cancel_and_finish(port, &op);
    CHECK_INT(port->in_flight, ==, 0);
    close(listener);
    rp_proactor_close(port);
}

/* Those that have come when it is cancelled, or its listener closed, are delivered, and its end comes last. */
TEST(none_of_many_is_lost)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address;
    rp_completion completion;
    int clients[CLIENTS];
    rp_op op;

    for (int closes = 0; closes < 2; closes++) {
        int listener = listen_tcp(&address);

        rp_op_accept_multi(&op, listener, NULL, NULL);
        submit(port, &op);
        connect_all(&address, clients);
        await_accepted(&op, CLIENTS);
        if (closes)
            close(listener);
        else
            rp_proactor_cancel(port, &op);
        for (int i = 0; i < CLIENTS; i++) {
            completion = next_completion(port, &op);
            CHECK_INT(completion.result, >=, 0);
            CHECK_INT(completion.flags, ==, RP_OP_MORE);
            CHECK(says_hello((int)completion.result, clients[i]));
            close((int)completion.result);
            close(clients[i]);
        }
        CHECK_INT(finish(port, &op), ==, closes ? -EBADF : -ECANCELED);
        CHECK_INT(port->in_flight, ==, 0);
        CHECK_INT(collect_once(port, 0), ==, 0);
        if (!closes)
            close(listener);
    }
    rp_proactor_close(port);
}

/* Those that nobody has taken when the proactor is closed are closed with it. */
TEST(none_of_many_is_left_behind)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address;
    int listener = listen_tcp(&address), clients[CLIENTS];
    char byte;
    rp_op op;

    rp_op_accept_multi(&op, listener, NULL, NULL);
    submit(port, &op);
    connect_all(&address, clients);
    await_accepted(&op, CLIENTS);
    rp_proactor_close(port);
    for (int i = 0; i < CLIENTS; i++) {
        CHECK_INT(recv(clients[i], &byte, 1, 0), <=, 0);
        close(clients[i]);
    }
    close(listener);
}

TEST(without_memory_it_does_not_begin)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address;
    int listener = listen_tcp(&address);
    rp_op op;

    rp_op_accept(&op, listener, NULL, NULL, NULL, NULL); /* so that the listener is known */
    submit(port, &op);
    cancel_and_finish(port, &op);
    rp_op_accept_multi(&op, listener, NULL, NULL);
    test_fail_allocation(1);
    submit(port, &op);
    test_fail_allocation(0);
    CHECK_INT(finish(port, &op), ==, -ENOMEM);
    submit(port, &op);
    close(connect_tcp(&address));
    int64_t fd = next_completion(port, &op).result;
    CHECK_INT(fd, >=, 0);
    close((int)fd);
    rp_proactor_close(port);
    close(listener);
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

/* ---- accepts that fail ---- */

static LPFN_ACCEPTEX real_accept;
static HANDLE its_port;
static OVERLAPPED *waiting; /* the last accept that was begun, and waits for a test to end it */
static int to_wait;         /* accepts that are to */
static int error;           /* with which others fail at once; 0: they do not */
static int to_pass;         /* how many do not fail before that */
static int to_fail;         /* how many do */

static void post_status(OVERLAPPED *overlapped, NTSTATUS status)
{
    overlapped->Internal = (ULONG_PTR)(LONG_PTR)status;
    CHECK(PostQueuedCompletionStatus(its_port, 0, IOCP_KEY_OP, overlapped));
}

static PASCAL WINBOOL own_accept(SOCKET listener, SOCKET socket, void *sink, DWORD room, DWORD local, DWORD remote,
                                 DWORD *length, OVERLAPPED *overlapped)
{
    if (to_wait == 0 && error != 0 && (to_pass == 0 || to_pass-- == 0) && to_fail > 0) {
        to_fail--;
        WSASetLastError(error);
        return FALSE;
    }
    if (to_wait == 0)
        return real_accept(listener, socket, sink, room, local, remote, length, overlapped);
    to_wait--;
    waiting = overlapped;
    overlapped->Internal = 0x103; /* STATUS_PENDING */
    WSASetLastError(WSA_IO_PENDING);
    return FALSE;
}

static rp_proactor *open_with_accept(void)
{
    rp_proactor *port = open_port();
    iocp *i = (iocp *)port;

    real_accept = i->accept;
    i->accept = own_accept;
    its_port = i->port;
    return port;
}

/* Statuses of a connection that has come to nothing. */
static const uint32_t failures[] = {
    0xC000020D, /* CONNECTION_RESET */
    0xC000020C, /* CONNECTION_DISCONNECTED */
    0xC0000241, /* CONNECTION_ABORTED */
    0xC000013B, /* LOCAL_DISCONNECT */
    0xC000013C, /* REMOTE_DISCONNECT */
    0xC0000237, /* GRACEFUL_DISCONNECT */
    0xC00000D6, /* VIRTUAL_CIRCUIT_CLOSED */
    0xC0000140, /* INVALID_CONNECTION */
    0xC000023A, /* CONNECTION_INVALID */
    0xC00000B5, /* IO_TIMEOUT */
    0xC000013F, /* LINK_TIMEOUT */
    0xC000013E, /* LINK_FAILED */
    0xC000023C, /* NETWORK_UNREACHABLE */
    0xC000023D, /* HOST_UNREACHABLE */
    0xC000A012, /* HOPLIMIT_EXCEEDED */
};

enum { FAILURES = sizeof failures / sizeof *failures };

/* A connection that fails before it is accepted says nothing about the listener, however it has failed. */
TEST(accept_survives_failures_of_connections)
{
    rp_proactor *port = open_with_accept();
    struct sockaddr_in address;
    int listener = listen_tcp(&address);
    rp_op op;

    for (int k = 0; k < 2 * FAILURES; k++) {
        if (k & 1)
            rp_op_accept_multi(&op, listener, NULL, NULL);
        else
            rp_op_accept(&op, listener, NULL, NULL, NULL, NULL);
        to_wait = 1;
        submit(port, &op);
        post_status(waiting, (NTSTATUS)failures[k / 2]);
        CHECK_INT(collect_once(port, 0), ==, 0);
        int client = connect_tcp(&address);
        int64_t fd = next_completion(port, &op).result;
        CHECK_INT(fd, >=, 0);
        CHECK(says_hello((int)fd, client));
        close((int)fd);
        close(client);
        if (k & 1)
            cancel_and_finish(port, &op);
        CHECK_INT(port->in_flight, ==, 0);
    }
    close(listener);
    rp_proactor_close(port);
}

/* A connection that fails when its accept has been cancelled was nobody's. */
TEST(cancelled_accept_of_a_failed_connection_is_cancelled)
{
    rp_proactor *port = open_with_accept();
    struct sockaddr_in address;
    int listener = listen_tcp(&address);
    rp_op op;

    for (int k = 0; k < 2 * FAILURES; k++) {
        if (k & 1)
            rp_op_accept_multi(&op, listener, NULL, NULL);
        else
            rp_op_accept(&op, listener, NULL, NULL, NULL, NULL);
        to_wait = 1;
        submit(port, &op);
        rp_proactor_cancel(port, &op);
        post_status(waiting, (NTSTATUS)failures[k / 2]);
        CHECK_INT(finish(port, &op), ==, -ECANCELED);
        CHECK_INT(port->in_flight, ==, 0);
    }
    close(listener);
    rp_proactor_close(port);
}

/* What fails otherwise is the listener: it ends with that, once, and none of its parts goes on. */
TEST(accept_ends_with_a_failure_of_its_listener)
{
    rp_proactor *port = open_with_accept();
    struct sockaddr_in address;
    int listener = listen_tcp(&address);
    rp_op op;

    for (int multi = 0; multi < 2; multi++) {
        if (multi)
            rp_op_accept_multi(&op, listener, NULL, NULL);
        else
            rp_op_accept(&op, listener, NULL, NULL, NULL, NULL);
        to_wait = 1;
        submit(port, &op);
        post_status(waiting, (NTSTATUS)0xC000009A); /* INSUFFICIENT_RESOURCES */
        CHECK_INT(finish(port, &op), ==, -ENOMEM);
        CHECK_INT(port->in_flight, ==, 0);
        CHECK_INT(collect_once(port, 0), ==, 0);
    }
    close(listener);
    rp_proactor_close(port);
}

/* A peer may have left before its accept is begun, which tells so at once. */
TEST(accept_passes_over_who_has_left)
{
    rp_proactor *port = open_with_accept();
    struct sockaddr_in address;
    int listener = listen_tcp(&address);
    rp_op op;

    for (int multi = 0; multi < 2; multi++) {
        if (multi)
            rp_op_accept_multi(&op, listener, NULL, NULL);
        else
            rp_op_accept(&op, listener, NULL, NULL, NULL, NULL);
        error = WSAECONNRESET;
        to_fail = 3;
        submit(port, &op);
        CHECK_INT(to_fail, ==, 0);
        int client = connect_tcp(&address);
        int64_t fd = next_completion(port, &op).result;
        CHECK_INT(fd, >=, 0);
        CHECK(says_hello((int)fd, client));
        close((int)fd);
        close(client);
        if (multi)
            cancel_and_finish(port, &op);
    }
    close(listener);
    rp_proactor_close(port);
}

TEST(accept_that_cannot_begin_says_why)
{
    rp_proactor *port = open_with_accept();
    struct sockaddr_in address;
    int listener = listen_tcp(&address);
    rp_op op;

    error = WSAENOBUFS;
    for (int multi = 0; multi < 2; multi++) {
        if (multi)
            rp_op_accept_multi(&op, listener, NULL, NULL);
        else
            rp_op_accept(&op, listener, NULL, NULL, NULL, NULL);
        to_fail = 1;
        submit(port, &op);
        CHECK_INT(finish(port, &op), ==, -ENOBUFS);
        CHECK_INT(port->in_flight, ==, 0);
    }
    close(listener);
    rp_proactor_close(port);
}

static int count_begun(const rp_op *op)
{
    const iocp_accept_parts *parts = iocp_extra_of((rp_op *)op)->u.accept.parts;
    int count = 0;

    for (int k = 0; k < IOCP_ACCEPTS; k++)
        count += parts->ops[k].state == RP_OP_SUBMITTED;
    return count;
}

/* For want of memory one waits alone. The others are begun when there is some; if it cannot go on itself, all ends. */
TEST(accept_goes_on_with_what_could_be_begun)
{
    rp_proactor *port = open_with_accept();
    struct sockaddr_in address;
    int listener = listen_tcp(&address);
    rp_completion completion;
    rp_op op;

    for (int ends = 0; ends < 2; ends++) {
        rp_op_accept_multi(&op, listener, NULL, NULL);
        error = WSAENOBUFS;
        to_pass = 1;
        to_fail = ends ? 2 : 1;
        submit(port, &op);
        CHECK_INT(count_begun(&op), ==, 1);
        int client = connect_tcp(&address);
        completion = next_completion(port, &op);
        CHECK_INT(completion.result, >=, 0);
        CHECK_INT(completion.flags, ==, RP_OP_MORE);
        CHECK(says_hello((int)completion.result, client));
        close((int)completion.result);
        close(client);
        CHECK_INT(to_fail, ==, 0);
        if (ends) {
            CHECK_INT(finish(port, &op), ==, -ENOBUFS);
        } else {
            CHECK_INT(count_begun(&op), ==, IOCP_ACCEPTS);
            cancel_and_finish(port, &op);
        }
        CHECK_INT(port->in_flight, ==, 0);
    }
    close(listener);
    rp_proactor_close(port);
}

/* ---- a closed listener whose number is another one's ---- */

/* That gets its own connections, and whoever accepts on it. */
static void serves(rp_proactor *port, int listener, const struct sockaddr_in *address)
{
    int client = connect_tcp(address);
    rp_op op;

    rp_op_accept(&op, listener, NULL, NULL, NULL, NULL);
    submit(port, &op);
    int64_t fd = finish(port, &op);
    CHECK_INT(fd, >=, 0);
    CHECK(says_hello((int)fd, client));
    close((int)fd);
    close(client);
}

TEST(accept_of_a_failed_connection_leaves_another_listener_alone)
{
    rp_proactor *port = open_with_accept();
    struct sockaddr_in address;
    int reused = 0;
    rp_op op;

    for (int k = 0; k < 20; k++) {
        int listener = listen_tcp(&address);

        rp_op_accept(&op, listener, NULL, NULL, NULL, NULL);
        to_wait = 1;
        submit(port, &op);
        close(listener);
        int next = listen_tcp(&address);
        reused += next == listener;
        post_status(waiting, (NTSTATUS)failures[0]);
        int64_t result = finish(port, &op);
        CHECK(result == -EBADF || (next != listener && result < 0));
        serves(port, next, &address);
        close(next);
    }
    CHECK_INT(reused, >, 0);
    rp_proactor_close(port);
}

/* No part waits that the close could have ended. */
TEST(accepts_that_are_all_done_leave_another_listener_alone)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address;
    int reused = 0, clients[IOCP_ACCEPTS];
    rp_op op;

    for (int k = 0; k < 5; k++) {
        int listener = listen_tcp(&address);

        rp_op_accept_multi(&op, listener, NULL, NULL);
        submit(port, &op);
        for (int i = 0; i < IOCP_ACCEPTS; i++)
            clients[i] = connect_tcp(&address);
        await_accepted(&op, IOCP_ACCEPTS);
        close(listener);
        int next = listen_tcp(&address);
        reused += next == listener;
        for (int i = 0; i < IOCP_ACCEPTS; i++) {
            rp_completion completion = next_completion(port, &op);

            CHECK_INT(completion.result, >=, 0);
            CHECK(says_hello((int)completion.result, clients[i]));
            close((int)completion.result);
            close(clients[i]);
        }
        int64_t result = finish(port, &op);
        CHECK(result == -EBADF || (next != listener && result < 0));
        serves(port, next, &address);
        close(next);
    }
    CHECK_INT(reused, >, 0);
    rp_proactor_close(port);
}
