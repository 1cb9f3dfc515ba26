/*
 * watch.h - watching files and directories for changes: inotify on Linux, ReadDirectoryChangesW() on Windows.
 *
 * A watch tells of what happens to the names in one directory, or to one name in it.
 * It calls back, or keeps its events until rp_watch_next() (io.h) takes them.
 * Events tell that something has changed, not all that has: look at the file.
 *   changes of one file in a row may be told as one
 *   what a program does in one go may be several events: one that writes a file creates and modifies it
 *   when too many come at a time some are dropped, which is told: RP_WATCH_OVERFLOW
 * Changes that other machines make on a network's file system are not told, on Linux.
 *
 * Threads. All functions are for the loop's thread.
 */
#ifndef RINGPORT_WATCH_H
#define RINGPORT_WATCH_H

#include "loop.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Watches one file or directory; opaque. */
typedef struct rp_watch rp_watch;

/* What has happened to a name: one of these. */
enum {
    RP_WATCH_CREATED = 1 << 0,
    RP_WATCH_MODIFIED = 1 << 1, /* the contents, or times, permissions and the like */
    RP_WATCH_DELETED = 1 << 2,  /* with the name "": the watched directory itself */
    RP_WATCH_MOVED_FROM =
        1 << 3, /* something has this name no more; "": the watched directory, which is watched on */
    RP_WATCH_MOVED_TO = 1 << 4, /* something has got this name, in place of what had it before */
    RP_WATCH_OVERFLOW = 1 << 5, /* events were dropped: look at everything anew. The watch goes on */
    RP_WATCH_ENDED = 1 << 6,    /* the last event: the directory is gone, or can be watched no longer. If it is an
                                   error that has ended it, the loop's exception handler is told which */
};

/* An event. */
typedef struct rp_watch_event {
    uint32_t what;    /* RP_WATCH_* */
    uint32_t cookie;  /* the same in both halves of a move that are told; else 0 */
    const char *name; /* in the directory, or of the watched file; below it with '/', if a tree is watched. Lent */
} rp_watch_event;

/*
 * Called for each event, one a turn. The event is lent for the call.
 * It may free the watch, or any other one.
 */
typedef void rp_watch_callback(rp_watch *watch, const rp_watch_event *event, void *arg);

/*
 * Begins to watch a directory: the names in it; or a file: that name.
 * A file is watched by its directory. So the watch goes on when the file is deleted, and when another one is put in its
 * place, as editors do; and it may begin before there is such a file.
 * Of a path that is a link, the file is watched that it leads to when the watch begins.
 * A path may be watched several times. On Windows the path is UTF-8.
 * `recursive` has all directories below watched as well. Linux cannot do that without gaps: -ENOTSUP there, and for
 * files.
 * With a callback of NULL, events are kept for rp_watch_next(), up to 4096 of them.
 * *watch is the caller's: rp_watch_free() it. Closing the loop frees it, too.
 * Errors:
 *   -ENOENT    there is no such directory
 *   -ENOSPC    the user watches too much already (fs.inotify.max_user_watches)
 *   -EMFILE    too many loops of the user's watch something (fs.inotify.max_user_instances)
 *   -ENOTSUP   see above
 *   -ENOMEM    there is no memory
 *   RP_ECLOSED, RP_EFORK, RP_ETHREAD: as everywhere
 *   those of inotify_add_watch(), or of opening the directory
 */
RP_API int rp_watch_new(rp_loop *loop, const char *path, bool recursive, rp_watch_callback *callback, void *arg,
                        rp_watch **watch);

/*
 * Ends watching. What has not been told is dropped. A task that waits in rp_watch_next() gets -EBADF.
 * NULL is ignored.
 */
RP_API void rp_watch_free(rp_watch *watch);

#ifdef __cplusplus
}
#endif

#endif
