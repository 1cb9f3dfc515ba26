/*
 * test_epoll.c - what is particular to readiness: the order of a direction, reused numbers, edges, old kernels.
 */
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "proactor/proactor.h"
#include "harness/hide.h"
#include "harness/support.h"

/* Receives take turns; other kinds do not stand in their queue. */
TEST(order_of_a_direction)
{
    rp_proactor *port = open_backend("epoll");
    char byte;
    int fds[2];
    rp_op receive, poll;

    unix_pair(fds);
    rp_op_recv(&receive, fds[0], &byte, 1, 0, NULL, NULL);
    rp_op_poll(&poll, fds[0], RP_POLL_IN, NULL, NULL);
    submit(port, &receive);
    submit(port, &poll);
    CHECK_INT(write(fds[1], "a", 1), ==, 1);
    CHECK_INT(finish(port, &receive), ==, 1);
    CHECK_INT(write(fds[1], "b", 1), ==, 1);
    CHECK_INT(finish(port, &poll), ==, RP_POLL_IN);
    close_pair(fds);
    rp_proactor_close(port);
}

/* A Unix socket announces room whenever its peer has read something: that wakes nobody who does not wait for it. */
TEST(room_that_is_not_waited_for)
{
    rp_proactor *port = open_backend("epoll");
    char byte;
    int fds[2];
    rp_op receive;

    unix_pair(fds);
    rp_op_recv(&receive, fds[0], &byte, 1, 0, NULL, NULL);
    submit(port, &receive);
    CHECK_INT(collect_once(port, 0), ==, 0);
    CHECK_INT(write(fds[0], "a", 1), ==, 1);
    CHECK_INT(read(fds[1], &byte, 1), ==, 1);
    CHECK_INT(collect_once(port, 0), ==, 0);
    CHECK_INT(port->asking.to_skip, >, 0); /* the kernel had nothing to tell */
    CHECK_INT(write(fds[1], "b", 1), ==, 1);
    CHECK_INT(finish(port, &receive), ==, 1);
    close_pair(fds);
    rp_proactor_close(port);
}

/* A send that comes to wait beside a receive is told of room, and neither loses what the other is told. */
TEST(room_beside_input)
{
    static char big[1 << 20];
    rp_proactor *port = open_backend("epoll");
    char byte = 0;
    int fds[2];
    rp_op receive, send_op;

    unix_pair(fds);
    rp_op_recv(&receive, fds[0], &byte, 1, 0, NULL, NULL);
    submit(port, &receive);
    fill(fds[0]);
    rp_op_send(&send_op, fds[0], "x", 1, 0, NULL, NULL);
    submit(port, &send_op);
    CHECK_INT(collect_once(port, 0), ==, 0);
    CHECK_INT(write(fds[1], "b", 1), ==, 1);
    CHECK_INT(finish(port, &receive), ==, 1);
    CHECK_INT(byte, ==, 'b');
    rp_op_recv(&receive, fds[0], &byte, 1, 0, NULL, NULL);
    submit(port, &receive);
    while (recv(fds[1], big, sizeof big, MSG_DONTWAIT) > 0)
        ;
    CHECK_INT(finish(port, &send_op), ==, 1);
    CHECK_INT(recv(fds[1], big, sizeof big, 0), ==, 1);
    CHECK_INT(big[0], ==, 'x');
    CHECK_INT(write(fds[1], "c", 1), ==, 1);
    CHECK_INT(finish(port, &receive), ==, 1);
    CHECK_INT(byte, ==, 'c');
    close_pair(fds);
    rp_proactor_close(port);
}

/* A number that was closed and stands for another file now is registered anew. */
TEST(reused_numbers)
{
    rp_proactor *port = open_backend("epoll");
    char byte;
    int fds[2], first = -1;
    rp_op op;

    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < 20; i++) {
        int other = -1;

        unix_pair(fds);
        if (first < 0)
            first = fds[0];
        CHECK_INT(fds[0], ==, first);
        rp_op_recv(&op, fds[0], &byte, 1, 0, NULL, NULL);
        submit(port, &op);
        CHECK_INT(collect_once(port, 0), ==, 0);
        if (i % 3 == 0) {
            cancel_and_finish(port, &op);
        } else {
            CHECK_INT(write(fds[1], "x", 1), ==, 1);
            CHECK_INT(finish(port, &op), ==, 1);
        }
        if (i % 3 == 1)
            other = dup(fds[0]); /* the file lives on, and with it its registration */
        close(fds[0]);
        int unrelated = eventfd(0, EFD_CLOEXEC);
        CHECK_INT(unrelated, ==, first);
        rp_op_poll(&op, unrelated, RP_POLL_IN, NULL, NULL);
        submit(port, &op);
        CHECK_INT(write(fds[1], "x", 1), ==, i % 3 == 1 ? 1 : -1);
        stays_quiet(port);
        CHECK_INT(eventfd_write(unrelated, 1), ==, 0);
        CHECK_INT(finish(port, &op), ==, RP_POLL_IN);
        close(unrelated);
        close(fds[1]);
        if (other >= 0)
            close(other);
    }
    rp_proactor_close(port);
}

