/*
 * sock_sendfile.c - a file is sent on a socket of the program's own, block by block, while the next one is read.
 */
#include "co/await.h"
#include "loop/blocks.h"
#include "ringport/io.h"

typedef struct sending {
    rp_co *co;
    rp_blocks blocks;
} sending;

static void wake(void *arg)
{
    rp_co_wake(((sending *)arg)->co);
}

/* A read that is under way wakes it when it has ended. */
static void interrupt(rp_co *co, void *arg)
{
    if (rp_blocks_stop(&((sending *)arg)->blocks))
        rp_co_wake(co);
}

/* What comes next: bytes, 0 at the end, or an error. */
static int64_t next(sending *self, const void **data)
{
    static const rp_waiting waiting = {interrupt, NULL, "a file"};
    int64_t n = rp_blocks_front(&self->blocks, data);

    if (n != -EINPROGRESS)
        return n;
    RP_TRY(rp_co_pending(self->co));
    if (rp_co_suspend(self->co, &waiting, self))
        return rp_co_cancelled(self->co);
    return rp_blocks_front(&self->blocks, data);
}

static int64_t send_all(sending *self, rp_fd fd)
{
    const void *data;
    int64_t n;
    rp_op op;

    while ((n = next(self, &data)) > 0) {
        rp_op_send(&op, fd, data, (size_t)n, 0, NULL, NULL);
        n = rp_op_await(self->co, &op);
        if (n < 0)
            break;
        rp_blocks_take(&self->blocks, (size_t)n);
    }
    return n;
}

int64_t rp_sock_sendfile(rp_co *co, rp_fd fd, rp_fd file, int64_t offset, int64_t count, int64_t *sent)
{
    sending self = {.co = co};
    int64_t rc;

    if (sent)
        *sent = 0;
    RP_TRY(rp_co_check(co));
    RP_TRY(rp_blocks_init(&self.blocks, rp_co_loop(co), file, offset, count, wake, &self));
    rc = send_all(&self, fd);
    if (!rp_blocks_stop(&self.blocks))
        rp_co_suspend(co, NULL, NULL);
    rp_blocks_fini(&self.blocks);
    if (sent)
        *sent = self.blocks.taken;
    return rc < 0 ? rc : self.blocks.taken;
}
