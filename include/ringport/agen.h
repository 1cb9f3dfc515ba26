/*
 * agen.h - asynchronous generators: coroutines that hand one value after the other to whoever asks for the next.
 *
 *     static int ticks(rp_co *co, void *arg)
 *     {
 *         for (int i = 0; i < 3; i++) {
 *             RP_TRY(rp_sleep(co, RP_SEC(1)));
 *             RP_TRY(rp_yield(co, &i));
 *         }
 *         return 0;
 *     }
 *
 *     RP_TRY(rp_agen_new(&agen, ticks, NULL));
 *     while ((rc = rp_agen_next(co, agen, &value)) > 0)
 *         printf("%d\n", *(int *)value);
 *     rp_agen_free(agen);
 *
 * A generator runs only while somebody waits for its next value.
 * It has a stack and a `co` of its own, and may do what a task may: suspend, begin groups, ask other generators.
 * It begins when it is asked for the first time; one that was never asked never runs.
 * Its stack is as large as those of the loop's tasks. Its task locals are those of the task that asks.
 * Those that are left are ended before their loop is: see rp_shutdown_asyncgens().
 *
 * Cancellation. A consumer that is cancelled while it waits for a value cancels the generator.
 * What the generator waits for returns -ECANCELED then. It cleans up and returns that, and so does the consumer's call.
 *
 * Threads. All functions are for the loop's thread.
 *
 * Errors that are listed below without a reason mean the same everywhere:
 *   -ECANCELED   the calling task was cancelled (co.h)
 *   -ENOMEM      there is no memory
 *   -EINVAL      there is no generator, or it is another loop's
 *   -EBUSY       the generator runs already: another task waits for its value, or its own function asks
 *   RP_ENOLOOP   no loop runs in this thread
 * Every call that may suspend also returns RP_ENOTASK and RP_EFORK (co.h).
 */
#ifndef RINGPORT_AGEN_H
#define RINGPORT_AGEN_H

#include "co.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An asynchronous generator. */
typedef struct rp_agen rp_agen;

/*
 * Makes a generator of a coroutine, on the running loop. Nothing runs yet.
 * *agen is the caller's, who frees it by rp_agen_free().
 * `arg` must live as long as the coroutine uses it. With the second function the generator has a copy of `size` bytes.
 * Never suspend.
 * Errors:
 *   -EINVAL   there is no coroutine, or nothing to copy
 *   -ENOMEM, RP_ENOLOOP
 * Mirror a call of an async def function that yields.
 */
RP_API int rp_agen_new(rp_agen **agen, rp_coro *coro, void *arg);
RP_API int rp_agen_new_copy(rp_agen **agen, rp_coro *coro, const void *arg, size_t size);

/*
 * For a generator's function: hands a value to whoever has asked, and suspends until the next one is asked for.
 * The value is lent until then. It may be NULL.
 * Returns 0.
 * On an error clean up, and return it:
 *   -ECANCELED   the generator is being closed, or whoever waited for it was cancelled
 *   -EINVAL      this is no generator
 *   what rp_agen_throw() has thrown
 * Errors: those, and RP_ENOTASK.
 * Mirrors yield.
 */
RP_API int rp_yield(rp_co *co, void *value);

/*
 * Asks for the next value, and suspends while the generator waits for something.
 * Returns 1, and *value is the value, which the generator lends until the next call for it.
 * Returns 0 at the end: the generator has returned 0 or more, now or before.
 * Errors:
 *   -ECANCELED        the caller was cancelled, and the generator ended by that, or has not been asked
 *   RP_EFUTCANCELED   the generator has returned -ECANCELED for another reason
 *   -ENOMEM           at the first value: it has not begun, and can be asked again
 *   -EINVAL, -EBUSY
 *   the error that the generator has returned; it has ended
 * Mirrors anext() and agen.__anext__().
 */
RP_API int rp_agen_next(rp_co *co, rp_agen *agen, void **value);

/*
 * Lets the generator's rp_yield() return an error, and goes on as rp_agen_next().
 * A generator that has not begun ends without running, and the call returns the error.
 * Suspends while the generator waits for something.
 * Errors:
 *   -EINVAL   also if `error` is not negative
 *   those of rp_agen_next()
 * Mirrors agen.athrow().
 */
RP_API int rp_agen_throw(rp_co *co, rp_agen *agen, int error, void **value);

/*
 * Ends the generator: its rp_yield() returns -ECANCELED, and it runs to its end. Suspends until then.
 * Returns 0 if it ended by that, or has ended before.
 * A call while the caller's cancellation is pending closes all the same.
 * Errors:
 *   -ECANCELED           the caller was cancelled meanwhile, and the generator ended by being cancelled
 *   RP_EINVALIDSTATE     the generator has yielded in place of ending: it can be closed again
 *   -EINVAL, -EBUSY
 *   the error that the generator has returned
 * Mirrors agen.aclose().
 */
RP_API int rp_agen_close(rp_co *co, rp_agen *agen);

/*
 * Gives the generator up. One that has begun and not ended is closed by a task of its own, soon. If that ends with an
 * error, the loop's exception handler is told.
 * The loop may be closed.
 * NULL is ignored.
 * Never suspends.
 * Mirrors the end of the last reference, and the loop's hook for it.
 */
RP_API void rp_agen_free(rp_agen *agen);

/*
 * Closes all generators of the loop that have begun and not ended, and suspends until they have ended.
 * Errors of generators are told to the loop's exception handler.
 * A generator that begins later is reported there: it runs, but nobody will end it.
 * Outside of tasks rp_shutdown_asyncgens() (loop.h) does it, which rp_run() calls.
 * Errors:
 *   -ECANCELED, -ENOMEM
 * Mirrors loop.shutdown_asyncgens().
 */
RP_API int rp_shutdown_asyncgens_wait(rp_co *co);

#ifdef __cplusplus
}
#endif

#endif
