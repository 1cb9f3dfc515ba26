/*
 * test_sweep_calls.c - the nth system call fails, in every scenario, for every n and every error.
 *
 * The calls that the library makes are wrapped by the linker (see meson.build). Each error strikes only those calls
 * that really fail by it, and in the way they really do: close() has closed when it is interrupted, connect() goes on,
 * a socket that would have blocked makes an edge later, and a receive that comes short means that nothing more is there
 * (so that it is sends that come short).
 */
#include "harness/scenarios.h"

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef RP_HAVE_IO_URING
#include <liburing.h>
#endif

/* In place of an error, where a name does not say it all; they are no errno of the calls here. */
enum {
    SHORT = ENOTBLK,     /* a part is sent */
    NO_THREAD = ENOTDIR, /* EAGAIN of pthread_create() */
};

/* ---- when it strikes ---- */

static atomic_int error;     /* that strikes; 0: none */
static atomic_ullong left;   /* until it does */
static atomic_int edge = -1; /* a socket that epoll is to report as ready, after it has blocked by us */

/* What epoll tells of a descriptor: as it was given when that was registered last. */
static _Atomic uint64_t told_of[1024];

/* Whether this call, which can fail by the errors in the list (ended by 0), is the one to fail. */
static bool strikes(const int *errors)
{
    int wanted = atomic_load(&error);

    while (*errors != 0 && *errors != wanted)
        errors++;
    return wanted != 0 && *errors == wanted && atomic_load(&left) > 0 && atomic_fetch_sub(&left, 1) == 1;
}

#define STRIKES(...) strikes((const int[]){__VA_ARGS__, 0})

static int fail(void)
{
    errno = atomic_load(&error);
    return -1;
}

/* ---- the calls ---- */

WRAP(int, socket, int domain, int type, int protocol)
{
    return STRIKES(EMFILE, ENOBUFS, ENOMEM) ? fail() : __real_socket(domain, type, protocol);
}

WRAP(int, bind, int fd, const struct sockaddr *address, socklen_t length)
{
    return STRIKES(ENOMEM) ? fail() : __real_bind(fd, address, length);
}

WRAP(int, accept4, int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    return STRIKES(EINTR, EMFILE, ENOBUFS, ENOMEM) ? fail() : __real_accept4(fd, address, length, flags);
}

WRAP(int, connect, int fd, const struct sockaddr *address, socklen_t length)
{
    if (STRIKES(ENOBUFS, ENOMEM))
        return fail();
    int rc = __real_connect(fd, address, length);
    return rc < 0 && errno == EINPROGRESS && STRIKES(EINTR) ? fail() : rc;
}

/* A socket that blocks; the edge that it will make one day comes with epoll's next answer. */
static int block(int fd)
{
    atomic_store(&edge, fd);
    return fail();
}

WRAP(ssize_t, recv, int fd, void *buffer, size_t length, int flags)
{
    return STRIKES(EINTR, ECONNRESET) ? fail() : __real_recv(fd, buffer, length, flags);
}

WRAP(ssize_t, send, int fd, const void *buffer, size_t length, int flags)
{
    if (STRIKES(EINTR, ECONNRESET, ENOBUFS, ENOMEM))
        return fail();
    if (STRIKES(EAGAIN))
        return block(fd);
    return __real_send(fd, buffer, STRIKES(SHORT) ? (length + 1) / 2 : length, flags);
}

WRAP(ssize_t, sendto, int fd, const void *buffer, size_t length, int flags, const struct sockaddr *address,
     socklen_t address_length)
{
    return STRIKES(EINTR, EAGAIN, ENOBUFS, ENOMEM)
               ? fail()
               : __real_sendto(fd, buffer, length, flags, address, address_length);
}

WRAP(int, sendmmsg, int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    if (STRIKES(EINTR, EAGAIN, ENOBUFS, ENOMEM))
        return fail();
    return __real_sendmmsg(fd, messages, STRIKES(SHORT) ? (count + 1) / 2 : count, flags);
}

WRAP(int, recvmmsg, int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *limit)
{
    return STRIKES(EINTR, ENOMEM) ? fail() : __real_recvmmsg(fd, messages, count, flags, limit);
}

