/*
 * file_names_windows.c - what changes a file's names and length, by the file's handle.
 *
 * Newer Windows takes a name away at once, though others have the file open, and minds no read-only attribute (POSIX
 * semantics). Where a file system or an older Windows does not know that, it is done as far as the old way goes.
 */
#define WIN32_NO_STATUS /* ntstatus.h has them all, windows.h some */
#include "proactor/path_windows.h"
#undef WIN32_NO_STATUS
#include <ntstatus.h>

#include "proactor/file_names_windows.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <wchar.h>

#include "base/error_windows.h"
#include "base/memory.h"
#include "proactor/link_windows.h"
#include "proactor/path_error_windows.h"

/* Classes of information that mingw's headers lack, and their flags. */
enum {
    DISPOSITION_EX = 64,
    RENAME_EX = 65,
    DISPOSE = 0x01 | 0x02 | 0x10, /* delete, with POSIX's semantics, read-only or not */
    REPLACE = 0x01,
    RENAME_POSIX = 0x02 | 0x40, /* with POSIX's semantics, read-only or not */
};

/* FILE_RENAME_INFORMATION, _EX, and FILE_LINK_INFORMATION are one. */
typedef struct new_name {
    ULONG flags; /* or a BOOLEAN: whether to replace */
    HANDLE root;
    ULONG length; /* in bytes */
    WCHAR name[1];
} new_name;

static int error_of(NTSTATUS status)
{
    return NT_SUCCESS(status) ? 0 : rp_error_from_windows(RtlNtStatusToDosError(status));
}

static NTSTATUS set(HANDLE file, void *information, size_t size, int kind)
{
    IO_STATUS_BLOCK result;

    return NtSetInformationFile(file, &result, information, (ULONG)size, (FILE_INFORMATION_CLASS)kind);
}

/* Whether it is the system that does not know a class of information. */
static bool is_unknown(NTSTATUS status)
{
    return status == STATUS_INVALID_INFO_CLASS || status == STATUS_INVALID_PARAMETER ||
           status == STATUS_NOT_SUPPORTED || status == STATUS_NOT_IMPLEMENTED ||
           status == STATUS_INVALID_DEVICE_REQUEST;
}

/* ---- the file that a path names ---- */

typedef struct found {
    rp_path path;
    HANDLE file; /* the link itself, if it is one; NULL: it could not be opened */
    bool is_directory;
    DWORD attributes;
} found;

static int find(rp_fd directory, const char *text, ACCESS_MASK access, bool follow, found *f)
{
    FILE_ATTRIBUTE_TAG_INFO information = {0};

    f->file = NULL;
    int rc = rp_path_find(directory, text, &f->path);
    if (rc < 0)
        return rc;
    bool itself = !follow && f->path.end == RP_PATH_NAME;
    ULONG options =
        (itself ? FILE_OPEN_REPARSE_POINT : 0) | (f->path.end != RP_PATH_NAME ? FILE_DIRECTORY_FILE : 0);
    NTSTATUS status = rp_path_open(&f->path, access | FILE_READ_ATTRIBUTES, FILE_OPEN, options, 0, &f->file, NULL);
    if (!NT_SUCCESS(status)) {
        f->file = NULL;
        return rp_path_error(&f->path, status);
    }
    GetFileInformationByHandleEx(f->file, FileAttributeTagInfo, &information, sizeof information);
    f->attributes = information.FileAttributes;
    f->is_directory =
        information.FileAttributes & FILE_ATTRIBUTE_DIRECTORY && !rp_is_link(rp_reparse_tag(f->file));
    return 0;
}

static void lose(found *f)
{
    if (f->file)
        CloseHandle(f->file);
    rp_path_free(&f->path);
}

/* The old way minds the read-only attribute: takes it away, or puts it back. */
static void set_attributes(const rp_path *path, DWORD attributes)
{
    FILE_BASIC_INFO information = {.FileAttributes = attributes ? attributes : FILE_ATTRIBUTE_NORMAL};
    HANDLE file;

    if (!NT_SUCCESS(rp_path_open(path, FILE_WRITE_ATTRIBUTES, FILE_OPEN, FILE_OPEN_REPARSE_POINT, 0, &file, NULL)))
        return;
    SetFileInformationByHandle(file, FileBasicInfo, &information, sizeof information);
    CloseHandle(file);
}

/* ---- removing ---- */

