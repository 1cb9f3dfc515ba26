/*
 * test_op_accept.c - accepting connections, one by one or all that come, and connecting: the same on every backend.
 */
#include <stdio.h>

#include "proactor/proactor.h"
#include "harness/support.h"
#include "proactor/kernel.h"

TEST(accept_one)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address, peer, own;
    uint32_t length = sizeof peer;
    socklen_t own_length = sizeof own;
    int listener = listen_tcp(&address);
    rp_op op;

    for (int i = 0; i < 4; i++) { /* waits, then does not have to; the same where others may accept, too */
        int client = -1;

        rp_op_accept(&op, listener, (struct sockaddr *)&peer, &length, NULL, NULL);
        op.u.accept.shared = i >= 2;
        if (i % 2 == 0) {
            submit(port, &op);
            stays_quiet(port);
            client = connect_tcp(&address);
        } else {
            client = connect_tcp(&address);
            submit(port, &op);
        }
        int fd = (int)finish(port, &op);
        CHECK_INT(fd, >=, 0);
        CHECK_INT(fcntl(fd, F_GETFL) & O_NONBLOCK, !=, 0);
        CHECK_INT(fcntl(fd, F_GETFD) & FD_CLOEXEC, !=, 0);
        CHECK_INT(getsockname(client, (struct sockaddr *)&own, &own_length), ==, 0);
        CHECK_INT(length, ==, sizeof peer);
        CHECK(memcmp(&peer, &own, sizeof own) == 0);
        close(client);
        close(fd);
    }
    rp_proactor_close(port);
    close(listener);
}

TEST(accept_on_blocking_listener)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address;
    int listener = listen_tcp(&address);
    rp_op op;

    CHECK_INT(fcntl(listener, F_SETFL, 0), ==, 0);
    rp_op_accept(&op, listener, NULL, NULL, NULL, NULL);
    submit(port, &op);
    stays_quiet(port);
    int client = connect_tcp(&address);
    int64_t fd = finish(port, &op);
    CHECK_INT(fd, >=, 0);
    close((int)fd);
    close(client);
    close(listener);
    rp_proactor_close(port);
}

#ifndef _WIN32
static void still_blocks(int fd)
{
    CHECK_INT(fcntl(fd, F_GETFL) & O_NONBLOCK, ==, 0);
}

/* Whatever becomes of the operation, and while it waits. */
TEST(blocking_sockets_stay_blocking)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address, full;
    int listener = listen_tcp(&address), crowded, fd;
    rp_op op;

    CHECK_INT(fcntl(listener, F_SETFL, 0), ==, 0);
    for (int i = 0; i < 4; i++) {
        bool multi = i % 2 != 0;

        if (multi)
            rp_op_accept_multi(&op, listener, NULL, NULL);
        else
            rp_op_accept(&op, listener, NULL, NULL, NULL, NULL);
        op.u.accept.shared = i >= 2;
        submit(port, &op);
        stays_quiet(port);
        still_blocks(listener);
        fd = connect_tcp(&address);
        rp_completion completion = next_completion(port, &op);
        CHECK_INT(completion.result, >=, 0);
        close((int)completion.result);
        close(fd);
        still_blocks(listener);
        if (!multi)
            submit(port, &op);
        cancel_and_finish(port, &op);
        still_blocks(listener);
    }

    fd = tcp_socket();
    rp_op_connect(&op, fd, (struct sockaddr *)&address, sizeof address, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, 0);
    still_blocks(fd);
    close(fd);
    close(listener);
    fd = tcp_socket();
    rp_op_connect(&op, fd, (struct sockaddr *)&address, sizeof address, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -ECONNREFUSED);
    still_blocks(fd);
    close(fd);

    /* One that waits, since the listener's queue is full. */
    crowded = listen_tcp(&full);
    CHECK_INT(listen(crowded, 0), ==, 0);
    int first = connect_tcp(&full);
    fd = tcp_socket();
    rp_op_connect(&op, fd, (struct sockaddr *)&full, sizeof full, NULL, NULL);
    submit(port, &op);
    stays_quiet(port);
    still_blocks(fd);
    cancel_and_finish(port, &op);
    still_blocks(fd);
    close(fd);
    close(first);
    close(crowded);
    rp_proactor_close(port);
}

