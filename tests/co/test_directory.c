/* test_directory.c - listing directories: names with their types, batch by batch. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#ifndef _WIN32
#include <dirent.h>
#endif

#include "base/thread.h"
#include "harness/folder.h"
#include "harness/wrap.h"

enum { MANY = 3000 };

#ifndef _WIN32
static bool hide_types;

/* As file systems do that do not keep the types in their directories. */
WRAP(ssize_t, getdents64, int fd, void *buffer, size_t size)
{
    ssize_t n = __real_getdents64(fd, buffer, size);

    for (ssize_t place = 0; hide_types && place < n;) {
        struct dirent64 *entry = (struct dirent64 *)((char *)buffer + place);

        entry->d_type = DT_UNKNOWN;
        place += entry->d_reclen;
    }
    return n;
}
#endif

static rp_dir *open_folder(rp_co *co)
{
    rp_dir *dir;

    CHECK_INT(rp_opendir(co, &dir, folder), ==, 0);
    return dir;
}

/* The type of an entry of that name: 0 if there is none. Each is listed once. */
static uint32_t type_of(rp_co *co, const char *name)
{
    rp_dir *dir = open_folder(co);
    rp_dirent entries[3];
    uint32_t type = 0;
    int n;

    while ((n = rp_readdir(co, dir, entries, 3)) > 0)
        for (int i = 0; i < n; i++) {
            CHECK(strcmp(entries[i].name, ".") != 0 && strcmp(entries[i].name, "..") != 0);
            if (strcmp(entries[i].name, name) != 0)
                continue;
            CHECK_INT(type, ==, 0);
            type = entries[i].type;
        }
    CHECK_INT(n, ==, 0);
    CHECK_INT(rp_readdir(co, dir, entries, 3), ==, 0); /* the end stays the end */
    CHECK_INT(rp_closedir(co, dir), ==, 0);
    return type;
}

CO_TEST(names_and_types)
{
    make_folder(co);
    CHECK_INT(type_of(co, "x"), ==, 0); /* an empty one */
    make_file(co, "file", "f", 1, 0);
    make_file(co, "gr\xc3\xbc\xc3\x9f", "f", 1, 0);
    CHECK_INT(rp_mkdir(co, in_folder("sub"), 0700), ==, 0);
    CHECK_INT(type_of(co, "file"), ==, S_IFREG);
    CHECK_INT(type_of(co, "gr\xc3\xbc\xc3\x9f"), ==, S_IFREG);
    CHECK_INT(type_of(co, "sub"), ==, S_IFDIR);
#ifndef _WIN32
    CHECK_INT(mkfifo(in_folder("fifo"), 0600), ==, 0);
    CHECK_INT(rp_symlink(co, "sub", in_folder("link")), ==, 0);
    for (int i = 0; i < 2; i++, hide_types = true) {
        CHECK_INT(type_of(co, "fifo"), ==, S_IFIFO);
        CHECK_INT(type_of(co, "link"), ==, S_IFLNK);
        CHECK_INT(type_of(co, "file"), ==, S_IFREG);
    }
    remove_file(co, "fifo");
    remove_file(co, "link");
#endif
    remove_file(co, "file");
    remove_file(co, "gr\xc3\xbc\xc3\x9f");
    CHECK_INT(rp_rmdir(co, in_folder("sub")), ==, 0);
    remove_folder(co);
}

CO_TEST(what_is_no_directory)
{
    rp_dirent entry;
    rp_dir *dir;

    make_folder(co);
    make_file(co, "file", "f", 1, 0);
    CHECK_INT(rp_opendir(co, &dir, in_folder("file")), ==, -ENOTDIR);
    CHECK_INT(rp_opendir(co, &dir, in_folder("missing")), ==, -ENOENT);
    dir = open_folder(co);
    CHECK_INT(rp_readdir(co, dir, &entry, 0), ==, -EINVAL);
    CHECK_INT(rp_readdir(co, dir, &entry, -1), ==, -EINVAL);
    CHECK_INT(rp_readdir(co, dir, &entry, 1), ==, 1);
    CHECK_STR(entry.name, "file");
    CHECK_INT(rp_closedir(NULL, dir), ==, RP_ENOTASK); /* it is open still */
    CHECK_INT(rp_closedir(co, dir), ==, 0);
    CHECK_INT(rp_closedir(co, NULL), ==, 0);
    remove_file(co, "file");
    remove_folder(co);
}

static void make_many(rp_co *co)
{
    char name[32];

    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "a-name-of-some-length-%d", i);
        make_file(co, name, "", 0, 0);
    }
}

static int number_of(const rp_dirent *entry)
{
    int number = atoi(entry->name + strlen("a-name-of-some-length-"));

    CHECK(number >= 0 && number < MANY);
    return number;
}

