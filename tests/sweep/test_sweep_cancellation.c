/*
 * test_sweep_cancellation.c - a task is cancelled at its nth suspension, for every n; twice, for every two; and with
 * the second one in its clean-up.
 *
 * The victim goes through all that suspends: connecting, writing, reading, accepting, a group, a timeout, a shield, the
 * executor, a generator, a name and the race for its addresses, files, their sending and watching, and TLS.
 * What it works on belongs to the test, which goes on with it after the victim's end: so nothing that was read, and no
 * connection that was accepted, may be missing then.
 * The linker leads rp_co_suspend() to a wrapper that counts the victim's suspensions.
 */
#include <stdio.h>
#include <string.h>

#include "co/task.h"
#include "harness/harness.h"
#include "harness/platform.h"
#include "harness/leaks.h"
#include "ringport.h"
#include "harness/datagrams.h"
#include "harness/files.h"
#include "harness/toy_engine.h"
#include "harness/wire.h"
#include "harness/wrap.h"

enum {
    LINES = 12,
    GUESTS = 4,
    CARDS = 3,
    PAUSES = 2, /* suspensions of the clean-up */
    /* Of the victim at least. Reading and accepting suspend only where they find nothing, which is chance. */
    SUSPENSIONS = 15,
};

typedef struct trial {
    uint64_t first, second; /* the suspensions at which it is cancelled; 0: not */
    uint64_t turns;         /* how many turns pass before it is */
    uint64_t suspensions;
    rp_task *victim;
    rp_handle cancel;
    uint64_t to_pass;    /* turns until that */
    int cancelled;       /* cancellations that found the victim alive */
    bool seen;           /* the victim has got -ECANCELED */
    rp_server *server;   /* that sends lines to who connects */
    rp_server *secure;   /* that counts what comes by TLS */
    rp_server *starttls; /* the same, where TLS comes later */
    rp_stream *stream;   /* a connection to it */
    rp_stream *greeting; /* one that the victim makes */
    int lines;           /* read so far */
    int listener;        /* of the guests */
    int guests[GUESTS];
    int accepted;
    int card_box;   /* a socket to which datagrams have come */
    int cards;      /* read so far */
    int answers[2]; /* a pair of sockets for datagrams */
    int children;   /* of the group, alive */
    int generators; /* that have begun, and not ended */
    bool job_runs;  /* the executor's */
    bool shielded_ended;
    uint64_t ticks; /* of a task that has nothing to do with it */
} trial;

static trial t;

/* ---- cancelling ---- */

static void cancel_victim(void *arg)
{
    if (t.to_pass-- > 0)
        CHECK_INT(rp_call_soon(arg, &t.cancel, cancel_victim, arg), ==, 0);
    else
        t.cancelled += rp_task_cancel(t.victim);
}

/* The cancellation comes in the next turn, after what has completed by then and before the victim goes on. */
WRAP(bool, rp_co_suspend, rp_co *co, const rp_waiting *waiting, void *arg)
{
    if (t.victim && rp_co_task(co) == t.victim) {
        t.suspensions++;
        if ((t.suspensions == t.first || t.suspensions == t.second) && !rp_handle_scheduled(&t.cancel)) {
            t.to_pass = t.turns;
            CHECK_INT(rp_call_soon(rp_co_loop(co), &t.cancel, cancel_victim, rp_co_loop(co)), ==, 0);
        }
    }
    return __real_rp_co_suspend(co, waiting, arg);
}

/* ---- what the victim does ---- */

static int see(int rc)
{
    CHECK(rc >= 0 || rc == -ECANCELED);
    t.seen |= rc == -ECANCELED;
    return rc;
}

/* Reads lines until there are `until`, or none for this task. */
static int read_lines(rp_co *co, int until)
{
    char line[32], expected[32];

    while (t.lines < until) {
        ssize_t n = rp_stream_read_line(co, t.stream, line, sizeof line);

        RP_TRY(see((int)n));
        snprintf(expected, sizeof expected, "line %d\n", t.lines);
        CHECK_STR(line, expected);
        t.lines++;
    }
    return 0;
}

