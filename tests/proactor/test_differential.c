/*
 * test_differential.c - the same random operations on io_uring and on epoll give the same results.
 *
 * There are two worlds with the same descriptors, each with a proactor: one is io_uring's, with queues of a few
 * entries, the other epoll's. Both do the same, step by step: some operations are submitted together, or one is
 * cancelled, or somebody else uses a descriptor. After each step both come to rest: whatever can complete has, by the
 * word of poll(2), and an operation that it says could go on and that does not is a fault of its own. Then the same
 * operations must have completed, with the same results and bytes. Races that are the kernel's do not arise: what is
 * cancelled is at rest, and what shares a place in a file is on its own in a step.
 *
 * Each operation and its buffer have memory of their own, which is freed as it completes, for AddressSanitizer's sake.
 *
 * A sequence depends on its seed alone, which is printed as RP_TEST_SEED=n; with that in the environment it is
 * replayed, step by step with RP_TEST_STEPS=1. RP_TEST_SEQUENCES=n runs so many new ones instead of
 * the usual ones.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "proactor/proactor.h"
#include "harness/support.h"

enum {
    CHANNELS = 6,
    OPS = 120, /* of a sequence */
    STEPS = 60,
    BATCH = 4,
    ROOM = 300000, /* of a buffer: more than pipes take */
    DEADLINE = 60, /* seconds, for a hang */
};

enum { PIPE, UNIX, TCP, DATAGRAM, PACKET, DATA_FILE, EVENT, LISTENER, DEVICE, SORTS };

typedef struct operation operation;

typedef struct world {
    rp_proactor *port;
    int fds[CHANNELS][2];
    struct sockaddr_un listeners[CHANNELS];
    operation *ops[OPS]; /* in flight */
} world;

struct operation {
    rp_op op;
    world *in;
    int index;
    bool definite; /* it completes whatever others do */
    char *bytes;
    struct iovec vector[2];
    struct msghdr message;
    struct sockaddr_storage address;
    uint32_t length;
};

/* What a step asks of both worlds. */
typedef struct action {
    rp_op_kind kind;
    int index, channel, end, flags;
    size_t size;
    int64_t offset;
} action;

/* How an operation has ended. */
typedef struct ending {
    bool ended;
    int64_t result;
    uint64_t bytes; /* a hash */
    int flags;      /* of a message */
} ending;

static uint64_t state;
static world worlds[2];
static int sorts[CHANNELS];
static ending endings[2][OPS];
static action actions[OPS];
static bool shut[CHANNELS][2]; /* this end writes no more */
static int submitted;
static bool verbose;

/* xorshift64*: all that tests need. */
static uint64_t random_bits(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * UINT64_C(2685821657736338717) >> 11;
}

static int below(int limit)
{
    return (int)(random_bits() % (uint64_t)limit);
}

static bool is_pair(int channel)
{
    return sorts[channel] >= UNIX && sorts[channel] <= PACKET;
}

/* Of datagrams it is not defined well: poll(2) says that there is an end to be read, recv() that there is nothing. */
static bool has_half_close(int channel)
{
    return is_pair(channel) && sorts[channel] != DATAGRAM;
}

/* ---- descriptors ---- */

static void open_listener(world *w, int channel, int fds[2])
{
    struct sockaddr_un *address = &w->listeners[channel];

    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "ringport-differential-%d-%d-%d", (int)getpid(),
             (int)(w - worlds), channel);
    fds[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(fds[0], (struct sockaddr *)address, sizeof *address), ==, 0);
    CHECK_INT(listen(fds[0], 100), ==, 0);
}

static void open_channel(world *w, int channel, bool blocking)
{
    char path[] = TEST_TMP "/ringport-test-XXXXXX";
    int *fds = w->fds[channel], one = 1;

    fds[0] = fds[1] = -1;
    switch (sorts[channel]) {
    case PIPE:
        CHECK_INT(pipe2(fds, O_CLOEXEC), ==, 0);
        break;
    case UNIX:
        unix_pair(fds);
        break;
    case TCP:
        tcp_pair(fds);
        for (int i = 0; i < 2; i++)
            CHECK_INT(setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), ==, 0);
        break;
    case DATAGRAM:
        CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), ==, 0);
        break;
    case PACKET:
        CHECK_INT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), ==, 0);
        break;
    case DATA_FILE:
        fds[0] = mkostemp(path, O_CLOEXEC);
        unlink(path);
        break;
    case EVENT:
        fds[0] = eventfd(0, EFD_CLOEXEC);
        break;
    case LISTENER:
        open_listener(w, channel, fds);
        break;
    default:
        fds[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
    }
    CHECK_INT(fds[0], >=, 0);
    for (int i = 0; !blocking && i < 2; i++)
        if (fds[i] >= 0)
            set_nonblocking(fds[i]);
}

