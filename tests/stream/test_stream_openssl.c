/*
 * test_stream_openssl.c - streams with OpenSSL for an engine: both versions, much both ways, TLS that begins later,
 * what goes wrong, cancellation at each step of a true handshake, and contexts that workers share.
 */
#include <stdatomic.h>

#include "harness/certificates.h"
#include "harness/co_test.h"
#include "harness/files.h"
#include "harness/streams.h"
#include "harness/tasks.h"
#include "harness/toy_engine.h"

enum { LARGE = 3 << 20, WORKERS = 2, CONNECTIONS = 10 };

/* A root, a server that has a certificate of it, and a client that trusts it. */
typedef struct scene {
    test_identity *root, *identity;
    rp_tls_context *server_context, *client_context;
    rp_server *server;
    bool later; /* TLS begins after a line */
} scene;

static void set_up(scene *s)
{
    s->root = test_root_new();
    s->identity = test_server_identity_new(s->root);
    s->server_context = test_tls_server(s->identity);
    s->client_context = test_tls_client(s->root);
}

static void tear_down(scene *s)
{
    rp_tls_context_unref(s->client_context);
    rp_tls_context_unref(s->server_context);
    test_identity_free(s->identity);
    test_identity_free(s->root);
}

/* Sends back what comes, up to its end. A client that is gone is everyday. */
static int echo(rp_co *co, rp_stream *stream, void *arg)
{
    scene *s = arg;
    char buffer[10000];
    ssize_t n;

    if (s->later) {
        RP_TRY(rp_stream_read_line(co, stream, buffer, sizeof buffer));
        RP_TRY(rp_start_tls(co, stream, s->server_context, NULL));
    }
    while ((n = rp_stream_read(co, stream, buffer, sizeof buffer)) > 0)
        RP_TRY(rp_stream_write(co, stream, buffer, (size_t)n));
    return (int)n;
}

static void serve(rp_co *co, scene *s)
{
    rp_server_options options = {.tls = s->later ? NULL : s->server_context};

    CHECK_INT(rp_start_server(co, &s->server, echo, s, "127.0.0.1", 0, &options), ==, 0);
}

static int open_one(rp_co *co, scene *s, rp_stream **stream, const char *name, rp_tls_failure *failure)
{
    rp_connect_options options = {.tls = s->client_context, .server_name = name, .tls_failure = failure};
    rp_tls_options later = {.server_name = name ? name : "127.0.0.1", .failure = failure};
    int rc;

    if (!s->later)
        return rp_open_connection(co, stream, "127.0.0.1", rp_server_port(s->server), &options);
    RP_TRY(rp_open_connection(co, stream, "127.0.0.1", rp_server_port(s->server), NULL));
    rc = rp_stream_write(co, *stream, "later\n", 6);
    if (rc == 0)
        rc = rp_start_tls(co, *stream, s->client_context, &later);
    if (rc < 0)
        rp_stream_free(*stream);
    return rc;
}

static int send_much(rp_co *co, void *arg)
{
    static char bytes[LARGE];

    wire_fill(bytes, sizeof bytes, 0);
    RP_TRY(rp_stream_write(co, arg, bytes, sizeof bytes));
    return rp_stream_write_eof(arg);
}

/* Much both ways, and the end after it. */
static void exchange(rp_co *co, rp_stream *stream)
{
    static char bytes[LARGE];
    rp_task *sender;
    char byte;

    CHECK_INT(rp_create_task(&sender, send_much, stream), ==, 0);
    CHECK_INT(rp_stream_read_exactly(co, stream, bytes, sizeof bytes), ==, LARGE);
    CHECK(wire_same(bytes, sizeof bytes, 0));
    CHECK_INT(rp_stream_read(co, stream, &byte, 1), ==, 0);
    CHECK_INT(rp_join(co, sender), ==, 0);
    rp_stream_close(stream);
    CHECK_INT(rp_stream_wait_closed(co, stream), ==, 0);
}

static void end_serving(rp_co *co, scene *s)
{
    rp_server_close(s->server);
    CHECK_INT(rp_server_wait_closed(co, s->server), ==, 0);
    rp_server_free(s->server);
}

