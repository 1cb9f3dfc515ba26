/*
 * future.h - a result that is still to come. Mirrors asyncio.Future.
 *
 * A future ends once: with a result (0 or more, and perhaps a value), with an error (negative), or cancelled.
 * Futures are shared by counted references. A reference may outlive the loop.
 * Tasks (co.h) and executor jobs (loop.h) are futures: everything here works on them, except setting their result.
 *
 * Threads. All functions are for the loop's thread.
 *
 * Errors that are listed below without a reason mean the same everywhere:
 *   -ENOMEM      there is no memory
 *   RP_ECLOSED   the loop is closed
 *   RP_EFORK     this is a child of fork(), and the loop is its parent's
 *   RP_ETHREAD   another thread runs the loop: checked in debug mode only
 */
#ifndef RINGPORT_FUTURE_H
#define RINGPORT_FUTURE_H

#include "loop.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Makes a pending future.
 * *future gets its one reference, which the caller owns.
 * Errors: -ENOMEM, RP_ECLOSED, RP_EFORK, RP_ETHREAD.
 * Mirrors loop.create_future().
 */
RP_API int rp_future_new(rp_loop *loop, rp_future **future);

/*
 * Takes another reference, and returns the future.
 * NULL is ignored.
 */
RP_API rp_future *rp_future_ref(rp_future *future);

/*
 * Drops a reference. The last one frees the future.
 * An error that nobody has read is then reported to the loop's exception handler, unless that was done when the loop
 * was closed.
 * NULL is ignored.
 */
RP_API void rp_future_unref(rp_future *future);

/*
 * Ends it with success: with result 0 and the value, which the future does not own.
 * Errors:
 *   RP_EINVALIDSTATE   it is done
 *   -EINVAL            it is a task or a job
 *   RP_ETHREAD
 * Mirrors Future.set_result().
 */
RP_API int rp_future_set_result(rp_future *future, void *value);

/*
 * Ends it with an error.
 * Errors:
 *   RP_EINVALIDSTATE   it is done
 *   -EINVAL            it is a task or a job, or the error is not negative
 *   RP_ETHREAD
 * Mirrors Future.set_exception().
 */
RP_API int rp_future_set_error(rp_future *future, int error);

/*
 * Cancels it: a plain future at once.
 * A task or a queued executor job is asked to end, and may yet end otherwise.
 * Returns false if it is done, or is a job that runs already.
 * Mirrors Future.cancel().
 */
RP_API bool rp_future_cancel(rp_future *future);

/* Whether it has ended in any way; whether it was cancelled. Mirror Future.done() and cancelled(). */
RP_API bool rp_future_done(const rp_future *future);
RP_API bool rp_future_cancelled(const rp_future *future);

/*
 * How it ended: 0 or more, or its error.
 * The error counts as read from then on.
 * Errors:
 *   RP_EFUTCANCELED    it was cancelled
 *   RP_EINVALIDSTATE   it is not done
 *   its own
 * Mirrors Future.result() and Future.exception().
 */
RP_API int rp_future_result(rp_future *future);

/* The value it was given; NULL if it was given none, or is not done. */
RP_API void *rp_future_value(const rp_future *future);

/*
 * A pointer of the program's own that goes along with a future, a task or a job; NULL until it is set.
 * By it, callbacks and whoever gets one future of many tell which one that is. Python sets an attribute.
 */
RP_API void rp_future_set_data(rp_future *future, void *data);
RP_API void *rp_future_data(const rp_future *future);

/* Its loop, lent. Mirrors Future.get_loop(). */
RP_API rp_loop *rp_future_get_loop(const rp_future *future);

/*
 * Called when the future is done. It is scheduled as by rp_call_soon(), in the order of adding.
 * If the future is done already, it runs in the next turn.
 */
typedef void rp_future_callback(rp_future *future, void *arg);

/*
 * The callback's place in the future's list. Embed it, and zero it before its first use.
 * It must live until the callback is called or removed. The future is kept alive until then.
 */
typedef struct rp_done_callback {
    rp_handle handle;
    rp_future *future;
    rp_future_callback *callback;
    void *arg;
} rp_done_callback;

/*
 * Adds a callback.
 * Errors:
 *   -EBUSY    `entry` is in use
 *   -EINVAL   the callback is NULL
 *   RP_ECLOSED, RP_EFORK, RP_ETHREAD
 * Mirrors Future.add_done_callback().
 */
RP_API int rp_future_add_done_callback(rp_future *future, rp_done_callback *entry, rp_future_callback *callback,
                                       void *arg);

/*
 * Removes the callback, and returns whether it was still to run.
 * Mirrors Future.remove_done_callback().
 */
RP_API bool rp_future_remove_done_callback(rp_done_callback *entry);

#ifdef __cplusplus
}
#endif

#endif