/* The listener's queue is full until something is accepted: then the kernel's next try succeeds, a second later. */
TEST(connecting_goes_on_after_it_was_begun_elsewhere)
{
    const rp_kernel *kernel = &rp_system_kernel;
    rp_proactor *port = open_port();
    struct sockaddr_in full;
    int crowded = listen_tcp(&full), first, fd;
    rp_op op;

    CHECK_INT(listen(crowded, 0), ==, 0);
    first = connect_tcp(&full);
    CHECK_INT(rp_kernel_open(kernel, AF_INET, SOCK_STREAM, 0, &fd), ==, 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(rp_kernel_connect(kernel, fd, (struct sockaddr *)&full, sizeof full), ==, -EINPROGRESS);
    rp_op_connect(&op, fd, (struct sockaddr *)&full, sizeof full, NULL, NULL);
    submit(port, &op);
    stays_quiet(port);
    close(accept(crowded, NULL, NULL));
    CHECK_INT(finish(port, &op), ==, 0);
    CHECK_INT(rp_kernel_connect(kernel, fd, (struct sockaddr *)&full, sizeof full), ==, 0);
    close(fd);
    close(first);
    close(crowded);
    rp_proactor_close(port);
}
#else
TEST_ABSENT(blocking_sockets_stay_blocking, "Windows does not tell whether a socket blocks");
TEST_ABSENT(connecting_goes_on_after_it_was_begun_elsewhere, "Windows connects a socket by one way or the other");
#endif

TEST(the_kernel_connects_and_says_so)
{
    const rp_kernel *kernel = &rp_system_kernel;
    struct sockaddr_in address;
    int listener = listen_tcp(&address), rc;
    rp_fd fd;

    for (int i = 0; i < 2; i++) {
        CHECK_INT(rp_kernel_open(kernel, AF_INET, SOCK_STREAM, 0, &fd), ==, 0);
        do
            rc = rp_kernel_connect(kernel, fd, (struct sockaddr *)&address, sizeof address);
        while (rc == -EINPROGRESS);
        if (i == 0)
            CHECK_INT(rc, ==, 0);
        else
            CHECK(rc == -ECONNREFUSED || rc == -ECONNABORTED); /* the latter on Windows, which tells it once */
        rp_kernel_close(kernel, fd);
        if (i == 0)
            rp_kernel_close(kernel, listener);
    }
}

static void accept_many(bool shared)
{
    enum { COUNT = 100 };
    rp_proactor *port = open_port();
    struct sockaddr_in address;
    int listener = listen_tcp(&address), clients[COUNT];
    rp_op op;

    clients[0] = connect_tcp(&address); /* one is there already */
    rp_op_accept_multi(&op, listener, NULL, NULL);
    op.u.accept.shared = shared;
    submit(port, &op);
    for (int i = 0; i < COUNT; i++) {
        if (i > 0 && i < 30)
            clients[i] = connect_tcp(&address); /* one by one */
        for (int j = 30; i == 30 && j < COUNT; j++)
            clients[j] = connect_tcp(&address); /* many at a time */
        rp_completion completion = next_completion(port, &op);
        CHECK_INT(completion.result, >=, 0);
        CHECK_INT(completion.flags, ==, RP_OP_MORE);
        CHECK_INT(fcntl((int)completion.result, F_GETFL) & O_NONBLOCK, !=, 0);
        CHECK_INT(fcntl((int)completion.result, F_GETFD) & FD_CLOEXEC, !=, 0);
        close((int)completion.result);
        CHECK_INT(rp_proactor_submit(port, &op), ==, -EBUSY);
    }
    stays_quiet(port);
    CHECK_INT(port->in_flight, ==, 1);
    cancel_and_finish(port, &op);
    CHECK_INT(port->in_flight, ==, 0);
    for (int i = 0; i < COUNT; i++)
        close(clients[i]);
    close(listener);
    rp_proactor_close(port);
}

TEST(accept_multi)
{
    accept_many(false);
    accept_many(true);
}

/* No turn gives more than there is room for, and the rest comes in later ones. */
TEST(accept_multi_with_little_room)
{
    enum { COUNT = 20, ROOM = 3 };
    rp_proactor *port = open_port();
    struct sockaddr_in address;
    int listener = listen_tcp(&address), clients[COUNT];
    rp_op op;

    for (int shared = 0; shared < 2; shared++) {
        for (int i = 0; i < COUNT; i++)
            clients[i] = connect_tcp(&address);
        rp_op_accept_multi(&op, listener, NULL, NULL);
        op.u.accept.shared = shared;
        submit(port, &op);
        for (int accepted = 0; accepted < COUNT;) {
            rp_completion completions[2 * ROOM] = {{.op = NULL}};
            int n = rp_proactor_wait(port, completions, ROOM, RP_NEVER);

            CHECK_INT(n, >=, 0);
            CHECK_INT(n, <=, ROOM);
            CHECK(!completions[ROOM].op);
            for (int i = 0; i < n; i++) {
                CHECK_INT(completions[i].result, >=, 0);
                CHECK_INT(completions[i].flags, ==, RP_OP_MORE);
                close((int)completions[i].result);
            }
            accepted += n;
        }
        stays_quiet(port);
        cancel_and_finish(port, &op);
        for (int i = 0; i < COUNT; i++)
            close(clients[i]);
    }
    close(listener);
    rp_proactor_close(port);
}

static void accept_and_cancel(bool shared)
{
    enum { COUNT = 60 };
    rp_proactor *port = open_port();
    struct sockaddr_in address;
    int listener = listen_tcp(&address), clients[COUNT], accepted = 0;
    rp_completion completion;
    rp_op op;

    for (int round = 0; round < 3; round++) {
        rp_op_accept_multi(&op, listener, NULL, NULL);
        op.u.accept.shared = shared;
        submit(port, &op);
        collect_once(port, 0); /* perhaps those that the round before has left */
        for (int i = 0; i < COUNT / 3; i++)
            clients[round * COUNT / 3 + i] = connect_tcp(&address);
        if (round == 1) {
            CHECK_INT(close((int)next_completion(port, &op).result), ==, 0);
            accepted++;
        }
        rp_proactor_cancel(port, &op);
        while ((completion = next_completion(port, &op)).flags & RP_OP_MORE) {
            CHECK_INT(close((int)completion.result), ==, 0);
            accepted++;
        }
        CHECK_INT(completion.result, ==, -ECANCELED);
    }
    int fd;
    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        accepted++;
        close(fd);
    }
    CHECK_INT(accepted, ==, COUNT);
    for (int i = 0; i < COUNT; i++)
        close(clients[i]);
    close(listener);
    rp_proactor_close(port);
}

