/*
 * readers.c - callbacks for readiness of the program's descriptors, level-triggered.
 *
 * Each descriptor and direction has a watch: a single-shot poll, whose completion makes the watch's handle ready. When
 * the callback has run, the poll is issued again. A watch that is removed while the kernel has its poll waits for the
 * completion among the dying.
 *
 * Watches are found by a hash of their descriptor, since on Windows these are sparse numbers.
 */
#include "base/leave.h"
#include "base/memory.h"
#include "loop/exception.h"
#include "loop/handle.h"
#include "loop/resource.h"
#include "proactor/proactor.h"

enum { READ, WRITE };

typedef struct watch {
    rp_op op;
    rp_handle handle;
    rp_reader_callback *callback;
    void *arg;
    rp_loop *loop;
    rp_fd fd;
    int direction;
    bool removed;
    bool polling;       /* the op is in flight */
    struct watch *next; /* in its bucket */
    rp_node link;       /* among the dying */
} watch;

typedef struct readers {
    rp_resource resource;
    rp_loop *loop;
    watch **buckets;
    size_t size; /* how many: a power of two, or 0 */
    size_t count;
    rp_node dying;
} readers;

/* The loop's; NULL until there is a first watch. */
static readers *of_loop(const rp_loop *loop)
{
    return loop->slots[RP_SLOT_READERS];
}

/* Socket handles of Windows are multiples of four. */
static size_t bucket_of(rp_fd fd, size_t size)
{
    return ((size_t)fd ^ (size_t)fd >> 2) & (size - 1);
}

/* The place of a watch, which points to it, or to NULL if there is none. NULL: there are no places yet. */
static watch **find(readers *r, rp_fd fd, int direction)
{
    if (!r || r->size == 0)
        return NULL;
    watch **place = &r->buckets[bucket_of(fd, r->size)];
    while (*place && ((*place)->fd != fd || (*place)->direction != direction))
        place = &(*place)->next;
    return place;
}

/* Doubles the buckets and deals the watches out anew. */
static int grow(readers *r)
{
    size_t size = r->size > 0 ? 2 * r->size : 16;
    watch **buckets = rp_calloc(size * sizeof *buckets);

    if (!buckets)
        return -ENOMEM;
    for (size_t i = 0; i < r->size; i++) {
        for (watch *w = r->buckets[i], *next; w; w = next) {
            watch **bucket = &buckets[bucket_of(w->fd, size)];

            next = w->next;
            w->next = *bucket;
            *bucket = w;
        }
    }
    rp_free(r->buckets);
    r->buckets = buckets;
    r->size = size;
    return 0;
}

/* The loop is closed: no poll is in flight any more. */
static void reap(rp_resource *resource)
{
    readers *r = rp_container_of(resource, readers, resource);

    rp_resource_remove(resource);
    for (size_t i = 0; i < r->size; i++) {
        for (watch *w = r->buckets[i], *next; w; w = next) {
            next = w->next;
            rp_free(w);
        }
    }
    while (!rp_list_empty(&r->dying))
        rp_free(rp_container_of(rp_list_pop(&r->dying), watch, link));
    rp_free(r->buckets);
    r->loop->slots[RP_SLOT_READERS] = NULL;
    rp_free(r);
}

static const rp_resource_type resource_type = {.at = {[RP_REAP] = reap}};

/* The watch's place, for which room is made; NULL: no memory. */
static watch **make_place(rp_loop *loop, rp_fd fd, int direction)
{
    readers *r = of_loop(loop);

    if (!r) {
        r = rp_calloc(sizeof *r);
        if (!r)
            return NULL;
        r->loop = loop;
        rp_list_init(&r->dying);
        rp_resource_add(loop, &r->resource, &resource_type);
        loop->slots[RP_SLOT_READERS] = r;
    }
    if (r->count == r->size && grow(r) < 0)
        return NULL;
    return find(r, fd, direction);
}

