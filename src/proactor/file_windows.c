/*
 * file_windows.c - openat() and statx() by what Windows has.
 *
 * Paths are UTF-8. One that is relative to a directory is put behind that directory's own.
 */
#include "base/socket.h"

#include "proactor/file_windows.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error_windows.h"
#include "base/memory.h"

enum { SHARE_ALL = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE };

/* ---- paths ---- */

static bool is_absolute(const char *path)
{
    return path[0] == '/' || path[0] == '\\' || (path[0] != '\0' && path[1] == ':');
}

static int check_directory(rp_fd directory)
{
    BY_HANDLE_FILE_INFORMATION information;

    if (directory <= 0)
        return -EBADF;
    if (!GetFileInformationByHandle((HANDLE)directory, &information))
        return rp_error_last();
    return information.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY ? 0 : -ENOTDIR;
}

/* What GetFinalPathName() puts before a path keeps Windows from looking at "..": it goes. */
static wchar_t *without_prefix(wchar_t *path)
{
    if (wcsncmp(path, L"\\\\?\\UNC\\", 8) == 0) {
        path[6] = L'\\';
        return path + 6;
    }
    return wcsncmp(path, L"\\\\?\\", 4) == 0 ? path + 4 : path;
}

/* The path in Windows' own letters. *name is to be used, *memory to be freed. */
static int make_path(rp_fd directory, const char *path, wchar_t **name, wchar_t **memory)
{
    bool relative = directory != AT_FDCWD && !is_absolute(path);
    DWORD before = 0;
    int rc = relative ? check_directory(directory) : 0;

    if (rc < 0)
        return rc;
    if (path[0] == '\0')
        return -ENOENT;
    int length = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, NULL, 0);
    if (length == 0)
        return rp_error_last();
    if (relative)
        before = GetFinalPathNameByHandleW((HANDLE)directory, NULL, 0, VOLUME_NAME_DOS);
    if (relative && before == 0)
        return rp_error_last();
    *memory = rp_calloc((before + 2 + (size_t)length) * sizeof **memory);
    if (!*memory)
        return -ENOMEM;
    *name = *memory;
    if (relative) {
        DWORD now = GetFinalPathNameByHandleW((HANDLE)directory, *memory, before + 1, VOLUME_NAME_DOS);

        if (now == 0 || now > before) { /* it was renamed meanwhile */
            rp_free(*memory);
            return -ENOENT;
        }
        *name = without_prefix(*memory);
        wcscat(*name, L"\\");
    }
    MultiByteToWideChar(CP_UTF8, 0, path, -1, *name + wcslen(*name), length);
    return 0;
}

/* ---- opening ---- */

static DWORD access_of(int flags)
{
    DWORD writing = flags & O_APPEND ? FILE_GENERIC_WRITE & ~(DWORD)FILE_WRITE_DATA : GENERIC_WRITE;

    switch (flags & (O_RDONLY | O_WRONLY | O_RDWR)) {
    case O_WRONLY:
        return writing;
    case O_RDWR:
        return GENERIC_READ | writing;
    default:
        return GENERIC_READ;
    }
}

static DWORD disposition_of(int flags)
{
    if (flags & O_CREAT)
        return flags & O_EXCL ? CREATE_NEW : flags & O_TRUNC ? CREATE_ALWAYS : OPEN_ALWAYS;
    return flags & O_TRUNC ? TRUNCATE_EXISTING : OPEN_EXISTING;
}

