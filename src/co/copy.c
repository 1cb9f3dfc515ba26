/*
 * copy.c - copying a file, piece by piece: by the kernel, on a thread; or else by reading and writing.
 *
 * However a copy is left, by its end, an error, a cancellation or an exception out of the callback: what is open is
 * closed, and what is not whole is removed, unless it is to stay.
 */
#include "ringport/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/leave.h"
#include "base/memory.h"
#include "co/await.h"
#include "co/open_files.h"
#include "proactor/file_copy.h"

#ifndef O_NONBLOCK
#define O_NONBLOCK 0 /* of Windows, where opening waits for nobody */
#endif

enum {
    PIECE = 4 << 20,
    BUFFER = 256 << 10, /* of reading and writing */
    FROM = 0,
    TO = 1,
};

typedef struct copy {
    rp_open_files files;
    rp_co *co;
    const char *path; /* of the copy */
    const rp_copy_options *options;
    int64_t size; /* of the file when it began */
    int64_t copied;
    bool plain;   /* it is copied by reading and writing */
    bool removes; /* the copy is not whole */
    char buffer[BUFFER];
} copy;

/* ---- beginning and end ---- */

static int status_of(copy *c, int index, struct statx *status)
{
    RP_TRY(rp_statx(c->co, c->files.fds[index], "", AT_EMPTY_PATH, STATX_BASIC_STATS, status));
    if ((status->stx_mode & S_IFMT) == S_IFDIR)
        return -EISDIR;
    return (status->stx_mode & S_IFMT) == S_IFREG ? 0 : -EINVAL;
}

static bool are_one(const struct statx *a, const struct statx *b)
{
#ifndef _WIN32
    return a->stx_ino == b->stx_ino && a->stx_dev_major == b->stx_dev_major &&
           a->stx_dev_minor == b->stx_dev_minor;
#else /* which does not say on which volume they are, where such numbers come again */
    return a->stx_ino == b->stx_ino && a->stx_size == b->stx_size && a->stx_btime.tv_sec == b->stx_btime.tv_sec &&
           a->stx_btime.tv_nsec == b->stx_btime.tv_nsec;
#endif
}

/* What was there before is left alone until it is known to be another file. */
static int open_copy(copy *c, uint32_t mode)
{
    int flags = O_WRONLY | O_CREAT | O_NONBLOCK;

    c->files.fds[TO] = rp_open(c->co, c->path, flags | O_EXCL, mode);
    c->removes = c->files.fds[TO] >= 0 && !c->options->keep_partial;
    if (c->files.fds[TO] == -EEXIST && !c->options->exclusive)
        c->files.fds[TO] = rp_open(c->co, c->path, flags, mode);
    return c->files.fds[TO] < 0 ? (int)c->files.fds[TO] : 0;
}

static int begin(copy *c, const char *from)
{
    struct statx source, target;

    c->files.fds[FROM] = rp_open(c->co, from, O_RDONLY | O_NONBLOCK, 0);
    if (c->files.fds[FROM] < 0)
        return (int)c->files.fds[FROM];
    RP_TRY(status_of(c, FROM, &source));
    RP_TRY(open_copy(c, source.stx_mode & 0777));
    RP_TRY(status_of(c, TO, &target));
    if (are_one(&source, &target))
        return -EINVAL;
    if (target.stx_size > 0)
        RP_TRY(rp_ftruncate(c->co, c->files.fds[TO], 0));
    c->removes = !c->options->keep_partial;
    c->size = (int64_t)source.stx_size;
    c->plain = c->size == 0; /* files of /proc have no size, and bytes all the same */
    return 0;
}

/* However it is left. No cancellation keeps the copy from being closed and removed. */
static void leave(copy **place)
{
    copy *c = *place;
    rp_op op;

    rp_open_files_close(c->co, &c->files, FROM);
    rp_open_files_close(c->co, &c->files, TO);
    if (c->removes) {
        rp_op_unlinkat(&op, AT_FDCWD, c->path, 0, NULL, NULL);
        rp_await_op_uncancelled(c->co, &op);
    }
    rp_open_files_fini(&c->files);
    rp_free(c);
}

/* ---- pieces ---- */

static int copy_range(void *arg)
{
    copy *c = arg;

    return (int)rp_file_copy_piece(c->files.fds[FROM], c->files.fds[TO], &c->copied, PIECE);
}

/* Reads and writes a piece. Returns how many bytes: 0 at the end. */
static int64_t copy_plainly(copy *c)
{
    ssize_t n = rp_read(c->co, c->files.fds[FROM], c->buffer, BUFFER, c->copied);

    for (ssize_t done = 0, written; done < n; done += written) {
        written = rp_write(c->co, c->files.fds[TO], c->buffer + done, (size_t)(n - done), c->copied + done);
        if (written <= 0)
            return written < 0 ? written : -EIO;
    }
    return n;
}

static int64_t copy_piece(copy *c)
{
    int64_t n;

    if (!c->plain) {
        n = rp_to_thread(c->co, copy_range, c);
        if (n != 0 && n != -ENOTSUP)
            return n;
        c->plain = true; /* if it is the end, reading says so */
    }
    return copy_plainly(c);
}

static int copy_all(copy *c)
{
    int64_t n;

    while ((n = copy_piece(c)) > 0) {
        c->copied += n;
        if (c->options->progress)
            c->options->progress(c->options->arg, c->copied, c->size);
    }
    if (n != -ENXIO)
        return (int)n;
    c->copied = c->size > c->copied ? c->size : c->copied; /* it ends with a hole */
    return rp_ftruncate(c->co, c->files.fds[TO], c->copied);
}

int64_t rp_copy_file(rp_co *co, const char *from, const char *to, const rp_copy_options *options)
{
    static const rp_copy_options none = {0};

    RP_TRY(rp_co_check(co));
    copy *made = rp_calloc(sizeof *made);
    if (!made)
        return -ENOMEM;
    rp_open_files_init(&made->files, rp_co_loop(co));
    copy *c RP_ON_LEAVE(leave) = made;
    c->co = co;
    c->path = to;
    c->options = options ? options : &none;
    RP_TRY(begin(c, from));
    RP_TRY(copy_all(c));
    RP_TRY(rp_open_files_close(co, &c->files, TO));
    c->removes = false;
    RP_TRY(rp_open_files_close(co, &c->files, FROM));
    return c->copied;
}
