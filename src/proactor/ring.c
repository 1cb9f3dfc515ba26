/*
 * ring.c - an io_uring as the backend has it: making it, its end, entering it, messages to it. It knows no operations.
 *
 * It has a single issuer and runs its completions only when that asks (DEFER_TASKRUN). It is made disabled: the thread
 * that enables it is the issuer.
 */
#include "proactor/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sanitized.h"

/* Newer than Debian's headers: kernel 6.13's way to send a ring a message without having one. Tried at run time. */
#define REGISTER_SEND_MSG_RING 31

/* Where the kernel counts rings as locked memory, and no more of it is granted. */
enum {
    SMALL_SUBMISSIONS = 256,
    SMALL_COMPLETIONS = 1024,
};

/*
 * A ring may come to lie where one of another thread's was. The kernel orders the end of the one before the beginning
 * of the other, but liburing's system calls hide that from ThreadSanitizer: this count shows it.
 */
static atomic_uint rings_closed;

/*
 * Makes a pipe whose writing end nobody has but the ring: when the other end, end_fd, hangs up, the kernel has let go
 * of the ring and of all operations that were in it.
 */
static int watch_end(rp_ring *ring)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    int rc = io_uring_register_files(&ring->uring, &fds[1], 1);
    close(fds[1]);
    if (rc < 0)
        close(fds[0]);
    ring->end_fd = fds[0];
    return rc;
}

static int make(struct io_uring *ring, unsigned submissions, unsigned completions)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
                 IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
        .cq_entries = completions,
    };

    return io_uring_queue_init_params(submissions, ring, &params);
}

int rp_ring_open(rp_ring *ring, unsigned submissions, unsigned completions)
{
    int rc = make(&ring->uring, submissions, completions);

    if (rc == -ENOMEM && submissions > SMALL_SUBMISSIONS)
        rc = make(&ring->uring, SMALL_SUBMISSIONS, SMALL_COMPLETIONS);
    if (rc < 0)
        return rc;
    (void)atomic_load_explicit(&rings_closed, memory_order_acquire);
    /* A child of fork() must not reach the parent's queues. */
    rc = io_uring_ring_dontfork(&ring->uring);
    if (rc == 0)
        rc = watch_end(ring);
    if (rc < 0)
        io_uring_queue_exit(&ring->uring);
    return rc;
}

void rp_ring_close(rp_ring *ring, bool busy)
{
    struct pollfd end = {.fd = ring->end_fd};

    atomic_fetch_add_explicit(&rings_closed, 1, memory_order_release);
    io_uring_queue_exit(&ring->uring);
    while (busy && poll(&end, 1, -1) < 0)
        ;
    close(ring->end_fd);
}

void rp_ring_forget(rp_ring *ring)
{
    close(ring->uring.ring_fd);
    close(ring->end_fd);
}

int rp_ring_enable(rp_ring *ring)
{
    /* liburing 2.3 declares io_uring_enable_rings(), and does not export it. */
    return syscall(SYS_io_uring_register, ring->uring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0 ? -errno
                                                                                                          : 0;
}

int rp_ring_send(const rp_ring *ring, uint64_t user_data)
{
    struct io_uring_sqe sqe = {
        .opcode = IORING_OP_MSG_RING,
        .fd = ring->uring.ring_fd,
        .addr = IORING_MSG_DATA,
        .off = user_data,
    };

    return syscall(SYS_io_uring_register, -1, REGISTER_SEND_MSG_RING, &sqe, 1) < 0 ? -errno : 0;
}

#ifdef RP_TSAN
/*
 * ThreadSanitizer runs a signal's handler at the next library call that it knows, and io_uring_enter() is none: a
 * signal that came just before would wait for as long as the ring does. So that is not long.
 */
static int64_t at_most(int64_t deadline)
{
    int64_t latest = rp_time_add(rp_monotonic(), RP_MSEC(100));

    return deadline < latest ? deadline : latest;
}
#else
static int64_t at_most(int64_t deadline)
{
    return deadline;
}
#endif

int rp_ring_enter(rp_ring *ring, int64_t deadline, uint64_t *entries)
{
    struct io_uring_cqe *cqe;
    struct __kernel_timespec limit, *limit_pointer = NULL;

    if (deadline == 0) {
        unsigned flags = __atomic_load_n(ring->uring.sq.kflags, __ATOMIC_RELAXED);

        if (io_uring_sq_ready(&ring->uring) == 0 && !(flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)))
            return 0;
        (*entries)++;
        return io_uring_submit_and_get_events(&ring->uring);
    }
    deadline = at_most(deadline);
    if (deadline != RP_NEVER) {
        int64_t left = rp_time_left(deadline);

        limit = (struct __kernel_timespec){.tv_sec = left / RP_SEC(1), .tv_nsec = left % RP_SEC(1)};
        limit_pointer = &limit;
    }
    (*entries)++;
    return io_uring_submit_and_wait_timeout(&ring->uring, &cqe, 1, limit_pointer, NULL);
}
