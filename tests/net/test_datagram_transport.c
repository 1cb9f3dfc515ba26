/*
 * test_datagram_transport.c - datagrams that arrive: each is told once, whole or with its truncation; errors end
 * nothing; what a callback does to its transport counts at once.
 */
#include "loop/turn.h"
#include "harness/datagrams.h"
#include "harness/reports.h"

TEST(datagrams_are_told_with_their_senders)
{
    rp_loop *loop = wire_loop();
    struct sockaddr_in here, there;
    mailbox *box = mailbox_open(loop, NULL, &here);
    int peer = udp_bound(&there);

    udp_send(peer, &here, "one", 3);
    udp_send(peer, &here, "", 0);
    udp_send(peer, &here, "three", 5);
    RUN_UNTIL(loop, box->count == 3);
    CHECK_INT(box->letters[0].length, ==, 3);
    CHECK(memcmp(box->letters[0].bytes, "one", 3) == 0);
    CHECK_INT(box->letters[1].length, ==, 0);
    CHECK(memcmp(box->letters[2].bytes, "three", 5) == 0);
    for (int i = 0; i < 3; i++) {
        const struct sockaddr_in *from = (const struct sockaddr_in *)&box->letters[i].address;

        CHECK_INT(box->letters[i].address_length, ==, sizeof *from);
        CHECK_INT(from->sin_family, ==, AF_INET);
        CHECK_INT(from->sin_port, ==, there.sin_port);
        CHECK_INT(box->letters[i].flags, ==, 0);
    }
    mailbox_close(loop, box);
    close(peer);
    rp_loop_free(loop);
}

TEST(many_datagrams_come_in_order_and_whole)
{
    enum { MANY = 1000 };
    rp_loop *loop = wire_loop();
    struct sockaddr_in here, there;
    mailbox *box = mailbox_open(loop, NULL, &here);
    int peer = udp_bound(&there), size = 4 << 20;

    CHECK_INT(rp_datagram_setsockopt(box->transport, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), ==, 0);
    for (int i = 0; i < MANY; i++) {
        udp_send(peer, &here, &i, sizeof i);
        if (i % 100 == 99)
            RUN_UNTIL(loop, box->count == i + 1);
    }
    for (int i = 0; i < MANY; i++)
        CHECK(memcmp(box->letters[i].bytes, &i, sizeof i) == 0);
    mailbox_close(loop, box);
    close(peer);
    rp_loop_free(loop);
}

TEST(the_longest_datagram_of_udp_is_not_truncated)
{
    rp_loop *loop = wire_loop();
    struct sockaddr_in here, there;
    mailbox *box = mailbox_open(loop, NULL, &here);
    int peer = udp_bound(&there);
    static char bytes[65507];

    udp_send(peer, &here, bytes, sizeof bytes);
    RUN_UNTIL(loop, box->count == 1);
    CHECK_INT(box->letters[0].length, ==, sizeof bytes);
    CHECK_INT(box->letters[0].flags, ==, 0);
    mailbox_close(loop, box);
    close(peer);
    rp_loop_free(loop);
}

TEST(a_datagram_that_finds_too_little_room_is_truncated_and_that_is_told)
{
    rp_loop *loop = wire_loop();
    struct sockaddr_in here, there;
    mailbox *box = mailbox_open(loop, &(rp_datagram_options){.receive_size = 10}, &here);
    int peer = udp_bound(&there);

    udp_send(peer, &here, "0123456789", 10);
    udp_send(peer, &here, "0123456789a", 11);
    udp_send(peer, &here, "0", 1);
    RUN_UNTIL(loop, box->count == 3);
    CHECK_INT(box->letters[0].flags, ==, 0);
    CHECK_INT(box->letters[1].flags, ==, RP_DATAGRAM_TRUNCATED);
    CHECK_INT(box->letters[1].length, ==, 10);
    CHECK_INT(box->letters[2].flags, ==, 0);
    CHECK_INT(box->letters[2].length, ==, 1);
    mailbox_close(loop, box);
    close(peer);
    rp_loop_free(loop);
}

