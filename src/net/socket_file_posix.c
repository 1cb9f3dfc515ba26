/*
 * socket_file_posix.c - the files of Unix sockets on POSIX.
 */
#include "net/socket_file.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

int rp_socket_file_remove_stale(const char *path)
{
    struct stat status;

    if (lstat(path, &status) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(status.st_mode))
        return 0;
    return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int rp_socket_file_identify(const char *path, rp_socket_file *file)
{
    struct stat status;

    if (lstat(path, &status) < 0)
        return -errno;
    *file = (rp_socket_file){.device = status.st_dev, .inode = status.st_ino};
    return 0;
}

void rp_socket_file_remove(const char *path, const rp_socket_file *file)
{
    rp_socket_file now = {0};

    if (file->inode && rp_socket_file_identify(path, &now) == 0 && now.device == file->device &&
        now.inode == file->inode)
        unlink(path);
}