/* The same by exact lengths: what a cancelled call has taken, it puts back. */
static int read_exact_line(rp_co *co)
{
    char line[8] = "", expected[8];

    RP_TRY(see((int)rp_stream_read_exactly(co, t.stream, line, 7)));
    snprintf(expected, sizeof expected, "line %d\n", t.lines);
    CHECK_STR(line, expected);
    t.lines++;
    return 0;
}

static int accept_guests(rp_co *co, int until)
{
    while (t.accepted < until) {
        rp_fd fd = rp_sock_accept(co, t.listener, NULL, NULL);

        RP_TRY(see((int)fd));
        close((int)fd);
        t.accepted++;
    }
    return 0;
}

/* Reads datagrams until so many have come, or none for this task. */
static int read_cards(rp_co *co, int until)
{
    while (t.cards < until) {
        char byte;
        rp_mmsg message = {.buffer = &byte, .size = 1};

        RP_TRY(see(rp_recvmmsg(co, t.card_box, &message, 1)));
        CHECK_INT(byte, ==, 'a' + t.cards);
        t.cards++;
    }
    return 0;
}

/* Those that have gone can be told from those that have not. */
static int write_cards(rp_co *co)
{
    char bytes[] = "ab";
    rp_mmsg messages[2] = {{.buffer = &bytes[0], .length = 1}, {.buffer = &bytes[1], .length = 1}};
    rp_datagram_options options = {.remote_host = "localhost", .remote_port = 9, .family = AF_INET};
    int gone = 0;
    char byte;
    rp_fd fd;

    RP_TRY(see(rp_udp_open(co, &fd, &options)));
    CHECK_INT(rp_close(co, fd), ==, 0);
    int rc = see(rp_sendmmsg(co, t.answers[0], messages, 2));
    while (gone < 2 && messages[gone].error == 0)
        gone++;
    CHECK(gone == 2 || messages[gone].error == rc);
    for (int i = 0; i < gone; i++)
        CHECK_INT(recv(t.answers[1], &byte, 1, MSG_DONTWAIT), ==, 1);
    CHECK_INT(recv(t.answers[1], &byte, 1, MSG_DONTWAIT), ==, -1);
    return rc < 0 ? rc : 0;
}

static int child(rp_co *co, void *arg)
{
    int rc = rp_sleep(co, *(int *)arg == 0 ? 0 : RP_MSEC(*(int *)arg));

    (void)rp_sleep(co, 0); /* clean-up that suspends */
    t.children--;
    return rc;
}

static int group_of_children(rp_co *co)
{
    rp_group group;
    int rc = 0;

    rp_group_begin(co, &group);
    for (int i = 0; i < 3 && rc == 0; i++) {
        rc = rp_group_create_task_copy(&group, NULL, child, &i, sizeof i);
        t.children += rc == 0;
    }
    if (rc == 0)
        rc = see(rp_sleep(co, 0));
    rc = see(rp_group_end(co, &group, rc));
    CHECK_INT(t.children, ==, 0);
    return rc;
}

static int shielded(rp_co *co, void *arg)
{
    (void)arg;
    CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0);
    t.shielded_ended = true;
    return 7;
}

static int shielding(rp_co *co)
{
    rp_task *task;
    int rc;

    CHECK_INT(rp_create_task(&task, shielded, NULL), ==, 0);
    rc = see(rp_shield(co, task));
    CHECK(rc == 7 || rc == -ECANCELED);
    rp_task_detach(task);
    return rc < 0 ? rc : 0;
}

static int work(void *arg)
{
    *(bool *)arg = true;
    usleep(500);
    *(bool *)arg = false;
    return 5;
}

/* The function uses the frame: it must have ended, or never begun, when the call returns. */
static int on_a_thread(rp_co *co)
{
    int rc = see(rp_to_thread(co, work, &t.job_runs));

    CHECK(!t.job_runs);
    CHECK(rc == 5 || rc == -ECANCELED);
    return rc < 0 ? rc : 0;
}

