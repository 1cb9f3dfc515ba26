/*
 * test_uring_threads.c - a ring belongs to a thread: it moves to another one with what can move, is closed from any,
 * and outlives neither its process nor a child of that.
 */
#include <fcntl.h>
#include <signal.h>

#include "proactor/proactor.h"
#include "harness/ring.h"

/* ---- threads ---- */

static rp_op shared_op;

static void finish_shared(rp_proactor *port)
{
    CHECK_INT(finish(port, &shared_op), ==, 0);
}

/* Made in one thread, used in another, then in a third, and by its maker again; what one submits, another collects. */
TEST(thread_after_thread)
{
    rp_proactor *port = open_ring(0, 0);

    rp_op_nop(&shared_op, NULL, NULL);
    submit(port, &shared_op);
    in_thread(finish_shared, port);
    in_thread(do_nop, port);
    do_nop(port);
    submit(port, &shared_op);
    in_thread(finish_shared, port);
    submit(port, &shared_op); /* not this thread's ring at the moment */
    finish_shared(port);
    rp_proactor_close(port);
}

static void close_it(rp_proactor *port)
{
    rp_proactor_close(port);
}

static int received[2];

static void start_receiving(rp_proactor *port)
{
    static char byte;

    rp_op_recv(&shared_op, received[0], &byte, 1, 0, NULL, NULL);
    submit(port, &shared_op);
    CHECK_INT(collect_once(port, 0), ==, 0);
}

static void is_refused(rp_proactor *port)
{
    rp_completion completion;

    CHECK_INT(rp_proactor_wait(port, &completion, 1, 0), ==, RP_ETHREAD);
}

/* With operations in the kernel that do more than wait it belongs to the thread that gave them to it. */
TEST(busy_ring_stays_with_its_thread)
{
    rp_proactor *port = open_ring(0, 0);

    unix_pair(received);
    in_thread(start_receiving, port);
    is_refused(port);
    rp_proactor_close(port); /* but closed it can be */

    port = open_ring(0, 0);
    start_receiving(port);
    in_thread(is_refused, port);
    CHECK_INT(write(received[1], "x", 1), ==, 1);
    CHECK_INT(finish(port, &shared_op), ==, 1);
    in_thread(do_nop, port);
    rp_proactor_close(port);
    close_pair(received);
}

/* Nothing is done in the other thread then, not even what could be: it would not know to which it belongs. */
TEST(busy_ring_hands_out_nothing_elsewhere)
{
    rp_proactor *port = open_ring(0, 0);
    struct sockaddr_in address;
    rp_op accept;

    unix_pair(received);
    start_receiving(port);
    int fd = listen_tcp(&address);
    rp_op_accept_multi(&accept, fd, NULL, NULL);
    submit(port, &accept);
    CHECK_INT(collect_once(port, 0), ==, 0);
    int client = connect_tcp(&address);
    in_thread(is_refused, port);
    int accepted = (int)next_completion(port, &accept).result;
    CHECK_INT(accepted, >=, 0);
    close(accepted);
    close(client);
    close(fd);
    rp_proactor_close(port);
    close_pair(received);
}

/* ---- what moves with it ---- */

enum { STANDING = 6 };
static rp_op standing[STANDING];
static int standing_fds[STANDING][2];

static void start_standing(rp_proactor *port)
{
    for (int i = 0; i < STANDING; i++) {
        unix_pair(standing_fds[i]);
        set_nonblocking(standing_fds[i][0]);
    }
    rp_op_poll(&standing[0], standing_fds[0][0], RP_POLL_IN, NULL, NULL);
    rp_op_poll(&standing[1], standing_fds[1][0], RP_POLL_IN, NULL, NULL);
    rp_op_poll_multi(&standing[2], standing_fds[2][0], RP_POLL_IN, NULL, NULL);
    rp_op_recv_stream(&standing[3], standing_fds[3][0], NULL, NULL);
    rp_op_recv_stream(&standing[4], standing_fds[4][0], NULL, NULL);
    /* It finds nothing but that the peer has ended, which it was not asked for. */
    CHECK_INT(shutdown(standing_fds[5][1], SHUT_WR), ==, 0);
    rp_op_poll(&standing[5], standing_fds[5][0], RP_POLL_PRI, NULL, NULL);
    for (int i = 0; i < STANDING; i++)
        submit(port, &standing[i]);
    for (int i = 0; i < 3; i++)
        CHECK_INT(collect_once(port, 0), ==, 0);
}

