/*
 * datagrams.h - for tests of datagrams: a protocol that keeps what it is told, sockets, and loops that send by a kernel
 * of the test's own.
 */
#ifndef RP_TESTS_DATAGRAMS_H
#define RP_TESTS_DATAGRAMS_H

#include <stdlib.h>

#include "harness/wire.h"
#include "loop/loop.h"

enum { LETTERS = 4096, LETTER_BYTES = 32 };

/* A datagram that came: its first bytes, and what was said of it. */
typedef struct letter {
    size_t length;
    char bytes[LETTER_BYTES];
    struct sockaddr_storage address;
    uint32_t address_length;
    unsigned flags;
} letter;

typedef struct mailbox mailbox;
struct mailbox {
    rp_datagram_transport *transport;
    int made, lost, errors, pauses, resumes;
    int error;      /* that it was lost by */
    int last_error; /* of error_received */
    int count;      /* of datagrams */
    letter letters[LETTERS];
    void (*on_datagram)(mailbox *box, const letter *l);
    void (*on_error)(mailbox *box);
    void (*on_resume)(mailbox *box);
    void *data; /* the test's */
};

static inline void mailbox_made(void *self, rp_datagram_transport *transport)
{
    mailbox *box = self;

    box->made++;
    box->transport = transport;
}

static inline void mailbox_datagram(void *self, const void *data, size_t length, const struct sockaddr *address,
                                    uint32_t address_length, unsigned flags)
{
    mailbox *box = self;
    letter *l = &box->letters[box->count++];

    CHECK(box->made && !box->lost);
    CHECK_INT(box->count, <, LETTERS);
    *l = (letter){.length = length, .address_length = address_length, .flags = flags};
    memcpy(l->bytes, data, length < LETTER_BYTES ? length : LETTER_BYTES);
    memcpy(&l->address, address, address_length);
    if (box->on_datagram)
        box->on_datagram(box, l);
}

static inline void mailbox_error(void *self, int error)
{
    mailbox *box = self;

    box->errors++;
    box->last_error = error;
    if (box->on_error)
        box->on_error(box);
}

static inline void mailbox_lost(void *self, int error)
{
    mailbox *box = self;

    box->lost++;
    box->error = error;
}

static inline void mailbox_paused(void *self)
{
    ((mailbox *)self)->pauses++;
}

static inline void mailbox_resumed(void *self)
{
    mailbox *box = self;

    box->resumes++;
    if (box->on_resume)
        box->on_resume(box);
}

static const rp_datagram_protocol mailbox_protocol UNUSED = {
    .connection_made = mailbox_made,
    .datagram_received = mailbox_datagram,
    .error_received = mailbox_error,
    .connection_lost = mailbox_lost,
    .pause_writing = mailbox_paused,
    .resume_writing = mailbox_resumed,
};

static inline UNUSED int mailbox_factory(void *arg, const rp_datagram_protocol **protocol, void **self)
{
    *protocol = &mailbox_protocol;
    *self = arg;
    return 0;
}

static inline UNUSED mailbox *mailbox_new(void)
{
    mailbox *box = calloc(1, sizeof *box);

    CHECK(box);
    return box;
}

/* A socket of 127.0.0.1 that is bound, and its address. It does not block. */
static inline UNUSED int udp_bound(struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    CHECK_INT(fd, >=, 0);
    *address = loopback(0);
    CHECK_INT(bind(fd, (struct sockaddr *)address, sizeof *address), ==, 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)address, &length), ==, 0);
    set_nonblocking(fd);
    return fd;
}

/* A transport of a bound socket. */
static inline UNUSED mailbox *mailbox_open(rp_loop *loop, const rp_datagram_options *options,
                                           struct sockaddr_in *address)
{
    mailbox *box = mailbox_new();
    int fd = udp_bound(address);

    CHECK_INT(rp_create_datagram_endpoint_fd(loop, fd, &mailbox_protocol, box, options, &box->transport), ==, 0);
    CHECK_INT(box->made, ==, 1);
    return box;
}

/* Closes a transport, and waits for its end. */
static inline UNUSED void mailbox_close(rp_loop *loop, mailbox *box)
{
    if (!box->lost)
        rp_datagram_close(box->transport);
    RUN_UNTIL(loop, box->lost);
    CHECK_INT(box->lost, ==, 1);
    free(box);
}

static inline UNUSED void udp_send(int fd, const struct sockaddr_in *address, const void *data, size_t length)
{
    CHECK_INT(sendto(fd, data, length, 0, (const struct sockaddr *)address, sizeof *address), ==, (ssize_t)length);
}

/* What comes next on a socket: waits, while the loop runs; bytes or -errno. */
static inline UNUSED ssize_t udp_await(rp_loop *loop, int fd, void *buffer, size_t length)
{
    return wire_await(loop, fd, buffer, length);
}

static inline UNUSED int box_send(mailbox *box, const struct sockaddr_in *to, const void *data, size_t length)
{
    return rp_datagram_sendto(box->transport, data, length, (const struct sockaddr *)to, to ? sizeof *to : 0);
}

/* ---- something that is done once, in a turn of the loop ---- */

typedef struct in_turn {
    void (*what)(void *arg);
    void *arg;
    bool done;
} in_turn;

static inline void run_in_turn(void *arg)
{
    in_turn *t = arg;

    t->what(t->arg);
    t->done = true;
}

static inline UNUSED void do_in_turn(rp_loop *loop, void (*what)(void *arg), void *arg)
{
    rp_handle handle = {0};
    in_turn t = {what, arg, false};

    CHECK_INT(rp_call_soon(loop, &handle, run_in_turn, &t), ==, 0);
    RUN_UNTIL(loop, t.done);
}

#endif