static int within_timeouts(rp_co *co)
{
    rp_timeout outer, inner;
    int rc;

    rp_timeout_begin(co, &outer, RP_SEC(100));
    rp_timeout_begin(co, &inner, RP_MSEC(1));
    rc = rp_timeout_end(co, &inner, rp_sleep(co, RP_SEC(50)));
    if (rc == -ETIMEDOUT) /* nobody else has cancelled it */
        rc = rp_sleep(co, 0);
    return see(rp_timeout_end(co, &outer, rc));
}

static int numbers(rp_co *co, void *arg)
{
    int rc = 0;

    (void)arg;
    t.generators++;
    for (int i = 0; i < 2 && rc == 0; i++) {
        rc = rp_sleep(co, 0);
        if (rc == 0)
            rc = rp_yield(co, &i);
    }
    (void)rp_sleep(co, 0); /* clean-up that suspends */
    t.generators--;
    return rc;
}

static int from_a_generator(rp_co *co)
{
    rp_agen *agen;
    void *value;
    int rc, closed;

    CHECK_INT(rp_agen_new(&agen, numbers, NULL), ==, 0);
    for (int i = 0; (rc = see(rp_agen_next(co, agen, &value))) > 0 && i == 0; i++)
        CHECK_INT(*(int *)value, ==, i);
    closed = see(rp_agen_close(co, agen));
    CHECK_INT(t.generators, ==, 0);
    rp_agen_free(agen);
    return rc < 0 ? rc : closed;
}

static int by_name(rp_co *co)
{
    const rp_connect_options options = {.happy_eyeballs_delay = 1};
    rp_stream *stream;

    RP_TRY(see(rp_open_connection(co, &stream, "localhost", rp_server_port(t.server), &options)));
    rp_stream_free(stream);
    return 0;
}

/* A file has one of its two names. A copy is whole, or not there. */
static int with_files(rp_co *co)
{
    char path[] = TEST_TMP "/ringport-sweep-XXXXXX", renamed[sizeof path + 2], copy[sizeof path + 2];
    rp_dirent entries[4];
    rp_dir *dir;
    rp_fd fd = rp_mkstemp(co, path);

    RP_TRY(see((int)fd));
    snprintf(renamed, sizeof renamed, "%s-r", path);
    snprintf(copy, sizeof copy, "%s-c", path);
    int rc = see((int)rp_write(co, fd, "line", 4, -1));
    CHECK_INT(rp_close(co, fd), ==, 0); /* whatever has come */
    if (rc >= 0)
        rc = see(rp_rename(co, path, renamed));
    int copied = rc >= 0 ? see((int)rp_copy_file(co, renamed, copy, NULL)) : rc;
    rc = copied >= 0 ? see(rp_opendir(co, &dir, TEST_TMP)) : copied;
    if (rc >= 0) {
        rc = see(rp_readdir(co, dir, entries, 4));
        CHECK_INT(rp_closedir(co, dir), ==, 0);
    }
    CHECK(copied < 0 || copied == 4);
    CHECK_INT(unlink(copy) == 0, ==, copied >= 0);
    CHECK_INT((unlink(path) == 0) + (unlink(renamed) == 0), ==, 1);
    return rc < 0 ? rc : 0;
}

/* So much of the file has gone as is told, and no more. The receiver takes none meanwhile, so that sending waits. */
static int send_file(rp_co *co, bool by_stream)
{
    enum { SIZE = 600000 };
    static char bytes[SIZE];
    int fds[2], file = file_of(SIZE), rc;
    rp_stream *stream = NULL;
    int64_t sent = -1;
    size_t got = 0;
    ssize_t n;
    rp_timeout timeout;

    unix_pair(fds);
    if (by_stream)
        CHECK_INT(rp_stream_from_fd(co, &stream, fds[0]), ==, 0);
    rp_timeout_begin(co, &timeout, RP_MSEC(1));
    rc = (int)(by_stream ? rp_stream_sendfile(co, stream, file, 0, -1, 0, &sent)
                         : rp_sock_sendfile(co, fds[0], file, 0, -1, &sent));
    rc = rp_timeout_end(co, &timeout, rc < 0 ? rc : 0);
    rc = rc == -ETIMEDOUT ? 0 : see(rc);
    /* Where the pair is one of TCP's, some of it may be on its way. */
    while ((int64_t)got < sent && (n = recv(fds[1], bytes + got, sizeof bytes - got, 0)) > 0)
        got += (size_t)n;
    CHECK_INT(got, ==, sent);
    CHECK(got == sizeof bytes || recv(fds[1], bytes + got, sizeof bytes - got, MSG_DONTWAIT) < 0);
    CHECK(wire_same(bytes, got, 0));
    if (by_stream)
        rp_stream_free(stream);
    else
        close(fds[0]);
    close(fds[1]);
    close(file);
    return rc;
}