static void close_end(world *w, int channel, int end, bool reset)
{
    int fd = w->fds[channel][end];

    w->fds[channel][end] = -1;
    if (fd < 0)
        return;
    if (reset && sorts[channel] == TCP)
        close_with_reset(fd);
    else
        close(fd);
}

/* ---- operations ---- */

static void fill_in(operation *o, const action *a)
{
    int fd = o->in->fds[a->channel][a->end];
    char *bytes = o->bytes;
    rp_op *op = &o->op;

    for (size_t i = 0; i < a->size; i++)
        bytes[i] = (char)(a->index * 31 + (int)i);
    if (sorts[a->channel] == EVENT) /* there is room for it when poll(2) says that there is room */
        *(uint64_t *)(void *)memset(bytes, 0, 8) = 1;
    o->vector[0] = (struct iovec){.iov_base = bytes, .iov_len = a->size / 3};
    o->vector[1] = (struct iovec){.iov_base = bytes + a->size / 3, .iov_len = a->size - a->size / 3};
    o->message = (struct msghdr){.msg_iov = o->vector, .msg_iovlen = 2};
    o->length = sizeof o->address;
    switch (a->kind) {
    case RP_OP_ACCEPT:
        rp_op_accept(op, fd, (struct sockaddr *)&o->address, &o->length, NULL, o);
        break;
    case RP_OP_RECV:
        rp_op_recv(op, fd, bytes, a->size, a->flags, NULL, o);
        break;
    case RP_OP_SEND:
        rp_op_send(op, fd, bytes, a->size, a->flags, NULL, o);
        break;
    case RP_OP_RECVMSG:
        rp_op_recvmsg(op, fd, &o->message, a->flags, NULL, o);
        break;
    case RP_OP_SENDMSG:
        rp_op_sendmsg(op, fd, &o->message, a->flags, NULL, o);
        break;
    case RP_OP_READ:
        rp_op_read(op, fd, bytes, a->size, a->offset, NULL, o);
        break;
    case RP_OP_WRITE:
        rp_op_write(op, fd, bytes, a->size, a->offset, NULL, o);
        break;
    case RP_OP_READV:
        rp_op_readv(op, fd, o->vector, 2, a->offset, NULL, o);
        break;
    case RP_OP_WRITEV:
        rp_op_writev(op, fd, o->vector, 2, a->offset, NULL, o);
        break;
    case RP_OP_POLL:
        rp_op_poll(op, fd, (uint32_t)a->flags, NULL, o);
        break;
    case RP_OP_SHUTDOWN:
        rp_op_shutdown(op, fd, a->flags, NULL, o);
        break;
    case RP_OP_FSYNC:
        rp_op_fsync(op, fd, a->flags, NULL, o);
        break;
    default:
        rp_op_nop(op, NULL, o);
    }
}

static bool is_definite(const action *a)
{
    switch (a->kind) {
    case RP_OP_RECV:
    case RP_OP_SEND:
    case RP_OP_RECVMSG:
    case RP_OP_SENDMSG:
        return a->flags & MSG_DONTWAIT;
    case RP_OP_READ:
    case RP_OP_READV:
    case RP_OP_WRITE:
    case RP_OP_WRITEV:
        return sorts[a->channel] == DATA_FILE;
    default:
        return a->kind == RP_OP_NOP || a->kind == RP_OP_SHUTDOWN || a->kind == RP_OP_FSYNC;
    }
}

static void submit_in(world *w, const action *a)
{
    operation *o = calloc(1, sizeof *o);

    o->in = w;
    o->index = a->index;
    o->bytes = malloc(a->size < 8 ? 8 : a->size);
    o->definite = is_definite(a);
    fill_in(o, a);
    w->ops[a->index] = o;
    submit(w->port, &o->op);
}

static bool takes_bytes(rp_op_kind kind)
{
    return kind == RP_OP_RECV || kind == RP_OP_RECVMSG || kind == RP_OP_READ || kind == RP_OP_READV;
}

