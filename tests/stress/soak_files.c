/*
 * soak_files.c - the soak's files: every byte is checked, a copy is whole or not there, of a file that is sent as much
 * comes as is told, a watch tells of each new name, and nothing is left.
 */
#define _GNU_SOURCE /* statx() */
#include "stress/soak_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    COPY_MOST = 12 << 20, /* of a file that is copied: several pieces */
    COPY_OFTEN = 8,       /* one file in so many is copied */
    SEND_MOST = 2 << 20,  /* of one that is sent: several blocks */
    SEND_OFTEN = 4,
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

/* What the other end gets of a file that is sent. */
typedef struct receiver {
    rp_fd fd;
    int64_t got;
} receiver;

static int receive(rp_co *co, void *arg)
{
    receiver *self = arg;
    char found[4096];
    ssize_t n;

    while ((n = rp_sock_recv(co, self->fd, found, sizeof found)) > 0)
        self->got += n;
    return (int)n;
}

/* By a stream, or on a plain socket. May come to an end amid a block. */
static int send_through(rp_co *co, soak_librarian *librarian, int fd, rp_fd file, int64_t *sent)
{
    int64_t limit = below(librarian, 2) ? RP_USEC(below(librarian, 3000)) : RP_SEC(100);
    rp_stream *stream = NULL;
    rp_timeout timeout;

    if (below(librarian, 2) == 0) {
        int rc = rp_stream_from_fd(co, &stream, fd);

        if (rc < 0) {
            close(fd);
            return rc;
        }
    }
    rp_timeout_begin(co, &timeout, limit);
    int64_t n = stream ? rp_stream_sendfile(co, stream, file, 0, -1, 0, sent)
                       : rp_sock_sendfile(co, fd, file, 0, -1, sent);
    int rc = rp_timeout_end(co, &timeout, n < 0 ? (int)n : 0);
    if (stream)
        rp_stream_free(stream);
    else
        close(fd);
    return rc;
}

static int send_file(rp_co *co, soak_librarian *librarian, const char *path)
{
    receiver other = {.got = 0};
    int64_t size = below(librarian, SEND_MOST), sent = 0;
    rp_task *task;
    int fds[2];

    RP_TRY(rp_truncate(co, path, size));
    rp_fd file = rp_open(co, path, O_RDONLY, 0);
    RP_TRY((int)file);
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
    other.fd = fds[1];
    int rc = rp_create_task(&task, receive, &other);
    MUST(rc == 0);
    rc = send_through(co, librarian, fds[0], file, &sent);
    int received = rp_join(co, task);
    close(fds[1]);
    int closed = rp_close(co, file);
    MUST(rc == 0 || rc == -ETIMEDOUT);
    MUST(received == 0 && other.got == sent && sent <= size && (rc < 0 || sent == size));
    librarian->sent++;
    librarian->cancelled_sendings += rc < 0;
    return closed;
}

/* The new name is among what is told, if nothing was dropped. */
static int look_for(rp_co *co, soak_librarian *librarian, rp_watch *watch, const char *name)
{
    rp_watch_event event;

    do {
        RP_TRY(rp_watch_next(co, watch, &event));
        MUST(event.what != RP_WATCH_ENDED);
    } while (event.what != RP_WATCH_OVERFLOW &&
             !(event.what == RP_WATCH_MOVED_TO && strcmp(event.name, name) == 0));
    return 0;
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

static int have_file(rp_co *co, soak_librarian *librarian, rp_watch *watch)
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
    RP_TRY(look_for(co, librarian, watch, "renamed"));
    if (below(librarian, SEND_OFTEN) == 0)
        RP_TRY(send_file(co, librarian, renamed));
    if (below(librarian, COPY_OFTEN) == 0)
        RP_TRY(copy(co, librarian, renamed));
    RP_TRY(list(co, librarian, &count));
    MUST(count == 1);
    librarian->files++;
    return rp_unlink(co, renamed);
}

int soak_files(rp_co *co, soak_librarian *librarian, int64_t until)
{
    int rc = 0;

    snprintf(librarian->directory, sizeof librarian->directory, "/tmp/ringport-soak-%llx",
             (unsigned long long)librarian->state);
    RP_TRY(rp_mkdir(co, librarian->directory, 0700));
    while (rc == 0 && rp_loop_time(rp_co_loop(co)) < until) {
        rp_watch *watch;

        RP_TRY(rp_watch_new(rp_co_loop(co), librarian->directory, false, NULL, NULL, &watch));
        for (int i = (int)below(librarian, 20); i >= 0 && rc == 0 && rp_loop_time(rp_co_loop(co)) < until; i--) {
            rc = have_file(co, librarian, watch);
            if (rc == 0)
                rc = rp_sleep(co, RP_MSEC(below(librarian, 20)));
        }
        rp_watch_free(watch);
    }
    RP_TRY(rc);
    return rp_rmdir(co, librarian->directory);
}