/* An event that a cancelled task has not got is the next one's. */
static int watch_files(rp_co *co)
{
    char path[64], name[sizeof path + 2];
    rp_watch_event event = {0};
    rp_watch *watch;
    int rc = 0;

    snprintf(path, sizeof path, TEST_TMP "/ringport-sweep-%llx", (unsigned long long)rp_monotonic());
    snprintf(name, sizeof name, "%s/d", path);
    CHECK_INT(make_directory(path), ==, 0);
    CHECK_INT(rp_watch_new(rp_co_loop(co), path, false, NULL, NULL, &watch), ==, 0);
    CHECK_INT(make_directory(name), ==, 0); /* which is created, and no more */
    rc = see(rp_watch_next(co, watch, &event));
    while (event.what == 0)
        see(rp_watch_next(co, watch, &event));
    CHECK_INT(event.what, ==, RP_WATCH_CREATED);
    CHECK_STR(event.name, "d");
    rp_watch_free(watch);
    CHECK_INT(remove_directory(name), ==, 0);
    CHECK_INT(remove_directory(path), ==, 0);
    return rc;
}

/* ---- TLS, with a toy for an engine ---- */

static int count_bytes(rp_co *co, rp_stream *stream, void *later)
{
    static char bytes[65536];
    uint64_t got = 0;
    ssize_t n;

    if (later) {
        RP_TRY(rp_stream_read_line(co, stream, bytes, sizeof bytes));
        RP_TRY(rp_start_tls(co, stream, toy_context(), NULL));
    }
    while ((n = rp_stream_read(co, stream, bytes, sizeof bytes)) > 0) {
        CHECK(wire_same(bytes, (size_t)n, got));
        got += (uint64_t)n;
    }
    return n < 0 ? (int)n : rp_stream_write(co, stream, &got, sizeof got);
}

/* The handshake, a write that waits, a read, the end and the wait for the peer's. */
static int talk_over_tls(rp_co *co, rp_stream *stream, bool later)
{
    enum { SIZE = 300000 };
    static char bytes[SIZE];
    uint64_t got;

    wire_fill(bytes, sizeof bytes, 0);
    if (later) {
        RP_TRY(see(rp_stream_write(co, stream, "later\n", 6)));
        RP_TRY(see(rp_start_tls(co, stream, toy_context(), &(rp_tls_options){.server_name = "x"})));
    }
    RP_TRY(see(rp_stream_write(co, stream, bytes, sizeof bytes)));
    CHECK_INT(rp_stream_write_eof(stream), ==, 0);
    RP_TRY(see((int)rp_stream_read_exactly(co, stream, &got, sizeof got)));
    CHECK_INT(got, ==, SIZE);
    rp_stream_close(stream);
    return see(rp_stream_wait_closed(co, stream));
}

static int over_tls(rp_co *co, bool later)
{
    rp_connect_options options = {.tls = toy_context()};
    int port = rp_server_port(later ? t.starttls : t.secure);
    rp_stream *stream;
    int rc;

    RP_TRY(see(rp_open_connection(co, &stream, "127.0.0.1", port, later ? NULL : &options)));
    rc = talk_over_tls(co, stream, later);
    rp_stream_free(stream);
    return rc;
}

