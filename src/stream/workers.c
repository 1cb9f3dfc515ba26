/*
 * workers.c - the worker group: a coroutine on several loops in as many threads.
 *
 * Each worker has a runner, and so a loop, an executor and an end of its own; nothing is shared between them but the
 * group, under its mutex. A task stays where it began. The first worker that fails stops the others: their main tasks
 * are cancelled, by a handle posted to their loops (which wakes them: on Windows, by a packet in their ports), while
 * `loop` says that there is one.
 *
 * Connections are spread in one of two ways. Where it can, the kernel does it, over the workers' listening sockets
 * (SO_REUSEPORT): by a hash of the client's address, so that a worker's share is even in the long run only. Else, or if
 * that is asked for, a balancer accepts for all (net/balancer.c), and gives each to the worker that has the fewest.
 *
 * A server on port 0 must get the same port in every worker: the nth such server of each worker gets the group's nth
 * port. One that is not made gives its number back, since it may be made in the other workers, or at a second try.
 * Where the kernel spreads, a bound socket that never listens keeps that port free from the first one's start until the
 * group ends. A balancer has a count of its own, and remembers the port; while no worker listens there, others may
 * take it.
 */
#include "stream/workers.h"

#include "base/leave.h"
#include "base/memory.h"
#include "base/socket.h"
#include "base/thread.h"
#include "loop/loop.h"
#include "net/bind.h"
#include "ringport/co.h"

enum { PORTS_MAX = RP_BALANCER_SLOTS };
_Static_assert(PORTS_MAX == 64, "a bit for each");

typedef struct group group;

typedef struct worker {
    group *group;
    unsigned index;
    uint64_t ports; /* by bits: the numbers that its servers on port 0 have */
    uint64_t slots; /* and that those have that the balancer accepts for */
    rp_loop *loop;  /* under the mutex; NULL: nothing can be posted */
    rp_task *main;  /* on the worker's thread; NULL before it is made and after it has ended */
    rp_handle stop;
} worker;

struct group {
    rp_mutex mutex;
    rp_cond ended;
    rp_coro *coro;
    void *arg;
    rp_signal_mask mask; /* of the thread that started the group: all workers run under it */
    unsigned running;    /* threads, the caller's not counted */
    bool stopping;
    int error; /* the first */
    struct {
        rp_fd fd;
        int port;
    } ports[PORTS_MAX];
    unsigned port_count;
    rp_balancer *balancer; /* made on first use */
    unsigned count;
    worker workers[];
};

static _Thread_local worker *this_worker;

int rp_worker_index(void)
{
    return this_worker != NULL ? (int)this_worker->index : -1;
}

/* ---- stopping ---- */

static void cancel_main(void *arg)
{
    worker *w = arg;

    if (w->main != NULL)
        rp_task_cancel(w->main);
}

/* Any worker's thread: the first error ends the group. */
static void stop_group(group *g, int error)
{
    rp_mutex_lock(&g->mutex);
    if (!g->stopping) {
        g->stopping = true;
        g->error = error;
        for (unsigned i = 0; i < g->count; i++)
            if (g->workers[i].loop != NULL)
                rp_call_soon_threadsafe(g->workers[i].loop, &g->workers[i].stop, cancel_main, &g->workers[i]);
    }
    rp_mutex_unlock(&g->mutex);
}

/* ---- a worker's life ---- */

static int run_coro(rp_co *co, void *arg)
{
    worker *w = arg;

    w->main = rp_co_task(co);
    int rc = w->group->coro(co, w->group->arg);
    w->main = NULL;
    return rc;
}

/* Lets others stop the worker from now on. -ECANCELED if they have done so already. */
static int announce(worker *w, rp_loop *loop)
{
    rp_mutex_lock(&w->group->mutex);
    int rc = w->group->stopping ? -ECANCELED : 0;
    w->loop = rc == 0 ? loop : NULL;
    loop->posts_expected = true; /* those of the group, and connections from its balancer */
    rp_mutex_unlock(&w->group->mutex);
    return rc;
}

/* After this, `stop` is idle and stays so. */
static void withdraw(worker *w)
{
    rp_mutex_lock(&w->group->mutex);
    w->loop = NULL;
    rp_mutex_unlock(&w->group->mutex);
    rp_handle_cancel(&w->stop);
}

typedef struct worker_run {
    worker *worker;
    rp_runner *runner;
    unsigned generation;
    int rc; /* that of a run which an exception ends, at first */
} worker_run;

/* False in a child of fork(): it has the group's memory, but none of the threads, one of which may hold the mutex. */
static bool has_group(const worker_run *run)
{
    return run->generation == rp_fork_generation();
}

static void end_worker(worker_run *run)
{
    if (has_group(run)) {
        withdraw(run->worker);
        if (run->rc < 0)
            stop_group(run->worker->group, run->rc);
    }
    rp_runner_free(run->runner);
    this_worker = NULL;
}

/* Returns whether this is still the process of the group. */
static bool run_worker(worker *w)
{
    worker_run run RP_ON_LEAVE(end_worker) = {w, NULL, rp_fork_generation(), -ECANCELED};
    rp_loop *loop;
    int rc = rp_runner_new(NULL, &run.runner);

    this_worker = w;
    if (rc == 0)
        rc = rp_runner_get_loop(run.runner, &loop);
    if (rc == 0)
        rc = announce(w, loop);
    if (rc == 0)
        rc = rp_runner_run(run.runner, run_coro, w);
    run.rc = rc;
    return has_group(&run);
}

