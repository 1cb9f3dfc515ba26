/*
 * balancer.c - one listening socket for the servers of several loops: a thread accepts, and hands each connection to
 * the server that has the fewest.
 *
 * It is for systems on which the kernel does not spread connections over sockets that listen at the same address, and
 * for whoever wants them spread evenly. The thread runs an ordinary loop, and for each address a listener on it, the
 * front. A socket that it accepts is known to no loop, and to no completion port, until the server that will serve it
 * takes it. No worker's end is special: a front lasts as long as any server has a seat there.
 *
 * What must stay true: fronts, and the seats at them, are touched on the balancer's thread alone. Members, which are
 * what servers have of the balancer, ask it to (ask()) and wait for the answer, which it can always give, since it runs
 * nobody else's code. Only a connection's way to its server goes without asking: it is among the member's arrivals
 * until the server takes it, or leaves and so lets another one have it. If there is no other one, it is closed, as
 * what waits in a socket's backlog is.
 */
#include "connect/balancer.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"
#include "base/thread.h"
#include "connect/listen.h"
#include "loop/exception.h"
#include "loop/handle.h"
#include "loop/resource.h"
#include "net/bind.h"

enum { LATER = 1 }; /* the call will be answered by finish() */

struct rp_balancer {
    rp_loop *loop;
    rp_handle stop;
    rp_node fronts;
    rp_node deferred; /* calls that wait until a front is gone */
    rp_mutex making;  /* see rp_balancer_lock_ports() */
    int ports[RP_BALANCER_SLOTS];
    rp_mutex mutex; /* for the rest, the answers to calls, and arrivals */
    rp_cond changed;
    bool ended; /* the thread does nothing any more */
};

typedef struct member member;

/* A listening socket that servers share. */
typedef struct front {
    rp_balancer *balancer;
    rp_node link;
    rp_listener listener;
    int backlog;
    bool serving;
    rp_node seats;       /* those that are handed connections, the one that has waited longest first */
    unsigned users;      /* seats, those that are handed nothing yet too */
    struct call *leaver; /* of the last one: it waits until the front is gone */
    rp_resource resource;
    struct sockaddr_storage address;
    size_t length;
} front;

/* A member's place at a front. */
typedef struct seat {
    member *member;
    front *front;
    rp_node link; /* in the front's list while the member is handed connections */
} seat;

/* What a server has of the balancer. */
struct member {
    rp_intake intake;
    rp_balancer *balancer;
    rp_node arrivals; /* handed to it and not taken, under the mutex */
    size_t seat_count;
    seat seats[];
};

/* Something that the balancer's thread does for another one, which waits meanwhile. */
typedef struct call call;
struct call {
    rp_handle handle;
    rp_node link; /* in `deferred` */
    rp_balancer *balancer;
    int (*function)(call *c); /* 0, LATER or an error */
    member *member;
    unsigned leaving; /* fronts that must be gone before the answer, and one */
    struct {
        const struct addrinfo *info;
        int port;
        const rp_server_options *options;
        front *front; /* the answer */
    } join;
    int result;
    bool done; /* under the mutex */
};

/* A connection on its way to a server. */
typedef struct arrival {
    rp_node link;
    front *front;
    rp_fd fd;
} arrival;

static member *member_of(rp_intake *intake)
{
    return rp_container_of(intake, member, intake);
}

/* ---- asking ---- */

static void finish(call *c, int result)
{
    rp_balancer *balancer = c->balancer;

    rp_mutex_lock(&balancer->mutex);
    assert(!c->done);
    c->result = result;
    c->done = true;
    rp_cond_broadcast(&balancer->changed);
    rp_mutex_unlock(&balancer->mutex);
}

static void run_call(void *arg)
{
    call *c = arg;
    int rc = c->function(c);

    if (rc != LATER)
        finish(c, rc);
}

