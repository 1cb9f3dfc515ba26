/*
 * test_epoll_registrations.c - what is registered with epoll goes when nothing waits for it any more, also if the owner
 * closes its descriptor and a duplicate keeps the file open.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "harness/support.h"
#include "harness/wire.h"

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

/* Waits for a byte and gets it, so that the descriptor is registered. */
static void receive_once(rp_proactor *port, const int fds[2])
{
    char byte;
    rp_op op;

    rp_op_recv(&op, fds[0], &byte, 1, 0, NULL, NULL);
    submit(port, &op);
    CHECK_INT(collect_once(port, 0), ==, 0);
    CHECK_INT(write(fds[1], "x", 1), ==, 1);
    CHECK_INT(finish(port, &op), ==, 1);
}

TEST(owner_closes_after_a_single_operation)
{
    rp_proactor *port = open_backend("epoll");
    int fds[2];
    rp_op op;

    unix_pair(fds);
    receive_once(port, fds);
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
    rp_proactor *port = open_backend("epoll");
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
    rp_proactor *port = open_backend("epoll");
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
    rp_proactor *port = open_backend("epoll");
    int fds[2];
    rp_op op;

    unix_pair(fds);
    receive_once(port, fds);
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
    rp_proactor *port = open_backend("epoll");
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
    rp_proactor *port = open_backend("epoll");
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
        rp_loop *loop = loop_of("epoll");
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
        rp_loop *loop = loop_of("epoll");
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
        rp_loop *loop = loop_of("epoll");
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

/* A reader that is removed is not watched, whether it waits just then or has been told. */
TEST(removed_readers_leave_no_registration)
{
    rp_loop *loop = loop_of("epoll");
    int fds[2];

    unix_pair(fds);
    for (int ready = 0; ready < 2; ready++) {
        CHECK_INT(rp_add_reader(loop, fds[0], wire_stop_when_ready, loop), ==, 0);
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
