/*
 * scenarios_files.c - a program that faults strike: files by all that file.h has, in a directory of its own.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "harness/platform.h"
#include "harness/scenarios.h"
#include "ringport.h"

static char folder[80], path[128], other[128];

/* What a fault has left: an operation may have been done although it is told to have failed. */
static void remove_folder(void)
{
    char name[400];
    const struct dirent *entry;
    DIR *dir = opendir(folder);

    while (dir && (entry = readdir(dir))) {
        snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && unlink(name) < 0)
            rmdir(name);
    }
    if (dir)
        closedir(dir);
    rmdir(folder);
}

static int write_file(rp_co *co, rp_fd fd)
{
    char bytes[100], found[100];
    struct iovec pieces[] = {{found, 50}, {found + 50, 50}};

    memset(bytes, 'f', sizeof bytes);
    for (size_t done = 0; done < sizeof bytes;) {
        ssize_t n = rp_write(co, fd, bytes + done, sizeof bytes - done, (int64_t)done);

        RP_TRY(scenario_note((int)n));
        done += (size_t)n;
    }
    ssize_t n = rp_readv(co, fd, pieces, 2, 0);
    RP_TRY(scenario_note((int)n));
    CHECK_INT(n, ==, sizeof bytes);
    CHECK(memcmp(bytes, found, sizeof bytes) == 0);
    RP_TRY(scenario_note(rp_ftruncate(co, fd, 70)));
    return scenario_note(rp_fsync(co, fd, true));
}

static int make_file(rp_co *co)
{
    rp_fd fd;

    snprintf(path, sizeof path, "%s/XXXXXX", folder);
    fd = rp_mkstemp(co, path);
    RP_TRY(scenario_note((int)fd));
    int rc = write_file(co, fd), closed = scenario_note(rp_close(co, fd));
    return rc < 0 ? rc : closed;
}

static int give_names(rp_co *co)
{
    struct statx status;

    snprintf(other, sizeof other, "%s/other", folder);
    RP_TRY(scenario_note(rp_rename(co, path, other)));
    RP_TRY(scenario_note(rp_link(co, other, path)));
    RP_TRY(scenario_note(rp_truncate(co, path, 60)));
    RP_TRY(scenario_note(rp_statx(co, AT_FDCWD, other, 0, STATX_BASIC_STATS, &status)));
    CHECK_INT(status.stx_size, ==, 60);
    return scenario_note(rp_unlink(co, path));
}

static int list(rp_co *co, int expected)
{
    rp_dirent entries[2];
    rp_dir *dir;
    int n, total = 0;

    RP_TRY(scenario_note(rp_opendir(co, &dir, folder)));
    while ((n = scenario_note(rp_readdir(co, dir, entries, 2))) > 0)
        total += n;
    int closed = scenario_note(rp_closedir(co, dir));
    CHECK(n < 0 || total == expected);
    return n < 0 ? n : closed;
}

static int use_files(rp_co *co, void *arg)
{
    (void)arg;
    RP_TRY(scenario_note(rp_mkdir(co, folder, 0700)));
    RP_TRY(make_file(co));
    RP_TRY(give_names(co));
    int64_t copied = rp_copy_file(co, other, path, NULL);
    RP_TRY(scenario_note((int)copied));
    CHECK_INT(copied, ==, 60);
    RP_TRY(list(co, 2));
    RP_TRY(scenario_note(rp_unlink(co, path)));
    RP_TRY(scenario_note(rp_unlink(co, other)));
    return scenario_note(rp_rmdir(co, folder));
}

int scenario_files(void)
{
    snprintf(folder, sizeof folder, TEST_TMP "/ringport-scenario-%llx", (long long)rp_monotonic());
    int rc = scenario_run(use_files);
    remove_folder();
    return rc;
}
