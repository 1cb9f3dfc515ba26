/*
 * lanes.c - who waits for whom on one file.
 *
 * What must stay true: an operation in a list is QUEUED exactly as long as one before it is in its way.
 */
#include "proactor/lanes.h"

#include <assert.h>

static rp_node *list_of(rp_lanes *lanes, rp_fd fd)
{
    return &lanes->lists[(uintptr_t)fd / 4 % RP_LANES_LISTS]; /* handles of Windows are multiples of 4 */
}

static rp_op *op_of(rp_node *node)
{
    return rp_container_of(node, rp_op, queue);
}

rp_op *rp_lanes_last(rp_lanes *lanes, rp_fd fd)
{
    rp_node *list = list_of(lanes, fd), *node = list->prev;

    while (node != list && op_of(node)->fd != fd)
        node = node->prev;
    return node == list ? NULL : op_of(node);
}

rp_op *rp_lanes_before(rp_lanes *lanes, const rp_op *op)
{
    const rp_node *list = list_of(lanes, op->fd);
    rp_node *node = op->queue.prev;

    while (node != list && op_of(node)->fd != op->fd)
        node = node->prev;
    return node == list ? NULL : op_of(node);
}

/* Whether one before it is in its way. */
static bool must_wait(rp_lanes *lanes, const rp_op *op)
{
    if (op->ready == RP_LANE_NONE)
        return false;
    for (const rp_op *other = rp_lanes_before(lanes, op); other; other = rp_lanes_before(lanes, other))
        if (other->ready & op->ready || op->ready == RP_LANE_END)
            return true;
    return false;
}

void rp_lanes_init(rp_lanes *lanes)
{
    for (int i = 0; i < RP_LANES_LISTS; i++)
        rp_list_init(&lanes->lists[i]);
}

bool rp_lanes_enter(rp_lanes *lanes, rp_op *op, uint8_t lane)
{
    assert(!rp_node_linked(&op->queue));
    op->ready = lane;
    rp_list_push(list_of(lanes, op->fd), &op->queue);
    op->state = must_wait(lanes, op) ? RP_OP_QUEUED : RP_OP_SUBMITTED;
    return op->state == RP_OP_SUBMITTED;
}

/* The first one on a file, from a node on, that waits and need not. */
static rp_op *find_free(rp_lanes *lanes, rp_fd fd, rp_node *node)
{
    for (const rp_node *list = list_of(lanes, fd); node != list; node = node->next)
        if (op_of(node)->fd == fd && op_of(node)->state == RP_OP_QUEUED && !must_wait(lanes, op_of(node)))
            return op_of(node);
    return NULL;
}

/* For what is in no lane nobody has waited but the end, which is the last. */
rp_op *rp_lanes_leave(rp_lanes *lanes, rp_op *op)
{
    rp_node *behind = op->queue.next;
    rp_op *next;

    rp_list_remove(&op->queue);
    if (op->ready == RP_LANE_NONE) {
        next = rp_lanes_last(lanes, op->fd);
        next = next ? find_free(lanes, op->fd, &next->queue) : NULL;
    } else {
        next = find_free(lanes, op->fd, behind);
    }
    if (next)
        next->state = RP_OP_SUBMITTED;
    return next;
}
