/*
 * resource.h - what lives in a loop, and must act when the loop ends, or be freed with it.
 *
 * Embed an rp_resource in it, and add it to the loop while that is open. A loop's end has phases, and a resource is
 * called in those that its type names. Within a phase, resources are called in the order in which they were added.
 */
#ifndef RP_LOOP_RESOURCE_H
#define RP_LOOP_RESOURCE_H

#include <assert.h>

#include "loop/loop.h"

typedef enum rp_phase {
    RP_QUIESCE, /* a runner begins to end: nothing new is to be taken in */
    RP_STOP,    /* the loop is closed: no callback may run any more; its proactor is still there */
    RP_REPORT,  /* operations have ended: what was left open is reported; the handler may look at any resource */
    RP_REAP,    /* it is freed, or what it represents: no other resource may call it from now on */
    RP_LATE,    /* what other resources refer to is freed */
    RP_PHASES
} rp_phase;

/* A resource is freed in RP_REAP or in RP_LATE, and takes itself out of the loop's list. It may take others with it. */
typedef struct rp_resource_type {
    void (*at[RP_PHASES])(rp_resource *resource); /* NULL: it is not called in this phase */
    bool (*expects)(rp_resource *resource); /* whether it may wake a task, other than by an operation; NULL: no */
} rp_resource_type;

static inline void rp_resource_add(rp_loop *loop, rp_resource *resource, const rp_resource_type *type)
{
    assert(!rp_node_linked(&resource->link));
    resource->type = type;
    rp_list_push(&loop->resources, &resource->link);
}

static inline void rp_resource_remove(rp_resource *resource)
{
    assert(rp_node_linked(&resource->link));
    rp_list_remove(&resource->link);
}

/* Calls each resource once. What is added meanwhile is called too; what is removed is not. */
void rp_resources_pass(rp_loop *loop, rp_phase phase);

/* Whether any of them may wake a task, other than by an operation. */
bool rp_resources_expect(const rp_loop *loop);

#endif
