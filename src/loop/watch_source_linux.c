/*
 * watch_source_linux.c - what inotify tells: one instance a loop, and in it one watch a directory.
 *
 * The kernel has one watch for each inode, whatever the path. So all sources of a directory share it, with one mask,
 * and the last one removes it. Events that were queued before that are nobody's.
 *
 * A poll waits for events. If it fails, all watches are told their end, and the next source begins a new instance.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/memory.h"
#include "loop/exception.h"
#include "loop/resource.h"
#include "loop/watch_source.h"
#include "ringport/error.h"

enum {
    CHANGES = IN_CREATE | IN_MODIFY | IN_ATTRIB | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF |
              IN_MOVE_SELF | IN_ONLYDIR,
    BUCKETS = 256,
    BUFFER = 16 * 1024,
};

typedef struct notifier {
    rp_loop *loop;
    rp_resource resource;
    int fd;
    rp_op poll;                   /* in flight from the first watch on */
    rp_node directories[BUCKETS]; /* by their number */
} notifier;

typedef struct directory {
    rp_node link;
    notifier *notifier;
    int number; /* the kernel's */
    rp_node sources;
} directory;

/* ---- directories ---- */

static rp_node *bucket_of(notifier *self, int number)
{
    return &self->directories[(unsigned)number % BUCKETS];
}

static directory *find(notifier *self, int number)
{
    rp_node *bucket = bucket_of(self, number);

    for (rp_node *node = bucket->next; node != bucket; node = node->next) {
        directory *d = rp_container_of(node, directory, link);

        if (d->number == number)
            return d;
    }
    return NULL;
}

static void forget(directory *d)
{
    rp_list_remove(&d->link);
    rp_free(d);
}

/* The kernel watches it no longer. */
static void end(directory *d)
{
    rp_node *node;

    while ((node = rp_list_pop(&d->sources))) {
        rp_watch_source *source = rp_container_of(node, rp_watch_source, link);

        source->directory = NULL;
        source->tell(source, RP_WATCH_ENDED, "", 0, 0);
    }
    forget(d);
}

/* ---- events ---- */

static uint32_t kind_of(uint32_t mask)
{
    if (mask & IN_CREATE)
        return RP_WATCH_CREATED;
    if (mask & (IN_DELETE | IN_DELETE_SELF))
        return RP_WATCH_DELETED;
    if (mask & (IN_MOVED_FROM | IN_MOVE_SELF))
        return RP_WATCH_MOVED_FROM;
    if (mask & IN_MOVED_TO)
        return RP_WATCH_MOVED_TO;
    return mask & (IN_MODIFY | IN_ATTRIB) ? RP_WATCH_MODIFIED : 0;
}

static void dispatch(directory *d, const struct inotify_event *event)
{
    const char *name = event->len > 0 ? event->name : "";
    uint32_t what = kind_of(event->mask);

    for (rp_node *node = d->sources.next; node != &d->sources && what; node = node->next) {
        rp_watch_source *source = rp_container_of(node, rp_watch_source, link);

        if (!source->file || strcmp(source->file, name) == 0)
            source->tell(source, what, name, strlen(name), event->cookie);
    }
}

static void tell_overflow(notifier *self)
{
    for (int i = 0; i < BUCKETS; i++)
        for (rp_node *d = self->directories[i].next; d != &self->directories[i]; d = d->next) {
            rp_node *sources = &rp_container_of(d, directory, link)->sources;

            for (rp_node *node = sources->next; node != sources; node = node->next) {
                rp_watch_source *source = rp_container_of(node, rp_watch_source, link);

                source->tell(source, RP_WATCH_OVERFLOW, "", 0, 0);
            }
        }
}

static void read_events(notifier *self)
{
    _Alignas(struct inotify_event) char buffer[BUFFER];
    ssize_t length = read(self->fd, buffer, sizeof buffer);

    for (ssize_t at = 0; at < length;) {
        const struct inotify_event *event = (const struct inotify_event *)(buffer + at);
        directory *d = find(self, event->wd);

        if (event->mask & IN_Q_OVERFLOW)
            tell_overflow(self);
        else if (d && event->mask & IN_IGNORED)
            end(d);
        else if (d)
            dispatch(d, event);
        at += (ssize_t)(sizeof *event + event->len);
    }
}

/* ---- the notifier's life: from the first watch to the loop's end, or to a poll that fails ---- */

static void free_notifier(notifier *self)
{
    rp_resource_remove(&self->resource);
    close(self->fd);
    self->loop->slots[RP_SLOT_NOTIFIER] = NULL;
    rp_free(self);
}

