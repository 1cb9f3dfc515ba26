/*
 * soak.c - many connections that live and end in every way, for as long as is wanted: nothing is lost, nothing grows.
 *
 *     soak [-t] [seconds [connections]]
 *
 * One loop serves, and is its own clients. A client leads one life after the other: it draws a plan, connects, sends
 * the plan, and then both ends do as it says, and check every byte and the end of the other's stream. All are at rest
 * twice, after the warm-up and at the end; what the process holds then must be the same within 1 %: memory, by the
 * kernel's count and by those of the allocator and of OpenSSL, and descriptors. Some connections are TLS', from the
 * start, or from when the server has the plan. Beside them a few tasks have child processes, which say what is said to
 * them, or have files, and a few exchange datagrams. With -t it runs under a tool that holds memory of its own (a
 * sanitizer, Valgrind, an emulator): the kernel's count is not judged.
 *
 * Every choice comes from the seed, which is printed; with RP_TEST_SEED=n in the environment the same are made again.
 */
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/holdings.h"
#include "stress/soak_chance.h"
#include "stress/soak_children.h"
#include "stress/soak_datagrams.h"
#include "stress/soak_files.h"
#include "stress/soak_tls.h"

enum {
    CONNECTIONS = 1000,
    SPARE = 1000,        /* descriptors for all else: connections about to close among them */
    RANGE = 16,          /* of descriptors' numbers: no table of them grows by less */
    PERIOD = 65521,      /* of what is sent; a prime, so that no block of it looks like the one before */
    PIECE = 16 * 1024,   /* written at once at most */
    BUFFER = 8 * 1024,   /* read at once at most */
    MOST = 192 * 1024,   /* sent by one end */
    TIGHT = 8 * 1024,    /* of each buffer, where the other end is to be waited for */
    DEEP = 16 * 1024,    /* of its stack no task needs more */
    STACKS = 1200,       /* more than the pool keeps of those that are free */
    PROGRESS = 5,        /* seconds between lines */
    WARM_UP_MOST = 60,   /* seconds */
    PATIENCE = 300,      /* seconds that it may take until all is at rest */
    PARENTS = 4,         /* tasks that have children */
    LIBRARIANS = 2,      /* tasks that have files */
    CORRESPONDENTS = 4,  /* tasks that send each other datagrams */
    MANY = 1000,         /* lives: each thing that may happen has */
    MANY_FILES = 100,    /* likewise */
    SKIPPED = 77,        /* what Meson takes for it */
    SECURE = 1 << 3,     /* one connection in so many is TLS' */
    DISTURBED = 1 << 4,  /* one call in so many is cancelled soon, if it waits */
    INTERRUPTED = 1 << 6 /* one in so many comes after a pause */
};

typedef enum { IN_ORDER, CLIENT_RESETS, SERVER_RESETS, CLIENT_IS_CANCELLED, ENDINGS } ending;
typedef enum { PLAIN, TLS_AT_ONCE, TLS_LATER, SECURITIES } security;

/* What both ends of a connection know of it. */
typedef struct scheme {
    uint64_t seed;
    uint32_t client, life;
    uint32_t size[2]; /* what the client sends, and the server */
    uint32_t cut;     /* who resets does so when it has sent so much */
    ending ending;
    security security;
    bool in_turns; /* the server answers after the client's end of stream only */
    bool tight;    /* small socket buffers: writers have to wait */
} scheme;

/* One end: 0 is the client's, 1 the server's. */
typedef struct end {
    int side;
    const scheme *plan;
    rp_stream *stream;
} end;

static const char *const names[2] = {"client", "server"};

static struct {
    uint64_t seed;
    bool under_tool;
    int connections;
    rp_server *servers[2]; /* of connections that are TLS' from the start, and of the others */
    soak_tls tls;
    int phase; /* 0: warming up */
    int64_t begun, until;
    size_t descriptors; /* before anyone connected */
    char pattern[PERIOD + PIECE];
} soak;