static void stop_standing(rp_proactor *port)
{
    for (int i = 0; i < STANDING; i++)
        close_pair(standing_fds[i]);
    rp_proactor_close(port);
}

static void collect_standing(rp_proactor *port)
{
    char byte;

    CHECK_INT(finish(port, &standing[0]), ==, RP_POLL_IN);
    CHECK_INT(next_completion(port, &standing[2]).result, ==, RP_POLL_IN);
    CHECK_INT(next_completion(port, &standing[3]).flags, ==, RP_OP_MORE);
    CHECK_INT(rp_op_receive(&standing[3], &byte, 1), ==, 1);
    CHECK_INT(byte, ==, 'x');
    stays_quiet(port); /* the others, too */
    cancel_and_finish(port, &standing[1]);
    cancel_and_finish(port, &standing[4]);
    cancel_and_finish(port, &standing[5]);
}

/* Readiness that came between is found in the other thread, and so is what comes later. */
TEST(what_waits_for_readiness_moves)
{
    rp_proactor *port = open_ring(0, 0);

    start_standing(port);
    for (int i = 0; i < STANDING; i++)
        if (i == 0 || i == 2 || i == 3)
            CHECK_INT(write(standing_fds[i][1], "x", 1), ==, 1);
    in_thread(collect_standing, port);
    CHECK_INT(write(standing_fds[2][1], "x", 1), ==, 1);
    CHECK_INT(next_completion(port, &standing[2]).result, ==, RP_POLL_IN);
    CHECK_INT(write(standing_fds[3][1], "y", 1), ==, 1);
    CHECK_INT(next_completion(port, &standing[3]).flags, ==, RP_OP_MORE);
    cancel_and_finish(port, &standing[2]);
    cancel_and_finish(port, &standing[3]);
    CHECK_INT(port->in_flight, ==, 0);
    stop_standing(port);
}

static void collect_cancelled(rp_proactor *port)
{
    for (int i = 0; i < STANDING; i++)
        CHECK_INT(finish(port, &standing[i]), ==, -ECANCELED);
}

/* The old ring may not have been told of it, and the new one must not begin it again. */
TEST(what_was_cancelled_ends_in_the_other_thread)
{
    rp_proactor *port = open_ring(0, 0);

    start_standing(port);
    for (int i = 0; i < STANDING; i++)
        rp_proactor_cancel(port, &standing[i]);
    in_thread(collect_cancelled, port);
    CHECK_INT(port->in_flight, ==, 0);
    stop_standing(port);
}

static int listener;

static void accept_what_is_left(rp_proactor *port)
{
    rp_completion completions[8];
    int n = rp_proactor_wait(port, completions, 8, 0);

    CHECK_INT(n, ==, 4);
    for (int i = 0; i < n; i++) {
        CHECK_INT(completions[i].flags, ==, RP_OP_MORE);
        CHECK_INT(close((int)completions[i].result), ==, 0);
    }
    stays_quiet(port);
    cancel_and_finish(port, &shared_op);
}

/* Of five connections one is taken where they were accepted, and each of the others once in the other thread. */
TEST(connections_that_were_accepted_move)
{
    rp_proactor *port = open_ring(0, 0);
    struct sockaddr_in address;
    rp_completion completion;
    int clients[5];
    char byte;

    listener = listen_tcp(&address);
    for (int i = 0; i < 5; i++)
        clients[i] = connect_tcp(&address);
    rp_op_accept_multi(&shared_op, listener, NULL, NULL);
    submit(port, &shared_op);
    CHECK_INT(rp_proactor_wait(port, &completion, 1, 0), ==, 1);
    CHECK_INT(close((int)completion.result), ==, 0);
    in_thread(accept_what_is_left, port);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(recv(clients[i], &byte, 1, 0), ==, 0);
        close(clients[i]);
    }
    close(listener);
    rp_proactor_close(port);
}

