/*
 * file.h - files by their names, for coroutines: renaming, removing, links, directories, copies, temporary files.
 *
 * Reading, writing, opening, closing, flushing and asking for a status are in io.h, since they are not for files alone.
 * What is said there of cancellation, threads and errors holds here, too: each function suspends in place of blocking,
 * and returns what the system call of its name returns, or a negative error.
 * Paths are UTF-8 on Windows. Relative ones begin at the process's current directory; for others there are the
 * operations (op.h) and rp_op_await().
 */
#ifndef RINGPORT_FILE_H
#define RINGPORT_FILE_H

#include "io.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- names ---- */

/*
 * Renames a file or directory, and suspends meanwhile.
 * A file that has the new name already is replaced; so is an empty directory by a directory.
 * Errors: those of rename().
 * Mirrors rename().
 */
RP_API int rp_rename(rp_co *co, const char *from, const char *to);

/*
 * Removes a name of a file, and suspends meanwhile.
 * Errors: those of unlink(); -EISDIR for a directory.
 * Mirrors unlink().
 */
RP_API int rp_unlink(rp_co *co, const char *path);

/*
 * Makes a directory, and suspends meanwhile.
 * The process's umask is taken from `mode`, which Windows ignores.
 * Errors: those of mkdir().
 * Mirrors mkdir().
 */
RP_API int rp_mkdir(rp_co *co, const char *path, uint32_t mode);

/*
 * Removes an empty directory, and suspends meanwhile.
 * Errors: those of rmdir().
 * Mirrors rmdir().
 */
RP_API int rp_rmdir(rp_co *co, const char *path);

/*
 * Makes a symbolic link at `path`, and suspends meanwhile.
 * What it leads to, `target`, need not be there.
 * Errors:
 *   -EPERM   also on Windows, which wants a privilege or its developer mode for it
 *   those of symlink()
 * Mirrors symlink().
 */
RP_API int rp_symlink(rp_co *co, const char *target, const char *path);

/*
 * Gives a file a second name, and suspends meanwhile.
 * Errors: those of link().
 * Mirrors link().
 */
RP_API int rp_link(rp_co *co, const char *from, const char *to);

/*
 * Asks what a symbolic link leads to, and suspends meanwhile.
 * Returns how many bytes of it are in `target`, without a 0 at the end.
 * If that is `size`, the rest may have been cut off.
 * Errors:
 *   -EINVAL   it is no link, or `size` is 0
 *   those of readlink()
 * Mirrors readlink().
 */
RP_API ssize_t rp_readlink(rp_co *co, const char *path, char *target, size_t size);

/* ---- lengths ---- */

/*
 * Makes a file so long, by its name or by its descriptor, and suspends meanwhile.
 * What is added reads as zeros.
 * Errors: those of truncate() and ftruncate().
 * Mirrors truncate(), ftruncate().
 */
RP_API int rp_truncate(rp_co *co, const char *path, int64_t length);
RP_API int rp_ftruncate(rp_co *co, rp_fd fd, int64_t length);

/* ---- temporary files ---- */

/*
 * Makes a file with a name that nothing has, opens it for reading and writing, and suspends meanwhile.
 * The last six characters of `path` must be "XXXXXX", and become others. After an error they are as they were.
 * Nobody but the owner may read it (mode 0600), and it is close-on-exec.
 * Returns its descriptor, which is the caller's; so is the file, which nobody else removes.
 * Errors:
 *   -EINVAL   `path` does not end in "XXXXXX"
 *   -EEXIST   no free name was found
 *   those of open()
 * Mirrors mkstemp().
 */
RP_API rp_fd rp_mkstemp(rp_co *co, char *path);

/* ---- listing ---- */

/* A directory that is being listed. */
typedef struct rp_dir rp_dir;

/* What stands in a directory. */
typedef struct rp_dirent {
    const char *name; /* in UTF-8 on Windows; until the next call with this directory */
    uint64_t inode;
    uint32_t type; /* S_IFREG, S_IFDIR, S_IFLNK and so on (sys/stat.h); 0: it went away, or nobody may know */
} rp_dirent;

/*
 * Opens a directory to be listed, and suspends meanwhile.
 * *dir is the caller's, for rp_closedir(). What is left when the loop is closed is closed and freed by that.
 * Errors:
 *   -ENOMEM   there is no memory for it
 *   those of open(); -ENOTDIR if it is none
 * Mirrors opendir().
 */
RP_API int rp_opendir(rp_co *co, rp_dir **dir, const char *path);

/*
 * Takes entries of a directory, `capacity` at most, and suspends if more have to be read from it.
 * Returns how many there are in `entries`: at least one, or 0 at the end.
 * "." and ".." are left out. The others are in no order.
 * However large the directory is, it takes no more memory: some 32 KiB are read at a time, on the default executor.
 * What is made or removed meanwhile may be listed or not. All else is listed once.
 * So a listing may remove what it finds.
 * Links and junctions are links (S_IFLNK), and not what they lead to.
 * Errors:
 *   -EINVAL   `capacity` is not positive
 *   -EBUSY    another task is listing it
 *   those of rp_to_thread() and readdir()
 * Mirrors readdir().
 */
RP_API int rp_readdir(rp_co *co, rp_dir *dir, rp_dirent *entries, int capacity);

/*
 * Closes and frees a directory, even if the task is cancelled, and suspends meanwhile.
 * NULL is ignored.
 * Errors: those of rp_close(); it is freed all the same.
 * Mirrors closedir().
 */
RP_API int rp_closedir(rp_co *co, rp_dir *dir);

/* ---- copying ---- */

/*
 * Is told, in the task that copies, how far a copy has come, in bytes: after each piece, of 4 MiB at most.
 * `size` is what the file had when it began; a file that grows, or one of /proc, has more in the end.
 * In C++ it may throw: the copy ends as by an error.
 */
typedef void rp_copy_progress(void *arg, int64_t copied, int64_t size);

/* How to copy. Zeroed: as `cp` does. */
typedef struct rp_copy_options {
    bool exclusive;    /* fail with -EEXIST if there is such a file already */
    bool keep_partial; /* leave what is there after an error or a cancellation */
    rp_copy_progress *progress;
    void *arg; /* of `progress` */
} rp_copy_options;

/*
 * Copies a file, and suspends meanwhile.
 * A file that is there already is overwritten, and keeps its permissions.
 * A new one has those of the other, less the umask.
 * Returns how many bytes the copy has. Holes stay holes on Linux.
 * `options` may be NULL.
 * A cancellation is heeded between two pieces.
 * After that, or an error, the copy is removed, also if it stands in place of another file; with keep_partial it stays.
 * On Linux the kernel copies (copy_file_range()), on the default executor, where the file system lets it.
 * Errors:
 *   -EINVAL   the two are one file, or one is a pipe, a device or the like; nothing is changed
 *   -EISDIR   one is a directory
 *   -EEXIST   there is such a file, and `exclusive` is set
 *   -ENOMEM   there is no memory for a buffer
 *   those of open(), read(), write(), close() and rp_to_thread()
 * Mirrors shutil.copyfile() in rp_to_thread().
 */
RP_API int64_t rp_copy_file(rp_co *co, const char *from, const char *to, const rp_copy_options *options);

#ifdef __cplusplus
}
#endif

#endif
