/*
 * signals_windows.c - signals as callbacks on the loop: console events, and the C library's raise().
 *
 * Windows has two things that are like signals: console events, which come in a thread of their own (Ctrl-C is SIGINT,
 * Ctrl-Break is SIGBREAK, the end of the console or of the machine is SIGTERM), and raise() of the C library. All of
 * them end in post(), which posts the entry's handle to its loop: there is nothing that could fail.
 *
 * No thread is the main one: each may have a loop that catches signals. So
 * - an entry's handle and sink belong to its loop's thread. Another loop that takes the signal over leaves them alone;
 * - `mutex` is over who catches a signal, what the C library does at it, and who is to be told of the process's end.
 *   Handlers take it, so whoever holds it must not wait: not for SetConsoleCtrlHandler() either, since the console
 *   holds a lock of its own while it calls handlers;
 * - on_console() is installed once, and for good. A loop may end while on_console() waits for just that.
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
    int number;
    rp_signal_sink sink;
    bool once;
    bool fired;
} entry;

typedef struct rp_signals {
    rp_resource resource;
    rp_loop *loop;
    entry entries[NSIG];
} rp_signals;

enum { LAST_WORDS = 1000 }; /* milliseconds that the program has from its loops' end until its own */

static rp_mutex console_mutex = RP_MUTEX_INIT;
static bool watches_console;

static rp_mutex mutex = RP_MUTEX_INIT;
static entry *owners[NSIG];
static signal_handler *previous[NSIG]; /* what the C library did at it before there was an owner */
static rp_node endings = {&endings, &endings};
static rp_cond some_ended; /* an ending, or the owner of SIGTERM */

/* The loop's; NULL until it catches a signal. */
static rp_signals *of_loop(const rp_loop *loop)
{
    return loop->slots[RP_SLOT_SIGNALS];
}

static bool is_known(int number)
{
    return number == SIGINT || number == SIGTERM || number == SIGBREAK;
}

