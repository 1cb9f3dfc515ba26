/*
 * test_op_poll.c - waiting for readiness, once or each time that it comes, of sockets and of all else.
 */
#include "proactor/proactor.h"
#include "harness/support.h"

TEST(poll_once)
{
    rp_proactor *port = open_port();
    int fds[2];
    rp_op op, other;

    CHECK_INT(pipe2(fds, O_CLOEXEC), ==, 0);
    rp_op_poll(&op, fds[0], RP_POLL_IN, NULL, NULL);
    rp_op_poll(&other, fds[0], RP_POLL_IN, NULL, NULL); /* two may wait for the same */
    submit(port, &op);
    submit(port, &other);
    stays_quiet(port);
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    CHECK_INT(finish(port, &op), ==, RP_POLL_IN);
    CHECK_INT(finish(port, &other), ==, RP_POLL_IN);
    CHECK_INT(perform(port, &op), ==, RP_POLL_IN); /* it is level-triggered */
    rp_op_poll(&op, fds[1], RP_POLL_OUT, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, RP_POLL_OUT);
    close_pair(fds);
    rp_proactor_close(port);
}

/* The end is told behind data that nobody has read; but Wine tells it only when all is read. */
TEST(poll_once_for_the_peers_end)
{
    rp_proactor *port = open_port();
    int fds[2];
    char byte;
    rp_op op, other;

    tcp_pair(fds);
    rp_op_poll(&op, fds[0], RP_POLL_RDHUP, NULL, NULL);
    submit(port, &op);
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    stays_quiet(port);
    CHECK_INT(send(fds[1], "!", 1, MSG_OOB), ==, 1);
    rp_op_poll(&other, fds[0], RP_POLL_PRI, NULL, NULL);
    CHECK_INT(perform(port, &other), ==, RP_POLL_PRI);
    shutdown(fds[1], SHUT_WR);
    if (test_under_wine())
        CHECK_INT(read(fds[0], &byte, 1), ==, 1);
    CHECK_INT(finish(port, &op), ==, RP_POLL_RDHUP);
    close_pair(fds);
    rp_proactor_close(port);
}

#ifndef _WIN32
TEST(poll_once_what_is_no_socket)
{
    rp_proactor *port = open_port();
    int fds[2], event = eventfd(0, EFD_CLOEXEC), file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    uint64_t one = 1;
    rp_op op;

    CHECK_INT(pipe2(fds, O_CLOEXEC), ==, 0);
    rp_op_poll(&op, fds[1], RP_POLL_IN, NULL, NULL); /* never: but the reader's end makes an error */
    submit(port, &op);
    stays_quiet(port);
    close(fds[0]);
    CHECK_INT(finish(port, &op), ==, RP_POLL_ERR);
    close(fds[1]);

    rp_op_poll(&op, event, RP_POLL_IN, NULL, NULL);
    submit(port, &op);
    CHECK_INT(collect_once(port, 0), ==, 0);
    CHECK_INT(write(event, &one, sizeof one), ==, sizeof one);
    CHECK_INT(finish(port, &op), ==, RP_POLL_IN);
    close(event);

    rp_op_poll(&op, file, RP_POLL_IN | RP_POLL_OUT, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, RP_POLL_IN | RP_POLL_OUT);
    close(file);
    rp_proactor_close(port);
}
#else
TEST_ABSENT(poll_once_what_is_no_socket, "only sockets can be polled on Windows");
#endif

/* What is always ready is so for reading and writing; whoever polls it for anything else waits until cancelled. */
static void poll_what_is_always_ready(int fd)
{
    static const uint32_t never[] = {0, RP_POLL_PRI, RP_POLL_HUP, RP_POLL_RDHUP, RP_POLL_PRI | RP_POLL_RDHUP};
    enum { COUNT = sizeof never / sizeof never[0] };
    rp_proactor *port = open_port();
    rp_op ops[COUNT], op;

    CHECK_INT(fd, >=, 0);
    for (int multi = 0; multi < 2; multi++) {
        for (int i = 0; i < COUNT; i++) {
            if (multi)
                rp_op_poll_multi(&ops[i], fd, never[i], NULL, NULL);
            else
                rp_op_poll(&ops[i], fd, never[i], NULL, NULL);
            submit(port, &ops[i]);
        }
        rp_op_poll(&op, fd, RP_POLL_IN | RP_POLL_RDHUP, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, RP_POLL_IN);
        stays_quiet(port);
        for (int i = 0; i < COUNT; i++)
            cancel_and_finish(port, &ops[i]);
    }
    rp_op_poll(&op, fd, RP_POLL_PRI, NULL, NULL); /* cancelled at once */
    submit(port, &op);
    cancel_and_finish(port, &op);
    CHECK_INT(port->in_flight, ==, 0);
    rp_proactor_close(port);
    close(fd);
}

TEST(poll_file_for_what_never_comes)
{
    poll_what_is_always_ready(open(TEST_EXE, O_RDONLY | O_CLOEXEC));
}

#ifndef _WIN32
TEST(poll_device_for_what_never_comes)
{
    poll_what_is_always_ready(open("/dev/null", O_RDWR | O_CLOEXEC));
}

