/*
 * uring_ring.h - a ring of io_uring, without operations: making it, entering it, messages to it, its end.
 */
#ifndef RP_PROACTOR_URING_RING_H
#define RP_PROACTOR_URING_RING_H

#include <liburing.h>

#include "base/list.h"
#include "ringport/error.h"

typedef struct uring_ring {
    struct io_uring uring;
    int end_fd;   /* hangs up when the kernel has let go of the ring, and of the operations in it */
    rp_node link; /* among the process's rings */
} uring_ring;

/*
 * Makes a ring, disabled, with queues of these lengths, or short ones if there is too little locked memory. 0 or an
 * error.
 */
int uring_ring_open(uring_ring *ring, unsigned submissions, unsigned completions);

/* Makes the calling thread the one that submits and waits. */
int uring_ring_enable(uring_ring *ring);

/*
 * Makes it anew for the calling thread, enabled. Its descriptor's number stays, so that messages find it.
 * What is in its queues is lost; what the kernel has of the old one ends without a completion, and before this returns
 * if it is `busy`. 0; or an error, and it is as it was.
 */
int uring_ring_renew(uring_ring *ring, unsigned submissions, unsigned completions, bool busy);

/*
 * Closes it. `busy`: there are operations in it, which only its own thread could have cancelled and waited for; the
 * kernel ends them before this returns.
 */
void uring_ring_close(uring_ring *ring, bool busy);

/* In a child process, into which the queues were not mapped: closes the descriptors, if that has not been done. */
void uring_ring_forget(uring_ring *ring);

/*
 * Sends the ring with this descriptor a completion, from any thread. -EINVAL where the kernel is older than 6.13;
 * -EBADFD while the ring is disabled; -ENOMEM.
 */
int uring_ring_send(int ring_fd, uint64_t user_data);

/*
 * Submits what is queued and runs what the kernel has deferred; waits for a completion, `limit` nanoseconds at most
 * (0: not at all; RP_NEVER: as long as it takes). *entries counts the system calls.
 */
int uring_ring_enter(uring_ring *ring, int64_t limit, uint64_t *entries);

/* Whether the kernel has more completions than there are in the queue, which a call would bring. */
static inline bool uring_ring_is_behind(const uring_ring *ring)
{
    return __atomic_load_n(ring->uring.sq.kflags, __ATOMIC_RELAXED) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

/* Whether there is something to submit, or to bring. */
static inline bool uring_ring_wants_call(const uring_ring *ring)
{
    return io_uring_sq_ready(&ring->uring) > 0 || uring_ring_is_behind(ring);
}

/* The next completion, which stays in the queue; NULL: there is none. It may take a call to bring it. */
static inline struct io_uring_cqe *uring_ring_peek(uring_ring *ring)
{
    struct io_uring_cqe *cqe;
    bool may_be_one = io_uring_cq_ready(&ring->uring) > 0 || uring_ring_is_behind(ring);

    return may_be_one && io_uring_peek_cqe(&ring->uring, &cqe) == 0 ? cqe : NULL;
}

#endif
