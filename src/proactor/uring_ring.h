/*
 * uring_ring.h - an io_uring: see uring_ring.c.
 */
#ifndef RP_PROACTOR_URING_RING_H
#define RP_PROACTOR_URING_RING_H

#include <liburing.h>

#include "base/list.h"
#include "ringport/error.h"

typedef struct rp_ring {
    struct io_uring uring;
    int end_fd;   /* hangs up when the kernel has let go of the ring, and of the operations in it */
    rp_node link; /* among the process's rings */
} rp_ring;

/*
 * Makes a ring, disabled, with queues of these lengths, or short ones if there is too little locked memory. 0 or an
 * error.
 */
int rp_ring_open(rp_ring *ring, unsigned submissions, unsigned completions);

/* Makes the calling thread the one that submits and waits. */
int rp_ring_enable(rp_ring *ring);

/*
 * Makes it anew for the calling thread, enabled. Its descriptor's number stays, so that messages find it.
 * What is in its queues is lost; what the kernel has of the old one ends without a completion, and before this returns
 * if it is `busy`. 0; or an error, and it is as it was.
 */
int rp_ring_renew(rp_ring *ring, unsigned submissions, unsigned completions, bool busy);

/*
 * Closes it. `busy`: there are operations in it, which only its own thread could have cancelled and waited for; the
 * kernel ends them before this returns.
 */
void rp_ring_close(rp_ring *ring, bool busy);

/* In a child process, into which the queues were not mapped: closes the descriptors, if that has not been done. */
void rp_ring_forget(rp_ring *ring);

/*
 * Sends the ring with this descriptor a completion, from any thread. -EINVAL where the kernel is older than 6.13;
 * -EBADFD while the ring is disabled; -ENOMEM.
 */
int rp_ring_send(int ring_fd, uint64_t user_data);

/*
 * Submits what is queued and runs what the kernel has deferred; waits for a completion until the deadline. *entries
 * counts the system calls.
 */
int rp_ring_enter(rp_ring *ring, int64_t deadline, uint64_t *entries);

#endif
