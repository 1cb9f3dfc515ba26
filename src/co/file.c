/*
 * file.c - files by their names: each call is an operation on the coroutine's stack, and its rp_op_await().
 */
#include "ringport/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/random.h"

int rp_rename(rp_co *co, const char *from, const char *to)
{
    rp_op op;

    rp_op_renameat(&op, AT_FDCWD, from, AT_FDCWD, to, 0, NULL, NULL);
    return (int)rp_op_await(co, &op);
}

int rp_unlink(rp_co *co, const char *path)
{
    rp_op op;

    rp_op_unlinkat(&op, AT_FDCWD, path, 0, NULL, NULL);
    return (int)rp_op_await(co, &op);
}

int rp_mkdir(rp_co *co, const char *path, uint32_t mode)
{
    rp_op op;

    rp_op_mkdirat(&op, AT_FDCWD, path, mode, NULL, NULL);
    return (int)rp_op_await(co, &op);
}

int rp_rmdir(rp_co *co, const char *path)
{
    rp_op op;

    rp_op_unlinkat(&op, AT_FDCWD, path, AT_REMOVEDIR, NULL, NULL);
    return (int)rp_op_await(co, &op);
}

int rp_symlink(rp_co *co, const char *target, const char *path)
{
    rp_op op;

    rp_op_symlinkat(&op, target, AT_FDCWD, path, NULL, NULL);
    return (int)rp_op_await(co, &op);
}

int rp_link(rp_co *co, const char *from, const char *to)
{
    rp_op op;

    rp_op_linkat(&op, AT_FDCWD, from, AT_FDCWD, to, 0, NULL, NULL);
    return (int)rp_op_await(co, &op);
}

ssize_t rp_readlink(rp_co *co, const char *path, char *target, size_t size)
{
    rp_op op;

    rp_op_readlinkat(&op, AT_FDCWD, path, target, size, NULL, NULL);
    return (ssize_t)rp_op_await(co, &op);
}

int rp_truncate(rp_co *co, const char *path, int64_t length)
{
    rp_op op;

    rp_op_truncate(&op, path, length, NULL, NULL);
    return (int)rp_op_await(co, &op);
}

int rp_ftruncate(rp_co *co, rp_fd fd, int64_t length)
{
    rp_op op;

    rp_op_ftruncate(&op, fd, length, NULL, NULL);
    return (int)rp_op_await(co, &op);
}

/* ---- temporary files ---- */

enum {
    VARIED = 6, /* characters of a temporary file's name */
    ATTEMPTS = 1000,
};

static void vary(char *place)
{
    static const char characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    uint64_t random = rp_random();

    for (int i = 0; i < VARIED; i++, random /= sizeof characters - 1)
        place[i] = characters[random % (sizeof characters - 1)];
}

rp_fd rp_mkstemp(rp_co *co, char *path)
{
    size_t length = strlen(path);
    char *place = path + length - VARIED;
    rp_fd fd = -EEXIST;

    if (length < VARIED || memcmp(place, "XXXXXX", VARIED) != 0)
        return -EINVAL;
    for (int i = 0; i < ATTEMPTS && fd == -EEXIST; i++) {
        vary(place);
        fd = rp_open(co, path, O_RDWR | O_CREAT | O_EXCL, 0600);
    }
    if (fd < 0)
        memset(place, 'X', VARIED);
    return fd;
}
