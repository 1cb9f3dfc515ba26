/*
 * lose_midway.c - to be preloaded: one message in twenty is sent in part, and there is no memory for the rest of it. So
 * its connection is lost.
 */
#include <stdlib.h>
#include <sys/socket.h>

#include "ringport.h"

static bool refusing; /* the next piece of memory */

static bool refuses(void)
{
    bool refused = refusing;

    refusing = false;
    return refused;
}

static void *get(size_t size, void *data)
{
    return refuses() ? NULL : malloc(size);
}

static void *get_more(void *memory, size_t size, void *data)
{
    return refuses() ? NULL : realloc(memory, size);
}

static void give_back(void *memory, void *data)
{
    free(memory);
}

__attribute__((constructor)) static void begin(void)
{
    rp_set_allocator(&(rp_allocator){.malloc = get, .realloc = get_more, .free = give_back});
}

ssize_t send(int fd, const void *bytes, size_t length, int flags)
{
    static int count;

    if (length > 1 && ++count % 20 == 0) {
        refusing = true;
        length = 1;
    }
    return sendto(fd, bytes, length, flags, NULL, 0);
}
