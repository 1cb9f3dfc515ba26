/*
 * epoll_port.h - which operations wait on each descriptor, and what of it is registered with epoll.
 */
#ifndef RP_PROACTOR_EPOLL_PORT_H
#define RP_PROACTOR_EPOLL_PORT_H

#include <sys/epoll.h>

#include "base/list.h"

enum { EPOLL_PORTS_PER_CHUNK = 64 };

typedef struct epoll_port {
    rp_node waiting;     /* operations, by their queue nodes */
    uint32_t generation; /* of its latest registering */
    uint32_t registered; /* the events, as far as we know; 0: none */
} epoll_port;

/* The ports of all descriptors. Zeroed but for fd, it has none. */
typedef struct epoll_ports {
    int fd;              /* epoll's */
    epoll_port **chunks; /* each is made when a descriptor in its range first waits */
    size_t count;
} epoll_ports;

void epoll_ports_fini(epoll_ports *ports);

/* Makes the descriptor's port, if it is not there. 0 or an error. */
int epoll_ports_make(epoll_ports *ports, int fd);

/* The descriptor's port, or NULL. */
static inline epoll_port *epoll_ports_find(const epoll_ports *ports, int fd)
{
    size_t chunk = (unsigned)fd / EPOLL_PORTS_PER_CHUNK; /* beyond all of them if it is negative */

    if (chunk >= ports->count || !ports->chunks[chunk])
        return NULL;
    return &ports->chunks[chunk][(unsigned)fd % EPOLL_PORTS_PER_CHUNK];
}

/* What an event says of where it comes from: the number in the lower half, the generation in the upper. */
static inline uint64_t epoll_port_data(int fd, uint32_t generation)
{
    return (uint64_t)generation << 32 | (uint32_t)fd;
}

/* The port that an event is of; NULL: it is of an earlier registering, and another file's. */
static inline epoll_port *epoll_ports_of(const epoll_ports *ports, const struct epoll_event *event)
{
    epoll_port *p = epoll_ports_find(ports, (int)(uint32_t)event->data.u64);

    return p && p->generation == event->data.u64 >> 32 ? p : NULL;
}

/* Registers the descriptor for edges of these events. 0; or an error, and an earlier registration stays as it is. */
int epoll_port_register(const epoll_ports *ports, epoll_port *p, int fd, uint32_t events);

/* Takes the registration back, before the number can mean another file. */
void epoll_port_retract(const epoll_ports *ports, epoll_port *p, int fd);

#endif
