/*
 * link_windows.c - reparse points: which of them are links, what these lead to, and making one.
 */
#define WIN32_NO_STATUS /* ntstatus.h has them all, windows.h some */
#include "proactor/link_windows.h"
#undef WIN32_NO_STATUS
#include <ntstatus.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <winioctl.h>

#include "base/error_windows.h"
#include "base/memory.h"

/* What a reparse point has, as the system lays it out. */
typedef struct reparse_data {
    ULONG tag;
    USHORT length;
    USHORT reserved;
    union {
        struct {
            USHORT substitute_offset, substitute_length, print_offset, print_length; /* in bytes, within `text` */
            ULONG flags;
            WCHAR text[1];
        } symbolic;
        struct {
            USHORT substitute_offset, substitute_length, print_offset, print_length;
            WCHAR text[1];
        } junction;
        struct {
            ULONG version;
            char text[1]; /* UTF-8, without a 0 */
        } linux_link;
        char room[MAXIMUM_REPARSE_DATA_BUFFER_SIZE];
    } u;
} reparse_data;

DWORD rp_reparse_tag(HANDLE file)
{
    FILE_ATTRIBUTE_TAG_INFO info;

    if (!GetFileInformationByHandleEx(file, FileAttributeTagInfo, &info, sizeof info) ||
        !(info.FileAttributes & FILE_ATTRIBUTE_REPARSE_POINT))
        return 0;
    return info.ReparseTag;
}

bool rp_is_link(DWORD tag)
{
    return tag == IO_REPARSE_TAG_SYMLINK || tag == IO_REPARSE_TAG_MOUNT_POINT || tag == IO_REPARSE_TAG_LX_SYMLINK;
}

NTSTATUS rp_path_open_unfollowed(const rp_path *path, HANDLE *file)
{
    ULONG options = FILE_OPEN_REPARSE_POINT | (path->end != RP_PATH_NAME ? FILE_DIRECTORY_FILE : 0);
    NTSTATUS status = rp_path_open(path, FILE_READ_ATTRIBUTES, FILE_OPEN, options, 0, file, NULL);

    if (!NT_SUCCESS(status) || !rp_is_link(rp_reparse_tag(*file)))
        return status;
    CloseHandle(*file);
    return STATUS_IO_REPARSE_TAG_NOT_HANDLED;
}

/* ---- reading ---- */

/* The name for people, or else the one for the kernel. */
static int64_t read_name(const WCHAR *text, USHORT print, USHORT print_length, USHORT substitute,
                         USHORT substitute_length, char *target, size_t size)
{
    const WCHAR *name = text + (print_length > 0 ? print : substitute) / sizeof *text;
    int length = (print_length > 0 ? print_length : substitute_length) / (int)sizeof *text;

    if (print_length == 0 && length > 4 && wcsncmp(name, L"\\??\\", 4) == 0) {
        name += 4;
        length -= 4;
    }
    int bytes = WideCharToMultiByte(CP_UTF8, 0, name, length, NULL, 0, NULL, NULL);
    char *all = rp_malloc((size_t)bytes + 1);
    if (!all)
        return -ENOMEM;
    WideCharToMultiByte(CP_UTF8, 0, name, length, all, bytes, NULL, NULL);
    size_t kept = (size_t)bytes < size ? (size_t)bytes : size;
    memcpy(target, all, kept);
    rp_free(all);
    return (int64_t)kept;
}

int64_t rp_link_read(HANDLE link, char *target, size_t size)
{
    reparse_data *data = rp_malloc(sizeof *data);
    DWORD length;
    int64_t rc = -EINVAL;

    if (!data)
        return -ENOMEM;
    if (!rp_is_link(rp_reparse_tag(link))) {
        rc = -EINVAL;
    } else if (!DeviceIoControl(link, FSCTL_GET_REPARSE_POINT, NULL, 0, data, sizeof *data, &length, NULL)) {
        rc = rp_error_last();
    } else if (data->tag == (ULONG)IO_REPARSE_TAG_SYMLINK) {
        rc = read_name(data->u.symbolic.text, data->u.symbolic.print_offset, data->u.symbolic.print_length,
                       data->u.symbolic.substitute_offset, data->u.symbolic.substitute_length, target, size);
    } else if (data->tag == (ULONG)IO_REPARSE_TAG_MOUNT_POINT) {
        rc = read_name(data->u.junction.text, data->u.junction.print_offset, data->u.junction.print_length,
                       data->u.junction.substitute_offset, data->u.junction.substitute_length, target, size);
    } else if (data->length >= sizeof data->u.linux_link.version) {
        size_t bytes = data->length - sizeof data->u.linux_link.version;

        rc = (int64_t)(bytes < size ? bytes : size);
        memcpy(target, data->u.linux_link.text, (size_t)rc);
    }
    rp_free(data);
    return rc;
}

