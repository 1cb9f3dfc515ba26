/*
 * error_windows.c - looks Windows' errors up in the one table of errors.
 */
#define WIN32_NO_STATUS /* ntstatus.h has them all, windows.h some */
#include <winsock2.h>
#undef WIN32_NO_STATUS
#include <ntstatus.h>
#include <winternl.h>

#include "base/error_windows.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

enum { NAMES = 15 }; /* how many numbers Windows has for one error, at most */

typedef struct windows_entry {
    int number;
    unsigned long windows[NAMES]; /* 0 after the last */
} windows_entry;

#define ROW(name, text, ...) {-(name), {__VA_ARGS__}},

static const windows_entry errors[] = {
#include "base/errors.inc"
};

/* 0: the table does not know it. */
static int find(unsigned long error)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        for (int j = 0; j < NAMES && errors[i].windows[j] != 0; j++)
            if (errors[i].windows[j] == error)
                return errors[i].number;
    return 0;
}

/* What the system gives out: errors and warnings. Those below are the numbers of GetLastError(), too. */
static bool is_status(unsigned long error)
{
    return error >= 0x80000000;
}

int rp_error_from_windows(unsigned long error)
{
    int found = find(error);

    if (error == 0)
        return 0;
    if (found == 0 && is_status(error)) /* one that is a customer's stays what it is */
        found = find(RtlNtStatusToDosError((NTSTATUS)error));
    return found != 0 ? found : -EIO;
}

int rp_error_last(void)
{
    int error = rp_error_from_windows(GetLastError());

    return error != 0 ? error : -EIO;
}
