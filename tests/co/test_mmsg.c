/* test_mmsg.c - several datagrams by one call: what comes, what goes, and what has gone when something fails. */
#include <stdio.h>

#include "harness/datagrams.h"
#include "harness/tasks.h"

enum { MANY = 80, ROOM = 2048 };

/* Messages with a room and an address each. */
typedef struct box {
    rp_mmsg messages[MANY];
    struct sockaddr_in addresses[MANY];
    char bytes[MANY][ROOM];
} box;

static box *new_box(void)
{
    box *b = calloc(1, sizeof *b);

    CHECK(b);
    for (int i = 0; i < MANY; i++)
        b->messages[i] = (rp_mmsg){.buffer = b->bytes[i],
                                   .size = ROOM,
                                   .address = (struct sockaddr *)&b->addresses[i],
                                   .address_size = sizeof b->addresses[i]};
    return b;
}

/* Fills in what is to be sent: datagrams that can be told apart. */
static void fill_box(box *b, int count, const struct sockaddr_in *to)
{
    for (int i = 0; i < count; i++) {
        rp_mmsg *m = &b->messages[i];

        snprintf(b->bytes[i], ROOM, "%d", i);
        m->length = strlen(b->bytes[i]);
        m->error = -1;
        m->address_length = 0;
        if (to) {
            b->addresses[i] = *to;
            m->address_length = sizeof *to;
        }
    }
}

static void check_number(const rp_mmsg *m, int expected)
{
    char text[16] = "";

    CHECK_INT(m->length, <, sizeof text);
    memcpy(text, m->buffer, m->length);
    CHECK_INT(atoi(text), ==, expected);
}

/* Receives the numbers from `first` to `end`, in order. */
static void receive_numbers(rp_co *co, int fd, int first, int end)
{
    box *b = new_box();

    while (first < end) {
        int n = rp_recvmmsg(co, fd, b->messages, MANY);

        CHECK_INT(n, >, 0);
        CHECK_INT(n, <=, 64);
        for (int i = 0; i < n; i++)
            check_number(&b->messages[i], first++);
    }
    CHECK_INT(first, ==, end);
    free(b);
}

/* ---- receiving ---- */

CO_TEST(as_many_as_are_there)
{
    static const char *texts[] = {"one", "", "three", "4", "five"};
    struct sockaddr_in here, there;
    int from = udp_bound(&there), fd = udp_bound(&here);
    box *b = new_box();

    for (int i = 0; i < 5; i++)
        udp_send(from, &here, texts[i], strlen(texts[i]));
    CHECK_INT(rp_recvmmsg(co, fd, b->messages, 3), ==, 3);
    b->messages[5].length = b->messages[5].segment = 77;
    CHECK_INT(rp_recvmmsg(co, fd, b->messages + 3, MANY - 3), ==, 2);
    CHECK_INT(b->messages[5].length, ==, 77); /* what nothing came for is left alone */
    CHECK_INT(b->messages[5].segment, ==, 77);
    for (int i = 0; i < 5; i++) {
        const rp_mmsg *m = &b->messages[i];

        CHECK_INT(m->length, ==, strlen(texts[i]));
        CHECK(memcmp(m->buffer, texts[i], m->length) == 0);
        CHECK_INT(m->address_length, ==, sizeof there);
        CHECK_INT(b->addresses[i].sin_port, ==, there.sin_port);
        CHECK_INT(m->flags, ==, 0);
        CHECK_INT(m->segment, ==, 0);
    }
    free(b);
    close(from);
    close(fd);
}

CO_TEST(what_is_too_long_for_its_room_is_told)
{
    struct sockaddr_in here, there;
    int from = udp_bound(&there), fd = udp_bound(&here);
    box *b = new_box();

    b->messages[0].size = 3;
    b->messages[0].address = NULL; /* nobody wants to know */
    udp_send(from, &here, "long", 4);
    udp_send(from, &here, "whole", 5);
    CHECK_INT(rp_recvmmsg(co, fd, b->messages, 2), ==, 2);
    CHECK_INT(b->messages[0].length, ==, 3);
    CHECK_INT(b->messages[0].flags, ==, MSG_TRUNC);
    CHECK_INT(b->messages[0].address_length, ==, 0);
    CHECK(memcmp(b->bytes[0], "lon", 3) == 0);
    CHECK_INT(b->messages[1].length, ==, 5);
    CHECK_INT(b->messages[1].flags, ==, 0);
    free(b);
    close(from);
    close(fd);
}

