/*
 * overflow_windows.c - stack overflows on Windows: a handler that knows the stacks, and one at each outermost frame.
 *
 * Windows reports an overflow in the thread that has it, on what is left of that stack: RP_SLAB_GUARANTEE, which each
 * thread asks for that claims. Which stack it was stands in the thread's block, which the context switch keeps up to
 * date. The handler is called before those of any frame, and writes the message. All else is the system's business:
 * debuggers, crash reporters and Windows' own reports see the overflow of a fiber as they see that of a thread, and the
 * exit code is STATUS_STACK_OVERFLOW.
 */
#include "fiber/overflow.h"

#include <stdatomic.h>
#include <windows.h>

#include "base/thread.h"
#include "fiber/slab.h"

/* The offset of DeallocationStack in the thread's block, which the headers do not name: see switch_x86_64_windows.S. */
enum { TIB_DEALLOCATION_STACK = 0x1478 };

static rp_mutex mutex = RP_MUTEX_INIT;
static unsigned users;
static void *installed;
static _Atomic(rp_overflow_query *) find_fiber; /* read by handlers in any thread */

_Thread_local uint64_t rp_fiber_thread __attribute__((tls_model("initial-exec")));

void rp_overflow_message(const char *what)
{
    char text[RP_OVERFLOW_TEXT];
    DWORD written;

    WriteFile(GetStdHandle(STD_ERROR_HANDLE), text, (DWORD)rp_overflow_text(text, what), &written, NULL);
}

static LONG CALLBACK on_exception(EXCEPTION_POINTERS *exception)
{
    char what[RP_OVERFLOW_WHAT];

    if (exception->ExceptionRecord->ExceptionCode != (DWORD)EXCEPTION_STACK_OVERFLOW)
        return EXCEPTION_CONTINUE_SEARCH;
    if (atomic_load(&find_fiber)((void *)(uintptr_t)__readgsqword(TIB_DEALLOCATION_STACK),
                                 (void *)(uintptr_t)exception->ContextRecord->Rsp, what))
        rp_overflow_message(what);
    return EXCEPTION_CONTINUE_SEARCH;
}

/*
 * The language handler of rp_switch_entry: an exception that no frame of a fiber wanted goes to the program's
 * filter (and to a debugger, and so on), as it does at a thread's outermost frame. The process ends here only after
 * that has reported it, and has said that it is to end.
 */
EXCEPTION_DISPOSITION rp_switch_unhandled(EXCEPTION_RECORD *record, void *frame, CONTEXT *context,
                                          void *dispatcher);
EXCEPTION_DISPOSITION rp_switch_unhandled(EXCEPTION_RECORD *record, void *frame, CONTEXT *context,
                                          void *dispatcher)
{
    EXCEPTION_POINTERS exception = {.ExceptionRecord = record, .ContextRecord = context};

    if (record->ExceptionFlags & (EXCEPTION_UNWINDING | EXCEPTION_EXIT_UNWIND))
        return ExceptionContinueSearch;
    switch (UnhandledExceptionFilter(&exception)) {
    case EXCEPTION_CONTINUE_EXECUTION:
        return ExceptionContinueExecution;
    case EXCEPTION_EXECUTE_HANDLER:
        TerminateProcess(GetCurrentProcess(), record->ExceptionCode);
        break;
    default:
        break;
    }
    return ExceptionContinueSearch;
}

void rp_overflow_claim(rp_overflow_query *query)
{
    static atomic_uint_fast64_t threads;
    ULONG guarantee = RP_SLAB_GUARANTEE;

    SetThreadStackGuarantee(&guarantee); /* it is never lowered, and stays when the claim is taken back */
    rp_mutex_lock(&mutex);
    atomic_store(&find_fiber, query);
    users++;
    if (!installed)
        installed = AddVectoredExceptionHandler(1, on_exception);
    rp_mutex_unlock(&mutex);
    if (rp_fiber_thread == 0)
        rp_fiber_thread = atomic_fetch_add(&threads, 1) + 1;
}

/* What a thread claimed that has ended is never released: the handler stays then, and does no harm. */
void rp_overflow_release(void)
{
    rp_mutex_lock(&mutex);
    if (--users == 0 && installed) {
        RemoveVectoredExceptionHandler(installed);
        installed = NULL;
    }
    rp_mutex_unlock(&mutex);
}
