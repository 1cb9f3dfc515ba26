/*
 * signals_posix.c - signals as callbacks on the loop, by a pipe.
 *
 * The handler proper runs in signal context. It notes in `arrived` that the signal has come, and writes into a pipe,
 * which the loop reads like any other input; a full pipe loses nothing. `targets` says which loop's pipe that is, and
 * `handling` how many threads are in the handler: a pipe is closed when none can be about to write into it. Both sides
 * touch these three, and nothing else. Handlers are added and removed only in the main thread. Each signal has one
 * owner: the entry of the loop that asked last, which knows the disposition before ringport's.
 *
 * The pipe is polled only while the loop owns a signal. A loop that owns none has nothing in its proactor.
 */
#include "loop/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/sanitized.h"
#include "base/thread.h"
#include "loop/exception.h"
#include "loop/handle.h"
#include "loop/resource.h"

/*
 * ThreadSanitizer puts handlers off until the program calls a function that it knows. A wait on the ring that the
 * kernel restarts by itself is none, and would last for ever.
 */
#ifdef RP_TSAN
#define RESTART 0
#else
#define RESTART SA_RESTART
#endif

typedef struct entry {
    rp_handle handle;
    rp_signal_sink sink;
    struct rp_signals *signals; /* that it is in */
    int flags;                  /* that it is caught with */
    struct sigaction previous;
} entry;

typedef struct rp_signals {
    rp_resource resource;
    rp_loop *loop;
    int read_fd;
    int write_fd;
    rp_op op;      /* a poll of read_fd */
    bool watching; /* it is in flight */
    rp_timer retry;
    entry entries[NSIG];
} rp_signals;

/* The loop's; NULL until it catches a signal. */
static rp_signals *of_loop(const rp_loop *loop)
{
    return loop->slots[RP_SLOT_SIGNALS];
}

/* The pipe that a signal goes to, plus 1; 0: none. */
static atomic_int targets[NSIG];
static atomic_bool arrived[NSIG];
static atomic_uint handling;
static atomic_uint owner_generation; /* of the process that the pipes belong to */
static entry *owners[NSIG];

static void nudge(int fd)
{
    if (write(fd, "", 1) < 0) {
        /* It is full, so that the loop will look all the same. */
    }
}

static void on_signal(int number)
{
    int saved = errno;

    if (atomic_load(&owner_generation) != rp_fork_generation()) {
        /* A child of fork() must not wake its parent: there the signal does what it does by default. */
        signal(number, SIG_DFL);
        raise(number);
    } else {
        atomic_fetch_add(&handling, 1);
        int fd = atomic_load(&targets[number]) - 1;
        atomic_store(&arrived[number], true);
        if (fd >= 0)
            nudge(fd);
        atomic_fetch_sub(&handling, 1);
    }
    errno = saved;
}

static int apply(entry *e);

static void run_entry(void *arg)
{
    entry *e = arg;
    bool waits = !rp_list_empty(&e->sink.waits);

    rp_signal_sink_run(&e->sink); /* a handler may close the loop, or fork */
    if (waits)
        (void)apply(e);
}

/* ---- the loop's pipe ---- */

static bool owns_any(const rp_signals *signals)
{
    for (int number = 1; number < NSIG; number++)
        if (owners[number] == &signals->entries[number])
            return true;
    return false;
}

static void on_readable(rp_op *op);

/* Polls the pipe, if that is not done already. */
static int watch(rp_signals *signals)
{
    if (signals->watching)
        return 0;
    rp_timer_cancel(&signals->retry);
    rp_op_poll(&signals->op, signals->read_fd, RP_POLL_IN, on_readable, signals);
    int rc = rp_proactor_submit(signals->loop->proactor, &signals->op);
    signals->watching = rc == 0;
    signals->loop->standing += signals->watching;
    return rc;
}

static void watch_again(void *arg);

/* No memory, perhaps. Signals that come meanwhile wait in the pipe. */
static void watch_later(rp_signals *signals, int error)
{
    rp_loop_report(signals->loop, &(rp_report){.where = RP_WHERE_SIGNALS, .error = error});
    rp_call_later(signals->loop, &signals->retry, RP_SEC(1), watch_again, signals);
}

static void watch_again(void *arg)
{
    rp_signals *signals = arg;
    int rc = owns_any(signals) ? watch(signals) : 0;

    if (rc < 0)
        watch_later(signals, rc);
}

