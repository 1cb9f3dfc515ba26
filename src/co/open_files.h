/*
 * open_files.h - descriptors that a call keeps open across suspensions: the loop's end closes them.
 */
#ifndef RP_CO_OPEN_FILES_H
#define RP_CO_OPEN_FILES_H

#include "co/task.h"
#include "loop/resource.h"

/* The first member of what rp_malloc() has made, which the loop's end frees. */
typedef struct rp_open_files {
    rp_resource resource;
    rp_loop *loop;
    rp_fd fds[2]; /* -1: none */
} rp_open_files;

/* They are the loop's from here on, until rp_open_files_fini(). */
void rp_open_files_init(rp_open_files *files, rp_loop *loop);

/* Takes them out of the loop. The descriptors have been closed. */
void rp_open_files_fini(rp_open_files *files);

/* rp_close() of one, unless it is closed. It counts as closed whatever comes of it. */
int rp_open_files_close(rp_co *co, rp_open_files *files, int index);

#endif
