/*
 * service.h - an echo server of callbacks, for tests of servers: it counts its connections, and can refuse them.
 */
#ifndef RP_TESTS_SERVICE_H
#define RP_TESTS_SERVICE_H

#include "harness/wire.h"

/* What the connections of one test have in common. */
typedef struct service {
    int made, lost, refused;
    int fd;           /* of the last one */
    int refuse;       /* what the factory fails with; 0: nothing */
    rp_server *close; /* what the factory closes, if set */
} service;

/* Makes a protocol for a service, which is its argument. */
int service_factory(void *service, const rp_protocol **protocol, void **self);

/* Two of the protocol's callbacks, for tests that have a protocol of their own for the same connection. */
void service_made(void *self, rp_transport *transport);
void service_lost(void *self, int error);

/* Creates a server, and waits until that is done: 0, or the error. */
int service_try(rp_loop *loop, service *s, const char *host, int port, const rp_server_options *options,
                rp_server **server);

/* The same where it succeeds. */
rp_server *service_start(rp_loop *loop, service *s, const char *host, int port, const rp_server_options *options);

#endif