static void reap(rp_resource *resource)
{
    notifier *self = rp_container_of(resource, notifier, resource);

    for (int i = 0; i < BUCKETS; i++)
        while (!rp_list_empty(&self->directories[i])) {
            directory *d = rp_container_of(self->directories[i].next, directory, link);
            rp_node *node;

            while ((node = rp_list_pop(&d->sources)))
                rp_container_of(node, rp_watch_source, link)->directory = NULL;
            forget(d);
        }
    free_notifier(self);
}

/* The handler is told the error, each watch that it can be watched no longer. */
static void fail(notifier *self, int error)
{
    rp_loop *loop = self->loop;

    for (int i = 0; i < BUCKETS; i++)
        while (!rp_list_empty(&self->directories[i]))
            end(rp_container_of(self->directories[i].next, directory, link));
    free_notifier(self);
    rp_loop_report(loop, &(rp_report){.where = RP_WHERE_READER, .error = error});
}

static void on_poll(rp_op *op);

static int poll_again(notifier *self)
{
    rp_op_poll(&self->poll, self->fd, RP_POLL_IN, on_poll, NULL);
    return rp_submit(self->loop, &self->poll);
}

/* What does not fit into the buffer is read in the next turn. */
static void on_poll(rp_op *op)
{
    notifier *self = rp_container_of(op, notifier, poll);
    int rc = op->result < 0 ? (int)op->result : 0;

    if (rc == 0) {
        read_events(self);
        rc = poll_again(self);
    }
    if (rc < 0)
        fail(self, rc);
}

static const rp_resource_type resource_type = {.at = {[RP_REAP] = reap}};

static int notifier_of(rp_loop *loop, notifier **found)
{
    notifier *self = loop->slots[RP_SLOT_NOTIFIER];
    int rc;

    *found = self;
    if (self)
        return 0;
    self = rp_malloc(sizeof *self);
    if (!self)
        return -ENOMEM;
    self->loop = loop;
    self->resource = (rp_resource){0};
    for (int i = 0; i < BUCKETS; i++)
        rp_list_init(&self->directories[i]);
    self->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    rc = self->fd < 0 ? -errno : poll_again(self);
    if (rc < 0) {
        if (self->fd >= 0)
            close(self->fd);
        rp_free(self);
        return rc;
    }
    rp_resource_add(loop, &self->resource, &resource_type);
    loop->slots[RP_SLOT_NOTIFIER] = *found = self;
    return 0;
}

/* ---- sources ---- */

static int watch_directory(notifier *self, const char *path, rp_watch_source *source)
{
    int number = inotify_add_watch(self->fd, path, CHANGES);
    directory *d;

    if (number < 0)
        return -errno;
    d = find(self, number);
    if (!d) {
        d = rp_malloc(sizeof *d);
        if (!d) {
            inotify_rm_watch(self->fd, number);
            return -ENOMEM;
        }
        *d = (directory){.notifier = self, .number = number};
        rp_list_init(&d->sources);
        rp_list_push(bucket_of(self, number), &d->link);
    }
    source->link = (rp_node){0};
    rp_list_push(&d->sources, &source->link);
    source->directory = d;
    return 0;
}

/* The last name of a path, and what is before it: "" if nothing is. */
static const char *split(char *path)
{
    char *slash = strrchr(path, '/');

    if (!slash)
        return path;
    if (slash > path)
        *slash = '\0';
    return slash + 1;
}

static int watch_file(notifier *self, const char *path, rp_watch_source *source)
{
    char real[PATH_MAX];
    const char *name, *where = real;
    size_t length = strlen(path);
    int rc;

    if (length >= sizeof real)
        return -ENAMETOOLONG;
    if (!realpath(path, real)) { /* which follows links */
        if (errno != ENOENT)
            return -errno;
        memcpy(real, path, length + 1);
    }
    name = split(real);
    if (name == real)
        where = ".";
    else if (name == real + 1)
        where = "/";
    length = strlen(name);
    if (length == 0)
        return -ENOENT;
    source->file = rp_malloc(length + 1);
    if (!source->file)
        return -ENOMEM;
    memcpy(source->file, name, length + 1);
    rc = watch_directory(self, where, source);
    if (rc < 0)
        rp_free(source->file);
    return rc;
}

int rp_watch_source_open(rp_watch_source *source, const char *path, bool recursive)
{
    notifier *self;
    int rc;

    if (recursive)
        return -ENOTSUP;
    RP_TRY(notifier_of(source->loop, &self));
    rc = watch_directory(self, path, source);
    return rc == -ENOTDIR || rc == -ENOENT ? watch_file(self, path, source) : rc;
}

void rp_watch_source_close(rp_watch_source *source)
{
    directory *d = source->directory;

    rp_free(source->file);
    if (!d)
        return;
    rp_list_remove(&source->link);
    if (!rp_list_empty(&d->sources))
        return;
    if (!rp_loop_is_forked(source->loop)) /* else it is the parent's, too */
        inotify_rm_watch(d->notifier->fd, d->number);
    forget(d);
}
