/*
 * test_iocp.c - what is particular to completion ports: packets, results that were taken and not delivered, wake-ups.
 */
#include <sys/stat.h>

#include "proactor/iocp_port.h"
#include "base/thread.h"
#include "ringport/loop.h"
#include "harness/support.h"

TEST(the_backend_has_its_name)
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
static int associations; /* handles that the system was asked to associate */

static WINAPI HANDLE note_threads(HANDLE file, HANDLE port, ULONG_PTR key, DWORD threads)
{
    create_port *real =
        (create_port *)(void *)GetProcAddress(GetModuleHandleA("kernel32"), "CreateIoCompletionPort");

    if (file == INVALID_HANDLE_VALUE)
        threads_asked_for = threads;
    else
        associations++;
    return real(file, port, key, threads);
}

create_port *__imp_CreateIoCompletionPort = note_threads; /* the pointer that it is called through */

TEST(a_port_is_opened_for_the_threads_of_its_options)
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

/* ---- what is asked of the system ---- */

typedef WSAAPI int get_option(SOCKET socket, int level, int option, char *value, int *length);

static int options_asked;

static WSAAPI int note_option(SOCKET socket, int level, int option, char *value, int *length)
{
    get_option *real = (get_option *)(void *)GetProcAddress(GetModuleHandleA("ws2_32"), "getsockopt");

    options_asked++;
    return real(socket, level, option, value, length);
}

get_option *__imp_getsockopt = note_option;

/* What lasts asks once what its socket is, and associates it once. */
TEST(a_receive_stream_asks_once)
{
    rp_proactor *port = open_port();
    char byte;
    int fds[2];
    rp_op op;

    nonblocking_pair(fds);
    associations = 0;
    rp_op_recv_stream(&op, fds[0], NULL, NULL);
    submit(port, &op);
    CHECK_INT(associations, ==, 1);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(write(fds[1], "x", 1), ==, 1);
        options_asked = 0;
        CHECK_INT(next_completion(port, &op).flags, ==, RP_OP_MORE);
        CHECK_INT(rp_op_receive(&op, &byte, 1), ==, 1);
        CHECK_INT(rp_op_receive(&op, &byte, 1), ==, -EAGAIN);
        CHECK_INT(options_asked, ==, 0);
    }
    CHECK_INT(associations, ==, 1);
    cancel_and_finish(port, &op);
    close_pair(fds);
    rp_proactor_close(port);
}

TEST(a_multishot_accept_associates_once)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address;
    int listener = listen_tcp(&address);
    rp_op op;

    associations = 0;
    rp_op_accept_multi(&op, listener, NULL, NULL);
    submit(port, &op);
    for (int i = 0; i < 5; i++) {
        int client = connect_tcp(&address);

        close((int)next_completion(port, &op).result);
        close(client);
    }
    CHECK_INT(associations, ==, 1);
    cancel_and_finish(port, &op);
    close(listener);
    rp_proactor_close(port);
}

TEST(a_send_asks_nothing)
{
    rp_proactor *port = open_port();
    int fds[2];
    rp_op op;

    nonblocking_pair(fds);
    associations = options_asked = 0;
    rp_op_send(&op, fds[0], "hello", 5, RP_SEND_ALL, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 5);
    CHECK_INT(associations, ==, 0);
    CHECK_INT(options_asked, ==, 0);
    close_pair(fds);
    rp_proactor_close(port);
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

/* ---- results: completions that were taken and not delivered ---- */

TEST(results_one_at_a_time)
{
    enum { COUNT = 20 };
    rp_proactor *port = open_port();
    rp_op ops[COUNT], nops[COUNT];
    char bytes[COUNT];
    int fds[2], seen = 0;
    rp_completion completion;

    nonblocking_pair(fds);
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

    nonblocking_pair(fds);
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

    nonblocking_pair(fds);
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