static struct {
    uint64_t lives, bytes;
    uint64_t ended[ENDINGS];
    uint64_t secure[SECURITIES];
    uint64_t broken; /* connections that one end has seen break, as was planned */
    uint64_t cancelled_connects, cancelled_handshakes, cancelled_reads, cancelled_writes;
    uint64_t strangers; /* connections without a plan: those of cancelled connects */
    uint64_t correspondences, cancelled_datagrams;
    uint64_t children, cancelled_children; /* and how often one did not get to say all at once */
    uint64_t files, cancelled_copies, sent_files, cancelled_sendings;
    uint64_t no_port; /* the kernel had no free port left for a moment */
} seen;

/* ---- failing ---- */

static _Noreturn void fail(int line, const scheme *plan, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "soak.c:%d: ", line);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    if (plan)
        fprintf(stderr, "; client %u, life %u, ending %d, security %d, sizes %u and %u, cut at %u%s%s",
                plan->client, plan->life, (int)plan->ending, (int)plan->security, plan->size[0], plan->size[1],
                plan->cut, plan->in_turns ? ", in turns" : "", plan->tight ? ", tight" : "");
    fprintf(stderr, "\nto see it again: RP_TEST_SEED=%llu\n", (unsigned long long)soak.seed);
    _exit(1);
}