TEST(poll_directory_for_what_never_comes)
{
    poll_what_is_always_ready(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}
#else
TEST_ABSENT(poll_device_for_what_never_comes, "only sockets and files can be polled on Windows");
TEST_ABSENT(poll_directory_for_what_never_comes, "only sockets and files can be polled on Windows");
#endif

/* The peer has ended, which nobody asked for: it is not told, and ends no wait for something else. */
TEST(poll_once_beside_the_peers_end)
{
    rp_proactor *port = open_port();
    char bytes[65536];
    int fds[2];
    rp_op op, other;

    for (int tcp = 0; tcp < 2; tcp++) {
        if (tcp)
            tcp_pair(fds);
        else
            unix_pair(fds);
        CHECK_INT(shutdown(fds[1], SHUT_WR), ==, 0);
        rp_op_poll(&op, fds[0], RP_POLL_IN, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, RP_POLL_IN);
        rp_op_poll(&op, fds[0], RP_POLL_OUT, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, RP_POLL_OUT);
        rp_op_poll(&op, fds[0], RP_POLL_PRI, NULL, NULL);
        submit(port, &op);
        stays_quiet(port);
        cancel_and_finish(port, &op);
        fill(fds[0]);
        rp_op_poll(&op, fds[0], RP_POLL_OUT, NULL, NULL);
        rp_op_send(&other, fds[0], "x", 1, 0, NULL, NULL); /* its descriptor does not block: it polls, too */
        submit(port, &op);
        submit(port, &other);
#ifndef _WIN32 /* whose pairs are all TCP's: an acknowledgement that comes late makes room once more */
        if (!tcp)
            stays_quiet(port);
#endif
        set_nonblocking(fds[1]);
        rp_completion completion;
        while (!take_pending(&op, &completion)) {
            while (read(fds[1], bytes, sizeof bytes) > 0)
                ;
            collect_once(port, rp_monotonic() + RP_MSEC(1));
        }
        CHECK_INT(completion.result, ==, RP_POLL_OUT);
        CHECK_INT(finish(port, &other), ==, 1);
        close_pair(fds);
    }
    CHECK_INT(port->in_flight, ==, 0);
    rp_proactor_close(port);
}

static void expect_edge(rp_proactor *port, const rp_op *op, uint32_t events)
{
    rp_completion completion = next_completion(port, op);

    CHECK_INT(completion.flags, ==, RP_OP_MORE);
    CHECK_INT(completion.result & events, ==, events);
}

TEST(poll_many_times)
{
    rp_proactor *port = open_port();
    int fds[2];
    char bytes[8];
    rp_op op;

    CHECK_INT(pipe2(fds, O_CLOEXEC), ==, 0);
    rp_op_poll_multi(&op, fds[0], RP_POLL_IN, NULL, NULL);
    submit(port, &op);
    stays_quiet(port);
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    expect_edge(port, &op, RP_POLL_IN);
    CHECK_INT(read(fds[0], bytes, 8), ==, 1);
    close(fds[1]);
#ifdef _WIN32
    expect_edge(port, &op, RP_POLL_IN); /* of a socket: there is the end to be read */
#else
    expect_edge(port, &op, RP_POLL_HUP);
#endif
    rp_proactor_cancel(port, &op);
    rp_completion completion;
    while ((completion = next_completion(port, &op)).flags & RP_OP_MORE)
        ;
    CHECK_INT(completion.result, ==, -ECANCELED);
    close(fds[0]);
    rp_proactor_close(port);
}

#ifndef _WIN32
TEST(poll_many_times_on_event)
{
    rp_proactor *port = open_port();
    int event = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    uint64_t count;
    rp_op op;

    rp_op_poll_multi(&op, event, RP_POLL_IN, NULL, NULL);
    submit(port, &op);
    expect_edge(port, &op, RP_POLL_IN); /* it holds already */
    stays_quiet(port);                  /* and is not told again */
    for (int i = 0; i < 10; i++) {
        CHECK_INT(read(event, &count, sizeof count), ==, sizeof count);
        CHECK_INT(eventfd_write(event, 1), ==, 0);
        expect_edge(port, &op, RP_POLL_IN);
    }
    cancel_and_finish(port, &op);
    CHECK_INT(eventfd_write(event, 1), ==, 0);
    stays_quiet(port);
    close(event);
    rp_proactor_close(port);
}
#else
TEST_ABSENT(poll_many_times_on_event, "only sockets can be polled on Windows");
#endif

#ifndef _WIN32
/* What is always ready is told once, as nothing changes. */
static void expect_told_once(const char *path)
{
    rp_proactor *port = open_port();
    int file = open(path, O_RDONLY | O_CLOEXEC);
    rp_op op;

    rp_op_poll_multi(&op, file, RP_POLL_IN, NULL, NULL);
    submit(port, &op);
    expect_edge(port, &op, RP_POLL_IN);
    stays_quiet(port);
    cancel_and_finish(port, &op);
    close(file);
    rp_proactor_close(port);
}

TEST(poll_many_times_on_file)
{
    expect_told_once("/proc/self/exe");
}

TEST(poll_many_times_on_device)
{
    expect_told_once("/dev/null");
}
#else
TEST_ABSENT(poll_many_times_on_file, "only sockets can be polled on Windows");
TEST_ABSENT(poll_many_times_on_device, "only sockets can be polled on Windows");
#endif

/* Two watch the same: each is told. */
TEST(poll_many_times_twice)
{
    rp_proactor *port = open_port();
    int fds[2];
    rp_op first, second;

    unix_pair(fds);
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    rp_op_poll_multi(&first, fds[0], RP_POLL_IN, NULL, NULL);
    rp_op_poll_multi(&second, fds[0], RP_POLL_IN | RP_POLL_OUT, NULL, NULL);
    submit(port, &first);
    submit(port, &second);
    expect_edge(port, &first, RP_POLL_IN);
    expect_edge(port, &second, RP_POLL_IN | RP_POLL_OUT);
    rp_proactor_cancel(port, &first);
    rp_proactor_cancel(port, &second);
    while (next_completion(port, &first).flags & RP_OP_MORE)
        ;
    while (next_completion(port, &second).flags & RP_OP_MORE)
        ;
    close_pair(fds);
    rp_proactor_close(port);
}