/* ---- edges and entries ---- */

/* What has something to tell is cancelled before it is asked: it ends, and tells nothing. */
TEST(cancelled_before_it_tells)
{
    rp_proactor *port = open_backend("epoll");
    rp_completion completions[4];
    struct sockaddr_in address;
    rp_op first, polls, accepts;
    int listener = listen_tcp(&address), client = connect_tcp(&address);

    rp_op_poll(&first, listener, RP_POLL_PRI, NULL, NULL);
    submit(port, &first);
    for (int i = 0; i < 2; i++) {
        rp_op_poll_multi(&polls, listener, RP_POLL_IN, NULL, NULL);
        rp_op_accept_multi(&accepts, listener, NULL, NULL);
        submit(port, i == 0 ? &polls : &accepts);
        rp_proactor_cancel(port, i == 0 ? &polls : &accepts);
        CHECK_INT(rp_proactor_wait(port, completions, 4, 0), ==, 1);
        CHECK_INT(completions[0].result, ==, -ECANCELED);
        CHECK_INT(completions[0].flags, ==, 0);
        CHECK_INT(rp_proactor_wait(port, completions, 4, 0), ==, 0);
    }
    close(accept(listener, NULL, NULL)); /* it has been left there */
    cancel_and_finish(port, &first);
    close(client);
    close(listener);
    rp_proactor_close(port);
}

/* Bytes that come while nobody waits make an edge that nobody sees: the next one to wait finds them. */
TEST(no_edge_is_lost)
{
    rp_proactor *port = open_backend("epoll");
    char bytes[8];
    int fds[2];
    rp_op op, poll;

    unix_pair(fds);
    rp_op_recv(&op, fds[0], bytes, 1, 0, NULL, NULL);
    rp_op_poll(&poll, fds[0], RP_POLL_IN, NULL, NULL);
    for (int i = 0; i < 10; i++) {
        submit(port, &op);
        CHECK_INT(collect_once(port, 0), ==, 0);
        CHECK_INT(write(fds[1], "ab", 2), ==, 2);
        CHECK_INT(finish(port, &op), ==, 1);
        CHECK_INT(perform(port, &poll), ==, RP_POLL_IN);
        CHECK_INT(perform(port, &op), ==, 1);
        for (int j = 0; j < 3; j++)
            CHECK_INT(collect_once(port, 0), ==, 0);
    }
    close_pair(fds);
    rp_proactor_close(port);
}

/* No edge comes of what is there already, if another operation has had the descriptor registered. */
TEST(a_multishot_poll_beside_one_that_waits)
{
    rp_proactor *port = open_backend("epoll");
    int fds[2];
    rp_op waits, polls;

    unix_pair(fds);
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    rp_op_poll(&waits, fds[0], RP_POLL_PRI, NULL, NULL);
    rp_op_poll_multi(&polls, fds[0], RP_POLL_IN, NULL, NULL);
    submit(port, &waits);
    CHECK_INT(collect_once(port, 0), ==, 0);
    submit(port, &polls);
    CHECK_INT(next_completion(port, &polls).result, ==, RP_POLL_IN);
    cancel_and_finish(port, &polls);
    cancel_and_finish(port, &waits);
    close_pair(fds);
    rp_proactor_close(port);
}

/* It saves the call that would find nothing. */
TEST(a_short_read_has_emptied_a_stream)
{
    rp_proactor *port = open_backend("epoll");
    char bytes[8];
    int fds[2];
    rp_op stream;

    tcp_pair(fds);
    rp_op_recv_stream(&stream, fds[0], NULL, NULL);
    submit(port, &stream);
    CHECK_INT(write(fds[1], "abc", 3), ==, 3);
    next_completion(port, &stream);
    CHECK_INT(rp_op_receive(&stream, bytes, 2), ==, 2);
    CHECK(rp_op_receivable(&stream));
    CHECK_INT(rp_op_receive(&stream, bytes, 2), ==, 1);
    CHECK(!rp_op_receivable(&stream));
    cancel_and_finish(port, &stream);
    close_pair(fds);
    rp_proactor_close(port);
}

/* What an edge tells of a receive stream is stored at once; where there is no room, it waits. */
TEST(an_edge_that_finds_no_room)
{
    rp_proactor *port = open_backend("epoll");
    rp_completion completions[2] = {{0}};
    int fds[2];
    rp_op stream, nop;

    unix_pair(fds);
    rp_op_recv_stream(&stream, fds[0], NULL, NULL);
    rp_op_nop(&nop, NULL, NULL);
    submit(port, &stream);
    CHECK_INT(collect_once(port, 0), ==, 0);
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    submit(port, &nop);
    CHECK_INT(rp_proactor_wait(port, completions, 1, 0), ==, 1);
    CHECK(completions[0].op == &nop && !completions[1].op);
    CHECK_INT(rp_proactor_wait(port, completions, 1, 0), ==, 1);
    CHECK(completions[0].op == &stream && completions[0].flags == RP_OP_MORE);
    CHECK_INT(collect_once(port, 0), ==, 0);
    cancel_and_finish(port, &stream);
    close_pair(fds);
    rp_proactor_close(port);
}

