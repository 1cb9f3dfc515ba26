/*
 * test_iocp.c - what is particular to Windows' completion port: the five sets of asyncio's IocpProactor,
 * descriptors that are closed under an operation, files and named pipes, exit codes.
 */
#include "proactor/iocp_port.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/thread.h"
#include "ringport/loop.h"
#include "harness/support.h"

static void connected(int fds[2])
{
    tcp_pair(fds);
    set_nonblocking(fds[0]);
    set_nonblocking(fds[1]);
}

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

TEST(named)
{
    rp_proactor *port;

    CHECK_INT(rp_proactor_open("iocp", NULL, &port), ==, 0);
    CHECK_STR(rp_proactor_name(port), "iocp");
    rp_proactor_close(port);
    CHECK_INT(rp_proactor_open("epoll", NULL, &port), ==, -ENOTSUP);
}

/* ---- concurrency: there is no asking a port for it, so that it is looked at on its way to the system ---- */

typedef WINAPI HANDLE create_port(HANDLE file, HANDLE port, ULONG_PTR key, DWORD threads);

static DWORD threads_asked_for;

static WINAPI HANDLE note_threads(HANDLE file, HANDLE port, ULONG_PTR key, DWORD threads)
{
    create_port *real =
        (create_port *)(void *)GetProcAddress(GetModuleHandleA("kernel32"), "CreateIoCompletionPort");

    if (file == INVALID_HANDLE_VALUE)
        threads_asked_for = threads;
    return real(file, port, key, threads);
}

create_port *__imp_CreateIoCompletionPort = note_threads; /* the pointer that it is called through */

TEST(concurrency)
{
    const unsigned wanted[] = {0, 1, 3};

    for (int i = 0; i < 3; i++) {
        rp_proactor_options options = {.concurrency = wanted[i]};
        rp_loop_options loop_options = {.proactor_options = options};
        DWORD threads = wanted[i] != 0 ? wanted[i] : 0xffffffff;
        rp_proactor *port;
        rp_loop *owner;
        rp_op op;

        CHECK_INT(rp_proactor_open("iocp", &options, &port), ==, 0);
        CHECK_INT(threads_asked_for, ==, threads);
        rp_op_nop(&op, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, 0);
        rp_proactor_close(port);
        threads_asked_for = 77;
        CHECK_INT(rp_loop_new(&loop_options, &owner), ==, 0);
        CHECK_INT(threads_asked_for, ==, threads);
        rp_loop_free(owner);
    }
}

/* The port's waits have a grain of a millisecond, and are not to end before the deadline. */
TEST(never_before_the_deadline)
{
    rp_proactor *port = open_port();

    for (int i = 0; i < 40; i++) {
        int64_t deadline = rp_monotonic() + RP_USEC(137) * i;

        CHECK_INT(collect_once(port, deadline), ==, 0);
        CHECK_INT(rp_monotonic(), >=, deadline);
    }
    rp_proactor_close(port);
}

/* ---- wake-ups: the system may lack the memory for a packet ---- */

typedef WINAPI BOOL post_packet(HANDLE port, DWORD bytes, ULONG_PTR key, OVERLAPPED *overlapped);

static atomic_int posts_to_fail;

static WINAPI BOOL fail_to_post(HANDLE port, DWORD bytes, ULONG_PTR key, OVERLAPPED *overlapped)
{
    post_packet *real =
        (post_packet *)(void *)GetProcAddress(GetModuleHandleA("kernel32"), "PostQueuedCompletionStatus");

    if (atomic_fetch_sub(&posts_to_fail, 1) <= 0)
        return real(port, bytes, key, overlapped);
    SetLastError(ERROR_NO_SYSTEM_RESOURCES);
    return FALSE;
}

post_packet *__imp_PostQueuedCompletionStatus = fail_to_post;

