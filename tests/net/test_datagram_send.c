/*
 * test_datagram_send.c - datagrams that are sent: the first of a turn at once, the others together and in order; what
 * the socket has no room for waits; each error is told, and belongs to its datagram.
 */
#include <stdio.h>

#include "harness/datagrams.h"

/* A kernel that counts calls, and fails as it is told to. */
static rp_kernel kernel;
static int calls, sent, largest,
    segments;                   /* calls of sending, datagrams, those of the largest call, joined messages */
static int room = 1 << 30;      /* datagrams that it takes */
static int bad = -1, bad_error; /* which datagram fails, counted from the first one on, and how */
static int no_segments;         /* an error for messages in segments */

static int send_messages(rp_fd fd, const rp_message *messages, int count, const rp_kernel *k)
{
    int n = 0;

    calls++;
    for (; n < count; n++) {
        const rp_message *m = &messages[n];

        if (m->segment > 0 && no_segments)
            return n > 0 ? n : no_segments;
        if (sent + n == bad) {
            if (n > 0)
                break;
            bad = -1;
            return bad_error;
        }
        if (room == 0) {
            if (n > 0)
                break;
            return -EAGAIN;
        }
        room--;
        segments += m->segment > 0;
        CHECK_INT(rp_system_kernel.send_messages(fd, m, 1, k), ==, 1);
    }
    sent += n;
    if (n > largest)
        largest = n;
    return n;
}

static void use_kernel(rp_loop *loop)
{
    kernel = *loop->kernel;
    kernel.send_messages = send_messages;
    loop->kernel = &kernel;
}

typedef struct scene {
    rp_loop *loop;
    mailbox *box;
    int peer;
    struct sockaddr_in here, there;
    int count; /* of datagrams that the next turn sends */
} scene;

static scene begin(const rp_datagram_options *options)
{
    scene s = {.loop = wire_loop()};

    s.box = mailbox_open(s.loop, options, &s.here);
    s.peer = udp_bound(&s.there);
    use_kernel(s.loop);
    return s;
}

static void end(scene *s)
{
    mailbox_close(s->loop, s->box);
    close(s->peer);
    s->loop->kernel = &rp_system_kernel;
    rp_loop_free(s->loop);
}

static void expect(scene *s, int first, int last)
{
    for (int i = first; i <= last; i++) {
        int got = -1;

        CHECK_INT(udp_await(s->loop, s->peer, &got, sizeof got), ==, sizeof got);
        CHECK_INT(got, ==, i);
    }
}

static void send_some(void *arg)
{
    scene *s = arg;

    for (int i = 0; i < s->count; i++)
        CHECK_INT(box_send(s->box, &s->there, &i, sizeof i), ==, 0);
}

TEST(a_lone_datagram_is_sent_at_once)
{
    scene s = begin(NULL);
    int one = 1, got;

    CHECK_INT(box_send(s.box, &s.there, &one, sizeof one), ==, 0); /* the loop does not run */
    CHECK_INT(box_send(s.box, &s.there, &one, sizeof one), ==, 0);
    CHECK_INT(calls, ==, 2);
    CHECK_INT(recv(s.peer, &got, sizeof got, 0), ==, sizeof got);
    CHECK_INT(recv(s.peer, &got, sizeof got, 0), ==, sizeof got);
    s.count = 1;
    do_in_turn(s.loop, send_some, &s);
    CHECK_INT(calls, ==, 3);
    end(&s);
}

TEST(further_ones_of_a_turn_go_together_at_its_end_and_in_order)
{
    scene s = begin(NULL);

    s.count = 20;
    do_in_turn(s.loop, send_some, &s);
    CHECK_INT(calls, ==, 2);
    CHECK_INT(largest, ==, 19);
    expect(&s, 0, 19);
    do_in_turn(s.loop, send_some, &s); /* the next turn's first one again by itself */
    CHECK_INT(calls, ==, 4);
    expect(&s, 0, 19);
    end(&s);
}

