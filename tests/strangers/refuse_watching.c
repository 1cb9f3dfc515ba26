/*
 * refuse_watching.c - to be preloaded: no descriptor can be watched, as when there is no memory for it.
 */
#include <errno.h>

#include "ringport.h"

int rp_add_reader(rp_loop *loop, rp_fd fd, rp_reader_callback *callback, void *arg)
{
    return -ENOMEM;
}

int rp_add_writer(rp_loop *loop, rp_fd fd, rp_reader_callback *callback, void *arg)
{
    return -ENOMEM;
}
