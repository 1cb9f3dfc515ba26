/*
 * test_epoll.c - what is particular to readiness: shared descriptors, reused numbers, edges, old kernels.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "proactor/proactor.h"
#include "harness/hide.h"
#include "harness/support.h"
#include "harness/wire.h"
#include "harness/wrap.h"

static int64_t now, step; /* the test's own time, which passes by what is read of it; 0: the true clock holds */

WRAP(int64_t, rp_clock_now, void)
{
    return now > 0 ? now += step : __real_rp_clock_now();
}

static rp_proactor *open_epoll(void)
{
    rp_proactor *port;

    CHECK_INT(rp_proactor_open("epoll", NULL, &port), ==, 0);
    return port;
}

/* Receives take turns; other kinds do not stand in their queue. */
TEST(order_of_a_direction)
{
    rp_proactor *port = open_epoll();
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
    rp_proactor *port = open_epoll();
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
    rp_proactor *port = open_epoll();
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
    rp_proactor *port = open_epoll();
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

/* ---- registrations and the files they are of ---- */

/* How many descriptors epoll instances of this process watch, as the kernel tells it: each wake-up's is one. */
static int registrations(void)
{
    DIR *directory = opendir("/proc/self/fd");
    char path[300], target[64], line[256];
    int count = 0;

    CHECK(directory != NULL);
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        ssize_t length = readlink(path, target, sizeof target - 1);
        if (length < 0)
            continue;
        target[length] = '\0';
        if (strcmp(target, "anon_inode:[eventpoll]") != 0)
            continue;
        snprintf(path, sizeof path, "/proc/self/fdinfo/%s", entry->d_name);
        FILE *info = fopen(path, "re");
        CHECK(info != NULL);
        while (fgets(line, sizeof line, info) != NULL)
            count += strncmp(line, "tfd:", 4) == 0;
        fclose(info);
    }
    closedir(directory);
    return count;
}

/* The number of a file that lives on elsewhere is reused: the new one's polls are told nothing of the old one. */
static void expect_nothing_of_the_old_file(rp_proactor *port, int number, int old_peer)
{
    int event = eventfd(0, EFD_CLOEXEC);
    rp_op op;

    if (event != number) {
        CHECK_INT(dup3(event, number, O_CLOEXEC), ==, number);
        close(event);
        event = number;
    }
    rp_op_poll_multi(&op, event, RP_POLL_OUT, NULL, NULL); /* which holds, and does not change */
    submit(port, &op);
    CHECK_INT(next_completion(port, &op).result, ==, RP_POLL_OUT);
    CHECK_INT(write(old_peer, "x", 1), ==, 1);
    stays_quiet(port);
    cancel_and_finish(port, &op);
    rp_op_poll_multi(&op, event, RP_POLL_IN, NULL, NULL);
    submit(port, &op);
    stays_quiet(port);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(write(old_peer, "x", 1), ==, 1);
        stays_quiet(port);
    }
    CHECK_INT(eventfd_write(event, 1), ==, 0);
    CHECK_INT(next_completion(port, &op).result, ==, RP_POLL_IN);
    cancel_and_finish(port, &op);
    close(event);
}

TEST(owner_closes_after_a_single_operation)
{
    rp_proactor *port = open_epoll();
    int fds[2];
    char byte;
    rp_op op;

    unix_pair(fds);
    rp_op_recv(&op, fds[0], &byte, 1, 0, NULL, NULL);
    submit(port, &op);
    CHECK_INT(collect_once(port, 0), ==, 0);
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    CHECK_INT(finish(port, &op), ==, 1);
    int other = dup(fds[0]);
    close(fds[0]);
    CHECK_INT(registrations(), ==, 2); /* there is no way to take it back */
    expect_nothing_of_the_old_file(port, fds[0], fds[1]);
    /* The old file under its old number again: it is told of once more. */
    CHECK_INT(dup2(other, fds[0]), ==, fds[0]);
    rp_op_recv_stream(&op, fds[0], NULL, NULL);
    submit(port, &op);
    CHECK_INT(next_completion(port, &op).flags, ==, RP_OP_MORE);
    rp_proactor_cancel(port, &op);
    CHECK_INT(finish(port, &op), ==, -ECANCELED);
    CHECK_INT(registrations(), ==, 1);
    close(other);
    close_pair(fds);
    rp_proactor_close(port);
}