/* Connections that come along with a cancellation are delivered, or stay in the queue, and are not lost. */
TEST(accept_multi_cancelled_amid)
{
    accept_and_cancel(false);
    accept_and_cancel(true);
}

#ifndef _WIN32
TEST(accept_without_descriptors)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address;
    int listener = listen_tcp(&address), client = connect_tcp(&address);
    struct rlimit limit, none;
    rp_op op;

    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    none = (struct rlimit){.rlim_cur = (rlim_t)client + 1, .rlim_max = limit.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), ==, 0);
    for (int i = 0; i < 4; i++) {
        if (i % 2 == 0)
            rp_op_accept(&op, listener, NULL, NULL, NULL, NULL);
        else
            rp_op_accept_multi(&op, listener, NULL, NULL);
        op.u.accept.shared = i >= 2;
        CHECK_INT(perform(port, &op), ==, -EMFILE);
    }
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    submit(port, &op); /* the connection is still there */
    rp_completion completion = next_completion(port, &op);
    CHECK_INT(completion.result, >=, 0);
    close((int)completion.result);
    cancel_and_finish(port, &op);
    close(client);
    close(listener);
    rp_proactor_close(port);
}
#else
TEST_ABSENT(accept_without_descriptors, "Windows has no limit on descriptors to run into");
#endif

#ifndef _WIN32
static void accept_shared(rp_proactor *port, rp_op *op, int listener)
{
    rp_op_accept(op, listener, NULL, NULL, NULL, NULL);
    op->u.accept.shared = true;
    submit(port, op);
    stays_quiet(port);
}

