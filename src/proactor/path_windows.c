/*
 * path_windows.c - what a path is to NtCreateFile(): a whole name, or a name below a directory that is open.
 *
 * A whole name is made by Windows itself, and then written in the kernel's form: it is what CreateFile() takes it for
 * ("C:x", "\x", "\\server\share\x", "NUL", "\\?\C:\x"), but not limited to MAX_PATH.
 * A name below a directory is opened from its handle. So the directory may be renamed meanwhile, and its volume needs
 * no letter. The kernel knows no "/", "." and ".." there: they are resolved in the text, as Windows does in every path,
 * and by the same rules. What leads out of the directory ("../x") begins at the name that the directory has just now.
 */
#include "proactor/path_windows.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <wchar.h>

#include "base/error_windows.h"
#include "base/memory.h"

enum {
    SHARE_ALL = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
    ROOM = 32768,   /* for a name, with a 0: the kernel takes no longer ones */
    DRIVE_ROOT = 7, /* the length of "\??\C:\" */
};

static bool is_separator(wchar_t c)
{
    return c == L'/' || c == L'\\';
}

static bool begins_with(const wchar_t *path, const wchar_t *prefix)
{
    return wcsncmp(path, prefix, wcslen(prefix)) == 0;
}

/* ---- whole names ---- */

static bool is_absolute(const wchar_t *path)
{
    return is_separator(path[0]) || (path[0] != L'\0' && path[1] == L':');
}

/* "NUL", "COM1" and the like are devices in whichever directory they are looked for: Windows knows which. */
static bool is_device(const wchar_t *path)
{
    wchar_t whole[16];
    DWORD length = GetFullPathNameW(path, 16, whole, NULL);

    return length > 0 && length < 16 && begins_with(whole, L"\\\\.\\");
}

/*
 * "C:\x" becomes "\??\C:\x", "\\server\share" becomes "\??\UNC\server\share", "\\.\x" becomes "\??\x".
 * So does "\\?\x", in which nothing else is changed.
 */
static int make_whole(wchar_t *given, wchar_t *made, wchar_t **name)
{
    enum { BEFORE = 6 }; /* so much longer is "\??\UNC\" than "\\" */
    wchar_t *whole = made + BEFORE;

    if (begins_with(given, L"\\\\?\\")) {
        given[1] = L'?';
        *name = given;
        return 0;
    }
    DWORD length = GetFullPathNameW(given, ROOM - BEFORE, whole, NULL);
    if (length == 0)
        return rp_error_last();
    if (length >= ROOM - BEFORE)
        return -ENAMETOOLONG;
    if (begins_with(whole, L"\\\\.\\") || begins_with(whole, L"\\\\?\\")) {
        *name = wmemcpy(whole, L"\\??\\", 4);
        return 0;
    }
    *name = begins_with(whole, L"\\\\") ? wmemcpy(made, L"\\??\\UNC\\", 8) : wmemcpy(whole - 4, L"\\??\\", 4);
    for (wchar_t *end = whole + length; end > *name + DRIVE_ROOT && end[-1] == L'\\';)
        *--end = L'\0';
    return 0;
}

/* ---- names below a directory ---- */

static int check_directory(HANDLE directory)
{
    FILE_STANDARD_INFO information;

    if (!GetFileInformationByHandleEx(directory, FileStandardInfo, &information, sizeof information))
        return rp_error_last() == -EBADF ? -EBADF : -ENOTDIR;
    return information.Directory ? 0 : -ENOTDIR;
}

/* How much of a name counts: Windows drops a dot at its end, and of the last one all dots and spaces there. */
static size_t trim(const wchar_t *name, size_t length)
{
    if (name[length] == L'\0')
        while (length > 0 && (name[length - 1] == L'.' || name[length - 1] == L' '))
            length--;
    else if (length > 1 && name[length - 1] == L'.' && name[length - 2] != L'.')
        length--;
    return length;
}

/* Leaves the names alone, with a '\' between them. Returns how many times ".." leads out of where they begin. */
static size_t resolve(wchar_t *path)
{
    wchar_t *end = path; /* of what is left: never beyond what is looked at */
    size_t out = 0;

    for (const wchar_t *name = path; *name;) {
        size_t length = wcscspn(name, L"/\\"), kept = 0;

        if (length == 2 && wmemcmp(name, L"..", 2) == 0) {
            out += end == path;
            while (end > path && *--end != L'\\')
                ;
        } else if (length != 1 || *name != L'.') {
            kept = trim(name, length);
        }
        name += length;
        bool more = *name != L'\0';
        if (kept > 0 && end > path)
            *end++ = L'\\';
        wmemmove(end, name - length, kept);
        end += kept;
        name += more;
    }
    *end = L'\0';
    return out;
}