/* Nobody may do so; but even then, nothing is told of a file that it does not hold for. */
TEST(owner_closes_under_an_operation)
{
    rp_proactor *port = open_epoll();
    rp_op old, new;
    int fds[2], others[2];

    unix_pair(fds);
    rp_op_poll_multi(&old, fds[0], RP_POLL_IN, NULL, NULL);
    submit(port, &old);
    CHECK_INT(collect_once(port, 0), ==, 0);
    int kept = dup(fds[0]);
    unix_pair(others);
    CHECK_INT(dup2(others[0], fds[0]), ==, fds[0]);
    rp_op_poll_multi(&new, fds[0], RP_POLL_IN, NULL, NULL);
    submit(port, &new);
    CHECK_INT(write(fds[1], "x", 1), ==, 1); /* for the old file */
    for (int i = 0; i < 10; i++)
        CHECK_INT(collect_once(port, 0), ==, 0);
    cancel_and_finish(port, &old);
    cancel_and_finish(port, &new);
    rp_op_poll_multi(&new, fds[0], RP_POLL_IN, NULL, NULL);
    submit(port, &new);
    CHECK_INT(write(others[1], "y", 1), ==, 1);
    CHECK_INT(next_completion(port, &new).result, ==, RP_POLL_IN);
    rp_proactor_cancel(port, &new);
    CHECK_INT(finish(port, &new), ==, -ECANCELED);
    close(kept);
    close_pair(fds);
    close_pair(others);
    rp_proactor_close(port);
}

TEST(a_cancelled_operation_takes_its_registration_along)
{
    rp_proactor *port = open_epoll();
    rp_op op, second;
    int fds[2];

    for (int kind = 0; kind < 3; kind++) {
        unix_pair(fds);
        if (kind == 0)
            rp_op_poll(&op, fds[0], RP_POLL_IN, NULL, NULL);
        else if (kind == 1)
            rp_op_poll_multi(&op, fds[0], RP_POLL_IN, NULL, NULL);
        else
            rp_op_recv_stream(&op, fds[0], NULL, NULL);
        submit(port, &op);
        rp_op_poll(&second, fds[0], RP_POLL_PRI, NULL, NULL);
        submit(port, &second);
        CHECK_INT(registrations(), ==, 2);
        cancel_and_finish(port, &op);
        CHECK_INT(registrations(), ==, 2); /* the other one still waits */
        cancel_and_finish(port, &second);
        CHECK_INT(registrations(), ==, 1);
        int other = dup(fds[0]);
        close(fds[0]);
        expect_nothing_of_the_old_file(port, fds[0], fds[1]);
        close(other);
        close(fds[1]);
    }
    rp_proactor_close(port);
}

