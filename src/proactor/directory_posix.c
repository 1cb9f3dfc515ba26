/*
 * directory_posix.c - what stands in a directory, by getdents64(), which hands out as much as there is room for.
 */
#include "proactor/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct dirent64 *entry_at(rp_directory_batch *batch, size_t place)
{
    return (struct dirent64 *)((char *)batch->room + place);
}

/* Some file systems do not tell what an entry is, but where it is asked for. */
static void find_types(rp_fd fd, rp_directory_batch *batch)
{
    struct stat status;

    for (size_t place = 0; place < batch->used; place += entry_at(batch, place)->d_reclen) {
        struct dirent64 *entry = entry_at(batch, place);

        if (entry->d_type == DT_UNKNOWN && fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0)
            entry->d_type = IFTODT(status.st_mode);
    }
}

int rp_directory_read(rp_fd fd, rp_directory_batch *batch)
{
    ssize_t n;

    batch->place = batch->used = 0;
    do
        n = getdents64(fd, batch->room, sizeof batch->room);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == ENOENT ? 0 : -errno; /* the directory itself was removed */
    batch->used = (size_t)n;
    find_types(fd, batch);
    return n > 0;
}

bool rp_directory_next(rp_directory_batch *batch, rp_directory_entry *entry)
{
    while (batch->place < batch->used) {
        const struct dirent64 *found = entry_at(batch, batch->place);

        batch->place += found->d_reclen;
        if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0)
            continue;
        *entry = (rp_directory_entry){
            .name = found->d_name, .inode = found->d_ino, .type = (uint32_t)DTTOIF(found->d_type)};
        return true;
    }
    return false;
}
