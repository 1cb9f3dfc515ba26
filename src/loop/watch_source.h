/*
 * watch_source.h - where a watch's events come from: what the system tells of one directory.
 */
#ifndef RP_LOOP_WATCH_SOURCE_H
#define RP_LOOP_WATCH_SOURCE_H

#include "loop/loop.h"
#include "ringport/watch.h"

/* Embed it, and fill in what is not the source's own. */
typedef struct rp_watch_source rp_watch_source;
struct rp_watch_source {
    rp_loop *loop;
    /* Called for each event; calls nobody back, and does not close the source. The name need not end with '\0'. */
    void (*tell)(rp_watch_source *source, uint32_t what, const char *name, size_t length, uint32_t cookie);
    char *file;      /* the source's: the one name that is watched; NULL: all */
    void *directory; /* likewise; NULL: it has ended */
    rp_node link;    /* likewise, in a list of the directory's */
};

/* 0 or an error. */
int rp_watch_source_open(rp_watch_source *source, const char *path, bool recursive);

/* Nothing is told from now on. If opening has failed it is not due. */
void rp_watch_source_close(rp_watch_source *source);

#endif
