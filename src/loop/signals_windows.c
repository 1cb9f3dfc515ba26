/*
 * signals_windows.c - signals as callbacks on the loop: console events, and the C library's raise().
 *
 * Windows has two things that are like signals: console events, which come in a thread of their own (Ctrl-C is SIGINT,
 * Ctrl-Break is SIGBREAK), and raise() of the C library, which is how SIGTERM comes. Both end in deliver(), which
 * posts the entry's handle to its loop: there is nothing that could fail. The mutex is over `owners` and the entries'
 * `once` and `fired`, since a thread of the console's may look at them at any time; it is not held while the console's
 * functions are called, which hold a lock of theirs while they call on_console(). The rest belongs to the main thread,
 * as it does elsewhere.
 */
#include "loop/signals.h"

#include <errno.h>
#include <signal.h>
#include <windows.h>

#include "base/memory.h"
#include "loop/resource.h"

typedef void signal_handler(int number);

typedef struct entry {
    rp_handle handle;
    rp_loop *loop;
    rp_signal_sink sink;
    signal_handler *previous; /* the C library's */
    bool once;
    bool fired;
} entry;

typedef struct rp_signals {
    rp_resource resource;
    rp_loop *loop;
    entry entries[NSIG];
} rp_signals;

/* The loop's; NULL until it catches a signal. */
static rp_signals *of_loop(const rp_loop *loop)
{
    return loop->slots[RP_SLOT_SIGNALS];
}

static rp_mutex mutex = RP_MUTEX_INIT;
static entry *owners[NSIG];
static unsigned owned; /* how many of these there are: the console's handler is installed while there are any */

static bool is_known(int number)
{
    return number == SIGINT || number == SIGTERM || number == SIGBREAK;
}

/* Has the signal caught as its sink wants it now. It is the entry's already. */
static void renew(entry *e)
{
    bool once = rp_signal_sink_is_once(&e->sink);

    rp_mutex_lock(&mutex);
    if (e->once != once) {
        e->once = once;
        e->fired = false;
    }
    rp_mutex_unlock(&mutex);
}

static void run_entry(void *arg)
{
    entry *e = arg;
    bool waits = !rp_list_empty(&e->sink.waits);

    rp_signal_sink_run(&e->sink); /* a handler may close the loop */
    if (waits)
        renew(e);
}

/* Posts a signal to its owner's loop. Any thread. False if no loop owns it: it is to do what it does by default. */
static bool deliver(int number)
{
    bool owned_here;

    rp_mutex_lock(&mutex);
    entry *e = owners[number];
    owned_here = e && !(e->once && e->fired);
    if (owned_here) {
        e->fired = true;
        (void)rp_call_soon_threadsafe(e->loop, &e->handle, run_entry, e); /* -EBUSY: it is still to run */
    }
    rp_mutex_unlock(&mutex);
    return owned_here;
}

static BOOL WINAPI on_console(DWORD event)
{
    switch (event) {
    case CTRL_C_EVENT:
        return deliver(SIGINT);
    case CTRL_BREAK_EVENT:
        return deliver(SIGBREAK);
    default:
        return FALSE;
    }
}

/* The C library has set the signal's default action by now. */
static void on_signal(int number)
{
    if (deliver(number))
        signal(number, on_signal);
    else
        raise(number);
}

static int install(entry *e, int number)
{
    signal_handler *previous;

    if (owned == 0 && !SetConsoleCtrlHandler(on_console, TRUE))
        return -ENOMEM;
    previous = signal(number, on_signal);
    rp_mutex_lock(&mutex);
    entry *owner = owners[number];
    owned += !owner;
    e->previous = owner ? owner->previous : previous;
    owners[number] = e;
    e->fired = false;
    rp_mutex_unlock(&mutex);
    if (owner) {
        rp_handle_cancel(&owner->handle);
        owner->sink.pending = false;
    }
    return 0;
}

static void uninstall(entry *e, int number)
{
    rp_mutex_lock(&mutex);
    owners[number] = NULL;
    owned--;
    rp_mutex_unlock(&mutex);
    rp_handle_cancel(&e->handle);
    signal(number, e->previous);
    if (owned == 0)
        SetConsoleCtrlHandler(on_console, FALSE);
}

/* The loop's entry for a signal that it catches; NULL if it does not. */
static entry *own_entry(const rp_loop *loop, int number)
{
    rp_signals *signals = of_loop(loop);
    entry *e = signals ? &signals->entries[number] : NULL;

    return e && owners[number] == e ? e : NULL;
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

static void reap(rp_resource *resource)
{
    rp_signals *signals = rp_container_of(resource, rp_signals, resource);

    rp_resource_remove(resource);
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

/* The loop's entries, made on first use. */
static int open_signals(rp_loop *loop)
{
    if (of_loop(loop))
        return 0;
    rp_signals *signals = rp_calloc(sizeof *signals);
    if (!signals)
        return -ENOMEM;
    signals->loop = loop;
    for (int number = 0; number < NSIG; number++) {
        signals->entries[number].loop = loop;
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
    if (!is_known(number))
        return -EINVAL;
    rc = open_signals(loop);
    if (rc == 0)
        *e = &of_loop(loop)->entries[number];
    return rc;
}

/* Has the signal caught as its sink wants it now, by this loop. */
static int apply(entry *e, int number)
{
    renew(e);
    return owners[number] == e ? 0 : install(e, number);
}

int rp_signals_add(rp_loop *loop, int number, bool once, rp_callback *callback, void *arg)
{
    entry *e;
    int rc = find_entry(loop, number, &e);

    if (rc == 0 && !callback)
        rc = -EINVAL;
    if (rc < 0)
        return rc;
    rp_signal_sink_handle(&e->sink, callback, arg, once);
    rc = apply(e, number);
    if (rc < 0)
        rp_signal_sink_handle(&e->sink, NULL, NULL, false);
    return rc;
}

int rp_add_signal_handler(rp_loop *loop, int number, rp_callback *callback, void *arg)
{
    return rp_signals_add(loop, number, false, callback, arg);
}

/* There is no asking without setting: SIG_GET is not known everywhere, to Wine not. */
bool rp_signals_is_default(int number)
{
    signal_handler *present;

    if (!is_known(number))
        return false;
    present = signal(number, SIG_DFL);
    if (present != SIG_DFL)
        signal(number, present);
    return present == SIG_DFL;
}

rp_callback *rp_signals_get(const rp_loop *loop, int number)
{
    const entry *e = own_entry(loop, number);

    return e ? e->sink.callback : NULL;
}

/* Gives up a signal that nobody waits for, and that has no handler. */
static void let_go(entry *e, int number)
{
    if (rp_signal_sink_is_idle(&e->sink))
        uninstall(e, number);
    else
        renew(e);
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
    entry *e;
    int rc = find_entry(loop, number, &e);

    if (rc < 0)
        return rc;
    if (rp_signal_sink_wait(&e->sink, wait, wake, arg))
        return 1;
    rc = apply(e, number);
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
