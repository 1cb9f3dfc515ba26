/*
 * soak_datagrams.c - a life of two sockets that exchange datagrams, for the soak test.
 *
 * No more are under way than a socket has room for, so on the loopback none may be lost, whatever is cancelled.
 */
#include "stress/soak_datagrams.h"

#include <errno.h>
#include <stdlib.h>

enum { ROUNDS = 6, BATCH = 16, LONGEST = 1400 };

/* Of one life; too much for a stack. */
typedef struct letters {
    char sent[BATCH][LONGEST], received[BATCH][LONGEST];
    rp_mmsg out[BATCH], in[BATCH];
} letters;

/* One letter after the other, which differ from round to round. */
static void fill(char *bytes, size_t length, uint64_t seed)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (char)(seed + i * 7);
}

static bool is_same(const char *bytes, size_t length, uint64_t seed)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != (char)(seed + i * 7))
            return false;
    return true;
}

static size_t length_of(uint64_t seed, int number)
{
    return (size_t)((seed >> 8) * (uint64_t)(number + 1) % (LONGEST + 1));
}

/* Receives what there is, or nothing for so long: -ETIMEDOUT. */
static int receive_within(rp_co *co, rp_fd fd, rp_mmsg *messages, int count, int64_t duration)
{
    rp_timeout timeout;

    rp_timeout_begin(co, &timeout, duration);
    return rp_timeout_end(co, &timeout, rp_recvmmsg(co, fd, messages, count));
}

static int exchange(rp_co *co, letters *l, const rp_fd fds[2], uint64_t seed, uint64_t *cancelled)
{
    rp_mmsg *out = l->out, *in = l->in;
    rp_fd from = fds[0], to = fds[1];
    int count = 1 + (int)(seed % BATCH), n;

    for (int i = 0; i < count; i++) {
        out[i] = (rp_mmsg){.buffer = l->sent[i], .length = length_of(seed, i)};
        in[i] = (rp_mmsg){.buffer = l->received[i], .size = LONGEST};
        fill(l->sent[i], out[i].length, seed + (uint64_t)i);
    }
    if (seed % 3 == 0) {
        if (receive_within(co, to, in, count, RP_USEC(seed % 1000)) != -ETIMEDOUT)
            return -EBADMSG;
        ++*cancelled;
    }
    RP_TRY(rp_sendmmsg(co, from, out, count));
    for (int got = 0; got < count; got += n) {
        n = receive_within(co, to, in + got, count - got, seed % 5 == 0 ? 1 : RP_SEC(100));
        if (n == -ETIMEDOUT) {
            ++*cancelled;
            n = rp_recvmmsg(co, to, in + got, count - got);
        }
        if (n < 0)
            return n;
    }
    for (int i = 0; i < count; i++)
        if (in[i].length != out[i].length || !is_same(l->received[i], in[i].length, seed + (uint64_t)i))
            return -EBADMSG;
    return 0;
}

static int live(rp_co *co, rp_fd fds[2], uint64_t seed, uint64_t *cancelled)
{
    letters *l = malloc(sizeof *l);
    int rc = l ? 0 : -ENOMEM;

    for (int round = 0; round < ROUNDS && rc == 0; round++)
        rc = exchange(co, l, fds, seed / (uint64_t)(round + 1), cancelled);
    free(l);
    return rc;
}

int soak_datagrams(rp_co *co, uint64_t seed, uint64_t *cancelled)
{
    rp_datagram_options options = {.local_host = "127.0.0.1"};
    rp_fd fds[2];
    int rc;

    RP_TRY(rp_udp_open(co, &fds[1], &options));
    options = (rp_datagram_options){.remote_host = "127.0.0.1", .remote_port = rp_udp_port(fds[1])};
    rc = rp_udp_open(co, &fds[0], &options);
    if (rc == 0) {
        rc = live(co, fds, seed, cancelled);
        rp_close(co, fds[0]);
    }
    rp_close(co, fds[1]);
    return rc;
}
