/*
 * files.c - files PATH DEPTH SECONDS: random reads of 4 KiB, so many tasks at a time, each with one on its way. The
 * peer is files_uv.c.
 */
#include <fcntl.h>
#include <ringport.h>
#include <sys/stat.h>

#include "bench.h"

enum { SIZE = 4096 };

static uint64_t reads, pages, seed = BENCH_SEED;
static int64_t end;
static int file, depth;

static int read_on(rp_co *co, void *arg)
{
    char buffer[SIZE];

    (void)arg;
    do {
        int64_t offset = (int64_t)(bench_random(&seed) % pages) * SIZE;
        ssize_t n = rp_read(co, file, buffer, SIZE, offset);

        if (n != SIZE)
            bench_die("a read of %d bytes gave %lld", SIZE, (long long)n);
    } while (++reads % 16 > 0 || bench_now() < end);
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
        rc = rp_group_create_task(&group, NULL, read_on, NULL);
    RP_TRY(rp_group_end(co, &group, rc));
    printf("{\"reads_per_s\": %.0f}\n", (double)reads * (double)BENCH_SECOND / (double)(bench_now() - begun));
    return 0;
}

int main(int argc, char **argv)
{
    struct stat status;

    depth = argc == 4 ? atoi(argv[2]) : 0;
    if (depth < 1)
        bench_die("usage: files PATH DEPTH SECONDS");
    file = (int)bench_check(open(argv[1], O_RDONLY | O_CLOEXEC), argv[1]);
    bench_check(fstat(file, &status), "fstat");
    pages = (uint64_t)status.st_size / SIZE;
    bench_check(rp_run(measure, argv[3]), "rp_run");
    return 0;
}
