/*
 * iocp_port.c - the completion port: which handles are associated with it, and packets that we post ourselves.
 */
#include "proactor/iocp_port.h"

#include <errno.h>
#include <string.h>

#include "base/error_windows.h"
#include "base/memory.h"

enum { WORD_BITS = 64 }; /* of the registered set */

/* ---- handles ---- */

static bool is_handle(rp_fd fd)
{
    DWORD flags;

    return fd > 0 && GetHandleInformation((HANDLE)fd, &flags);
}

/* Makes room for the handle's bit. */
static int registered_reserve(iocp *i, size_t index)
{
    size_t words = index / WORD_BITS + 1;

    if (words <= i->registered_words)
        return 0;
    words += words / 2;
    uint64_t *registered = rp_realloc(i->registered, words * sizeof *registered);
    if (!registered)
        return -ENOMEM;
    memset(registered + i->registered_words, 0, (words - i->registered_words) * sizeof *registered);
    i->registered = registered;
    i->registered_words = words;
    return 0;
}

int iocp_associate(iocp *i, rp_fd fd)
{
    size_t index = (size_t)fd / 4; /* handles are multiples of 4 */
    uint64_t bit = UINT64_C(1) << (index % WORD_BITS);

    if (fd <= 0 || (index / WORD_BITS >= i->registered_words && !is_handle(fd)))
        return -EBADF; /* no memory for numbers out of the blue */
    int rc = registered_reserve(i, index);
    if (rc < 0)
        return rc;
    if (CreateIoCompletionPort((HANDLE)fd, i->port, IOCP_KEY_OP, 0)) {
        i->registered[index / WORD_BITS] |= bit;
        return 1;
    }
    if (GetLastError() != ERROR_INVALID_PARAMETER)
        return rp_error_last();
    return i->registered[index / WORD_BITS] & bit ? 0 : -EBUSY;
}

void iocp_forget(iocp *i, rp_fd fd)
{
    size_t index = (size_t)fd / 4;

    if (fd > 0 && index / WORD_BITS < i->registered_words)
        i->registered[index / WORD_BITS] &= ~(UINT64_C(1) << (index % WORD_BITS));
}

int iocp_error(const rp_op *op, NTSTATUS status)
{
    if (status == IOCP_STATUS_CANCELLED || status == IOCP_STATUS_HANDLES_CLOSED)
        return op->phase & IOCP_CANCELLED ? -ECANCELED : -EBADF;
    if (NT_SUCCESS(status)) /* some tell more than 0 does */
        return 0;
    return rp_error_from_windows((unsigned long)status);
}

/* ---- packets ---- */

void iocp_post_packet(HANDLE port, ULONG_PTR key, size_t bytes, OVERLAPPED *overlapped)
{
    while (!PostQueuedCompletionStatus(port, (DWORD)bytes, key, overlapped))
        Sleep(1); /* no memory in the kernel just now; nobody else would tell of it */
}

void iocp_post(HANDLE port, rp_op *op, NTSTATUS status)
{
    OVERLAPPED *overlapped = &iocp_extra_of(op)->overlapped;

    overlapped->Internal = (ULONG_PTR)(LONG_PTR)status;
    iocp_post_packet(port, IOCP_KEY_OP, 0, overlapped);
}