typedef struct receiver {
    int fd;
    box *b;
} receiver;

static int receives_one(rp_co *co, void *arg)
{
    receiver *r = arg;

    return rp_recvmmsg(co, r->fd, r->b->messages, 1);
}

/* Whether the descriptor blocks or not, only the task waits; and whether it is cancelled or not, nothing is lost. */
CO_TEST(a_cancelled_receive_loses_nothing)
{
    for (int blocking = 0; blocking < 2; blocking++) {
        struct sockaddr_in here, there;
        int from = udp_bound(&there), fd = udp_bound(&here), arrived = 0, sent = 0;
        box *b = new_box();
        receiver r = {fd, b};

#ifndef _WIN32
        if (blocking)
            CHECK_INT(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK), ==, 0);
#endif
        for (int before = 0; before < 4; before++)
            for (int after = 0; after < 4; after++, sent++) {
                rp_task *task = spawn(receives_one, &r);

                for (int i = 0; i < before; i++)
                    CHECK_INT(rp_sleep(co, 0), ==, 0);
                udp_send(from, &here, "x", 1);
                for (int i = 0; i < after; i++)
                    CHECK_INT(rp_sleep(co, 0), ==, 0);
                rp_task_cancel(task);
                int rc = rp_join(co, task);
                CHECK(rc == 1 || rc == RP_EFUTCANCELED);
                arrived += rc == 1;
            }
        while (arrived < sent)
            arrived += rp_recvmmsg(co, fd, b->messages, MANY);
        CHECK_INT(arrived, ==, sent);
        free(b);
        close(from);
        close(fd);
    }
}

CO_TEST(a_closed_port_is_told_once)
{
#ifdef _WIN32
    test_need_real_windows("it tells of no closed port");
#endif
    struct sockaddr_in here, nobody;
    int holder = udp_bound(&nobody), fd = udp_bound(&here);
    box *b = new_box();

    CHECK_INT(connect(fd, (struct sockaddr *)&nobody, sizeof nobody), ==, 0);
    close(holder);
    fill_box(b, 1, NULL);
    CHECK_INT(rp_sendmmsg(co, fd, b->messages, 1), ==, 1);
    CHECK_INT(rp_recvmmsg(co, fd, b->messages, MANY), ==, -ECONNREFUSED);

    holder = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(holder, (struct sockaddr *)&nobody, sizeof nobody), ==, 0);
    udp_send(holder, &here, "0", 1);
    receive_numbers(co, fd, 0, 1); /* and it goes on */
    free(b);
    close(holder);
    close(fd);
}

/* ---- sending ---- */

CO_TEST(what_was_received_is_sent_back_as_it_is)
{
    struct sockaddr_in here, there[2];
    int fd = udp_bound(&here), peers[2] = {udp_bound(&there[0]), udp_bound(&there[1])};
    box *b = new_box();
    char bytes[8];

    for (int i = 0; i < 4; i++)
        udp_send(peers[i % 2], &here, "0123", (size_t)i);
    for (int n = 0, got; n < 4; n += got) {
        got = rp_recvmmsg(co, fd, b->messages, MANY);
        CHECK_INT(got, >, 0);
        CHECK_INT(rp_sendmmsg(co, fd, b->messages, got), ==, got);
    }
    for (int i = 0; i < 4; i++)
        CHECK_INT(rp_recvfrom(co, peers[i % 2], bytes, sizeof bytes, 0, NULL, NULL), ==, i);
    free(b);
    close(fd);
    close_pair(peers);
}

