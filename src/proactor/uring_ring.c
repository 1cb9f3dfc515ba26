/*
 * uring_ring.c - a ring of io_uring, whose issuer can change, and which forks do not share.
 *
 * It has a single issuer, and runs its completions only when that asks (DEFER_TASKRUN). It is made disabled: the thread
 * that enables it is the issuer. For another thread it is made anew, under the same number.
 *
 * The kernel ends what is in a ring when nobody has the ring any more. So that a child of fork() does not have it, its
 * descriptors are closed there before fork() returns, and no fork comes while they are made or closed. (_Fork() and
 * clone() run no such handlers.)
 */
#include "proactor/uring_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sanitized.h"
#include "base/thread.h"

/* Newer than Debian's headers: kernel 6.13's way to send a ring a message without having one. Tried at run time. */
#define REGISTER_SEND_MSG_RING 31

/* Where the kernel counts rings as locked memory, and no more of it is granted. */
enum {
    SMALL_SUBMISSIONS = 256,
    SMALL_COMPLETIONS = 1024,
};

/*
 * A ring may be mapped where one of another thread was. The kernel orders the end of the one before the beginning of
 * the other, but liburing's system calls hide that from ThreadSanitizer: this count shows it.
 */
static atomic_uint rings_closed;

/* ---- the process's rings ---- */

static rp_mutex mutex = RP_MUTEX_INIT;
static rp_node rings = {&rings, &rings}; /* all that are open, by their links; under the mutex */

static void close_inherited(void)
{
    while (!rp_list_empty(&rings))
        uring_ring_forget(rp_container_of(rings.next, uring_ring, link));
}

__attribute__((constructor)) static void guard_rings(void)
{
    rp_mutex_hold_in_forks(&mutex);
    pthread_atfork(NULL, NULL, close_inherited);
}

/* ---- making and closing ---- */

/*
 * Makes a pipe whose writing end nobody has but the ring: when the other end, end_fd, hangs up, the kernel has let go
 * of the ring and of all operations that were in it.
 */
static int watch_end(uring_ring *ring)
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

static int open_ring(uring_ring *ring, unsigned submissions, unsigned completions)
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

int uring_ring_open(uring_ring *ring, unsigned submissions, unsigned completions)
{
    rp_mutex_lock(&mutex);
    int rc = open_ring(ring, submissions, completions);
    if (rc == 0)
        rp_list_push(&rings, &ring->link);
    rp_mutex_unlock(&mutex);
    return rc;
}

void uring_ring_close(uring_ring *ring, bool busy)
{
    struct pollfd end = {.fd = ring->end_fd};

    rp_mutex_lock(&mutex);
    atomic_fetch_add_explicit(&rings_closed, 1, memory_order_release);
    io_uring_queue_exit(&ring->uring);
    ring->uring.ring_fd = -1;
    rp_mutex_unlock(&mutex);
    while (busy && poll(&end, 1, -1) < 0)
        ;
    rp_mutex_lock(&mutex);
    rp_list_remove(&ring->link);
    close(ring->end_fd);
    rp_mutex_unlock(&mutex);
}

/* The number of the one becomes that of the other, which gets a second name of the first in its place. */
static int take_over(uring_ring *ring, uring_ring *fresh)
{
    int number = ring->uring.ring_fd, spare = fresh->uring.ring_fd, end_fd = ring->end_fd;
    struct io_uring old = ring->uring;

    if (dup3(spare, number, O_CLOEXEC) < 0)
        return -errno;
    ring->uring = fresh->uring;
    ring->uring.ring_fd = ring->uring.enter_ring_fd = number;
    ring->end_fd = fresh->end_fd;
    fresh->uring = old;
    fresh->uring.ring_fd = fresh->uring.enter_ring_fd = spare;
    fresh->end_fd = end_fd;
    return 0;
}

int uring_ring_renew(uring_ring *ring, unsigned submissions, unsigned completions, bool busy)
{
    uring_ring other;

    RP_TRY(uring_ring_open(&other, submissions, completions));
    int rc = uring_ring_enable(&other);
    if (rc == 0) {
        rp_mutex_lock(&mutex);
        rc = take_over(ring, &other);
        rp_mutex_unlock(&mutex);
    }
    uring_ring_close(&other, rc == 0 && busy); /* the old one, or a fresh one that could not replace it */
    return rc;
}

void uring_ring_forget(uring_ring *ring)
{
    if (!rp_node_linked(&ring->link))
        return;
    rp_list_remove(&ring->link);
    if (ring->uring.ring_fd >= 0)
        close(ring->uring.ring_fd);
    close(ring->end_fd);
}

int uring_ring_enable(uring_ring *ring)
{
    /* liburing 2.3 declares io_uring_enable_rings(), and does not export it. */
    return syscall(SYS_io_uring_register, ring->uring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0 ? -errno
                                                                                                          : 0;
}

int uring_ring_send(int ring_fd, uint64_t user_data)
{
    struct io_uring_sqe sqe = {
        .opcode = IORING_OP_MSG_RING,
        .fd = ring_fd,
        .addr = IORING_MSG_DATA,
        .off = user_data,
    };

    return syscall(SYS_io_uring_register, -1, REGISTER_SEND_MSG_RING, &sqe, 1) < 0 ? -errno : 0;
}

#ifdef RP_TSAN
/*
 * ThreadSanitizer runs a signal's handler at the next library call that it knows, and io_uring_enter() is none. A
 * signal that came just before would wait for as long as the ring does. So the ring does not wait long, and says then
 * that a signal has come.
 */
static int64_t at_most(int64_t limit)
{
    return limit < RP_MSEC(100) ? limit : RP_MSEC(100);
}
#else
static int64_t at_most(int64_t limit)
{
    return limit;
}
#endif

int uring_ring_enter(uring_ring *ring, int64_t limit, uint64_t *entries)
{
    struct io_uring_cqe *cqe;
    struct __kernel_timespec timeout, *timeout_pointer = NULL;

    if (limit == 0) {
        if (!uring_ring_wants_call(ring))
            return 0;
        (*entries)++;
        return io_uring_submit_and_get_events(&ring->uring);
    }
    int64_t wait = at_most(limit);
    if (wait != RP_NEVER) {
        timeout = (struct __kernel_timespec){.tv_sec = wait / RP_SEC(1), .tv_nsec = wait % RP_SEC(1)};
        timeout_pointer = &timeout;
    }
    (*entries)++;
    int rc = io_uring_submit_and_wait_timeout(&ring->uring, &cqe, 1, timeout_pointer, NULL);
    return rc == -ETIME && wait < limit ? -EINTR : rc;
}