/* It is asked for what waits in its backlog as it is, a blocking one too, and goes on in the other thread. */
TEST(a_blocking_listener_moves)
{
    rp_proactor *port = open_ring(0, 0);
    struct sockaddr_in address;
    int clients[4];
    char byte;

    listener = listen_tcp(&address);
    CHECK_INT(fcntl(listener, F_SETFL, 0), ==, 0);
    rp_op_accept_multi(&shared_op, listener, NULL, NULL);
    submit(port, &shared_op);
    stays_quiet(port);
    for (int i = 0; i < 4; i++)
        clients[i] = connect_tcp(&address);
    in_thread(accept_what_is_left, port);
    CHECK_INT(fcntl(listener, F_GETFL) & O_NONBLOCK, ==, 0);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(recv(clients[i], &byte, 1, 0), ==, 0);
        close(clients[i]);
    }
    close(listener);
    rp_proactor_close(port);
}

static int close_accepted(rp_proactor *port)
{
    rp_completion completions[8];
    int n = rp_proactor_wait(port, completions, 8, 0);

    for (int i = 0; i < n; i++)
        CHECK_INT(close((int)completions[i].result), ==, 0);
    return n;
}

/* What does not fit into the queue is kept by the kernel for the ring's own thread: nothing is left behind there. */
TEST(connections_in_an_overflown_queue_do_not_move)
{
    enum { COUNT = 40 };
    rp_proactor *port = open_ring(4, 8);
    struct sockaddr_in address;
    rp_completion completion;
    int clients[COUNT], accepted = 1;

    listener = listen_tcp(&address);
    for (int i = 0; i < COUNT; i++)
        clients[i] = connect_tcp(&address);
    rp_op_accept_multi(&shared_op, listener, NULL, NULL);
    submit(port, &shared_op);
    CHECK_INT(rp_proactor_wait(port, &completion, 1, 0), ==, 1);
    CHECK_INT(close((int)completion.result), ==, 0);
    in_thread(is_refused, port);
    while (accepted < COUNT)
        accepted += close_accepted(port);
    for (int i = 0; i < COUNT; i++)
        close(clients[i]);
    close(listener);
    rp_proactor_close(port);
}

static void start_accepting(rp_proactor *port)
{
    rp_op_accept_multi(&shared_op, listener, NULL, NULL);
    submit(port, &shared_op);
    CHECK_INT(collect_once(port, RP_NEVER), ==, 1);
}

static void start_waiting_for_child(rp_proactor *port)
{
    submit(port, &shared_op);
    CHECK_INT(collect_once(port, 0), ==, 0);
}

/* The kernel has let go of everything when the close is over: the peers see their ends. */
TEST(busy_ring_closed_by_another_thread)
{
    for (int i = 0; i < 10; i++) {
        rp_proactor *port = open_ring(0, 0);
        struct sockaddr_in address;
        int client, other, fds[2];
        char byte;

        listener = listen_tcp(&address);
        tcp_pair(received);
        memcpy(fds, received, sizeof fds);
        in_thread(start_receiving, port);
        rp_proactor_close(port);
        close(fds[0]);
        CHECK_INT(recv(fds[1], &byte, 1, MSG_DONTWAIT), ==, 0);
        close(fds[1]);

        port = open_ring(0, 0);
        client = connect_tcp(&address);
        in_thread(start_accepting, port);
        for (int j = 0; j < pending_count; j++)
            CHECK_INT(close((int)pending[j].result), ==, 0);
        pending_count = 0;
        other = connect_tcp(&address);
        rp_proactor_close(port);
        close(listener);
        CHECK_INT(recv(client, &byte, 1, 0), ==, 0);
        CHECK_INT(recv(other, &byte, 1, 0), <=, 0); /* reset: nobody had accepted it, and nobody can any more */
        close(client);
        close(other);

        pid_t pid = fork();
        if (pid == 0)
            for (;;)
                pause();
        port = open_ring(0, 0);
        rp_op_wait_child(&shared_op, pid, NULL, NULL);
        in_thread(start_waiting_for_child, port);
        rp_proactor_close(port);
        kill(pid, SIGKILL);
        CHECK_INT(waitpid(pid, NULL, 0), ==, pid);
    }
}

