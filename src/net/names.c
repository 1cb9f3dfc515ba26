/*
 * names.c - asking about names: a loop's own pool of threads, and the questions that are under way on them.
 *
 * A resolver may take half a minute, and cannot be interrupted. So such questions never take a thread of the default
 * executor, and whoever is cancelled does not wait: the thread goes on alone. Whoever asks the same meanwhile joins it.
 * The pool is the loop's, because loops share nothing: joining needs no lock, and a child of fork() finds nothing of
 * its parent's in a loop of its own. Closing the loop leaves threads that are asking to themselves.
 */
#include "net/names.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "base/memory.h"
#include "loop/executor.h"
#include "loop/resource.h"

enum {
    MOST_THREADS = 64,
#ifdef _WIN32 /* where providers of names are libraries of others */
    STACK_SIZE = 0,
#else
    STACK_SIZE = 128 * 1024, /* getaddrinfo() takes 20 KiB of it, while it loads modules of glibc's */
#endif
};

/* What a loop has. */
typedef struct names {
    rp_loop *loop;
    rp_executor *executor;
    rp_node questions; /* that are under way */
    rp_resource resource;
} names;

typedef struct question {
    atomic_int owners;
    rp_query query; /* its parts are copies, in `text` */
    void *answer;   /* NULL: none, or it has been taken out */
    int error;
    rp_node link;    /* the loop's side, while it is under way */
    rp_node lookups; /* that wait for it */
    rp_future *job;
    rp_done_callback done;
    char text[];
} question;

typedef struct lookup {
    rp_future future;
    rp_node link;              /* among the question's, while that is under way */
    question *question;        /* NULL: it was answered at once, or the loop is closed */
    const rp_query_kind *kind; /* of `answer` */
    void *answer;              /* if there is no question */
} lookup;

/* ---- questions ---- */

/* It is the loop's and the job's. */
static question *new_question(const rp_query *query)
{
    question *q = rp_calloc(sizeof *q + query->sizes[0] + query->sizes[1]);
    char *room;

    if (!q)
        return NULL;
    atomic_init(&q->owners, 2);
    rp_list_init(&q->lookups);
    q->query = *query;
    room = q->text;
    for (int i = 0; i < RP_QUERY_PARTS; room += query->sizes[i++])
        if (query->parts[i])
            q->query.parts[i] = memcpy(room, query->parts[i], query->sizes[i]);
    return q;
}

static void drop(question *q)
{
    if (atomic_fetch_sub_explicit(&q->owners, 1, memory_order_acq_rel) > 1)
        return;
    if (q->answer)
        q->query.kind->free_answer(q->answer);
    rp_free(q);
}

/* On a thread of the pool. */
static int ask(void *arg)
{
    question *q = arg;

    q->error = q->query.kind->ask(&q->query, &q->answer);
    drop(q);
    return 0;
}

static bool same_part(const rp_query *one, const rp_query *other, int i)
{
    if (!one->parts[i] || !other->parts[i])
        return !one->parts[i] && !other->parts[i];
    return one->sizes[i] == other->sizes[i] && memcmp(one->parts[i], other->parts[i], one->sizes[i]) == 0;
}

static bool identical(const rp_query *one, const rp_query *other)
{
    return one->kind == other->kind && memcmp(one->numbers, other->numbers, sizeof one->numbers) == 0 &&
           same_part(one, other, 0) && same_part(one, other, 1);
}

static question *find(const names *self, const rp_query *query)
{
    for (rp_node *node = self->questions.next; node != &self->questions; node = node->next) {
        question *q = rp_container_of(node, question, link);

        if (!q->query.alone && identical(&q->query, query))
            return q;
    }
    return NULL;
}

/* The loop lets go of a question; a thread may be asking it still. */
static void forget(question *q)
{
    rp_list_remove(&q->link);
    rp_future_remove_done_callback(&q->done);
    if (rp_future_cancel(q->job)) /* it will never be asked */
        drop(q);
    rp_future_unref(q->job);
    drop(q);
}

/* Ends the wait of a question's lookups: by its answer, or without one. */
static void let_go(question *q, bool answered)
{
    rp_node *node;

    while ((node = rp_list_pop(&q->lookups))) {
        lookup *self = rp_container_of(node, lookup, link);

        if (answered) {
            rp_future_finish(&self->future, q->error, q->error < 0 ? NULL : q->answer);
        } else {
            self->question = NULL;
            drop(q);
        }
        rp_future_unref(&self->future);
    }
    forget(q);
}

static void on_done(rp_future *job, void *arg)
{
    (void)job;
    let_go(arg, true);
}

/* ---- what a loop has ---- */

