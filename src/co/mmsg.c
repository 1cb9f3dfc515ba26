/*
 * mmsg.c - several datagrams by one call of the system's.
 *
 * Nothing is taken out of a socket, or put into it, while a task waits: it waits for readiness, and tries again. A Unix
 * socket is ready while the peer that a datagram is for has no room. So a wait for nothing is followed by a pause.
 */
#include "co/await.h"
#include "loop/loop.h"
#include "ringport/io.h"

enum { LONGEST_PAUSE = 5 }; /* 32 ms: how often the pause of 1 ms is doubled */

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

/* Suspends until there may be room. `idle` counts how often there was none in spite of that. */
static int wait_for_room(rp_co *co, rp_fd fd, int *idle)
{
    RP_TRY(rp_poll_fd(co, fd, RP_POLL_OUT));
    if (*idle > 0)
        RP_TRY(rp_sleep(co, RP_MSEC(1) << (*idle <= LONGEST_PAUSE ? *idle - 1 : LONGEST_PAUSE)));
    ++*idle;
    return 0;
}

/* Sends what there is room for, and lets the others have their turn: how many have gone. */
static int send_some(rp_co *co, rp_fd fd, const rp_mmsg *messages, int count, int *idle)
{
    RP_TRY(rp_co_check(co));
    int rc = send_now(rp_co_loop(co)->kernel, fd, messages, count);
    if (rc == -EAGAIN)
        return wait_for_room(co, fd, idle);
    *idle = 0;
    rp_co_wake(co);
    rp_co_suspend(co, NULL, NULL);
    return rc;
}

int rp_sendmmsg(rp_co *co, rp_fd fd, rp_mmsg *messages, int count)
{
    int rc = 0, sent = 0, idle = 0;

    if (count < 0)
        return -EINVAL;
    while (sent < count && (rc = send_some(co, fd, messages + sent, count - sent, &idle)) >= 0)
        for (int i = 0; i < rc; i++)
            messages[sent++].error = 0;
    for (int i = sent; i < count; i++)
        messages[i].error = rc;
    return rc < 0 ? rc : count;
}
