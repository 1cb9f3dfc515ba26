/*
 * test_sendfile.c - files that transports send: whole ones and parts, their place among what is written, and what comes
 * in between.
 */
#include "harness/files.h"
#include "harness/kinds.h"

enum { LARGE = 3 << 20, ROOM = 12 << 20 };

static void start_sockets(rp_loop *loop, const rp_protocol *protocol, void *const selves[2])
{
    rp_transport *transport;
    int fds[2];

    wire_pair(&fds[0], &fds[1]);
    for (int i = 0; i < 2; i++)
        CHECK_INT(rp_connect_accepted_socket(loop, fds[i], protocol, selves[i], &transport), ==, 0);
}

static void start_filtered_sockets(rp_loop *loop, const rp_protocol *protocol, void *const selves[2])
{
    start_filters(loop, start_sockets, protocol, selves);
}

static starter *const kinds[] = {start_sockets, start_memory, start_filtered_sockets};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* ---- the two ends ---- */

typedef struct end {
    rp_transport *transport;
    char *got; /* what has come */
    size_t length;
    int pauses, ends, losses, error, failures;
} end;

static void made(void *self, rp_transport *transport)
{
    ((end *)self)->transport = transport;
}

static void received(void *self, const void *data, size_t length)
{
    end *e = self;

    CHECK(e->length + length <= ROOM);
    memcpy(e->got + e->length, data, length);
    e->length += length;
}

static bool ended(void *self)
{
    ((end *)self)->ends++;
    return true;
}

static void lost(void *self, int error)
{
    end *e = self;

    e->losses++;
    e->error = error;
}

static void pause_it(void *self)
{
    ((end *)self)->pauses++;
}

static void failed(void *self, int error)
{
    end *e = self;

    e->failures++;
    e->error = error;
}

#define EACH_HAS                                                                                                  \
    .connection_made = made, .data_received = received, .eof_received = ended, .connection_lost = lost,           \
    .pause_writing = pause_it

static const rp_protocol plain = {EACH_HAS};
static const rp_protocol reads_on = {EACH_HAS, .write_failed = failed};

typedef struct pair {
    rp_loop *loop;
    end here, there;
    char *expected; /* at the other end */
    size_t length;
} pair;

static pair *open_pair_of(starter *start, const rp_protocol *protocol)
{
    pair *p = calloc(1, sizeof *p);

    p->loop = wire_loop();
    p->here.got = malloc(ROOM);
    p->there.got = malloc(ROOM);
    p->expected = malloc(ROOM);
    start(p->loop, protocol, (void *[]){&p->here, &p->there});
    return p;
}

static pair *open_pair(int kind)
{
    return open_pair_of(kinds[kind], &plain);
}

static void free_pair(pair *p)
{
    rp_loop_free(p->loop);
    free(p->here.got);
    free(p->there.got);
    free(p->expected);
    free(p);
}

static void expect(pair *p, const void *bytes, size_t length)
{
    memcpy(p->expected + p->length, bytes, length);
    p->length += length;
}

static void expect_file(pair *p, size_t from, size_t length)
{
    wire_fill(p->expected + p->length, length, from);
    p->length += length;
}

static void say(pair *p, const char *text)
{
    CHECK_INT(rp_transport_write(p->here.transport, text, strlen(text)), ==, 0);
    expect(p, text, strlen(text));
}

static rp_future *send_part(pair *p, int file, int64_t offset, int64_t count)
{
    rp_future *future;

    CHECK_INT(rp_transport_sendfile(p->here.transport, file, offset, count, 0, &future), ==, 0);
    return future;
}

/* How the future ends: bytes, or its error; and drops it. */
static int64_t finish(pair *p, rp_future *future)
{
    int64_t sent;
    int rc;

    RUN_UNTIL(p->loop, rp_future_done(future));
    rc = rp_future_result(future);
    sent = rp_sendfile_sent(future);
    rp_future_unref(future);
    return rc < 0 ? rc : sent;
}

static void check_arrived(pair *p)
{
    RUN_UNTIL(p->loop, p->there.length >= p->length);
    CHECK_INT(p->there.length, ==, p->length);
    CHECK(memcmp(p->there.got, p->expected, p->length) == 0);
}

/* Nothing moves any more: the other end does not read. */
static void fill_the_way(pair *p, rp_future *future)
{
    int64_t before = -1;

    while (before != rp_sendfile_sent(future)) {
        before = rp_sendfile_sent(future);
        for (int i = 0; i < 5; i++)
            wire_run(p->loop, RP_MSEC(2));
    }
    CHECK(!rp_future_done(future));
}