WRAP(int, epoll_create1, int flags)
{
    return STRIKES(EMFILE, ENOMEM) ? fail() : __real_epoll_create1(flags);
}

WRAP(int, epoll_ctl, int epoll, int operation, int fd, struct epoll_event *event)
{
    if (operation == EPOLL_CTL_DEL)
        return __real_epoll_ctl(epoll, operation, fd, event);
    if (STRIKES(ENOMEM))
        return fail();
    CHECK_INT(fd, <, (int)(sizeof told_of / sizeof *told_of));
    atomic_store(&told_of[fd], event->data.u64);
    return __real_epoll_ctl(epoll, operation, fd, event);
}

WRAP(int, epoll_pwait2, int epoll, struct epoll_event *events, int count, const struct timespec *limit,
     const sigset_t *mask)
{
    static const struct timespec now;
    int fd = atomic_exchange(&edge, -1);

    if (STRIKES(EINTR))
        return fail();
    int n = __real_epoll_pwait2(epoll, events, fd >= 0 ? count - 1 : count, fd >= 0 ? &now : limit, mask);
    if (n >= 0 && fd >= 0)
        events[n++] = (struct epoll_event){.events = EPOLLOUT, .data.u64 = atomic_load(&told_of[fd])};
    return n;
}

WRAP(int, epoll_wait, int epoll, struct epoll_event *events, int count, int milliseconds)
{
    int fd = atomic_exchange(&edge, -1);

    if (STRIKES(EINTR))
        return fail();
    int n = __real_epoll_wait(epoll, events, fd >= 0 ? count - 1 : count, fd >= 0 ? 0 : milliseconds);
    if (n >= 0 && fd >= 0)
        events[n++] = (struct epoll_event){.events = EPOLLOUT, .data.u64 = atomic_load(&told_of[fd])};
    return n;
}

WRAP(int, poll, struct pollfd *entries, nfds_t count, int milliseconds)
{
    return milliseconds != 0 && STRIKES(EINTR) ? fail() : __real_poll(entries, count, milliseconds);
}

WRAP(int, eventfd, unsigned count, int flags)
{
    return STRIKES(EMFILE, ENOMEM) ? fail() : __real_eventfd(count, flags);
}

WRAP(int, pipe2, int fds[2], int flags)
{
    return STRIKES(EMFILE) ? fail() : __real_pipe2(fds, flags);
}

WRAP(ssize_t, preadv64v2, int fd, const struct iovec *vector, int count, off64_t offset, int flags)
{
    return STRIKES(EINTR) ? fail() : __real_preadv64v2(fd, vector, count, offset, flags);
}

/* A pipe's pages come as they are needed. */
WRAP(ssize_t, pwritev64v2, int fd, const struct iovec *vector, int count, off64_t offset, int flags)
{
    if (STRIKES(EINTR, ENOMEM) || (flags & RWF_NOWAIT && STRIKES(EAGAIN)))
        return fail();
    struct iovec half = {.iov_base = vector->iov_base, .iov_len = (vector->iov_len + 1) / 2};
    return STRIKES(SHORT) ? __real_pwritev64v2(fd, &half, 1, offset, flags)
                          : __real_pwritev64v2(fd, vector, count, offset, flags);
}

WRAP(int, close, int fd)
{
    int rc = __real_close(fd);

    return rc == 0 && STRIKES(EINTR) ? fail() : rc;
}

/* Of coroutines' stacks. The signal stack, which is mapped otherwise, is done without if there is no memory. */
WRAP(void *, mmap64, void *address, size_t size, int protection, int flags, int fd, off64_t offset)
{
    if (!(flags & MAP_NORESERVE) || !STRIKES(ENOMEM))
        return __real_mmap64(address, size, protection, flags, fd, offset);
    errno = ENOMEM;
    return MAP_FAILED;
}

WRAP(int, pthread_create, pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *),
     void *arg)
{
    return STRIKES(NO_THREAD) ? EAGAIN : __real_pthread_create(thread, attributes, function, arg);
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

/* Messages to a ring: they need memory, but the loop that they wake must not miss them. */
long __wrap_syscall(long number, ...)
{
    long arguments[6];
    va_list list;

    va_start(list, number);
    for (int i = 0; i < 6; i++)
        arguments[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_io_uring_register && arguments[0] == -1 && STRIKES(EINTR, EAGAIN))
        return fail();
    return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                          arguments[5]);
}

