/*
 * test_hostile_random.c - clients and servers of TLS that do at random what they may: cancel, close, abort, end one
 * direction, begin TLS late, run out of descriptors; among peers that say nonsense and leave. What is read is what was
 * written, errors have names, and nothing is left. A failing sequence is replayed with RP_TEST_SEED.
 */
#include <stdlib.h>

#include "harness/certificates.h"
#include "harness/co_test.h"
#include "harness/files.h"
#include "harness/streams.h"
#include "harness/tasks.h"

enum { CLIENTS = 300, AT_ONCE = 12, LONGEST = 40000 };

/* xorshift64*: all that tests need. */
static uint64_t state;

static size_t below(size_t limit)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (size_t)((state * 2685821657736338717u) >> 33) % limit;
}

static rp_tls_context *of_client, *of_server;
static int secure_port, plain_port;
static int exchanged, refused;

/* ---- what both sides do ---- */

/* What may become of a connection whose other end does anything. */
static bool is_fine(int64_t rc)
{
    return rc >= 0 || (rc <= RP_ETLS_VERIFY && rc >= RP_ETLS_WEAK) || rc == -ECONNRESET || rc == -EPIPE ||
           rc == -ECANCELED || rc == RP_EOF || rc == -ETIMEDOUT || rc == -EMFILE || rc == -ECONNABORTED ||
           rc == -ECONNREFUSED || rc == -ENOTCONN || rc == RP_EFUTCANCELED;
}

static void check(int64_t rc)
{
    if (!is_fine(rc))
        CHECK_INT(rc, ==, 0);
}

/* One of the ways to end, or to do something else than to go on: whether it was an end. */
static bool misbehave(rp_co *co, rp_stream *stream)
{
    switch (below(12)) {
    case 0:
        rp_stream_close(stream);
        return true;
    case 1:
        rp_stream_abort(stream);
        return true;
    case 2:
        check(rp_stream_write_eof(stream));
        return false;
    case 3:
        rp_task_cancel(rp_co_task(co));
        return false;
    case 4:
        rp_stream_cork(stream);
        check(rp_stream_write(co, stream, "", 0));
        check(rp_stream_uncork(stream));
        return false;
    case 5:
        rp_stream_cork(stream);
        check(rp_sleep(co, 0));
        check(rp_stream_uncork(stream));
        return false;
    case 6:
        check(rp_sleep(co, 0));
        return false;
    default:
        return false;
    }
}

/* ---- the servers ---- */

static int echo(rp_co *co, rp_stream *stream, void *arg)
{
    char buffer[10000];
    bool wild = below(3) == 0;
    int64_t n;

    while ((n = rp_stream_read(co, stream, buffer, 1 + below(sizeof buffer))) > 0) {
        n = rp_stream_write(co, stream, buffer, (size_t)n);
        if (n < 0 || (wild && misbehave(co, stream)))
            break;
    }
    check(n);
    if (below(4) == 0)
        rp_stream_close(stream);
    if (rp_stream_is_closing(stream) && below(2))
        check(rp_stream_wait_closed(co, stream));
    return n == -ECANCELED ? (int)n : 0;
}

static int begin_tls_and_echo(rp_co *co, rp_stream *stream, void *arg)
{
    rp_tls_options options = {.server_side = true, .handshake_timeout = RP_SEC(1), .shutdown_timeout = RP_SEC(1)};
    char line[20];
    int64_t n = rp_stream_read_line(co, stream, line, sizeof line);

    if (n > 0 && below(8) == 0)
        n = rp_stream_write(co, stream, "no\n", 3);
    else if (n > 0)
        n = rp_stream_write(co, stream, "go\n", 3);
    if (n >= 0)
        n = rp_start_tls(co, stream, of_server, &options);
    check(n == RP_ELIMIT ? 0 : n);
    return n < 0 ? (n == -ECANCELED ? (int)n : 0) : echo(co, stream, arg);
}

/* ---- the clients ---- */

static int talk(rp_co *co, rp_stream *stream)
{
    bool wild = below(3) == 0;
    uint64_t at = 0;

    for (int rounds = 1 + (int)below(6); rounds > 0; rounds--) {
        size_t length = 1 + below(below(2) ? LONGEST : 100), got = 0;
        char *part = malloc(length);
        int64_t n;

        wire_fill(part, length, at);
        n = rp_stream_write(co, stream, part, length);
        while (n >= 0 && got < length) {
            n = rp_stream_read(co, stream, part, 1 + below(length - got));
            if (n <= 0)
                break;
            CHECK(wire_same(part, (size_t)n, at + got));
            got += (size_t)n;
        }
        free(part);
        check(n);
        at += got;
        if (n <= 0 || (wild && misbehave(co, stream)))
            return (int)(n < 0 ? n : 0);
        exchanged++;
    }
    return 0;
}

