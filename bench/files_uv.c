/*
 * files_uv.c - files_uv PATH DEPTH SECONDS: random reads of 4 KiB by uv_fs_read, so many on their way at a time. The
 * peer of files.c.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <uv.h>

#include "bench.h"

enum { SIZE = 4096, MAX_DEPTH = 256 };

typedef struct reader {
    uv_fs_t request;
    uv_buf_t piece;
    char buffer[SIZE];
} reader;

static reader readers[MAX_DEPTH];
static uint64_t reads, pages, seed = BENCH_SEED;
static int64_t end;
static int file;

static void on_read(uv_fs_t *request);

static void read_next(reader *r)
{
    int64_t offset = (int64_t)(bench_random(&seed) % pages) * SIZE;

    bench_check(uv_fs_read(uv_default_loop(), &r->request, file, &r->piece, 1, offset, on_read), "uv_fs_read");
}

static void on_read(uv_fs_t *request)
{
    reader *r = (reader *)request;

    if (request->result != SIZE)
        bench_die("a read of %d bytes gave %zd", SIZE, request->result);
    uv_fs_req_cleanup(request);
    if (++reads % 16 > 0 || bench_now() < end)
        read_next(r);
}

int main(int argc, char **argv)
{
    int depth = argc == 4 ? atoi(argv[2]) : 0;
    struct stat status;
    int64_t begun;

    if (depth < 1 || depth > MAX_DEPTH)
        bench_die("usage: files_uv PATH DEPTH SECONDS");
    file = (int)bench_check(open(argv[1], O_RDONLY | O_CLOEXEC), argv[1]);
    bench_check(fstat(file, &status), "fstat");
    pages = (uint64_t)status.st_size / SIZE;
    begun = bench_now();
    end = begun + (int64_t)(strtod(argv[3], NULL) * (double)BENCH_SECOND);
    for (int i = 0; i < depth; i++) {
        readers[i].piece = uv_buf_init(readers[i].buffer, SIZE);
        read_next(&readers[i]);
    }
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    printf("{\"reads_per_s\": %.0f}\n", (double)reads * (double)BENCH_SECOND / (double)(bench_now() - begun));
    return 0;
}
