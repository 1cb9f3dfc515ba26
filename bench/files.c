/*
 * files.c - files WHAT PATH DEPTH SECONDS: what is done with a file that the kernel has in memory, so many tasks at a
 * time: read or write (4 KiB at random), stat, open (and close), rename. The peer is files_uv.c.
 */
#include <fcntl.h>
#include <ringport.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

enum { SIZE = 4096 };

static uint64_t done, pages, seed = BENCH_SEED;
static int64_t end;
static int file, depth;
static const char *path;

static int64_t read_once(rp_co *co, char *buffer, int number)
{
    (void)number;
    return rp_read(co, file, buffer, SIZE, (int64_t)(bench_random(&seed) % pages) * SIZE) - SIZE;
}

static int64_t write_once(rp_co *co, char *buffer, int number)
{
    (void)number;
    return rp_write(co, file, buffer, SIZE, (int64_t)(bench_random(&seed) % pages) * SIZE) - SIZE;
}

static int64_t stat_once(rp_co *co, char *buffer, int number)
{
    struct statx status;

    (void)buffer;
    (void)number;
    return rp_statx(co, AT_FDCWD, path, 0, STATX_BASIC_STATS, &status);
}

static int64_t open_once(rp_co *co, char *buffer, int number)
{
    rp_fd fd = rp_open(co, path, O_RDONLY, 0);

    (void)buffer;
    (void)number;
    return fd < 0 ? fd : rp_close(co, fd);
}

/* There and back again, by turns: each task has a file of its own. */
static int64_t rename_once(rp_co *co, char *names, int number)
{
    char *from = names, *to = names + SIZE / 2;

    if (!from[0]) {
        snprintf(from, SIZE / 2, "%s-%d", path, number);
        snprintf(to, SIZE / 2, "%s-%d-renamed", path, number);
        bench_check(close((int)bench_check(open(from, O_WRONLY | O_CREAT | O_CLOEXEC, 0600), from)), "close");
    }
    int rc = rp_rename(co, from, to);
    return rc < 0 ? rc : rp_rename(co, to, from);
}

typedef int64_t act(rp_co *co, char *buffer, int number);

static const struct {
    const char *name;
    act *act;
    unsigned counts; /* of one call */
} acts[] = {{"read", read_once, 1},
            {"write", write_once, 1},
            {"stat", stat_once, 1},
            {"open", open_once, 1},
            {"rename", rename_once, 2}};

static size_t chosen;
static int tasks;

static int go_on(rp_co *co, void *arg)
{
    char buffer[SIZE] = "";
    int number = tasks++;

    (void)arg;
    do {
        int64_t rc = acts[chosen].act(co, buffer, number);

        if (rc != 0)
            bench_die("%s gave %lld", acts[chosen].name, (long long)rc);
        done += acts[chosen].counts;
    } while (done % 16 > 1 || bench_now() < end);
    if (acts[chosen].act == rename_once)
        bench_check(unlink(buffer), "unlink");
    return 0;
}

static int measure(rp_co *co, void *arg)
{
    const char *seconds = arg;
    int64_t begun = bench_now();
    rp_group group;
    int rc = 0;

    end = begun + (int64_t)(strtod(seconds, NULL) * (double)BENCH_SECOND);
    rp_group_begin(co, &group);
    for (int i = 0; i < depth && rc == 0; i++)
        rc = rp_group_create_task(&group, NULL, go_on, NULL);
    RP_TRY(rp_group_end(co, &group, rc));
    printf("{\"files_per_s\": %.0f}\n", (double)done * (double)BENCH_SECOND / (double)(bench_now() - begun));
    return 0;
}

int main(int argc, char **argv)
{
    struct stat status;

    depth = argc == 5 ? atoi(argv[3]) : 0;
    while (argc == 5 && chosen < sizeof acts / sizeof acts[0] && strcmp(acts[chosen].name, argv[1]) != 0)
        chosen++;
    if (depth < 1 || chosen == sizeof acts / sizeof acts[0])
        bench_die("usage: files read|write|stat|open|rename PATH DEPTH SECONDS");
    path = argv[2];
    file = (int)bench_check(open(path, O_RDWR | O_CLOEXEC), path);
    bench_check(fstat(file, &status), "fstat");
    pages = (uint64_t)status.st_size / SIZE;
    bench_check(rp_run(measure, argv[4]), "rp_run");
    return 0;
}