TEST(closing_takes_the_registration_back)
{
    rp_proactor *port = open_epoll();
    int fds[2];
    char byte;
    rp_op op;

    unix_pair(fds);
    rp_op_recv(&op, fds[0], &byte, 1, 0, NULL, NULL);
    submit(port, &op);
    CHECK_INT(collect_once(port, 0), ==, 0);
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    CHECK_INT(finish(port, &op), ==, 1);
    int other = dup(fds[0]);
    rp_op_close(&op, fds[0], NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    CHECK_INT(registrations(), ==, 1);
    expect_nothing_of_the_old_file(port, fds[0], fds[1]);
    close(other);
    close(fds[1]);
    rp_proactor_close(port);
}

/* What reports while nobody waits is not watched any more. */
TEST(input_that_nobody_waits_for_ends_the_watch)
{
    rp_proactor *port = open_epoll();
    int fds[2], idle[2];
    char byte;
    rp_op op, waiting;

    unix_pair(fds);
    unix_pair(idle);
    rp_op_recv(&waiting, idle[0], &byte, 1, 0, NULL, NULL);
    submit(port, &waiting); /* or else the kernel is asked for nothing */
    rp_op_recv(&op, fds[0], &byte, 1, 0, NULL, NULL);
    submit(port, &op);
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    CHECK_INT(finish(port, &op), ==, 1);
    CHECK_INT(registrations(), ==, 3);
    CHECK_INT(write(fds[1], "y", 1), ==, 1);
    CHECK_INT(collect_once(port, 0), ==, 0);
    CHECK_INT(registrations(), ==, 2);
    CHECK_INT(perform(port, &op), ==, 1);
    cancel_and_finish(port, &waiting);
    close_pair(fds);
    close_pair(idle);
    rp_proactor_close(port);
}

/* A child's descriptor is the proactor's own; a child of fork() may hold it, too. */
TEST(children_leave_no_registration)
{
    rp_proactor *port = open_epoll();
    int64_t child = test_start_child(-1);
    rp_op op;

    rp_op_wait_child(&op, child, NULL, NULL);
    submit(port, &op);
    int held = dup(op.fd);
    CHECK_INT(held, >=, 0);
    CHECK_INT(registrations(), ==, 2);
    cancel_and_finish(port, &op);
    CHECK_INT(registrations(), ==, 1);
    close(held);
    submit(port, &op);
    held = dup(op.fd);
    CHECK_INT(held, >=, 0);
    CHECK_INT(kill((pid_t)child, SIGKILL), ==, 0);
    CHECK_INT(finish(port, &op), ==, SIGKILL);
    CHECK_INT(registrations(), ==, 1);
    close(held);
    rp_proactor_close(port);
}

static rp_loop *epoll_loop(void)
{
    rp_loop_options options = {.backend = "epoll"};
    rp_loop *loop;

    CHECK_INT(rp_loop_new(&options, &loop), ==, 0);
    return loop;
}

static void note_lost(void *self, int error)
{
    int *lost = self;

    (void)error;
    ++*lost;
}

static void note_data(void *self, const void *data, size_t length)
{
    (void)self;
    (void)data;
    (void)length;
}

/* A child that holds all descriptors until the pipe's other end, which is returned, is closed. */
static int hold_in_child(pid_t *child)
{
    char byte;
    int gate[2];

    CHECK_INT(pipe2(gate, O_CLOEXEC), ==, 0);
    *child = fork();
    CHECK_INT(*child, >=, 0);
    if (*child == 0) {
        close(gate[1]);
        _exit(read(gate[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(gate[0]);
    return gate[1];
}

static void release_child(int gate, pid_t child)
{
    int status;

    close(gate);
    CHECK_INT(waitpid(child, &status, 0), ==, child);
    CHECK_INT(status, ==, 0);
}

/* Connections end while a child of fork() holds them: closed when nothing is under way, and amid a write. */
TEST(connections_leave_no_registration)
{
    static const rp_protocol protocol = {.data_received = note_data, .connection_lost = note_lost};
    static char bytes[16 << 20], taken[1 << 16]; /* more than the sockets hold */

    for (int writes = 0; writes < 2; writes++) {
        rp_loop *loop = epoll_loop();
        rp_transport *transport;
        int here, there, lost = 0;
        pid_t child;

        wire_pair(&here, &there);
        CHECK_INT(rp_connect_accepted_socket(loop, here, &protocol, &lost, &transport), ==, 0);
        if (writes)
            CHECK_INT(rp_transport_write(transport, bytes, sizeof bytes), ==, 0);
        CHECK_INT(registrations(), ==, 2);
        int gate = hold_in_child(&child);
        rp_transport_close(transport);
        set_nonblocking(there);
        while (!lost) {
            while (read(there, taken, sizeof taken) > 0)
                ;
            wire_run(loop, RP_USEC(100));
        }
        CHECK_INT(registrations(), ==, 1);
        expect_nothing_of_the_old_file(rp_loop_proactor(loop), here, there);
        rp_loop_free(loop);
        release_child(gate, child);
        close(there);
    }
}

static int no_connection(void *arg, const rp_protocol **protocol, void **self)
{
    (void)arg;
    (void)protocol;
    (void)self;
    return -EPROTO;
}

static void note_report(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    int *error = arg;

    (void)loop;
    *error = context->error;
}

/* Lets a server's accept fail, for want of descriptors. */
static void let_accept_fail(rp_loop *loop, const rp_server *server)
{
    int client = wire_connect(rp_server_port(server)), error = 0;
    struct rlimit limit, low;

    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    low = limit;
    low.rlim_cur = (rlim_t)dup(0);
    close((int)low.rlim_cur);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &low), ==, 0);
    rp_set_exception_handler(loop, note_report, &error);
    RUN_UNTIL(loop, error == -EMFILE);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    close(client);
}

/* Servers are closed while a child of fork() holds the listener: when it accepts, and when it tries again later. */
TEST(listeners_leave_no_registration)
{
    for (int fails = 0; fails < 2; fails++) {
        rp_loop *loop = epoll_loop();
        rp_future *made, *closed;
        pid_t child;

        CHECK_INT(rp_create_server(loop, no_connection, NULL, "127.0.0.1", 0, NULL, &made), ==, 0);
        CHECK_INT(rp_run_until_complete(loop, made), ==, 0);
        rp_server *server = rp_future_value(made);
        rp_future_unref(made);
        if (fails)
            let_accept_fail(loop, server);
        CHECK_INT(registrations(), ==, 2);
        int gate = hold_in_child(&child);
        CHECK_INT(rp_server_closed_future(server, &closed), ==, 0);
        rp_server_close(server);
        CHECK_INT(rp_run_until_complete(loop, closed), ==, 0);
        rp_future_unref(closed);
        CHECK_INT(registrations(), ==, 1);
        rp_server_free(server);
        rp_loop_free(loop);
        release_child(gate, child);
    }
}

/* One that is refused, and one that nobody wants when it is there. */
TEST(failed_connections_leave_no_registration)
{
    for (int refused = 0; refused < 2; refused++) {
        rp_loop *loop = epoll_loop();
        rp_future *connected;
        int port, listener = wire_listen(&port);

        if (refused)
            close(listener);
        int number = dup(0); /* the next one to be had, which will be the socket's */
        CHECK_INT(number, >=, 0);
        close(number);
        CHECK_INT(rp_create_connection(loop, no_connection, NULL, "127.0.0.1", port, NULL, &connected), ==, 0);
        while (registrations() < 2) {
            CHECK(!rp_future_done(connected));
            rp_loop_stop(loop); /* one turn */
            CHECK_INT(rp_run_forever(loop), ==, 0);
        }
        int held = dup(number);
        CHECK_INT(held, >=, 0);
        CHECK_INT(rp_run_until_complete(loop, connected), ==, refused ? -ECONNREFUSED : -EPROTO);
        rp_future_unref(connected);
        CHECK_INT(registrations(), ==, 1);
        close(held);
        if (!refused)
            close(listener);
        CHECK_INT(rp_shutdown_default_executor(loop, RP_NEVER), ==, 0);
        rp_loop_free(loop);
    }
}

static void stop_when_ready(rp_fd fd, void *loop)
{
    (void)fd;
    rp_loop_stop(loop);
}

/* A reader that is removed is not watched, whether it waits just then or has been told. */
TEST(removed_readers_leave_no_registration)
{
    rp_loop *loop = epoll_loop();
    int fds[2];

    unix_pair(fds);
    for (int ready = 0; ready < 2; ready++) {
        CHECK_INT(rp_add_reader(loop, fds[0], stop_when_ready, loop), ==, 0);
        rp_loop_stop(loop);
        CHECK_INT(rp_run_forever(loop), ==, 0);
        CHECK_INT(registrations(), ==, 2);
        if (ready) {
            CHECK_INT(write(fds[1], "x", 1), ==, 1);
            CHECK_INT(rp_run_forever(loop), ==, 0); /* until it is told */
        }
        CHECK_INT(rp_remove_reader(loop, fds[0]), ==, 1);
        CHECK_INT(registrations(), ==, 1);
    }
    rp_loop_free(loop);
    close_pair(fds);
}

/* ---- edges and entries ---- */

/* What has something to tell is cancelled before it is asked: it ends, and tells nothing. */
TEST(cancelled_before_it_tells)
{
    rp_proactor *port = open_epoll();
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
    rp_proactor *port = open_epoll();
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

/* Descriptors far apart, and many of them. */
TEST(many_descriptors)
{
    enum { COUNT = 500 };
    rp_proactor *port = open_epoll();
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
    rp_proactor *port = open_epoll();
    rp_op op;

    rp_op_nop(&op, NULL, NULL);
    for (int i = 0; i < 5; i++)
        CHECK_INT(collect_once(port, 0), ==, 0);
    CHECK_INT(port->kernel_entries, ==, 0);
    rp_proactor_close(port);
}

/* ---- asking while there is enough else to do ---- */

enum { MOST_TURNS = 64, EACH = -1 };

/* A loop that has something to do in each turn. */
typedef struct busy {
    rp_loop *loop;
    rp_handle handle;
    int turns, end;           /* how many have been, and are to be */
    int input_at, seen_at;    /* the turns in which input was made (EACH: all), and was seen last */
    int inputs;               /* how many were seen */
    int64_t duration;         /* of a turn, by the test's clock */
    void (*make_input)(void); /* or a byte is written */
    int fds[2];
} busy;

static void take_turn(void *arg)
{
    busy *b = arg;

    now += b->duration;
    if (++b->turns == b->input_at || b->input_at == EACH) {
        if (b->make_input != NULL)
            b->make_input();
        else
            CHECK_INT(write(b->fds[1], "x", 1), ==, 1);
    }
    if (b->turns == b->end)
        rp_loop_stop(b->loop);
    else
        CHECK_INT(rp_call_soon(b->loop, &b->handle, take_turn, b), ==, 0);
}

static void see_signal(void *arg)
{
    busy *b = arg;

    b->inputs++;
    b->seen_at = b->turns; /* after take_turn(), which was ready before */
}

static void see_input(rp_fd fd, void *arg)
{
    char byte;

    CHECK_INT(read(fd, &byte, 1), ==, 1);
    see_signal(arg);
}

static void open_busy(busy *b)
{
    *b = (busy){.loop = epoll_loop()};
    unix_pair(b->fds);
    CHECK_INT(rp_add_reader(b->loop, b->fds[0], see_input, b), ==, 0);
    now = RP_SEC(1000);
    step = 0;
}

static void close_busy(busy *b)
{
    rp_loop_free(b->loop);
    close_pair(b->fds);
    now = 0;
}

static uint64_t entries(const rp_loop *loop)
{
    rp_loop_stats stats;

    rp_loop_get_stats(loop, &stats);
    return stats.kernel_entries;
}

/* Runs so many turns, input being made in one of them. */
static void run_busy(busy *b, int turns, int input_at)
{
    b->turns = b->seen_at = b->inputs = 0;
    b->end = turns;
    b->input_at = input_at;
    CHECK_INT(rp_call_soon(b->loop, &b->handle, take_turn, b), ==, 0);
    CHECK_INT(rp_run_forever(b->loop), ==, 0);
    CHECK_INT(b->turns, ==, turns);
}

/* The turns that ask are the 1st, 3rd, 7th, 15th to 63rd, and from then on each 64th. */
enum { MANY_TURNS = 100 * MOST_TURNS, SELDOM = 6 + 99 };

TEST(busy_turns_ask_seldom)
{
    busy b;

    open_busy(&b);
    run_busy(&b, MANY_TURNS, 0);
    CHECK_INT(entries(b.loop), ==, SELDOM);
    close_busy(&b);
}

/* Whenever it comes, input is seen within so many turns. */
TEST(busy_turns_see_input)
{
    busy b;
    int most = 0;

    open_busy(&b);
    for (int at = 1; at <= 2 * MOST_TURNS; at++) {
        run_busy(&b, 4 * MOST_TURNS, at);
        CHECK_INT(b.seen_at, >, at);
        most = b.seen_at - at > most ? b.seen_at - at : most;
    }
    CHECK_INT(most, ==, MOST_TURNS);
    close_busy(&b);
}

static void send_signal(void)
{
    CHECK_INT(raise(SIGUSR1), ==, 0);
}

TEST(busy_turns_see_signals)
{
    busy b;

    open_busy(&b);
    b.make_input = send_signal;
    CHECK_INT(rp_add_signal_handler(b.loop, SIGUSR1, see_signal, &b), ==, 0);
    run_busy(&b, 4 * MOST_TURNS, 1);
    CHECK_INT(b.seen_at, >, 1);
    CHECK_INT(b.seen_at, <=, 1 + MOST_TURNS);
    close_busy(&b);
}

/* While there is input, each turn asks. */
TEST(turns_with_input_ask)
{
    busy b;

    open_busy(&b);
    CHECK_INT(write(b.fds[1], "x", 1), ==, 1); /* for the first */
    run_busy(&b, 2 * MOST_TURNS, EACH);
    CHECK_INT(b.inputs, ==, 2 * MOST_TURNS); /* what the last one made nobody has looked for */
    close_busy(&b);
}

/* Where turns are long, time is what counts: input is seen in the first turn that begins 50 us after the last look. */
TEST(long_turns_see_input_sooner)
{
    busy b;

    open_busy(&b);
    for (int turns = 1; turns <= 10; turns++) {
        b.duration = (RP_USEC(50) + turns - 1) / turns;
        for (int at = 1; at <= 20; at++) {
            run_busy(&b, 60, at);
            CHECK_INT(b.seen_at, >, at);
            CHECK_INT(b.seen_at, <=, at + turns);
        }
    }
    close_busy(&b);
}

/* A run of a single turn, such as a program makes that has a loop of its own, sees what there is. */
TEST(first_turn_of_a_run_asks)
{
    busy b;

    open_busy(&b);
    for (int i = 0; i < 10; i++) {
        run_busy(&b, MOST_TURNS + 10, 0); /* and it would be long until the next look */
        CHECK_INT(write(b.fds[1], "x", 1), ==, 1);
        run_busy(&b, 1, 0);
        CHECK_INT(b.seen_at, >, 0);
    }
    close_busy(&b);
}

/* And so does a wait on the loop's proactor that is none of the loop's. */
TEST(a_wait_after_a_run_asks)
{
    rp_completion completion;
    rp_op op;
    busy b;

    open_busy(&b);
    rp_op_poll(&op, b.fds[1], RP_POLL_IN, NULL, NULL);
    CHECK_INT(rp_submit(b.loop, &op), ==, 0);
    run_busy(&b, MOST_TURNS + 10, 0);
    CHECK_INT(write(b.fds[0], "x", 1), ==, 1);
    CHECK_INT(rp_proactor_wait(rp_loop_proactor(b.loop), &completion, 1, 0), ==, 1);
    CHECK(completion.op == &op);
    close_busy(&b);
}

static void perform_again(rp_op *op)
{
    busy *b = op->data;

    if (++b->turns == b->end)
        rp_loop_stop(b->loop);
    else
        CHECK_INT(rp_submit(b->loop, op), ==, 0);
}

/* Operations that are done at once are something to do, too. */
TEST(finished_operations_ask_seldom)
{
    busy b;
    rp_op op;

    open_busy(&b);
    b.end = MANY_TURNS;
    rp_op_nop(&op, perform_again, &b);
    CHECK_INT(rp_submit(b.loop, &op), ==, 0);
    CHECK_INT(rp_run_forever(b.loop), ==, 0);
    CHECK_INT(entries(b.loop), ==, SELDOM);
    close_busy(&b);
}

/* Busy polling is there to ask. */
TEST(busy_polls_ask_each_time)
{
    rp_loop_options options = {.backend = "epoll", .proactor_options.busy_poll = RP_USEC(20)};
    rp_timer timer = {0};
    rp_loop *loop;
    int fds[2];

    CHECK_INT(rp_loop_new(&options, &loop), ==, 0);
    unix_pair(fds);
    CHECK_INT(rp_add_reader(loop, fds[0], stop_when_ready, loop), ==, 0);
    now = __real_rp_clock_now();
    step = 1000;
    CHECK_INT(rp_call_later(loop, &timer, RP_USEC(40), wire_stop, loop), ==, 0);
    CHECK_INT(rp_run_forever(loop), ==, 0);
    CHECK_INT(entries(loop), >=, 15);
    now = 0;
    rp_loop_free(loop);
    close_pair(fds);
}

/* ---- old kernels ---- */

/* Before Linux 5.11 epoll_wait() has to do, in milliseconds, rounded up. */
TEST(without_epoll_pwait2)
{
    rp_proactor *port = open_epoll();
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
