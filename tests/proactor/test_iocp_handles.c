/*
 * test_iocp_handles.c - a handle is associated with one port, once: numbers used again, handles that are closed.
 */
#include <wchar.h>

#include "proactor/iocp_port.h"
#include "ringport/net.h"
#include "harness/support.h"

/* Sends until the peer's buffers are full, too: the system moves on what it has taken. */
static void fill_up(int fd)
{
    for (int quiet = 0; quiet < 10; quiet++) {
        if (fill(fd) > 0)
            quiet = 0;
        Sleep(2);
    }
}

/* A receive of one byte that gets it. */
static void try_recv(rp_proactor *port, int fd, int peer)
{
    char byte = 0;
    rp_op op;

    rp_op_recv(&op, fd, &byte, 1, 0, NULL, NULL);
    submit(port, &op);
    CHECK_INT(write(peer, "x", 1), ==, 1);
    CHECK_INT(finish(port, &op), ==, 1);
    CHECK_INT(byte, ==, 'x');
}

/* ---- cache: operations by their OVERLAPPED ---- */

TEST(cache)
{
    enum { COUNT = 200 };
    rp_proactor *port = open_port();
    static rp_op ops[COUNT];
    char bytes[COUNT], data[COUNT];
    int fds[2];

    nonblocking_pair(fds);
    for (int i = 0; i < COUNT; i++) {
        data[i] = (char)i;
        rp_op_recv(&ops[i], fds[0], &bytes[i], 1, 0, NULL, NULL);
        submit(port, &ops[i]);
    }
    for (int i = 0; i < COUNT; i += 3)
        rp_proactor_cancel(port, &ops[i]);
    for (int i = 0; i < COUNT; i += 3)
        CHECK_INT(finish(port, &ops[i]), ==, -ECANCELED);
    CHECK_INT(write(fds[1], data, COUNT), ==, COUNT);
    for (int i = 0, next = 0; i < COUNT; i++)
        if (i % 3 != 0) {
            CHECK_INT(finish(port, &ops[i]), ==, 1);
            CHECK_INT(bytes[i], ==, data[next++]); /* in order, too */
        }
    CHECK_INT(port->in_flight, ==, 0);
    close_pair(fds);
    rp_proactor_close(port);
}

/* ---- registered: a handle is associated once ---- */

TEST(registered_once)
{
    rp_proactor *port = open_port();
    HANDLE own = ((iocp *)port)->port;
    int fds[2];

    nonblocking_pair(fds);
    for (int i = 0; i < 3; i++) {
        try_recv(port, fds[0], fds[1]);
        CHECK(CreateIoCompletionPort((HANDLE)(intptr_t)fds[0], own, 0, 0) == NULL);
        CHECK_INT(GetLastError(), ==, ERROR_INVALID_PARAMETER);
    }
    close_pair(fds);
    rp_proactor_close(port);
}

/* The number of a handle that was closed comes back for another one: it is associated anew. */
TEST(registered_anew)
{
    rp_proactor *port = open_port();
    int fds[2], first = -1, seen = 0;
    rp_op op;

    for (int i = 0; i < 50; i++) {
        nonblocking_pair(fds);
        if (first < 0)
            first = fds[0];
        seen += fds[0] == first || fds[1] == first;
        try_recv(port, fds[0], fds[1]);
        try_recv(port, fds[1], fds[0]);
        if (i % 2) {
            close(fds[0]);
        } else {
            rp_op_close(&op, fds[0], NULL, NULL);
            CHECK_INT(perform(port, &op), ==, 0);
        }
        close(fds[1]);
    }
    CHECK_INT(seen, >, 1);
    rp_proactor_close(port);
}

static HANDLE open_program(DWORD flags)
{
    wchar_t program[MAX_PATH];

    CHECK_INT(GetModuleFileNameW(NULL, program, MAX_PATH), >, 0);
    HANDLE file = CreateFileW(program, GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, flags, NULL);
    CHECK(file != INVALID_HANDLE_VALUE);
    return file;
}

/* The same, with a handle that cannot be associated at all. */
TEST(registered_anew_as_something_else)
{
    enum { FILES = 40 };
    rp_proactor *port = open_port();
    HANDLE files[FILES];
    int fds[2], count = 0;
    char byte;
    rp_op op;

    nonblocking_pair(fds);
    try_recv(port, fds[0], fds[1]);
    close_pair(fds);
    do
        files[count] = open_program(0);
    while ((intptr_t)files[count++] != fds[0] && count < FILES);
    CHECK_INT((intptr_t)files[count - 1], ==, fds[0]);
    rp_op_read(&op, fds[0], &byte, 1, 0, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 1);
    CHECK_INT(byte, ==, 'M'); /* as all programs begin */
    while (count-- > 0)
        CloseHandle(files[count]);
    rp_proactor_close(port);
}

