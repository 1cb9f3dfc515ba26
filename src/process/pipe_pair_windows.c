/*
 * pipe_pair_windows.c - a pipe whose ends are unlike, and so a named one: neither of CreatePipe()'s is overlapped.
 *
 * The name is used once, and has one instance. If somebody else has guessed it and is there first, on either end, ours
 * fails, and another name is tried.
 */
#include "process/pipe_pair_windows.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <wchar.h>

#include <windows.h>

#include "base/error_windows.h"

enum {
    BUFFER = 65536,
    TRIES = 16,
    NAME_ROOM = 64,
};

static void make_name(wchar_t name[NAME_ROOM])
{
    static atomic_uint number;
    LARGE_INTEGER ticks;

    QueryPerformanceCounter(&ticks);
    swprintf(name, NAME_ROOM, L"\\\\.\\pipe\\ringport-%lx-%x-%llx", GetCurrentProcessId(),
             atomic_fetch_add(&number, 1), (unsigned long long)ticks.QuadPart);
}

static int open_pair(const wchar_t *name, bool child_reads, HANDLE *ours, HANDLE *theirs)
{
    SECURITY_ATTRIBUTES inherited = {.nLength = sizeof inherited, .bInheritHandle = TRUE};
    DWORD direction = child_reads ? PIPE_ACCESS_DUPLEX : PIPE_ACCESS_INBOUND;
    DWORD access = child_reads ? GENERIC_READ | FILE_WRITE_ATTRIBUTES : GENERIC_WRITE | FILE_READ_ATTRIBUTES;

    *ours = CreateNamedPipeW(name, direction | FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE,
                             PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_REJECT_REMOTE_CLIENTS, 1, BUFFER, BUFFER,
                             0, NULL);
    if (*ours == INVALID_HANDLE_VALUE)
        return rp_error_last();
    *theirs =
        CreateFileW(name, access, 0, &inherited, OPEN_EXISTING, SECURITY_SQOS_PRESENT | SECURITY_ANONYMOUS, NULL);
    if (*theirs != INVALID_HANDLE_VALUE)
        return 0;
    int rc = rp_error_last();
    *theirs = NULL;
    CloseHandle(*ours);
    return rc;
}

int rp_pipe_pair_open(bool child_reads, void **ours, void **theirs)
{
    wchar_t name[NAME_ROOM];
    int rc = 0;

    for (int i = 0; i < TRIES; i++) {
        make_name(name);
        rc = open_pair(name, child_reads, ours, theirs);
        if (rc != -EBUSY && rc != -EACCES)
            return rc;
    }
    return rc;
}
