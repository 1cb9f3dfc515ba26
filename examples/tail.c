/* tail.c - prints what is added to a file, as `tail -F` does: also when it is cut short, or another one replaces it. */
#define _GNU_SOURCE /* statx */
#include <ringport.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/* Prints what is behind `at`; if the file has become shorter, all of it. */
static int print_new(rp_co *co, rp_fd file, int64_t *at)
{
    struct statx status;
    char text[4096];
    ssize_t n;
    RP_TRY(rp_statx(co, file, "", AT_EMPTY_PATH, STATX_SIZE, &status));
    if ((int64_t)status.stx_size < *at)
        *at = 0;
    while ((n = rp_read(co, file, text, sizeof text, *at)) > 0) {
        fwrite(text, 1, (size_t)n, stdout);
        *at += n;
    }
    fflush(stdout);
    return (int)n;
}

/* Prints one file, until another one is there. */
static int follow(rp_co *co, const char *path, rp_watch *watch)
{
    rp_fd file = rp_open(co, path, O_RDONLY, 0); /* there may be none now */
    rp_watch_event event;
    int64_t at = 0;
    int rc;
    do {
        rc = file < 0 ? 0 : print_new(co, file, &at);
        if (rc == 0)
            rc = rp_watch_next(co, watch, &event);
    } while (rc == 0 && !(event.what & (RP_WATCH_CREATED | RP_WATCH_MOVED_TO | RP_WATCH_OVERFLOW)));
    if (file >= 0) {
        rc = rc < 0 ? rc : print_new(co, file, &at); /* its last words */
        rp_close(co, file);
    }
    return rc;
}

static int tail(rp_co *co, void *path)
{
    rp_watch *watch;
    int rc;
    RP_TRY(rp_watch_new(rp_co_loop(co), path, false, NULL, NULL, &watch));
    while ((rc = follow(co, path, watch)) == 0)
        continue;
    rp_watch_free(watch);
    return rc;
}

int main(int argc, char **argv)
{
    int rc = argc == 2 ? rp_run(tail, argv[1]) : -EINVAL;
    return rc < 0 && rc != -EINTR && /* Ctrl-C */ fprintf(stderr, "tail FILE: %s\n", rp_strerror(rc)) > 0;
}
