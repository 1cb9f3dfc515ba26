/*
 * directory.c - listing a directory: batches that a thread reads, from which entries are taken one by one.
 */
#include "ringport/file.h"

#include <errno.h>
#include <fcntl.h>

#include "base/memory.h"
#include "co/open_files.h"
#include "proactor/directory.h"

struct rp_dir {
    rp_open_files files;
    bool reading; /* a thread has the batch */
    rp_directory_batch batch;
};

int rp_opendir(rp_co *co, rp_dir **dir, const char *path)
{
    RP_TRY(rp_co_check(co));
    rp_dir *d = rp_calloc(sizeof *d);

    if (!d)
        return -ENOMEM;
    rp_open_files_init(&d->files, rp_co_loop(co));
    d->files.fds[0] = rp_open(co, path, O_RDONLY | O_DIRECTORY, 0);
    if (d->files.fds[0] < 0) {
        int rc = (int)d->files.fds[0];

        rp_open_files_fini(&d->files);
        rp_free(d);
        return rc;
    }
    *dir = d;
    return 0;
}

static int read_batch(void *arg)
{
    rp_dir *dir = arg;

    return rp_directory_read(dir->files.fds[0], &dir->batch);
}

static int take(rp_dir *dir, rp_dirent *entries, int capacity)
{
    rp_directory_entry entry;
    int n = 0;

    for (; n < capacity && rp_directory_next(&dir->batch, &entry); n++)
        entries[n] = (rp_dirent){.name = entry.name, .inode = entry.inode, .type = entry.type};
    return n;
}

int rp_readdir(rp_co *co, rp_dir *dir, rp_dirent *entries, int capacity)
{
    int n, rc = 1;

    if (capacity <= 0)
        return -EINVAL;
    RP_TRY(rp_co_check(co));
    if (dir->reading)
        return -EBUSY;
    while ((n = take(dir, entries, capacity)) == 0 && rc > 0) {
        dir->reading = true;
        rc = rp_to_thread(co, read_batch, dir);
        dir->reading = false;
    }
    return rc < 0 ? rc : n;
}

int rp_closedir(rp_co *co, rp_dir *dir)
{
    if (!dir)
        return 0;
    RP_TRY(rp_co_here(co));
    if (dir->reading)
        return -EBUSY;
    int rc = rp_open_files_close(co, &dir->files, 0);
    rp_open_files_fini(&dir->files);
    rp_free(dir);
    return rc;
}
