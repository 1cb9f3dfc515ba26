/*
 * turn.h - a turn of the loop, in steps that whoever drives the loop calls.
 *
 * A run is rp_loop_enter(), turns, and rp_loop_leave(). A turn is
 *
 *     rp_turn_wait()      takes completions: waits for some if there is nothing else to do
 *     rp_turn_collect()   fixes what is run: handles that are ready, posts of other threads, timers that are due
 *     rp_turn_run()       runs the handles
 *     rp_turn_deliver()   calls back what goes on receiving, and the operations that have completed
 *     rp_turn_timers()    runs the timers and what is to come last, and ends the turn
 *
 * in asyncio's order: callbacks that were ready, what was received, timers; what any of these schedule comes in the
 * next turn. The C face, which is what C programs see of the loop, delivers before it collects: what completions
 * schedule runs in the same turn (running.c).
 *
 * A step calls back one after the other; it ends early
 *   with -EINTR      after rp_turn_interrupt()
 *   with RP_EFORK    in a child of fork() that a callback has made, where the run is to be left
 *   with a C++ exception that a callback throws.
 * Nothing is lost by that. The callback that was running has been called. The turn is not over: the same steps, in this
 * run or the next one, go on where it was left, and what they have done already they do not do again.
 */
#ifndef RP_LOOP_TURN_H
#define RP_LOOP_TURN_H

#include "loop/loop.h"

/* Until when the wait may last; 0: it will not sleep. In debug mode this also reports tasks that wait for nothing. */
int64_t rp_turn_deadline(rp_loop *loop);

/*
 * Takes completions, waiting for the first one until the deadline, or a post, or an interrupt. 0, or what the backend
 * failed with.
 * It does not touch the list of ready handles. So a face may guard that list by a lock of its own which it gives up for
 * this call alone: another thread that has the lock may make handles ready meanwhile, and wakes the proactor then.
 */
int rp_turn_wait(rp_loop *loop, int64_t deadline);

void rp_turn_collect(rp_loop *loop);
int rp_turn_run(rp_loop *loop);
int rp_turn_deliver(rp_loop *loop);
int rp_turn_timers(rp_loop *loop);

/*
 * Calls back, before their time, the operations that have completed and lie in this memory: whoever owns it is about
 * to end, and does not wait for the rest of the turn. The others keep their order.
 */
void rp_turn_deliver_of(rp_loop *loop, const void *owner, size_t size);

/*
 * Ends the run early: a wait at once, another step when its present callback has returned. If neither is running, the
 * next wait ends so, or the next callback is the last; an interrupt cannot come too early for a run that is about to
 * begin. Any thread, but no signal's handler: that may have struck in the middle of this. After the loop's close this
 * does nothing.
 */
void rp_turn_interrupt(rp_loop *loop);

#endif
