/*
 * readers.c - callbacks for readiness of foreign descriptors, level-triggered. Mirrors loop.add_reader and its kin.
 *
 * Each descriptor and direction has a watch: a single-shot poll, whose completion makes the watch's handle ready; when
 * the callback has run, the poll is issued again. A watch that is removed while the kernel has its poll waits for the
 * completion among the dying.
 *
 * Watches are found by a hash of their descriptor: on Windows these are sparse numbers.
 */
#include "loop/readers.h"

#include "base/leave.h"
#include "base/memory.h"
#include "base/socket.h"
#include "loop/exception.h"
#include "loop/handle.h"
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

struct rp_readers {
    watch **buckets;
    size_t size; /* how many: a power of two, or 0 */
    size_t count;
    rp_node dying;
};

/* Socket handles of Windows are multiples of four. */
static size_t bucket_of(rp_fd fd, size_t size)
{
    return ((size_t)fd ^ (size_t)fd >> 2) & (size - 1);
}

/* The place of a watch, which points to it, or to NULL if there is none; NULL: there is no place for any. */
static watch **find(struct rp_readers *readers, rp_fd fd, int direction)
{
    if (readers == NULL || readers->size == 0)
        return NULL;
    watch **place = &readers->buckets[bucket_of(fd, readers->size)];
    while (*place != NULL && ((*place)->fd != fd || (*place)->direction != direction))
        place = &(*place)->next;
    return place;
}

/* Doubles the buckets and deals the watches out anew. */
static int grow(struct rp_readers *readers)
{
    size_t size = readers->size > 0 ? 2 * readers->size : 16;
    watch **buckets = rp_calloc(size * sizeof *buckets);

    if (buckets == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < readers->size; i++) {
        for (watch *w = readers->buckets[i], *next; w != NULL; w = next) {
            watch **bucket = &buckets[bucket_of(w->fd, size)];

            next = w->next;
            w->next = *bucket;
            *bucket = w;
        }
    }
    rp_free(readers->buckets);
    readers->buckets = buckets;
    readers->size = size;
    return 0;
}

/* The watch's place, for which room is made; NULL: no memory. */
static watch **make_place(rp_loop *loop, rp_fd fd, int direction)
{
    struct rp_readers *readers = loop->readers;

    if (readers == NULL) {
        readers = rp_calloc(sizeof *readers);
        if (readers == NULL)
            return NULL;
        rp_list_init(&readers->dying);
        loop->readers = readers;
    }
    if (readers->count == readers->size && grow(readers) < 0)
        return NULL;
    return find(readers, fd, direction);
}

/* Takes a watch out of its place; frees it now, or when its poll has come back. */
static void discard(watch *w)
{
    *find(w->loop->readers, w->fd, w->direction) = w->next;
    w->loop->readers->count--;
    w->removed = true;
    rp_handle_cancel(&w->handle);
    if (w->polling) {
        rp_list_push(&w->loop->readers->dying, &w->link);
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
    rp_loop_report(loop, "a watched descriptor failed and was removed", error, NULL, NULL, NULL, NULL);
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
    watch **place = find(o->loop->readers, o->fd, o->direction);
    if (o->loop->closed || place == NULL || *place != o->watch || o->watch->polling)
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
    if (rp_socket_type(fd) == -EBADF)
        return -EBADF;
    if (callback == NULL)
        return -EINVAL;
    watch **place = make_place(loop, fd, direction);
    if (place == NULL)
        return -ENOMEM;
    if (*place != NULL) {
        (*place)->callback = callback;
        (*place)->arg = arg;
        return 0;
    }
    watch *w = rp_calloc(sizeof *w);
    if (w == NULL)
        return -ENOMEM;
    *w = (watch){.callback = callback, .arg = arg, .loop = loop, .fd = fd, .direction = direction};
    rc = issue(w);
    if (rc < 0) {
        rp_free(w);
        return rc;
    }
    *place = w;
    loop->readers->count++;
    return 0;
}

static int remove_watch(rp_loop *loop, rp_fd fd, int direction)
{
    int rc = rp_loop_check(loop);
    watch **place = find(loop->readers, fd, direction);

    if (rc < 0)
        return rc;
    if (place == NULL || *place == NULL)
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

void rp_readers_stop(rp_loop *loop)
{
    struct rp_readers *readers = loop->readers;

    for (size_t i = 0; readers != NULL && i < readers->size; i++)
        for (watch *w = readers->buckets[i]; w != NULL; w = w->next)
            rp_handle_cancel(&w->handle);
}

void rp_readers_close(rp_loop *loop)
{
    struct rp_readers *readers = loop->readers;

    if (readers == NULL)
        return;
    for (size_t i = 0; i < readers->size; i++) {
        for (watch *w = readers->buckets[i], *next; w != NULL; w = next) {
            next = w->next;
            rp_free(w);
        }
    }
    while (!rp_list_empty(&readers->dying))
        rp_free(rp_container_of(rp_list_pop(&readers->dying), watch, link));
    rp_free(readers->buckets);
    rp_free(readers);
    loop->readers = NULL;
}
