/* files.h - files for tests: nameless ones, whose bytes can be told apart (wire_byte()); and directories. */
#ifndef RP_TESTS_FILES_H
#define RP_TESTS_FILES_H

#include <stdio.h>
#include <stdlib.h>

#include "harness/wire.h"

#ifdef _WIN32
#define make_directory(path) _mkdir(path)
#define remove_directory(path) _rmdir(path)
#else
#include <sys/stat.h>
#include <unistd.h>
#define make_directory(path) mkdir(path, 0700)
#define remove_directory(path) rmdir(path)
#endif

/* Adds so many bytes, as if the file held a stream's first bytes. */
static inline UNUSED void extend_file(int fd, size_t from, size_t length)
{
    char *bytes = malloc(length + 1);

    wire_fill(bytes, length, from);
    CHECK_INT(pwrite(fd, bytes, length, (int64_t)from), ==, (int64_t)length);
    free(bytes);
}

/* The file is gone from its directory; on Windows it goes when it is closed. */
static inline UNUSED int file_of(size_t length)
{
    char path[64];
    int fd;

    snprintf(path, sizeof path, TEST_TMP "/ringport-test-XXXXXX");
    fd = mkstemp(path);
    CHECK_INT(fd, >=, 0);
    CHECK_INT(unlink(path), ==, 0);
    extend_file(fd, 0, length);
    return fd;
}

#endif