#define MUST(plan, condition)                                                                                     \
    do {                                                                                                          \
        if (!(condition))                                                                                         \
            fail(__LINE__, plan, "%s does not hold", #condition);                                                 \
    } while (0)

/* ---- chance ---- */

static int pause_now_and_then(rp_co *co, uint64_t *state)
{
    return below(state, INTERRUPTED) == 0 ? rp_sleep(co, RP_MSEC(below(state, 40))) : 0;
}

/* ---- the bytes: of each stream others, and each at its place ---- */

static const char *bytes_at(const end *from, int side, uint32_t at)
{
    return soak.pattern + (from->plan->seed + (uint64_t)side * 31337 + at) % PERIOD;
}

static uint32_t send_piece_size(uint64_t *state, uint32_t left)
{
    uint32_t size = 1 + any_size(state, PIECE - 1);

    return size < left ? size : left;
}

static bool resets(const end *of)
{
    return of->plan->ending == (of->side == 0 ? CLIENT_RESETS : SERVER_RESETS);
}

static int send_all(rp_co *co, void *arg)
{
    const end *own = arg;
    uint64_t state = own->plan->seed + 1 + (uint64_t)own->side;
    uint32_t sent = 0, size = own->plan->size[own->side];
    rp_timeout timeout;

    while (sent < size) {
        uint32_t piece = send_piece_size(&state, size - sent);

        if (resets(own) && sent + piece > own->plan->cut) {
            rp_stream_abort(own->stream);
            return -ECONNRESET;
        }
        rp_timeout_begin(co, &timeout, below(&state, DISTURBED) == 0 ? moment(&state) : RP_NEVER);
        int rc =
            rp_timeout_end(co, &timeout, rp_stream_write(co, own->stream, bytes_at(own, own->side, sent), piece));
        seen.cancelled_writes += rc == -ETIMEDOUT; /* which has taken the bytes */
        RP_TRY(rc == -ETIMEDOUT ? 0 : rc);
        sent += piece;
        RP_TRY(pause_now_and_then(co, &state));
    }
    return rp_stream_write_eof(own->stream);
}

/* Reads some in one of the ways there are. Bytes, 0 at the end, or an error. */
static ssize_t read_somehow(rp_co *co, rp_stream *stream, uint64_t *state, char *buffer)
{
    uint32_t size = 1 + any_size(state, BUFFER - 1);
    ssize_t n;

    switch (below(state, 4)) {
    case 0:
        n = rp_stream_read_exactly(co, stream, buffer, size);
        break;
    case 1:
        n = rp_stream_read_until(co, stream, buffer, BUFFER, "\n", 1);
        break;
    default:
        return rp_stream_read(co, stream, buffer, size);
    }
    if (n == RP_ELIMIT)
        return rp_stream_read(co, stream, buffer, size);
    return n == RP_EOF ? (ssize_t)rp_stream_partial(stream) : n;
}

static int receive_all(rp_co *co, const end *own)
{
    int other = !own->side;
    uint64_t state = own->plan->seed + 3 + (uint64_t)own->side;
    uint32_t got = 0;
    char buffer[BUFFER];
    rp_timeout timeout;
    ssize_t n;

    do {
        RP_TRY(pause_now_and_then(co, &state));
        rp_timeout_begin(co, &timeout, below(&state, DISTURBED) == 0 ? moment(&state) : RP_NEVER);
        n = read_somehow(co, own->stream, &state, buffer);
        n = rp_timeout_end(co, &timeout, (int)n);
        if (n > 0) {
            MUST(own->plan, got + (uint32_t)n <= own->plan->size[other]);
            MUST(own->plan, memcmp(buffer, bytes_at(own, other, got), (size_t)n) == 0);
            got += (uint32_t)n;
            seen.bytes += (uint32_t)n;
        }
        seen.cancelled_reads += n == -ETIMEDOUT; /* which has taken none */
    } while (n > 0 || n == -ETIMEDOUT);
    if (n == 0)
        MUST(own->plan,
             got == own->plan->size[other]); /* a stream ends where its sender says so, and not before */
    return (int)n;
}

/* Not the socket's receive buffer: what was promised of it, and is no more, the kernel drops, and with it a reset. */
static void tighten(const end *own)
{
    static const int size = TIGHT;
    rp_transport *transport = rp_stream_transport(own->stream);

    if (!own->plan->tight || !transport)
        return;
    rp_transport_setsockopt(transport, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    rp_transport_set_write_buffer_limits(transport, TIGHT, SIZE_MAX);
    rp_stream_set_limit(own->stream, TIGHT);
}

/* From here on over TLS, if the plan says so. */
static int begin_tls(rp_co *co, const end *own)
{
    rp_tls_options options = {.server_name = "localhost"};
    rp_tls_context *const *clients = soak.tls.clients;

    if (own->plan->security != TLS_LATER)
        return 0;
    if (own->side == 1)
        return rp_start_tls(co, own->stream, soak.tls.server, NULL);
    return rp_start_tls(co, own->stream, clients[own->plan->seed % 2], &options);
}

static int talk(rp_co *co, end *own)
{
    rp_group group;
    int rc = begin_tls(co, own);

    seen.cancelled_handshakes += rc == -ECANCELED;
    RP_TRY(rc);
    tighten(own);
    if (own->plan->in_turns && own->side == 1) {
        RP_TRY(receive_all(co, own));
        return send_all(co, own);
    }
    rp_group_begin(co, &group);
    rc = rp_group_create_task(&group, NULL, send_all, own);
    if (rc == 0)
        rc = receive_all(co, own);
    return rp_group_end(co, &group, rc);
}

/* What talking may come to. */
static void judge(const end *own, int rc)
{
    bool broken = rc == -ECONNRESET || rc == -EPIPE || rc == -ETIMEDOUT || rc == RP_ETLS_TRUNCATED;

    seen.broken += broken;
    if (rc != 0 && !(broken && own->plan->ending != IN_ORDER))
        fail(__LINE__, own->plan, "%s: %s", names[own->side], rp_strerror(rc));
    if (rc != 0)
        rp_stream_abort(own->stream);
}

/* ---- the server's end ---- */

static int serve(rp_co *co, rp_stream *stream, void *arg)
{
    scheme plan;
    end own = {.side = 1, .plan = &plan, .stream = stream};
    ssize_t n = rp_stream_read_exactly(co, stream, &plan, sizeof plan);

    (void)arg;
    if (n < 0) { /* whoever was cancelled while it connected */
        MUST(NULL, (n == RP_EOF && rp_stream_partial(stream) == 0) || n == -ECONNRESET);
        seen.strangers++;
        return 0;
    }
    judge(&own, talk(co, &own));
    return 0;
}

/* ---- the client's ---- */

static void draw_plan(scheme *plan, uint64_t *state)
{
    memset(plan, 0, sizeof *plan);
    plan->seed = draw(state);
    for (int side = 0; side < 2; side++)
        plan->size[side] = any_size(state, MOST);
    plan->ending = below(state, 2) == 0 ? IN_ORDER : (ending)below(state, ENDINGS);
    plan->cut = below(state, 1 + plan->size[plan->ending == SERVER_RESETS]);
    plan->in_turns = below(state, 4) == 0;
    plan->tight = below(state, 2) == 0;
    if (soak.tls.server && below(state, SECURE) == 0)
        plan->security = below(state, 2) == 0 ? TLS_AT_ONCE : TLS_LATER;
}

/* One in some is cancelled meanwhile: -ETIMEDOUT. */
static int connect_to_server(rp_co *co, rp_stream **stream, const scheme *plan, uint64_t *state)
{
    bool secure = plan->security == TLS_AT_ONCE;
    rp_connect_options options = {.tls = secure ? soak.tls.clients[plan->seed % 2] : NULL};
    rp_timeout timeout;
    int rc;

    rp_timeout_begin(co, &timeout, below(state, DISTURBED) == 0 ? moment(state) - RP_MSEC(2) : RP_NEVER);
    rc = rp_open_connection(co, stream, "127.0.0.1", rp_server_port(soak.servers[!secure]), &options);
    return rp_timeout_end(co, &timeout, rc);
}

static int live(rp_co *co, uint64_t *state, uint32_t client, uint32_t life)
{
    scheme plan;
    end own = {.side = 0, .plan = &plan};
    rp_timeout timeout;
    int rc;

    draw_plan(&plan, state);
    plan.client = client;
    plan.life = life;
    rc = connect_to_server(co, &own.stream, &plan, state);
    seen.cancelled_connects += rc == -ETIMEDOUT;
    seen.no_port += rc == -EADDRNOTAVAIL;
    if (rc == -ETIMEDOUT || rc == -EADDRNOTAVAIL)
        return rp_sleep(co, moment(state));
    if (rc < 0)
        fail(__LINE__, &plan, "connecting: %s", rp_strerror(rc));
    RP_TRY(rp_stream_write(co, own.stream, &plan, sizeof plan));
    rp_timeout_begin(co, &timeout, plan.ending == CLIENT_IS_CANCELLED ? RP_MSEC(below(state, 100)) : RP_NEVER);
    judge(&own, rp_timeout_end(co, &timeout, talk(co, &own)));
    rp_stream_free(own.stream);
    seen.lives++;
    seen.ended[plan.ending]++;
    seen.secure[plan.security]++;
    return pause_now_and_then(co, state);
}

static int be_a_client(rp_co *co, void *arg)
{
    uint32_t client = *(uint32_t *)arg;
    uint64_t state = soak.seed + client * 2 + (uint64_t)soak.phase;

    for (uint32_t life = 0; rp_loop_time(rp_co_loop(co)) < soak.until; life++)
        RP_TRY(live(co, &state, client, life));
    return 0;
}

/* ---- children ---- */

static int be_a_parent(rp_co *co, void *arg)
{
    soak_parent parent = {.state = soak.seed + *(uint32_t *)arg * 2 + (uint64_t)soak.phase + 1000000,
                          .bytes = soak.pattern,
                          .size = PERIOD,
                          .most_skipped = PIECE};
    int rc = 0;

    while (rp_loop_time(rp_co_loop(co)) < soak.until && rc == 0) {
        rc = soak_child(co, &parent);
        seen.children += rc == 0;
        if (rc == -ENOSYS && soak.under_tool) /* Valgrind knows no pidfds */
            rc = 0;
        if (rc == 0)
            rc = rp_sleep(co, RP_MSEC(below(&parent.state, 20)));
    }
    if (parent.wrong)
        fail(__LINE__, NULL, "of a child: %s", parent.wrong);
    seen.cancelled_children += parent.cancelled;
    return rc;
}

/* ---- files ---- */

static int be_a_librarian(rp_co *co, void *arg)
{
    soak_librarian librarian = {.state = soak.seed + *(uint32_t *)arg * 2 + (uint64_t)soak.phase + 2000000,
                                .bytes = soak.pattern,
                                .size = PERIOD};
    int rc = soak_files(co, &librarian, soak.until);

    if (librarian.wrong)
        fail(__LINE__, NULL, "of a file in %s: %s", librarian.directory, librarian.wrong);
    seen.files += librarian.files;
    seen.cancelled_copies += librarian.cancelled;
    seen.sent_files += librarian.sent;
    seen.cancelled_sendings += librarian.cancelled_sendings;
    return rc;
}

/* ---- datagrams ---- */

static int be_a_correspondent(rp_co *co, void *arg)
{
    uint64_t state = soak.seed + *(uint32_t *)arg * 2 + (uint64_t)soak.phase + 3000000;

    while (rp_loop_time(rp_co_loop(co)) < soak.until) {
        RP_TRY(soak_datagrams(co, draw(&state), &seen.cancelled_datagrams));
        RP_TRY(rp_sleep(co, RP_MSEC(below(&state, 20))));
        seen.correspondences++;
    }
    return 0;
}

/* ---- telling ---- */

static void print_line(const char *what, const holdings *now)
{
    uint64_t secure = seen.secure[TLS_AT_ONCE] + seen.secure[TLS_LATER];
    uint64_t cancelled =
        seen.cancelled_connects + seen.cancelled_handshakes + seen.cancelled_reads + seen.cancelled_writes;

    printf("%5.0f s%s: %llu lives, %llu of TLS, %llu broken, %llu calls cancelled, %llu children, %.1f GB; "
           "%.1f MiB resident, heap %.2f MiB, OpenSSL's %.2f MiB, %zu descriptors\n",
           (double)(rp_monotonic() - soak.begun) / 1e9, what, (unsigned long long)seen.lives,
           (unsigned long long)secure, (unsigned long long)seen.broken, (unsigned long long)cancelled,
           (unsigned long long)seen.children, (double)seen.bytes / 1e9, (double)now->resident / 1048576,
           (double)now->heap / 1048576, (double)soak_tls_memory() / 1048576, now->descriptors);
    fflush(stdout);
}

static void must_not_grow(const char *what, size_t before, size_t after)
{
    if (after > before + before / 100)
        fail(__LINE__, NULL, "%s: %zu after the warm-up, %zu at the end", what, before, after);
}

/* ---- rest ---- */

static int highest_descriptor(void)
{
    return 2 * soak.connections + SPARE;
}

static void never(rp_fd fd, void *arg)
{
    (void)fd;
    (void)arg;
    fail(__LINE__, NULL, "a descriptor is readable that nobody wrote to");
}

/*
 * A backend may keep tables of descriptors that grow with their numbers, and which come up is chance: all of them, that
 * of those that are waited for and that of those that are read and written. And a loop keeps what it watches with.
 */
static int touch_descriptors(rp_co *co)
{
    rp_loop *loop = rp_co_loop(co);
    int event = eventfd(0, EFD_CLOEXEC);
    rp_watch *watch;
    char byte;

    for (int fd = RANGE; fd < highest_descriptor(); fd += RANGE)
        if (fcntl(fd, F_GETFD) < 0 && dup2(event, fd) == fd) {
            RP_TRY(rp_add_reader(loop, fd, never, NULL));
            MUST(NULL, rp_recvfrom(co, fd, &byte, 1, 0, NULL, NULL) == -ENOTSOCK);
        }
    RP_TRY(rp_watch_new(loop, "/", false, NULL, NULL, &watch));
    rp_watch_free(watch);
    RP_TRY(rp_sleep(co, RP_MSEC(1)));
    for (int fd = RANGE; fd < highest_descriptor(); fd += RANGE)
        if (rp_remove_reader(loop, fd) > 0)
            close(fd);
    return close(event);
}

/* Touches its stack as deep as any task might, and holds it until all others have touched theirs. */
static int touch_stack(rp_co *co, void *arg)
{
    volatile char stack[DEEP];

    for (size_t i = 0; i < sizeof stack; i += 1024)
        stack[i] = 1;
    return rp_barrier_wait(co, arg) < 0;
}

/*
 * How deep a stack was touched remains with it, and how many the pool keeps of those that are free is chance within a
 * slab. So that two counts can be compared, it is taken while more are in use than the pool keeps, all touched alike.
 */
static int count_resident(rp_co *co, size_t *resident)
{
    rp_barrier barrier;
    rp_group group;
    int rc;

    RP_TRY(rp_barrier_init(&barrier, STACKS + 1));
    rp_group_begin(co, &group);
    rc = 0;
    for (int i = 0; i < STACKS && rc == 0; i++)
        rc = rp_group_create_task(&group, NULL, touch_stack, &barrier);
    if (rc == 0)
        rc = rp_barrier_wait(co, &barrier);
    malloc_trim(0);
    *resident = holdings_look().resident;
    RP_TRY(rp_group_end(co, &group, rc < 0 ? rc : 0));
    return rp_barrier_fini(&barrier);
}

/* What there is when nobody is connected. */
typedef struct rest {
    holdings held;
    size_t openssl;
    rp_loop_stats stats;
} rest;

/* A stream that was freed closes its connection a moment later: waits for that, but not for what never closes. */
static int await_rest(rp_co *co, rest *at_rest)
{
    int64_t patience = rp_loop_time(rp_co_loop(co)) + RP_SEC(PATIENCE);
    size_t resident;

    while ((rp_server_connections(soak.servers[0]) + rp_server_connections(soak.servers[1]) > 0 ||
            holdings_look().descriptors > soak.descriptors) &&
           rp_loop_time(rp_co_loop(co)) < patience)
        RP_TRY(rp_sleep(co, RP_MSEC(10)));
    RP_TRY(count_resident(co, &resident));
    at_rest->held = holdings_look(); /* with what the pool keeps of all these stacks */
    at_rest->held.resident = resident;
    at_rest->openssl = soak_tls_memory();
    rp_loop_get_stats(rp_co_loop(co), &at_rest->stats);
    print_line(", at rest", &at_rest->held);
    return 0;
}

/* ---- the whole ---- */

static int tell_progress(rp_co *co, void *arg)
{
    int64_t next = rp_loop_time(rp_co_loop(co)) + RP_SEC(PROGRESS);

    (void)arg;
    for (; next < soak.until; next += RP_SEC(PROGRESS)) {
        RP_TRY(rp_sleep_until(co, next));
        holdings now = holdings_look();
        print_line("", &now);
    }
    return 0;
}

/* All clients live until a point in time, then all is at rest. */
static int run_until(rp_co *co, int64_t until, rest *at_rest)
{
    rp_timeout timeout;
    rp_group group;
    int rc;

    soak.until = until;
    rp_timeout_begin(co, &timeout, until - rp_loop_time(rp_co_loop(co)) + RP_SEC(PATIENCE));
    rp_group_begin(co, &group);
    rc = rp_group_create_task(&group, NULL, tell_progress, NULL);
    for (uint32_t i = 0; i < (uint32_t)soak.connections && rc == 0; i++)
        rc = rp_group_create_task_copy(&group, NULL, be_a_client, &i, sizeof i);
    for (uint32_t i = 0; i < PARENTS && rc == 0; i++)
        rc = rp_group_create_task_copy(&group, NULL, be_a_parent, &i, sizeof i);
    for (uint32_t i = 0; i < LIBRARIANS && rc == 0; i++)
        rc = rp_group_create_task_copy(&group, NULL, be_a_librarian, &i, sizeof i);
    for (uint32_t i = 0; i < CORRESPONDENTS && rc == 0; i++)
        rc = rp_group_create_task_copy(&group, NULL, be_a_correspondent, &i, sizeof i);
    RP_TRY(rp_timeout_end(co, &timeout, rp_group_end(co, &group, rc)));
    soak.phase++;
    return await_rest(co, at_rest);
}

static int start_serving(rp_co *co)
{
    for (int i = 0; i < 2; i++) {
        rp_server_options options = {.backlog = 1024, .tls = i == 0 ? soak.tls.server : NULL};

        RP_TRY(rp_start_server(co, &soak.servers[i], serve, NULL, "127.0.0.1", 0, &options));
    }
    return 0;
}

static int run_all(rp_co *co, void *arg)
{
    int64_t duration = *(int64_t *)arg;
    int64_t warm_up = duration / 3 < RP_SEC(WARM_UP_MOST) ? duration / 3 : RP_SEC(WARM_UP_MOST);
    rest before, after;

    RP_TRY(start_serving(co));
    RP_TRY(touch_descriptors(co));
    soak.descriptors = holdings_look().descriptors;
    soak.begun = rp_loop_time(rp_co_loop(co));
    RP_TRY(run_until(co, soak.begun + warm_up, &before));
    /* Under a tool all may be at rest late: after it, too, there are lives. */
    int64_t last = soak.begun + duration, least = rp_loop_time(rp_co_loop(co)) + warm_up;
    RP_TRY(run_until(co, least > last ? least : last, &after));
    if (!soak.under_tool)
        must_not_grow("resident memory", before.held.resident, after.held.resident);
    must_not_grow("heap", before.held.heap, after.held.heap);
    must_not_grow("OpenSSL's heap", before.openssl, after.openssl);
    must_not_grow("descriptors", before.held.descriptors, after.held.descriptors);
    must_not_grow("operations", before.stats.operations_in_flight, after.stats.operations_in_flight);
    must_not_grow("timers", before.stats.timers_pending, after.stats.timers_pending);
    MUST(NULL, after.stats.tasks == 1);
    for (int i = 0; i < 2; i++)
        rp_server_free(soak.servers[i]);
    return 0;
}

/* Nobody came who was not sent, nothing is left, and each thing that may happen has, given the time for it. */
static void judge_all(void)
{
    for (int i = 0; i < ENDINGS && seen.lives >= MANY; i++)
        MUST(NULL, seen.ended[i] > 0);
    for (int i = 0; i < SECURITIES && seen.lives >= MANY && soak.tls.server; i++)
        MUST(NULL, seen.secure[i] > 0);
    MUST(NULL, seen.lives < MANY || !soak.tls.server || seen.cancelled_handshakes > 0);
    MUST(NULL, seen.lives < MANY || (seen.broken > 0 && seen.cancelled_reads > 0 && seen.cancelled_writes > 0));
    MUST(NULL, seen.lives < MANY || soak.under_tool || (seen.children > 0 && seen.cancelled_children > 0));
    MUST(NULL, seen.lives < MANY || seen.files > 0);
    MUST(NULL, seen.files < MANY_FILES || (seen.cancelled_copies > 0 && seen.cancelled_sendings > 0));
    MUST(NULL, seen.lives < MANY || (seen.correspondences > 0 && seen.cancelled_datagrams > 0));
    MUST(NULL, seen.strangers <= seen.cancelled_connects);
    /* The last thread of a pool frees it, a moment after the loop has let it go. */
    for (int64_t begun = rp_monotonic(); holdings_look().heap > 0 && rp_monotonic() - begun < RP_SEC(PATIENCE);)
        usleep(1000);
    MUST(NULL, holdings_look().heap == 0);
}

static void set_up(void)
{
    const char *fixed = getenv("RP_TEST_SEED");
    rlim_t wanted = (rlim_t)highest_descriptor();
    struct rlimit limit;

    soak.seed = fixed ? strtoull(fixed, NULL, 10) : (uint64_t)rp_monotonic();
    printf("RP_TEST_SEED=%llu\n", (unsigned long long)soak.seed);
    uint64_t state = soak.seed;
    for (int i = 0; i < PERIOD; i++)
        soak.pattern[i] = (char)draw(&state);
    memcpy(soak.pattern + PERIOD, soak.pattern, PIECE);

    MUST(NULL, getrlimit(RLIMIT_NOFILE, &limit) == 0);
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = wanted;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            fail(__LINE__, NULL, "%llu descriptors are needed", (unsigned long long)wanted);
    }
}

int main(int argc, char **argv)
{
    int64_t duration;
    int rc;

    soak.under_tool = argc > 1 && strcmp(argv[1], "-t") == 0;
    if (!soak.under_tool)
        holdings_without_caches(argv);
    argc -= soak.under_tool;
    argv += soak.under_tool;
    duration = RP_SEC(argc > 1 ? atoi(argv[1]) : 30);
    soak.connections = argc > 2 ? atoi(argv[2]) : CONNECTIONS;
    set_up();
    rp_set_allocator(&holdings_allocator);
    soak.tls = soak_tls_new();
    rc = rp_run(run_all, &duration);
    soak_tls_free(&soak.tls);
    if (rc < 0 && soak.begun == 0 && getenv("RP_ALLOW_SKIP")) { /* set where a backend is known to be refused */
        printf("skipped: %s\n", rp_strerror(rc));
        return SKIPPED;
    }
    if (rc < 0)
        fail(__LINE__, NULL, "%s", rp_strerror(rc));
    judge_all();
    return 0;
}
