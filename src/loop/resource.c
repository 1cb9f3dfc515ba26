/*
 * resource.c - calling a loop's resources, phase by phase.
 *
 * In a phase each resource leaves the list before it is called, since a call may free it, or any other one.
 */
#include "loop/resource.h"

#include "base/leave.h"

typedef struct pass {
    rp_loop *loop;
    rp_node called;
} pass;

static void put_back(pass *p)
{
    rp_list_splice(&p->called, &p->loop->resources);
    rp_list_splice(&p->loop->resources, &p->called);
}

void rp_resources_pass(rp_loop *loop, rp_phase phase)
{
    pass p RP_ON_LEAVE(put_back) = {.loop = loop};
    rp_node *node;

    rp_list_init(&p.called);
    while ((node = rp_list_pop(&loop->resources))) {
        rp_resource *resource = rp_container_of(node, rp_resource, link);

        rp_list_push(&p.called, node);
        if (resource->type->at[phase])
            resource->type->at[phase](resource);
    }
}

bool rp_resources_expect(const rp_loop *loop)
{
    for (rp_node *node = loop->resources.next; node != &loop->resources; node = node->next) {
        rp_resource *resource = rp_container_of(node, rp_resource, link);

        if (resource->type->expects && resource->type->expects(resource))
            return true;
    }
    return false;
}
