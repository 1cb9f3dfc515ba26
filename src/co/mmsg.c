/*
 * mmsg.c - several datagrams by one call of the system's.
 *
 * Nothing is taken out of a socket while a task waits: it waits for readiness, and tries again. What finds no room is
 * sent as an operation: a Unix socket is ready while the peer that a datagram is for has no room, and the backend asks
 * again without a turn of the loop.
 */
#include "co/await.h"
#include "loop/loop.h"
#include "ringport/io.h"

static int receive_now(const rp_kernel *kernel, rp_fd fd, rp_mmsg *messages, int count)
{
    rp_message batch[RP_MESSAGES_MAX];
    struct iovec vectors[RP_MESSAGES_MAX];

    if (count > RP_MESSAGES_MAX)
        count = RP_MESSAGES_MAX;
    for (int i = 0; i < count; i++) {
        vectors[i] = (struct iovec){.iov_base = messages[i].buffer, .iov_len = messages[i].size};
        batch[i] = (rp_message){.vector = &vectors[i],
                                .count = 1,
                                .address = messages[i].address,
                                .address_length = messages[i].address_size};
    }
    int n = rp_kernel_receive_messages(kernel, fd, batch, count, true);
    for (int i = 0; i < n; i++) {
        messages[i].length = batch[i].length;
        messages[i].address_length = batch[i].address_length;
        messages[i].segment = batch[i].segment;
        messages[i].flags = batch[i].truncated ? MSG_TRUNC : 0;
    }
    return n;
}

int rp_recvmmsg(rp_co *co, rp_fd fd, rp_mmsg *messages, int count)
{
    int rc;

    if (count < 1)
        return -EINVAL;
    do {
        RP_TRY(rp_poll_fd(co, fd, RP_POLL_IN));
        rc = receive_now(rp_co_loop(co)->kernel, fd, messages, count);
    } while (rc == -EAGAIN);
    return rc;
}

static int send_now(const rp_kernel *kernel, rp_fd fd, const rp_mmsg *messages, int count)
{
    rp_message batch[RP_MESSAGES_MAX];
    struct iovec vectors[RP_MESSAGES_MAX];

    if (count > RP_MESSAGES_MAX)
        count = RP_MESSAGES_MAX;
    for (int i = 0; i < count; i++) {
        const rp_mmsg *message = &messages[i];

        vectors[i] = (struct iovec){.iov_base = message->buffer, .iov_len = message->length};
        batch[i] = (rp_message){.vector = &vectors[i],
                                .count = 1,
                                .address = message->address,
                                .address_length = message->address ? message->address_length : 0,
                                .segment = message->segment < message->length ? message->segment : 0};
    }
    return rp_kernel_send_messages(kernel, fd, batch, count);
}

/* There is no room for one: how many have gone when there is. */
static int send_later(rp_co *co, rp_fd fd, const rp_mmsg *message)
{
    if (message->segment != 0) {
        RP_TRY(rp_poll_fd(co, fd, RP_POLL_OUT));
        return 0;
    }
    bool named = message->address && message->address_length > 0;
    RP_TRY(rp_sendto(co, fd, message->buffer, message->length, 0, named ? message->address : NULL,
                     message->address_length));
    return 1;
}

/* Sends what there is room for, and lets the others have their turn: how many have gone. */
static int send_some(rp_co *co, rp_fd fd, const rp_mmsg *messages, int count)
{
    RP_TRY(rp_co_check(co));
    int rc = send_now(rp_co_loop(co)->kernel, fd, messages, count);
    if (rc == -EAGAIN)
        return send_later(co, fd, messages);
    rp_co_wake(co);
    rp_co_suspend(co, NULL, NULL);
    return rc;
}

int rp_sendmmsg(rp_co *co, rp_fd fd, rp_mmsg *messages, int count)
{
    int rc = 0, sent = 0;

    if (count < 0)
        return -EINVAL;
    while (sent < count && (rc = send_some(co, fd, messages + sent, count - sent)) >= 0)
        for (int i = 0; i < rc; i++)
            messages[sent++].error = 0;
    for (int i = sent; i < count; i++)
        messages[i].error = rc;
    return rc < 0 ? rc : count;
}