static rp_future *send_into_a_full_way(pair *p, int file, size_t size)
{
    rp_future *future;

    rp_transport_pause_reading(p->there.transport);
    future = send_part(p, file, 0, -1);
    fill_the_way(p, future);
    CHECK_INT(rp_sendfile_sent(future), <, size);
    return future;
}

static bool is_reset(int64_t error)
{
    return error == -EPIPE || error == -ECONNRESET;
}

/* ---- places ---- */

TEST(a_file_goes_between_what_was_written_before_and_after)
{
    static const size_t sizes[] = {0, 1, 4096, 100000, LARGE};

    for (int kind = 0; kind < KINDS; kind++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
            for (int corked = 0; corked < 2; corked++) {
                pair *p = open_pair(kind);
                int file = file_of(sizes[i]);
                rp_future *future;

                if (corked)
                    rp_transport_cork(p->here.transport);
                say(p, "before");
                future = send_part(p, file, 0, -1);
                expect_file(p, 0, sizes[i]);
                say(p, "after");
                say(p, " it");
                if (corked)
                    CHECK_INT(rp_transport_uncork(p->here.transport), ==, 0);
                CHECK_INT(finish(p, future), ==, sizes[i]);
                check_arrived(p);
                say(p, ", and at the end");
                check_arrived(p);
                close(file);
                free_pair(p);
            }
}

TEST(files_and_writes_keep_their_order_however_full_the_way_is)
{
    for (int kind = 0; kind < KINDS; kind++) {
        pair *p = open_pair(kind);
        int one = file_of(LARGE), two = file_of(50000);
        static char bytes[500000];
        rp_future *futures[4];

        rp_transport_pause_reading(p->there.transport);
        for (int i = 0; i < 4; i++) {
            memset(bytes, 'a' + i, sizeof bytes);
            CHECK_INT(rp_transport_write(p->here.transport, bytes, sizeof bytes), ==, 0);
            expect(p, bytes, sizeof bytes);
            futures[i] = send_part(p, i % 2 ? two : one, i, 1000000);
            expect_file(p, (size_t)i, i % 2 ? (size_t)(50000 - i) : 1000000);
            if (i == 1)
                wire_settle(p->loop);
        }
        say(p, "the end");
        CHECK_INT(rp_transport_write_eof(p->here.transport), ==, 0);
        CHECK_INT(rp_transport_write(p->here.transport, "x", 1), ==, -EPIPE);
        rp_transport_resume_reading(p->there.transport);
        for (int i = 0; i < 4; i++)
            CHECK_INT(finish(p, futures[i]), ==, i % 2 ? 50000 - i : 1000000);
        RUN_UNTIL(p->loop, p->there.ends == 1);
        check_arrived(p);
        close(one);
        close(two);
        free_pair(p);
    }
}

TEST(parts_of_a_file)
{
    static const struct {
        int64_t offset, count, sent;
    } parts[] = {
        {0, 0, 0},
        {0, 10, 10},
        {7, 100000, 100000},
        {LARGE - 5, 100, 5},
        {LARGE - 5, INT64_MAX, 5},
        {LARGE, -1, 0},
        {LARGE + 100, -1, 0},
        {INT64_MAX - 4096, -1, 0},
        {1, -1, LARGE - 1},
        {524288, 1048576, 1048576},
    };
    int file = file_of(LARGE);

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        pair *p = open_pair(0);

        CHECK_INT(lseek(file, 3, SEEK_SET), ==, 3);
        CHECK_INT(finish(p, send_part(p, file, parts[i].offset, parts[i].count)), ==, parts[i].sent);
        expect_file(p, (size_t)parts[i].offset, (size_t)parts[i].sent);
        check_arrived(p);
        CHECK_INT(lseek(file, 0, SEEK_CUR), ==, 3); /* an offset of one's own moves nothing */
        free_pair(p);
    }
    close(file);
}

