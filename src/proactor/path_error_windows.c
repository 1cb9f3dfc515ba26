/*
 * path_error_windows.c - what Linux calls it that a path cannot be opened: the name that is at fault is looked for.
 */
#define WIN32_NO_STATUS /* ntstatus.h has them all, windows.h some */
#include "proactor/path_error_windows.h"
#undef WIN32_NO_STATUS
#include <ntstatus.h>

#include <errno.h>
#include <wchar.h>

#include "base/error_windows.h"
#include "proactor/link_windows.h"

enum { NAME_LENGTH = 255 }; /* no file system of Windows takes longer names */

/*
 * Windows does not tell a file amid a path, or a name that is too long, from what is missing there. Linux does. So
 * finds out which name it is. That uses the path up.
 */
static int why_not_found(const rp_path *path, NTSTATUS status)
{
    const wchar_t *first = rp_path_first_name(path);

    for (;;) {
        wchar_t *last = wcsrchr(path->name, L'\\');
        int rc = wcslen(last ? last + 1 : path->name) > NAME_LENGTH ? -ENAMETOOLONG : -ENOENT;
        HANDLE directory;

        if (status == STATUS_OBJECT_NAME_NOT_FOUND || !last || last < first)
            return rc; /* it is this one */
        *last = L'\0';
        status = rp_path_open(path, FILE_READ_ATTRIBUTES, FILE_OPEN, FILE_DIRECTORY_FILE, 0, &directory, NULL);
        if (NT_SUCCESS(status)) {
            CloseHandle(directory);
            return rc;
        }
        if (status == STATUS_NOT_A_DIRECTORY)
            return -ENOTDIR;
        if (status != STATUS_OBJECT_PATH_NOT_FOUND && status != STATUS_OBJECT_NAME_NOT_FOUND &&
            status != STATUS_OBJECT_NAME_INVALID)
            return -ENOENT;
    }
}

/* A socket's file is there, and cannot be opened. */
static int why_not_followed(const rp_path *path)
{
    HANDLE file;

    if (!NT_SUCCESS(rp_path_open_unfollowed(path, &file)))
        return -EACCES;
    DWORD tag = rp_reparse_tag(file);
    CloseHandle(file);
    return tag == (DWORD)IO_REPARSE_TAG_AF_UNIX ? -ENXIO : -EACCES;
}

int rp_path_error(const rp_path *path, NTSTATUS status)
{
    switch (status) {
    case STATUS_FILE_IS_A_DIRECTORY:
        return -EISDIR;
    case STATUS_OBJECT_TYPE_MISMATCH: /* a place in the kernel's name space where no files are */
        return -ENOENT;
    case STATUS_IO_REPARSE_TAG_NOT_HANDLED:
        return why_not_followed(path);
    case STATUS_OBJECT_PATH_NOT_FOUND:
    case STATUS_OBJECT_NAME_NOT_FOUND:
    case STATUS_OBJECT_NAME_INVALID:
        return why_not_found(path, status);
    default:
        return rp_error_from_windows(RtlNtStatusToDosError(status));
    }
}