static int all_of_it(rp_co *co)
{
    RP_TRY(see(rp_open_connection(co, &t.greeting, "127.0.0.1", rp_server_port(t.server), NULL)));
    RP_TRY(see(rp_stream_write(co, t.stream, "go\n", 3)));
    RP_TRY(read_lines(co, 4));
    RP_TRY(read_exact_line(co));
    RP_TRY(accept_guests(co, 2));
    RP_TRY(read_cards(co, 2));
    RP_TRY(write_cards(co));
    RP_TRY(group_of_children(co));
    RP_TRY(within_timeouts(co));
    RP_TRY(shielding(co));
    RP_TRY(on_a_thread(co));
    RP_TRY(from_a_generator(co));
    RP_TRY(by_name(co));
    RP_TRY(with_files(co));
    RP_TRY(send_file(co, false));
    RP_TRY(send_file(co, true));
    RP_TRY(watch_files(co));
    RP_TRY(over_tls(co, false));
    RP_TRY(over_tls(co, true));
    RP_TRY(read_lines(co, 8));
    return 0;
}

/* Clean-up suspends, too; a cancellation that comes there ends what it comes upon and no more. */
static int clean_up(rp_co *co)
{
    int rc = 0;

    for (int i = 0; i < PAUSES; i++)
        if (see(rp_sleep(co, i == 0 ? 0 : RP_USEC(100))) < 0)
            rc = -ECANCELED;
    if (t.greeting) {
        rp_stream_close(t.greeting);
        if (see(rp_stream_wait_closed(co, t.greeting)) < 0)
            rc = -ECANCELED;
        rp_stream_free(t.greeting);
        t.greeting = NULL;
    }
    return rc;
}

static int victim(rp_co *co, void *arg)
{
    int rc = all_of_it(co), cleaned = clean_up(co);

    (void)arg;
    return rc < 0 ? rc : cleaned;
}

/* ---- what goes on around it ---- */

/* Sends its lines in pieces, once it is told to, and then hears what else there is. */
static int send_lines(rp_co *co, rp_stream *stream, void *arg)
{
    char text[32];
    ssize_t n = rp_stream_read_line(co, stream, text, sizeof text);

    (void)arg;
    for (int i = 0; i < LINES && n > 0; i++) {
        int length = snprintf(text, sizeof text, "line %d\n", i), half = i % 3 == 0 ? length / 2 : length;

        RP_TRY(rp_stream_write(co, stream, text, (size_t)half));
        RP_TRY(rp_sleep(co, 0));
        RP_TRY(rp_stream_write(co, stream, text + half, (size_t)(length - half)));
    }
    RP_TRY(rp_stream_write_eof(stream));
    while (n > 0)
        n = rp_stream_read(co, stream, text, sizeof text);
    return (int)n;
}

static int tick(rp_co *co, void *arg)
{
    (void)arg;
    for (;;) {
        RP_TRY(rp_sleep(co, 0));
        t.ticks++;
    }
}

/* What the victim has left is all there, and nothing besides. */
static void take_the_rest(rp_co *co)
{
    rp_timeout timeout;
    char byte;

    t.victim = NULL;
    CHECK_INT(rp_stream_write(co, t.stream, "go\n", 3), ==, 0); /* perhaps the victim did not come to it */
    CHECK_INT(read_lines(co, LINES), ==, 0);
    CHECK_INT(rp_stream_read(co, t.stream, &byte, 1), ==, 0);
    CHECK_INT(accept_guests(co, GUESTS), ==, 0);
    CHECK_INT(read_cards(co, CARDS), ==, 0);
    CHECK_INT(recv(t.card_box, &byte, 1, MSG_DONTWAIT), ==, -1);
    rp_timeout_begin(co, &timeout, RP_USEC(100));
    CHECK_INT(rp_timeout_end(co, &timeout, (int)rp_sock_accept(co, t.listener, NULL, NULL)), ==, -ETIMEDOUT);
}