CO_TEST(more_than_the_system_takes_at_once)
{
    struct sockaddr_in here, there;
    int fd = udp_bound(&here), from = udp_bound(&there);
    box *b = new_box();

    fill_box(b, MANY, &here);
    CHECK_INT(rp_sendmmsg(co, from, b->messages, MANY), ==, MANY);
    for (int i = 0; i < MANY; i++)
        CHECK_INT(b->messages[i].error, ==, 0);
    receive_numbers(co, fd, 0, MANY);

    CHECK_INT(connect(from, (struct sockaddr *)&here, sizeof here), ==, 0);
    fill_box(b, MANY, NULL); /* to the connected peer */
    CHECK_INT(rp_sendmmsg(co, from, b->messages, MANY), ==, MANY);
    receive_numbers(co, fd, 0, MANY);
    free(b);
    close(from);
    close(fd);
}

CO_TEST(one_that_fails_is_named_and_the_rest_can_be_sent)
{
    static char huge[70000];
    struct sockaddr_in here, there;
    int fd = udp_bound(&here), from = udp_bound(&there);
    box *b = new_box();

    fill_box(b, 6, &here);
    for (int bad = 0; bad < 6; bad += 2) {
        rp_mmsg kept = b->messages[bad];

        b->messages[bad].buffer = huge;
        b->messages[bad].length = sizeof huge;
        CHECK_INT(rp_sendmmsg(co, from, b->messages, 6), ==, -EMSGSIZE);
        for (int i = 0; i < 6; i++)
            CHECK_INT(b->messages[i].error, ==, i < bad ? 0 : -EMSGSIZE);
        receive_numbers(co, fd, 0, bad);
        CHECK_INT(rp_sendmmsg(co, from, b->messages + bad + 1, 5 - bad), ==, 5 - bad);
        receive_numbers(co, fd, bad + 1, 6);
        b->messages[bad] = kept;
    }
    free(b);
    close(from);
    close(fd);
}

static bool let_go;

static int lets_go(rp_co *co, void *arg)
{
    let_go = true;
    return 0;
}

/* Neither suspends for want of something to do: both would go on for ever. */
CO_TEST(other_tasks_have_their_turn)
{
    struct sockaddr_in here, there;
    int fd = udp_bound(&here), from = udp_bound(&there);
    box *b = new_box();
    rp_task *task = spawn(lets_go, NULL);

    fill_box(b, 1, &here);
    while (!let_go)
        CHECK_INT(rp_sendmmsg(co, from, b->messages, 1), ==, 1);
    CHECK_INT(rp_join(co, task), ==, 0);

    let_go = false;
    task = spawn(lets_go, NULL);
    while (!let_go) {
        udp_send(from, &here, "x", 1);
        CHECK_INT(rp_recvmmsg(co, fd, b->messages, 1), ==, 1);
    }
    CHECK_INT(rp_join(co, task), ==, 0);
    free(b);
    close(from);
    close(fd);
}

/* ---- mistakes ---- */

CO_TEST(a_pending_cancellation_sends_nothing)
{
    struct sockaddr_in here, there;
    int fd = udp_bound(&here), from = udp_bound(&there);
    box *b = new_box();

    fill_box(b, 2, &here);
    rp_task_cancel(rp_co_task(co));
    CHECK_INT(rp_sendmmsg(co, from, b->messages, 2), ==, -ECANCELED);
    CHECK_INT(b->messages[0].error, ==, -ECANCELED);
    CHECK_INT(b->messages[1].error, ==, -ECANCELED);
    rp_task_cancel(rp_co_task(co));
    CHECK_INT(rp_recvmmsg(co, fd, b->messages, 2), ==, -ECANCELED);
    CHECK_INT(rp_sendmmsg(co, from, b->messages, 2), ==, 2);
    receive_numbers(co, fd, 0, 2);
    free(b);
    close(from);
    close(fd);
}