/* ---- making ---- */

/* Whether what the link is to lead to is a directory now. A relative target begins where the link is. */
static bool leads_to_directory(const char *target, rp_fd directory, const char *path)
{
    const char *name = path + strlen(path);
    rp_path found;
    HANDLE file;

    while (name > path && name[-1] != '/' && name[-1] != '\\')
        name--;
    bool whole = target[0] == '/' || target[0] == '\\' || (target[0] != '\0' && target[1] == ':');
    size_t before = whole ? 0 : (size_t)(name - path), length = strlen(target);
    char *text = rp_malloc(before + length + 1);
    if (!text)
        return false;
    memcpy(text, path, before);
    memcpy(text + before, target, length + 1);
    bool is =
        rp_path_find(directory, text, &found) == 0 &&
        NT_SUCCESS(rp_path_open(&found, FILE_READ_ATTRIBUTES, FILE_OPEN, FILE_DIRECTORY_FILE, 0, &file, NULL));
    if (is)
        CloseHandle(file);
    rp_path_free(&found);
    rp_free(text);
    return is;
}

/* The path as CreateFile() takes it, of any length: rp_free() is due. NULL: no memory, or *error. */
static wchar_t *name_of(const rp_path *path, int *error)
{
    size_t length = wcslen(path->name) + 1;
    DWORD before = path->root ? GetFinalPathNameByHandleW(path->root, NULL, 0, VOLUME_NAME_DOS) : 0; /* with a 0 */
    wchar_t *name = rp_malloc((before + length) * sizeof *name);

    *error = !name ? -ENOMEM : path->root && before == 0 ? rp_error_last() : 0;
    if (*error < 0) {
        rp_free(name);
        return NULL;
    }
    if (path->root) {
        GetFinalPathNameByHandleW(path->root, name, before, VOLUME_NAME_DOS);
        name[before - 1] = L'\\';
    }
    wmemcpy(name + before, path->name, length);
    if (!path->root)
        name[1] = L'\\'; /* "\??\" is "\\?\" to CreateFile() */
    return name;
}

static int make_link(const wchar_t *target, const rp_path *path, bool to_directory)
{
    DWORD flags = to_directory ? SYMBOLIC_LINK_FLAG_DIRECTORY : 0;
    int rc;
    wchar_t *name = name_of(path, &rc);

    if (!name)
        return rc;
    if (!CreateSymbolicLinkW(name, target, flags | SYMBOLIC_LINK_FLAG_ALLOW_UNPRIVILEGED_CREATE) &&
        (GetLastError() != ERROR_INVALID_PARAMETER || !CreateSymbolicLinkW(name, target, flags)))
        rc = rp_error_last();
    rp_free(name);
    return rc;
}

int rp_link_make(const char *target, rp_fd directory, const char *path)
{
    int room = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, target, -1, NULL, 0);
    wchar_t *wide;
    rp_path found;

    if (target[0] == '\0')
        return -ENOENT;
    if (room == 0)
        return rp_error_last();
    wide = rp_malloc((size_t)room * sizeof *wide);
    if (!wide)
        return -ENOMEM;
    MultiByteToWideChar(CP_UTF8, 0, target, -1, wide, room);
    for (wchar_t *c = wide; *c; c++) /* links with '/' are followed nowhere */
        if (*c == L'/')
            *c = L'\\';
    int rc = rp_path_find(directory, path, &found);
    if (rc == 0)
        rc = found.end == RP_PATH_NAME ? make_link(wide, &found, leads_to_directory(target, directory, path))
                                       : -ENOENT;
    rp_path_free(&found);
    rp_free(wide);
    return rc;
}