static void end_operation(const rp_completion *completion)
{
    operation *o = completion->op->data;
    const action *a = &actions[o->index];
    ending *e = &endings[o->in - worlds][o->index];

    CHECK(!e->ended);
    *e = (ending){.ended = true, .result = completion->result};
    if (a->kind == RP_OP_ACCEPT && e->result >= 0) {
        close((int)e->result);
        e->result = 0;
    }
    if (a->kind == RP_OP_POLL && e->result > 0 && e->result & RP_POLL_HUP)
        e->result &= ~(int64_t)RP_POLL_ERR; /* which comes a moment later, or is somebody else's by then */
    if (takes_bytes(a->kind) && e->result > 0) {
        for (int64_t i = 0; i < e->result && i < (int64_t)a->size;
             i++) /* MSG_TRUNC tells of more than there is room for */
            e->bytes = e->bytes * 1099511628211U + (unsigned char)o->bytes[i];
    }
    e->flags = a->kind == RP_OP_RECVMSG && e->result >= 0 ? o->message.msg_flags & ~MSG_CMSG_CLOEXEC : 0;
    o->in->ops[o->index] = NULL;
    free(o->bytes);
    free(o);
}

/* ---- coming to rest ---- */

/* What the kernel tells of a TCP connection, further than the C library's headers know. */
typedef struct connection {
    struct tcp_info base;
    uint64_t rates[2];
    uint64_t bytes_acked;
    uint64_t bytes_received;
    uint32_t segments[6];
    uint64_t times[4];
    uint32_t delivered[2];
    uint64_t bytes_sent;
    uint64_t bytes_sent_again;
} connection;

/* Whether all that was written into a TCP connection has come out at the other end, and its end too. */
static bool has_arrived(const int fds[2], int channel)
{
    connection ends[2] = {{.bytes_sent = 0}};

    for (int i = 0; i < 2; i++) {
        socklen_t length = sizeof ends[i];

        if (fds[i] < 0)
            continue;
        CHECK_INT(getsockopt(fds[i], IPPROTO_TCP, TCP_INFO, &ends[i], &length), ==, 0);
        CHECK_INT(length, ==, sizeof ends[i]);
    }
    if (fds[0] < 0 || fds[1] < 0) {
        int left = ends[fds[0] < 0].base.tcpi_state;

        return left != TCP_ESTABLISHED && left != TCP_FIN_WAIT1 && left != TCP_FIN_WAIT2;
    }
    for (int i = 0; i < 2; i++) {
        const connection *from = &ends[i], *to = &ends[!i];

        if (from->base.tcpi_state == TCP_CLOSE || to->base.tcpi_state == TCP_CLOSE)
            return true;
        if (to->bytes_received < from->bytes_sent - from->bytes_sent_again) /* the end counts as a byte */
            return false;
        if (shut[channel][i] && to->base.tcpi_state == TCP_ESTABLISHED)
            return false;
    }
    return true;
}

static short direction_of(const action *a)
{
    switch (a->kind) {
    case RP_OP_SEND:
    case RP_OP_SENDMSG:
    case RP_OP_WRITE:
    case RP_OP_WRITEV:
        return POLLOUT;
    case RP_OP_POLL:
        return (short)a->flags;
    default:
        return POLLIN;
    }
}

/* Whether there is something that must go on by itself. */
static bool is_busy(const world *w)
{
    for (int i = 0; i < submitted; i++) {
        const action *a = &actions[i];
        struct pollfd entry = {.fd = w->fds[a->channel][a->end], .events = direction_of(a)};

        if (w->ops[i] != NULL && (w->ops[i]->definite || poll(&entry, 1, 0) > 0))
            return true;
    }
    for (int i = 0; i < CHANNELS; i++)
        if (sorts[i] == TCP && !has_arrived(w->fds[i], i))
            return true;
    return false;
}

