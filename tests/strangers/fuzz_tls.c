/*
 * fuzz_tls.c - libFuzzer's bytes as what happens to a TLS connection: its peer's bytes are split, changed, dropped,
 * doubled and mixed with others; records are forged; both sides write, pause, and end at any time.
 *
 * The first byte chooses the side and the version; each step is a byte and its arguments. Whatever happens, plaintext
 * is what the peer wrote, up to some place, and the connection is over when the peer has left. Random numbers are the
 * same each time, and so is all else.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdlib.h>

#include "harness/tls_peer.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    AT_ONCE = 200,   /* records that are forged in one step */
    MOST = 1000,     /* and in all */
    LONGEST = 65536, /* the queue, before more is put into it */
    PASSES = 500,    /* in which it goes to the connection, at most */
};

/* ---- the harness's checks ---- */

void test_at(const char *file, int line)
{
}

void test_fail(const char *file, int line, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "%s:%d: ", file, line);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    abort();
}

void test_fail_int(const char *file, int line, const char *text, long long left, long long right)
{
    test_fail(file, line, "%s: %lld and %lld", text, left, right);
}

/* ---- random numbers ---- */

static uint64_t state;

static int random_bytes(unsigned char *buffer, int length)
{
    for (int i = 0; i < length; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        buffer[i] = (unsigned char)(state >> 56);
    }
    return 1;
}

static int random_status(void)
{
    return 1;
}

/* ---- what the steps are ---- */

typedef struct script {
    const uint8_t *data;
    size_t left;
    tls_peer p;
    unsigned char *expected; /* all plaintext that the peer has written */
    size_t expected_length;
    size_t forged;
} script;

static size_t next(script *s)
{
    if (s->left == 0)
        return 0;
    s->left--;
    return *s->data++;
}

/* Up to so much of the queue. */
static size_t next_length(script *s)
{
    size_t length = next(s) << 8;

    length |= next(s);
    return s->p.queued > 0 ? length % (s->p.queued + 1) : 0;
}

static void expect(script *s, const void *data, size_t length)
{
    s->expected = realloc(s->expected, s->expected_length + length + 1);
    CHECK(s->expected);
    memcpy(s->expected + s->expected_length, data, length);
    s->expected_length += length;
}

/* The peer's next bytes are on their way. */
static void pass(script *s, size_t length)
{
    s->p.piece = length;
    tls_peer_pass(&s->p);
    s->p.piece = 1 + length / 2;
}

static void insert_raw(script *s)
{
    unsigned char *queue = s->p.queue;
    size_t queued = s->p.queued, length = next(s);

    if (length > s->left)
        length = s->left;
    s->p.queue = NULL;
    s->p.queued = s->p.capacity = 0;
    tls_peer_say(&s->p, s->data, length);
    s->data += length;
    s->left -= length;
    tls_peer_say(&s->p, queue ? queue : (const unsigned char *)"", queued);
    free(queue);
}

static void drop(script *s, size_t length)
{
    s->p.queued -= length;
    if (length > 0)
        memmove(s->p.queue, s->p.queue + length, s->p.queued);
}

static void repeat(script *s, size_t length)
{
    unsigned char *copy;

    if (s->p.queued > LONGEST)
        return;
    copy = malloc(length + 1);
    CHECK(copy);
    if (length > 0)
        memcpy(copy, s->p.queue, length);
    tls_peer_say(&s->p, copy, length);
    free(copy);
}

static void change(script *s, size_t at)
{
    uint8_t bits = (uint8_t)next(s);

    if (at < s->p.queued)
        s->p.queue[at] ^= bits;
}

static bool peer_is_open(const script *s)
{
    return s->p.shaken && !s->p.broken && !s->p.closed;
}

static void write_plain(script *s, size_t length)
{
    char plain[4096];

    if (!peer_is_open(s) || s->p.queued > LONGEST || (SSL_get_shutdown(s->p.ssl) & SSL_SENT_SHUTDOWN))
        return;
    length = 1 + length % sizeof plain;
    wire_fill(plain, length, s->expected_length);
    expect(s, plain, length);
    tls_peer_write(&s->p, plain, length);
}

/* Of any type, with what the script has next, or long. From then on the peer's own records would be out of sequence. */
static void forge(script *s)
{
    static char zeros[18000];
    int type = (int)next(s);
    size_t count = 1 + next(s) % AT_ONCE, length = next(s) * (count == 1 ? 70 : 1), padding = next(s);
    const void *data = zeros;

    s->forged += count;
    if (!s->p.shaken || s->forged > MOST || s->p.queued > LONGEST)
        return;
    s->p.broken = true;
    if (length <= s->left) {
        data = s->data;
        s->data += length;
        s->left -= length;
    }
    for (size_t i = 0; i < count; i++) {
        tls_peer_forge(&s->p, type, data, length, padding);
        if (type == SSL3_RT_APPLICATION_DATA)
            expect(s, data, length);
    }
}

