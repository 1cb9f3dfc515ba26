/*
 * shared_address.c - addresses that the servers of all workers of a group listen on.
 *
 * Connections are spread in one of two ways. Where it can, the kernel does it, over the workers' listening sockets
 * (SO_REUSEPORT): by a hash of the client's address, so that a worker's share is even in the long run only. Else, or if
 * that is asked for, a balancer accepts for all (connect/balancer.c), and gives each to the worker that has the fewest.
 *
 * A server on port 0 must get the same port in every worker: the nth such server of each worker gets the group's nth
 * port. One that is not made gives its number back, since it may be made in the other workers, or at a second try.
 * Where the kernel spreads, a bound socket that never listens keeps that port free from the first one's start until the
 * group ends. A balancer has a count of its own, and remembers the port; while no worker listens there, others may
 * take it.
 */
#include "stream/shared_address.h"

#include "base/list.h"
#include "base/memory.h"
#include "base/thread.h"
#include "co/workers.h"
#include "loop/loop.h"
#include "net/bind.h"

enum { PORTS_MAX = RP_BALANCER_SLOTS };
_Static_assert(PORTS_MAX == 64, "a bit for each");

/* What a worker's servers on port 0 have, by bits. Its thread's own. */
typedef struct numbers {
    uint64_t ports;
    uint64_t slots; /* of the balancer */
} numbers;

typedef struct addresses {
    rp_common common;
    rp_mutex mutex;
    struct {
        const rp_kernel *kernel; /* that of the worker which has asked first */
        rp_fd fd;
        int port;
    } ports[PORTS_MAX];
    unsigned port_count;
    rp_balancer *balancer; /* made on first use */
    numbers taken[];       /* by workers */
} addresses;

static void free_addresses(rp_common *common)
{
    addresses *a = rp_container_of(common, addresses, common);

    rp_balancer_free(a->balancer);
    for (unsigned i = 0; i < a->port_count; i++)
        rp_kernel_close(a->ports[i].kernel, a->ports[i].fd);
    rp_mutex_fini(&a->mutex);
    rp_free(a);
}

static int make_addresses(unsigned workers, rp_common **common)
{
    addresses *a = rp_calloc(sizeof *a + workers * sizeof a->taken[0]);
    int rc;

    if (!a)
        return -ENOMEM;
    rc = rp_mutex_init(&a->mutex);
    if (rc < 0) {
        rp_free(a);
        return rc;
    }
    a->common.free = free_addresses;
    *common = &a->common;
    return 0;
}

/* The group's of this worker; NULL elsewhere. */
static int find_addresses(addresses **found)
{
    rp_common *common;

    RP_TRY(rp_workers_common(make_addresses, &common));
    *found = common ? rp_container_of(common, addresses, common) : NULL;
    return 0;
}

/* The first number that is free. -ENOBUFS. */
static int take_number(uint64_t *taken, rp_place *place)
{
    if (*taken == UINT64_MAX)
        return -ENOBUFS;
    place->slot = (unsigned)__builtin_ctzll(~*taken);
    place->numbered = true;
    *taken |= UINT64_C(1) << place->slot;
    return 0;
}

/* Numbers are taken in order by each worker, so that the group has the ports before this one's. */
static int find_port(addresses *a, const rp_kernel *kernel, int *port, rp_place *place)
{
    unsigned n;
    int rc = 0;

    RP_TRY(take_number(&a->taken[rp_worker_index()].ports, place));
    n = place->slot;
    rp_mutex_lock(&a->mutex);
    if (n == a->port_count) {
        a->ports[n].kernel = kernel;
        rc = rp_bind_reserve_port(kernel, &a->ports[n].fd, &a->ports[n].port);
        a->port_count += rc == 0;
    }
    *port = rc == 0 ? a->ports[n].port : 0;
    rp_mutex_unlock(&a->mutex);
    return rc;
}

static int find_place(addresses *a, int port, rp_place *place)
{
    int rc = 0;

    rp_mutex_lock(&a->mutex);
    if (!a->balancer)
        rc = rp_balancer_new(&a->balancer);
    place->balancer = a->balancer;
    rp_mutex_unlock(&a->mutex);
    return rc == 0 && port == 0 ? take_number(&a->taken[rp_worker_index()].slots, place) : rc;
}

int rp_shared_address_take(rp_server_options *options, int *port, rp_place *place)
{
    const rp_kernel *kernel;
    addresses *a;
    int rc = 0;

    *place = (rp_place){.balancer = NULL};
    RP_TRY(find_addresses(&a));
    if (!a)
        return 0;
    kernel = rp_get_running_loop()->kernel;
    if (!kernel->spreads || options->balance)
        return find_place(a, *port, place);
    options->reuse_port = true;
    if (*port == 0)
        rc = find_port(a, kernel, port, place);
    if (rc < 0)
        rp_shared_address_give_back(place);
    return rc;
}

void rp_shared_address_give_back(const rp_place *place)
{
    addresses *a;

    if (!place->numbered || find_addresses(&a) < 0)
        return;
    numbers *taken = &a->taken[rp_worker_index()];
    *(place->balancer ? &taken->slots : &taken->ports) &= ~(UINT64_C(1) << place->slot);
}