CO_TEST(mistakes)
{
    struct sockaddr_in here;
    int fd = udp_bound(&here);
    box *b = new_box();

    CHECK_INT(rp_recvmmsg(co, fd, b->messages, 0), ==, -EINVAL);
    CHECK_INT(rp_recvmmsg(co, fd, b->messages, -1), ==, -EINVAL);
    CHECK_INT(rp_sendmmsg(co, fd, b->messages, -1), ==, -EINVAL);
    CHECK_INT(rp_sendmmsg(co, fd, b->messages, 0), ==, 0);
    CHECK_INT(rp_recvmmsg(co, -1, b->messages, 1), ==, -EBADF);
    fill_box(b, 2, &here);
    CHECK_INT(rp_sendmmsg(co, -1, b->messages, 2), ==, -EBADF);
    CHECK_INT(b->messages[0].error, ==, -EBADF);
    CHECK_INT(b->messages[1].error, ==, -EBADF);
    CHECK_INT(rp_sendmmsg(NULL, fd, b->messages, 2), ==, RP_ENOTASK);
    CHECK_INT(rp_recvmmsg(NULL, fd, b->messages, 2), ==, RP_ENOTASK);
    b->messages[0].address = NULL; /* and the socket is not connected */
    int rc = rp_sendmmsg(co, fd, b->messages, 1);
    CHECK(rc == -EDESTADDRREQ || rc == -ENOTCONN || (rc == -EINVAL && test_under_wine()));
    free(b);
    close(fd);
}

#ifdef _WIN32

TEST_ABSENT(several_wait_for_room, "no datagrams of Unix sockets");
TEST_ABSENT(a_cancelled_send_tells_what_has_gone, "no datagrams of Unix sockets");
TEST_ABSENT(waiting_for_room_at_one_peer_of_many, "no datagrams of Unix sockets");
TEST_ABSENT(senders_without_a_name, "no datagrams of Unix sockets");
TEST_ABSENT(segments, "no receive tells the size of datagrams that came together");

CO_TEST(segments_are_not_supported)
{
    struct sockaddr_in here;
    int fd = udp_bound(&here);
    box *b = new_box();

    fill_box(b, 1, &here);
    b->messages[0].length = 1000;
    b->messages[0].segment = 500;
    CHECK_INT(rp_sendmmsg(co, fd, b->messages, 1), ==, -ENOTSUP);
    free(b);
    close(fd);
}

#else

/* ---- Unix sockets, which have no room when their peer does not receive ---- */

typedef struct sender {
    int fd;
    box *b;
    int count;
} sender;

static int sends(rp_co *co, void *arg)
{
    sender *s = arg;

    return rp_sendmmsg(co, s->fd, s->b->messages, s->count);
}

/* They block, and take some ten datagrams. */
static void datagram_pair(int fds[2])
{
    int least = 1;

    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    for (int i = 0; i < 2; i++)
        CHECK_INT(setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &least, sizeof least), ==, 0);
}

CO_TEST(several_wait_for_room)
{
    int fds[2];
    box *b = new_box();
    sender s = {.b = b, .count = MANY};
    rp_task *task;

    datagram_pair(fds);
    s.fd = fds[0];
    fill_box(b, MANY, NULL);
    task = spawn(sends, &s);
    settle(co);
    CHECK(!rp_future_done(task));
    receive_numbers(co, fds[1], 0, MANY);
    CHECK_INT(rp_join(co, task), ==, MANY);
    free(b);
    close_pair(fds);
}

CO_TEST(a_cancelled_send_tells_what_has_gone)
{
    int fds[2], gone = 0;
    box *b = new_box();
    sender s = {.b = b, .count = MANY};
    rp_task *task;

    datagram_pair(fds);
    s.fd = fds[0];
    fill_box(b, MANY, NULL);
    task = spawn(sends, &s);
    settle(co);
    cancel_and_join(co, task);
    while (gone < MANY && b->messages[gone].error == 0)
        gone++;
    CHECK_INT(gone, >, 0);
    CHECK_INT(gone, <, MANY);
    for (int i = gone; i < MANY; i++)
        CHECK_INT(b->messages[i].error, ==, -ECANCELED);
    receive_numbers(co, fds[1], 0, gone);
    char byte;
    CHECK_INT(recv(fds[1], &byte, 1, MSG_DONTWAIT), ==, -1); /* and no more */
    free(b);
    close_pair(fds);
}