/* What belongs to another port is refused: its completions would never come. */
TEST(registered_elsewhere)
{
    rp_proactor *port = open_port(), *other = open_port();
    char byte;
    int fds[2];
    rp_op op;

    nonblocking_pair(fds);
    try_recv(port, fds[0], fds[1]);
    rp_op_recv(&op, fds[0], &byte, 1, 0, NULL, NULL);
    CHECK_INT(perform(other, &op), ==, -EBUSY);
    rp_op_poll(&op, fds[0], RP_POLL_OUT, NULL, NULL); /* this is the driver's, and the send nobody's */
    CHECK_INT(perform(other, &op), ==, RP_POLL_OUT);
    rp_op_send(&op, fds[0], "x", 1, 0, NULL, NULL);
    CHECK_INT(perform(other, &op), ==, 1);
    try_recv(port, fds[0], fds[1]);
    close_pair(fds);
    rp_proactor_close(other);
    rp_proactor_close(port);
}

/* A file of another port's has the number of one that was closed: what is done with it comes back all the same. */
TEST(registered_elsewhere_with_an_old_number)
{
    enum { FILES = 40 };
    rp_proactor *port = open_port(), *other = open_port();
    HANDLE files[FILES], old = open_program(FILE_FLAG_OVERLAPPED);
    int count = 0;
    char byte;
    rp_op op;

    rp_op_read(&op, (rp_fd)old, &byte, 1, 0, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 1);
    CloseHandle(old);
    do
        files[count] = open_program(FILE_FLAG_OVERLAPPED);
    while (files[count++] != old && count < FILES);
    CHECK(files[count - 1] == old);
    CHECK_INT(perform(other, &op), ==, 1);
    byte = 0;
    submit(port, &op);
    stays_quiet(port);
    CHECK_INT(collect_once(other, rp_monotonic() + RP_MSEC(50)), ==, 0);
    CHECK_INT(finish(port, &op), ==, 1);
    CHECK_INT(byte, ==, 'M');
    CHECK_INT(port->in_flight + other->in_flight, ==, 0);
    while (count-- > 0)
        CloseHandle(files[count]);
    rp_proactor_close(other);
    rp_proactor_close(port);
}

/* ---- what transports, servers and attempts to connect have closed is known no more ---- */

static const rp_protocol silent;

static int make_silent(void *arg, const rp_protocol **protocol, void **self)
{
    *protocol = &silent;
    return 0;
}

static void turn_until_closed(rp_loop *loop, int fd)
{
    DWORD flags;

    while (GetHandleInformation((HANDLE)(intptr_t)fd, &flags)) {
        rp_loop_stop(loop);
        CHECK_INT(rp_run_forever(loop), ==, 0);
    }
}

static int close_by_transport(rp_loop *loop)
{
    rp_transport *transport;
    int fds[2];

    tcp_pair(fds);
    CHECK_INT(rp_connect_accepted_socket(loop, fds[0], &silent, NULL, &transport), ==, 0);
    rp_transport_abort(transport);
    turn_until_closed(loop, fds[0]);
    close(fds[1]);
    return fds[0];
}

static int close_by_server(rp_loop *loop)
{
    struct sockaddr_in address;
    int listener = listen_tcp(&address);
    rp_server *server;

    CHECK_INT(rp_create_server_fd(loop, make_silent, NULL, listener, NULL, &server), ==, 0);
    rp_server_close(server);
    turn_until_closed(loop, listener);
    rp_server_free(server);
    return listener;
}

static int close_by_attempt(rp_loop *loop)
{
    struct sockaddr_in address;
    rp_future *future;
    int refused = bound_tcp(&address), fd = tcp_socket();

    CHECK_INT(rp_create_connection_fd(loop, make_silent, NULL, fd, (struct sockaddr *)&address, sizeof address,
                                      NULL, &future),
              ==, 0);
    turn_until_closed(loop, fd);
    CHECK_INT(rp_future_result(future), ==, -ECONNREFUSED);
    rp_future_unref(future);
    close(refused);
    return fd;
}