TEST(when_they_are_too_many_they_go_before_the_turn_ends)
{
    scene s = begin(NULL);
    int size = 4 << 20;

    CHECK_INT(setsockopt(s.peer, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), ==, 0);
    s.count = 200;
    do_in_turn(s.loop, send_some, &s);
    CHECK_INT(sent, ==, 200);
    CHECK_INT(calls, <=, 6);
    CHECK_INT(s.box->pauses, ==, 0);
    expect(&s, 0, 199);
    end(&s);
}

static void answer(mailbox *box, const letter *l)
{
    CHECK_INT(rp_datagram_sendto(box->transport, l->bytes, l->length, (const struct sockaddr *)&l->address,
                                 l->address_length),
              ==, 0);
}

TEST(answers_to_several_that_came_together_are_one_call)
{
    scene s = begin(NULL);

    s.box->on_datagram = answer;
    for (int i = 0; i < 10; i++)
        udp_send(s.peer, &s.here, &i, sizeof i);
    expect(&s, 0, 9);
    CHECK_INT(calls, ==, 1);
    end(&s);
}

TEST(empty_datagrams_are_sent_too)
{
    scene s = begin(NULL);
    char byte;

    CHECK_INT(box_send(s.box, &s.there, NULL, 0), ==, 0);
    CHECK_INT(udp_await(s.loop, s.peer, &byte, 1), ==, 0);
    end(&s);
}

/* ---- no room ---- */

static void send_tail(void *arg)
{
    scene *s = arg;

    for (int i = 3; i < 6; i++)
        CHECK_INT(box_send(s->box, &s->there, &i, sizeof i), ==, 0);
}

TEST(what_finds_no_room_waits_and_keeps_its_place)
{
    scene s = begin(NULL);

    room = 1;
    s.count = 3;
    do_in_turn(s.loop, send_some, &s);
    do_in_turn(s.loop, send_tail, &s);
    CHECK_INT(rp_datagram_get_write_buffer_size(s.box->transport), ==, 5 * (4 + 8));
    room = 100;
    expect(&s, 0, 5);
    CHECK_INT(rp_datagram_get_write_buffer_size(s.box->transport), ==, 0);
    CHECK_INT(s.box->errors, ==, 0);
    end(&s);
}

TEST(the_first_one_may_be_what_finds_no_room)
{
    scene s = begin(NULL);

    room = 0;
    s.count = 2;
    do_in_turn(s.loop, send_some, &s);
    room = 100;
    expect(&s, 0, 1);
    end(&s);
}

TEST(the_protocol_is_told_to_pause_and_to_resume)
{
    scene s = begin(NULL);

    CHECK_INT(rp_datagram_set_write_buffer_limits(s.box->transport, 40, 15), ==, 0);
    CHECK_INT(rp_datagram_set_write_buffer_limits(s.box->transport, 10, 15), ==, -EINVAL);
    room = 0;
    s.count = 3;
    do_in_turn(s.loop, send_some, &s);
    CHECK_INT(s.box->pauses, ==, 0); /* 36 bytes, with what counts for each */
    do_in_turn(s.loop, send_tail, &s);
    CHECK_INT(s.box->pauses, ==, 1);
    CHECK_INT(s.box->resumes, ==, 0);
    room = 5;
    RUN_UNTIL(s.loop, s.box->resumes == 1);
    CHECK_INT(rp_datagram_get_write_buffer_size(s.box->transport), ==, 12);
    room = 100;
    expect(&s, 0, 5);
    CHECK_INT(s.box->pauses, ==, 1);
    size_t high, low;
    rp_datagram_get_write_buffer_limits(s.box->transport, &high, &low);
    CHECK_INT(high, ==, 40);
    CHECK_INT(low, ==, 15);
    end(&s);
}