/* A whole name for what is above a directory, but not above the root of its volume. */
static int name_above(HANDLE directory, size_t levels, const wchar_t *rest, wchar_t *made)
{
    DWORD length = GetFinalPathNameByHandleW(directory, made, ROOM, VOLUME_NAME_DOS);

    if (length > 0)
        made[1] = L'?'; /* "\\?\" is "\??\" to the kernel */
    else                /* its volume has no letter: the kernel's own name for it */
        length = GetFinalPathNameByHandleW(directory, made, ROOM, VOLUME_NAME_NT);
    DWORD below = GetFinalPathNameByHandleW(directory, NULL, 0, VOLUME_NAME_NONE); /* its size, with a 0 */
    if (length == 0 || below == 0)
        return rp_error_last();
    if (length + wcslen(rest) + 1 >= ROOM)
        return -ENAMETOOLONG;
    if (below > length) /* it was renamed meanwhile */
        return -ENOENT;
    wchar_t *end = made + length, *root = end - (below - 1);
    for (; levels > 0; levels--)
        while (end > root && *--end != L'\\')
            ;
    if (*rest || end == root)
        *end++ = L'\\';
    wcscpy(end, rest);
    return 0;
}

static int make_relative(rp_path *path, HANDLE directory, wchar_t *given, wchar_t *made)
{
    int rc = check_directory(directory);

    if (rc < 0)
        return rc;
    size_t out = resolve(given);
    path->root = out > 0 ? NULL : directory;
    path->name = out > 0 ? made : given;
    return out > 0 ? name_above(directory, out, given, made) : 0;
}

/* ---- any path ---- */

static rp_path_end end_of(const wchar_t *path)
{
    const wchar_t *last = path + wcslen(path);

    while (last > path && !is_separator(last[-1]))
        last--;
    if (*last == L'\0')
        return RP_PATH_SLASH;
    return wcscmp(last, L".") == 0 || wcscmp(last, L"..") == 0 ? RP_PATH_DOTS : RP_PATH_NAME;
}

int rp_path_find(rp_fd directory, const char *text, rp_path *path)
{
    wchar_t *given = rp_malloc(2 * ROOM * sizeof *given), *made = given + ROOM;

    *path = (rp_path){.memory = given};
    if (!given)
        return -ENOMEM;
    if (text[strspn(text, " ")] == '\0') /* spaces at the end do not count */
        return -ENOENT;
    if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, given, ROOM) == 0)
        return GetLastError() == ERROR_INSUFFICIENT_BUFFER ? -ENAMETOOLONG : rp_error_last();
    path->end = end_of(given);
    if (directory == AT_FDCWD || is_absolute(given) || is_device(given))
        return make_whole(given, made, &path->name);
    return directory <= 0 ? -EBADF : make_relative(path, (HANDLE)directory, given, made);
}

void rp_path_free(rp_path *path)
{
    rp_free(path->memory);
}

wchar_t *rp_path_first_name(const rp_path *path)
{
    wchar_t *name = path->name;

    for (int i = 0; i < 3 && !path->root && *name; i++) { /* "\??\C:\", "\Device\HarddiskVolume1\" */
        name += wcscspn(name, L"\\");
        name += *name != L'\0';
    }
    return name;
}

NTSTATUS rp_path_open(const rp_path *path, ACCESS_MASK access, ULONG disposition, ULONG options, ULONG attributes,
                      HANDLE *file, bool *created)
{
    USHORT size = (USHORT)(wcslen(path->name) * sizeof *path->name);
    UNICODE_STRING name = {.Length = size, .MaximumLength = size, .Buffer = path->name};
    OBJECT_ATTRIBUTES object;
    IO_STATUS_BLOCK result = {0};

    InitializeObjectAttributes(&object, &name, OBJ_CASE_INSENSITIVE, path->root, NULL);
    NTSTATUS status =
        NtCreateFile(file, access, &object, &result, NULL, attributes, SHARE_ALL, disposition, options, NULL, 0);
    if (created)
        *created = result.Information == FILE_CREATED;
    return status;
}
