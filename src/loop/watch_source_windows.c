/*
 * watch_source_windows.c - what ReadDirectoryChangesW() tells: one read under way for each source.
 *
 * A thread of the system's pool waits for the read's end and posts to the loop, where it is looked at and the next read
 * begun. Between the two the kernel goes on collecting, in a buffer of its own.
 */
#include "base/error_windows.h"
#include "base/memory.h"
#include "base/wide_windows.h"
#include "loop/handle.h"
#include "loop/watch_source.h"
#include "proactor/path_windows.h"
#include "ringport/error.h"

#include <string.h>

enum {
    BUFFER = 32 * 1024,
    CHANGES = FILE_NOTIFY_CHANGE_FILE_NAME | FILE_NOTIFY_CHANGE_DIR_NAME | FILE_NOTIFY_CHANGE_ATTRIBUTES |
              FILE_NOTIFY_CHANGE_SIZE | FILE_NOTIFY_CHANGE_LAST_WRITE,
};

typedef struct changes {
    rp_watch_source *source;
    rp_handle ended; /* the read has: posted */
    HANDLE directory;
    HANDLE event; /* the read's end; it resets itself */
    HANDLE wait;
    OVERLAPPED read;
    bool reading;
    bool recursive;
    wchar_t *file;   /* the name that is watched, or NULL */
    uint32_t cookie; /* of the last move */
    DWORD buffer[BUFFER / sizeof(DWORD)];
} changes;

/* ---- events ---- */

static uint32_t kind_of(DWORD action)
{
    switch (action) {
    case FILE_ACTION_ADDED:
        return RP_WATCH_CREATED;
    case FILE_ACTION_REMOVED:
        return RP_WATCH_DELETED;
    case FILE_ACTION_RENAMED_OLD_NAME:
        return RP_WATCH_MOVED_FROM;
    case FILE_ACTION_RENAMED_NEW_NAME:
        return RP_WATCH_MOVED_TO;
    default:
        return RP_WATCH_MODIFIED;
    }
}

static void tell(const changes *self, uint32_t what, const wchar_t *wide, int length)
{
    int size = WideCharToMultiByte(CP_UTF8, 0, wide, length, NULL, 0, NULL, NULL);
    bool moved = what == RP_WATCH_MOVED_FROM || what == RP_WATCH_MOVED_TO;
    char *name = rp_malloc((size_t)size + 1);

    if (!name) {
        self->source->tell(self->source, RP_WATCH_OVERFLOW, "", 0, 0);
        return;
    }
    WideCharToMultiByte(CP_UTF8, 0, wide, length, name, size, NULL, NULL);
    for (int i = 0; i < size; i++)
        if (name[i] == '\\')
            name[i] = '/';
    self->source->tell(self->source, what, name, (size_t)size, moved ? self->cookie : 0);
    rp_free(name);
}

static void dispatch(changes *self, const FILE_NOTIFY_INFORMATION *change)
{
    int length = (int)(change->FileNameLength / sizeof(wchar_t));
    uint32_t what = kind_of(change->Action);

    if (what == RP_WATCH_MOVED_FROM)
        self->cookie++;
    if (!self->file || CompareStringOrdinal(change->FileName, length, self->file, -1, TRUE) == CSTR_EQUAL)
        tell(self, what, change->FileName, length);
}

static int read_changes(changes *self)
{
    self->read = (OVERLAPPED){.hEvent = self->event};
    self->reading = ReadDirectoryChangesW(self->directory, self->buffer, sizeof self->buffer, self->recursive,
                                          CHANGES, NULL, &self->read, NULL);
    return self->reading ? 0 : rp_error_last();
}

/* What fails is most often the directory that is gone. */
static void end(const changes *self)
{
    rp_watch_source *source = self->source;

    if (!self->file)
        source->tell(source, RP_WATCH_DELETED, "", 0, 0);
    source->tell(source, RP_WATCH_ENDED, "", 0, 0);
}