/* A small write does not slip past a large one that waits, even where there is room for it alone. */
TEST(order_of_writes_to_a_pipe)
{
    static char page[4096];
    rp_proactor *port = open_backend("epoll");
    static char got[1 << 20];
    int fds[2];
    rp_op first, large, small;

    CHECK_INT(pipe2(fds, O_CLOEXEC | O_NONBLOCK), ==, 0);
    while (write(fds[1], page, sizeof page) > 0)
        ;
    rp_op_write(&first, fds[1], page, 4000, -1, NULL, NULL);
    rp_op_write(&large, fds[1], page, 4000, -1, NULL, NULL);
    rp_op_write(&small, fds[1], "small", 5, -1, NULL, NULL);
    submit(port, &first);
    submit(port, &large);
    submit(port, &small);
    CHECK_INT(collect_once(port, 0), ==, 0);
    CHECK_INT(read(fds[0], got, sizeof page), ==, sizeof page);
    CHECK_INT(finish(port, &first), ==, 4000);
    CHECK_INT(collect_once(port, 0), ==, 0);
    while (read(fds[0], got, sizeof got) > 0)
        ;
    CHECK_INT(finish(port, &large), ==, 4000);
    CHECK_INT(finish(port, &small), ==, 5);
    CHECK_INT(read(fds[0], got, sizeof got), ==, 4005);
    CHECK(memcmp(got + 4000, "small", 5) == 0);
    close_pair(fds);
    rp_proactor_close(port);
}

/* Descriptors far apart, and many of them. */
TEST(many_descriptors)
{
    enum { COUNT = 500 };
    rp_proactor *port = open_backend("epoll");
    static rp_op ops[COUNT];
    static char bytes[COUNT];
    int fds[2], far[COUNT];

    unix_pair(fds);
    for (int i = 0; i < COUNT; i++) {
        far[i] = fcntl(fds[0], F_DUPFD_CLOEXEC, i * 2 + 10);
        CHECK_INT(far[i], >=, 0);
        rp_op_recv(&ops[i], far[i], &bytes[i], 1, 0, NULL, NULL);
        submit(port, &ops[i]);
    }
    CHECK_INT(collect_once(port, 0), ==, 0);
    CHECK_INT(write(fds[1], bytes, COUNT), ==, COUNT);
    for (int i = 0; i < COUNT; i++)
        CHECK_INT(finish(port, &ops[i]), ==, 1);
    CHECK_INT(port->in_flight, ==, 0);
    for (int i = 0; i < COUNT; i++)
        close(far[i]);
    close_pair(fds);
    rp_proactor_close(port);
}

/* A loop that only calls back asks the kernel for nothing, unless operations wait. */
TEST(no_entry_without_cause)
{
    rp_proactor *port = open_backend("epoll");
    rp_op op;

    rp_op_nop(&op, NULL, NULL);
    for (int i = 0; i < 5; i++)
        CHECK_INT(collect_once(port, 0), ==, 0);
    CHECK_INT(port->kernel_entries, ==, 0);
    rp_proactor_close(port);
}

/* ---- old kernels ---- */

/* Else whoever waits would do so again and again. */
TEST(what_the_kernel_refuses_is_told)
{
    rp_proactor *port = open_backend("epoll");
    rp_completion completions[4];

    refuse_call(SYS_epoll_pwait2, -1, 0, EINVAL);
    CHECK_INT(rp_proactor_wait(port, completions, 4, rp_monotonic() + RP_MSEC(1)), ==, -EINVAL);
    rp_proactor_close(port);
}

/* Before Linux 5.11 epoll_wait() has to do, in milliseconds, rounded up. */
TEST(without_epoll_pwait2)
{
    rp_proactor *port = open_backend("epoll");
    char byte;
    int fds[2];
    rp_op op;

    refuse_call(SYS_epoll_pwait2, -1, 0, ENOSYS);
    for (int i = 1; i < 4; i++) {
        int64_t deadline = rp_monotonic() + i * RP_USEC(1700);
        CHECK_INT(collect_once(port, deadline), ==, 0);
        CHECK_INT(rp_monotonic(), >=, deadline);
    }
    unix_pair(fds);
    rp_op_recv(&op, fds[0], &byte, 1, 0, NULL, NULL);
    submit(port, &op);
    CHECK_INT(collect_once(port, 0), ==, 0);
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    /* Days from now, and years: neither may come out as a time-out that is over, or endless. */
    CHECK_INT(collect_once(port, rp_monotonic() + 3 * RP_SEC(86400)), ==, 1);
    CHECK_INT(finish(port, &op), ==, 1);
    submit(port, &op);
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    CHECK_INT(collect_once(port, RP_NEVER - 1), ==, 1);
    CHECK_INT(finish(port, &op), ==, 1);
    int64_t start = rp_monotonic();
    CHECK_INT(collect_once(port, start + RP_MSEC(30)), ==, 0);
    CHECK_INT(rp_monotonic() - start, >=, RP_MSEC(30));
    close_pair(fds);
    rp_proactor_close(port);
}