TEST(minus_one_is_the_files_own_position_which_is_behind_what_was_sent)
{
    pair *p = open_pair(0);
    int file = file_of(LARGE);
    rp_future *future;
    int64_t sent;

    CHECK_INT(lseek(file, 1000, SEEK_SET), ==, 1000);
    CHECK_INT(finish(p, send_part(p, file, -1, 500)), ==, 500);
    CHECK_INT(lseek(file, 0, SEEK_CUR), ==, 1500);
    expect_file(p, 1000, 500);
    CHECK_INT(lseek(file, 0, SEEK_SET), ==, 0);
    rp_transport_pause_reading(p->there.transport);
    extend_file(file, LARGE, 2 * LARGE);
    future = send_part(p, file, -1, -1);
    fill_the_way(p, future);
    CHECK(rp_future_cancel(future));
    RUN_UNTIL(p->loop, rp_future_done(future));
    CHECK_INT(rp_future_result(future), ==, RP_EFUTCANCELED);
    sent = rp_sendfile_sent(future);
    CHECK_INT(sent, <, 3 * LARGE);
    CHECK_INT(lseek(file, 0, SEEK_CUR), ==, sent);
    rp_future_unref(future);
    future = send_part(p, file, -1, -1); /* so it goes on there */
    rp_transport_resume_reading(p->there.transport);
    CHECK_INT(finish(p, future), ==, 3 * LARGE - sent);
    CHECK_INT(lseek(file, 0, SEEK_CUR), ==, 3 * LARGE);
    expect_file(p, 0, 3 * LARGE);
    check_arrived(p);
    close(file);
    free_pair(p);
}

TEST(what_cannot_be_sent_is_refused_and_disturbs_nothing)
{
    pair *p = open_pair(0);
    int file = file_of(10), gone = file_of(10);
    rp_future *future;

    close(gone);
    CHECK_INT(rp_transport_sendfile(p->here.transport, file, -2, 1, 0, &future), ==, -EINVAL);
    CHECK_INT(rp_transport_sendfile(p->here.transport, file, 0, -2, 0, &future), ==, -EINVAL);
    CHECK_INT(rp_transport_sendfile(p->here.transport, gone, 0, 1, 0, &future), ==, -EBADF);
    CHECK_INT(rp_transport_sendfile(p->here.transport, -1, 0, 1, 0, &future), ==, -EBADF);
    CHECK_INT(rp_future_new(p->loop, &future), ==, 0);
    CHECK_INT(rp_sendfile_sent(future), ==, -EINVAL);
    rp_future_unref(future);
    say(p, "one");
#ifndef _WIN32
    int directory = open(".", O_RDONLY | O_CLOEXEC);
    future = send_part(p, directory, 0, -1);
    say(p, "two");
    CHECK_INT(finish(p, future), ==, -EISDIR);
    close(directory);
    int writable = open(TEST_NULL, O_WRONLY | O_CLOEXEC);
    future = send_part(p, writable, 0, -1);
    CHECK_INT(finish(p, future), ==, -EBADF);
    close(writable);
#endif
    say(p, "three");
    check_arrived(p);
    rp_transport_close(p->here.transport);
    CHECK_INT(rp_transport_sendfile(p->here.transport, file, 0, -1, 0, &future), ==, -EPIPE);
    CHECK_INT(p->here.losses, ==, 0);
    close(file);
    free_pair(p);
}

TEST(a_file_of_the_kernels_own_that_tells_no_size)
{
#ifdef __linux__
    pair *p = open_pair(0);
    int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

    CHECK_INT(finish(p, send_part(p, file, 0, -1)), >, 100);
    RUN_UNTIL(p->loop, p->there.length > 100);
    CHECK(memcmp(p->there.got, "Name:", 5) == 0);
    close(file);
    free_pair(p);
#endif
}

/* Where there is no such kernel the flag is ignored. */
TEST(a_file_that_the_kernel_sends)
{
    for (int kind = 0; kind < KINDS; kind++)
        for (int part = 0; part < 2; part++) {
            pair *p = open_pair(kind);
            int file = file_of(LARGE);
            rp_future *future;

            say(p, "before");
            CHECK_INT(rp_transport_sendfile(p->here.transport, file, part ? 5 : -1, part ? 1000000 : -1,
                                            RP_SENDFILE_IN_KERNEL, &future),
                      ==, 0);
            say(p, "after");
            p->length -= 5;
            expect_file(p, part ? 5 : 0, part ? 1000000 : LARGE);
            expect(p, "after", 5);
            CHECK_INT(finish(p, future), ==, part ? 1000000 : LARGE);
            check_arrived(p);
            CHECK_INT(lseek(file, 0, SEEK_CUR), ==, part ? 0 : LARGE);
            close(file);
            free_pair(p);
        }
}

