/*
 * proactor.c - choosing and opening a backend, and the public calls, which ask it.
 */
#include "proactor/proactor.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"
#ifdef _WIN32
#include "proactor/iocp.h"
#else
#include "proactor/epoll.h"
#ifdef RP_HAVE_IO_URING
#include "proactor/uring.h"
#endif
#endif

/* In order of preference. */
static const rp_backend *const backends[] = {
#ifdef _WIN32
    &rp_iocp_backend,
#else
#ifdef RP_HAVE_IO_URING
    &rp_uring_backend,
#endif
    &rp_epoll_backend,
#endif
};

enum {
    BACKENDS = sizeof backends / sizeof backends[0],
    SHORT_POLL = 20000, /* nanoseconds: about what it costs to sleep and be woken */
};

/* Why one that this platform prefers is not among them; "": none is missing. */
#if defined(_WIN32) || defined(RP_HAVE_IO_URING)
static const char missing[] = "";
#else
static const char missing[] = "io_uring: not in this build";
#endif

/* Whether an error of a backend's open means that this system has no such thing, rather than that it ran out. */
static bool is_refusal(int error)
{
    return error == -EPERM || error == -EACCES || error == -ENOSYS || error == -EINVAL || error == -ENOMEM;
}

/* Memory for a backend's proactor, or NULL. */
static rp_proactor *make(const rp_backend *backend)
{
    rp_proactor *made = rp_calloc(backend->size);

    if (!made)
        return NULL;
    made->backend = backend;
    made->kernel = &rp_system_kernel;
    made->short_poll.duration = SHORT_POLL;
    made->fork_generation = rp_fork_generation();
    rp_list_init(&made->operations);
    rp_list_init(&made->finished);
    return made;
}

/* Opens the first of so many that this system does not refuse. `passed_over` is why a better one is not among them. */
static int open_first(const rp_backend *const *candidates, int count, const char *passed_over,
                      const rp_proactor_options *options, rp_proactor **proactor)
{
    char reason[sizeof(*proactor)->fallback_reason];
    int rc = -ENOTSUP;

    snprintf(reason, sizeof reason, "%s", passed_over);
    for (int i = 0; i < count; i++) {
        rp_proactor *made = make(candidates[i]);

        if (!made)
            return -ENOMEM;
        rc = made->backend->open(made, options);
        if (rc == 0) {
            memcpy(made->fallback_reason, reason, sizeof reason);
            *proactor = made;
            return 0;
        }
        rp_free(made);
        if (!is_refusal(rc))
            return rc;
        snprintf(reason, sizeof reason, "%s: %s", candidates[i]->name, rp_strerror(rc));
    }
    return rc;
}

static const rp_backend *find(const char *name)
{
    for (int i = 0; i < BACKENDS; i++)
        if (strcmp(backends[i]->name, name) == 0)
            return backends[i];
    return NULL;
}

/* Whether other builds have it. */
static bool is_known(const char *name)
{
    return strcmp(name, "io_uring") == 0 || strcmp(name, "epoll") == 0 || strcmp(name, "iocp") == 0;
}

static int open_named(const char *name, const rp_proactor_options *options, rp_proactor **proactor)
{
    const rp_backend *backend = find(name);

    if (backend)
        return open_first(&backend, 1, "", options, proactor);
    return is_known(name) ? -ENOTSUP : -EINVAL;
}

/* NULL: none. A program that knows nothing of the variable can say no more than that its loop could not be made. */
static const char *name_in_environment(void)
{
    const char *name = getenv("RINGPORT_PROACTOR");

    if (name && name[0] != '\0' && !find(name))
        fprintf(stderr, "ringport: RINGPORT_PROACTOR=%s: %s\n", name,
                is_known(name) ? "this build has no such backend" : "neither io_uring, epoll nor iocp");
    return name;
}

int rp_proactor_open(const char *name, const rp_proactor_options *options, rp_proactor **proactor)
{
    static const rp_proactor_options defaults;
    rp_busy_poll busy_poll;

    *proactor = NULL;
    if (!options)
        options = &defaults;
    int rc = rp_busy_poll_init(&busy_poll, options->busy_poll);
    if (rc < 0)
        return rc;
    if (!name)
        name = name_in_environment();
    if (name && name[0] != '\0')
        rc = open_named(name, options, proactor);
    else
        rc = open_first(backends, BACKENDS, missing, options, proactor);
    if (rc == 0)
        (*proactor)->busy_poll = busy_poll;
    return rc;
}

static void cancel_all(rp_proactor *proactor)
{
    rp_completion completions[64];
    rp_node *next;

    for (rp_node *node = proactor->operations.next; node != &proactor->operations; node = next) {
        next = node->next;
        rp_proactor_cancel(proactor, rp_container_of(node, rp_op, link));
    }
    while (proactor->in_flight > 0) {
        int n = proactor->backend->wait(proactor, completions, 64, RP_NEVER);

        if (n < 0) /* not this thread's: the backend's close sees to the rest */
            break;
        for (int i = 0; i < n; i++)
            rp_completion_drop(&completions[i]);
    }
}

void rp_proactor_close(rp_proactor *proactor)
{
    if (!proactor)
        return;
    if (!rp_proactor_is_forked(proactor))
        cancel_all(proactor);
    proactor->backend->close(proactor);
    rp_free(proactor);
}