/* Polls no more, if no signal is left. */
static void unwatch(rp_signals *signals)
{
    if (owns_any(signals))
        return;
    rp_timer_cancel(&signals->retry);
    if (signals->watching)
        rp_proactor_cancel(signals->loop->proactor, &signals->op);
}

static void take_signals(rp_signals *signals)
{
    char bytes[256];

    while (read(signals->read_fd, bytes, sizeof bytes) > 0)
        ;
    for (int number = 1; number < NSIG; number++) {
        entry *e = &signals->entries[number];

        if (owners[number] != e || !atomic_exchange(&arrived[number], false) || rp_handle_scheduled(&e->handle))
            continue;
        rp_handle_prepare(&e->handle, signals->loop, run_entry, e);
        rp_loop_ready(signals->loop, &e->handle);
    }
}

static void on_readable(rp_op *op)
{
    rp_signals *signals = op->data;

    signals->watching = false;
    signals->loop->standing--;
    if (op->result < 0 && op->result != -ECANCELED) {
        watch_later(signals, (int)op->result);
        return;
    }
    if (op->result >= 0)
        take_signals(signals);
    watch_again(signals); /* also if it was cancelled with the last handler, and there is a new one */
}

/* ---- whose a signal is ---- */

/* Restores the disposition before ringport's. */
static void restore(entry *e, int number)
{
    sigaction(number, &e->previous, NULL);
    atomic_store(&targets[number], 0);
    atomic_store(&arrived[number], false);
    owners[number] = NULL;
}

/* In a child of fork(): the handlers that came along are for the parent's loops. */
static void forget_parent(void)
{
    for (int number = 1; number < NSIG; number++)
        if (owners[number])
            restore(owners[number], number);
    atomic_store(&handling, 0);
    atomic_store(&owner_generation, rp_fork_generation());
}

/* Makes an entry its signal's owner, in place of another loop's if there is one. */
static int install(entry *e, int number, int flags, int target)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = RESTART | flags};
    struct sigaction previous;

    if (atomic_load(&owner_generation) != rp_fork_generation())
        forget_parent();
    sigfillset(&action.sa_mask);
    int old_target = atomic_exchange(&targets[number], target);
    if (sigaction(number, &action, &previous) < 0) {
        atomic_store(&targets[number], old_target);
        return -errno;
    }
    e->previous = owners[number] ? owners[number]->previous : previous;
    e->flags = flags;
    if (owners[number] && owners[number] != e) {
        rp_handle_cancel(&owners[number]->handle);
        owners[number]->sink.pending = false;
    }
    owners[number] = e;
    if (atomic_load(&arrived[number])) /* and the other loop has not looked yet */
        nudge(target - 1);
    return 0;
}

/*
 * Whether a callback on the loop can answer it. A fault's signal comes again as soon as its handler returns, for ever;
 * after abort() nothing goes on.
 */
static bool is_catchable(int number)
{
    static const int others[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (number == others[i])
            return false;
    return number > 0 && number < NSIG;
}

/* Has the signal caught as its sink wants it now, by this loop. */
static int apply(entry *e)
{
    int number = (int)(e - e->signals->entries);
    int flags = rp_signal_sink_is_once(&e->sink) ? (int)SA_RESETHAND : 0;

    if (owners[number] == e && e->flags == flags)
        return 0;
    int rc = owners[number] == e ? 0 : watch(e->signals);
    if (rc == 0)
        rc = install(e, number, flags, e->signals->write_fd + 1);
    if (rc < 0)
        unwatch(e->signals);
    return rc;
}

/* The loop's entry for a signal that it catches; NULL if it does not. */
static entry *own_entry(const rp_loop *loop, int number)
{
    rp_signals *signals = of_loop(loop);
    entry *e = signals ? &signals->entries[number] : NULL;

    return e && owners[number] == e ? e : NULL;
}

static void uninstall(entry *e, int number)
{
    restore(e, number);
    rp_handle_cancel(&e->handle);
}

/* ---- the loop's end ---- */

static void stop(rp_resource *resource)
{
    const rp_signals *signals = rp_container_of(resource, rp_signals, resource);

    for (int number = 1; number < NSIG; number++) {
        entry *e = own_entry(signals->loop, number);

        if (e)
            uninstall(e, number);
    }
}

/* No signal goes to its pipe any more. In a child of fork() no handler of the parent's goes on. */
static void reap(rp_resource *resource)
{
    rp_signals *signals = rp_container_of(resource, rp_signals, resource);

    rp_resource_remove(resource);
    while (!rp_loop_is_forked(signals->loop) && atomic_load(&handling) > 0)
        rp_thread_yield();
    close(signals->read_fd);
    close(signals->write_fd);
    signals->loop->slots[RP_SLOT_SIGNALS] = NULL;
    rp_free(signals);
}

/* A signal that is caught, other than for a handler that is told of the first arrival only. */
static bool expects(rp_resource *resource)
{
    const rp_signals *signals = rp_container_of(resource, rp_signals, resource);

    for (int number = 1; number < NSIG; number++) {
        const entry *e = own_entry(signals->loop, number);

        if (e && !rp_signal_sink_is_once(&e->sink))
            return true;
    }
    return false;
}

static const rp_resource_type resource_type = {.at = {[RP_STOP] = stop, [RP_REAP] = reap}, .expects = expects};

/* ---- its beginning ---- */

/* The loop's pipe, made on first use. */
static int open_signals(rp_loop *loop)
{
    int fds[2];

    if (of_loop(loop))
        return 0;
    rp_signals *signals = rp_calloc(sizeof *signals);
    if (!signals)
        return -ENOMEM;
    if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0) {
        rp_free(signals);
        return -errno;
    }
    signals->loop = loop;
    signals->read_fd = fds[0];
    signals->write_fd = fds[1];
    for (int number = 0; number < NSIG; number++) {
        signals->entries[number].signals = signals;
        rp_signal_sink_init(&signals->entries[number].sink);
    }
    rp_resource_add(loop, &signals->resource, &resource_type);
    loop->slots[RP_SLOT_SIGNALS] = signals;
    return 0;
}

