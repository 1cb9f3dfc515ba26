/*
 * ringport.h - asyncio's event-loop system in C. This one header brings all of it.
 *
 *   co.h      coroutines and tasks: rp_run, rp_create_task, rp_sleep, groups, timeouts
 *   io.h      system calls that suspend: rp_read, rp_open, rp_recvfrom, rp_wait_child, rp_wait_signal
 *   sync.h    events, locks, conditions, semaphores, barriers, queues
 *   stream.h  TCP and Unix connections for coroutines
 *   net.h     transports and protocols: the same by callbacks
 *   future.h  results that are still to come
 *   loop.h    the event loop itself: callbacks, timers, signals, executors, policy
 *   op.h, proactor.h   operations and the completion port below
 *   error.h, base.h    errors; time, memory
 */
#ifndef RINGPORT_H
#define RINGPORT_H

#include "ringport/base.h"
#include "ringport/error.h"
#include "ringport/op.h"
#include "ringport/proactor.h"
#include "ringport/loop.h"
#include "ringport/future.h"
#include "ringport/co.h"
#include "ringport/io.h"
#include "ringport/sync.h"
#include "ringport/net.h"
#include "ringport/stream.h"

#endif
