/*
 * socket_file_windows.c - the files of Unix sockets on Windows, which are reparse points.
 *
 * A path is UTF-8, as Winsock reads it in an address.
 */
#include "base/error_windows.h"
#include "base/socket.h"
#include "net/socket_file.h"
#include "ringport/error.h"

#ifndef IO_REPARSE_TAG_AF_UNIX
#define IO_REPARSE_TAG_AF_UNIX 0x80000023
#endif

enum {
    PATH_ROOM = sizeof((struct sockaddr_un *)NULL)->sun_path
}; /* UTF-16 takes no more units than UTF-8 bytes */

static int widen(const char *path, wchar_t wide[PATH_ROOM])
{
    return MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, PATH_ROOM) > 0 ? 0 : rp_error_last();
}

/* Opens what lies at the path itself, to be asked what it is. */
static int open_file(const wchar_t *path, HANDLE *file)
{
    *file = CreateFileW(path, FILE_READ_ATTRIBUTES, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                        OPEN_EXISTING, FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS, NULL);
    return *file == INVALID_HANDLE_VALUE ? rp_error_last() : 0;
}

int rp_socket_file_remove_stale(const char *path)
{
    FILE_ATTRIBUTE_TAG_INFO info = {0};
    wchar_t wide[PATH_ROOM];
    HANDLE file;

    RP_TRY(widen(path, wide));
    int rc = open_file(wide, &file);
    if (rc < 0)
        return rc == -ENOENT ? 0 : rc;
    if (!GetFileInformationByHandleEx(file, FileAttributeTagInfo, &info, sizeof info))
        rc = rp_error_last();
    CloseHandle(file);
    if (rc < 0 || info.ReparseTag != IO_REPARSE_TAG_AF_UNIX || DeleteFileW(wide))
        return rc;
    rc = rp_error_last();
    return rc == -ENOENT ? 0 : rc;
}

static int identify(const wchar_t *path, rp_socket_file *file)
{
    BY_HANDLE_FILE_INFORMATION info;
    HANDLE handle;

    RP_TRY(open_file(path, &handle));
    int rc = GetFileInformationByHandle(handle, &info) ? 0 : rp_error_last();
    CloseHandle(handle);
    if (rc == 0)
        *file = (rp_socket_file){
            .device = info.dwVolumeSerialNumber,
            .inode = (uint64_t)info.nFileIndexHigh << 32 | info.nFileIndexLow,
        };
    return rc;
}

int rp_socket_file_identify(const char *path, rp_socket_file *file)
{
    wchar_t wide[PATH_ROOM];

    RP_TRY(widen(path, wide));
    return identify(wide, file);
}

void rp_socket_file_remove(const char *path, const rp_socket_file *file)
{
    wchar_t wide[PATH_ROOM];
    rp_socket_file now;

    if (file->inode && widen(path, wide) == 0 && identify(wide, &now) == 0 && now.device == file->device &&
        now.inode == file->inode)
        DeleteFileW(wide);
}