TEST(a_protocol_that_sends_too_much_in_one_turn_is_not_paused_while_there_is_room)
{
    scene s = begin(NULL);
    int size = 4 << 20;

    CHECK_INT(setsockopt(s.peer, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), ==, 0);
    CHECK_INT(rp_datagram_set_write_buffer_limits(s.box->transport, 40, 15), ==, 0);
    s.count = 50;
    do_in_turn(s.loop, send_some, &s);
    CHECK_INT(s.box->pauses, ==, 0);
    expect(&s, 0, 49);
    end(&s);
}

/* A Unix socket says that it may send, whatever its peer has room for. */
TEST(a_full_peer_of_a_unix_socket_is_waited_for_without_haste)
{
    rp_loop *loop = wire_loop();
    mailbox *box = mailbox_new();
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "\0ringport-test-"};
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 15 + 10);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), peer = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int count = 0, got;
    rp_loop_stats before, after;

    snprintf(address.sun_path + 15, 11, "%010d", (int)getpid());
    CHECK_INT(bind(peer, (struct sockaddr *)&address, length), ==, 0);
    set_nonblocking(peer);
    CHECK_INT(rp_create_datagram_endpoint_fd(loop, fd, &mailbox_protocol, box, NULL, &box->transport), ==, 0);
    while (rp_datagram_get_write_buffer_size(box->transport) == 0) {
        CHECK_INT(rp_datagram_sendto(box->transport, &count, sizeof count, (struct sockaddr *)&address, length),
                  ==, 0);
        count++;
    }
    wire_settle(loop);
    rp_loop_get_stats(loop, &before);
    wire_run(loop, RP_MSEC(200));
    rp_loop_get_stats(loop, &after);
    CHECK_INT(after.turns - before.turns, <, 100); /* with no pause it would be tens of thousands */
    for (int i = 0; i < count; i++) {
        CHECK_INT(wire_await(loop, peer, &got, sizeof got), ==, sizeof got);
        CHECK_INT(got, ==, i);
    }
    CHECK_INT(box->errors, ==, 0);
    mailbox_close(loop, box);
    close(peer);
    rp_loop_free(loop);
}

TEST(a_connected_unix_socket_goes_on_when_its_peer_has_room)
{
    rp_loop *loop = wire_loop();
    mailbox *box = mailbox_new();
    int fds[2], count = 0, got;

    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    CHECK_INT(rp_create_datagram_endpoint_fd(loop, fds[0], &mailbox_protocol, box, NULL, &box->transport), ==, 0);
    while (rp_datagram_get_write_buffer_size(box->transport) == 0 || count % 10) {
        CHECK_INT(rp_datagram_sendto(box->transport, &count, sizeof count, NULL, 0), ==, 0);
        count++;
    }
    for (int i = 0; i < count; i++) {
        CHECK_INT(wire_await(loop, fds[1], &got, sizeof got), ==, sizeof got);
        CHECK_INT(got, ==, i);
    }
    mailbox_close(loop, box);
    close(fds[1]);
    rp_loop_free(loop);
}

/* ---- errors ---- */

TEST(an_error_amid_several_is_that_ones_and_the_others_are_sent)
{
    scene s = begin(NULL);

    bad = 5;
    bad_error = -EPERM;
    s.count = 10;
    do_in_turn(s.loop, send_some, &s);
    RUN_UNTIL(s.loop, s.box->errors);
    CHECK_INT(s.box->errors, ==, 1);
    CHECK_INT(s.box->last_error, ==, -EPERM);
    CHECK(!s.box->lost);
    expect(&s, 0, 4);
    expect(&s, 6, 9);
    end(&s);
}

static void send_too_much(void *arg)
{
    scene *s = arg;
    static char bytes[70000];
    int first = 0, last = 1;

    CHECK_INT(box_send(s->box, &s->there, &first, sizeof first), ==, 0);
    CHECK_INT(box_send(s->box, &s->there, bytes, sizeof bytes), ==, 0);
    CHECK_INT(box_send(s->box, &s->there, &last, sizeof last), ==, 0);
}

