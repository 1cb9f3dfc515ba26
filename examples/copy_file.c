/* copy_file.c - copy_file FROM TO: copies a file, and says how far it is. Ctrl-C ends it, and leaves no half of one. */
#include <errno.h>
#include <ringport.h>
#include <stdio.h>

static void show(void *arg, int64_t copied, int64_t size)
{
    (void)arg;
    printf("\r%3d %% of %lld bytes", size > 0 ? (int)((double)copied / (double)size * 100) : 100, (long long)size);
    fflush(stdout);
}

static int copy(rp_co *co, void *arg)
{
    char **paths = arg;
    rp_copy_options options = {.progress = show};
    int64_t copied = rp_copy_file(co, paths[0], paths[1], &options);

    if (copied < 0)
        return (int)copied;
    printf("\ncopied %lld bytes\n", (long long)copied);
    return 0;
}

int main(int argc, char **argv)
{
    int rc = argc == 3 ? rp_run(copy, argv + 1) : -EINVAL;

    if (rc < 0)
        fprintf(stderr, "\ncopy_file FROM TO: %s\n", rp_strerror(rc));
    return rc < 0;
}