static int dispose(const found *f)
{
    ULONG flags = DISPOSE;
    BOOLEAN yes = TRUE;
    NTSTATUS status = set(f->file, &flags, sizeof flags, DISPOSITION_EX);

    if (NT_SUCCESS(status) || !is_unknown(status))
        return error_of(status);
    if (f->attributes & FILE_ATTRIBUTE_READONLY)
        set_attributes(&f->path, f->attributes & ~(DWORD)FILE_ATTRIBUTE_READONLY);
    status = set(f->file, &yes, sizeof yes, FileDispositionInformation);
    if (!NT_SUCCESS(status) && f->attributes & FILE_ATTRIBUTE_READONLY)
        set_attributes(&f->path, f->attributes);
    return error_of(status);
}

static int remove_name(rp_fd directory, const char *path, int flags)
{
    bool wants_directory = flags & AT_REMOVEDIR;
    found f;

    if (flags & ~AT_REMOVEDIR)
        return -EINVAL;
    int rc = find(directory, path, DELETE, false, &f);
    if (rc == 0 && f.path.end == RP_PATH_DOTS)
        rc = wants_directory ? -EINVAL : -EISDIR;
    else if (rc == 0 && wants_directory != f.is_directory)
        rc = wants_directory ? -ENOTDIR : -EISDIR;
    else if (rc == 0)
        rc = dispose(&f);
    lose(&f);
    return rc;
}

/* ---- renaming, and second names ---- */

static new_name *make_name(const rp_path *path, ULONG flags, size_t *size)
{
    size_t length = wcslen(path->name) * sizeof *path->name;
    new_name *name;

    *size = offsetof(new_name, name) + length + sizeof *path->name;
    name = rp_malloc(*size);
    if (!name)
        return NULL;
    name->flags = flags;
    name->root = path->root;
    name->length = (ULONG)length;
    memcpy(name->name, path->name, length + sizeof *path->name);
    return name;
}

/* Sets a name, in the new way if there is one (0: there is none), else in the old one. */
static NTSTATUS set_name(HANDLE file, const rp_path *path, bool replaces, int new_kind, int old_kind)
{
    size_t size;
    new_name *name = make_name(path, RENAME_POSIX | (replaces ? REPLACE : 0), &size);
    NTSTATUS status = STATUS_INVALID_INFO_CLASS;

    if (!name)
        return STATUS_NO_MEMORY;
    if (new_kind != 0)
        status = set(file, name, size, new_kind);
    if (!NT_SUCCESS(status) && is_unknown(status)) {
        name->flags = replaces;
        status = set(file, name, size, old_kind);
    }
    rp_free(name);
    return status;
}

/* What is in the way of a file's new name: 0 if it may be replaced, *there whether it is there. */
static int look_at(rp_fd directory, const char *path, bool from_directory, int flags, bool *there, found *to)
{
    int rc = find(directory, path, 0, false, to);

    *there = rc == 0;
    if (rc == -ENOENT || rc == -EACCES)
        return 0; /* the call itself says more */
    if (rc < 0)
        return rc;
    if (flags & RENAME_NOREPLACE)
        return -EEXIST;
    if (to->is_directory != from_directory)
        return to->is_directory ? -EISDIR : -ENOTDIR;
    return 0;
}

static int rename_found(const found *from, const rp_op *op)
{
    const char *text = op->u.paths.to;
    bool there, replaces = !(op->u.paths.flags & RENAME_NOREPLACE);
    rp_path path;
    found to;

    int rc = look_at(op->u.paths.to_directory, text, from->is_directory, op->u.paths.flags, &there, &to);
    DWORD attributes = there ? to.attributes : 0;
    lose(&to);
    if (rc < 0)
        return rc;
    rc = rp_path_find(op->u.paths.to_directory, text, &path);
    if (rc == 0 && path.end == RP_PATH_DOTS)
        rc = -EBUSY;
    else if (rc == 0 && path.end == RP_PATH_SLASH && !from->is_directory)
        rc = -ENOTDIR;
    if (rc == 0) {
        NTSTATUS status = set_name(from->file, &path, replaces, RENAME_EX, FileRenameInformation);

        /* Windows replaces no directory, and in the old way nothing that is read-only. */
        if (status == STATUS_ACCESS_DENIED && there && from->is_directory &&
            (rc = remove_name(op->u.paths.to_directory, text, AT_REMOVEDIR)) == 0)
            status = set_name(from->file, &path, replaces, RENAME_EX, FileRenameInformation);
        if (status == STATUS_ACCESS_DENIED && attributes & FILE_ATTRIBUTE_READONLY) {
            set_attributes(&path, attributes & ~(DWORD)FILE_ATTRIBUTE_READONLY);
            status = set_name(from->file, &path, replaces, RENAME_EX, FileRenameInformation);
            if (!NT_SUCCESS(status))
                set_attributes(&path, attributes);
        }
        if (rc == 0 && !NT_SUCCESS(status))
            rc = rp_path_error(&path, status);
    }
    rp_path_free(&path);
    return rc;
}

