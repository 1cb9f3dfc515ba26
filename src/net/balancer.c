/*
 * balancer.c - one listening socket for the servers of several loops: a thread accepts, and hands each connection to
 * the server that has the fewest.
 *
 * It is for systems on which the kernel does not spread connections over sockets that listen at the same address, and
 * for who wants them spread evenly. The thread runs an ordinary loop, and for each address an ordinary server on it,
 * the front, whose accepted sockets it does not keep: a socket is known to no loop, and to no completion port, until
 * the server that will serve it takes it. No worker's end is special: a front lasts as long as any server has a
 * listener there.
 *
 * What must stay true: fronts, and which listeners have a seat at them, are touched on the hub's thread alone. Servers
 * ask it to (ask()) and wait for the answer, which it can always give, since it runs nobody else's code. Only a
 * connection's way to its server goes without asking: it is among the server's arrivals until that takes it, or leaves
 * and so lets another one have it. It is closed if there is no other, as what waits in a socket's backlog is.
 */
#include "net/balancer.h"

#include <string.h>

#include "base/memory.h"
#include "net/listen.h"

enum { LATER = 1 }; /* the call will be answered by finish() */

struct rp_hub {
    rp_loop *loop;
    rp_handle stop;
    rp_node fronts;
    rp_node deferred; /* calls that wait until a front is gone */
    rp_mutex making;  /* see rp_hub_lock_ports() */
    int ports[RP_HUB_SLOTS];
    rp_mutex mutex; /* for the rest, the answers to calls, and arrivals */
    rp_cond changed;
    bool ended; /* the thread is as good as gone */
};

/* Something that the hub's thread does for another one, which waits meanwhile. */
typedef struct call call;
struct call {
    rp_handle handle;
    rp_node link; /* in `deferred` */
    rp_hub *hub;
    int (*function)(call *c); /* 0, LATER or an error */
    rp_server *server;
    unsigned leaving; /* fronts that must be gone before the answer, and one */
    struct {
        const struct sockaddr *address;
        uint32_t length;
        const struct addrinfo *info;
        int port;
        const rp_server_options *options;
        rp_front *front;
    } join;
    int result;
    bool done; /* under the mutex */
};

/* A listening socket that servers share. */
struct rp_front {
    rp_hub *hub;
    rp_node link;
    rp_server *server; /* the hub's own */
    rp_node seats;     /* listeners that are handed connections, the one that has waited longest first */
    unsigned users;    /* listeners, those that do not serve yet too */
    call *leaver;      /* of the last one: it waits until the front is gone */
    struct sockaddr_storage address;
    uint32_t length;
};

/* A connection on its way to a server. */
typedef struct arrival {
    rp_node link;
    rp_front *front;
    rp_fd fd;
} arrival;

/* ---- asking ---- */

static void finish(call *c, int result)
{
    rp_hub *hub = c->hub;

    rp_mutex_lock(&hub->mutex);
    c->result = result;
    c->done = true;
    rp_cond_broadcast(&hub->changed);
    rp_mutex_unlock(&hub->mutex);
}

static void run_call(void *arg)
{
    call *c = arg;
    int rc = c->function(c);

    if (rc != LATER)
        finish(c, rc);
}

static int ask(rp_hub *hub, call *c)
{
    c->hub = hub;
    RP_TRY(rp_call_soon_threadsafe(hub->loop, &c->handle, run_call, c));
    rp_mutex_lock(&hub->mutex);
    while (!c->done && !hub->ended)
        rp_cond_wait(&hub->changed, &hub->mutex, RP_NEVER);
    int rc = c->done ? c->result : RP_ECLOSED;
    rp_mutex_unlock(&hub->mutex);
    return rc;
}

static void resume_deferred(rp_hub *hub)
{
    while (!rp_list_empty(&hub->deferred)) {
        call *c = rp_container_of(rp_list_pop(&hub->deferred), call, link);

        rp_handle_prepare(&c->handle, hub->loop, run_call, c);
        rp_loop_ready(hub->loop, &c->handle);
    }
}

/* ---- handing connections out, on the hub's thread ---- */

static void drop(arrival *a)
{
    rp_socket_close(a->fd);
    rp_free(a);
}

/* The listener whose server has the fewest connections; of several, the one that has waited longest. */
static rp_listener *choose(rp_front *front)
{
    rp_listener *best = NULL;
    size_t least = SIZE_MAX;

    for (rp_node *node = front->seats.next; node != &front->seats; node = node->next) {
        rp_listener *listener = rp_container_of(node, rp_listener, seat);
        size_t load = atomic_load_explicit(&listener->server->intake.load, memory_order_relaxed);

        if (load < least) {
            best = listener;
            least = load;
        }
    }
    return best;
}

