/*
 * intake.h - where a server's connections come from if it has no sockets of its own: somebody else accepts for it.
 *
 * Whoever accepts embeds an rp_intake at the front of a block of memory, fills in its type, and hands it to a server,
 * which owns that memory from then on. The server fills in the rest, and calls the three functions on its loop's
 * thread. To say that there is something to take, `wake` is posted to the server's loop.
 */
#ifndef RP_CONNECT_INTAKE_H
#define RP_CONNECT_INTAKE_H

#include <stdatomic.h>

#include "ringport/loop.h"

typedef struct rp_intake rp_intake;

typedef struct rp_intake_type {
    /* Makes a transport of what was taken, or NULL without memory; closes what is turned away. NULL: it is a socket. */
    rp_transport *(*make)(rp_loop *loop, rp_fd fd);
    void (*close)(rp_loop *loop, rp_fd fd);
    int (*serve)(rp_intake *intake);            /* from now on there are connections: 0 or an error */
    bool (*take)(rp_intake *intake, rp_fd *fd); /* the next one, which is the server's from then on; false: none */
    void (*leave)(rp_intake *intake); /* there are to be no more connections, and `wake` is no more posted */
} rp_intake_type;

struct rp_intake {
    const rp_intake_type *type;
    rp_loop *loop;  /* the server's */
    rp_handle wake; /* to be posted with these two */
    rp_callback *woken;
    void *server;
    atomic_size_t load; /* connections that were handed to the server and have not ended: it counts them down */
};

#endif