static void collect(void *arg)
{
    changes *self = arg;
    const char *at = (const char *)self->buffer;
    DWORD bytes;
    BOOL good = GetOverlappedResult(self->directory, &self->read, &bytes, FALSE);

    self->reading = false;
    if (!good && GetLastError() != ERROR_NOTIFY_ENUM_DIR) {
        end(self);
        return;
    }
    if (!good || bytes == 0) {
        self->source->tell(self->source, RP_WATCH_OVERFLOW, "", 0, 0);
    } else {
        const FILE_NOTIFY_INFORMATION *change;

        do {
            change = (const FILE_NOTIFY_INFORMATION *)at;
            dispatch(self, change);
            at += change->NextEntryOffset;
        } while (change->NextEntryOffset != 0);
    }
    if (read_changes(self) < 0)
        end(self);
}

/* On a thread of the system's. */
static void CALLBACK on_end(void *arg, BOOLEAN timed_out)
{
    changes *self = arg;

    (void)timed_out;
    rp_call_soon_threadsafe(self->source->loop, &self->ended, collect, self);
}

/* ---- opening and closing ---- */

static void free_changes(changes *self)
{
    if (self->wait)
        UnregisterWaitEx(self->wait, INVALID_HANDLE_VALUE);
    if (self->event)
        CloseHandle(self->event);
    CloseHandle(self->directory);
    rp_free(self->file);
    rp_free(self);
}

static int open_directory(const char *path, HANDLE *directory)
{
    rp_path found;
    int rc = rp_path_find(AT_FDCWD, path, &found);

    if (rc == 0) {
        NTSTATUS status = rp_path_open(&found, FILE_LIST_DIRECTORY | SYNCHRONIZE, FILE_OPEN, FILE_DIRECTORY_FILE,
                                       0, directory, NULL);

        rc = NT_SUCCESS(status) ? 0 : rp_error_from_windows((unsigned long)status);
    }
    rp_path_free(&found);
    return rc;
}

/* The directory of a file, and its name in it. */
static int open_parent(const char *path, HANDLE *directory, wchar_t **file)
{
    size_t length = strlen(path), before = length;
    char *parent;
    int rc;

    while (before > 0 && path[before - 1] != '/' && path[before - 1] != '\\')
        before--;
    if (before == length)
        return -ENOENT;
    parent = rp_malloc(before + 2);
    if (!parent)
        return -ENOMEM;
    memcpy(parent, before > 0 ? path : ".", before > 0 ? before : 1);
    parent[before > 0 ? before : 1] = '\0';
    rc = open_directory(parent, directory);
    rp_free(parent);
    RP_TRY(rc);
    rc = rp_widen(path + before, file);
    if (rc < 0)
        CloseHandle(*directory);
    return rc;
}

static int begin(changes *self)
{
    self->event = CreateEventW(NULL, FALSE, FALSE, NULL);
    if (!self->event ||
        !RegisterWaitForSingleObject(&self->wait, self->event, on_end, self, INFINITE, WT_EXECUTEINWAITTHREAD))
        return rp_error_last();
    return read_changes(self);
}

int rp_watch_source_open(rp_watch_source *source, const char *path, bool recursive)
{
    changes *self = rp_calloc(sizeof *self);
    int rc;

    if (!self)
        return -ENOMEM;
    self->source = source;
    self->recursive = recursive;
    rc = open_directory(path, &self->directory);
    if (rc == -ENOTDIR || rc == -ENOENT)
        rc = recursive ? -ENOTSUP : open_parent(path, &self->directory, &self->file);
    if (rc < 0) {
        rp_free(self);
        return rc;
    }
    rc = begin(self);
    if (rc < 0) {
        free_changes(self);
        return rc;
    }
    source->directory = self;
    return 0;
}

/* Waits until neither the kernel nor the pool's thread uses the memory any more: both need but a moment. */
void rp_watch_source_close(rp_watch_source *source)
{
    changes *self = source->directory;
    DWORD bytes;

    if (self->reading) {
        CancelIoEx(self->directory, &self->read);
        GetOverlappedResult(self->directory, &self->read, &bytes, TRUE);
    }
    UnregisterWaitEx(self->wait, INVALID_HANDLE_VALUE);
    self->wait = NULL;
    rp_handle_cancel(&self->ended);
    free_changes(self);
}