static void hand_out(rp_front *front, arrival *a)
{
    rp_listener *listener = choose(front);

    if (listener == NULL) {
        drop(a);
        return;
    }
    rp_server *server = listener->server;
    rp_list_remove(&listener->seat);
    rp_list_push(&front->seats, &listener->seat);
    atomic_fetch_add_explicit(&server->intake.load, 1, memory_order_relaxed);
    a->front = front;
    rp_mutex_lock(&front->hub->mutex);
    rp_list_push(&server->intake.arrivals, &a->link);
    rp_mutex_unlock(&front->hub->mutex);
    /* This fails if it is posted already, or if its loop is being closed, which ends in rp_hub_leave(). */
    rp_call_soon_threadsafe(server->loop, &server->intake.wake, rp_server_take_arrivals, server);
}

static void on_accepted(void *arg, rp_fd fd)
{
    rp_front *front = arg;
    arrival *a = rp_malloc(sizeof *a);

    if (a == NULL) {
        rp_loop_report(front->hub->loop, "no memory to hand a connection to its server", -ENOMEM, NULL, NULL, NULL,
                       NULL);
        rp_socket_close(fd);
        return;
    }
    a->fd = fd;
    hand_out(front, a);
}

static arrival *take(rp_server *server)
{
    rp_hub *hub = server->intake.hub;
    rp_node *node = NULL;

    rp_mutex_lock(&hub->mutex);
    if (!rp_list_empty(&server->intake.arrivals))
        node = rp_list_pop(&server->intake.arrivals);
    rp_mutex_unlock(&hub->mutex);
    return node != NULL ? rp_container_of(node, arrival, link) : NULL;
}

bool rp_hub_take(rp_server *server, rp_fd *fd)
{
    arrival *a = take(server);

    if (a == NULL)
        return false;
    *fd = a->fd;
    rp_free(a);
    return true;
}

/* ---- fronts, on the hub's thread ---- */

static void on_released(void *arg)
{
    rp_front *front = arg;
    rp_hub *hub = front->hub;
    call *leaver = front->leaver;

    rp_list_remove(&front->link);
    rp_free(front);
    if (leaver != NULL && --leaver->leaving == 0)
        finish(leaver, 0);
    resume_deferred(hub);
}

static uint16_t *port_of(struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6 ? &((struct sockaddr_in6 *)address)->sin6_port
                                          : &((struct sockaddr_in *)address)->sin_port;
}

static int make_front(rp_hub *hub, call *c, rp_front **out)
{
    rp_front *front = rp_calloc(sizeof *front);
    rp_fd fd;

    if (front == NULL)
        return -ENOMEM;
    front->hub = hub;
    front->server = rp_server_new(
        hub->loop, &(rp_server_protocol){.accepted = on_accepted, .arg = front, .release = on_released}, 1);
    int rc = front->server != NULL ? rp_socket_bind(c->join.info, c->join.port, c->join.options, &fd) : -ENOMEM;
    rp_list_init(&front->seats);
    rp_list_push(&hub->fronts, &front->link);
    if (rc < 0) {
        if (front->server != NULL)
            rp_server_free(front->server);
        else
            on_released(front);
        return rc;
    }
    rp_server_add_listener(front->server, fd);
    if (c->join.options->backlog > 0)
        front->server->backlog = c->join.options->backlog;
    memcpy(&front->address, c->join.address, c->join.length);
    front->length = c->join.length;
    *port_of(&front->address) = htons((uint16_t)rp_socket_port(fd));
    *out = front;
    return 0;
}

static rp_front *find_front(const rp_hub *hub, const call *c)
{
    for (rp_node *node = hub->fronts.next; node != &hub->fronts; node = node->next) {
        rp_front *front = rp_container_of(node, rp_front, link);

        if (front->length == c->join.length && memcmp(&front->address, c->join.address, front->length) == 0)
            return front;
    }
    return NULL;
}

/* ---- what servers ask for ---- */

static int join(call *c)
{
    rp_front *front = find_front(c->hub, c);

    if (front != NULL && front->leaver != NULL) {
        rp_list_push(&c->hub->deferred, &c->link);
        return LATER;
    }
    if (front == NULL)
        RP_TRY(make_front(c->hub, c, &front));
    front->users++;
    c->join.front = front;
    return 0;
}