TEST(what_the_kernel_cannot_send_is_read)
{
    pair *p = open_pair(0);
    rp_future *future;
    int pipe_[2];

    CHECK_INT(pipe(pipe_), ==, 0);
    CHECK_INT(write(pipe_[1], "abc", 3), ==, 3);
    close(pipe_[1]);
    CHECK_INT(rp_transport_sendfile(p->here.transport, pipe_[0], 0, -1, RP_SENDFILE_IN_KERNEL, &future), ==, 0);
    CHECK_INT(finish(p, future), ==, 3);
    expect(p, "abc", 3);
    check_arrived(p);
    close(pipe_[0]);
    free_pair(p);
}

/* By a peer that goes, and by a cancellation; and no SIGPIPE comes of it. */
TEST(what_the_kernel_sends_can_end_early)
{
    for (int cancelled = 0; cancelled < 2; cancelled++) {
        pair *p = open_pair(0);
        int file = file_of(3 * LARGE);
        rp_future *future;

        rp_transport_pause_reading(p->there.transport);
        CHECK_INT(rp_transport_sendfile(p->here.transport, file, -1, -1, RP_SENDFILE_IN_KERNEL, &future), ==, 0);
        fill_the_way(p, future);
        if (cancelled) {
            int64_t sent;

            CHECK(rp_future_cancel(future));
            RUN_UNTIL(p->loop, rp_future_done(future));
            CHECK(rp_future_cancelled(future));
            sent = rp_sendfile_sent(future);
            CHECK_INT(lseek(file, 0, SEEK_CUR), ==, sent);
            expect_file(p, 0, (size_t)sent);
            say(p, "after");
            rp_transport_resume_reading(p->there.transport);
            check_arrived(p);
            rp_future_unref(future);
        } else {
            rp_transport_abort(p->there.transport);
            CHECK(is_reset(finish(p, future)));
        }
        close(file);
        free_pair(p);
    }
}

/* ---- what changes meanwhile ---- */

#ifndef _WIN32
TEST(a_file_that_shrinks_ends_early)
{
    for (int kind = 0; kind < KINDS; kind++)
        for (int to_nothing = 0; to_nothing < 2; to_nothing++) {
            pair *p = open_pair(kind);
            int file = file_of(3 * LARGE);
            rp_future *future = send_into_a_full_way(p, file, 3 * LARGE);
            int64_t sent;

            say(p, "");
            CHECK_INT(ftruncate(file, to_nothing ? 0 : 3 * LARGE - 1), ==, 0);
            rp_transport_resume_reading(p->there.transport);
            sent = finish(p, future);
            if (to_nothing)
                CHECK(sent > 0 && sent < 3 * LARGE);
            else
                CHECK_INT(sent, ==, 3 * LARGE - 1);
            expect_file(p, 0, (size_t)sent);
            say(p, "after");
            check_arrived(p);
            close(file);
            free_pair(p);
        }
}
#else
TEST_ABSENT(a_file_that_shrinks_ends_early, "a file is not cut short while it is read");
#endif

TEST(a_file_that_grows_is_sent_as_far_as_it_goes)
{
    for (int limited = 0; limited < 2; limited++) {
        pair *p = open_pair(0);
        int file = file_of(3 * LARGE);
        rp_future *future;

        rp_transport_pause_reading(p->there.transport);
        future = send_part(p, file, 0, limited ? 3 * LARGE + 5 : -1);
        fill_the_way(p, future);
        extend_file(file, 3 * LARGE, 10);
        rp_transport_resume_reading(p->there.transport);
        CHECK_INT(finish(p, future), ==, 3 * LARGE + (limited ? 5 : 10));
        expect_file(p, 0, 3 * LARGE + (limited ? 5 : 10));
        check_arrived(p);
        close(file);
        free_pair(p);
    }
}

TEST(what_a_pipe_brings_is_sent_until_it_ends)
{
    pair *p = open_pair(0);
    rp_future *future;
    int pipe_[2];

    CHECK_INT(pipe(pipe_), ==, 0);
    future = send_part(p, pipe_[0], -1, -1);
    wire_settle(p->loop);
    CHECK_INT(rp_sendfile_sent(future), ==, 0);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(write(pipe_[1], "abc", 3), ==, 3);
        expect(p, "abc", 3);
        RUN_UNTIL(p->loop, rp_sendfile_sent(future) == 3 * (i + 1));
    }
    CHECK(!rp_future_done(future));
    close(pipe_[1]);
    CHECK_INT(finish(p, future), ==, 9);
    check_arrived(p);
    close(pipe_[0]);
    free_pair(p);
}

/* ---- its end ---- */