TEST(a_datagram_that_is_too_long_is_told_and_ends_nothing)
{
    scene s = begin(NULL);
    static char bytes[70000];

    s.loop->kernel = &rp_system_kernel;
    CHECK_INT(box_send(s.box, &s.there, bytes, sizeof bytes), ==, 0); /* at once */
    CHECK_INT(s.box->errors, ==, 1);
    CHECK_INT(s.box->last_error, ==, -EMSGSIZE);
    do_in_turn(s.loop, send_too_much, &s); /* and out of the queue */
    expect(&s, 0, 1);
    RUN_UNTIL(s.loop, s.box->errors == 2);
    CHECK_INT(s.box->last_error, ==, -EMSGSIZE);
    end(&s);
}

TEST(many_to_a_closed_port_are_told_of_and_end_nothing)
{
    rp_loop *loop = wire_loop();
    struct sockaddr_in here, there;
    scene s = {.loop = loop, .count = 20};
    int fd = udp_bound(&here);

    s.box = mailbox_new();
    s.peer = udp_bound(&there);
    CHECK_INT(connect(fd, (struct sockaddr *)&there, sizeof there), ==, 0);
    CHECK_INT(rp_create_datagram_endpoint_fd(loop, fd, &mailbox_protocol, s.box, NULL, &s.box->transport), ==, 0);
    s.there = there;
    close(s.peer);
    do_in_turn(loop, send_some, &s);
    RUN_UNTIL(loop, s.box->errors > 0);
    wire_settle(loop);
    CHECK_INT(s.box->last_error, ==, -ECONNREFUSED);
    CHECK(!s.box->lost);
    CHECK_INT(rp_datagram_get_write_buffer_size(s.box->transport), ==, 0);
    mailbox_close(loop, s.box);
    rp_loop_free(loop);
}

static scene *current;

static void send_again(mailbox *box)
{
    if (box->errors < 1000) {
        bad = sent; /* which fails, too */
        CHECK_INT(box_send(box, &current->there, "again", 5), ==, 0);
    }
}

TEST(a_protocol_that_sends_at_each_error_does_not_hold_up_the_loop)
{
    scene s = begin(NULL);
    rp_loop_stats stats;

    current = &s;
    s.box->on_error = send_again;
    s.count = 3;
    bad = 1;
    bad_error = -EPERM;
    do_in_turn(s.loop, send_some, &s);
    RUN_UNTIL(s.loop, s.box->errors == 1000);
    rp_loop_get_stats(s.loop, &stats);
    CHECK_INT(stats.turns, >, 10);
    end(&s);
}

TEST(what_is_wrong_with_an_address_is_the_callers_to_know)
{
    scene s = begin(NULL);
    struct sockaddr_storage large = {.ss_family = AF_INET};

    CHECK_INT(box_send(s.box, NULL, "x", 1), ==, -EDESTADDRREQ);
    CHECK_INT(rp_datagram_sendto(s.box->transport, "x", 1, (struct sockaddr *)&large, 1), ==, -EINVAL);
    CHECK_INT(rp_datagram_sendto(s.box->transport, "x", 1, (struct sockaddr *)&large, sizeof large + 1), ==,
              -EINVAL);
    rp_datagram_close(s.box->transport);
    CHECK_INT(box_send(s.box, &s.there, "x", 1), ==, -EPIPE);
    CHECK_INT(s.box->errors, ==, 0);
    end(&s);
}

TEST(a_connected_socket_sends_to_its_peer_and_to_nobody_else)
{
    scene s = begin(NULL);
    struct sockaddr_in here, other;
    mailbox *box = mailbox_new();
    int fd = udp_bound(&here), stranger = udp_bound(&other), got;

    CHECK_INT(connect(fd, (struct sockaddr *)&s.there, sizeof s.there), ==, 0);
    CHECK_INT(rp_create_datagram_endpoint_fd(s.loop, fd, &mailbox_protocol, box, NULL, &box->transport), ==, 0);
    CHECK_INT(box_send(box, &other, "x", 1), ==, -EISCONN);
    got = 0;
    CHECK_INT(box_send(box, NULL, &got, sizeof got), ==, 0);
    got = 1;
    CHECK_INT(box_send(box, &s.there, &got, sizeof got), ==, 0);
    expect(&s, 0, 1);
    close(stranger);
    mailbox_close(s.loop, box);
    end(&s);
}