/* Several batches: each is there once. It takes no more memory than a small one. */
CO_TEST(many)
{
    static bool seen[MANY];
    rp_dirent entries[100];
    uint64_t most = 0, before;
    int n, total = 0;

    make_folder(co);
    make_many(co);
    before = test_live_allocations();
    rp_dir *dir = open_folder(co);
    while ((n = rp_readdir(co, dir, entries, 100)) > 0) {
        for (int i = 0; i < n; i++, total++) {
            CHECK(!seen[number_of(&entries[i])]);
            seen[number_of(&entries[i])] = true;
            CHECK_INT(entries[i].type, ==, S_IFREG);
        }
        most = test_live_allocations() > most ? test_live_allocations() : most;
    }
    CHECK_INT(n, ==, 0);
    CHECK_INT(total, ==, MANY);
    CHECK_INT(most - before, <, 8); /* the executor, and what is listed */
    CHECK_INT(rp_closedir(co, dir), ==, 0);

    /* What is listed may be removed at once. */
    dir = open_folder(co);
    while ((n = rp_readdir(co, dir, entries, 100)) > 0)
        for (int i = 0; i < n; i++)
            remove_file(co, entries[i].name);
    CHECK_INT(n, ==, 0);
    CHECK_INT(rp_closedir(co, dir), ==, 0);
    remove_folder(co); /* which is empty by that */
}

CO_TEST(a_directory_that_goes_away)
{
    rp_dirent entry;

    make_folder(co);
    rp_dir *dir = open_folder(co);
    CHECK_INT(rp_rmdir(co, folder), ==, 0);
    CHECK_INT(rp_readdir(co, dir, &entry, 1), ==, 0);
    CHECK_INT(rp_closedir(co, dir), ==, 0);
}

/* ---- an executor that is busy ---- */

typedef struct gate {
    rp_mutex mutex;
    rp_cond changed;
    bool entered, open;
} gate;

static int waits_at_gate(void *arg)
{
    gate *g = arg;

    rp_mutex_lock(&g->mutex);
    g->entered = true;
    rp_cond_broadcast(&g->changed);
    while (!g->open)
        rp_cond_wait(&g->changed, &g->mutex, RP_NEVER);
    rp_mutex_unlock(&g->mutex);
    return 0;
}

static int lists_one(rp_co *co, void *arg)
{
    rp_dirent entry;

    return rp_readdir(co, arg, &entry, 1);
}

CO_TEST(cancelled_before_a_thread_reads)
{
    gate g = {0};
    rp_executor *executor;
    rp_future *job;
    rp_dirent entry;

    make_folder(co);
    make_file(co, "file", "f", 1, 0);
    rp_dir *dir = open_folder(co);
    CHECK_INT(rp_mutex_init(&g.mutex), ==, 0);
    CHECK_INT(rp_cond_init(&g.changed), ==, 0);
    CHECK_INT(rp_executor_new(1, &executor), ==, 0);
    CHECK_INT(rp_set_default_executor(rp_co_loop(co), executor), ==, 0);
    CHECK_INT(rp_run_in_executor(rp_co_loop(co), NULL, waits_at_gate, &g, &job), ==, 0);
    rp_task *task = spawn(lists_one, dir);
    settle(co);
    CHECK(!rp_future_done(task));
    CHECK_INT(rp_readdir(co, dir, &entry, 1), ==, -EBUSY); /* it is the other's for now */
    CHECK_INT(rp_closedir(co, dir), ==, -EBUSY);
    cancel_and_join(co, task);
    rp_mutex_lock(&g.mutex);
    g.open = true;
    rp_cond_broadcast(&g.changed);
    rp_mutex_unlock(&g.mutex);
    CHECK_INT(rp_await(co, job), ==, 0);
    rp_future_unref(job);
    CHECK_INT(rp_readdir(co, dir, &entry, 1), ==, 1); /* nothing was lost */
    CHECK_INT(rp_readdir(co, dir, &entry, 1), ==, 0);
    CHECK_INT(rp_closedir(co, dir), ==, 0);
    rp_cond_fini(&g.changed);
    rp_mutex_fini(&g.mutex);
    remove_file(co, "file");
    remove_folder(co);
}

/* ---- ends ---- */

static int leaves_it_open(rp_co *co, void *arg)
{
    rp_dirent entry;
    rp_dir *dir;

    (void)arg;
    RP_TRY(rp_opendir(co, &dir, TEST_TMP));
    return rp_readdir(co, dir, &entry, 1);
}

/* The harness finds neither memory nor a descriptor that is left. */
TEST(left_open)
{
    CHECK_INT(rp_run(leaves_it_open, NULL), >=, 0);
}

static int closes_although_cancelled(rp_co *co, void *arg)
{
    rp_task_cancel(rp_co_task(co));
    CHECK_INT(rp_closedir(co, arg), ==, 0);
    return rp_sleep(co, 0);
}

CO_TEST(closed_by_a_cancelled_task)
{
    make_folder(co);
    rp_dir *dir = open_folder(co);
    CHECK_INT(rp_join(co, spawn(closes_although_cancelled, dir)), ==, RP_EFUTCANCELED);
    remove_folder(co);
}

CO_TEST(without_memory)
{
    rp_dirent entry;
    rp_dir *dir;

    make_folder(co);
    test_fail_allocation(1);
    CHECK_INT(rp_opendir(co, &dir, folder), ==, -ENOMEM);
    dir = open_folder(co);
    test_fail_allocation(1);
    CHECK_INT(rp_readdir(co, dir, &entry, 1), ==, -ENOMEM);
    CHECK_INT(rp_readdir(co, dir, &entry, 1), ==, 0);
    CHECK_INT(rp_closedir(co, dir), ==, 0);
    remove_folder(co);
}
