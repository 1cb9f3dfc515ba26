/*
 * performer.c - file operations that block, by a pool's threads.
 *
 * What must stay true: an operation that the performer has is QUEUED in a lane, or SUBMITTED: with the pool, or
 * performed.
 */
#include "proactor/performer.h"

#include <errno.h>

#include "proactor/file_posix.h"

/* Nanoseconds for which a thread looks for more to do: about what it costs to be woken. */
enum { LINGER = 20000 };

/* The scratch space of an operation. */
typedef struct extra {
    rp_work work;
    union {
        rp_performer *performer; /* that it is performed for */
        rp_op *next;             /* among the performed */
    } u;
} extra;

_Static_assert(sizeof(extra) <= sizeof((rp_op *)NULL)->scratch, "an operation's scratch space holds the extra");

static extra *extra_of(rp_op *op)
{
    return (extra *)op->scratch;
}

static bool is_at_own_position(const rp_op *op)
{
    return rp_op_transfers(op) && rp_op_offset(op) == -1;
}

bool rp_performer_wants(const rp_op *op)
{
    return is_at_own_position(op) && rp_file_is_always_ready(op->fd);
}

int rp_performer_init(rp_performer *performer, rp_proactor *proactor)
{
    performer->proactor = proactor;
    rp_lanes_init(&performer->lanes);
    performer->end = &performer->performed;
    return rp_mutex_init(&performer->mutex);
}

void rp_performer_fini(rp_performer *performer)
{
    if (performer->proactor->performing > 0)
        rp_pool_join(performer->pool, RP_NEVER);
    rp_pool_free(performer->pool);
    rp_mutex_fini(&performer->mutex);
}

/* On a thread of the pool. */
static void perform(rp_work *work)
{
    extra *x = rp_container_of(work, extra, work);
    rp_op *op = rp_container_of(x, rp_op, scratch);
    rp_performer *performer = x->u.performer;

    op->outcome = op->outcome > 0 ? rp_file_do_rest(op) : rp_file_perform(op);
    x->u.next = NULL;
    rp_mutex_lock(&performer->mutex);
    *performer->end = op;
    performer->end = &x->u.next;
    /* Under the mutex: once it is unlocked the operation may be delivered, and the proactor closed. */
    rp_proactor_prompt(op->owner);
    rp_mutex_unlock(&performer->mutex);
}

/* Whether it is done at once, with this result. */
static bool begin(rp_performer *performer, rp_op *op, int64_t *result)
{
    extra *x = extra_of(op);

    op->state = RP_OP_SUBMITTED;
    if (is_at_own_position(op)) {
        *result = rp_file_try(op);
        if (*result != -EAGAIN && *result != -EOPNOTSUPP)
            return true;
    }
    *x = (extra){.work = {.run = perform}, .u.performer = performer};
    *result = performer->pool ? 0 : rp_pool_new_with(&(rp_pool_options){.linger = LINGER}, &performer->pool);
    if (*result == 0)
        *result = rp_pool_submit(performer->pool, &x->work);
    performer->proactor->performing += *result == 0;
    return *result < 0;
}

/* An operation ends; so may those that were waiting for it. */
static void end(rp_performer *performer, rp_op *op, int64_t result)
{
    while (op) {
        rp_op *next = rp_node_linked(&op->queue) ? rp_lanes_leave(&performer->lanes, op) : NULL;

        rp_op_finish(op->owner, op, result);
        op = next && begin(performer, next, &result) ? next : NULL;
    }
}

void rp_performer_take(rp_performer *performer, rp_op *op)
{
    int64_t result;

    op->phase |= RP_PHASE_PERFORMED;
    if (is_at_own_position(op) && !rp_lanes_enter(&performer->lanes, op, RP_LANE_POSITION))
        return;
    if (begin(performer, op, &result))
        end(performer, op, result);
}

/* Ends it, unless a thread has begun it. */
static void end_early(rp_performer *performer, rp_op *op, int error)
{
    if (op->state == RP_OP_SUBMITTED) {
        if (!rp_pool_cancel(performer->pool, &extra_of(op)->work))
            return;
        performer->proactor->performing--;
    }
    end(performer, op, error);
}

void rp_performer_cancel(rp_performer *performer, rp_op *op)
{
    end_early(performer, op, -ECANCELED);
}

void rp_performer_close(rp_performer *performer, rp_fd fd)
{
    rp_op *before;

    for (rp_op *op = rp_lanes_last(&performer->lanes, fd); op; op = before) {
        before = rp_lanes_before(&performer->lanes, op);
        end_early(performer, op, -EBADF);
    }
}

void rp_performer_collect_performed(rp_performer *performer)
{
    rp_op *op, *next;

    rp_mutex_lock(&performer->mutex);
    op = performer->performed;
    performer->performed = NULL;
    performer->end = &performer->performed;
    rp_mutex_unlock(&performer->mutex);
    for (; op; op = next) {
        next = extra_of(op)->u.next;
        performer->proactor->performing--;
        end(performer, op, op->outcome);
    }
}