static int rename_file(const rp_op *op)
{
    found from;

    if (op->u.paths.flags & ~RENAME_NOREPLACE)
        return -EINVAL;
    int rc = find(op->fd, op->u.paths.from, DELETE, false, &from);
    if (rc == 0)
        rc = from.path.end == RP_PATH_DOTS ? -EBUSY : rename_found(&from, op);
    lose(&from);
    return rc;
}

static int link_file(const rp_op *op)
{
    rp_path path = {0};
    found from;

    if (op->u.paths.flags & ~AT_SYMLINK_FOLLOW)
        return -EINVAL;
    int rc = find(op->fd, op->u.paths.from, FILE_WRITE_ATTRIBUTES, op->u.paths.flags & AT_SYMLINK_FOLLOW, &from);
    if (rc == 0 && from.is_directory)
        rc = -EPERM;
    if (rc == 0)
        rc = rp_path_find(op->u.paths.to_directory, op->u.paths.to, &path);
    if (rc == 0 && path.end != RP_PATH_NAME)
        rc = -ENOENT;
    if (rc == 0) {
        NTSTATUS status = set_name(from.file, &path, false, 0, FileLinkInformation);
        rc = NT_SUCCESS(status) ? 0 : rp_path_error(&path, status);
    }
    rp_path_free(&path);
    lose(&from);
    return rc;
}

/* ---- the rest ---- */

static int make_directory(rp_fd directory, const char *text)
{
    rp_path path;
    HANDLE file;

    int rc = rp_path_find(directory, text, &path);
    if (rc == 0 && path.end == RP_PATH_DOTS)
        rc = -EEXIST;
    if (rc == 0) {
        NTSTATUS status = rp_path_open(&path, FILE_READ_ATTRIBUTES, FILE_CREATE, FILE_DIRECTORY_FILE,
                                       FILE_ATTRIBUTE_NORMAL, &file, NULL);
        if (NT_SUCCESS(status))
            CloseHandle(file);
        else
            rc = rp_path_error(&path, status);
    }
    rp_path_free(&path);
    return rc;
}

static int64_t read_link(const rp_op *op)
{
    found f;
    int64_t rc = op->u.link.size == 0 ? -EINVAL : 0;

    if (rc < 0)
        return rc;
    rc = find(op->fd, op->u.link.path, 0, false, &f);
    if (rc == 0)
        rc = rp_link_read(f.file, op->u.link.target, op->u.link.size);
    lose(&f);
    return rc;
}

static int set_length(HANDLE file, int64_t length)
{
    FILE_END_OF_FILE_INFO end = {.EndOfFile.QuadPart = length};
    DWORD type = GetFileType(file);

    if (type == FILE_TYPE_UNKNOWN && GetLastError() != NO_ERROR)
        return rp_error_last();
    if (length < 0 || type != FILE_TYPE_DISK)
        return -EINVAL;
    if (SetFileInformationByHandle(file, FileEndOfFileInfo, &end, sizeof end))
        return 0;
    int rc = rp_error_last();
    return rc == -EACCES ? -EINVAL : rc; /* it was not opened for writing */
}

static int truncate_file(const char *path, int64_t length)
{
    found f;

    if (length < 0)
        return -EINVAL;
    int rc = find(AT_FDCWD, path, 0, true, &f);
    if (rc == 0 && f.is_directory)
        rc = -EISDIR;
    lose(&f);
    if (rc < 0)
        return rc;
    rc = find(AT_FDCWD, path, FILE_WRITE_DATA, true, &f);
    if (rc == 0)
        rc = set_length(f.file, length);
    lose(&f);
    return rc;
}

int64_t rp_file_change(const rp_op *op)
{
    switch (op->kind) {
    case RP_OP_RENAMEAT:
        return rename_file(op);
    case RP_OP_UNLINKAT:
        return remove_name(op->fd, op->u.path.path, op->u.path.flags);
    case RP_OP_MKDIRAT:
        return make_directory(op->fd, op->u.path.path);
    case RP_OP_SYMLINKAT:
        return rp_link_make(op->u.paths.from, op->u.paths.to_directory, op->u.paths.to);
    case RP_OP_LINKAT:
        return link_file(op);
    case RP_OP_READLINKAT:
        return read_link(op);
    case RP_OP_TRUNCATE:
        return truncate_file(op->u.truncate.path, op->u.truncate.length);
    default:
        return set_length((HANDLE)op->fd, op->u.truncate.length);
    }
}