/* By an operation, after one that had it associated. */
static int close_by_operation(rp_loop *loop)
{
    rp_proactor *port = rp_loop_proactor(loop);
    int fds[2];
    rp_op op;

    nonblocking_pair(fds);
    try_recv(port, fds[0], fds[1]);
    rp_op_close(&op, fds[0], NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    close(fds[1]);
    return fds[0];
}

/* The same of what is no socket. */
static int close_pipe_by_operation(rp_loop *loop)
{
    rp_proactor *port = rp_loop_proactor(loop);
    wchar_t name[64];
    char byte;
    rp_op op;

    swprintf(name, 64, L"\\\\.\\pipe\\rp-handles-%lu", GetCurrentProcessId());
    HANDLE reading =
        CreateNamedPipeW(name, PIPE_ACCESS_INBOUND | FILE_FLAG_OVERLAPPED, PIPE_TYPE_BYTE, 1, 64, 64, 0, NULL);
    HANDLE writing = CreateFileW(name, GENERIC_WRITE, 0, NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
    CHECK(reading != INVALID_HANDLE_VALUE && writing != INVALID_HANDLE_VALUE);
    CHECK_INT(write_at(port, (rp_fd)writing, "x", 1, -1), ==, 1);
    CHECK_INT(read_at(port, (rp_fd)reading, &byte, 1, -1), ==, 1);
    rp_op_close(&op, (rp_fd)reading, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    CloseHandle(writing);
    return (int)(intptr_t)reading;
}

/* Makes the number another socket's, of the port of somebody else: a receive is refused. Whether the number came. */
static bool is_refused_under(rp_loop *loop, int number, HANDLE others)
{
    enum { SOCKETS = 64 };
    int fds[SOCKETS], count = 0;
    char byte;
    rp_op op;

    do
        fds[count] = tcp_socket();
    while (fds[count++] != number && count < SOCKETS);
    bool came = fds[count - 1] == number;
    if (came) {
        CHECK(CreateIoCompletionPort((HANDLE)(intptr_t)number, others, 0, 0) == others);
        rp_op_recv(&op, number, &byte, 1, 0, NULL, NULL);
        CHECK_INT(perform(rp_loop_proactor(loop), &op), ==, -EBUSY);
    }
    while (count-- > 0)
        close(fds[count]);
    return came;
}

TEST(registered_no_more_when_it_is_closed_above)
{
    static int (*const close_one[])(rp_loop * loop) = {close_by_transport, close_by_server, close_by_attempt,
                                                       close_by_operation, close_pipe_by_operation};
    HANDLE others = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
    rp_loop *loop;

    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    for (size_t i = 0; i < sizeof close_one / sizeof close_one[0]; i++) {
        int rounds = 0;

        while (
            !is_refused_under(loop, close_one[i](loop), others)) /* what is opened for good may take the first */
            CHECK_INT(++rounds, <, 20);
    }
    CloseHandle(others);
    rp_loop_free(loop);
}

/* ---- unregistered: the late completion of a cancelled operation is swallowed ---- */

TEST(unregistered)
{
    enum { COUNT = 30 };
    int fds[2];

    for (int round = 0; round < 3; round++) {
        rp_proactor *port = open_port();
        rp_op *ops = malloc(COUNT * sizeof *ops);
        char *bytes = malloc(COUNT);

        nonblocking_pair(fds);
        for (int i = 0; i < COUNT; i++) {
            rp_op_recv(&ops[i], fds[0], &bytes[i], 1, 0, NULL, NULL);
            submit(port, &ops[i]);
        }
        for (int i = 0; i < COUNT / 2; i++) {
            rp_proactor_cancel(port, &ops[i]);
            rp_proactor_cancel(port, &ops[i]);
        }
        if (round == 1) /* some complete, and are not asked for */
            CHECK_INT(write(fds[1], bytes, 10), ==, 10);
        rp_proactor_close(port);
        memset(ops, 0xa5, COUNT * sizeof *ops); /* they are their owner's again: nobody writes there any more */
        memset(bytes, 0x5a, COUNT);
        write(fds[1], "late", 4);
        Sleep(20);
        for (int i = 0; i < COUNT; i++)
            CHECK_INT(bytes[i], ==, 0x5a);
        for (size_t i = 0; i < COUNT * sizeof *ops; i++)
            CHECK_INT(((unsigned char *)ops)[i], ==, 0xa5);
        free(ops);
        free(bytes);
        close_pair(fds);
    }
}

/* ---- sockets that are closed under an operation ---- */

TEST(closed_under)
{
    rp_proactor *port = open_port();
    char bytes[8];
    struct iovec vector = {.iov_base = bytes, .iov_len = sizeof bytes};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    int fds[2];
    rp_op op;

    for (int kind = 0; kind < 7; kind++) {
        nonblocking_pair(fds);
        if (kind == 4)
            fill_up(fds[0]);
        switch (kind) {
        case 0:
            rp_op_recv(&op, fds[0], bytes, sizeof bytes, 0, NULL, NULL);
            break;
        case 1:
            rp_op_recv_stream(&op, fds[0], NULL, NULL);
            break;
        case 2:
            rp_op_recvmsg(&op, fds[0], &message, 0, NULL, NULL);
            break;
        case 3:
            rp_op_poll(&op, fds[0], RP_POLL_IN, NULL, NULL);
            break;
        case 4:
            rp_op_send(&op, fds[0], bytes, sizeof bytes, RP_SEND_ALL, NULL, NULL);
            break;
        case 5:
            rp_op_read(&op, fds[0], bytes, sizeof bytes, -1, NULL, NULL);
            break;
        default:
            rp_op_poll_multi(&op, fds[0], RP_POLL_IN, NULL, NULL);
        }
        submit(port, &op);
        stays_quiet(port);
        close(fds[0]);
        CHECK_INT(finish(port, &op), ==, -EBADF);
        close(fds[1]);
    }
    CHECK_INT(port->in_flight, ==, 0);
    rp_proactor_close(port);
}
