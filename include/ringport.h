/*
 * ringport.h - asyncio's event-loop system in C. This one header brings all of it.
 *
 * Start with rp_run() in co.h, and with stream.h for connections.
 *
 *   co.h        coroutines and tasks: rp_run, rp_create_task, rp_sleep, groups, timeouts
 *   stream.h    TCP and Unix connections and servers for coroutines
 *   subprocess.h   child processes for coroutines
 *   udp.h       datagrams for coroutines; udp_socket.h: multicast groups, broadcast, GRO and GSO
 *   io.h        system calls that suspend: rp_read, rp_open, rp_recvfrom, rp_wait_child, rp_wait_signal
 *   file.h      files by their names: rp_rename, rp_opendir, rp_copy_file, rp_mkstemp
 *   agen.h      asynchronous generators: rp_yield, rp_agen_next
 *   sync.h      events, locks, conditions, semaphores, barriers, queues
 *   net.h       transports and protocols: connections and servers by callbacks
 *   process.h   child processes by callbacks
 *   datagram.h  datagrams by callbacks
 *   loop.h      the event loop itself: callbacks, timers, signals, executors, policy
 *   watch.h     watching files and directories
 *   future.h    results that are still to come
 *   op.h        operations: what is asked of the kernel
 *   proactor.h  the completion port, without a loop
 *   error.h     errors
 *   base.h      time, memory
 *
 * Not in it: tls.h, contexts of TLS, which belongs to a library of its own.
 */
#ifndef RINGPORT_H
#define RINGPORT_H

#include "ringport/base.h"
#include "ringport/error.h"
#include "ringport/op.h"
#include "ringport/proactor.h"
#include "ringport/loop.h"
#include "ringport/future.h"
#include "ringport/watch.h"
#include "ringport/co.h"
#include "ringport/io.h"
#include "ringport/file.h"
#include "ringport/agen.h"
#include "ringport/sync.h"
#include "ringport/net.h"
#include "ringport/process.h"
#include "ringport/udp_socket.h"
#include "ringport/datagram.h"
#include "ringport/stream.h"
#include "ringport/udp.h"
#include "ringport/subprocess.h"

#endif
