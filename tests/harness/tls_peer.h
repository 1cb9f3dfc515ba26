/*
 * tls_peer.h - a peer of a TLS connection that the test has in its hand: what it sends can be split, cut, changed or
 * forged.
 *
 * The connection under test is a filter with an engine by OpenSSL, over a transport in memory or a socket. The peer is
 * OpenSSL's too, but its records wait in a queue, and go to the filter as the test wants.
 */
#ifndef RP_TESTS_TLS_PEER_H
#define RP_TESTS_TLS_PEER_H

#include <openssl/ssl.h>

#include "harness/certificates.h"
#include "harness/kinds.h"
#include "harness/record.h"
#include "tls/filter.h"

/* What all connections of a test are made with; the second of each is the server's. */
typedef struct tls_stage {
    rp_loop *loop;
    test_identity *root, *identity;
    rp_tls_context *ours[2];
    SSL_CTX *theirs[2];
} tls_stage;

/* The peers speak that version, RP_TLS_1_2 or RP_TLS_1_3, by AES-128-GCM. */
void tls_stage_set_up(tls_stage *stage, int version);
void tls_stage_tear_down(tls_stage *stage);

typedef struct tls_peer tls_peer;
struct tls_peer {
    rp_loop *loop;
    bool server; /* the side of the filter */

    /* The filter's side. */
    rp_tls_filter_options options;
    rp_transport *below, *filter; /* referred to */
    record r;
    int done, error; /* of the handshake */
    int alert;       /* that has come with the error, or -1 */
    bool detached;

    /* The peer's. */
    rp_transport *distant;
    SSL *ssl; /* NULL: the test says all by itself */
    bool shaken, broken, closed;
    bool far_lost;
    size_t heard;                   /* bytes of records */
    size_t plain;                   /* bytes that were in them */
    void (*on_shaken)(tls_peer *p); /* when its part of the handshake is done */
    void (*on_plain)(tls_peer *p);  /* when something has come */
    unsigned char secret[32];       /* that its keys are made of, in TLS 1.3 */
    uint64_t sequence;              /* of the next record that is forged */

    /* On the way to the filter. */
    unsigned char *queue;
    size_t queued, passed;
    size_t capacity;    /* of the queue */
    size_t piece;       /* how much goes at a time; 0: all */
    size_t changed;     /* the place of a byte of which bits are turned over */
    unsigned char bits; /* which; 0: none */
    size_t cut;         /* where it ends; SIZE_MAX: nowhere */
};

/* TCP, beside the kinds of kinds.h. */
void start_tcp(rp_loop *loop, const rp_protocol *protocol, void *const selves[2]);

/* A new connection; zeroed are `server` and what else the test does not say. With `silent` the peer has no SSL. */
void tls_peer_open(tls_peer *p, const tls_stage *stage, starter *below, bool silent);

/* Lets the filter begin with what it is to stand on, which is open; called by tls_peer_open(). */
int tls_peer_begin(tls_peer *p, const tls_stage *stage);

/* Queues bytes; plaintext; and one record with anything in it, and so much padding, which TLS 1.2 has not. */
void tls_peer_say(tls_peer *p, const void *data, size_t length);
void tls_peer_write(tls_peer *p, const void *data, size_t length);
void tls_peer_forge(tls_peer *p, int type, const void *data, size_t length, size_t padding);

/* In TLS 1.3 the peer goes on to new keys, by such a record, and may ask the connection to do so, too. */
void tls_peer_update_keys(tls_peer *p, bool requested);

/* What the peer's SSL has written goes to the queue; and it looks at what has come. */
void tls_peer_think(tls_peer *p);

/* Passes on what is queued, if all that was passed on before has been taken. */
void tls_peer_pass(tls_peer *p);

/* Goes on until nothing moves any more: for a transport in memory, which needs no time. */
void tls_peer_run(tls_peer *p);

/* The same until the condition holds, for sockets. */
#define PEER_UNTIL(p, condition)                                                                                  \
    do {                                                                                                          \
        while (!(condition)) {                                                                                    \
            tls_peer_pass(p);                                                                                     \
            wire_run((p)->loop, RP_MSEC(1));                                                                      \
        }                                                                                                         \
    } while (0)

/* Whether the connection has ended. */
static inline bool tls_peer_over(const tls_peer *p)
{
    return p->done && p->detached;
}

/* By what. */
static inline int tls_peer_result(const tls_peer *p)
{
    return p->error < 0 ? p->error : p->r.error;
}

/* Ends the connection under test and the peer, and frees what it had. */
void tls_peer_close(tls_peer *p);

#endif
