/*
 * epoll_port.c - what of each descriptor is registered with epoll: see epoll_port.h.
 *
 * The kernel keeps a registration as long as the file is open under any number, in any process. It is taken back before
 * a close that is ours. If the owner has closed the number, it is out of reach, and goes on to report. So each
 * registering has a generation: what comes from an earlier one than the port's is another file's, and is ignored.
 */
#include "proactor/epoll_port.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/memory.h"

static int grow(epoll_ports *ports, size_t count)
{
    epoll_port **chunks = rp_realloc(ports->chunks, count * sizeof *chunks);

    if (!chunks)
        return -ENOMEM;
    memset(chunks + ports->count, 0, (count - ports->count) * sizeof *chunks);
    ports->chunks = chunks;
    ports->count = count;
    return 0;
}

int epoll_ports_make(epoll_ports *ports, int fd)
{
    size_t chunk = (size_t)fd / EPOLL_PORTS_PER_CHUNK;

    if (epoll_ports_find(ports, fd))
        return 0;
    if (fcntl(fd, F_GETFD) < 0) /* an absurd number gets no memory */
        return -errno;
    if (chunk >= ports->count && grow(ports, chunk + chunk / 2 + 1) < 0)
        return -ENOMEM;
    epoll_port *made = rp_calloc(EPOLL_PORTS_PER_CHUNK * sizeof *made);
    if (!made)
        return -ENOMEM;
    for (int i = 0; i < EPOLL_PORTS_PER_CHUNK; i++)
        rp_list_init(&made[i].waiting);
    ports->chunks[chunk] = made;
    return 0;
}

void epoll_ports_fini(epoll_ports *ports)
{
    for (size_t i = 0; i < ports->count; i++)
        rp_free(ports->chunks[i]);
    rp_free(ports->chunks);
}

int epoll_port_register(const epoll_ports *ports, epoll_port *p, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events | EPOLLET, .data.u64 = epoll_port_data(fd, p->generation + 1)};
    int first = p->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    int second = p->registered ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

    if (epoll_ctl(ports->fd, first, fd, &event) < 0) {
        if (errno != ENOENT && errno != EEXIST)
            return -errno;
        if (epoll_ctl(ports->fd, second, fd, &event) < 0)
            return -errno;
    }
    p->generation++;
    p->registered = events;
    return 0;
}

void epoll_port_retract(const epoll_ports *ports, epoll_port *p, int fd)
{
    if (!p->registered)
        return;
    p->registered = 0;
    epoll_ctl(ports->fd, EPOLL_CTL_DEL, fd, NULL); /* it fails if the owner has closed the number already */
}