/* The socket itself is ready all the time. */
CO_TEST(waiting_for_room_at_one_peer_of_many)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), peer = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t length = sizeof to;
    box *b = new_box();
    sender s = {.fd = fd, .b = b, .count = MANY};
    rp_loop_stats before, after;
    rp_task *task;

    CHECK_INT(bind(peer, (struct sockaddr *)&to, sizeof to.sun_family), ==, 0); /* the system finds a name */
    CHECK_INT(getsockname(peer, (struct sockaddr *)&to, &length), ==, 0);
    fill_box(b, MANY, NULL);
    for (int i = 0; i < MANY; i++) {
        b->messages[i].address = (struct sockaddr *)&to;
        b->messages[i].address_length = length;
    }
    task = spawn(sends, &s);
    settle(co);
    rp_loop_get_stats(rp_co_loop(co), &before);
    CHECK_INT(rp_sleep(co, RP_MSEC(50)), ==, 0);
    rp_loop_get_stats(rp_co_loop(co), &after);
    CHECK_INT(after.turns - before.turns, <, 40); /* it waits, and does not ask again and again */
    CHECK(!rp_future_done(task));
    receive_numbers(co, peer, 0, MANY);
    CHECK_INT(rp_join(co, task), ==, MANY);
    free(b);
    close(fd);
    close(peer);
}

CO_TEST(senders_without_a_name)
{
    int fds[2];
    box *b = new_box();

    datagram_pair(fds);
    CHECK_INT(send(fds[0], "0", 1, 0), ==, 1);
    CHECK_INT(rp_recvmmsg(co, fds[1], b->messages, MANY), ==, 1);
    CHECK_INT(b->messages[0].address_length, ==, 0);
    CHECK_INT(rp_sendmmsg(co, fds[1], b->messages, 1), ==, 1); /* to the connected peer, then */
    receive_numbers(co, fds[0], 0, 1);
    free(b);
    close_pair(fds);
}

/* ---- segments ---- */

/* One message goes as five datagrams, and they come as one or more messages, which say of what size they are. */
CO_TEST(segments)
{
    static char sent[4500], received[2][65536];
    struct sockaddr_in here, there;
    int fd = udp_bound(&here), from = udp_bound(&there);
    rp_mmsg out = {.buffer = sent,
                   .length = sizeof sent,
                   .address = (struct sockaddr *)&here,
                   .address_length = sizeof here,
                   .segment = 1000};
    size_t total = 0;

    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (char)(i * 7 + i / 251);
    if (rp_udp_set_gro(fd, true) == -ENOTSUP)
        SKIP("the kernel has no GRO for UDP");
    CHECK_INT(rp_sendmmsg(co, from, &out, 1), ==, 1);
    while (total < sizeof sent) {
        rp_mmsg in[2] = {{.buffer = received[0], .size = sizeof received[0]},
                         {.buffer = received[1], .size = sizeof received[1]}};
        int n = rp_recvmmsg(co, fd, in, 2);

        CHECK_INT(n, >, 0);
        for (int i = 0; i < n; i++) {
            CHECK(in[i].length <= 1000 || in[i].segment == 1000);
            CHECK(memcmp(in[i].buffer, sent + total, in[i].length) == 0);
            total += in[i].length;
        }
    }
    CHECK_INT(total, ==, sizeof sent);

    /* Segments of a received message go as they came. And without GRO each comes by itself. */
    CHECK_INT(rp_udp_set_gro(fd, false), ==, 0);
    out.segment = 4500; /* which is one datagram */
    CHECK_INT(rp_sendmmsg(co, from, &out, 1), ==, 1);
    CHECK_INT(rp_recvfrom(co, fd, received[0], sizeof received[0], 0, NULL, NULL), ==, 4500);
    out.segment = 2000;
    CHECK_INT(rp_sendmmsg(co, from, &out, 1), ==, 1);
    CHECK_INT(rp_recvfrom(co, fd, received[0], sizeof received[0], 0, NULL, NULL), ==, 2000);
    CHECK_INT(rp_recvfrom(co, fd, received[0], sizeof received[0], 0, NULL, NULL), ==, 2000);
    CHECK_INT(rp_recvfrom(co, fd, received[0], sizeof received[0], 0, NULL, NULL), ==, 500);
    close(from);
    close(fd);
}

#endif
