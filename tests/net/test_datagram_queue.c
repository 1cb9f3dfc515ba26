/*
 * test_datagram_queue.c - datagrams that wait: order, sizes, memory, and which of them go as one message.
 */
#include <stdlib.h>

#include "net/datagram_queue.h"
#include "harness/wire.h"

static struct sockaddr_in to(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
}

static void add(rp_datagram_queue *queue, size_t length, uint64_t at, int port)
{
    struct sockaddr_in address = to(port);
    char bytes[10000];

    wire_fill(bytes, length, at);
    CHECK_INT(rp_datagram_queue_add(queue, bytes, length, (struct sockaddr *)&address, port ? sizeof address : 0),
              ==, 0);
}

TEST(datagrams_come_out_whole_and_in_order)
{
    enum { ROUNDS = 20000, KNOWN = 4096 };
    static size_t sizes[KNOWN];
    static rp_datagram_front front;
    rp_datagram_queue queue = {0};
    uint64_t added = 0, taken = 0, bytes = 0;

    srand(7);
    for (int i = 0; i < ROUNDS; i++) {
        if (rand() % 3 && added - taken < KNOWN) {
            size_t size = (size_t)rand() % 3 ? (size_t)rand() % 300 : (size_t)rand() % 10000;

            sizes[added % KNOWN] = size;
            add(&queue, size, added, (int)(added % 5));
            added++;
            bytes += size;
        } else if (taken < added) {
            rp_datagram_queue_front(&queue, false, 0, &front);
            CHECK_INT(front.count, >, 0);
            int count = rand() % front.count + 1;
            for (int k = 0; k < count; k++, taken++) {
                const rp_message *m = &front.messages[k];

                CHECK_INT(m->count, ==, 1);
                CHECK_INT(m->vector->iov_len, ==, sizes[taken % KNOWN]);
                CHECK(wire_same(m->vector->iov_base, m->vector->iov_len, taken));
                CHECK_INT(m->address_length, ==, taken % 5 ? sizeof(struct sockaddr_in) : 0);
                if (taken % 5)
                    CHECK_INT(ntohs(((struct sockaddr_in *)m->address)->sin_port), ==, taken % 5);
                bytes -= m->vector->iov_len;
            }
            rp_datagram_queue_drop(&queue, (size_t)count);
        }
        CHECK_INT(queue.count, ==, added - taken);
        CHECK_INT(queue.bytes, ==, bytes);
    }
    rp_datagram_queue_fini(&queue);
}

TEST(without_memory_the_queue_stays_as_it_was)
{
    static rp_datagram_front front;
    rp_datagram_queue queue = {0};
    char large[8192] = {0};

    add(&queue, 10, 0, 1);
    test_fail_allocation(1);
    CHECK_INT(rp_datagram_queue_add(&queue, large, sizeof large, NULL, 0), ==, -ENOMEM);
    CHECK(test_allocation_failed());
    CHECK_INT(queue.count, ==, 1);
    rp_datagram_queue_front(&queue, true, 0, &front);
    CHECK_INT(front.count, ==, 1);
    CHECK(wire_same(front.pieces[0].iov_base, 10, 0));
    rp_datagram_queue_fini(&queue);
}

TEST(an_empty_queue_keeps_little_memory)
{
    rp_datagram_queue queue = {0};

    for (int i = 0; i < 100; i++)
        add(&queue, 10000, 0, 1);
    rp_datagram_queue_drop(&queue, 100);
    CHECK(!queue.data);
    add(&queue, 10, 0, 1);
    rp_datagram_queue_drop(&queue, 1);
    CHECK(queue.data);
    rp_datagram_queue_fini(&queue);
}

/* ---- segments ---- */

static void check_message(const rp_datagram_front *front, int index, int datagrams, int segment)
{
    CHECK_INT(index, <, front->count);
    CHECK_INT(front->datagrams[index], ==, datagrams);
    CHECK_INT(front->messages[index].count, ==, datagrams);
    CHECK_INT(front->messages[index].segment, ==, segment);
}

TEST(neighbours_of_one_size_and_address_are_joined)
{
    static rp_datagram_front front;
    rp_datagram_queue queue = {0};

    add(&queue, 100, 0, 1); /* a message of three, the last one shorter */
    add(&queue, 100, 0, 1);
    add(&queue, 50, 0, 1);
    add(&queue, 50, 0, 1); /* after a shorter one comes another message; another address ends it */
    add(&queue, 50, 0, 2);
    add(&queue, 60, 0, 2); /* a longer one */
    add(&queue, 0, 0, 2);  /* empty ones go alone */
    add(&queue, 0, 0, 2);
    rp_datagram_queue_front(&queue, true, 0, &front);
    CHECK_INT(front.count, ==, 6);
    check_message(&front, 0, 3, 100);
    for (int i = 1; i < 6; i++)
        check_message(&front, i, 1, 0);
    rp_datagram_queue_front(&queue, true, 2, &front); /* the first two are to go alone */
    check_message(&front, 0, 1, 0);
    check_message(&front, 1, 1, 0);
    check_message(&front, 2, 2, 50);
    rp_datagram_queue_fini(&queue);
}

TEST(a_message_has_as_many_segments_and_bytes_as_the_kernel_takes)
{
    static rp_datagram_front front;
    rp_datagram_queue queue = {0};

    for (int i = 0; i < 65; i++)
        add(&queue, 10, 0, 1);
    for (int i = 0; i < 7; i++)
        add(&queue, 10000, 0, 1);
    rp_datagram_queue_front(&queue, true, 0, &front);
    check_message(&front, 0, 64, 10);
    check_message(&front, 1, 1, 0);
    check_message(&front, 2, 6, 10000);
    check_message(&front, 3, 1, 0);
    rp_datagram_queue_fini(&queue);
}
