/*
 * files_uv.c - files_uv WHAT PATH DEPTH SECONDS: the same as files.c by uv_fs_read and the like, so many at a time.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "bench.h"

enum { SIZE = 4096, MAX_DEPTH = 256 };

typedef struct job {
    uv_fs_t request;
    uv_buf_t piece;
    int step; /* of what takes two */
    char from[SIZE], to[SIZE];
} job;

static job jobs[MAX_DEPTH];
static uint64_t done, pages, seed = BENCH_SEED;
static int64_t end;
static int file;
static const char *path;

static void on_done(uv_fs_t *request);

static int64_t offset(void)
{
    return (int64_t)(bench_random(&seed) % pages) * SIZE;
}

static int begin_read(job *j)
{
    return uv_fs_read(uv_default_loop(), &j->request, file, &j->piece, 1, offset(), on_done);
}

static int begin_write(job *j)
{
    return uv_fs_write(uv_default_loop(), &j->request, file, &j->piece, 1, offset(), on_done);
}

static int begin_stat(job *j)
{
    return uv_fs_stat(uv_default_loop(), &j->request, path, on_done);
}

static int begin_open(job *j)
{
    int fd = (int)j->request.result;

    return j->step == 0 ? uv_fs_open(uv_default_loop(), &j->request, path, O_RDONLY | O_CLOEXEC, 0, on_done)
                        : uv_fs_close(uv_default_loop(), &j->request, fd, on_done);
}

static int begin_rename(job *j)
{
    return j->step == 0 ? uv_fs_rename(uv_default_loop(), &j->request, j->from, j->to, on_done)
                        : uv_fs_rename(uv_default_loop(), &j->request, j->to, j->from, on_done);
}

static const struct {
    const char *name;
    int (*begin)(job *j);
    int steps;
    unsigned counts; /* of all steps */
} acts[] = {{"read", begin_read, 1, 1},
            {"write", begin_write, 1, 1},
            {"stat", begin_stat, 1, 1},
            {"open", begin_open, 2, 1},
            {"rename", begin_rename, 2, 2}};

static size_t chosen;

static void on_done(uv_fs_t *request)
{
    job *j = (job *)request;
    bool last = j->step + 1 == acts[chosen].steps;

    if (request->result < 0)
        bench_die("%s gave %zd", acts[chosen].name, request->result);
    uv_fs_req_cleanup(request);
    j->step = last ? 0 : j->step + 1;
    done += last ? acts[chosen].counts : 0;
    if (!last || done % 16 > 1 || bench_now() < end)
        bench_check(acts[chosen].begin(j), acts[chosen].name);
}

int main(int argc, char **argv)
{
    int depth = argc == 5 ? atoi(argv[3]) : 0;
    struct stat status;
    int64_t begun;

    while (argc == 5 && chosen < sizeof acts / sizeof acts[0] && strcmp(acts[chosen].name, argv[1]) != 0)
        chosen++;
    if (depth < 1 || depth > MAX_DEPTH || chosen == sizeof acts / sizeof acts[0])
        bench_die("usage: files_uv read|write|stat|open|rename PATH DEPTH SECONDS");
    path = argv[2];
    file = (int)bench_check(open(path, O_RDWR | O_CLOEXEC), path);
    bench_check(fstat(file, &status), "fstat");
    pages = (uint64_t)status.st_size / SIZE;
    begun = bench_now();
    end = begun + (int64_t)(strtod(argv[4], NULL) * (double)BENCH_SECOND);
    for (int i = 0; i < depth; i++) {
        snprintf(jobs[i].from, SIZE, "%s-uv-%d", path, i);
        snprintf(jobs[i].to, SIZE, "%s-uv-%d-renamed", path, i);
        if (acts[chosen].begin == begin_rename)
            bench_check(close((int)bench_check(open(jobs[i].from, O_WRONLY | O_CREAT | O_CLOEXEC, 0600), "open")),
                        "close");
        jobs[i].piece = uv_buf_init(jobs[i].from, SIZE);
        bench_check(acts[chosen].begin(&jobs[i]), acts[chosen].name);
    }
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    for (int i = 0; i < depth && acts[chosen].begin == begin_rename; i++)
        bench_check(unlink(jobs[i].from), "unlink");
    printf("{\"files_per_s\": %.0f}\n", (double)done * (double)BENCH_SECOND / (double)(bench_now() - begun));
    return 0;
}
