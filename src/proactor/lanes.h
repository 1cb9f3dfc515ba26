/*
 * lanes.h - operations on one file that go one after the other, in the order of submission.
 *
 * A lane is nothing but the operations that are in it. It costs no memory of its own, and nothing is left of it when
 * the file's number comes to mean another one.
 */
#ifndef RP_PROACTOR_LANES_H
#define RP_PROACTOR_LANES_H

#include "base/list.h"
#include "proactor/op.h"

/* The lanes of a file that an operation goes in, kept in rp_op.ready: it waits for those before it in any of them. */
enum {
    RP_LANE_NONE = 0,                            /* it has its own place, and waits for nobody */
    RP_LANE_IN = 1 << 0,                         /* it takes something out */
    RP_LANE_OUT = 1 << 1,                        /* it puts something in */
    RP_LANE_POSITION = RP_LANE_IN | RP_LANE_OUT, /* it moves the file's position */
    RP_LANE_END = RP_LANE_POSITION | 1 << 2,     /* it waits for all before it, even for those in no lane */
};

enum { RP_LANES_LISTS = 64 };

/* All operations on files that have lanes, by their queue nodes; those on one file are in one list. */
typedef struct rp_lanes {
    rp_node lists[RP_LANES_LISTS];
} rp_lanes;

void rp_lanes_init(rp_lanes *lanes);

/* Puts it last. Whether it may begin now: else it is QUEUED until rp_lanes_leave() returns it. */
bool rp_lanes_enter(rp_lanes *lanes, rp_op *op, uint8_t lane);

/* Takes it out. Returns the operation that may begin by that, and is SUBMITTED now; or NULL. */
rp_op *rp_lanes_leave(rp_lanes *lanes, rp_op *op);

/* The last operation on a file, under way or waiting; NULL: there is none. */
rp_op *rp_lanes_last(rp_lanes *lanes, rp_fd fd);

/* The one before it on the same file, or NULL. */
rp_op *rp_lanes_before(rp_lanes *lanes, const rp_op *op);

#endif
