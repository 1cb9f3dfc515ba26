/*
 * overflow_posix.c - stack overflows on POSIX: a handler of SIGSEGV and SIGBUS that knows the guards of stacks.
 *
 * The kernel can deliver a signal for an overflown stack only on another one: each thread that runs fibers gets a
 * signal stack, until its last loop is closed or it ends. A fault elsewhere is none of our business and goes to
 * the handler that was there before. `users` counts the threads' claims, under the mutex, and so when to install and
 * when to restore.
 */
#include "fiber/overflow.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/thread.h"

enum { SIGNAL_STACK_SIZE = 64 * 1024 };

typedef struct thread_state {
    unsigned claims;
    void *signal_stack; /* ours, or NULL: the thread had one */
} thread_state;

static const int signals[] = {SIGSEGV, SIGBUS};

static rp_mutex mutex = RP_MUTEX_INIT;
static unsigned users;
static bool installed;
static struct sigaction before[2];
static _Atomic(rp_overflow_query *) find_fiber; /* read by handlers in any thread */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_end;
static bool have_thread_end;

__attribute__((constructor)) static void guard_mutex(void)
{
    rp_mutex_hold_in_forks(&mutex);
}

static _Thread_local thread_state mine;
_Thread_local uint64_t rp_fiber_thread __attribute__((tls_model("initial-exec")));

void rp_overflow_message(const char *what)
{
    char text[RP_OVERFLOW_TEXT];
    ssize_t written = write(STDERR_FILENO, text, rp_overflow_text(text, what));

    (void)written;
}

/* Returning from the handler repeats the fault, which then has its default effect; a signal that was sent does not. */
static void default_action(int number, const siginfo_t *info)
{
    signal(number, SIG_DFL);
    if (info->si_code <= 0)
        raise(number);
}

static void chain(int number, siginfo_t *info, void *context)
{
    const struct sigaction *old = &before[number == signals[0] ? 0 : 1];

    if (old->sa_flags & SA_SIGINFO)
        old->sa_sigaction(number, info, context);
    else if (old->sa_handler == SIG_DFL || (old->sa_handler == SIG_IGN && info->si_code > 0))
        default_action(number, info);
    else if (old->sa_handler != SIG_IGN)
        old->sa_handler(number);
}

static const void *stack_pointer(const void *context)
{
    const mcontext_t *machine = &((const ucontext_t *)context)->uc_mcontext;

#ifdef __x86_64__
    return (const void *)(uintptr_t)machine->gregs[REG_RSP];
#else
    return (const void *)(uintptr_t)machine->sp;
#endif
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    rp_overflow_query *query = atomic_load(&find_fiber);
    char what[RP_OVERFLOW_WHAT];

    if (info->si_code > 0 && query(info->si_addr, stack_pointer(context), what)) {
        rp_overflow_message(what);
        default_action(number, info);
    } else
        chain(number, info, context);
}

static void install(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    sigemptyset(&action.sa_mask);
    for (int i = 0; i < 2; i++)
        sigaction(signals[i], &action, &before[i]);
    installed = true;
}

/* Whoever installed a handler after us may chain to ours, which must stay then. */
static void uninstall(void)
{
    struct sigaction now[2];

    for (int i = 0; i < 2; i++) {
        sigaction(signals[i], NULL, &now[i]);
        if (!(now[i].sa_flags & SA_SIGINFO) || now[i].sa_sigaction != on_fault)
            return;
    }
    for (int i = 0; i < 2; i++)
        sigaction(signals[i], &before[i], NULL);
    installed = false;
}

static void drop_signal_stack(thread_state *state)
{
    stack_t now, none = {.ss_flags = SS_DISABLE};

    if (!state->signal_stack)
        return;
    if (sigaltstack(NULL, &now) == 0 && now.ss_sp == state->signal_stack)
        sigaltstack(&none, NULL);
    munmap(state->signal_stack, SIGNAL_STACK_SIZE);
    state->signal_stack = NULL;
}

static void drop_claims(unsigned count)
{
    rp_mutex_lock(&mutex);
    users -= count;
    if (users == 0 && installed)
        uninstall();
    rp_mutex_unlock(&mutex);
}

/*
 * A thread ends whose loops were closed by others, or not at all. A destructor that runs after this one may free a
 * loop, whose claim is not the thread's any more, or even run one, which claims anew.
 */
static void on_thread_end(void *arg)
{
    thread_state *state = arg;

    drop_signal_stack(state);
    drop_claims(state->claims);
    state->claims = 0;
    rp_fiber_thread = 0;
}

static void make_key(void)
{
    have_thread_end = pthread_key_create(&thread_end, on_thread_end) == 0;
}

static void add_signal_stack(thread_state *state)
{
    stack_t now, ours = {.ss_size = SIGNAL_STACK_SIZE};
    void *memory;

    if (state->signal_stack || sigaltstack(NULL, &now) < 0 || !(now.ss_flags & SS_DISABLE))
        return;
    memory = mmap(NULL, SIGNAL_STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED)
        return;
    ours.ss_sp = memory;
    if (sigaltstack(&ours, NULL) < 0)
        munmap(memory, SIGNAL_STACK_SIZE);
    else
        state->signal_stack = memory;
}

/* What only the first claim of a thread does. */
static void set_up_thread(void)
{
    static atomic_uint_fast64_t threads;

    rp_fiber_thread = atomic_fetch_add(&threads, 1) + 1;
    pthread_once(&once, make_key);
    if (have_thread_end)
        pthread_setspecific(thread_end, &mine);
}

void rp_overflow_claim(rp_overflow_query *query)
{
    rp_mutex_lock(&mutex);
    atomic_store(&find_fiber, query);
    users++;
    if (!installed)
        install();
    rp_mutex_unlock(&mutex);
    if (rp_fiber_thread == 0)
        set_up_thread();
    mine.claims++;
    add_signal_stack(&mine);
}

void rp_overflow_release(void)
{
    if (--mine.claims == 0)
        drop_signal_stack(&mine);
    drop_claims(1);
}