/* Two proactors stand for two processes: the one that waits first, and does not run, keeps no connection. */
TEST(whoever_runs_accepts_one_at_a_shared_socket)
{
    rp_proactor *ports[2] = {open_port(), open_port()};
    struct sockaddr_in address;
    int listener = listen_tcp(&address);
    rp_op ops[2];

    for (int i = 0; i < 2; i++)
        accept_shared(ports[i], &ops[i], listener);
    for (int i = 1; i >= 0; i--)
        for (int j = 0; j < 3; j++) {
            int client = connect_tcp(&address);
            int64_t fd = finish(ports[i], &ops[i]);

            CHECK_INT(fd, >=, 0);
            close((int)fd);
            close(client);
            accept_shared(ports[i], &ops[i], listener);
        }
    for (int i = 0; i < 2; i++)
        cancel_and_finish(ports[i], &ops[i]);
    close(listener);
    for (int i = 0; i < 2; i++)
        rp_proactor_close(ports[i]);
}
#else
TEST_ABSENT(whoever_runs_accepts_one_at_a_shared_socket, "a socket belongs to one port on Windows");
#endif

TEST(accept_on_no_listener)
{
    rp_proactor *port = open_port();
    int fds[2];
    rp_op op;

    nonblocking_pair(fds);
    for (int i = 0; i < 4; i++) {
        if (i % 2 == 0)
            rp_op_accept(&op, fds[0], NULL, NULL, NULL, NULL);
        else
            rp_op_accept_multi(&op, fds[0], NULL, NULL);
        op.u.accept.shared = i >= 2;
        CHECK_INT(perform(port, &op), ==, -EINVAL);
    }
    close_pair(fds);
    rp_proactor_close(port);
}

TEST(connect_tcp_sockets)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address;
    int listener = listen_tcp(&address);
    rp_op op;

    for (int i = 0; i < 4; i++) { /* blocking or not */
        int fd = tcp_socket();

        if (i & 1)
            set_nonblocking(fd);
        rp_op_connect(&op, fd, (struct sockaddr *)&address, sizeof address, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, 0);
        close(fd);
    }
    close(listener);
    for (int i = 0; i < 2; i++) { /* nobody listens any more */
        int fd = tcp_socket();

        if (i & 1)
            set_nonblocking(fd);
        rp_op_connect(&op, fd, (struct sockaddr *)&address, sizeof address, NULL, NULL);
        CHECK_INT(perform(port, &op), ==, -ECONNREFUSED);
        close(fd);
    }
    rp_proactor_close(port);
}

TEST(connect_unix_sockets)
{
    test_need_unix_sockets();
    rp_proactor *port = open_port();
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), fd = socket(AF_UNIX, SOCK_STREAM, 0);
    rp_op op, accept_op;

    snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "ringport-test-%d", (int)getpid());
    rp_op_connect(&op, fd, (struct sockaddr *)&address, sizeof address, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -ECONNREFUSED);
    CHECK_INT(bind(listener, (struct sockaddr *)&address, sizeof address), ==, 0);
    CHECK_INT(listen(listener, 0), ==, 0);
    rp_op_accept(&accept_op, listener, NULL, NULL, NULL, NULL);
    submit(port, &accept_op);
    CHECK_INT(perform(port, &op), ==, 0);
    int64_t accepted = finish(port, &accept_op);
    CHECK_INT(accepted, >=, 0);
    close((int)accepted);
    close(fd);

    /* A full queue is told, by the same error everywhere. */
    int others[3];
    int64_t result = 0;
    for (int i = 0; i < 3; i++) {
        others[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        rp_op_connect(&op, others[i], (struct sockaddr *)&address, sizeof address, NULL, NULL);
        result = perform(port, &op);
        CHECK(result == 0 || result == -EAGAIN);
    }
    CHECK_INT(result, ==, -EAGAIN);
    for (int i = 0; i < 3; i++)
        close(others[i]);
    close(listener);
    rp_proactor_close(port);
}

TEST(connect_to_an_address_of_another_family)
{
    rp_proactor *port = open_port();
    struct sockaddr_in address = {.sin_family = AF_INET6};
    int fd = tcp_socket();
    rp_op op;

    rp_op_connect(&op, fd, (struct sockaddr *)&address, sizeof address, NULL, NULL);
    CHECK_INT(perform(port, &op), ==, -EAFNOSUPPORT);
    close(fd);
    rp_proactor_close(port);
}
