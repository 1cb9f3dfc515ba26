/*
 * open_files.c - descriptors that a call keeps open across suspensions: the loop's end closes them.
 */
#include "co/open_files.h"

#include "base/memory.h"
#include "proactor/kernel.h"
#include "ringport/io.h"

static void reap(rp_resource *resource)
{
    rp_open_files *files = rp_container_of(resource, rp_open_files, resource);

    for (int i = 0; i < 2; i++)
        if (files->fds[i] >= 0)
            rp_kernel_close_file(files->loop->kernel, files->fds[i]);
    rp_resource_remove(resource);
    rp_free(files);
}

static const rp_resource_type resource_type = {.at = {[RP_REAP] = reap}};

void rp_open_files_init(rp_open_files *files, rp_loop *loop)
{
    files->loop = loop;
    files->fds[0] = files->fds[1] = -1;
    rp_resource_add(loop, &files->resource, &resource_type);
}

void rp_open_files_fini(rp_open_files *files)
{
    rp_resource_remove(&files->resource);
}

int rp_open_files_close(rp_co *co, rp_open_files *files, int index)
{
    rp_fd fd = files->fds[index];

    files->fds[index] = -1;
    return fd >= 0 ? rp_close(co, fd) : 0;
}
