/*
 * folder.h - a directory of a test's own, and files in it, by the calls of file.h and io.h.
 */
#ifndef RP_TESTS_FOLDER_H
#define RP_TESTS_FOLDER_H

#include <stdio.h>

#include "harness/platform.h"
#include "harness/tasks.h"

static UNUSED char folder[80];

/* A path in it, one of the last four that were asked for. */
static inline UNUSED const char *in_folder(const char *name)
{
    static char paths[4][400];
    static int next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static inline UNUSED void make_folder(rp_co *co)
{
    snprintf(folder, sizeof folder, TEST_TMP "/ringport-folder-%llx", (long long)rp_monotonic());
    CHECK_INT(rp_mkdir(co, folder, 0700), ==, 0);
}

/* The test has removed what it has made there. */
static inline UNUSED void remove_folder(rp_co *co)
{
    CHECK_INT(rp_rmdir(co, folder), ==, 0);
}

static inline UNUSED void make_file(rp_co *co, const char *name, const void *bytes, size_t length, int64_t offset)
{
    rp_fd fd = rp_open(co, in_folder(name), O_WRONLY | O_CREAT, 0600);

    CHECK_INT(fd, >=, 0);
    CHECK_INT(rp_write(co, fd, bytes, length, offset), ==, length);
    CHECK_INT(rp_close(co, fd), ==, 0);
}

static inline UNUSED void check_file(rp_co *co, const char *name, const char *bytes)
{
    rp_fd fd = rp_open(co, in_folder(name), O_RDONLY, 0);
    char found[64] = "";

    CHECK_INT(fd, >=, 0);
    CHECK_INT(rp_read(co, fd, found, sizeof found - 1, 0), ==, strlen(bytes));
    CHECK_STR(found, bytes);
    CHECK_INT(rp_close(co, fd), ==, 0);
}

static inline UNUSED bool file_is_there(rp_co *co, const char *name)
{
    struct statx status;
    int rc = rp_statx(co, AT_FDCWD, in_folder(name), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &status);

    CHECK(rc == 0 || rc == -ENOENT);
    return rc == 0;
}

static inline UNUSED void remove_file(rp_co *co, const char *name)
{
    CHECK_INT(rp_unlink(co, in_folder(name)), ==, 0);
}

#endif