static void run_thread(void *arg)
{
    worker *w = arg;
    group *g = w->group;
    rp_signal_mask mask = g->mask;

    rp_signal_mask_swap(&mask);
    if (!run_worker(w))
        return;
    rp_mutex_lock(&g->mutex);
    if (--g->running == 0)
        rp_cond_broadcast(&g->ended);
    rp_mutex_unlock(&g->mutex);
}

static void start_threads(group *g)
{
    for (unsigned i = 1; i < g->count; i++) {
        rp_mutex_lock(&g->mutex);
        g->running++;
        rp_mutex_unlock(&g->mutex);
        int rc = rp_thread_start(run_thread, &g->workers[i]);
        if (rc == 0)
            continue;
        rp_mutex_lock(&g->mutex);
        g->running--;
        rp_mutex_unlock(&g->mutex);
        stop_group(g, rc);
        return;
    }
}

/* ---- the group ---- */

static int make_group(unsigned count, rp_coro *coro, void *arg, group **out)
{
    group *g = rp_calloc(sizeof *g + count * sizeof g->workers[0]);

    if (g == NULL)
        return -ENOMEM;
    int rc = rp_mutex_init(&g->mutex);
    if (rc < 0)
        goto no_mutex;
    rc = rp_cond_init(&g->ended);
    if (rc < 0)
        goto no_cond;
    g->coro = coro;
    g->arg = arg;
    rp_signal_mask_get(&g->mask);
    g->count = count;
    for (unsigned i = 0; i < count; i++)
        g->workers[i] = (worker){.group = g, .index = i};
    *out = g;
    return 0;

no_cond:
    rp_mutex_fini(&g->mutex);
no_mutex:
    rp_free(g);
    return rc;
}

static void free_group(group *g)
{
    rp_balancer_free(g->balancer);
    for (unsigned i = 0; i < g->port_count; i++)
        rp_socket_close(g->ports[i].fd);
    rp_cond_fini(&g->ended);
    rp_mutex_fini(&g->mutex);
    rp_free(g);
}

/* Of rp_run_workers(). */
typedef struct group_run {
    group *group;
    unsigned generation;
} group_run;

static void join_threads(group *g)
{
    rp_mutex_lock(&g->mutex);
    while (g->running > 0)
        rp_cond_wait(&g->ended, &g->mutex, RP_NEVER);
    rp_mutex_unlock(&g->mutex);
}

static void end_group(group_run *run)
{
    if (run->generation != rp_fork_generation())
        return;
    join_threads(run->group);
    free_group(run->group);
}

int rp_run_workers(unsigned count, rp_coro *coro, void *arg)
{
    group *g;

    if (count == 0 || count > RP_WORKERS_MAX || coro == NULL)
        return -EINVAL;
    if (rp_get_running_loop() != NULL || this_worker != NULL)
        return RP_ERUNNING;
    int rc = make_group(count, coro, arg, &g);
    if (rc < 0)
        return rc;
    group_run run RP_ON_LEAVE(end_group) = {g, rp_fork_generation()};
    start_threads(run.group);
    if (!run_worker(&g->workers[0]))
        return RP_EFORK;
    join_threads(g);
    return g->error;
}

/* ---- shared addresses ---- */

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
static int find_port(worker *w, int *port, rp_place *place)
{
    group *g = w->group;

    RP_TRY(take_number(&w->ports, place));
    rp_mutex_lock(&g->mutex);
    unsigned n = place->slot;
    int rc = n == g->port_count ? rp_bind_reserve_port(&g->ports[n].fd, &g->ports[n].port) : 0;
    if (rc == 0 && n == g->port_count)
        g->port_count++;
    *port = rc == 0 ? g->ports[n].port : 0;
    rp_mutex_unlock(&g->mutex);
    return rc;
}

static int find_place(worker *w, int port, rp_place *place)
{
    group *g = w->group;
    int rc = 0;

    rp_mutex_lock(&g->mutex);
    if (g->balancer == NULL)
        rc = rp_balancer_new(&g->balancer);
    place->balancer = g->balancer;
    rp_mutex_unlock(&g->mutex);
    return rc == 0 && port == 0 ? take_number(&w->slots, place) : rc;
}

int rp_workers_share_address(rp_server_options *options, int *port, rp_place *place)
{
    worker *w = this_worker;
    int rc = 0;

    *place = (rp_place){.balancer = NULL};
    if (w == NULL)
        return 0;
    if (!RP_SOCKET_SHARES || options->balance)
        return find_place(w, *port, place);
    options->reuse_port = true;
    if (*port == 0)
        rc = find_port(w, port, place);
    if (rc < 0)
        rp_workers_unshare_address(place);
    return rc;
}

void rp_workers_unshare_address(const rp_place *place)
{
    uint64_t number = UINT64_C(1) << place->slot;

    if (!place->numbered)
        return;
    if (place->balancer != NULL)
        this_worker->slots &= ~number;
    else
        this_worker->ports &= ~number;
}