static void come_to_rest(world *w)
{
    rp_completion completions[3];
    int64_t deadline = rp_monotonic() + RP_SEC(DEADLINE);
    int dry = 0;

    while (dry < 3) {
        bool busy = is_busy(w);
        int n = rp_proactor_wait(w->port, completions, 3, busy ? rp_monotonic() + RP_MSEC(1) : 0);

        CHECK_INT(n, >=, 0);
        for (int i = 0; i < n; i++)
            end_operation(&completions[i]);
        dry = busy || n > 0 ? 0 : dry + 1;
        if (rp_monotonic() > deadline) {
            for (int i = 0; i < submitted; i++)
                if (w->ops[i] != NULL)
                    fprintf(stderr, "%s: operation %d (kind %d on channel %d, sort %d) is in flight\n",
                            rp_proactor_name(w->port), i, actions[i].kind, actions[i].channel,
                            sorts[actions[i].channel]);
            CHECK(!"an operation that could go on does not");
        }
    }
}

static void rest_and_compare(int step)
{
    for (int i = 0; i < 2; i++)
        come_to_rest(&worlds[i]);
    for (int i = 0; i < submitted; i++) {
        const ending *one = &endings[0][i], *two = &endings[1][i];
        const action *a = &actions[i];

        if (memcmp(one, two, sizeof *one) == 0)
            continue;
        fprintf(
            stderr,
            "step %d: operation %d, kind %d on channel %d (sort %d) end %d, size %zu, flags %#x, offset %lld:\n",
            step, i, a->kind, a->channel, sorts[a->channel], a->end, a->size, (unsigned)a->flags,
            (long long)a->offset);
        for (int j = 0; j < 2; j++)
            fprintf(stderr, "  %s: ended %d, result %lld, bytes %llx, flags %#x\n",
                    rp_proactor_name(worlds[j].port), endings[j][i].ended, (long long)endings[j][i].result,
                    (unsigned long long)endings[j][i].bytes, (unsigned)endings[j][i].flags);
        CHECK(!"the backends differ");
    }
}

/* ---- steps ---- */

static size_t random_size(int channel)
{
    static const size_t few[] = {0, 1, 2, 3, 7, 8, 64, 1000};
    /* Not of sockets: whether one has room while poll(2) says that there is little, differs from moment to moment. */
    bool many = sorts[channel] == PIPE || sorts[channel] == DATA_FILE;

    return many && below(6) == 0 ? (size_t)below(ROOM) : few[below(8)];
}

static int receive_flags(void)
{
    static const int flags[] = {0,
                                0,
                                0,
                                MSG_DONTWAIT,
                                MSG_WAITALL,
                                MSG_PEEK,
                                MSG_PEEK | MSG_DONTWAIT,
                                MSG_TRUNC,
                                MSG_WAITALL | MSG_DONTWAIT};

    return flags[below(9)];
}

static int send_flags(void)
{
    static const int flags[] = {0, 0, MSG_DONTWAIT, RP_SEND_ALL, RP_SEND_ALL | MSG_DONTWAIT};

    return flags[below(5)];
}

static rp_op_kind random_kind(int channel)
{
    static const rp_op_kind stream[] = {RP_OP_READ, RP_OP_WRITE, RP_OP_READV, RP_OP_WRITEV, RP_OP_POLL};
    static const rp_op_kind sockets[] = {RP_OP_RECV, RP_OP_SEND,    RP_OP_RECV,   RP_OP_SEND,
                                         RP_OP_RECV, RP_OP_RECVMSG, RP_OP_SENDMSG};

    if (below(40) == 0)
        return RP_OP_NOP;
    if (below(60) == 0)
        return has_half_close(channel) ? RP_OP_SHUTDOWN : RP_OP_RECV;
    if (sorts[channel] == LISTENER || below(60) == 0)
        return below(4) ? RP_OP_ACCEPT : RP_OP_POLL;
    if (sorts[channel] == DATA_FILE && below(6) == 0)
        return RP_OP_FSYNC;
    return is_pair(channel) && below(3) ? sockets[below(7)] : stream[below(5)];
}

