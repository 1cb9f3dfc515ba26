/*
 * watch.c - watches: events on their way from the system to whoever is told.
 *
 * Events wait in the watch's list. With a callback, a handle tells one a turn: so a callback may free its watch, or
 * throw, and nothing is lost. What finds no memory or no room is told as an overflow, which needs none.
 */
#include "loop/watch.h"

#include <string.h>

#include "base/leave.h"
#include "base/memory.h"
#include "loop/handle.h"
#include "loop/resource.h"

enum { EVENTS = 4096 }; /* that a watch keeps at most */

typedef struct kept_event {
    rp_node link;
    rp_watch_event event;
    char name[];
} kept_event;

static rp_watch *watch_of(rp_watch_source *source)
{
    return rp_container_of(source, rp_watch, source);
}

/* ---- events come ---- */

void rp_watch_wake(rp_watch_waiter *waiter)
{
    if (waiter->woken)
        return;
    waiter->woken = true;
    waiter->wake(waiter->arg);
}

static void wake(rp_watch *watch)
{
    if (watch->waiter)
        rp_watch_wake(watch->waiter);
    else if (watch->callback && !rp_handle_scheduled(&watch->handle))
        rp_loop_ready(watch->source.loop, &watch->handle);
}

/* A file that is written to piece by piece is modified again and again. */
static bool is_repeated(const rp_watch *watch, uint32_t what, const char *name, size_t length)
{
    const kept_event *last;

    if (what != RP_WATCH_MODIFIED || watch->count == 0 || watch->overflown)
        return false;
    last = rp_container_of(watch->events.prev, kept_event, link);
    return last->event.what == what && strncmp(last->name, name, length) == 0 && last->name[length] == '\0';
}

static void tell(rp_watch_source *source, uint32_t what, const char *name, size_t length, uint32_t cookie)
{
    rp_watch *watch = watch_of(source);
    kept_event *kept;

    if (is_repeated(watch, what, name, length))
        return;
    if (what == RP_WATCH_ENDED) {
        watch->ending = true;
    } else {
        kept = what != RP_WATCH_OVERFLOW && watch->count < EVENTS && !watch->overflown
                   ? rp_malloc(sizeof *kept + length + 1)
                   : NULL;
        if (kept) {
            memcpy(kept->name, name, length);
            kept->name[length] = '\0';
            kept->event = (rp_watch_event){.what = what, .cookie = cookie, .name = kept->name};
            kept->link = (rp_node){0};
            rp_list_push(&watch->events, &kept->link);
            watch->count++;
        } else {
            watch->overflown = true;
        }
    }
    wake(watch);
}

/* ---- events go ---- */

static bool has_events(const rp_watch *watch)
{
    return watch->count > 0 || watch->overflown || (watch->ending && !watch->ended);
}

/* The event's memory, which may be none. */
static kept_event *pop(rp_watch *watch, rp_watch_event *event)
{
    kept_event *kept = NULL;

    if (watch->count > 0) {
        kept = rp_container_of(rp_list_pop(&watch->events), kept_event, link);
        watch->count--;
        *event = kept->event;
    } else if (watch->overflown) {
        watch->overflown = false;
        *event = (rp_watch_event){.what = RP_WATCH_OVERFLOW, .name = ""};
    } else {
        watch->ended = true;
        *event = (rp_watch_event){.what = RP_WATCH_ENDED, .name = ""};
    }
    return kept;
}

bool rp_watch_take(rp_watch *watch, rp_watch_event *event)
{
    if (!has_events(watch))
        return false;
    rp_free(watch->lent);
    watch->lent = pop(watch, event);
    return true;
}

static void free_event(kept_event **kept)
{
    rp_free(*kept);
}

static void deliver(void *arg)
{
    rp_watch *watch = arg;
    rp_watch_event event;
    kept_event *kept RP_ON_LEAVE(free_event) = pop(watch, &event);

    if (has_events(watch))
        rp_loop_ready(watch->source.loop, &watch->handle);
    watch->callback(watch, kept ? &kept->event : &event, watch->arg);
}

/* ---- life ---- */

static void reap(rp_resource *resource)
{
    rp_watch_free(rp_container_of(resource, rp_watch, resource));
}

static const rp_resource_type resource_type = {.at = {[RP_REAP] = reap}};

int rp_watch_new(rp_loop *loop, const char *path, bool recursive, rp_watch_callback *callback, void *arg,
                 rp_watch **watch)
{
    rp_watch *self;
    int rc;

    RP_TRY(rp_loop_check(loop));
    self = rp_calloc(sizeof *self);
    if (!self)
        return -ENOMEM;
    self->source.loop = loop;
    self->source.tell = tell;
    rc = rp_watch_source_open(&self->source, path, recursive);
    if (rc < 0) {
        rp_free(self);
        return rc;
    }
    rp_list_init(&self->events);
    rp_handle_prepare(&self->handle, loop, deliver, self);
    self->callback = callback;
    self->arg = arg;
    rp_resource_add(loop, &self->resource, &resource_type);
    *watch = self;
    return 0;
}

void rp_watch_free(rp_watch *watch)
{
    rp_watch_waiter *waiter;
    rp_node *node;

    if (!watch)
        return;
    waiter = watch->waiter;
    rp_watch_source_close(&watch->source);
    rp_handle_cancel(&watch->handle);
    while ((node = rp_list_pop(&watch->events)))
        rp_free(rp_container_of(node, kept_event, link));
    rp_free(watch->lent);
    rp_resource_remove(&watch->resource);
    if (waiter && !watch->source.loop->closed) {
        waiter->gone = true;
        rp_watch_wake(waiter);
    }
    rp_free(watch);
}