static bool owns(const entry *e)
{
    rp_mutex_lock(&mutex);
    bool owned = owners[e->number] == e;
    rp_mutex_unlock(&mutex);
    return owned;
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

/* ---- arrivals ---- */

static void run_entry(void *arg)
{
    entry *e = arg;
    bool waits = !rp_list_empty(&e->sink.waits);

    if (!owns(e)) /* another loop has taken it over since */
        return;
    rp_signal_sink_run(&e->sink); /* a handler may close the loop */
    if (waits)
        renew(e);
}

/* Posts a signal to its owner's loop. False if it has none, or one that was to have the first only. Under the mutex. */
static bool post(int number)
{
    entry *e = owners[number];

    if (!e || (e->once && e->fired))
        return false;
    e->fired = true;
    (void)rp_call_soon_threadsafe(e->loop, &e->handle, run_entry, e); /* -EBUSY: it is still to run */
    return true;
}

static BOOL deliver(int number)
{
    rp_mutex_lock(&mutex);
    bool posted = post(number);
    rp_mutex_unlock(&mutex);
    return posted;
}

/* There is no asking without setting: SIG_GET is not known everywhere, to Wine not. Under the mutex. */
static signal_handler *disposition(int number)
{
    signal_handler *present = signal(number, SIG_DFL);

    if (present != SIG_DFL)
        signal(number, present);
    return present;
}

/*
 * By raise(); or from the console, if the C library's handler is called before ours. The C library has set the signal's
 * default action by now. If that is to be done, it is what Windows does at Ctrl-C, by which parents know: the C library
 * would exit with 3.
 */
static void on_signal(int number)
{
    rp_mutex_lock(&mutex);
    bool posted = post(number);
    bool by_default = !posted && number != SIGTERM && (owners[number] || disposition(number) == SIG_DFL);
    if (posted)
        signal(number, on_signal);
    rp_mutex_unlock(&mutex);
    if (by_default)
        ExitProcess(STATUS_CONTROL_C_EXIT);
    if (!posted)
        raise(number); /* to whoever had it before, and has it again */
}

/* ---- the process's end ---- */

/* Services are in the session 0, where nobody logs on. They outlive each user's session, of whose end they are told. */
static bool is_service(void)
{
    DWORD session;

    return ProcessIdToSessionId(GetCurrentProcessId(), &session) && session == 0;
}

/*
 * The system ends the process when the console's handlers have returned, or do not for some 5 s. Whoever asked for
 * SIGTERM ends the program; if nobody did, its runners are ended. Then it may end by itself, with a status of its own.
 * Handlers of others are called in any case.
 */
static BOOL end_in_order(void)
{
    rp_mutex_lock(&mutex);
    bool any = owners[SIGTERM] || !rp_list_empty(&endings);
    if (!post(SIGTERM))
        for (rp_node *node = endings.next; node != &endings; node = node->next) {
            rp_ending *ending = rp_container_of(node, rp_ending, link);

            (void)rp_call_soon_threadsafe(ending->loop, &ending->handle, ending->callback, ending->arg);
        }
    while (owners[SIGTERM] || !rp_list_empty(&endings))
        rp_cond_wait(&some_ended, &mutex, RP_NEVER);
    rp_mutex_unlock(&mutex);
    if (any)
        Sleep(LAST_WORDS);
    return FALSE;
}

static BOOL WINAPI on_console(DWORD event)
{
    switch (event) {
    case CTRL_C_EVENT:
        return deliver(SIGINT);
    case CTRL_BREAK_EVENT:
        return deliver(SIGBREAK);
    case CTRL_LOGOFF_EVENT:
        return is_service() ? FALSE : end_in_order();
    case CTRL_CLOSE_EVENT:
    case CTRL_SHUTDOWN_EVENT:
        return end_in_order();
    default:
        return FALSE;
    }
}

/*
 * From the first call on. The C library, at the first signal() of a program, installs a handler of its own: that comes
 * before ours, which is called first then, and before there is anyone who waits for the mutex.
 */
static int watch_console(void)
{
    rp_mutex_lock(&console_mutex);
    if (!watches_console) {
        rp_mutex_lock(&mutex);
        disposition(SIGINT);
        rp_mutex_unlock(&mutex);
        watches_console = SetConsoleCtrlHandler(on_console, TRUE);
    }
    bool watched = watches_console;
    rp_mutex_unlock(&console_mutex);
    return watched ? 0 : -ENOMEM;
}

int rp_ending_begin(rp_ending *ending, rp_loop *loop, rp_callback *callback, void *arg)
{
    if (rp_node_linked(&ending->link))
        return 0;
    int rc = watch_console();
    if (rc < 0)
        return rc;
    ending->loop = loop;
    ending->callback = callback;
    ending->arg = arg;
    rp_mutex_lock(&mutex);
    rp_list_push(&endings, &ending->link);
    rp_mutex_unlock(&mutex);
    return 0;
}

void rp_ending_end(rp_ending *ending)
{
    if (!rp_node_linked(&ending->link))
        return;
    rp_mutex_lock(&mutex);
    rp_list_remove(&ending->link);
    rp_cond_broadcast(&some_ended);
    rp_mutex_unlock(&mutex);
    rp_handle_cancel(&ending->handle);
}

/* ---- who catches a signal ---- */

static int install(entry *e)
{
    int rc = watch_console();

    if (rc < 0)
        return rc;
    rp_mutex_lock(&mutex);
    if (!owners[e->number])
        previous[e->number] = signal(e->number, on_signal);
    owners[e->number] = e;
    e->fired = false;
    rp_mutex_unlock(&mutex);
    return 0;
}

/* If it is the entry's. */
static void uninstall(entry *e)
{
    rp_mutex_lock(&mutex);
    if (owners[e->number] == e) {
        owners[e->number] = NULL;
        signal(e->number, previous[e->number]);
        rp_cond_broadcast(&some_ended);
    }
    rp_mutex_unlock(&mutex);
    rp_handle_cancel(&e->handle);
}

/* The loop's entry for a signal that it catches; NULL if it does not. */
static entry *own_entry(const rp_loop *loop, int number)
{
    rp_signals *signals = of_loop(loop);
    entry *e = signals ? &signals->entries[number] : NULL;

    return e && owns(e) ? e : NULL;
}

/* ---- the loop's end ---- */

static void stop(rp_resource *resource)
{
    const rp_signals *signals = rp_container_of(resource, rp_signals, resource);

    for (int number = 1; number < NSIG; number++) {
        entry *e = own_entry(signals->loop, number);

        if (e)
            uninstall(e);
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
        signals->entries[number].number = number;
        rp_signal_sink_init(&signals->entries[number].sink);
    }
    rp_resource_add(loop, &signals->resource, &resource_type);
    loop->slots[RP_SLOT_SIGNALS] = signals;
    return 0;
}

/* The loop's entry for a signal, or why it can have none. What came before another loop took it over is forgotten. */
static int find_entry(rp_loop *loop, int number, entry **found)
{
    int rc = rp_loop_check(loop);

    if (rc < 0)
        return rc;
    if (!is_known(number))
        return -EINVAL;
    rc = open_signals(loop);
    if (rc < 0)
        return rc;
    entry *e = &of_loop(loop)->entries[number];
    if (!owns(e)) {
        rp_handle_cancel(&e->handle);
        e->sink.pending = false;
    }
    *found = e;
    return 0;
}

/* Has the signal caught as its sink wants it now, by this loop. */
static int apply(entry *e)
{
    renew(e);
    return owns(e) ? 0 : install(e);
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
    rc = apply(e);
    if (rc < 0)
        rp_signal_sink_handle(&e->sink, NULL, NULL, false);
    return rc;
}

int rp_add_signal_handler(rp_loop *loop, int number, rp_callback *callback, void *arg)
{
    return rp_signals_add(loop, number, false, callback, arg);
}

bool rp_signals_is_default(int number)
{
    if (!is_known(number))
        return false;
    rp_mutex_lock(&mutex);
    bool is_default = !owners[number] && disposition(number) == SIG_DFL;
    rp_mutex_unlock(&mutex);
    return is_default;
}

rp_callback *rp_signals_get(const rp_loop *loop, int number)
{
    const entry *e = own_entry(loop, number);

    return e ? e->sink.callback : NULL;
}

/* Gives up a signal that nobody waits for, and that has no handler. */
static void let_go(entry *e)
{
    if (rp_signal_sink_is_idle(&e->sink))
        uninstall(e);
    else
        renew(e);
}

int rp_remove_signal_handler(rp_loop *loop, int number)
{
    int rc = rp_loop_check(loop);
    entry *e;

    if (rc < 0)
        return rc;
    if (number <= 0 || number >= NSIG)
        return -EINVAL;
    e = own_entry(loop, number);
    if (!e)
        return 0;
    rc = e->sink.callback ? 1 : 0;
    rp_signal_sink_handle(&e->sink, NULL, NULL, false);
    let_go(e);
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
        let_go(e);
}