TEST(closing_sends_the_file_first)
{
    for (int kind = 0; kind < KINDS; kind++)
        for (int early = 0; early < 2; early++) {
            pair *p = open_pair(kind);
            int file = file_of(LARGE);
            rp_future *future = send_part(p, file, 0, -1);

            if (!early)
                RUN_UNTIL(p->loop, rp_sendfile_sent(future) > 0);
            rp_transport_close(p->here.transport);
            CHECK_INT(rp_transport_write(p->here.transport, "x", 1), ==, -EPIPE);
            CHECK_INT(finish(p, future), ==, LARGE);
            RUN_UNTIL(p->loop, p->here.losses == 1 && p->there.ends == 1);
            CHECK_INT(p->here.error, ==, 0);
            expect_file(p, 0, LARGE);
            check_arrived(p);
            close(file);
            free_pair(p);
        }
}

TEST(an_abort_ends_all_files)
{
    for (int kind = 0; kind < KINDS; kind++) {
        pair *p = open_pair(kind);
        int file = file_of(3 * LARGE);
        rp_future *first = send_into_a_full_way(p, file, 3 * LARGE), *second = send_part(p, file, 0, -1);

        rp_transport_abort(p->here.transport);
        CHECK_INT(finish(p, first), ==, -EPIPE);
        CHECK_INT(finish(p, second), ==, -EPIPE);
        RUN_UNTIL(p->loop, p->here.losses == 1);
        close(file);
        free_pair(p);
    }
}

TEST(a_peer_that_goes_ends_all_files)
{
    for (int asks = 0; asks < 2; asks++) {
        pair *p = open_pair_of(start_sockets, asks ? &reads_on : &plain);
        int file = file_of(3 * LARGE);
        rp_future *first = send_into_a_full_way(p, file, 3 * LARGE), *second = send_part(p, file, 0, -1);

        rp_transport_abort(p->there.transport);
        CHECK(is_reset(finish(p, first)));
        CHECK(is_reset(finish(p, second)));
        RUN_UNTIL(p->loop, p->here.losses == 1);
        CHECK(is_reset(p->here.error));
        close(file);
        free_pair(p);
    }
}

/* The peer reads no more and stays: what was asked for before the failure fails, and so does what comes after it. */
#ifndef _WIN32
TEST(a_file_that_fails_ends_writing_alone_for_a_protocol_that_asks_for_it)
{
    pair *p = calloc(1, sizeof *p);
    rp_future *first, *second;
    int fds[2], file = file_of(LARGE);
    rp_transport *transport;

    p->loop = wire_loop();
    p->here.got = malloc(ROOM);
    unix_pair(fds);
    CHECK_INT(rp_connect_accepted_socket(p->loop, fds[0], &reads_on, &p->here, &transport), ==, 0);
    CHECK_INT(send(fds[1], "answer", 6, MSG_NOSIGNAL), ==, 6);
    CHECK_INT(shutdown(fds[1], SHUT_RD), ==, 0);
    first = send_part(p, file, 0, -1);
    second = send_part(p, file, 0, -1);
    CHECK_INT(finish(p, first), ==, -EPIPE);
    CHECK_INT(finish(p, second), ==, -EPIPE);
    RUN_UNTIL(p->loop, p->here.length == 6);
    CHECK(p->here.failures == 1 && p->here.losses == 0);
    CHECK_INT(rp_transport_sendfile(transport, file, 0, -1, 0, &first), ==, -EPIPE);
    close(fds[1]);
    close(file);
    free_pair(p);
}
#else
TEST_ABSENT(a_file_that_fails_ends_writing_alone_for_a_protocol_that_asks_for_it,
            "no peer can refuse to read and stay: pairs are TCP connections");
#endif

TEST(a_loop_that_is_closed_leaves_the_future_pending)
{
    for (int kind = 0; kind < KINDS; kind++)
        for (int full = 0; full < 2; full++) {
            pair *p = open_pair(kind);
            int file = file_of(3 * LARGE);
            rp_future *first, *second;
            rp_transport *kept = rp_transport_ref(p->here.transport);

            first = full ? send_into_a_full_way(p, file, 3 * LARGE) : send_part(p, file, 0, -1);
            second = send_part(p, file, 0, -1);
            CHECK_INT(rp_loop_close(p->loop), ==, 0);
            CHECK(!rp_future_done(first) && !rp_future_done(second));
            CHECK(rp_future_cancel(first));
            CHECK(rp_future_cancelled(first));
            CHECK_INT(rp_sendfile_sent(second), ==, 0);
            rp_future_unref(first);
            rp_future_unref(second);
            CHECK_INT(rp_transport_sendfile(kept, file, 0, -1, 0, &first), ==, RP_ECLOSED);
            rp_transport_unref(kept);
            close(file);
            free_pair(p);
        }
}

