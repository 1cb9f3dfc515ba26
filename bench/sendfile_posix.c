/*
 * sendfile_posix.c - the same as sendfile.c by a loop around sendfile(2), which blocks.
 */
#include <sys/sendfile.h>

#include "sendfile.h"

int main(int argc, char **argv)
{
    static sendfile_bench b;

    sendfile_begin(&b, argc, argv);
    while (sendfile_goes_on(&b))
        for (off_t at = 0; at < b.size;)
            b.sent += bench_check(sendfile(b.socket, b.file, &at, (size_t)(b.size - at)), "sendfile");
    close(b.socket);
    sendfile_end(&b, -1);
    return 0;
}