static int ask(call *c)
{
    rp_balancer *balancer = c->member->balancer;

    c->balancer = balancer;
    RP_TRY(rp_call_soon_threadsafe(balancer->loop, &c->handle, run_call, c));
    rp_mutex_lock(&balancer->mutex);
    while (!c->done && !balancer->ended)
        rp_cond_wait(&balancer->changed, &balancer->mutex, RP_NEVER);
    int rc = c->done ? c->result : RP_ECLOSED;
    rp_mutex_unlock(&balancer->mutex);
    return rc;
}

static void resume_deferred(rp_balancer *balancer)
{
    while (!rp_list_empty(&balancer->deferred)) {
        call *c = rp_container_of(rp_list_pop(&balancer->deferred), call, link);

        rp_handle_prepare(&c->handle, balancer->loop, run_call, c);
        rp_loop_ready(balancer->loop, &c->handle);
    }
}

/* ---- handing connections out, on the balancer's thread ---- */

static void drop(const rp_balancer *balancer, arrival *a)
{
    rp_kernel_close(balancer->loop->kernel, a->fd);
    rp_free(a);
}

/* The seat whose server has the fewest connections; of several, the one that has waited longest. NULL: none. */
static seat *choose(front *f)
{
    seat *best = NULL;
    size_t least = SIZE_MAX;

    for (rp_node *node = f->seats.next; node != &f->seats; node = node->next) {
        seat *s = rp_container_of(node, seat, link);
        size_t load = atomic_load_explicit(&s->member->intake.load, memory_order_relaxed);

        if (load < least) {
            best = s;
            least = load;
        }
    }
    return best;
}

static void hand_out(front *f, arrival *a)
{
    seat *s = choose(f);

    if (!s) {
        drop(f->balancer, a);
        return;
    }
    rp_intake *intake = &s->member->intake;
    rp_list_remove(&s->link);
    rp_list_push(&f->seats, &s->link);
    atomic_fetch_add_explicit(&intake->load, 1, memory_order_relaxed);
    a->front = f;
    rp_mutex_lock(&f->balancer->mutex);
    rp_list_push(&s->member->arrivals, &a->link);
    rp_mutex_unlock(&f->balancer->mutex);
    /* This fails if it is posted already, or if its loop is being closed, which ends in leave(). */
    rp_call_soon_threadsafe(intake->loop, &intake->wake, intake->woken, intake->server);
}

static void on_accepted(rp_listener *listener, rp_fd fd)
{
    front *f = listener->owner;
    arrival *a = rp_malloc(sizeof *a);

    if (!a) {
        rp_loop_report(f->balancer->loop, &(rp_report){.where = RP_WHERE_HAND_OVER, .error = -ENOMEM});
        rp_kernel_close(f->balancer->loop->kernel, fd);
        return;
    }
    a->fd = fd;
    hand_out(f, a);
}

static arrival *next_arrival(member *m)
{
    rp_mutex_lock(&m->balancer->mutex);
    rp_node *node = rp_list_pop(&m->arrivals);
    rp_mutex_unlock(&m->balancer->mutex);
    return node ? rp_container_of(node, arrival, link) : NULL;
}

static bool take(rp_intake *intake, rp_fd *fd)
{
    arrival *a = next_arrival(member_of(intake));

    if (!a)
        return false;
    *fd = a->fd;
    rp_free(a);
    return true;
}

/* ---- fronts, on the balancer's thread ---- */

static void free_front(front *f)
{
    rp_resource_remove(&f->resource);
    rp_list_remove(&f->link);
    rp_free(f);
}

static void on_closed(rp_listener *listener)
{
    front *f = listener->owner;
    rp_balancer *balancer = f->balancer;
    call *leaver = f->leaver;

    assert(f->users == 0 && rp_list_empty(&f->seats));
    free_front(f);
    if (leaver && --leaver->leaving == 0)
        finish(leaver, 0);
    resume_deferred(balancer);
}

static const rp_listener_type listener_type = {.accepted = on_accepted, .closed = on_closed};