TEST(without_memory_for_the_queue_the_caller_knows)
{
    scene s = begin(NULL);
    int x = 0;

    room = 0;
    test_fail_allocation(1);
    CHECK_INT(box_send(s.box, &s.there, &x, sizeof x), ==, -ENOMEM);
    CHECK(test_allocation_failed());
    test_fail_allocation(0);
    room = 100;
    CHECK_INT(box_send(s.box, &s.there, &x, sizeof x), ==, 0);
    expect(&s, 0, 0);
    end(&s);
}

/* ---- the end ---- */

static void send_and_close(void *arg)
{
    scene *s = arg;

    send_some(s);
    rp_datagram_close(s->box->transport);
    CHECK(rp_datagram_is_closing(s->box->transport));
    CHECK_INT(s->box->lost, ==, 0);
}

static void send_and_abort(void *arg)
{
    scene *s = arg;

    send_some(s);
    rp_datagram_abort(s->box->transport);
}

TEST(a_close_sends_what_the_turn_has_collected)
{
    scene s = begin(NULL);

    s.count = 10;
    do_in_turn(s.loop, send_and_close, &s);
    expect(&s, 0, 9);
    end(&s);
}

TEST(a_close_waits_for_room)
{
    scene s = begin(NULL);

    room = 2;
    s.count = 10;
    do_in_turn(s.loop, send_and_close, &s);
    wire_settle(s.loop);
    CHECK_INT(s.box->lost, ==, 0);
    room = 100;
    expect(&s, 0, 9);
    RUN_UNTIL(s.loop, s.box->lost);
    CHECK_INT(s.box->error, ==, 0);
    end(&s);
}

TEST(an_abort_loses_what_has_found_no_room_and_nothing_else)
{
    scene s = begin(NULL);
    char byte;

    s.count = 10;
    room = 7;
    do_in_turn(s.loop, send_and_abort, &s);
    RUN_UNTIL(s.loop, s.box->lost);
    expect(&s, 0, 6);
    wire_settle(s.loop);
    CHECK_INT(recv(s.peer, &byte, 1, MSG_DONTWAIT), ==, -1);
    end(&s);
}

TEST(an_abort_ends_a_wait_for_room)
{
    scene s = begin(NULL);

    room = 0;
    s.count = 10;
    do_in_turn(s.loop, send_some, &s);
    rp_datagram_abort(s.box->transport);
    rp_datagram_abort(s.box->transport);
    RUN_UNTIL(s.loop, s.box->lost);
    CHECK_INT(s.box->error, ==, 0);
    end(&s);
}

static void close_at_error(mailbox *box)
{
    rp_datagram_close(box->transport);
}

TEST(a_close_inside_an_error_sends_the_rest)
{
    scene s = begin(NULL);

    s.box->on_error = close_at_error;
    bad = 3;
    bad_error = -EPERM;
    s.count = 10;
    do_in_turn(s.loop, send_some, &s);
    expect(&s, 0, 2);
    expect(&s, 4, 9);
    RUN_UNTIL(s.loop, s.box->lost);
    end(&s);
}

static void abort_at_error(mailbox *box)
{
    room = 0;
    rp_datagram_abort(box->transport);
}

TEST(an_abort_inside_an_error_ends_it)
{
    scene s = begin(NULL);

    s.box->on_error = abort_at_error;
    bad = 3;
    bad_error = -EPERM;
    s.count = 10;
    do_in_turn(s.loop, send_some, &s);
    expect(&s, 0, 2);
    RUN_UNTIL(s.loop, s.box->lost);
    CHECK_INT(s.box->errors, ==, 1);
    end(&s);
}

