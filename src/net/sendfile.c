/*
 * sendfile.c - a file is sent between what is written: an insert of the transport, and a future.
 *
 * Its blocks are lent to the transport one after the other. It ends when the transport has done with it and no read is
 * under way: then nobody uses the file any more.
 */
#include "base/memory.h"
#include "loop/blocks.h"
#include "loop/future.h"
#include "loop/resource.h"
#include "net/transport_write.h"

typedef struct sending {
    rp_future future;
    rp_resource resource;
    rp_insert insert;
    rp_blocks blocks;
    rp_transport *transport; /* referred to; NULL when it has ended */
    bool cancelled;
    bool sent; /* as far as it will be: only a read may still be under way */
    int error;
    int64_t total; /* bytes that the transport has taken */
} sending;

/* ---- the end ---- */

static void dispose(rp_future *future)
{
    sending *self = rp_container_of(future, sending, future);

    rp_future_fini(future);
    rp_free(self);
}

static void release(sending *self)
{
    rp_transport *transport = self->transport;

    self->transport = NULL;
    rp_resource_remove(&self->resource);
    rp_future_unref(&self->future);
    rp_transport_unref(transport);
}

static void finish(sending *self)
{
    rp_blocks_fini(&self->blocks);
    if (self->error == -ECANCELED && self->cancelled)
        rp_future_finish_cancelled(&self->future);
    else
        rp_future_finish(&self->future, self->error, NULL);
    release(self);
}

static void end(rp_insert *insert, int error)
{
    sending *self = rp_container_of(insert, sending, insert);

    self->sent = true;
    self->error = error;
    if (rp_blocks_stop(&self->blocks))
        finish(self);
}

static bool cancel(rp_future *future)
{
    sending *self = rp_container_of(future, sending, future);

    if (future->loop->closed) {
        rp_future_finish_cancelled(future);
        return true;
    }
    if (self->sent || self->cancelled || rp_loop_check(future->loop) < 0)
        return false;
    self->cancelled = true;
    rp_transport_insert_cancel(self->transport, &self->insert);
    return true;
}

static const rp_future_type type = {.name = "sendfile", .cancel = cancel, .dispose = dispose};

static void reap(rp_resource *resource)
{
    sending *self = rp_container_of(resource, sending, resource);

    if (!self->transport->released && !self->sent)
        rp_transport_remove_insert(self->transport, &self->insert);
    release(self);
}

static const rp_resource_type resource_type = {.at = {[RP_REAP] = reap}};

/* ---- sending ---- */

static int64_t front(rp_insert *insert, const void **data)
{
    return rp_blocks_front(&rp_container_of(insert, sending, insert)->blocks, data);
}

static void sent(rp_insert *insert, size_t length)
{
    sending *self = rp_container_of(insert, sending, insert);

    self->total += (int64_t)length;
    rp_blocks_take(&self->blocks, length);
}

/* Whether it is the file that an error tells of: reading it will find out what is wrong, or that it is all right. */
static bool is_the_files(int64_t error)
{
    return error == -EINVAL || error == -ENOSYS || error == -EIO || error == -EOVERFLOW || error == -EBADF ||
           error == -ESPIPE || error == -EISDIR || error == -ENOMEM;
}

static int64_t send_directly(rp_insert *insert, size_t most)
{
    sending *self = rp_container_of(insert, sending, insert);
    rp_blocks *blocks = &self->blocks;
    size_t length = blocks->left < (int64_t)most ? (size_t)blocks->left : most;
    int64_t n;

    if (blocks->offset < 0)
        return -ENOTSUP;
    n = length == 0 ? 0 : self->transport->kind->sendfile(self->transport, blocks->file, blocks->offset, length);
    if (n > 0) {
        self->total += n;
        rp_blocks_skip(blocks, n);
    }
    return is_the_files(n) ? -ENOTSUP : n;
}

static const rp_insert_type insert_type = {.front = front, .sent = sent, .send = send_directly, .end = end};

static void on_read(void *arg)
{
    sending *self = arg;

    if (self->sent)
        finish(self);
    else
        rp_transport_insert_ready(self->transport, &self->insert);
}

int rp_transport_sendfile(rp_transport *transport, rp_fd file, int64_t offset, int64_t count, int flags,
                          rp_future **future)
{
    sending *self;
    int rc;

    RP_TRY(rp_transport_may_write(transport));
    self = rp_calloc(sizeof *self);
    if (!self)
        return -ENOMEM;
    rc = rp_blocks_init(&self->blocks, transport->loop, file, offset, count, on_read, self);
    if (rc < 0) {
        rp_free(self);
        return rc;
    }
    rp_future_init(&self->future, transport->loop, &type);
    rp_resource_add(transport->loop, &self->resource, &resource_type);
    self->transport = rp_transport_ref(transport);
    *future = rp_future_ref(&self->future);
    rp_transport_insert(transport, &self->insert, &insert_type, flags & RP_SENDFILE_IN_KERNEL);
    return 0;
}

int64_t rp_sendfile_sent(const rp_future *future)
{
    return future->type == &type ? rp_container_of(future, const sending, future)->total : -EINVAL;
}
