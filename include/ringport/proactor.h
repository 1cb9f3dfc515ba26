/*
 * proactor.h - the completion port by itself, without a loop: start operations, collect completions.
 *
 * Most programs never name it: a loop opens the best one there is. It is for those who build a loop of their own, and
 * programs that give a loop a ready proactor, as asyncio's ProactorEventLoop(proactor) takes one.
 *
 * A proactor belongs to the thread that waits on it; rp_proactor_wake() alone may be called from elsewhere. Another
 * thread may take it over between two calls, with what is in flight. With io_uring that takes until the kernel has
 * ended the old thread's ring, some 40 ms; a multishot poll then tells what holds once more.
 */
#ifndef RINGPORT_PROACTOR_H
#define RINGPORT_PROACTOR_H

#include "op.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A completion port; opaque. */
typedef struct rp_proactor rp_proactor;

/* How it is opened. Zeroed, it is the default. */
typedef struct rp_proactor_options {
    /* io_uring: the queues' sizes, if the kernel grants that much locked memory; else 256 and 1024. */
    unsigned submission_entries; /* 0: 4096 */
    unsigned completion_entries; /* 0: 16384 */
    unsigned concurrency;        /* iocp: how many threads the port lets run at a time; 0: 0xffffffff, no limit */
    /*
     * Nanoseconds to poll for before each sleep (20000 is a good start): answers faster, and for less processor time
     * too if the peers do the same. Polls that find nothing become rare by themselves. 0: RINGPORT_BUSY_POLL of the
     * environment, else none.
     */
    int64_t busy_poll;
} rp_proactor_options;

/* A completion: what rp_proactor_wait() hands out. */
typedef struct rp_completion {
    rp_op *op;
    int64_t result;
    uint32_t flags; /* RP_OP_MORE */
} rp_completion;

/*
 * Opens a proactor: "io_uring", "epoll" or "iocp"; NULL: the one that RINGPORT_PROACTOR names, else the best that the
 * platform permits. A bad value of that variable is also told on stderr. options may be NULL.
 * A named one that cannot be opened is an error:
 *   -EPERM, -ENOSYS  the kernel does not permit it, or does not have it
 *   -EINVAL          there is none of that name, or the kernel is too old
 *   -ENOTSUP         this build has none
 *   -EMFILE, -ENOMEM
 * Mirrors IocpProactor().
 */
RP_API int rp_proactor_open(const char *name, const rp_proactor_options *options, rp_proactor **proactor);

/*
 * Closes it: operations in flight are cancelled and waited for, their completions are dropped (descriptors that were
 * accepted or opened by then are closed). NULL is ignored. Any thread, when nobody waits.
 */
RP_API void rp_proactor_close(rp_proactor *proactor);

/* The backend's name. */
RP_API const char *rp_proactor_name(const rp_proactor *proactor);

/*
 * Why a better backend was passed over, as text ("io_uring: operation not permitted"); NULL if none was. The text
 * lives as long as the proactor.
 */
RP_API const char *rp_proactor_fallback_reason(const rp_proactor *proactor);

/*
 * Starts an operation: 0, and its completion will come out of rp_proactor_wait(); or an error, and none will:
 * -EINVAL for a kind that is not an operation, -EBUSY if it is in flight already, RP_EFORK.
 */
RP_API int rp_proactor_submit(rp_proactor *proactor, rp_op *op);

/*
 * Asks for an operation's end. Its completion still comes: with the result if that won the race, else -ECANCELED. An
 * operation that is not in flight is left alone.
 */
RP_API void rp_proactor_cancel(rp_proactor *proactor, rp_op *op);

/*
 * Waits until something has completed, the monotonic clock reaches `deadline` (0: does not wait; RP_NEVER: no limit),
 * or somebody wakes it, and stores up to `capacity` completions. Returns how many; 0 after a time-out, a wake-up or an
 * interrupting signal; or an error.
 * RP_ETHREAD, with io_uring: another thread waited last, and the kernel has operations of its that it cannot hand over,
 * which are all but polls, receive streams, multishot accepts and waits for children; or its completion queue has
 * overflown, with connections that a multishot accept has accepted. Then that thread is to wait. Nothing is lost.
 */
RP_API int rp_proactor_wait(rp_proactor *proactor, rp_completion *completions, int capacity, int64_t deadline);

/* Ends the wait that is going on, or else the next one. Any thread, a signal handler too. */
RP_API void rp_proactor_wake(rp_proactor *proactor);

#ifdef __cplusplus
}
#endif

#endif