CO_TEST(much_goes_both_ways_and_ends_in_either_version)
{
    for (int version = RP_TLS_1_2; version <= RP_TLS_1_3; version++) {
        for (int later = 0; later < 2; later++) {
            scene s = {.later = later};
            rp_stream *stream;

            set_up(&s);
            CHECK_INT(rp_tls_context_set_maximum_version(s.client_context, version), ==, 0);
            serve(co, &s);
            CHECK_INT(open_one(co, &s, &stream, "localhost", NULL), ==, 0);
            CHECK_INT(rp_tls_version(rp_stream_transport(stream)), ==, version);
            CHECK_STR(rp_tls_server_name(rp_stream_transport(stream)), "localhost");
            exchange(co, stream);
            rp_stream_free(stream);
            end_serving(co, &s);
            tear_down(&s);
        }
    }
}

static int begin_at_starttls(rp_co *co, rp_stream *stream, void *arg)
{
    char line[100];
    ssize_t n = rp_stream_read_line(co, stream, line, sizeof line);
    int *result = ((void **)arg)[1];

    CHECK_INT(n, ==, 9);
    CHECK_INT(rp_stream_buffered(stream), >, 0);
    *result = rp_start_tls(co, stream, ((scene *)((void **)arg)[0])->server_context, NULL);
    return 0;
}

/* Somebody on the way may put plain text there, for the server to take it for what the client says by TLS. */
CO_TEST(plain_text_behind_starttls_is_not_taken_for_what_tls_has_brought)
{
    static const char said[] = "STARTTLS\nMAIL FROM:<somebody@example.org>\n";
    scene s = {0};
    int result = 1;
    void *both[] = {&s, &result};
    rp_stream *stream;
    char byte;

    set_up(&s);
    CHECK_INT(rp_start_server(co, &s.server, begin_at_starttls, both, "127.0.0.1", 0, NULL), ==, 0);
    CHECK_INT(rp_open_connection(co, &stream, "127.0.0.1", rp_server_port(s.server), NULL), ==, 0);
    CHECK_INT(rp_stream_write(co, stream, said, sizeof said - 1), ==, 0);
    while (rp_stream_read(co, stream, &byte, 1) > 0)
        ;
    rp_stream_free(stream);
    end_serving(co, &s);
    CHECK_INT(result, ==, RP_ETLS_PLAIN);
    tear_down(&s);
}

/* What a function about names does to the server that asks it. */
typedef struct asked {
    scene *s;
    void (*end)(rp_server *server);
    int calls;
} asked;

static int end_server(void *arg, const char *name, rp_tls_context **context)
{
    asked *a = arg;

    a->calls++;
    a->end(a->s->server);
    return 0;
}

CO_TEST(a_function_about_names_may_end_its_connection)
{
    void (*const ends[])(rp_server *) = {rp_server_close_clients, rp_server_abort_clients};
    scene s = {0};
    rp_stream *stream;

    set_up(&s);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        asked a = {&s, ends[i], 0};
        char byte;
        int rc;

        CHECK_INT(rp_tls_context_set_sni_callback(s.server_context, end_server, &a), ==, 0);
        serve(co, &s);
        rc = open_one(co, &s, &stream, "localhost", NULL);
        if (rc == 0) { /* in TLS 1.3 a client is done when the server has spoken */
            CHECK_INT(rp_stream_read(co, stream, &byte, 1), <, 0);
            rp_stream_free(stream);
        }
        CHECK_INT(a.calls, ==, 1);
        end_serving(co, &s);
    }
    tear_down(&s);
}

