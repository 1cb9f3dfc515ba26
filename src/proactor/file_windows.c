/*
 * file_windows.c - openat() and statx() by NtCreateFile(), with the errors that Linux has.
 *
 * A file is truncated once it is open, not by being overwritten: that fails for hidden files, and takes attributes and
 * streams away.
 */
#define WIN32_NO_STATUS /* ntstatus.h has them all, windows.h some */
#include "proactor/path_windows.h"
#undef WIN32_NO_STATUS
#include <ntstatus.h>

#include "proactor/file_windows.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/error_windows.h"
#include "proactor/kernel.h"
#include "proactor/link_windows.h"
#include "proactor/path_error_windows.h"

/* ---- opening ---- */

static ACCESS_MASK access_of(int flags)
{
    ACCESS_MASK writing = FILE_GENERIC_WRITE & ~(ACCESS_MASK)(flags & O_APPEND ? FILE_WRITE_DATA : 0);

    switch (flags & (O_RDONLY | O_WRONLY | O_RDWR)) {
    case O_WRONLY:
        return writing | FILE_READ_ATTRIBUTES;
    case O_RDWR:
        return FILE_GENERIC_READ | writing;
    default:
        return FILE_GENERIC_READ;
    }
}

/* An error for whoever would write to a directory, or to what is to be one. */
static int refuse_writing(const rp_path *path, int flags)
{
    bool is_new_name = flags & O_CREAT && path->end != RP_PATH_DOTS;
    HANDLE directory;
    NTSTATUS status =
        rp_path_open(path, FILE_READ_ATTRIBUTES, FILE_OPEN, FILE_DIRECTORY_FILE, 0, &directory, NULL);

    if (NT_SUCCESS(status)) {
        CloseHandle(directory);
        return flags & O_CREAT && flags & O_EXCL && !is_new_name ? -EEXIST : -EISDIR;
    }
    if (is_new_name && (status == STATUS_NOT_A_DIRECTORY || status == STATUS_OBJECT_NAME_NOT_FOUND))
        return -EISDIR;
    return rp_path_error(path, status);
}

/* What was opened as it lies there: a link is refused, and another reparse point opened as what it stands for. */
static int follow_no_link(HANDLE *file, ACCESS_MASK access, int flags)
{
    rp_path itself = {.root = *file, .name = (wchar_t[]){0}};
    DWORD tag = rp_reparse_tag(*file);
    int rc = flags & O_DIRECTORY ? -ENOTDIR : -ELOOP;

    if (tag == 0)
        return 0;
    if (!rp_is_link(tag)) {
        NTSTATUS status = rp_path_open(&itself, access, FILE_OPEN, 0, 0, file, NULL);
        rc = NT_SUCCESS(status) ? 0 : rp_path_error(&itself, status);
    }
    CloseHandle(itself.root);
    return rc;
}

/* Truncates a file that was there, and takes the right to do so away if it was not asked for. An error closes it. */
static int truncate_file(HANDLE *file, ACCESS_MASK access, bool created)
{
    HANDLE process = GetCurrentProcess(), opened = *file;
    FILE_END_OF_FILE_INFO end = {.EndOfFile.QuadPart = 0};

    if (!created && GetFileType(opened) == FILE_TYPE_DISK &&
        !SetFileInformationByHandle(opened, FileEndOfFileInfo, &end, sizeof end)) {
        int rc = rp_error_last();
        CloseHandle(opened);
        return rc;
    }
    if (access & FILE_WRITE_DATA)
        return 0;
    return DuplicateHandle(process, opened, process, file, access, FALSE, DUPLICATE_CLOSE_SOURCE)
               ? 0
               : rp_error_last();
}

static int64_t open_file(const rp_path *path, int flags, uint32_t mode)
{
    bool directory = path->end != RP_PATH_NAME || flags & O_DIRECTORY,
         nofollow = flags & O_NOFOLLOW && path->end == RP_PATH_NAME;
    bool writes = flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC), exclusive = flags & O_CREAT && flags & O_EXCL;
    ULONG disposition = exclusive ? FILE_CREATE : flags & O_CREAT ? FILE_OPEN_IF : FILE_OPEN;
    ULONG attributes = mode & S_IWUSR ? FILE_ATTRIBUTE_NORMAL : FILE_ATTRIBUTE_READONLY, options = 0;
    ACCESS_MASK access = access_of(flags), needed = access | (flags & O_TRUNC ? FILE_WRITE_DATA : 0);
    HANDLE file;
    bool created;
    int rc = 0;

    if (directory && writes)
        return refuse_writing(path, flags);
    if (directory)
        options |= FILE_DIRECTORY_FILE;
    else if (writes && !exclusive)
        options |= FILE_NON_DIRECTORY_FILE;
    if (nofollow || exclusive) /* a link that leads nowhere is not to be created anew */
        options |= FILE_OPEN_REPARSE_POINT;
    NTSTATUS status = rp_path_open(path, needed, disposition, options, attributes, &file, &created);
    if (!NT_SUCCESS(status))
        return rp_path_error(path, status);
    if (nofollow)
        rc = follow_no_link(&file, needed, flags);
    if (rc == 0 && flags & O_TRUNC)
        rc = truncate_file(&file, access, created);
    return rc < 0 ? rc : (int64_t)(intptr_t)file;
}