static void reap(rp_resource *resource)
{
    names *self = rp_container_of(resource, names, resource);

    while (!rp_list_empty(&self->questions))
        let_go(rp_container_of(self->questions.next, question, link), false);
}

static void end(rp_resource *resource)
{
    names *self = rp_container_of(resource, names, resource);

    rp_resource_remove(resource);
    self->loop->slots[RP_SLOT_NAMES] = NULL;
    rp_executor_free(self->executor);
    rp_free(self);
}

static const rp_resource_type resource_type = {.at = {[RP_REAP] = reap, [RP_LATE] = end}};

static int get_names(rp_loop *loop, names **result)
{
    static const rp_pool_options options = {
        .max_threads = MOST_THREADS,
        .stack_size = STACK_SIZE,
        .idle = RP_SEC(10),
    };
    names *self = loop->slots[RP_SLOT_NAMES];
    int rc;

    *result = self;
    if (self)
        return 0;
    self = rp_calloc(sizeof *self);
    if (!self)
        return -ENOMEM;
    rc = rp_executor_new_with(&options, &self->executor);
    if (rc < 0) {
        rp_free(self);
        return rc;
    }
    self->loop = loop;
    rp_list_init(&self->questions);
    rp_resource_add(loop, &self->resource, &resource_type);
    loop->slots[RP_SLOT_NAMES] = *result = self;
    return 0;
}

/* ---- lookups ---- */

static bool cancel(rp_future *future)
{
    lookup *self = rp_container_of(future, lookup, future);
    question *q = self->question;

    rp_future_finish_cancelled(future);
    if (!q) /* the loop is closed, and the lookup's own reference gone */
        return true;
    self->question = NULL;
    rp_list_remove(&self->link);
    drop(q);
    if (rp_list_empty(&q->lookups) && rp_future_cancel(q->job)) {
        drop(q); /* for the job, which will never be run */
        forget(q);
    }
    rp_future_unref(future);
    return true;
}

static void dispose(rp_future *future)
{
    lookup *self = rp_container_of(future, lookup, future);

    assert(!rp_node_linked(&self->link));
    if (self->question)
        drop(self->question);
    if (self->answer)
        self->kind->free_answer(self->answer);
    rp_future_fini(future);
    rp_free(self);
}

static lookup *new_lookup(rp_loop *loop, const rp_query_kind *kind)
{
    static const rp_future_type type = {.name = "name lookup", .cancel = cancel, .dispose = dispose};
    lookup *self = rp_calloc(sizeof *self);

    if (!self)
        return NULL;
    rp_future_init(&self->future, loop, &type);
    self->kind = kind;
    return self;
}

static int begin(names *self, const rp_query *query, question **result)
{
    question *q = new_question(query);
    int rc;

    if (!q)
        return -ENOMEM;
    rc = rp_run_in_executor(self->loop, self->executor, ask, q, &q->job);
    if (rc < 0) {
        rp_free(q);
        return rc;
    }
    rp_list_push(&self->questions, &q->link);
    rp_future_add_done_callback(q->job, &q->done, on_done, q);
    *result = q;
    return 0;
}

int rp_lookup_start(rp_loop *loop, const rp_query *query, rp_future **future)
{
    lookup *self;
    question *q;
    names *there;
    int rc = 0;

    RP_TRY(get_names(loop, &there));
    self = new_lookup(loop, query->kind);
    if (!self)
        return -ENOMEM;
    q = query->alone ? NULL : find(there, query);
    if (!q)
        rc = begin(there, query, &q);
    if (rc < 0) {
        rp_future_unref(&self->future);
        return rc;
    }
    atomic_fetch_add_explicit(&q->owners, 1, memory_order_relaxed);
    self->question = q;
    rp_list_push(&q->lookups, &self->link);
    *future = rp_future_ref(&self->future); /* its own is dropped when it is answered */
    return 0;
}

int rp_lookup_done(rp_loop *loop, const rp_query_kind *kind, int error, void *answer, rp_future **future)
{
    lookup *self = new_lookup(loop, kind);

    if (!self)
        return -ENOMEM;
    self->answer = answer;
    rp_future_finish(&self->future, error, error < 0 ? NULL : answer);
    *future = &self->future;
    return 0;
}

void *rp_lookup_take_answer(rp_future *future)
{
    lookup *self = rp_container_of(future, lookup, future);
    question *q = self->question;
    void **place = q ? &q->answer : &self->answer, *answer = *place;

    if (q && atomic_load_explicit(&q->owners, memory_order_acquire) > 1)
        return NULL;
    *place = NULL;
    future->value = NULL;
    return answer;
}