int64_t rp_file_open(rp_fd directory, const char *path, int flags, uint32_t mode)
{
    DWORD attributes = mode & S_IWUSR ? FILE_ATTRIBUTE_NORMAL : FILE_ATTRIBUTE_READONLY, found;
    wchar_t *name, *memory;
    int64_t rc = make_path(directory, path, &name, &memory);

    if (rc < 0)
        return rc;
    /* Without the flag for backups directories cannot be opened, and for writing they shall not. */
    HANDLE file = CreateFileW(name, access_of(flags), SHARE_ALL, NULL, disposition_of(flags),
                              (flags & O_CREAT ? attributes : 0) | FILE_FLAG_OVERLAPPED |
                                  (flags & (O_WRONLY | O_RDWR) ? 0 : FILE_FLAG_BACKUP_SEMANTICS),
                              NULL);
    if (file == INVALID_HANDLE_VALUE) {
        rc = rp_error_last();
        found = GetFileAttributesW(name);
        if (rc == -EACCES && found != INVALID_FILE_ATTRIBUTES && found & FILE_ATTRIBUTE_DIRECTORY)
            rc = -EISDIR;
    } else {
        rc = (int64_t)(intptr_t)file;
    }
    rp_free(memory);
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

    switch (GetFileType(file)) {
    case FILE_TYPE_CHAR:
        return S_IFCHR | 0666;
    case FILE_TYPE_PIPE:
        return S_IFIFO | 0666;
    default:
        return attributes & FILE_ATTRIBUTE_DIRECTORY ? (uint16_t)(S_IFDIR | 0555 | writing)
                                                     : (uint16_t)(S_IFREG | 0444 | writing);
    }
}

static int status_of(HANDLE file, struct statx *result)
{
    BY_HANDLE_FILE_INFORMATION information = {0};
    FILE_BASIC_INFO times = {0};
    FILE_STANDARD_INFO sizes = {0};

    *result = (struct statx){0};
    if (GetFileType(file) == FILE_TYPE_DISK) {
        if (!GetFileInformationByHandle(file, &information) ||
            !GetFileInformationByHandleEx(file, FileBasicInfo, &times, sizeof times) ||
            !GetFileInformationByHandleEx(file, FileStandardInfo, &sizes, sizeof sizes))
            return rp_error_last();
        result->stx_mask = STATX_BASIC_STATS | STATX_BTIME;
        result->stx_size = (uint64_t)sizes.EndOfFile.QuadPart;
        result->stx_blocks = (uint64_t)sizes.AllocationSize.QuadPart / 512;
        result->stx_nlink = information.nNumberOfLinks;
        result->stx_ino = (uint64_t)information.nFileIndexHigh << 32 | information.nFileIndexLow;
        result->stx_atime = to_timestamp(times.LastAccessTime);
        result->stx_btime = to_timestamp(times.CreationTime);
        result->stx_ctime = to_timestamp(times.ChangeTime);
        result->stx_mtime = to_timestamp(times.LastWriteTime);
    } else if (GetFileType(file) == FILE_TYPE_UNKNOWN && GetLastError() != NO_ERROR) {
        return rp_error_last();
    }
    result->stx_mask |= STATX_TYPE | STATX_MODE;
    result->stx_blksize = 4096;
    result->stx_mode = mode_of(file, information.dwFileAttributes);
    return 0;
}

int rp_file_status(rp_fd directory, const char *path, int flags, struct statx *result)
{
    wchar_t *name, *memory;

    if (path[0] == '\0' && flags & AT_EMPTY_PATH)
        return directory <= 0 ? -EBADF : status_of((HANDLE)directory, result);
    int rc = make_path(directory, path, &name, &memory);
    if (rc < 0)
        return rc;
    HANDLE file = CreateFileW(
        name, FILE_READ_ATTRIBUTES, SHARE_ALL, NULL, OPEN_EXISTING,
        FILE_FLAG_BACKUP_SEMANTICS | (flags & AT_SYMLINK_NOFOLLOW ? FILE_FLAG_OPEN_REPARSE_POINT : 0), NULL);
    rc = file == INVALID_HANDLE_VALUE ? rp_error_last() : status_of(file, result);
    if (file != INVALID_HANDLE_VALUE)
        CloseHandle(file);
    rp_free(memory);
    return rc;
}
