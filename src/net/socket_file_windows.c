/*
 * socket_file_windows.c - the files of Unix sockets on Windows, which are reparse points.
 */
#include "base/error_windows.h"
#include "base/socket.h"
#include "net/socket_file.h"
#include "ringport/error.h"

#ifndef IO_REPARSE_TAG_AF_UNIX
#define IO_REPARSE_TAG_AF_UNIX 0x80000023
#endif

/* Opens what lies at the path itself, to be asked what it is. */
static int open_file(const char *path, HANDLE *file)
{
    *file = CreateFileA(path, FILE_READ_ATTRIBUTES, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                        OPEN_EXISTING, FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS, NULL);
    return *file == INVALID_HANDLE_VALUE ? rp_error_last() : 0;
}

int rp_socket_file_remove_stale(const char *path)
{
    FILE_ATTRIBUTE_TAG_INFO info = {0};
    HANDLE file;
    int rc = open_file(path, &file);

    if (rc < 0)
        return rc == -ENOENT ? 0 : rc;
    if (!GetFileInformationByHandleEx(file, FileAttributeTagInfo, &info, sizeof info))
        rc = rp_error_last();
    CloseHandle(file);
    if (rc < 0 || info.ReparseTag != IO_REPARSE_TAG_AF_UNIX || DeleteFileA(path))
        return rc;
    rc = rp_error_last();
    return rc == -ENOENT ? 0 : rc;
}

int rp_socket_file_identify(const char *path, rp_socket_file *file)
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

void rp_socket_file_remove(const char *path, const rp_socket_file *file)
{
    rp_socket_file now;

    if (file->inode && rp_socket_file_identify(path, &now) == 0 && now.device == file->device &&
        now.inode == file->inode)
        DeleteFileA(path);
}