TEST(a_future_that_nobody_holds_sends_all_the_same)
{
    pair *p = open_pair(0);
    int file = file_of(LARGE);

    rp_future_unref(send_part(p, file, 0, -1));
    expect_file(p, 0, LARGE);
    check_arrived(p);
    wire_settle(p->loop);
    close(file);
    free_pair(p);
}

/* ---- cancelling ---- */

TEST(a_cancelled_file_ends_where_it_is_and_what_is_behind_it_goes_on)
{
    for (int kind = 0; kind < KINDS; kind++)
        for (int at = 0; at < 4; at++) {
            pair *p = open_pair(kind);
            int file = file_of(3 * LARGE);
            rp_future *future, *next = NULL;
            static char bytes[2 << 20];
            int64_t sent;

            rp_transport_pause_reading(p->there.transport);
            if (at == 2) { /* it waits behind what was written */
                memset(bytes, 'b', sizeof bytes);
                CHECK_INT(rp_transport_write(p->here.transport, bytes, sizeof bytes), ==, 0);
                CHECK_INT(rp_transport_write(p->here.transport, bytes, sizeof bytes), ==, 0);
                expect(p, bytes, sizeof bytes);
                expect(p, bytes, sizeof bytes);
            }
            future = send_part(p, file, 0, -1);
            if (at == 1) /* it is being sent */
                fill_the_way(p, future);
            if (at == 3) { /* it waits behind another one */
                next = future;
                future = send_part(p, file, 0, 1000);
            }
            CHECK_INT(rp_transport_write(p->here.transport, "after", 5), ==, 0);
            CHECK(rp_future_cancel(future));
            RUN_UNTIL(p->loop, rp_future_done(future));
            CHECK(rp_future_cancelled(future));
            CHECK(!rp_future_cancel(future));
            sent = rp_sendfile_sent(future);
            if (at > 1)
                CHECK_INT(sent, ==, 0);
            rp_future_unref(future);
            rp_transport_resume_reading(p->there.transport);
            if (next) {
                CHECK_INT(finish(p, next), ==, 3 * LARGE);
                expect_file(p, 0, 3 * LARGE);
            }
            expect_file(p, 0, (size_t)sent);
            expect(p, "after", 5);
            check_arrived(p);
            close(file);
            free_pair(p);
        }
}

TEST(cancelling_while_a_pipe_has_nothing_loses_nothing)
{
    pair *p = open_pair(0);
    rp_future *future;
    char byte;
    int pipe_[2];

    CHECK_INT(pipe(pipe_), ==, 0);
    future = send_part(p, pipe_[0], -1, -1);
    say(p, "after");
    wire_settle(p->loop);
    CHECK(rp_future_cancel(future));
    RUN_UNTIL(p->loop, rp_future_done(future));
    CHECK(rp_future_cancelled(future));
    rp_future_unref(future);
    CHECK_INT(write(pipe_[1], "x", 1), ==, 1);
    wire_settle(p->loop);
    CHECK_INT(read(pipe_[0], &byte, 1), ==, 1);
    check_arrived(p);
    close_pair(pipe_);
    free_pair(p);
}

/* ---- flow control ---- */

TEST(a_file_is_no_writing_and_what_is_written_behind_it_is)
{
    pair *p = open_pair(0);
    int file = file_of(3 * LARGE);
    static char bytes[100000];
    rp_future *future = send_into_a_full_way(p, file, 3 * LARGE);

    CHECK_INT(rp_transport_get_write_buffer_size(p->here.transport), ==, 0);
    CHECK_INT(p->here.pauses, ==, 0);
    CHECK_INT(rp_transport_write(p->here.transport, bytes, sizeof bytes), ==, 0);
    CHECK_INT(p->here.pauses, ==, 1);
    CHECK_INT(rp_transport_write(p->there.transport, "question", 8), ==, 0);
    RUN_UNTIL(p->loop, p->here.length == 8); /* reading goes on */
    expect_file(p, 0, 3 * LARGE);
    expect(p, bytes, sizeof bytes);
    rp_transport_resume_reading(p->there.transport);
    CHECK_INT(finish(p, future), ==, 3 * LARGE);
    check_arrived(p);
    close(file);
    free_pair(p);
}