const char *rp_proactor_name(const rp_proactor *proactor)
{
    return proactor->backend->name;
}

const char *rp_proactor_fallback_reason(const rp_proactor *proactor)
{
    return proactor->fallback_reason[0] != '\0' ? proactor->fallback_reason : NULL;
}

int rp_proactor_submit(rp_proactor *proactor, rp_op *op)
{
    if (rp_proactor_is_forked(proactor))
        return RP_EFORK;
    if (op->kind >= RP_OP_KINDS_)
        return -EINVAL;
    if (op->state != RP_OP_IDLE && op->state != RP_OP_TAKEN)
        return -EBUSY;
    assert(!rp_node_linked(&op->link) && !rp_node_linked(&op->queue));
    op->owner = proactor;
    op->state = RP_OP_QUEUED; /* the backend's from here on */
    op->phase = 0;
    op->ready = 0;
    op->outcome = 0;
    op->flags = 0;
    proactor->in_flight++;
    rp_list_push(&proactor->operations, &op->link);
    proactor->backend->submit(proactor, op);
    assert(rp_op_is_in_flight(op)); /* it does not complete inside submit */
    return 0;
}

void rp_proactor_cancel(rp_proactor *proactor, rp_op *op)
{
    bool ended = op->state == RP_OP_IDLE || op->state == RP_OP_FINISHED || op->state == RP_OP_TAKEN;

    if (ended || rp_proactor_is_forked(proactor))
        return;
    proactor->backend->cancel(proactor, op);
}

void rp_proactor_forget(rp_proactor *proactor, rp_fd fd)
{
    if (proactor->backend->forget && !rp_proactor_is_forked(proactor))
        proactor->backend->forget(proactor, fd);
}

void rp_proactor_closing(rp_proactor *proactor, rp_fd fd)
{
    if (proactor->backend->closing && !rp_proactor_is_forked(proactor))
        proactor->backend->closing(proactor, fd);
}

void rp_proactor_let_go(rp_proactor *proactor)
{
    if (proactor->backend->let_go && !rp_proactor_is_forked(proactor))
        proactor->backend->let_go(proactor);
}

int rp_proactor_check_thread(const rp_proactor *proactor)
{
    if (!proactor->backend->check_thread || rp_proactor_is_forked(proactor))
        return 0;
    return proactor->backend->check_thread(proactor);
}

/* Completions, an error, or 0: nothing has come, unless proactor->woken says that a wake-up has. */
static int poll_busily(rp_proactor *proactor, rp_busy_poll *poll, rp_completion *completions, int capacity,
                       int64_t deadline)
{
    int64_t end = rp_time_add(rp_proactor_now(proactor), poll->duration);
    int n;

    if (end > deadline)
        end = deadline;
    proactor->woken = false;
    proactor->asking.now = 0; /* it is the kernel that is looked at */
    do {
        n = proactor->backend->wait(proactor, completions, capacity, 0);
        if (n != 0 || proactor->woken)
            break;
        rp_thread_yield();
    } while (rp_proactor_now(proactor) < end);
    rp_busy_poll_end(poll, n != 0 || proactor->woken);
    return n;
}

/*
 * A backend's wait may end by what completes nothing: a part of what an operation wants, or an edge that is not its
 * own. What nobody hears of ends no wait.
 */
static int wait_for_something(rp_proactor *proactor, rp_completion *completions, int capacity, int64_t deadline)
{
    int n;

    proactor->woken = false;
    do
        n = proactor->backend->wait(proactor, completions, capacity, deadline);
    while (n == 0 && deadline != 0 && !proactor->woken && rp_proactor_now(proactor) < deadline);
    return n;
}

int rp_proactor_wait(rp_proactor *proactor, rp_completion *completions, int capacity, int64_t deadline)
{
    if (rp_proactor_is_forked(proactor))
        return RP_EFORK;
    if (capacity <= 0)
        return -EINVAL;
    rp_busy_poll *poll = proactor->performing > 0 && proactor->busy_poll.duration < SHORT_POLL
                             ? &proactor->short_poll
                             : &proactor->busy_poll;
    if (deadline != 0 && poll->duration > 0 && rp_busy_poll_begin(poll)) {
        int n = poll_busily(proactor, poll, completions, capacity, deadline);

        if (n != 0 || proactor->woken)
            return n;
    }
    return wait_for_something(proactor, completions, capacity, deadline);
}

void rp_proactor_wake(rp_proactor *proactor)
{
    if (atomic_exchange(&proactor->wake_state, RP_NOTIFIED) != RP_ASLEEP || rp_proactor_is_forked(proactor))
        return;
    atomic_fetch_add_explicit(&proactor->wakeups, 1, memory_order_relaxed);
    proactor->backend->kick(proactor);
}

int64_t rp_op_receive(rp_op *op, void *buffer, size_t length)
{
    if (op->kind != RP_OP_RECV_STREAM || !op->owner || length == 0)
        return -EINVAL;
    return rp_proactor_receive(op, buffer, length);
}

bool rp_op_receivable(const rp_op *op)
{
    return (op->ready & RP_READY_INPUT) != 0;
}