/* Says what is no TLS, or its beginning, and leaves or stays for a while. */
static int say_nonsense(rp_co *co, rp_stream *stream)
{
    unsigned char bytes[2000];
    size_t length = below(sizeof bytes);

    wire_fill(bytes, sizeof bytes, below(1000));
    if (below(2)) {
        memcpy(bytes, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
        length = below(500);
    }
    RP_TRY(rp_stream_write(co, stream, bytes, length));
    if (below(2)) {
        rp_timeout limit;

        rp_timeout_begin(co, &limit, RP_MSEC(20));
        check(rp_timeout_end(co, &limit, (int)rp_stream_read(co, stream, bytes, sizeof bytes)));
    }
    if (below(2))
        rp_stream_abort(stream);
    return 0;
}

static int begin_tls_and_talk(rp_co *co, rp_stream *stream)
{
    char line[20];

    RP_TRY(rp_stream_write(co, stream, "STARTTLS\n", 9));
    if (below(4))
        RP_TRY((int)rp_stream_read_line(co, stream, line, sizeof line));
    RP_TRY(rp_start_tls(co, stream, of_client,
                        &(rp_tls_options){.server_name = "localhost",
                                          .handshake_timeout = RP_SEC(1),
                                          .shutdown_timeout = RP_SEC(1)}));
    return talk(co, stream);
}

static int open_and_talk(rp_co *co, size_t way)
{
    rp_connect_options options = {.tls = way == 0 ? of_client : NULL};

    rp_stream *stream;
    if (way == 0)
        options.tls_handshake_timeout = options.tls_shutdown_timeout = RP_SEC(1);
    int port = way == 0 || below(2) ? secure_port : plain_port, rc;

    rc = rp_open_connection(co, &stream, "127.0.0.1", way == 2 ? plain_port : port, &options);
    if (rc < 0)
        return rc;
    rc = way == 0 ? talk(co, stream) : way == 1 ? say_nonsense(co, stream) : begin_tls_and_talk(co, stream);
    if (below(3) == 0)
        rp_stream_close(stream);
    if (rp_stream_is_closing(stream) && below(2))
        check(rp_stream_wait_closed(co, stream));
    rp_stream_free(stream);
    return rc;
}

static int be_client(rp_co *co, void *arg)
{
    static const size_t ways[] = {0, 0, 0, 1, 2, 2};
    int rc = open_and_talk(co, ways[below(6)]);

    check(rc);
    refused += rc < 0;
    return rc;
}

/* ---- who runs them ---- */

/* Takes descriptors until there are none, and gives them back when others have met with that. */
static int take_descriptors(rp_co *co, void *arg)
{
    static int taken[100];
    struct rlimit before, few;
    int count = 0, last = dup(0);

    CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), ==, 0);
    few = (struct rlimit){.rlim_cur = (rlim_t)last + 20, .rlim_max = before.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &few), ==, 0);
    while (count < 100 && (taken[count] = dup(last)) >= 0)
        count++;
    for (int i = 0; i < 20; i++)
        if (rp_sleep(co, 0) < 0)
            break;
    while (count > 0)
        close(taken[--count]);
    close(last);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), ==, 0);
    return 0;
}

static void run_clients(rp_co *co)
{
    rp_task *clients[AT_ONCE] = {NULL}, *thief = NULL;

    for (int i = 0; i < CLIENTS; i++) {
        size_t place = below(AT_ONCE);

        if (clients[place]) {
            if (below(2))
                rp_task_cancel(clients[place]);
            check(rp_join(co, clients[place]));
        }
        CHECK_INT(rp_create_task(&clients[place], be_client, NULL), ==, 0);
        for (size_t turns = below(8); turns > 0; turns--)
            CHECK_INT(rp_sleep(co, 0), ==, 0);
        if (!thief && below(20) == 0)
            CHECK_INT(rp_create_task(&thief, take_descriptors, NULL), ==, 0);
        if (thief && below(20) == 0) {
            CHECK_INT(rp_join(co, thief), ==, 0);
            thief = NULL;
        }
        if (below(10) == 0 && clients[place])
            rp_task_cancel(clients[place]);
    }
    for (int i = 0; i < AT_ONCE; i++)
        if (clients[i])
            check(rp_join(co, clients[i]));
    if (thief)
        CHECK_INT(rp_join(co, thief), ==, 0);
}

static void no_report(rp_loop *loop, const rp_exception_context *context, void *arg)
{
    if (!is_fine(context->error))
        printf("# %s: %d\n", context->message, context->error);
}

CO_TEST(clients_and_servers_at_random)
{
    const char *seed = getenv("RP_TEST_SEED");
    test_identity *root = test_root_new(), *identity = test_server_identity_new(root);
    rp_server_options options = {.tls_handshake_timeout = RP_SEC(1), .tls_shutdown_timeout = RP_SEC(1)};
    rp_server *secure, *plain;

    state = seed ? strtoull(seed, NULL, 10) : (uint64_t)rp_monotonic() | 1;
    printf("# RP_TEST_SEED=%llu\n", (unsigned long long)state);
    fflush(stdout);
    of_server = options.tls = test_tls_server(identity);
    of_client = test_tls_client(root);
    rp_set_exception_handler(rp_co_loop(co), no_report, NULL);
    CHECK_INT(rp_start_server(co, &secure, echo, NULL, "127.0.0.1", 0, &options), ==, 0);
    CHECK_INT(rp_start_server(co, &plain, begin_tls_and_echo, NULL, "127.0.0.1", 0, NULL), ==, 0);
    secure_port = rp_server_port(secure);
    plain_port = rp_server_port(plain);
    run_clients(co);
    printf("# %d exchanges, %d clients failed\n", exchanged, refused);
    CHECK_INT(exchanged, >, 0);
    rp_server_close(secure);
    rp_server_close(plain);
    CHECK_INT(rp_server_wait_closed(co, secure), ==, 0);
    CHECK_INT(rp_server_wait_closed(co, plain), ==, 0);
    rp_server_free(secure);
    rp_server_free(plain);
    rp_tls_context_unref(of_server);
    rp_tls_context_unref(of_client);
    test_identity_free(identity);
    test_identity_free(root);
}
