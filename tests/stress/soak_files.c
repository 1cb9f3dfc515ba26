/*
 * soak_files.c - the soak's files: every byte is checked, a copy is whole or not there, and nothing is left.
 */
#define _GNU_SOURCE /* statx() */
#include "stress/soak_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

enum {
    COPY_MOST = 12 << 20, /* of a file that is copied: several pieces */
    COPY_OFTEN = 8,       /* one file in so many is copied */
};

#define MUST(condition)                                                                                           \
    do {                                                                                                          \
        if (!(condition)) {                                                                                       \
            librarian->wrong = #condition;                                                                        \
            return -EIO;                                                                                          \
        }                                                                                                         \
    } while (0)

static uint32_t below(soak_librarian *librarian, uint32_t limit)
{
    librarian->state = librarian->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((librarian->state >> 33) % limit);
}

static const char *path_of(const soak_librarian *librarian, const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", librarian->directory, name);
    return path;
}

/* At one's own place, or at the file's; in one piece, or in two. */
static int write_and_read(rp_co *co, soak_librarian *librarian, rp_fd fd)
{
    uint32_t size = 1 + below(librarian, librarian->size - 1), half = below(librarian, size);
    int64_t offset = below(librarian, 2) ? (int64_t)below(librarian, 1u << 30) * 8 : 0;
    struct iovec pieces[] = {{(void *)(uintptr_t)librarian->bytes, half},
                             {(void *)(uintptr_t)(librarian->bytes + half), size - half}};
    ssize_t n = rp_writev(co, fd, pieces, 2, offset == 0 ? -1 : offset);
    char found[4096];

    RP_TRY((int)n);
    MUST(n > 0);
    for (int64_t done = 0, more; done < n; done += more) {
        more = rp_read(co, fd, found, sizeof found, offset + done);
        RP_TRY((int)more);
        MUST(more > 0 && memcmp(found, librarian->bytes + done, (size_t)more) == 0);
    }
    return below(librarian, 16) == 0 ? rp_fsync(co, fd, true) : 0;
}

/* May come to an end amid a piece. */
static int copy(rp_co *co, soak_librarian *librarian, const char *from)
{
    int64_t size = below(librarian, COPY_MOST), copied;
    char to[128];
    struct statx status;
    rp_timeout limit;
    int rc;

    RP_TRY(rp_truncate(co, from, size));
    rp_timeout_begin(co, &limit, below(librarian, 2) ? RP_USEC(below(librarian, 5000)) : RP_SEC(100));
    copied = rp_copy_file(co, from, path_of(librarian, "copy", to), NULL);
    rc = rp_timeout_end(co, &limit, copied < 0 ? (int)copied : 0);
    MUST(rc == 0 || rc == -ETIMEDOUT);
    librarian->cancelled += copied < 0;
    rc = rp_statx(co, AT_FDCWD, to, 0, STATX_SIZE, &status);
    MUST(copied < 0 ? rc == -ENOENT : rc == 0 && copied == size && (int64_t)status.stx_size == size);
    return copied < 0 ? 0 : rp_unlink(co, to);
}

static int list(rp_co *co, const soak_librarian *librarian, int *count)
{
    rp_dirent entries[4];
    rp_dir *dir;
    int n;

    *count = 0;
    RP_TRY(rp_opendir(co, &dir, librarian->directory));
    while ((n = rp_readdir(co, dir, entries, 4)) > 0)
        for (int i = 0; i < n; i++)
            *count += entries[i].type == S_IFREG;
    int rc = rp_closedir(co, dir);
    return n < 0 ? n : rc;
}

static int have_file(rp_co *co, soak_librarian *librarian)
{
    char path[128], renamed[128];
    int count;

    path_of(librarian, "XXXXXX", path);
    rp_fd fd = rp_mkstemp(co, path);
    RP_TRY((int)fd);
    int rc = write_and_read(co, librarian, fd), closed = rp_close(co, fd);
    RP_TRY(rc);
    RP_TRY(closed);
    RP_TRY(rp_rename(co, path, path_of(librarian, "renamed", renamed)));
    if (below(librarian, COPY_OFTEN) == 0)
        RP_TRY(copy(co, librarian, renamed));
    RP_TRY(list(co, librarian, &count));
    MUST(count == 1);
    librarian->files++;
    return rp_unlink(co, renamed);
}

int soak_files(rp_co *co, soak_librarian *librarian, int64_t until)
{
    snprintf(librarian->directory, sizeof librarian->directory, "/tmp/ringport-soak-%llx",
             (unsigned long long)librarian->state);
    RP_TRY(rp_mkdir(co, librarian->directory, 0700));
    while (rp_loop_time(rp_co_loop(co)) < until) {
        RP_TRY(have_file(co, librarian));
        RP_TRY(rp_sleep(co, RP_MSEC(below(librarian, 20))));
    }
    return rp_rmdir(co, librarian->directory);
}
