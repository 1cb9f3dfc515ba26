/*
 * op.c - the initialisers of operations: each fills in the kind and its arguments, and leaves the op idle.
 */
#include <errno.h>

#include "proactor/op.h"

static void init(rp_op *op, rp_op_kind kind, rp_fd fd, rp_op_callback *callback, void *data)
{
    *op = (rp_op){.kind = (uint8_t)kind, .fd = fd, .callback = callback, .data = data};
}

static void init_buffer(rp_op *op, const void *buffer, size_t length, int64_t offset, int flags)
{
    op->u.buffer.base = (void *)(uintptr_t)buffer;
    op->u.buffer.length = length;
    op->u.buffer.offset = offset;
    op->u.buffer.flags = flags;
}

void rp_op_nop(rp_op *op, rp_op_callback *callback, void *data)
{
    init(op, RP_OP_NOP, -1, callback, data);
}

void rp_op_accept(rp_op *op, rp_fd fd, struct sockaddr *address, uint32_t *length, rp_op_callback *callback,
                  void *data)
{
    init(op, RP_OP_ACCEPT, fd, callback, data);
    op->u.accept.address = address;
    op->u.accept.length = length;
}

void rp_op_accept_multi(rp_op *op, rp_fd fd, rp_op_callback *callback, void *data)
{
    init(op, RP_OP_ACCEPT_MULTI, fd, callback, data);
}

void rp_op_connect(rp_op *op, rp_fd fd, const struct sockaddr *address, uint32_t length, rp_op_callback *callback,
                   void *data)
{
    init(op, RP_OP_CONNECT, fd, callback, data);
    op->u.connect.address = address;
    op->u.connect.length = length;
}

void rp_op_recv(rp_op *op, rp_fd fd, void *buffer, size_t length, int flags, rp_op_callback *callback, void *data)
{
    init(op, RP_OP_RECV, fd, callback, data);
    init_buffer(op, buffer, length, 0, flags);
}

void rp_op_recv_stream(rp_op *op, rp_fd fd, rp_op_callback *callback, void *data)
{
    init(op, RP_OP_RECV_STREAM, fd, callback, data);
}

void rp_op_send(rp_op *op, rp_fd fd, const void *buffer, size_t length, int flags, rp_op_callback *callback,
                void *data)
{
    init(op, RP_OP_SEND, fd, callback, data);
    init_buffer(op, buffer, length, 0, flags);
}

void rp_op_sendmsg(rp_op *op, rp_fd fd, struct msghdr *message, int flags, rp_op_callback *callback, void *data)
{
    init(op, RP_OP_SENDMSG, fd, callback, data);
    op->u.message.header = message;
    op->u.message.flags = flags;
}

void rp_op_recvmsg(rp_op *op, rp_fd fd, struct msghdr *message, int flags, rp_op_callback *callback, void *data)
{
    init(op, RP_OP_RECVMSG, fd, callback, data);
    op->u.message.header = message;
    op->u.message.flags = flags;
}

void rp_op_shutdown(rp_op *op, rp_fd fd, int how, rp_op_callback *callback, void *data)
{
    init(op, RP_OP_SHUTDOWN, fd, callback, data);
    op->u.shutdown.how = how;
}

void rp_op_close(rp_op *op, rp_fd fd, rp_op_callback *callback, void *data)
{
    init(op, RP_OP_CLOSE, fd, callback, data);
}

void rp_op_poll(rp_op *op, rp_fd fd, uint32_t events, rp_op_callback *callback, void *data)
{
    init(op, RP_OP_POLL, fd, callback, data);
    op->u.poll.events = events;
}

void rp_op_poll_multi(rp_op *op, rp_fd fd, uint32_t events, rp_op_callback *callback, void *data)
{
    init(op, RP_OP_POLL_MULTI, fd, callback, data);
    op->u.poll.events = events;
}

void rp_op_read(rp_op *op, rp_fd fd, void *buffer, size_t length, int64_t offset, rp_op_callback *callback,
                void *data)
{
    init(op, RP_OP_READ, fd, callback, data);
    init_buffer(op, buffer, length, offset, 0);
}

void rp_op_write(rp_op *op, rp_fd fd, const void *buffer, size_t length, int64_t offset, rp_op_callback *callback,
                 void *data)
{
    init(op, RP_OP_WRITE, fd, callback, data);
    init_buffer(op, buffer, length, offset, 0);
}

static void init_vector(rp_op *op, const struct iovec *vector, int count, int64_t offset)
{
    op->u.io.vector = vector;
    op->u.io.count = count;
    op->u.io.offset = offset;
}

