/*
 * blocks.c - two blocks of a file in turns: one is taken from, into the other one is read.
 *
 * One read is under way at a time, so a short one leaves no gap. Of a regular file no more is asked for than it has. At
 * its end its size is asked for again: it may have grown. Nothing that was read from a pipe can be given back, so there
 * nothing is read ahead.
 *
 * What is cached is read in the loop's thread. Once a read has had to wait, threads read all the rest.
 */
#include "loop/blocks.h"

#include "base/memory.h"
#include "loop/resource.h"
#include "proactor/op.h"
#include "ringport/error.h"

enum {
    BLOCK = 512 * 1024,
    SMALLEST = 4096,
    PIPED = 64 * 1024, /* what a pipe holds */
};

static void give_back(rp_blocks *blocks)
{
    rp_resource_remove(&blocks->resource);
    rp_free(blocks->blocks[0].data);
    blocks->blocks[0].data = NULL;
}

static void reap(rp_resource *resource)
{
    give_back(rp_container_of(resource, rp_blocks, resource));
}

static const rp_resource_type resource_type = {.at = {[RP_REAP] = reap}};

/* Where it begins, and how much there is. */
static int look(rp_blocks *blocks, int64_t offset)
{
    const rp_kernel *kernel = blocks->loop->kernel;

    blocks->size = rp_kernel_file_size(kernel, blocks->file);
    if (blocks->size < 0 && blocks->size != -ESPIPE)
        return (int)blocks->size;
    if (blocks->size <= 0) /* files of the kernel's own say that they have nothing */
        blocks->size = -1;
    blocks->offset = offset;
    if (offset < 0) {
        blocks->offset = rp_kernel_position(kernel, blocks->file);
        blocks->at_position = blocks->offset >= 0;
        if (!blocks->at_position)
            blocks->offset = -1;
    }
    blocks->start = blocks->offset;
    return 0;
}

/* How large the blocks are, and how many there are of them. */
static int make_room(rp_blocks *blocks)
{
    int64_t expected = blocks->size < 0                ? PIPED
                       : blocks->size > blocks->offset ? blocks->size - blocks->offset
                                                       : 0;

    if (blocks->left < expected)
        expected = blocks->left;
    blocks->count = expected > BLOCK ? 2 : 1;
    blocks->room = expected > BLOCK ? BLOCK : expected > SMALLEST ? (size_t)expected : SMALLEST;
    blocks->blocks[0].data = rp_malloc(blocks->room * (size_t)blocks->count);
    if (!blocks->blocks[0].data)
        return -ENOMEM;
    blocks->blocks[1].data = blocks->blocks[0].data + (blocks->count > 1 ? blocks->room : 0);
    return 0;
}

int rp_blocks_init(rp_blocks *blocks, rp_loop *loop, rp_fd file, int64_t offset, int64_t count,
                   rp_blocks_callback *callback, void *arg)
{
    if (offset < -1 || count < -1)
        return -EINVAL;
    *blocks = (rp_blocks){
        .loop = loop, .file = file, .left = count < 0 ? INT64_MAX : count, .callback = callback, .arg = arg};
    RP_TRY(look(blocks, offset));
    RP_TRY(make_room(blocks));
    rp_resource_add(loop, &blocks->resource, &resource_type);
    return 0;
}

/* ---- reading ---- */

static void end(rp_blocks *blocks, int error)
{
    blocks->ended = true;
    blocks->error = error;
}

static void fill(rp_blocks *blocks);

static void on_read(rp_op *op)
{
    rp_blocks *blocks = rp_container_of(op, rp_blocks, read);
    bool tells = blocks->waiting || blocks->stopped;

    blocks->reading = false;
    if (op->result <= 0) {
        end(blocks, (int)op->result);
    } else {
        int at = blocks->blocks[blocks->front].end > 0 ? !blocks->front : blocks->front;

        blocks->blocks[at].end = (size_t)op->result;
        blocks->left -= op->result;
        if (blocks->offset >= 0)
            blocks->offset += op->result;
        fill(blocks);
    }
    blocks->waiting = false;
    if (tells)
        blocks->callback(blocks->arg);
}

/* How much the next read is to ask for; 0: there is no more. */
static size_t wanted(rp_blocks *blocks)
{
    int64_t most = blocks->left < (int64_t)blocks->room ? blocks->left : (int64_t)blocks->room;

    if (blocks->size < 0)
        return (size_t)most;
    if (blocks->size <= blocks->offset)
        blocks->size = rp_kernel_file_size(blocks->loop->kernel, blocks->file);
    if (blocks->size <= blocks->offset)
        return 0;
    return (size_t)(blocks->size - blocks->offset < most ? blocks->size - blocks->offset : most);
}

/* Reads into a block that is empty, if there is one. */
static void fill(rp_blocks *blocks)
{
    rp_block *block = &blocks->blocks[blocks->front];
    size_t length;
    int rc;

    if (blocks->reading || blocks->ended || blocks->stopped)
        return;
    if (block->end > 0) {
        block = &blocks->blocks[!blocks->front];
        if (blocks->count == 1 || block->end > 0)
            return;
    }
    length = wanted(blocks);
    if (length == 0) {
        end(blocks, 0);
        return;
    }
    rp_op_read(&blocks->read, blocks->file, block->data, length, blocks->offset, on_read, NULL);
    if (blocks->uncached)
        blocks->read.u.buffer.flags = RP_READ_BY_THREAD;
    rc = rp_submit(blocks->loop, &blocks->read);
    blocks->reading = rc == 0;
    if (rc < 0)
        end(blocks, rc);
    else if (blocks->size >= 0 && blocks->offset >= 0 && blocks->read.state != RP_OP_FINISHED)
        blocks->uncached = true;
}

int64_t rp_blocks_front(rp_blocks *blocks, const void **data)
{
    const rp_block *block = &blocks->blocks[blocks->front];

    fill(blocks);
    *data = block->data + block->start;
    if (block->end > 0)
        return (int64_t)(block->end - block->start);
    if (blocks->ended)
        return blocks->error;
    blocks->waiting = true;
    return -EINPROGRESS;
}

void rp_blocks_take(rp_blocks *blocks, size_t length)
{
    rp_block *block = &blocks->blocks[blocks->front];

    blocks->taken += (int64_t)length;
    block->start += length;
    if (block->start < block->end)
        return;
    block->start = block->end = 0;
    if (blocks->count > 1)
        blocks->front = !blocks->front;
}

void rp_blocks_skip(rp_blocks *blocks, int64_t length)
{
    blocks->offset += length;
    blocks->left -= length;
    blocks->taken += length;
}

/* ---- the end ---- */

bool rp_blocks_stop(rp_blocks *blocks)
{
    blocks->stopped = true;
    if (blocks->reading)
        rp_cancel(blocks->loop, &blocks->read);
    return !blocks->reading;
}

void rp_blocks_fini(rp_blocks *blocks)
{
    if (!blocks->blocks[0].data)
        return;
    if (blocks->at_position)
        rp_kernel_set_position(blocks->loop->kernel, blocks->file, blocks->start + blocks->taken);
    give_back(blocks);
}
