/*
 * toy_engine.h - an engine of TLS without cryptography, for tests of the filter: a record is its type, its length and
 * bytes that are turned over. Tests can write such records by hand.
 */
#ifndef RP_TESTS_TOY_ENGINE_H
#define RP_TESTS_TOY_ENGINE_H

#include "harness/kinds.h"
#include "ringport/net.h"
#include "tls/filter.h"

/* Types of records. The client says HELLO, the server HELLO, the client FINISHED, the server TICKET. */
enum { TOY_HELLO = 1, TOY_FINISHED, TOY_TICKET, TOY_DATA, TOY_CLOSE, TOY_ALERT, TOY_ASK, TOY_ANSWER };
enum { TOY_HEADER = 3, TOY_PLAIN = 16384, TOY_RECORD = TOY_HEADER + TOY_PLAIN };
enum { TOY_ALERT_REFUSED = 40, TOY_ALERT_MALFORMED = 50 };

/* Zeroed, but for toy_factory_init(), it makes engines that do all they should. */
typedef struct toy_factory {
    rp_tls_factory base;
    int make_error;     /* `make` fails */
    int shutdown_error; /* so does `shutdown` */
    int refuses;        /* a server's handshake fails by this error, and an alert */
    size_t flight;      /* how long the server's HELLO is */
    bool asks;          /* each write waits for an ANSWER to an ASK */
    bool deaf;          /* it takes no input, and waits for more */
    void (*called)(
        void *arg); /* by each of an engine\'s functions, and behind each record, as a callback of a user\'s */
    void *arg;
    int made, freed;
    char name[64]; /* that the last engine was made with */
    bool server;
    char client_name[64]; /* and the last one of a client */
} toy_factory;

void toy_factory_init(toy_factory *factory);

/* A context that makes engines which do all they should. */
rp_tls_context *toy_context(void);

/* What makes the engines of start_toys(). */
toy_factory *toy_engines(void);

/* Two filters on what `below` starts, as kinds.h has it. In a coroutine, the handshake goes on when that returns. */
void start_toys(rp_loop *loop, starter *below, const rp_protocol *protocol, void *const selves[2]);

/* A record's bytes: how many. */
size_t toy_record(char *to, int type, const void *data, size_t length);

/* Sends one, of a short text, as a peer by hand. */
void toy_send(int fd, int type, const char *text);

#endif
