/*
 * iocp_child.c - a child's end: a wait of the system's thread pool on its process, which posts a packet to the
 * port.
 *
 * A packet that is tied to the process, as the timer's is to the timer (iocp_timer.c), would do without the pool's
 * thread. It would be a second way: not every Windows has it, and a child's end is rare.
 *
 * The result is made like waitpid's: the exit code shifted by 8 bits, all 32 of them, so that WEXITSTATUS's shift
 * works and nothing is lost. Windows knows processes by number only as long as somebody has them open: the owner
 * should.
 */

#include "proactor/iocp_child.h"

#include <errno.h>

#include "base/error_windows.h"

/* On a thread of the system's. */
static void CALLBACK on_exit_(void *data, BOOLEAN timed_out)
{
    rp_op *op = data;
    iocp_extra *extra = iocp_extra_of(op);

    atomic_store(&extra->u.child.posted, true);
    iocp_post(extra->u.child.port, op, 0);
}

/* A handle of our own: of the one that is given, or of the process that has this number. */
static int open_process(const rp_op *op, HANDLE *process)
{
    const DWORD access = SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION;
    HANDLE own = GetCurrentProcess();

    if (op->u.child.process != -1)
        return DuplicateHandle(own, (HANDLE)op->u.child.process, own, process, access, FALSE, 0) ? 0
                                                                                                 : rp_error_last();
    *process = OpenProcess(access, FALSE, (DWORD)op->u.child.pid);
    if (*process)
        return 0;
    return GetLastError() == ERROR_INVALID_PARAMETER ? -ECHILD : rp_error_last();
}

static int64_t start(iocp *i, rp_op *op)
{
    iocp_extra *extra = iocp_extra_of(op);
    int64_t pid = op->u.child.pid;

    if (pid <= 0 || pid > UINT32_MAX)
        return -EINVAL;
    HANDLE process;
    int rc = open_process(op, &process);
    if (rc < 0)
        return rc;
    extra->u.child.process = process;
    extra->u.child.port = i->port;
    if (!RegisterWaitForSingleObject(&extra->u.child.wait, process, on_exit_, op, INFINITE,
                                     WT_EXECUTEONLYONCE | WT_EXECUTEINWAITTHREAD)) {
        rc = rp_error_last();
        CloseHandle(process);
        return rc;
    }
    return IOCP_PENDING;
}

/* Returns when the callback has run, or will not. */
static void end_wait(const iocp_extra *extra)
{
    UnregisterWaitEx(extra->u.child.wait, INVALID_HANDLE_VALUE);
}

static int64_t collect(iocp *i, rp_op *op, NTSTATUS status, size_t bytes)
{
    iocp_extra *extra = iocp_extra_of(op);
    DWORD code;
    int64_t result;

    if (extra->u.child.wait)
        end_wait(extra);
    result = GetExitCodeProcess(extra->u.child.process, &code) ? (int64_t)code << 8 : rp_error_last();
    CloseHandle(extra->u.child.process);
    return result;
}

static void cancel(iocp *i, rp_op *op)
{
    iocp_extra *extra = iocp_extra_of(op);

    end_wait(extra);
    extra->u.child.wait = NULL;
    if (atomic_load(&extra->u.child.posted))
        return; /* it has won the race: its packet comes */
    CloseHandle(extra->u.child.process);
    rp_op_finish(&i->base, op, -ECANCELED);
}

const iocp_method iocp_wait_child = {.start = start, .collect = collect, .cancel = cancel};