/* There is no need of a peer to find out. */
CO_TEST(a_context_for_the_other_side_is_refused_at_once)
{
    scene s = {0};
    rp_stream *stream;
    rp_server *server;

    set_up(&s);
    CHECK_INT(
        rp_start_server(co, &server, echo, &s, "127.0.0.1", 0, &(rp_server_options){.tls = s.client_context}), ==,
        -EINVAL);
    serve(co, &s);
    CHECK_INT(rp_open_connection(co, &stream, "127.0.0.1", rp_server_port(s.server),
                                 &(rp_connect_options){.tls = s.server_context}),
              ==, -EINVAL);
    CHECK_INT(rp_open_connection(co, &stream, "127.0.0.1", rp_server_port(s.server),
                                 &(rp_connect_options){.tls = s.client_context, .server_name = ""}),
              ==, -EINVAL);
    CHECK_INT(rp_server_connections(s.server), ==, 0);
    end_serving(co, &s);
    tear_down(&s);
}

CO_TEST(a_certificate_for_another_name_is_refused_and_said_so)
{
    for (int later = 0; later < 2; later++) {
        scene s = {.later = later};
        rp_tls_failure failure = {.alert = 1};
        rp_stream *stream;

        set_up(&s);
        serve(co, &s);
        CHECK_INT(open_one(co, &s, &stream, "wrong.test", &failure), ==, RP_ETLS_HOSTNAME);
        CHECK(strlen(failure.text) > 0);
        CHECK_INT(failure.alert, ==, -1);
        CHECK_INT(open_one(co, &s, &stream, NULL, &failure), ==, 0); /* the address is in the certificate */
        CHECK_STR(failure.text, "");
        rp_stream_free(stream);
        end_serving(co, &s);
        tear_down(&s);
    }
}

CO_TEST(an_alert_of_the_peers_is_told_with_its_number)
{
    scene s = {0};
    rp_tls_failure failure;
    rp_stream *stream;

    set_up(&s);
    CHECK_INT(rp_tls_context_set_minimum_version(s.server_context, RP_TLS_1_3), ==, 0);
    CHECK_INT(rp_tls_context_set_maximum_version(s.client_context, RP_TLS_1_2), ==, 0);
    serve(co, &s);
    int rc = open_one(co, &s, &stream, "localhost", &failure);
    CHECK(rc == RP_ETLS_ALERT || rc == RP_ETLS_VERSION);
    CHECK_INT(failure.alert, ==, 70);
    CHECK_STR(rp_tls_alert_name(failure.alert), "protocol_version");
    end_serving(co, &s);
    tear_down(&s);
}

static int wait_for_end(rp_co *co, rp_stream *stream, void *arg)
{
    char byte;

    return (int)rp_stream_read(co, stream, &byte, 1);
}

/* Neither of a plain connection, nor of one whose engine is not OpenSSL's. */
CO_TEST(nothing_is_known_of_other_transports)
{
    for (int toy = 0; toy < 2; toy++) {
        rp_server_options serving = {.tls = toy ? toy_context() : NULL};
        rp_connect_options options = {.tls = serving.tls};
        const rp_tls_certificate *certificate;
        rp_server *server;
        rp_stream *stream;

        CHECK_INT(rp_start_server(co, &server, wait_for_end, NULL, "127.0.0.1", 0, &serving), ==, 0);
        CHECK_INT(rp_open_connection(co, &stream, "127.0.0.1", rp_server_port(server), &options), ==, 0);
        const rp_transport *transport = rp_stream_transport(stream);
        CHECK_INT(rp_tls_version(transport), ==, 0);
        CHECK(!rp_tls_version_name(transport) && !rp_tls_cipher(transport) && !rp_tls_alpn(transport));
        CHECK(!rp_tls_server_name(transport) && !rp_tls_error_text(transport));
        CHECK_INT(rp_tls_cipher_bits(transport), ==, 0);
        CHECK(!rp_tls_session_reused(transport));
        CHECK_INT(rp_tls_alert(transport), ==, -1);
        CHECK_INT(rp_tls_peer_certificate(transport, &certificate), ==, -ENOTCONN);
        rp_stream_free(stream);
        rp_server_close(server);
        CHECK_INT(rp_server_wait_closed(co, server), ==, 0);
        rp_server_free(server);
    }
}

