/*
 * blocks.h - a file that is read block by block, ahead of whoever sends it.
 *
 * Its owner takes bytes off the front. While he sends a block, the next one is read. It lives until rp_blocks_fini(),
 * or until the loop is closed: its memory is given back then.
 */
#ifndef RP_LOOP_BLOCKS_H
#define RP_LOOP_BLOCKS_H

#include "loop/loop.h"
#include "ringport/op.h"

/* Called once after -EINPROGRESS of rp_blocks_front(), and once after false of rp_blocks_stop(). */
typedef void rp_blocks_callback(void *arg);

typedef struct rp_block {
    char *data;
    size_t start; /* what lies before has been taken */
    size_t end;   /* 0: it is empty */
} rp_block;

typedef struct rp_blocks {
    rp_loop *loop;
    rp_resource resource;
    rp_fd file;
    bool at_position; /* it begins at the file's own position, which is to be behind what was taken */
    int64_t start;
    int64_t offset; /* of the next read; -1: the file has no positions */
    int64_t size;   /* of the file, as far as it is known; -1: it has none */
    int64_t left;   /* to be read at most */
    int64_t taken;
    size_t room; /* of a block, in bytes */
    int count;   /* of blocks */
    int front;   /* the block that is taken from */
    rp_block blocks[2];
    rp_op read; /* into the next block that is empty */
    bool reading;
    bool uncached; /* a read had to wait for the disk */
    bool stopped;
    bool ended; /* no more is read, by `error`, or 0 */
    bool waiting;
    int error;
    rp_blocks_callback *callback;
    void *arg;
} rp_blocks;

/*
 * Begins at an offset, or with -1 at the file's own position; at most `count` bytes, or with -1 all.
 * Errors: -EINVAL, what the file's size cannot be asked for by, -ENOMEM.
 */
int rp_blocks_init(rp_blocks *blocks, rp_loop *loop, rp_fd file, int64_t offset, int64_t count,
                   rp_blocks_callback *callback, void *arg);

/*
 * The bytes that come next, and stay where they are until they are taken: how many, 0 at the end, -EINPROGRESS: not
 * yet, or the error that reading has ended by. That may be -EAGAIN: no thread could be started.
 */
int64_t rp_blocks_front(rp_blocks *blocks, const void **data);
void rp_blocks_take(rp_blocks *blocks, size_t length);

/* So much is taken that was not read: somebody else has done that. Nothing may have been read so far. */
void rp_blocks_skip(rp_blocks *blocks, int64_t length);

/* Ends reading. Whether nothing is under way any more, so that the file may be closed. */
bool rp_blocks_stop(rp_blocks *blocks);

/* Gives the memory back. Nothing is under way, or the loop is closed, and then it has been done already. */
void rp_blocks_fini(rp_blocks *blocks);

#endif