TEST(after_an_abort_inside_an_error_nothing_is_resumed)
{
    scene s = begin(NULL);

    CHECK_INT(rp_datagram_set_write_buffer_limits(s.box->transport, 30, 30), ==, 0);
    s.box->on_error = abort_at_error;
    room = 0;
    s.count = 3;
    do_in_turn(s.loop, send_some, &s);
    CHECK_INT(s.box->pauses, ==, 1);
    bad = 0;
    bad_error = -EPERM;
    RUN_UNTIL(s.loop, s.box->lost);
    CHECK_INT(s.box->errors, ==, 1);
    CHECK_INT(s.box->resumes, ==, 0);
    end(&s);
}

TEST(a_loop_that_is_closed_frees_what_waits)
{
    scene s = begin(NULL);

    room = 0;
    s.count = 10;
    do_in_turn(s.loop, send_some, &s);
    s.loop->kernel = &rp_system_kernel;
    rp_loop_free(s.loop);
    CHECK_INT(s.box->lost, ==, 0);
    close(s.peer);
    free(s.box);
}

/* ---- segments ---- */

static bool has_segments(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = rp_kernel_can_cut(&rp_system_kernel, fd);

    close(fd);
    return rc == 0;
}

TEST(with_gso_datagrams_of_one_size_go_as_one_message)
{
    if (!has_segments())
        SKIP("this kernel has no UDP_SEGMENT");
    scene s = begin(&(rp_datagram_options){.gso = true});

    s.count = 20;
    do_in_turn(s.loop, send_some, &s);
    expect(&s, 0, 19);
    CHECK_INT(calls, ==, 2);
    CHECK_INT(segments, ==, 1);
    CHECK_INT(sent, ==, 2);
    end(&s);
}

TEST(where_segments_are_refused_each_datagram_goes_by_itself)
{
    if (!has_segments())
        SKIP("this kernel has no UDP_SEGMENT");
    scene s = begin(&(rp_datagram_options){.gso = true});

    no_segments = -EIO;
    s.count = 20;
    do_in_turn(s.loop, send_some, &s);
    expect(&s, 0, 19);
    CHECK_INT(s.box->errors, ==, 0);
    CHECK_INT(segments, ==, 0);
    end(&s);
}

TEST(with_gro_joined_datagrams_are_told_one_by_one_and_whole)
{
    enum { MANY = 40, SIZE = 1400 };
    if (!has_segments())
        SKIP("this kernel has no UDP_SEGMENT");
    scene s = begin(&(rp_datagram_options){.gso = true});
    struct sockaddr_in here;
    mailbox *box = mailbox_open(s.loop, &(rp_datagram_options){.gro = true, .receive_size = 1000}, &here);
    static char bytes[SIZE];

    s.there = here;
    for (int round = 0; round < 3; round++) {
        s.count = MANY;
        box->count = 0;
        do_in_turn(s.loop, send_some, &s); /* short ones, joined by the kernel */
        RUN_UNTIL(s.loop, box->count == MANY);
        for (int i = 0; i < MANY; i++) {
            CHECK_INT(box->letters[i].length, ==, sizeof i);
            CHECK(memcmp(box->letters[i].bytes, &i, sizeof i) == 0);
        }
    }
    box->count = 0;
    int fd = udp_bound(&s.there);
    int segment = SIZE;
    CHECK_INT(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment), ==, 0);
    static char all[MANY * SIZE - 100];
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (char)(i / SIZE);
    udp_send(fd, &here, all, sizeof all); /* 56 KB in one: more than the room that was asked for */
    RUN_UNTIL(s.loop, box->count == MANY);
    for (int i = 0; i < MANY; i++) {
        CHECK_INT(box->letters[i].length, ==, i < MANY - 1 ? SIZE : SIZE - 100);
        CHECK_INT(box->letters[i].flags, ==, 0);
        memset(bytes, i, sizeof bytes);
        CHECK(memcmp(box->letters[i].bytes, bytes, LETTER_BYTES) == 0);
    }
    close(fd);
    mailbox_close(s.loop, box);
    end(&s);
}