/* The loop's entry for a signal, or why it can have none. */
static int find_entry(rp_loop *loop, int number, entry **e)
{
    int rc = rp_loop_check(loop);

    if (rc < 0)
        return rc;
    if (!rp_thread_is_main())
        return RP_ETHREAD;
    if (!is_catchable(number))
        return -EINVAL;
    rc = open_signals(loop);
    if (rc == 0)
        *e = &of_loop(loop)->entries[number];
    return rc;
}

int rp_signals_add(rp_loop *loop, int number, bool once, rp_callback *callback, void *arg)
{
    entry *e = NULL;
    int rc = find_entry(loop, number, &e);

    if (rc == 0 && !callback)
        rc = -EINVAL;
    if (rc < 0)
        return rc;
    rp_signal_sink_handle(&e->sink, callback, arg, once);
    rc = apply(e);
    if (rc < 0) /* there is no such signal */
        rp_signal_sink_handle(&e->sink, NULL, NULL, false);
    return rc;
}

int rp_add_signal_handler(rp_loop *loop, int number, rp_callback *callback, void *arg)
{
    return rp_signals_add(loop, number, false, callback, arg);
}

bool rp_signals_is_default(int number)
{
    struct sigaction action;

    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_DFL;
}

rp_callback *rp_signals_get(const rp_loop *loop, int number)
{
    const entry *e = own_entry(loop, number);

    return e ? e->sink.callback : NULL;
}

/* Gives up a signal that nobody waits for, and that has no handler. */
static void let_go(entry *e, int number)
{
    if (rp_signal_sink_is_idle(&e->sink)) {
        uninstall(e, number);
        unwatch(e->signals);
    } else
        (void)apply(e); /* of what is caught already it cannot fail */
}

int rp_remove_signal_handler(rp_loop *loop, int number)
{
    int rc = rp_loop_check(loop);
    entry *e;

    if (rc < 0)
        return rc;
    if (!rp_thread_is_main())
        return RP_ETHREAD;
    if (number <= 0 || number >= NSIG)
        return -EINVAL;
    e = own_entry(loop, number);
    if (!e)
        return 0;
    rc = e->sink.callback ? 1 : 0;
    rp_signal_sink_handle(&e->sink, NULL, NULL, false);
    let_go(e, number);
    return rc;
}

int rp_signals_wait(rp_loop *loop, int number, rp_signal_wait *wait, rp_callback *wake, void *arg)
{
    entry *e = NULL;
    int rc = find_entry(loop, number, &e);

    if (rc < 0)
        return rc;
    if (rp_signal_sink_wait(&e->sink, wait, wake, arg))
        return 1;
    rc = apply(e);
    if (rc < 0)
        rp_list_remove(&wait->link);
    return rc;
}

void rp_signals_stop_waiting(rp_loop *loop, int number, rp_signal_wait *wait)
{
    entry *e = own_entry(loop, number);

    rp_list_remove(&wait->link);
    if (e)
        let_go(e, number);
}
