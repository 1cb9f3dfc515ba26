/*
 * proactor.h - the completion port by itself, without a loop: start operations, collect completions.
 *
 * Most programs never name it: a loop opens the best one there is. It is for programs that
 *   build a loop of their own
 *   give a loop a ready proactor, as asyncio's ProactorEventLoop(proactor) takes one
 *
 * Threads. A proactor belongs to the thread that waits on it. Other threads may only call rp_proactor_wake().
 * Between two calls another thread may take it over, with what is in flight.
 * On io_uring that takes some 40 ms, until the kernel has ended the old thread's ring. A multishot poll then tells once
 * more what holds.
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
 * Opens a proactor: "io_uring", "epoll" or "iocp".
 * With a NULL name it is the one that RINGPORT_PROACTOR names, or else the best that the platform permits.
 * If that variable has a bad value, stderr is told too.
 * `options` may be NULL.
 * *proactor is the caller's, who closes it by rp_proactor_close().
 * Any thread.
 * Errors:
 *   -EPERM, -ENOSYS   the kernel does not permit the one that was named, or does not have it
 *   -EINVAL           there is none of that name, or the kernel is too old for it
 *   -ENOTSUP          this build does not have it
 *   -EMFILE, -ENOMEM  there are no more descriptors, or no memory
 * Mirrors IocpProactor().
 */
RP_API int rp_proactor_open(const char *name, const rp_proactor_options *options, rp_proactor **proactor);

/*
 * Closes it.
 * Operations in flight are cancelled and waited for. Their completions are dropped.
 * Descriptors that were accepted or opened by then are closed.
 * NULL is ignored.
 * Any thread, while nobody waits on it.
 */
RP_API void rp_proactor_close(rp_proactor *proactor);

/* The backend's name: "io_uring", "epoll" or "iocp". */
RP_API const char *rp_proactor_name(const rp_proactor *proactor);

/*
 * Why a better backend was passed over, as text ("io_uring: operation not permitted"); NULL if none was.
 * A build without io_uring passes it over, too ("io_uring: not in this build").
 * The text lives as long as the proactor.
 */
RP_API const char *rp_proactor_fallback_reason(const rp_proactor *proactor);

/*
 * Starts an operation.
 * Its completion will come out of rp_proactor_wait(); after an error, none will.
 * Errors:
 *   -EINVAL    it is of no known kind
 *   -EBUSY     it is in flight already
 *   RP_EFORK   this is a child of fork(), and the proactor is its parent's
 */
RP_API int rp_proactor_submit(rp_proactor *proactor, rp_op *op);

/*
 * Asks for an operation's end.
 * Its completion still comes: with the operation's result if that was quicker, else with -ECANCELED.
 * An operation that is not in flight is ignored.
 */
RP_API void rp_proactor_cancel(rp_proactor *proactor, rp_op *op);

/*
 * Waits until one of these comes, and stores up to `capacity` completions:
 *   something has completed
 *   the monotonic clock has reached `deadline` (0: do not wait; RP_NEVER: no limit)
 *   rp_proactor_wake() is called
 * Returns how many completions it has stored; 0 after a time-out, a wake-up or a signal.
 * Errors:
 *   -EINVAL      `capacity` is not above 0
 *   RP_EFORK     this is a child of fork(), and the proactor is its parent's
 *   RP_ETHREAD   on io_uring: another thread waited last, and the kernel cannot hand over what it does for that thread.
 *                It can hand over polls, receive streams, multishot accepts and waits for children, unless the
 *                completion queue has overflown with accepted connections. The other thread has to wait once more;
 *                nothing is lost.
 *   what the system call failed with
 */
RP_API int rp_proactor_wait(rp_proactor *proactor, rp_completion *completions, int capacity, int64_t deadline);

/* Ends the wait that is going on, or else the next one. Any thread, and signal handlers too. */
RP_API void rp_proactor_wake(rp_proactor *proactor);

#ifdef __cplusplus
}
#endif

#endif
