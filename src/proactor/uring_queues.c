/*
 * uring_queues.c - a queue of operations for each descriptor and direction.
 *
 * A table has the last operation of each queue, and the operations have their neighbours, in their scratch space. So
 * the usual operation, which is alone, costs a look into the table when it comes, and another one when it goes.
 */
#include "proactor/uring_queues.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/memory.h"

static int make_chunk(uring_queues *queues, int fd)
{
    size_t chunk = (unsigned)fd / URING_QUEUES_DESCRIPTORS, count = chunk + chunk / 2 + 1;

    if (fcntl(fd, F_GETFD) < 0) /* an absurd number gets no memory */
        return -EBADF;
    if (chunk >= queues->count) {
        rp_op ***chunks = rp_realloc(queues->chunks, count * sizeof *chunks);

        if (!chunks)
            return -ENOMEM;
        memset(chunks + queues->count, 0, (count - queues->count) * sizeof *chunks);
        queues->chunks = chunks;
        queues->count = count;
    }
    queues->chunks[chunk] =
        rp_calloc(URING_QUEUES_DESCRIPTORS * URING_QUEUES_DIRECTIONS * sizeof **queues->chunks);
    return queues->chunks[chunk] ? 0 : -ENOMEM;
}

void uring_queues_fini(uring_queues *queues)
{
    for (size_t i = 0; i < queues->count; i++)
        rp_free(queues->chunks[i]);
    rp_free(queues->chunks);
}

int uring_queues_join(uring_queues *queues, rp_op *op)
{
    uring_place *place = uring_place_of(op);
    rp_op **last = uring_queues_last(queues, op);

    if (!last) {
        int rc = make_chunk(queues, op->fd);

        uring_queues_pass(op);
        if (rc < 0)
            return rc == -EBADF ? 0 : rc; /* the kernel is to say so */
        last = uring_queues_last(queues, op);
    }
    *place = (uring_place){.last = last, .before = *last};
    *last = op;
    if (!place->before)
        return 0;
    uring_place_of(place->before)->behind = op;
    return 1;
}