/* ---- errors ---- */

TEST(a_closed_port_is_told_to_error_received_and_ends_nothing)
{
#ifdef _WIN32
    test_need_real_windows("it tells of no closed port");
#endif
    rp_loop *loop = wire_loop();
    struct sockaddr_in here, there;
    mailbox *box = mailbox_new();
    int peer = udp_bound(&there), fd = udp_bound(&here);

    CHECK_INT(connect(fd, (struct sockaddr *)&there, sizeof there), ==, 0);
    CHECK_INT(rp_create_datagram_endpoint_fd(loop, fd, &mailbox_protocol, box, NULL, &box->transport), ==, 0);
    close(peer);
    CHECK_INT(box_send(box, NULL, "x", 1), ==, 0);
    RUN_UNTIL(loop, box->errors > 0);
    CHECK_INT(box->last_error, ==, -ECONNREFUSED);
    CHECK(!box->lost && !rp_datagram_is_closing(box->transport));

    peer = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* it is there again */
    CHECK_INT(bind(peer, (struct sockaddr *)&there, sizeof there), ==, 0);
    udp_send(peer, &here, "back", 4);
    RUN_UNTIL(loop, box->count == 1);
    CHECK_INT(box->letters[0].length, ==, 4);
    mailbox_close(loop, box);
    close(peer);
    rp_loop_free(loop);
}

/* A kernel that fails to receive some times, and then does. */
static int failures, attempts;

static int fail_to_receive(rp_fd fd, rp_message *messages, int count, bool joined, const rp_kernel *kernel)
{
    attempts++;
    if (failures > 0) {
        failures--;
        return -ENOMEM;
    }
    return rp_system_kernel.receive_messages(fd, messages, count, joined, kernel);
}

TEST(after_an_error_of_receiving_what_is_there_is_received)
{
    rp_loop *loop = wire_loop();
    rp_kernel kernel = *loop->kernel;
    struct sockaddr_in here, there;
    mailbox *box = mailbox_open(loop, NULL, &here);
    int peer = udp_bound(&there);

    kernel.receive_messages = fail_to_receive;
    loop->kernel = &kernel;
    failures = 3;
    udp_send(peer, &here, "x", 1);
    RUN_UNTIL(loop, box->count == 1); /* without another edge */
    CHECK_INT(box->errors, ==, 3);
    CHECK_INT(box->last_error, ==, -ENOMEM);
    mailbox_close(loop, box);
    close(peer);
    loop->kernel = &rp_system_kernel;
    rp_loop_free(loop);
}

#ifdef _WIN32

TEST_ABSENT(an_error_that_stays_is_not_asked_for_without_end, "a poll tells each turn what holds");

#else

TEST(an_error_that_stays_is_not_asked_for_without_end)
{
    rp_loop *loop = wire_loop();
    rp_kernel kernel = *loop->kernel;
    struct sockaddr_in here, there;
    mailbox *box = mailbox_open(loop, NULL, &here);
    int peer = udp_bound(&there), asked;

    kernel.receive_messages = fail_to_receive;
    loop->kernel = &kernel;
    failures = 1 << 30;
    udp_send(peer, &here, "x", 1);
    RUN_UNTIL(loop, box->errors >= 64);
    wire_settle(loop);
    asked = attempts;
    wire_settle(loop);
    CHECK_INT(attempts, ==, asked);
    failures = 0;
    udp_send(peer, &here, "y", 1);
    RUN_UNTIL(loop, box->count == 2);
    mailbox_close(loop, box);
    close(peer);
    loop->kernel = &rp_system_kernel;
    rp_loop_free(loop);
}

#endif

/* ---- fairness ---- */

static int turns_of_box; /* in which something was told */
static uint64_t last_turn;
static int most, in_this;