#ifdef RP_HAVE_IO_URING

/* ---- liburing's, which return their errors ---- */

WRAP(int, io_uring_queue_init_params, unsigned entries, struct io_uring *ring, struct io_uring_params *parameters)
{
    static _Thread_local bool no_memory; /* for a large ring, nor for the small one that is tried next */

    if (no_memory) {
        no_memory = false;
        return -ENOMEM;
    }
    if (!STRIKES(EMFILE, ENOMEM))
        return __real_io_uring_queue_init_params(entries, ring, parameters);
    no_memory = atomic_load(&error) == ENOMEM;
    return -atomic_load(&error);
}

WRAP(int, io_uring_register_files, struct io_uring *ring, const int *fds, unsigned count)
{
    return STRIKES(EMFILE, ENOMEM) ? -atomic_load(&error) : __real_io_uring_register_files(ring, fds, count);
}

WRAP(int, io_uring_ring_dontfork, struct io_uring *ring)
{
    return STRIKES(ENOMEM) ? -ENOMEM : __real_io_uring_ring_dontfork(ring);
}

WRAP(int, io_uring_submit, struct io_uring *ring)
{
    return STRIKES(EINTR, EAGAIN) ? -atomic_load(&error) : __real_io_uring_submit(ring);
}

WRAP(int, io_uring_submit_and_get_events, struct io_uring *ring)
{
    return STRIKES(EINTR, EAGAIN) ? -atomic_load(&error) : __real_io_uring_submit_and_get_events(ring);
}

WRAP(int, io_uring_submit_and_wait_timeout, struct io_uring *ring, struct io_uring_cqe **completion,
     unsigned count, struct __kernel_timespec *limit, sigset_t *mask)
{
    return STRIKES(EINTR, EAGAIN) ? -atomic_load(&error)
                                  : __real_io_uring_submit_and_wait_timeout(ring, completion, count, limit, mask);
}

#endif

/* ---- the sweep ---- */

static void arm(int wanted, uint64_t nth)
{
    atomic_store(&edge, -1);
    atomic_store(&left, nth);
    atomic_store(&error, wanted);
}

static int disarm(int told)
{
    atomic_store(&error, 0);
    return atomic_load(&left) == 0 ? -told : UNTOUCHED;
}

/* A kind of fault; what is told of it, 0: it is harmless. */
#define FAULT(name, told)                                                                                         \
    static void arm_##name(uint64_t nth)                                                                          \
    {                                                                                                             \
        arm(name, nth);                                                                                           \
    }                                                                                                             \
    static int disarm_##name(void)                                                                                \
    {                                                                                                             \
        return disarm(told);                                                                                      \
    }                                                                                                             \
    static const fault fault_##name = {#name, arm_##name, disarm_##name};

FAULT(EINTR, 0)
FAULT(EAGAIN, 0)
FAULT(SHORT, 0)
FAULT(NO_THREAD, EAGAIN)
FAULT(ENOMEM, ENOMEM)
FAULT(EMFILE, EMFILE)
FAULT(ECONNRESET, ECONNRESET)
FAULT(ENOBUFS, ENOBUFS)

#define SWEEP(name)                                                                                               \
    TEST(name)                                                                                                    \
    {                                                                                                             \
        sweep(scenario_##name, &fault_EINTR);                                                                     \
        sweep(scenario_##name, &fault_EAGAIN);                                                                    \
        sweep(scenario_##name, &fault_SHORT);                                                                     \
        sweep(scenario_##name, &fault_NO_THREAD);                                                                 \
        sweep(scenario_##name, &fault_ENOMEM);                                                                    \
        sweep(scenario_##name, &fault_EMFILE);                                                                    \
        sweep(scenario_##name, &fault_ECONNRESET);                                                                \
        sweep(scenario_##name, &fault_ENOBUFS);                                                                   \
    }
SCENARIOS(SWEEP)
