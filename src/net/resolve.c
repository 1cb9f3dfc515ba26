/*
 * resolve.c - names to addresses: numeric ones at once, others by getaddrinfo() on the default executor.
 *
 * getaddrinfo() may take half a minute, and cannot be interrupted. So a lookup that is cancelled does not wait for it,
 * and what the thread works on, the question, is a block of its own with two owners, the lookup and the job: whichever
 * lets go last frees it, on either thread.
 */
#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "base/memory.h"
#include "loop/future.h"
#include "loop/resource.h"
#include "net/resolve_error.h"
#include "net/resolve.h"

typedef struct question {
    atomic_int owners;
    struct addrinfo hints;
    struct addrinfo *answer;
    int error;
    const char *host; /* in text, or NULL */
    const char *service;
    char text[];
} question;

typedef struct lookup {
    rp_future future;
    struct addrinfo *list; /* the future's value */
    question *question;
    rp_future *job; /* that asks the question; NULL if nothing is under way */
    rp_done_callback answered;
    rp_resource resource;
} lookup;

/* ---- the question ---- */

static question *new_question(const char *host, const char *service, const struct addrinfo *hints)
{
    size_t host_size = host ? strlen(host) + 1 : 0;
    size_t service_size = service ? strlen(service) + 1 : 0;
    question *q = rp_calloc(sizeof *q + host_size + service_size);

    if (!q)
        return NULL;
    atomic_init(&q->owners, 2);
    q->hints = *hints;
    if (host)
        q->host = memcpy(q->text, host, host_size);
    if (service)
        q->service = memcpy(q->text + host_size, service, service_size);
    return q;
}

static void drop_question(question *q)
{
    if (atomic_fetch_sub_explicit(&q->owners, 1, memory_order_acq_rel) > 1)
        return;
    if (q->answer)
        freeaddrinfo(q->answer);
    rp_free(q);
}

/* On a thread of the executor. */
static int ask(void *arg)
{
    question *q = arg;

    q->error = rp_resolve(q->host, q->service, &q->hints, &q->answer);
    drop_question(q);
    return 0;
}

/* ---- the lookup ---- */

/* Lets go of the job and its question; the job may be under way still. */
static void abandon(lookup *self)
{
    assert(self->job && self->question);
    rp_future_remove_done_callback(&self->answered);
    if (rp_future_cancel(self->job)) /* the question will never be asked */
        drop_question(self->question);
    drop_question(self->question);
    rp_future_unref(self->job);
    self->question = NULL;
    self->job = NULL;
    rp_resource_remove(&self->resource);
}

static void on_answered(rp_future *job, void *arg)
{
    lookup *self = arg;
    int error = rp_future_result(job);

    if (error == 0) {
        error = self->question->error;
        self->list = self->question->answer;
        self->question->answer = NULL;
    }
    abandon(self);
    rp_future_finish(&self->future, error, self->list);
    rp_future_unref(&self->future);
}

static bool cancel(rp_future *future)
{
    lookup *self = rp_container_of(future, lookup, future);

    if (self->job)
        abandon(self);
    else
        rp_future_ref(future); /* the loop is closed, and the lookup's own reference gone */
    rp_future_finish_cancelled(future);
    rp_future_unref(future);
    return true;
}

static void reap(rp_resource *resource)
{
    lookup *self = rp_container_of(resource, lookup, resource);

    abandon(self);
    rp_future_unref(&self->future);
}

static const rp_resource_type resource_type = {.at = {[RP_REAP] = reap}};

static void dispose(rp_future *future)
{
    lookup *self = rp_container_of(future, lookup, future);

    if (self->list)
        freeaddrinfo(self->list);
    rp_future_fini(future);
    rp_free(self);
}

static const rp_future_type lookup_type = {.name = "name lookup", .cancel = cancel, .dispose = dispose};

static int start(lookup *self, const char *host, const char *service, const struct addrinfo *hints)
{
    rp_loop *loop = self->future.loop;
    int rc;

    self->question = new_question(host, service, hints);
    if (!self->question)
        return -ENOMEM;
    rc = rp_run_in_executor(loop, NULL, ask, self->question, &self->job);
    if (rc < 0) {
        rp_free(self->question);
        return rc;
    }
    rp_resource_add(loop, &self->resource, &resource_type);
    rp_future_ref(&self->future); /* until it is answered */
    rp_future_add_done_callback(self->job, &self->answered, on_answered, self);
    return 0;
}

/* Numeric hosts and ports need no thread. NULL: these are not. */
static struct addrinfo *read_numbers(const char *host, const char *service, const struct addrinfo *hints)
{
    struct addrinfo numeric = *hints, *list = NULL;

    numeric.ai_flags |= (host ? AI_NUMERICHOST : 0) | (service ? AI_NUMERICSERV : 0);
    return rp_resolve(host, service, &numeric, &list) == 0 ? list : NULL;
}

int rp_loop_getaddrinfo(rp_loop *loop, const char *host, const char *service, const struct addrinfo *hints,
                        rp_future **future)
{
    struct addrinfo plain = {0};
    lookup *self;
    int rc = 0;

    RP_TRY(rp_loop_check(loop));
    RP_TRY(rp_kernel_start_names(loop->kernel));
    if (hints) {
        plain.ai_flags = hints->ai_flags;
        plain.ai_family = hints->ai_family;
        plain.ai_socktype = hints->ai_socktype;
        plain.ai_protocol = hints->ai_protocol;
    }
    self = rp_calloc(sizeof *self);
    if (!self)
        return -ENOMEM;
    rp_future_init(&self->future, loop, &lookup_type);
    self->list = read_numbers(host, service, &plain);
    if (self->list)
        rp_future_finish(&self->future, 0, self->list);
    else
        rc = start(self, host, service, &plain);
    if (rc < 0)
        rp_future_unref(&self->future);
    else
        *future = &self->future;
    return rc;
}

struct addrinfo *rp_lookup_take(rp_future *future)
{
    lookup *self = rp_container_of(future, lookup, future);
    struct addrinfo *list = self->list;

    self->list = NULL;
    future->value = NULL;
    return list;
}