static void wake_asleep(void *arg)
{
    rp_proactor *port = arg;

    while (atomic_load(&port->wake_state) != RP_ASLEEP)
        Sleep(1);
    rp_proactor_wake(port);
}

TEST(no_wake_up_is_lost_for_want_of_memory)
{
    rp_proactor *port = open_port();

    atomic_store(&posts_to_fail, 3);
    CHECK_INT(rp_thread_start(wake_asleep, port), ==, 0);
    CHECK_INT(collect_once(port, RP_NEVER), ==, 0);
    CHECK_INT(atomic_load(&posts_to_fail), <, 0);
    rp_proactor_close(port);
}

/* ---- cache: operations by their OVERLAPPED ---- */

TEST(cache)
{
    enum { COUNT = 200 };
    rp_proactor *port = open_port();
    static rp_op ops[COUNT];
    char bytes[COUNT], data[COUNT];
    int fds[2];

    connected(fds);
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

    connected(fds);
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
        connected(fds);
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

    connected(fds);
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

    connected(fds);
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

/* ---- unregistered: the late completion of a cancelled operation is swallowed ---- */

TEST(unregistered)
{
    enum { COUNT = 30 };
    int fds[2];

    for (int round = 0; round < 3; round++) {
        rp_proactor *port = open_port();
        rp_op *ops = malloc(COUNT * sizeof *ops);
        char *bytes = malloc(COUNT);

        connected(fds);
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

/* ---- results: completions that were taken and not delivered ---- */

TEST(results_one_at_a_time)
{
    enum { COUNT = 20 };
    rp_proactor *port = open_port();
    rp_op ops[COUNT], nops[COUNT];
    char bytes[COUNT];
    int fds[2], seen = 0;
    rp_completion completion;

    connected(fds);
    for (int i = 0; i < COUNT; i++) {
        rp_op_recv(&ops[i], fds[0], &bytes[i], 1, 0, NULL, NULL);
        submit(port, &ops[i]);
        rp_op_nop(&nops[i], NULL, NULL);
        submit(port, &nops[i]);
    }
    CHECK_INT(write(fds[1], bytes, COUNT), ==, COUNT);
    while (seen < 2 * COUNT) {
        int n = rp_proactor_wait(port, &completion, 1, RP_NEVER);
        CHECK_INT(n, >=, 0);
        seen += n;
    }
    CHECK_INT(port->in_flight, ==, 0);
    close_pair(fds);
    rp_proactor_close(port);
}

static rp_loop *loop;
static int delivered;

static void count_and_stop(rp_op *op)
{
    CHECK_INT(op->result, ==, 1);
    if (delivered++ == 0)
        rp_loop_stop(loop);
}

/* The loop is stopped by the first of many completions: those that came with it are delivered, others later. */
TEST(results_survive_stop)
{
    enum { COUNT = 300 };
    static rp_op ops[COUNT];
    static char bytes[COUNT];
    int fds[2];

    connected(fds);
    CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
    for (int i = 0; i < COUNT; i++) {
        rp_op_recv(&ops[i], fds[0], &bytes[i], 1, 0, count_and_stop, NULL);
        CHECK_INT(rp_submit(loop, &ops[i]), ==, 0);
    }
    CHECK_INT(write(fds[1], bytes, COUNT), ==, COUNT);
    Sleep(20);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(delivered, >, 0);
    while (delivered < COUNT) {
        rp_loop_stop(loop);
        CHECK_INT(rp_run_forever(loop), ==, 0);
    }
    CHECK_INT(delivered, ==, COUNT);
    rp_loop_free(loop);
    close_pair(fds);
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
        connected(fds);
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

/* ---- sending ---- */

/* What a cancelled send tells is what was sent: not a byte more or less. */
TEST(cancelled_send_counts)
{
    static char data[1 << 20];
    rp_proactor *port = open_port();
    size_t arrived = 0, sent = 0;
    int fds[2];
    ssize_t n;
    rp_op op;

    connected(fds);
    for (int i = 0; i < 20; i++) {
        rp_op_send(&op, fds[0], data, sizeof data, RP_SEND_ALL, NULL, NULL);
        submit(port, &op);
        collect_once(port, rp_monotonic() + RP_MSEC(3));
        rp_proactor_cancel(port, &op);
        int64_t result = finish(port, &op);
        CHECK(result > 0 || result == -ECANCELED);
        sent += result > 0 ? (size_t)result : 0;
        if (i % 2 && (n = read(fds[1], data, sizeof data)) > 0)
            arrived += (size_t)n;
    }
    close(fds[0]);
    while ((n = read(fds[1], data, sizeof data)) != 0) {
        if (n > 0)
            arrived += (size_t)n;
        else
            Sleep(1);
    }
    CHECK_INT(arrived, ==, sent);
    close(fds[1]);
    rp_proactor_close(port);
}

/* ---- files ---- */

static int64_t open_at(rp_proactor *port, rp_fd directory, const char *path, int flags)
{
    rp_op op;

    rp_op_openat(&op, directory, path, flags, 0600, NULL, NULL);
    return perform(port, &op);
}

static int64_t read_at(rp_proactor *port, rp_fd fd, void *buffer, size_t size, int64_t offset)
{
    rp_op op;

    rp_op_read(&op, fd, buffer, size, offset, NULL, NULL);
    return perform(port, &op);
}

static int64_t write_at(rp_proactor *port, rp_fd fd, const void *buffer, size_t size, int64_t offset)
{
    rp_op op;

    rp_op_write(&op, fd, buffer, size, offset, NULL, NULL);
    return perform(port, &op);
}

static void close_file(rp_proactor *port, rp_fd fd)
{
    rp_op op;

    rp_op_close(&op, fd, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    CHECK_INT(perform(port, &op), ==, -EBADF);
}

static void check_times(const struct statx *status)
{
    CHECK_INT(status->stx_mtime.tv_sec, >, 1600000000); /* after 2020 */
    CHECK_INT(status->stx_mtime.tv_nsec, <, 1000000000);
}

TEST(open_and_status)
{
    rp_proactor *port = open_port();
    struct statx status;
    char directory[64];
    rp_op op;

    snprintf(directory, sizeof directory, "rp-test-\xc3\xa4-%llx", (long long)rp_monotonic());
    wchar_t wide[64];
    MultiByteToWideChar(CP_UTF8, 0, directory, -1, wide, 64);
    CHECK(CreateDirectoryW(wide, NULL));
    rp_fd dir = (rp_fd)open_at(port, AT_FDCWD, directory, O_RDONLY);
    CHECK_INT(dir, >, 0);
    rp_fd fd = (rp_fd)open_at(port, dir, "new", O_RDWR | O_CREAT | O_EXCL);
    CHECK_INT(fd, >, 0);
    CHECK_INT(open_at(port, dir, "new", O_RDWR | O_CREAT | O_EXCL), ==, -EEXIST);
    CHECK_INT(open_at(port, dir, "other", O_RDONLY), ==, -ENOENT);
    CHECK_INT(open_at(port, dir, "", O_RDONLY), ==, -ENOENT);
    CHECK_INT(open_at(port, fd, "new", O_RDONLY), ==, -ENOTDIR);
    CHECK_INT(open_at(port, 99996, "new", O_RDONLY), ==, -EBADF);
    CHECK_INT(open_at(port, AT_FDCWD, directory, O_WRONLY), ==, -EISDIR);
    CHECK_INT(write_at(port, fd, "12345", 5, 0), ==, 5);

    rp_op_statx(&op, dir, "new", 0, STATX_BASIC_STATS, &status, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    CHECK_INT(status.stx_size, ==, 5);
    CHECK_INT(status.stx_mode, ==, S_IFREG | 0666);
    CHECK_INT(status.stx_nlink, ==, 1);
    check_times(&status);
    rp_op_statx(&op, fd, "", AT_EMPTY_PATH, STATX_SIZE, &status, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    CHECK_INT(status.stx_size, ==, 5);
    rp_op_statx(&op, dir, "../", 0, STATX_TYPE, &status, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    CHECK_INT(status.stx_mode & S_IFMT, ==, S_IFDIR);
    rp_op_statx(&op, dir, "other", 0, STATX_SIZE, &status, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -ENOENT);
    rp_op_statx(&op, -1, "", AT_EMPTY_PATH, STATX_SIZE, &status, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EBADF);

    char bytes[8];
    CHECK_INT(read_at(port, dir, bytes, 4, 0), ==, -EISDIR);
    close_file(port, fd);
    fd = (rp_fd)open_at(port, dir, "new", O_WRONLY | O_APPEND);
    CHECK_INT(write_at(port, fd, "67", 2, 0), ==, 2); /* at the end, wherever it is told to */
    CHECK_INT(read_at(port, fd, bytes, 4, 0), ==, -EBADF);
    close_file(port, fd);
    fd = (rp_fd)open_at(port, dir, "new", O_RDONLY);
    CHECK_INT(read_at(port, fd, bytes, 8, 0), ==, 7);
    CHECK(memcmp(bytes, "1234567", 7) == 0);
    CHECK_INT(write_at(port, fd, bytes, 4, 0), ==, -EBADF);
    close_file(port, fd);
    close_file(port, dir);
    wcscat(wide, L"\\new");
    CHECK(DeleteFileW(wide));
    wide[wcslen(wide) - 4] = L'\0';
    CHECK(RemoveDirectoryW(wide));
    rp_proactor_close(port);
}

static void try_file(rp_proactor *port, HANDLE file)
{
    rp_fd fd = (rp_fd)file;
    char bytes[16], one[4], two[8];
    struct iovec out[3] = {{"abc", 3}, {NULL, 0}, {"defgh", 5}}, in[2] = {{one, 4}, {two, 8}};
    LARGE_INTEGER zero = {0}, at;
    rp_op op;

    CHECK_INT(read_at(port, fd, bytes, 16, 0), ==, 0);
    CHECK_INT(write_at(port, fd, "0123456789", 10, 0), ==, 10);
    CHECK(SetFilePointerEx(file, zero, &at, FILE_CURRENT));
    CHECK_INT(at.QuadPart, ==, 0); /* an offset of one's own moves nothing */
    CHECK_INT(read_at(port, fd, bytes, 4, -1), ==, 4);
    CHECK_INT(write_at(port, fd, "X", 1, -1), ==, 1);
    CHECK_INT(read_at(port, fd, bytes, 16, -1), ==, 5);
    CHECK(memcmp(bytes, "56789", 5) == 0);
    CHECK_INT(read_at(port, fd, bytes, 16, -1), ==, 0);
    rp_op_writev(&op, fd, out, 3, 20, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 8);
    rp_op_readv(&op, fd, in, 2, 21, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 7);
    CHECK(memcmp(one, "bcde", 4) == 0 && memcmp(two, "fgh", 3) == 0);
    rp_op_fsync(&op, fd, false, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    rp_op_poll(&op, fd, RP_POLL_IN | RP_POLL_OUT, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, RP_POLL_IN | RP_POLL_OUT);
    rp_op_poll_multi(&op, fd, RP_POLL_IN, NULL, NULL);
    submit(port, &op);
    CHECK_INT(next_completion(port, &op).result, ==, RP_POLL_IN);
    stays_quiet(port);
    cancel_and_finish(port, &op);
}

/* Opened for overlapped operations, or not. */
TEST(files_of_both_kinds)
{
    rp_proactor *port = open_port();

    for (int i = 0; i < 2; i++) {
        HANDLE file = CreateFileW(L"rp-test-file", GENERIC_READ | GENERIC_WRITE, 0, NULL, CREATE_ALWAYS,
                                  FILE_FLAG_DELETE_ON_CLOSE | (i ? FILE_FLAG_OVERLAPPED : 0), NULL);

        CHECK(file != INVALID_HANDLE_VALUE);
        try_file(port, file);
        CloseHandle(file);
    }
    rp_proactor_close(port);
}

/* ---- pipes ---- */

/* Both ends of a named pipe, opened for overlapped operations. */
static void named_pipe(HANDLE ends[2])
{
    static int number;
    wchar_t name[64];

    swprintf(name, 64, L"\\\\.\\pipe\\rp-test-%lu-%d", GetCurrentProcessId(), number++);
    ends[0] =
        CreateNamedPipeW(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, PIPE_TYPE_BYTE, 1, 4096, 4096, 0, NULL);
    CHECK(ends[0] != INVALID_HANDLE_VALUE);
    ends[1] = CreateFileW(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
    CHECK(ends[1] != INVALID_HANDLE_VALUE);
}

static void try_pipe(rp_proactor *port, rp_fd reading, rp_fd writing)
{
    char bytes[8];
    struct iovec out[2] = {{"ab", 2}, {"cde", 3}}, in[2] = {{bytes, 4}, {bytes + 4, 4}};
    rp_op op;

    rp_op_read(&op, reading, bytes, 8, -1, NULL, NULL);
    submit(port, &op);
    stays_quiet(port);
    CHECK_INT(write_at(port, writing, "hello", 5, -1), ==, 5);
    CHECK_INT(finish(port, &op), ==, 5);
    CHECK(memcmp(bytes, "hello", 5) == 0);
    rp_op_writev(&op, writing, out, 2, 0, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 5);
    rp_op_readv(&op, reading, in, 2, -1, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 5);
    CHECK(memcmp(bytes, "abcde", 5) == 0);
    rp_op_fsync(&op, writing, false, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EINVAL);
    rp_op_poll(&op, reading, RP_POLL_IN, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -ENOTSUP);

    rp_op_read(&op, reading, bytes, 8, -1, NULL,
               NULL); /* cancelled while it waits, before and after it has begun to */
    submit(port, &op);
    cancel_and_finish(port, &op);
    submit(port, &op);
    stays_quiet(port);
    cancel_and_finish(port, &op);
    CHECK_INT(write_at(port, writing, "x", 1, -1), ==, 1);
    CHECK_INT(read_at(port, reading, bytes, 8, -1), ==, 1); /* and nothing is lost */
}

static void try_pipe_end(rp_proactor *port, HANDLE reading, HANDLE writing)
{
    char byte;
    rp_op op;

    rp_op_read(&op, (rp_fd)reading, &byte, 1, -1, NULL, NULL);
    submit(port, &op);
    CHECK_INT(collect_once(port, 0), ==, 0);
    CloseHandle(writing);
    CHECK_INT(finish(port, &op), ==, 0);
    CHECK_INT(perform(port, &op), ==, 0);
    CloseHandle(reading);
}

TEST(named_pipes)
{
    rp_proactor *port = open_port();
    static char data[100000];
    HANDLE ends[2];
    rp_op op;

    named_pipe(ends);
    try_pipe(port, (rp_fd)ends[0], (rp_fd)ends[1]);
    try_pipe(port, (rp_fd)ends[1], (rp_fd)ends[0]);
    rp_op_write(&op, (rp_fd)ends[1], data, sizeof data, -1, NULL, NULL);
    submit(port, &op);
    for (size_t total = 0; total < sizeof data;) {
        static char some[30000];
        int64_t n = read_at(port, (rp_fd)ends[0], some, sizeof some, -1);
        CHECK_INT(n, >, 0);
        total += (size_t)n;
    }
    CHECK_INT(finish(port, &op), ==, sizeof data);
    try_pipe_end(port, ends[0], ends[1]);

    named_pipe(ends);
    CloseHandle(ends[0]);
    CHECK_INT(write_at(port, (rp_fd)ends[1], "x", 1, -1), ==, -EPIPE);
    CloseHandle(ends[1]);
    rp_proactor_close(port);
}

/* Anonymous pipes cannot be overlapped: threads of the pool read them, and are called back when it is enough. */
TEST(anonymous_pipes)
{
    rp_proactor *port = open_port();
    HANDLE reading, writing;

    CHECK(CreatePipe(&reading, &writing, NULL, 0));
    try_pipe(port, (rp_fd)reading, (rp_fd)writing);
    try_pipe_end(port, reading, writing);
    rp_proactor_close(port);
}

typedef WINAPI BOOL cancel_io(HANDLE file, OVERLAPPED *overlapped);

static int cancels_too_late;

static WINAPI BOOL cancel_too_late(HANDLE file, OVERLAPPED *overlapped)
{
    cancel_io *real = (cancel_io *)(void *)GetProcAddress(GetModuleHandleA("kernel32"), "CancelIoEx");

    return cancels_too_late-- > 0 || real(file, overlapped);
}

cancel_io *__imp_CancelIoEx = cancel_too_late; /* the pointer that it is called through */

/* As when the first buffer is done just when its call is cancelled: the thread then waits for the second one. */
TEST(cancelled_between_buffers)
{
    rp_proactor *port = open_port();
    HANDLE reading, writing;
    char byte;
    rp_op op;

    CHECK(CreatePipe(&reading, &writing, NULL, 0));
    rp_op_read(&op, (rp_fd)reading, &byte, 1, -1, NULL, NULL);
    for (int64_t pause = RP_MSEC(20); cancels_too_late == 0 || cancels_too_late == 2; pause *= 2) {
        submit(port, &op);
        /* The thread begins to read, or else there is nothing to be late for. */
        collect_once(port, rp_monotonic() + pause);
        cancels_too_late = 2;
        cancel_and_finish(port, &op);
    }
    CHECK_INT(cancels_too_late, <, 0);
    CloseHandle(reading);
    CloseHandle(writing);
    rp_proactor_close(port);
}

TEST(close_with_blocked_reads)
{
    for (int i = 0; i < 3; i++) {
        rp_proactor *port = open_port();
        HANDLE reading, writing;
        char byte;
        rp_op op;

        CHECK(CreatePipe(&reading, &writing, NULL, 0));
        rp_op_read(&op, (rp_fd)reading, &byte, 1, -1, NULL, NULL);
        submit(port, &op);
        if (i > 0)
            collect_once(port, rp_monotonic() + RP_MSEC(10) * i);
        rp_proactor_close(port);
        CloseHandle(reading);
        CloseHandle(writing);
    }
}

/* ---- children ---- */

TEST(exit_codes)
{
    static const unsigned codes[] = {0, 3, 255, 0xc0000005};
    rp_proactor *port = open_port();
    rp_op op;

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        int64_t pid = test_start_child(-1);
        HANDLE child = OpenProcess(PROCESS_TERMINATE | SYNCHRONIZE, FALSE, (DWORD)pid);

        CHECK(child != NULL);
        rp_op_wait_child(&op, pid, NULL, NULL);
        submit(port, &op);
        stays_quiet(port);
        cancel_and_finish(port, &op);
        submit(port, &op);
        CHECK(TerminateProcess(child, codes[i]));
        CHECK_INT(finish(port, &op), ==, (int64_t)codes[i] << 8);
        CHECK_INT(perform(port, &op), ==, (int64_t)codes[i] << 8); /* has ended before anybody asks */
        submit(port, &op);
        rp_proactor_cancel(port, &op);
        int64_t result = finish(port, &op);
        CHECK(result == -ECANCELED || result == (int64_t)codes[i] << 8);
        CloseHandle(child);
        test_end_child(pid);
    }
    rp_proactor_close(port);
}