CO_TEST(a_file_goes_over_tls)
{
    scene s = {0};
    static char bytes[200000];
    int file = file_of(sizeof bytes);
    rp_stream *stream;

    set_up(&s);
    serve(co, &s);
    CHECK_INT(open_one(co, &s, &stream, "localhost", NULL), ==, 0);
    CHECK_INT(rp_stream_sendfile(co, stream, file, 0, 20000, RP_SENDFILE_IN_KERNEL, NULL), ==, 20000);
    CHECK_INT(rp_stream_read_exactly(co, stream, bytes, 20000), ==, 20000);
    CHECK(wire_same(bytes, 20000, 0));
    close(file);
    rp_stream_free(stream);
    end_serving(co, &s);
    tear_down(&s);
}

typedef struct victim {
    scene *s;
    int result;
} victim;

static int connect_and_talk(rp_co *co, void *arg)
{
    victim *v = arg;
    char bytes[5];
    rp_stream *stream;

    v->result = open_one(co, v->s, &stream, "localhost", NULL);
    if (v->result < 0)
        return v->result;
    v->result = rp_stream_write(co, stream, "hello", 5);
    if (v->result == 0)
        v->result = (int)rp_stream_read_exactly(co, stream, bytes, 5);
    rp_stream_close(stream);
    int rc = rp_stream_wait_closed(co, stream);
    v->result = v->result < 0 ? v->result : rc;
    rp_stream_free(stream);
    return v->result;
}

/* Turn by turn, until it comes too late. */
CO_TEST(a_task_may_be_cancelled_at_each_turn)
{
    for (int later = 0; later < 2; later++) {
        scene s = {.later = later};
        bool came = true;

        set_up(&s);
        serve(co, &s);
        for (int turns = 0; came; turns++) {
            victim v = {.s = &s};
            rp_task *task;

            CHECK_INT(rp_create_task(&task, connect_and_talk, &v), ==, 0);
            for (int i = 0; i < turns; i++)
                CHECK_INT(rp_sleep(co, 0), ==, 0);
            came = rp_task_cancel(task);
            int rc = rp_join(co, task); /* well, if nothing was left to wait for */
            CHECK(rc == 0 || (came && rc == RP_EFUTCANCELED));
            CHECK(v.result == 0 || v.result == -ECANCELED);
        }
        end_serving(co, &s);
        tear_down(&s);
    }
}

/* ---- workers ---- */

static atomic_uint workers_done;

/* The workers' servers share a port. One that closes resets what the kernel had for it: all wait for all. */
static int talk_in_worker(rp_co *co, void *arg)
{
    scene mine = *(scene *)arg; /* whose contexts all share */

    serve(co, &mine);
    for (int i = 0; i < CONNECTIONS; i++) {
        victim v = {.s = &mine};

        RP_TRY(connect_and_talk(co, &v));
    }
    atomic_fetch_add(&workers_done, 1);
    while (atomic_load(&workers_done) < WORKERS)
        RP_TRY(rp_sleep(co, RP_MSEC(1)));
    end_serving(co, &mine);
    return 0;
}

TEST(workers_share_contexts)
{
    scene s = {0};

    set_up(&s);
    CHECK_INT(rp_run_workers(WORKERS, talk_in_worker, &s), ==, 0);
    tear_down(&s);
}

/* In TLS 1.3 it is the first read that tells a client that it should have shown a certificate. */
CO_TEST(a_read_that_fails_leaves_the_alert_to_be_asked_for)
{
    scene s = {0};
    rp_stream *stream;
    char byte;

    set_up(&s);
    CHECK_INT(rp_tls_context_set_verify_mode(s.server_context, RP_TLS_CERT_REQUIRED), ==, 0);
    serve(co, &s);
    CHECK_INT(open_one(co, &s, &stream, NULL, NULL), ==, 0);
    CHECK_INT(rp_stream_read(co, stream, &byte, 1), ==, RP_ETLS_ALERT);
    CHECK_STR(rp_tls_alert_name(rp_tls_alert(rp_stream_transport(stream))), "certificate_required");
    CHECK(rp_tls_error_text(rp_stream_transport(stream)) != NULL);
    rp_stream_free(stream);
    end_serving(co, &s);
    tear_down(&s);
}
