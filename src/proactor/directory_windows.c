/*
 * directory_windows.c - what stands in a directory, by NtQueryDirectoryFile(), with the names in UTF-8.
 *
 * A batch is read into one half of the room, and its entries are written into the other: names may become longer.
 */
#define WIN32_NO_STATUS /* ntstatus.h has them all, windows.h some */
#include "proactor/path_windows.h"
#undef WIN32_NO_STATUS
#include <ntstatus.h>

#include "proactor/directory.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error_windows.h"
#include "proactor/link_windows.h"

/* mingw's headers declare it for drivers only. */
NTSTATUS NTAPI NtQueryDirectoryFile(HANDLE file, HANDLE event, PIO_APC_ROUTINE routine, PVOID context,
                                    PIO_STATUS_BLOCK result, PVOID information, ULONG length,
                                    FILE_INFORMATION_CLASS kind, BOOLEAN single, PUNICODE_STRING mask,
                                    BOOLEAN restart);

enum {
    NATIVE_ROOM = RP_DIRECTORY_ROOM / 4, /* what is read at a time: each unit of it becomes 3 bytes at most */
    WRITTEN_AT = NATIVE_ROOM,
};

/* As it stands in the batch; the name and its 0 follow. */
typedef struct record {
    uint64_t inode;
    uint32_t type;
    uint32_t length; /* of all of it, a multiple of 8 */
    char name[];
} record;

static uint32_t type_of(const FILE_ID_BOTH_DIR_INFORMATION *found)
{
    if (found->FileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) {
        if (rp_is_link(found->EaSize)) /* where it is a reparse point, that is which */
            return S_IFLNK;
        if (found->EaSize == (ULONG)IO_REPARSE_TAG_AF_UNIX)
            return S_IFSOCK;
    }
    return found->FileAttributes & FILE_ATTRIBUTE_DIRECTORY ? S_IFDIR : S_IFREG;
}

static void write_entry(rp_directory_batch *batch, const FILE_ID_BOTH_DIR_INFORMATION *found)
{
    record *r = (record *)((char *)batch->room + batch->used);
    int units = (int)(found->FileNameLength / sizeof *found->FileName);
    size_t room = RP_DIRECTORY_ROOM - batch->used - sizeof *r - sizeof(uint64_t);
    int length = WideCharToMultiByte(CP_UTF8, 0, found->FileName, units, r->name, (int)room, NULL, NULL);

    r->inode = (uint64_t)found->FileId.QuadPart;
    r->type = type_of(found);
    r->name[length] = '\0';
    r->length = (uint32_t)((sizeof *r + (size_t)length + sizeof(uint64_t)) & ~(sizeof(uint64_t) - 1));
    batch->used += r->length;
}

int rp_directory_read(rp_fd fd, rp_directory_batch *batch)
{
    IO_STATUS_BLOCK result = {0};
    const char *native = (const char *)batch->room;
    const FILE_ID_BOTH_DIR_INFORMATION *found;

    NTSTATUS status = NtQueryDirectoryFile((HANDLE)fd, NULL, NULL, NULL, &result, batch->room, NATIVE_ROOM,
                                           FileIdBothDirectoryInformation, FALSE, NULL, FALSE);
    if (status == STATUS_PENDING) { /* the handle is an overlapped one, and nothing else is done with it */
        WaitForSingleObject((HANDLE)fd, INFINITE);
        status = result.Status;
    }
    batch->place = batch->used = WRITTEN_AT;
    if (status == STATUS_NO_MORE_FILES || status == STATUS_NO_SUCH_FILE || status == STATUS_DELETE_PENDING)
        return 0;
    if (!NT_SUCCESS(status))
        return rp_error_from_windows(RtlNtStatusToDosError(status));
    for (size_t place = 0;; place += found->NextEntryOffset) {
        found = (const FILE_ID_BOTH_DIR_INFORMATION *)(native + place);
        write_entry(batch, found);
        if (found->NextEntryOffset == 0)
            return 1;
    }
}

bool rp_directory_next(rp_directory_batch *batch, rp_directory_entry *entry)
{
    while (batch->place < batch->used) {
        const record *r = (const record *)((const char *)batch->room + batch->place);

        batch->place += r->length;
        if (strcmp(r->name, ".") == 0 || strcmp(r->name, "..") == 0)
            continue;
        *entry = (rp_directory_entry){.name = r->name, .inode = r->inode, .type = r->type};
        return true;
    }
    return false;
}