/* Takes a watch out of its place; frees it now, or when its poll has come back. */
static void discard(watch *w)
{
    *find(of_loop(w->loop), w->fd, w->direction) = w->next;
    of_loop(w->loop)->count--;
    w->removed = true;
    rp_handle_cancel(&w->handle);
    if (w->polling) {
        rp_list_push(&of_loop(w->loop)->dying, &w->link);
        rp_cancel(w->loop, &w->op);
    }
    rp_proactor_forget(w->loop->proactor, w->fd);
    if (!w->polling)
        rp_free(w);
}

static void on_ready(rp_op *op);

static int issue(watch *w)
{
    rp_op_poll(&w->op, w->fd, w->direction == READ ? RP_POLL_IN : RP_POLL_OUT, on_ready, w);
    int rc = rp_submit(w->loop, &w->op);
    w->polling = rc == 0;
    return rc;
}

static void fail(watch *w, int error)
{
    rp_loop *loop = w->loop;

    discard(w);
    rp_loop_report(loop, &(rp_report){.where = RP_WHERE_READER, .error = error});
}

/* A call of a watch's callback, which may remove and free the watch. */
typedef struct occasion {
    watch *watch;
    rp_loop *loop;
    rp_fd fd;
    int direction;
} occasion;

static void watch_again(occasion *o)
{
    if (rp_loop_is_forked(o->loop))
        return;
    watch **place = find(of_loop(o->loop), o->fd, o->direction);
    if (o->loop->closed || !place || *place != o->watch || o->watch->polling)
        return; /* it has removed itself */
    int rc = issue(o->watch);
    if (rc < 0)
        fail(o->watch, rc);
}

static void call(void *arg)
{
    watch *w = arg;
    occasion o RP_ON_LEAVE(watch_again) = {w, w->loop, w->fd, w->direction};

    w->callback(o.fd, w->arg);
}

static void on_ready(rp_op *op)
{
    watch *w = op->data;

    w->polling = false;
    if (w->removed) {
        rp_list_remove(&w->link);
        rp_free(w);
    } else if (op->result < 0) {
        fail(w, (int)op->result);
    } else {
        rp_handle_prepare(&w->handle, w->loop, call, w);
        rp_loop_ready(w->loop, &w->handle);
    }
}

static int add(rp_loop *loop, rp_fd fd, int direction, rp_reader_callback *callback, void *arg)
{
    int rc = rp_loop_check(loop);

    if (rc < 0)
        return rc;
    if (rp_kernel_type(loop->kernel, fd) == -EBADF)
        return -EBADF;
    if (!callback)
        return -EINVAL;
    watch **place = make_place(loop, fd, direction);
    if (!place)
        return -ENOMEM;
    if (*place) {
        (*place)->callback = callback;
        (*place)->arg = arg;
        return 0;
    }
    watch *w = rp_calloc(sizeof *w);
    if (!w)
        return -ENOMEM;
    *w = (watch){.callback = callback, .arg = arg, .loop = loop, .fd = fd, .direction = direction};
    rc = issue(w);
    if (rc < 0) {
        rp_free(w);
        return rc;
    }
    *place = w;
    of_loop(loop)->count++;
    return 0;
}

static int remove_watch(rp_loop *loop, rp_fd fd, int direction)
{
    int rc = rp_loop_check(loop);
    watch **place = find(of_loop(loop), fd, direction);

    if (rc < 0)
        return rc;
    if (!place || !*place)
        return 0;
    discard(*place);
    return 1;
}

int rp_add_reader(rp_loop *loop, rp_fd fd, rp_reader_callback *callback, void *arg)
{
    return add(loop, fd, READ, callback, arg);
}

int rp_add_writer(rp_loop *loop, rp_fd fd, rp_reader_callback *callback, void *arg)
{
    return add(loop, fd, WRITE, callback, arg);
}

int rp_remove_reader(rp_loop *loop, rp_fd fd)
{
    return remove_watch(loop, fd, READ);
}

int rp_remove_writer(rp_loop *loop, rp_fd fd)
{
    return remove_watch(loop, fd, WRITE);
}