static void random_action(action *a)
{
    static const int64_t offsets[] = {-1, -1, -1, 0, 5, 1000, -2, INT64_MIN};
    static const int events[] = {RP_POLL_IN,  RP_POLL_OUT, RP_POLL_IN | RP_POLL_OUT,  RP_POLL_PRI, RP_POLL_RDHUP,
                                 RP_POLL_HUP, 0,           RP_POLL_IN | RP_POLL_RDHUP};
    int channel = below(CHANNELS);

    *a = (action){.kind = random_kind(channel), .index = submitted, .channel = channel};
    a->end = is_pair(channel) ? below(2)
             : sorts[channel] == PIPE && a->kind != RP_OP_POLL && below(20)
                 ? a->kind == RP_OP_WRITE || a->kind == RP_OP_WRITEV
             : sorts[channel] == PIPE ? below(2)
                                      : 0;
    a->size = sorts[channel] == EVENT ? (below(5) ? 8 : 4) : random_size(channel);
    a->offset = offsets[below(8)];
    if (a->kind == RP_OP_RECV || a->kind == RP_OP_RECVMSG)
        a->flags = receive_flags();
    else if (a->kind == RP_OP_SEND || a->kind == RP_OP_SENDMSG)
        a->flags = send_flags();
    else if (a->kind == RP_OP_POLL)
        a->flags = events[below(8)];
    else
        a->flags = below(4);
    if (a->kind == RP_OP_SENDMSG)
        a->flags &= ~RP_SEND_ALL;
}

/* The end of one's own of a half-close, or of that of the peer, as TCP's other end will hear of it. */
static void note_shutdown(int channel, int end, int how)
{
    shut[channel][end] = shut[channel][end] || how == SHUT_WR || how == SHUT_RDWR;
}

static bool is_used(const world *w, int channel, int end)
{
    for (int i = 0; i < submitted; i++)
        if (w->ops[i] != NULL && actions[i].channel == channel && actions[i].end == end)
            return true;
    return false;
}

/*
 * Whether a poll is told of what another operation takes at that moment is open. So is how much of what some send is
 * there when others, at the other end, receive; an eventfd is both ends in one; and whoever comes first
 * after a reset is told of it.
 */
static bool would_race(const action *a, int first)
{
    for (int i = first; i < submitted; i++)
        if (actions[i].channel == a->channel &&
            (sorts[a->channel] == EVENT || direction_of(&actions[i]) != direction_of(a) ||
             actions[i].end != a->end || is_used(&worlds[0], a->channel, !a->end)))
            return true;
    for (int i = 0; i < submitted; i++)
        if (worlds[0].ops[i] != NULL && actions[i].channel == a->channel && actions[i].end == a->end &&
            (actions[i].kind == RP_OP_POLL) != (a->kind == RP_OP_POLL))
            return true;
    return false;
}

static void submit_some(void)
{
    int first = submitted;

    for (int i = below(BATCH) + 1; i > 0 && submitted < OPS; i--) {
        action *a = &actions[submitted];

        random_action(a);
        if (worlds[0].fds[a->channel][a->end] < 0 || would_race(a, first))
            continue;
        submitted++;
        if (verbose)
            fprintf(stderr, "  %d: kind %d channel %d (sort %d) end %d size %zu flags %#x offset %lld\n", a->index,
                    a->kind, a->channel, sorts[a->channel], a->end, a->size, (unsigned)a->flags,
                    (long long)a->offset);
        if (a->kind == RP_OP_SHUTDOWN)
            note_shutdown(a->channel, a->end, a->flags);
        for (int j = 0; j < 2; j++)
            submit_in(&worlds[j], a);
        if (sorts[a->channel] == DATA_FILE || a->kind == RP_OP_SHUTDOWN)
            break; /* on its own */
    }
}

static void cancel(int index)
{
    if (verbose)
        fprintf(stderr, "  cancel %d\n", index);
    for (int i = 0; i < 2; i++) {
        worlds[i].ops[index]->definite = true;
        rp_proactor_cancel(worlds[i].port, &worlds[i].ops[index]->op);
    }
}

/* One only: the next ones may be what goes on when it has left. */
static void cancel_one(void)
{
    int first = below(OPS);

    for (int i = 0; i < OPS; i++)
        if (worlds[0].ops[(first + i) % OPS] != NULL) {
            cancel((first + i) % OPS);
            return;
        }
}

/* Somebody else writes, as far as there is room, or reads. */
static void transfer(const world *w, int channel, int end, bool writes, size_t size)
{
    static char bytes[ROOM];
    struct pollfd entry = {.fd = w->fds[channel][end], .events = writes ? POLLOUT : POLLIN};

    if (sorts[channel] >= DATA_FILE && sorts[channel] != EVENT)
        return;
    if (poll(&entry, 1, 0) <= 0)
        return;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 7);
    if (sorts[channel] == EVENT)
        CHECK_INT(writes ? write(entry.fd, &(uint64_t){1}, 8) : read(entry.fd, bytes, 8), ==, 8);
    else if (sorts[channel] == PIPE)
        (void)!(writes ? write(entry.fd, bytes, size < 4096 ? size : 4096) : read(entry.fd, bytes, size));
    else
        (void)!(writes ? send(entry.fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL)
                       : recv(entry.fd, bytes, size, MSG_DONTWAIT));
}