void rp_op_readv(rp_op *op, rp_fd fd, const struct iovec *vector, int count, int64_t offset,
                 rp_op_callback *callback, void *data)
{
    init(op, RP_OP_READV, fd, callback, data);
    init_vector(op, vector, count, offset);
}

void rp_op_writev(rp_op *op, rp_fd fd, const struct iovec *vector, int count, int64_t offset,
                  rp_op_callback *callback, void *data)
{
    init(op, RP_OP_WRITEV, fd, callback, data);
    init_vector(op, vector, count, offset);
}

void rp_op_fsync(rp_op *op, rp_fd fd, bool data_only, rp_op_callback *callback, void *data)
{
    init(op, RP_OP_FSYNC, fd, callback, data);
    op->u.fsync.data_only = data_only;
}

void rp_op_openat(rp_op *op, rp_fd directory, const char *path, int flags, uint32_t mode, rp_op_callback *callback,
                  void *data)
{
    init(op, RP_OP_OPENAT, directory, callback, data);
    op->u.path.path = path;
    op->u.path.flags = flags;
    op->u.path.mode = mode;
}

void rp_op_statx(rp_op *op, rp_fd directory, const char *path, int flags, uint32_t mask, struct statx *result,
                 rp_op_callback *callback, void *data)
{
    init(op, RP_OP_STATX, directory, callback, data);
    op->u.path.path = path;
    op->u.path.flags = flags;
    op->u.path.mode = mask;
    op->u.path.statx = result;
}

static void init_paths(rp_op *op, const char *from, rp_fd to_directory, const char *to, int flags)
{
    op->u.paths.from = from;
    op->u.paths.to_directory = to_directory;
    op->u.paths.to = to;
    op->u.paths.flags = flags;
}

void rp_op_renameat(rp_op *op, rp_fd from_directory, const char *from, rp_fd to_directory, const char *to,
                    int flags, rp_op_callback *callback, void *data)
{
    init(op, RP_OP_RENAMEAT, from_directory, callback, data);
    init_paths(op, from, to_directory, to, flags);
}

void rp_op_linkat(rp_op *op, rp_fd from_directory, const char *from, rp_fd to_directory, const char *to, int flags,
                  rp_op_callback *callback, void *data)
{
    init(op, RP_OP_LINKAT, from_directory, callback, data);
    init_paths(op, from, to_directory, to, flags);
}

void rp_op_symlinkat(rp_op *op, const char *target, rp_fd directory, const char *path, rp_op_callback *callback,
                     void *data)
{
    init(op, RP_OP_SYMLINKAT, directory, callback, data);
    init_paths(op, target, directory, path, 0);
}

void rp_op_unlinkat(rp_op *op, rp_fd directory, const char *path, int flags, rp_op_callback *callback, void *data)
{
    init(op, RP_OP_UNLINKAT, directory, callback, data);
    op->u.path.path = path;
    op->u.path.flags = flags;
}

void rp_op_mkdirat(rp_op *op, rp_fd directory, const char *path, uint32_t mode, rp_op_callback *callback,
                   void *data)
{
    init(op, RP_OP_MKDIRAT, directory, callback, data);
    op->u.path.path = path;
    op->u.path.mode = mode;
}

void rp_op_readlinkat(rp_op *op, rp_fd directory, const char *path, char *target, size_t size,
                      rp_op_callback *callback, void *data)
{
    init(op, RP_OP_READLINKAT, directory, callback, data);
    op->u.link.path = path;
    op->u.link.target = target;
    op->u.link.size = size;
}

void rp_op_truncate(rp_op *op, const char *path, int64_t length, rp_op_callback *callback, void *data)
{
    init(op, RP_OP_TRUNCATE, -1, callback, data);
    op->u.truncate.path = path;
    op->u.truncate.length = length;
}

void rp_op_ftruncate(rp_op *op, rp_fd fd, int64_t length, rp_op_callback *callback, void *data)
{
    init(op, RP_OP_FTRUNCATE, fd, callback, data);
    op->u.truncate.length = length;
}

void rp_op_wait_child(rp_op *op, int64_t pid, rp_op_callback *callback, void *data)
{
    init(op, RP_OP_WAIT_CHILD, -1, callback, data);
    op->u.child.pid = pid;
    op->u.child.process = -1;
}

void rp_op_wait_child_fd(rp_op *op, int64_t pid, rp_fd process, rp_op_callback *callback, void *data)
{
    rp_op_wait_child(op, pid, callback, data);
    op->u.child.process = process;
}