static rp_op last_close;

static void start_closing(rp_proactor *port)
{
    rp_op_close(&last_close, received[1], NULL, NULL);
    submit(port, &last_close);
}

static void start_receiving_and_closing(rp_proactor *port)
{
    start_receiving(port);
    start_closing(port);
}

/* The thread that was to tell the kernel is gone; once with something that the ring could not move with. */
TEST(what_was_to_be_closed_is_closed_by_another_thread)
{
    for (int busy = 0; busy < 2; busy++) {
        rp_proactor *port = open_ring(0, 0);

        unix_pair(received);
        in_thread(busy ? start_receiving_and_closing : start_closing, port);
        rp_proactor_close(port);
        CHECK_INT(fcntl(received[1], F_GETFD), ==, -1);
        close(received[0]);
    }
}

TEST(close_in_another_thread)
{
    rp_proactor *port = open_ring(0, 0);

    do_nop(port);
    in_thread(close_it, port);
}

/* ---- fork, kill ---- */

/* A child that ends when it is told to. */
static pid_t linger(int gate[2])
{
    char byte;

    CHECK_INT(pipe2(gate, O_CLOEXEC), ==, 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(gate[1]);
        _exit(read(gate[0], &byte, 1) == 0 ? 0 : 1);
    }
    CHECK_INT(pid, >, 0);
    return pid;
}

static void end_lingering(pid_t pid, const int gate[2])
{
    int status;

    close_pair(gate);
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK_INT(status, ==, 0);
}

/* The end of a ring with operations does not wait for that of a child which was forked while it was open. */
TEST(busy_ring_is_closed_while_a_child_lives)
{
    rp_proactor *port = open_ring(0, 0);
    char byte;
    int gate[2];

    unix_pair(received);
    in_thread(start_receiving, port);
    pid_t pid = linger(gate);
    rp_proactor_close(port);
    CHECK_INT(write(received[1], "x", 1), ==, 1); /* nobody receives any more */
    CHECK_INT(recv(received[0], &byte, 1, MSG_DONTWAIT), ==, 1);
    end_lingering(pid, gate);
    close_pair(received);
}

TEST(busy_ring_moves_while_a_child_lives)
{
    rp_proactor *port = open_ring(0, 0);
    int gate[2];

    start_standing(port);
    pid_t pid = linger(gate);
    for (int i = 0; i < STANDING; i++)
        rp_proactor_cancel(port, &standing[i]);
    in_thread(collect_cancelled, port);
    end_lingering(pid, gate);
    stop_standing(port);
}

TEST(killed_server_starts_again)
{
    struct sockaddr_in address;
    int spare = listen_tcp(&address), status;

    rp_proactor_close(open_ring(0, 0)); /* or the test is skipped */
    close(spare);
    for (int round = 0; round < 5; round++) {
        int ready[2];
        char byte;

        CHECK_INT(pipe2(ready, O_CLOEXEC), ==, 0);
        pid_t pid = fork();
        if (pid == 0) {
            rp_proactor *port = open_ring(0, 0);
            int fd = tcp_socket(), on = 1;
            rp_op op;

            setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
            /* The socket of the one that was killed may live on for some milliseconds. */
            while (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
                if (errno != EADDRINUSE)
                    _exit(1);
                usleep(5000);
            }
            CHECK_INT(listen(fd, 100), ==, 0);
            rp_op_accept_multi(&op, fd, NULL, NULL);
            submit(port, &op);
            collect_once(port, 0);
            CHECK_INT(write(ready[1], "x", 1), ==, 1);
            for (;;)
                collect_once(port, RP_NEVER);
        }
        close(ready[1]);
        CHECK_INT(read(ready[0], &byte, 1), ==, 1);
        int client = connect_tcp(&address);
        kill(pid, SIGKILL);
        CHECK_INT(waitpid(pid, &status, 0), ==, pid);
        CHECK(WIFSIGNALED(status));
        CHECK_INT(read(client, &byte, 1), <=, 0); /* an end or a reset: it does end */
        close(client);
        close(ready[0]);
    }
}