static void count_turns(mailbox *box, const letter *l)
{
    rp_loop_stats stats;

    (void)l;
    rp_loop_get_stats(rp_datagram_get_loop(box->transport), &stats);
    if (stats.turns != last_turn || in_this == 0) {
        turns_of_box++;
        in_this = 0;
    }
    last_turn = stats.turns;
    if (++in_this > most)
        most = in_this;
}

TEST(one_turn_receives_so_many_and_no_more)
{
    rp_loop *loop = wire_loop();
    struct sockaddr_in here, there;
    mailbox *box = mailbox_open(loop, NULL, &here);
    int peer = udp_bound(&there), size = 4 << 20;

    rp_datagram_setsockopt(box->transport, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    box->on_datagram = count_turns;
    for (int i = 0; i < 100; i++)
        udp_send(peer, &here, "x", 1);
    RUN_UNTIL(loop, box->count == 100);
    CHECK_INT(most, ==, 32);
    CHECK_INT(turns_of_box, ==, 4);
    mailbox_close(loop, box);
    close(peer);
    rp_loop_free(loop);
}

/* ---- what a callback may do ---- */

static void close_now(mailbox *box, const letter *l)
{
    (void)l;
    rp_datagram_close(box->transport);
}

TEST(nothing_is_told_after_a_close_inside_a_callback)
{
    rp_loop *loop = wire_loop();
    struct sockaddr_in here, there;
    mailbox *box = mailbox_open(loop, NULL, &here);
    int peer = udp_bound(&there);

    box->on_datagram = close_now;
    for (int i = 0; i < 10; i++)
        udp_send(peer, &here, "x", 1);
    RUN_UNTIL(loop, box->lost);
    CHECK_INT(box->count, ==, 1);
    CHECK_INT(box->error, ==, 0);
    mailbox_close(loop, box);
    close(peer);
    rp_loop_free(loop);
}

static void pause_at_three(mailbox *box, const letter *l)
{
    (void)l;
    if (box->count == 3)
        rp_datagram_pause_reading(box->transport);
}

TEST(a_pause_in_the_middle_loses_nothing)
{
    rp_loop *loop = wire_loop();
    struct sockaddr_in here, other_here, there;
    mailbox *box = mailbox_open(loop, NULL, &here), *other = mailbox_open(loop, NULL, &other_here);
    int peer = udp_bound(&there);

    box->on_datagram = pause_at_three;
    for (int i = 0; i < 10; i++)
        udp_send(peer, &here, &i, sizeof i);
    RUN_UNTIL(loop, box->count == 3);
    CHECK(!rp_datagram_is_reading(box->transport));
    for (int i = 0; i < 10; i++) /* what another one receives meanwhile does not get in the way */
        udp_send(peer, &other_here, "other", 5);
    RUN_UNTIL(loop, other->count == 10);
    wire_settle(loop);
    CHECK_INT(box->count, ==, 3);
    rp_datagram_resume_reading(box->transport);
    RUN_UNTIL(loop, box->count == 10);
    for (int i = 0; i < 10; i++)
        CHECK(memcmp(box->letters[i].bytes, &i, sizeof i) == 0);

    box->count = 0; /* and a transport that ends while it is paused gives back what it has */
    for (int i = 0; i < 10; i++)
        udp_send(peer, &here, &i, sizeof i);
    RUN_UNTIL(loop, box->count == 3);
    mailbox_close(loop, box);
    mailbox_close(loop, other);
    close(peer);
    rp_loop_free(loop);
}

static mailbox *successor;

static void hand_on(mailbox *box, const letter *l)
{
    (void)l;
    successor->made = 1;
    successor->transport = box->transport;
    rp_datagram_set_protocol(box->transport, &mailbox_protocol, successor);
}

TEST(the_next_datagram_goes_to_the_protocol_that_was_set)
{
    rp_loop *loop = wire_loop();
    struct sockaddr_in here, there;
    mailbox *box = mailbox_open(loop, NULL, &here);
    int peer = udp_bound(&there);
    void *self;

    successor = mailbox_new();
    box->on_datagram = hand_on;
    for (int i = 0; i < 3; i++)
        udp_send(peer, &here, &i, sizeof i);
    RUN_UNTIL(loop, box->count + successor->count == 3);
    CHECK_INT(box->count, ==, 1);
    CHECK(rp_datagram_get_protocol(box->transport, &self) == &mailbox_protocol);
    CHECK(self == successor);
    free(box);
    mailbox_close(loop, successor);
    close(peer);
    rp_loop_free(loop);
}

static void interrupt_at_three(mailbox *box, const letter *l)
{
    (void)l;
    if (box->count == 3)
        rp_turn_interrupt(rp_datagram_get_loop(box->transport));
}

TEST(an_interrupted_run_leaves_the_rest_to_the_next_one)
{
    rp_loop *loop = wire_loop();
    struct sockaddr_in here, there;
    mailbox *box = mailbox_open(loop, NULL, &here);
    int peer = udp_bound(&there);

    box->on_datagram = interrupt_at_three;
    for (int i = 0; i < 10; i++)
        udp_send(peer, &here, &i, sizeof i);
    CHECK_INT(rp_run_forever(loop), ==, -EINTR);
    CHECK_INT(box->count, ==, 3);
    RUN_UNTIL(loop, box->count == 10);
    for (int i = 0; i < 10; i++)
        CHECK(memcmp(box->letters[i].bytes, &i, sizeof i) == 0);
    mailbox_close(loop, box);
    close(peer);
    rp_loop_free(loop);
}

#ifdef _WIN32

TEST_ABSENT(in_the_child_of_a_callback_that_forks_nothing_is_told_or_sent, "Windows has no fork()");

#else

static pid_t child;

/* What the parent has sent so far in its turn is the parent's to send. */
static void answer_and_fork_at_three(mailbox *box, const letter *l)
{
    int status;

    CHECK_INT(rp_datagram_sendto(box->transport, l->bytes, l->length, (const struct sockaddr *)&l->address,
                                 l->address_length),
              ==, 0);
    if (box->count != 3)
        return;
    child = fork();
    if (child == 0)
        return;
    CHECK_INT(waitpid(child, &status, 0), ==, child);
    CHECK_INT(status, ==, 0);
}

TEST(in_the_child_of_a_callback_that_forks_nothing_is_told_or_sent)
{
    rp_loop *loop = wire_loop();
    struct sockaddr_in here, there;
    mailbox *box = mailbox_open(loop, NULL, &here);
    int peer = udp_bound(&there), got, rc;

    box->on_datagram = answer_and_fork_at_three;
    for (int i = 0; i < 10; i++)
        udp_send(peer, &here, &i, sizeof i);
    for (rc = 0; rc == 0 && box->count < 10;) {
        rp_loop_stop(loop);
        rc = rp_run_forever(loop);
    }
    if (child == 0)
        _exit(rc == RP_EFORK && box->count == 3 &&
                      rp_datagram_sendto(box->transport, "x", 1, (struct sockaddr *)&there, sizeof there) ==
                          RP_EFORK
                  ? 0
                  : 1);
    CHECK_INT(rc, ==, 0);
    for (int i = 0; i < 10; i++) {
        CHECK_INT(wire_await(loop, peer, &got, sizeof got), ==, sizeof got);
        CHECK_INT(got, ==, i);
    }
    wire_settle(loop);
    CHECK_INT(recv(peer, &got, sizeof got, MSG_DONTWAIT), ==, -1);
    mailbox_close(loop, box);
    close(peer);
    rp_loop_free(loop);
}

#endif

/* ---- its life ---- */

static void begin_soon(void *self, rp_datagram_transport *transport)
{
    mailbox_made(self, transport);
}

TEST(connection_made_comes_soon_if_the_protocol_wants_it_so)
{
    rp_loop *loop = wire_loop();
    rp_datagram_protocol soon = mailbox_protocol;
    struct sockaddr_in here, there;
    mailbox *box = mailbox_new();
    int fd = udp_bound(&here), peer = udp_bound(&there);

    soon.begins_soon = true;
    soon.connection_made = begin_soon;
    udp_send(peer, &here, "x", 1);
    CHECK_INT(rp_create_datagram_endpoint_fd(loop, fd, &soon, box, NULL, &box->transport), ==, 0);
    CHECK_INT(box->made, ==, 0);
    RUN_UNTIL(loop, box->count == 1);
    CHECK_INT(box->made, ==, 1);
    mailbox_close(loop, box);
    close(peer);
    rp_loop_free(loop);
}

TEST(a_transport_that_is_referred_to_outlives_its_loop)
{
    rp_loop *loop = wire_loop();
    struct sockaddr_in here;
    mailbox *box = mailbox_open(loop, NULL, &here);
    rp_datagram_transport *kept = rp_datagram_ref(box->transport);
    uint32_t length = sizeof here;

    rp_loop_free(loop);
    CHECK_INT(box->lost, ==, 0);
    CHECK(rp_datagram_is_closing(kept));
    CHECK_INT(rp_datagram_fd(kept), ==, -1);
    CHECK_INT(rp_datagram_sendto(kept, "x", 1, (struct sockaddr *)&here, sizeof here), ==, RP_ECLOSED);
    CHECK_INT(rp_datagram_sockname(kept, (struct sockaddr *)&here, &length), ==, -EBADF);
    rp_datagram_close(kept);
    rp_datagram_abort(kept);
    rp_datagram_pause_reading(kept);
    rp_datagram_resume_reading(kept);
    rp_datagram_unref(kept);
    rp_datagram_unref(NULL);
    free(box);
}

TEST(an_open_transport_is_reported_in_debug_mode_when_its_loop_is_closed)
{
    rp_loop *loop;
    struct sockaddr_in here;
    last_report report = {0};

    CHECK_INT(rp_loop_new(&(rp_loop_options){.debug = true}, &loop), ==, 0);
    rp_set_exception_handler(loop, keep_report, &report);
    mailbox *box = mailbox_open(loop, NULL, &here);
    rp_loop_free(loop);
    CHECK_INT(report.count, ==, 1);
    CHECK_STR(report.message, "transport never closed");
    free(box);
}

TEST(what_is_no_datagram_socket_is_refused)
{
    rp_loop *loop = wire_loop();
    mailbox *box = mailbox_new();
    int tcp = tcp_socket(), file = open(TEST_NULL, O_RDONLY);
    struct sockaddr_in here;

    CHECK_INT(rp_create_datagram_endpoint_fd(loop, tcp, &mailbox_protocol, box, NULL, &box->transport), ==,
              -EINVAL);
    CHECK_INT(rp_create_datagram_endpoint_fd(loop, -1, &mailbox_protocol, box, NULL, &box->transport), ==, -EBADF);
    CHECK_INT(rp_create_datagram_endpoint_fd(loop, file, &mailbox_protocol, box, NULL, &box->transport), ==,
              -ENOTSOCK);
    close(file);
    close(tcp);
    tcp = udp_bound(&here);
    CHECK_INT(rp_create_datagram_endpoint_fd(loop, tcp, &mailbox_protocol, box,
                                             &(rp_datagram_options){.receive_size = (1 << 20) + 1},
                                             &box->transport),
              ==, -EINVAL);
    for (uint64_t nth = 1; nth <= 1; nth++) {
        test_fail_allocation(nth);
        CHECK_INT(rp_create_datagram_endpoint_fd(loop, tcp, &mailbox_protocol, box, NULL, &box->transport), ==,
                  -ENOMEM);
        CHECK(test_allocation_failed());
    }
    test_fail_allocation(0);
    close(tcp); /* it is the test's still */
    CHECK_INT(box->made, ==, 0);
    free(box);
    rp_loop_free(loop);
}

TEST(without_memory_for_what_arrives_that_is_told_and_nothing_is_lost)
{
    rp_loop *loop = wire_loop();
    struct sockaddr_in here, there;
    mailbox *box = mailbox_open(loop, NULL, &here);
    int peer = udp_bound(&there);

    RUN_UNTIL(loop, box->made);
    wire_settle(loop);
    udp_send(peer, &here, "x", 1);
    test_fail_allocation(1);
    RUN_UNTIL(loop, box->count == 1);
    CHECK(test_allocation_failed());
    CHECK_INT(box->errors, ==, 1);
    CHECK_INT(box->last_error, ==, -ENOMEM);
    test_fail_allocation(0);
    mailbox_close(loop, box);
    close(peer);
    rp_loop_free(loop);
}

/* The memory that is received into is the loop's, and serves all of its transports. */
TEST(after_the_first_one_receiving_allocates_nothing)
{
    rp_loop *loop = wire_loop();
    struct sockaddr_in ends[2], there;
    mailbox *boxes[2];
    int peer = udp_bound(&there);

    for (int i = 0; i < 2; i++)
        boxes[i] = mailbox_open(loop, NULL, &ends[i]);
    RUN_UNTIL(loop, boxes[0]->made && boxes[1]->made);
    udp_send(peer, &ends[0], "x", 1);
    RUN_UNTIL(loop, boxes[0]->count == 1);
    test_fail_allocation(1);
    for (int i = 0; i < 2; i++)
        udp_send(peer, &ends[i], "y", 1);
    RUN_UNTIL(loop, boxes[0]->count == 2 && boxes[1]->count == 1);
    CHECK(!test_allocation_failed());
    test_fail_allocation(0);
    for (int i = 0; i < 2; i++)
        mailbox_close(loop, boxes[i]);
    close(peer);
    rp_loop_free(loop);
}

/* ---- Unix sockets ---- */

#ifdef _WIN32

TEST_ABSENT(a_sender_without_a_name_has_an_address_of_no_length, "no datagrams of Unix sockets");
TEST_ABSENT(datagrams_of_unix_sockets_may_be_longer_than_those_of_udp, "no datagrams of Unix sockets");

#else

TEST(a_sender_without_a_name_has_an_address_of_no_length)
{
    rp_loop *loop = wire_loop();
    mailbox *box = mailbox_new();
    int fds[2];

    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    CHECK_INT(rp_create_datagram_endpoint_fd(loop, fds[0], &mailbox_protocol, box, NULL, &box->transport), ==, 0);
    CHECK_INT(send(fds[1], "nameless", 8, 0), ==, 8);
    CHECK_INT(send(fds[1], "", 0, 0), ==, 0);
    RUN_UNTIL(loop, box->count == 2);
    CHECK_INT(box->letters[0].address_length, ==, 0);
    CHECK_INT(box->letters[0].length, ==, 8);
    CHECK_INT(box->letters[1].length, ==, 0);
    CHECK_INT(rp_datagram_sendto(box->transport, "answer", 6, NULL, 0), ==, 0);
    char answer[16];
    CHECK_INT(wire_await(loop, fds[1], answer, sizeof answer), ==, 6);
    mailbox_close(loop, box);
    close(fds[1]);
    rp_loop_free(loop);
}

TEST(datagrams_of_unix_sockets_may_be_longer_than_those_of_udp)
{
    rp_loop *loop = wire_loop();
    mailbox *box = mailbox_new();
    static char bytes[150000];
    int fds[2];

    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    CHECK_INT(rp_create_datagram_endpoint_fd(loop, fds[0], &mailbox_protocol, box, NULL, &box->transport), ==, 0);
    CHECK_INT(send(fds[1], bytes, sizeof bytes, 0), ==, sizeof bytes);
    RUN_UNTIL(loop, box->count == 1);
    CHECK_INT(box->letters[0].length, ==, sizeof bytes);
    CHECK_INT(box->letters[0].flags, ==, 0);
    mailbox_close(loop, box);
    close(fds[1]);
    rp_loop_free(loop);
}

#endif