int64_t rp_file_open(rp_fd directory, const char *path, int flags, uint32_t mode)
{
    rp_path found;

    if (flags & O_CREAT && flags & O_DIRECTORY)
        return -EINVAL;
    int64_t rc = rp_path_find(directory, path, &found);
    if (rc == 0)
        rc = open_file(&found, flags, mode);
    rp_path_free(&found);
    return rc;
}

/* ---- status ---- */

/* From 100 nanoseconds since 1601. */
static struct statx_timestamp to_timestamp(LARGE_INTEGER time)
{
    int64_t since = time.QuadPart - INT64_C(116444736000000000);
    int64_t seconds = since / 10000000 - (since % 10000000 < 0);

    return (struct statx_timestamp){.tv_sec = seconds, .tv_nsec = (uint32_t)(since - seconds * 10000000) * 100};
}

static uint16_t mode_of(HANDLE file, DWORD attributes)
{
    uint16_t writing = attributes & FILE_ATTRIBUTE_READONLY ? 0 : 0222;
    DWORD tag = attributes & FILE_ATTRIBUTE_REPARSE_POINT ? rp_reparse_tag(file) : 0;

    switch (GetFileType(file)) {
    case FILE_TYPE_CHAR:
        return S_IFCHR | 0666;
    case FILE_TYPE_PIPE:
        return (rp_kernel_type(&rp_system_kernel, (rp_fd)file) < 0 ? S_IFIFO : S_IFSOCK) | 0666;
    default:
        return rp_is_link(tag)                         ? S_IFLNK | 0777
               : tag == (DWORD)IO_REPARSE_TAG_AF_UNIX  ? (uint16_t)(S_IFSOCK | 0444 | writing)
               : attributes & FILE_ATTRIBUTE_DIRECTORY ? (uint16_t)(S_IFDIR | 0555 | writing)
                                                       : (uint16_t)(S_IFREG | 0444 | writing);
    }
}

static int status_of(HANDLE file, struct statx *result)
{
    FILE_BASIC_INFO basic = {0};
    FILE_STANDARD_INFO standard = {0};
    FILE_INTERNAL_INFORMATION id = {0};
    IO_STATUS_BLOCK io;

    *result = (struct statx){0};
    if (GetFileType(file) == FILE_TYPE_DISK) {
        if (!GetFileInformationByHandleEx(file, FileBasicInfo, &basic, sizeof basic) ||
            !GetFileInformationByHandleEx(file, FileStandardInfo, &standard, sizeof standard))
            return rp_error_last();
        NTSTATUS status = NtQueryInformationFile(file, &io, &id, sizeof id, FileInternalInformation);
        if (!NT_SUCCESS(status))
            return rp_error_from_windows(RtlNtStatusToDosError(status));
        result->stx_mask = STATX_BASIC_STATS | STATX_BTIME;
        result->stx_size = (uint64_t)standard.EndOfFile.QuadPart;
        result->stx_blocks = (uint64_t)standard.AllocationSize.QuadPart / 512;
        result->stx_nlink = standard.NumberOfLinks;
        result->stx_ino = (uint64_t)id.IndexNumber.QuadPart;
        result->stx_atime = to_timestamp(basic.LastAccessTime);
        result->stx_btime = to_timestamp(basic.CreationTime);
        result->stx_ctime = to_timestamp(basic.ChangeTime);
        result->stx_mtime = to_timestamp(basic.LastWriteTime);
    } else if (GetFileType(file) == FILE_TYPE_UNKNOWN && GetLastError() != NO_ERROR) {
        return rp_error_last();
    }
    result->stx_mask |= STATX_TYPE | STATX_MODE;
    result->stx_blksize = 4096;
    result->stx_mode = mode_of(file, basic.FileAttributes);
    return 0;
}

static int path_status(const rp_path *path, bool follow, struct statx *result)
{
    ULONG options = (path->end != RP_PATH_NAME ? FILE_DIRECTORY_FILE : 0) | (follow ? 0 : FILE_OPEN_REPARSE_POINT);
    HANDLE file;
    NTSTATUS status = rp_path_open(path, FILE_READ_ATTRIBUTES, FILE_OPEN, options, 0, &file, NULL);

    if (status == STATUS_IO_REPARSE_TAG_NOT_HANDLED)
        status = rp_path_open_unfollowed(path, &file);
    if (!NT_SUCCESS(status))
        return rp_path_error(path, status);
    int rc = status_of(file, result);
    CloseHandle(file);
    return rc;
}

int rp_file_status(rp_fd directory, const char *path, int flags, struct statx *result)
{
    bool itself = path[0] == '\0' && flags & AT_EMPTY_PATH;
    rp_path found;

    if (itself && directory != AT_FDCWD)
        return directory <= 0 ? -EBADF : status_of((HANDLE)directory, result);
    int rc = rp_path_find(directory, itself ? "." : path, &found);
    if (rc == 0)
        rc = path_status(&found, found.end != RP_PATH_NAME || !(flags & AT_SYMLINK_NOFOLLOW), result);
    rp_path_free(&found);
    return rc;
}