static void update_keys(script *s)
{
    bool requested = next(s) & 1;

    if (!s->p.shaken || SSL_version(s->p.ssl) != TLS1_3_VERSION)
        return;
    s->p.broken = true;
    tls_peer_update_keys(&s->p, requested);
}

/* The connection's owner does something. */
static void act(script *s)
{
    rp_transport *transport = s->p.filter;
    static char plain[20000];
    size_t what = next(s), length = next(s) * 70;

    if (what % 8 == 0)
        rp_transport_close(transport);
    else if (what % 8 == 1)
        rp_transport_abort(transport);
    else if (!s->p.r.made || s->p.r.lost)
        return;
    else if (what % 8 == 2)
        rp_transport_write_eof(transport);
    else if (what % 8 == 3)
        rp_transport_pause_reading(transport);
    else if (what % 8 == 4)
        rp_transport_resume_reading(transport);
    else
        rp_transport_write(transport, plain, length);
}

static void act_as_peer(script *s)
{
    size_t what = next(s);

    if (s->p.far_lost)
        return;
    if (what % 8 == 0)
        rp_transport_close(s->p.distant);
    else if (what % 8 == 1)
        rp_transport_abort(s->p.distant);
    else if (what % 8 == 2)
        rp_transport_write_eof(s->p.distant);
    else if (what % 8 == 3)
        rp_transport_pause_reading(s->p.distant);
    else if (what % 8 == 4)
        rp_transport_resume_reading(s->p.distant);
    else if (peer_is_open(s) && !(SSL_get_shutdown(s->p.ssl) & SSL_SENT_SHUTDOWN))
        SSL_shutdown(s->p.ssl);
    tls_peer_think(&s->p);
}

/* Whatever is queued goes on its way, in pieces as small as before, unless there were too many. */
static void run(script *s)
{
    if (s->p.piece > 0 && s->p.piece < s->p.queued / PASSES)
        s->p.piece = s->p.queued / PASSES;
    tls_peer_run(&s->p);
}

static void step(script *s)
{
    size_t what = next(s);

    if (what % 12 == 0)
        pass(s, next_length(s));
    else if (what % 12 == 1)
        change(s, next_length(s));
    else if (what % 12 == 2)
        insert_raw(s);
    else if (what % 12 == 3)
        drop(s, next_length(s));
    else if (what % 12 == 4)
        repeat(s, next_length(s));
    else if (what % 12 == 5)
        write_plain(s, next(s) << 4);
    else if (what % 12 == 6)
        forge(s);
    else if (what % 12 == 7)
        update_keys(s);
    else if (what % 12 == 8)
        act(s);
    else if (what % 12 == 9)
        act_as_peer(s);
    else if (what % 12 == 10)
        run(s);
    else
        wire_settle(s->p.loop);
}

/* ---- the program ---- */

static tls_stage stages[2]; /* of TLS 1.2, and 1.3 */

static void tear_down(void)
{
    tls_stage_tear_down(&stages[0]);
    tls_stage_tear_down(&stages[1]);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const RAND_METHOD method = {.bytes = random_bytes, .pseudorand = random_bytes, .status = random_status};

    CHECK(RAND_set_rand_method(&method));
    tls_stage_set_up(&stages[0], RP_TLS_1_2);
    tls_stage_set_up(&stages[1], RP_TLS_1_3);
    atexit(tear_down);
    return 0;
}

/* Whoever does not read, or has read the end, does not learn that the peer has left: its owner ends the connection. */
static void end(script *s)
{
    run(s);
    rp_transport_close(s->p.distant);
    rp_transport_resume_reading(s->p.distant);
    if (s->p.r.made && !s->p.r.lost)
        rp_transport_resume_reading(s->p.filter);
    tls_peer_run(&s->p);
    if (s->p.r.eofs > 0)
        rp_transport_close(s->p.filter);
    rp_transport_abort(s->p.distant);
    tls_peer_run(&s->p);
    CHECK(tls_peer_over(&s->p) && s->p.done == 1 && s->p.r.made == s->p.r.lost);
    CHECK(s->p.r.length <= s->expected_length);
    CHECK(s->p.r.length == 0 || memcmp(s->p.r.data, s->expected, s->p.r.length) == 0);
    tls_peer_close(&s->p);
    free(s->expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    script s = {.data = data, .left = size};
    size_t first = next(&s);

    state = 0;
    s.p.server = first & 1;
    s.p.r.keep_open = first & 4;
    tls_peer_open(&s.p, &stages[first >> 1 & 1], start_memory, false);
    if (first & 8)
        tls_peer_run(&s.p);
    while (s.left > 0)
        step(&s);
    end(&s);
    return 0;
}