static void connect_and_leave(const world *w, int channel)
{
    const struct sockaddr_un *address = &w->listeners[channel];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    connect(fd, (const struct sockaddr *)address, sizeof *address);
    close(fd);
}

static void somebody_else_acts(void)
{
    int channel = below(CHANNELS), end = below(2), what = below(12), how = below(3);
    size_t size = random_size(channel);

    if (verbose)
        fprintf(stderr, "  somebody: %d on channel %d (sort %d) end %d, size %zu, how %d\n", what, channel,
                sorts[channel], end, size, how);
    if (worlds[0].fds[channel][end] < 0 || (what <= 1 && is_used(&worlds[0], channel, end)))
        return;
    for (int i = 0; i < 2; i++) {
        world *w = &worlds[i];

        if (sorts[channel] == LISTENER)
            connect_and_leave(w, channel);
        else if (what == 0 && sorts[channel] != DATA_FILE)
            close_end(w, channel, end, how == 0);
        else if (what == 1 && has_half_close(channel))
            shutdown(w->fds[channel][end], how);
        else if (sorts[channel] == PIPE)
            transfer(w, channel, end, end == 1, size);
        else
            transfer(w, channel, end, what & 1, size);
    }
    if (what == 1 && has_half_close(channel))
        note_shutdown(channel, end, how);
}

/* ---- a sequence ---- */

static void open_worlds(void)
{
    rp_proactor_options options = {.submission_entries = 2U << below(4)};
    bool blocking[CHANNELS];

    options.completion_entries = options.submission_entries << below(2);
    for (int i = 0; i < CHANNELS; i++) {
        sorts[i] = below(SORTS);
        blocking[i] = below(2);
    }
    for (int i = 0; i < 2; i++) {
        worlds[i] = (world){.port = NULL};
        CHECK_INT(rp_proactor_open(i == 0 ? "epoll" : "io_uring", &options, &worlds[i].port), ==, 0);
        for (int j = 0; j < CHANNELS; j++)
            open_channel(&worlds[i], j, blocking[j]);
    }
}

static void close_worlds(void)
{
    for (int i = 0; i < submitted; i++)
        if (worlds[0].ops[i] != NULL) {
            cancel(i);
            rest_and_compare(STEPS);
        }
    for (int i = 0; i < 2; i++) {
        CHECK_INT(worlds[i].port->in_flight, ==, 0);
        rp_proactor_close(worlds[i].port);
        for (int j = 0; j < CHANNELS; j++)
            for (int end = 0; end < 2; end++)
                close_end(&worlds[i], j, end, false);
    }
}

static void compare_backends(uint64_t seed)
{
    fprintf(stderr, "RP_TEST_SEED=%llu\n", (unsigned long long)seed);
    state = seed;
    submitted = 0;
    memset(endings, 0, sizeof endings);
    memset(shut, 0, sizeof shut);
    open_worlds();
    for (int step = 0; step < STEPS; step++) {
        if (verbose)
            fprintf(stderr, "step %d\n", step);
        switch (below(8)) {
        case 0:
            cancel_one();
            break;
        case 1:
        case 2:
        case 3:
            somebody_else_acts();
            break;
        default:
            submit_some();
        }
        rest_and_compare(step);
    }
    close_worlds();
}

TEST(backends_agree)
{
    const char *fixed = getenv("RP_TEST_SEED"), *count = getenv("RP_TEST_SEQUENCES");
    rp_proactor *port;
    int rc = rp_proactor_open("io_uring", NULL, &port);

    if (rc < 0)
        SKIP("io_uring: %s", rp_strerror(rc));
    rp_proactor_close(port);
    signal(SIGPIPE, SIG_IGN);
    verbose = getenv("RP_TEST_STEPS") != NULL;
    if (fixed) {
        compare_backends(strtoull(fixed, NULL, 10));
        return;
    }
    uint64_t first = count ? (uint64_t)rp_monotonic() << 8 | 1 : 1;
    for (int i = 0; i < (count ? atoi(count) : test_slow() ? 20 : 200); i++)
        compare_backends(first + 2 * (uint64_t)i);
}