int rp_hub_join(rp_server *server, const struct addrinfo *info, int port, const rp_server_options *options)
{
    struct sockaddr_storage address;
    call c = {.function = join, .server = server};

    rp_socket_address(info, port, &address);
    c.join.address = (struct sockaddr *)&address;
    c.join.length = (uint32_t)info->ai_addrlen;
    c.join.info = info;
    c.join.port = port;
    c.join.options = options;
    RP_TRY(ask(server->intake.hub, &c));
    rp_server_add_listener(server, c.join.front->server->listeners[0].fd);
    server->listeners[server->listener_count - 1].front = c.join.front;
    return 0;
}

static int serve(call *c)
{
    rp_server *server = c->server;

    for (size_t i = 0; i < server->listener_count; i++)
        RP_TRY(rp_server_start_serving(server->listeners[i].front->server));
    for (size_t i = 0; i < server->listener_count; i++)
        rp_list_push_front(&server->listeners[i].front->seats, &server->listeners[i].seat);
    return 0;
}

int rp_hub_serve(rp_server *server)
{
    call c = {.function = serve, .server = server};

    return ask(server->intake.hub, &c);
}

static int leave(call *c)
{
    rp_server *server = c->server;
    arrival *a;

    for (size_t i = 0; i < server->listener_count; i++)
        if (rp_node_linked(&server->listeners[i].seat))
            rp_list_remove(&server->listeners[i].seat);
    while ((a = take(server)) != NULL)
        hand_out(a->front, a);
    c->leaving = 1;
    for (size_t i = 0; i < server->listener_count; i++) {
        rp_front *front = server->listeners[i].front;

        if (--front->users > 0)
            continue;
        front->leaver = c;
        c->leaving++;
        rp_server_free(front->server);
    }
    return --c->leaving == 0 ? 0 : LATER;
}

void rp_hub_leave(rp_server *server)
{
    call c = {.function = leave, .server = server};
    int rc = ask(server->intake.hub, &c);
    arrival *a;

    if (rc == RP_EFORK) /* nobody knows in which state the parent's thread was when it left this copy behind */
        return;
    if (rc < 0) /* the hub has failed */
        while ((a = take(server)) != NULL)
            drop(a);
    rp_handle_cancel(&server->intake.wake);
    for (size_t i = 0; i < server->listener_count; i++) {
        server->listeners[i].fd = -1; /* it was lent */
        server->listeners[i].front = NULL;
    }
}

/* ---- the hub's life ---- */

int *rp_hub_lock_ports(rp_hub *hub)
{
    rp_mutex_lock(&hub->making);
    return hub->ports;
}

void rp_hub_unlock_ports(rp_hub *hub)
{
    rp_mutex_unlock(&hub->making);
}

static void run(void *arg)
{
    rp_hub *hub = arg;
    int rc = rp_run_forever(hub->loop);

    if (rc < 0)
        rp_loop_report(hub->loop, "the thread that accepts connections has failed", rc, NULL, NULL, NULL, NULL);
    rp_loop_close(hub->loop);
    rp_mutex_lock(&hub->mutex);
    hub->ended = true;
    rp_cond_broadcast(&hub->changed);
    rp_mutex_unlock(&hub->mutex);
}

static void free_hub(rp_hub *hub)
{
    rp_loop_free(hub->loop);
    rp_cond_fini(&hub->changed);
    rp_mutex_fini(&hub->mutex);
    rp_mutex_fini(&hub->making);
    rp_free(hub);
}

int rp_hub_new(rp_hub **out)
{
    rp_hub *hub = rp_calloc(sizeof *hub);

    if (hub == NULL)
        return -ENOMEM;
    rp_list_init(&hub->fronts);
    rp_list_init(&hub->deferred);
    int rc = rp_mutex_init(&hub->making);
    if (rc < 0)
        goto no_making;
    rc = rp_mutex_init(&hub->mutex);
    if (rc < 0)
        goto no_mutex;
    rc = rp_cond_init(&hub->changed);
    if (rc < 0)
        goto no_cond;
    rc = rp_loop_new(NULL, &hub->loop);
    if (rc == 0)
        rc = rp_thread_start(run, hub);
    if (rc < 0) {
        free_hub(hub);
        return rc;
    }
    *out = hub;
    return 0;

no_cond:
    rp_mutex_fini(&hub->mutex);
no_mutex:
    rp_mutex_fini(&hub->making);
no_making:
    rp_free(hub);
    return rc;
}

static void stop(void *arg)
{
    rp_loop_stop(arg);
}

void rp_hub_free(rp_hub *hub)
{
    if (hub == NULL)
        return;
    rp_call_soon_threadsafe(hub->loop, &hub->stop, stop, hub->loop); /* fails if it has ended */
    rp_mutex_lock(&hub->mutex);
    while (!hub->ended)
        rp_cond_wait(&hub->changed, &hub->mutex, RP_NEVER);
    rp_mutex_unlock(&hub->mutex);
    free_hub(hub);
}