/* The loop has failed, and is closed before the servers have left. */
static void reap(rp_resource *resource)
{
    front *f = rp_container_of(resource, front, resource);

    rp_listener_reap(&f->listener);
    free_front(f);
}

static const rp_resource_type resource_type = {.at = {[RP_REAP] = reap}};

static int make_front(rp_balancer *balancer, const call *c, front **out)
{
    front *f = rp_calloc(sizeof *f);
    rp_fd fd;

    if (!f)
        return -ENOMEM;
    int rc = rp_bind_tcp(balancer->loop->kernel, c->join.info, c->join.port, c->join.options, &fd);
    if (rc < 0) {
        rp_free(f);
        return rc;
    }
    f->balancer = balancer;
    f->backlog = c->join.options->backlog > 0 ? c->join.options->backlog : 100;
    rp_listener_init(&f->listener, balancer->loop, fd, &listener_type, f);
    rp_list_init(&f->seats);
    rp_list_push(&balancer->fronts, &f->link);
    rp_resource_add(balancer->loop, &f->resource, &resource_type);
    rp_bind_address(c->join.info, rp_bind_port(balancer->loop->kernel, fd), &f->address);
    f->length = c->join.info->ai_addrlen;
    *out = f;
    return 0;
}

static front *find_front(const rp_balancer *balancer, const call *c)
{
    struct sockaddr_storage address;

    rp_bind_address(c->join.info, c->join.port, &address);
    for (rp_node *node = balancer->fronts.next; node != &balancer->fronts; node = node->next) {
        front *f = rp_container_of(node, front, link);

        if (f->length == c->join.info->ai_addrlen && memcmp(&f->address, &address, f->length) == 0)
            return f;
    }
    return NULL;
}

/* ---- what servers ask for ---- */

static int join(call *c)
{
    front *f = find_front(c->balancer, c);

    if (f && f->leaver) {
        rp_list_push(&c->balancer->deferred, &c->link);
        return LATER;
    }
    if (!f)
        RP_TRY(make_front(c->balancer, c, &f));
    f->users++;
    c->join.front = f;
    return 0;
}

int rp_balancer_join(rp_intake *intake, const struct addrinfo *info, int port, const rp_server_options *options,
                     rp_fd *fd)
{
    member *m = member_of(intake);
    call c = {.function = join, .member = m, .join = {.info = info, .port = port, .options = options}};

    RP_TRY(ask(&c));
    m->seats[m->seat_count++] = (seat){.member = m, .front = c.join.front};
    *fd = c.join.front->listener.fd;
    return 0;
}

/* Its listener accepts from the first seat on. */
static int start(front *f)
{
    if (f->serving)
        return 0;
    RP_TRY(rp_kernel_listen(f->balancer->loop->kernel, f->listener.fd, f->backlog));
    rp_listener_start(&f->listener);
    f->serving = true;
    return 0;
}

static int sit_down(call *c)
{
    member *m = c->member;

    for (size_t i = 0; i < m->seat_count; i++)
        RP_TRY(start(m->seats[i].front));
    for (size_t i = 0; i < m->seat_count; i++)
        rp_list_push_front(&m->seats[i].front->seats, &m->seats[i].link);
    return 0;
}

static int serve(rp_intake *intake)
{
    call c = {.function = sit_down, .member = member_of(intake)};

    return ask(&c);
}

static int stand_up(call *c)
{
    member *m = c->member;
    arrival *a;

    for (size_t i = 0; i < m->seat_count; i++)
        if (rp_node_linked(&m->seats[i].link))
            rp_list_remove(&m->seats[i].link);
    while ((a = next_arrival(m)))
        hand_out(a->front, a);
    c->leaving = 1;
    for (size_t i = 0; i < m->seat_count; i++) {
        front *f = m->seats[i].front;

        assert(f->users > 0 && !f->leaver);
        if (--f->users > 0)
            continue;
        f->leaver = c;
        c->leaving++;
        rp_listener_close(&f->listener);
    }
    return --c->leaving == 0 ? 0 : LATER;
}

