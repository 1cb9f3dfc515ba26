/*
 * uring_turns.c - a queue of operations for each descriptor and direction.
 *
 * A table has the last operation of each queue, and the operations have their neighbours, in their scratch space. So
 * the usual operation, which is alone, costs a look into the table when it comes, and another one when it goes.
 */
#include "proactor/uring_turns.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/memory.h"

static int make_chunk(uring_turns *turns, int fd)
{
    size_t chunk = (unsigned)fd / URING_TURNS_DESCRIPTORS, count = chunk + chunk / 2 + 1;

    if (fcntl(fd, F_GETFD) < 0) /* an absurd number gets no memory */
        return -EBADF;
    if (chunk >= turns->count) {
        rp_op ***chunks = rp_realloc(turns->chunks, count * sizeof *chunks);

        if (!chunks)
            return -ENOMEM;
        memset(chunks + turns->count, 0, (count - turns->count) * sizeof *chunks);
        turns->chunks = chunks;
        turns->count = count;
    }
    turns->chunks[chunk] = rp_calloc(URING_TURNS_DESCRIPTORS * URING_TURNS_DIRECTIONS * sizeof **turns->chunks);
    return turns->chunks[chunk] ? 0 : -ENOMEM;
}

void uring_turns_fini(uring_turns *turns)
{
    for (size_t i = 0; i < turns->count; i++)
        rp_free(turns->chunks[i]);
    rp_free(turns->chunks);
}

int uring_turns_join(uring_turns *turns, rp_op *op)
{
    uring_turn *turn = uring_turn_of(op);
    rp_op **last = uring_turns_last(turns, op);

    if (!last) {
        int rc = make_chunk(turns, op->fd);

        uring_turns_pass(op);
        if (rc < 0)
            return rc == -EBADF ? 0 : rc; /* the kernel is to say so */
        last = uring_turns_last(turns, op);
    }
    *turn = (uring_turn){.last = last, .before = *last};
    *last = op;
    if (!turn->before)
        return 0;
    uring_turn_of(turn->before)->behind = op;
    return 1;
}