static int judge(rp_co *co, int rc)
{
    uint64_t ticks = t.ticks;

    fprintf(stderr, "cancelled at suspensions %llu and %llu, %llu turns later: %s\n", (unsigned long long)t.first,
            (unsigned long long)t.second, (unsigned long long)t.turns, rc < 0 ? rp_errname(rc) : "ended well");
    CHECK(rc == 0 || rc == RP_EFUTCANCELED);
    CHECK_INT(rc < 0, ==, t.seen);
    CHECK(t.cancelled > 0 || rc == 0);
    CHECK_INT(t.children, ==, 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(rp_sleep(co, RP_MSEC(1)), ==, 0);
    CHECK_INT(t.ticks, >, ticks);
    return 0;
}

static void be_guests(void)
{
    struct sockaddr_in address;
    int port;

    t.listener = wire_listen(&port);
    for (int i = 0; i < GUESTS; i++)
        t.guests[i] = wire_connect(port);
    t.card_box = udp_bound(&address);
    for (int i = 0; i < CARDS; i++)
        udp_send(t.card_box, &address, &"abc"[i], 1); /* to itself */
    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, t.answers), ==, 0);
}

static void leave(void)
{
    for (int i = 0; i < GUESTS; i++)
        close(t.guests[i]);
    close(t.listener);
    close(t.card_box);
    close_pair(t.answers);
}

static int try_it(rp_co *co, void *arg)
{
    rp_server_options options = {.tls = toy_context()};
    rp_task *ticker;

    (void)arg;
    be_guests();
    CHECK_INT(rp_start_server(co, &t.server, send_lines, NULL, "127.0.0.1", 0, NULL), ==, 0);
    CHECK_INT(rp_start_server(co, &t.secure, count_bytes, NULL, "127.0.0.1", 0, &options), ==, 0);
    CHECK_INT(rp_start_server(co, &t.starttls, count_bytes, &t, "127.0.0.1", 0, NULL), ==, 0);
    CHECK_INT(rp_open_connection(co, &t.stream, "127.0.0.1", rp_server_port(t.server), NULL), ==, 0);
    CHECK_INT(rp_create_task(&ticker, tick, NULL), ==, 0);
    CHECK_INT(rp_create_task(&t.victim, victim, NULL), ==, 0);
    rp_future_ref(t.victim);
    judge(co, rp_join(co, t.victim));
    rp_handle_cancel(&t.cancel);
    rp_future_unref(t.victim);
    take_the_rest(co);
    rp_stream_free(t.stream);
    rp_server_free(t.server);
    rp_server_free(t.secure);
    rp_server_free(t.starttls);
    leave();
    rp_task_cancel(ticker);
    CHECK_INT(rp_join(co, ticker), ==, RP_EFUTCANCELED);
    return 0;
}

/* Returns whether the victim came to the later one of its suspensions. */
static bool try_cancelling(uint64_t first, uint64_t second, uint64_t turns)
{
    char text[512];

    t = (trial){.first = first, .second = second, .turns = turns};
    CHECK_INT(rp_run(try_it, NULL), ==, 0);
    if (leaks_find(text, sizeof text))
        test_fail(__FILE__, __LINE__, "%s", text);
    return t.suspensions >= (second > first ? second : first);
}

/* ---- the sweeps ---- */

static void sweep_once(uint64_t turns)
{
    uint64_t n = 1;

    while (try_cancelling(n, 0, turns))
        n++;
    CHECK_INT(n, >, SUSPENSIONS);
    CHECK(!t.seen);
}

TEST(once_at_each_suspension)
{
    sweep_once(0);
}

TEST(once_a_turn_after_each_suspension)
{
    sweep_once(1);
}

TEST(once_some_turns_after_each_suspension)
{
    sweep_once(5);
}

/* The second one comes in what the victim does after the first: at the latest in its clean-up. A case takes a part. */
static void sweep_twice(uint64_t first)
{
    for (; try_cancelling(first, 0, 0); first += test_slow() ? 16 : 4)
        for (uint64_t second = first + 1; try_cancelling(first, second, 0); second++)
            ;
}

TEST(twice_from_the_first_suspension_on)
{
    sweep_twice(1);
}

TEST(twice_from_the_second_suspension_on)
{
    sweep_twice(2);
}

TEST(twice_from_the_third_suspension_on)
{
    sweep_twice(3);
}

TEST(twice_from_the_fourth_suspension_on)
{
    sweep_twice(4);
}

/* Two in one suspension are delivered as one. */
TEST(twice_before_it_goes_on)
{
    uint64_t n = 1;

    while (try_cancelling(n, n + 1, 1))
        n++;
}