/*
 * What was handed to it and not taken goes to other servers of the same address. Without any, the address is free when
 * this returns.
 */
static void leave(rp_intake *intake)
{
    member *m = member_of(intake);
    call c = {.function = stand_up, .member = m};
    int rc = ask(&c);
    arrival *a;

    if (rc == RP_EFORK) /* nobody knows in which state the parent's thread was when it left this copy behind */
        return;
    if (rc < 0) /* the balancer has failed */
        while ((a = next_arrival(m)))
            drop(m->balancer, a);
    rp_handle_cancel(&intake->wake);
}

static const rp_intake_type intake_type = {.serve = serve, .take = take, .leave = leave};

rp_intake *rp_balancer_intake_new(rp_balancer *balancer, size_t addresses)
{
    member *m = rp_calloc(sizeof *m + addresses * sizeof m->seats[0]);

    if (!m)
        return NULL;
    m->intake.type = &intake_type;
    m->balancer = balancer;
    rp_list_init(&m->arrivals);
    return &m->intake;
}

/* ---- the balancer's life ---- */

int *rp_balancer_lock_ports(rp_balancer *balancer)
{
    rp_mutex_lock(&balancer->making);
    return balancer->ports;
}

void rp_balancer_unlock_ports(rp_balancer *balancer)
{
    rp_mutex_unlock(&balancer->making);
}

static void run(void *arg)
{
    rp_balancer *balancer = arg;
    int rc = rp_run_forever(balancer->loop);

    if (rc < 0)
        rp_loop_report(balancer->loop, &(rp_report){.where = RP_WHERE_BALANCER, .error = rc});
    rp_loop_close(balancer->loop);
    rp_mutex_lock(&balancer->mutex);
    balancer->ended = true;
    rp_cond_broadcast(&balancer->changed);
    rp_mutex_unlock(&balancer->mutex);
}

static void free_balancer(rp_balancer *balancer)
{
    rp_loop_free(balancer->loop);
    rp_cond_fini(&balancer->changed);
    rp_mutex_fini(&balancer->mutex);
    rp_mutex_fini(&balancer->making);
    rp_free(balancer);
}

int rp_balancer_new(rp_balancer **out)
{
    rp_balancer *balancer = rp_calloc(sizeof *balancer);

    if (!balancer)
        return -ENOMEM;
    rp_list_init(&balancer->fronts);
    rp_list_init(&balancer->deferred);
    int rc = rp_mutex_init(&balancer->making);
    if (rc < 0)
        goto no_making;
    rc = rp_mutex_init(&balancer->mutex);
    if (rc < 0)
        goto no_mutex;
    rc = rp_cond_init(&balancer->changed);
    if (rc < 0)
        goto no_cond;
    rc = rp_loop_new(NULL, &balancer->loop);
    if (rc == 0)
        rc = rp_thread_start(run, balancer);
    if (rc < 0) {
        free_balancer(balancer);
        return rc;
    }
    *out = balancer;
    return 0;

no_cond:
    rp_mutex_fini(&balancer->mutex);
no_mutex:
    rp_mutex_fini(&balancer->making);
no_making:
    rp_free(balancer);
    return rc;
}

static void stop(void *arg)
{
    rp_loop_stop(arg);
}

void rp_balancer_free(rp_balancer *balancer)
{
    if (!balancer)
        return;
    rp_call_soon_threadsafe(balancer->loop, &balancer->stop, stop, balancer->loop); /* fails if it has ended */
    rp_mutex_lock(&balancer->mutex);
    while (!balancer->ended)
        rp_cond_wait(&balancer->changed, &balancer->mutex, RP_NEVER);
    rp_mutex_unlock(&balancer->mutex);
    free_balancer(balancer);
}
