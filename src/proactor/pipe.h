/*
 * pipe.h - a descriptor that moves bytes one way, and may be somebody else's as well: a pipe's end, a FIFO, a terminal,
 * another character device, or a socket.
 *
 * Reading and writing never block, and whether the descriptor blocks is left as it is where that can be, since the flag
 * belongs to all that share it: another process may set it either way, at any time. So it is never relied on, if there
 * is another way.
 */
#ifndef RP_PROACTOR_PIPE_H
#define RP_PROACTOR_PIPE_H

#include "ringport/base.h"

/* How the bytes are moved. */
typedef enum rp_pipe_way {
    RP_PIPE_SOCKET, /* a socket is asked not to block, each time */
    RP_PIPE_ASKED,  /* so is an anonymous pipe, by Linux 6.4 and later; else it becomes one of those below */
    RP_PIPE_OWN,    /* by a description of our own, which does not block */
    RP_PIPE_SHARED, /* the description that all share was made one that does not block */
} rp_pipe_way;

typedef struct rp_pipe {
    rp_fd fd;  /* what readiness is asked of */
    rp_fd own; /* RP_PIPE_OWN: the other description; else -1 */
    uint8_t way;
    bool writes;
    bool streams;   /* it is a pipe, or a stream socket: bytes, and no messages, that come when they like */
    bool tells_end; /* the end that writes is told when nobody reads any more */
    bool hung_up;   /* a terminal that was read to its end: the other side has gone */
} rp_pipe;

#endif
