/*
 * test_buffer.c - the write buffer: order, bytes in flight that do not move, memory.
 */
#include <stdlib.h>

#include "net/buffer.h"
#include "harness/wire.h"

static void append(rp_buffer *buffer, size_t length, uint64_t *written)
{
    char bytes[10000];

    wire_fill(bytes, length, *written);
    CHECK_INT(rp_buffer_reserve(buffer, length), ==, 0);
    rp_buffer_append(buffer, bytes, length);
    *written += length;
}

TEST(bytes_come_out_in_order_whatever_the_sizes)
{
    rp_buffer buffer = {0};
    uint64_t written = 0, sent = 0;
    const void *data, *again;

    srand(7);
    for (int i = 0; i < 20000; i++) {
        if (rand() % 2) {
            append(&buffer, (size_t)rand() % 10000, &written);
        } else {
            size_t limit = 1 + (size_t)rand() % 20000, n = rp_buffer_front(&buffer, limit, &data);

            CHECK(n <= limit);
            append(&buffer, (size_t)rand() % 5000, &written);
            rp_buffer_front(&buffer, limit, &again);
            CHECK(n == 0 || again == data); /* it does not move while it is in flight */
            CHECK(wire_same(data, n, sent));
            rp_buffer_sent(&buffer, n);
            sent += n;
        }
        CHECK_INT(rp_buffer_size(&buffer), ==, written - sent);
    }
    rp_buffer_fini(&buffer);
    CHECK_INT(rp_buffer_size(&buffer), ==, 0);
}

TEST(an_empty_buffer_has_nothing_to_send)
{
    rp_buffer buffer = {0};
    const void *data;

    CHECK_INT(rp_buffer_front(&buffer, 100, &data), ==, 0);
    rp_buffer_append(&buffer, NULL, 0);
    CHECK_INT(rp_buffer_size(&buffer), ==, 0);
    rp_buffer_fini(&buffer);
}

TEST(a_reservation_that_fails_leaves_it_as_it_was)
{
    rp_buffer buffer = {0};
    uint64_t written = 0;
    const void *data;

    append(&buffer, 100, &written);
    CHECK_INT(rp_buffer_reserve(&buffer, SIZE_MAX - 10), ==, -ENOMEM);
    test_fail_allocation(1);
    CHECK_INT(rp_buffer_reserve(&buffer, 1 << 20), ==, -ENOMEM);
    CHECK_INT(rp_buffer_front(&buffer, 1000, &data), ==, 100);
    CHECK(wire_same(data, 100, 0));
    rp_buffer_fini(&buffer);
}

TEST(small_buffers_keep_their_memory_and_large_ones_give_it_back)
{
    rp_buffer buffer = {0};
    uint64_t written = 0, allocations;
    const void *data;

    for (int i = 0; i < 2; i++) {
        append(&buffer, 4000, &written);
        rp_buffer_sent(&buffer, rp_buffer_front(&buffer, SIZE_MAX, &data));
    }
    allocations = test_allocations();
    for (int i = 0; i < 100; i++) {
        append(&buffer, 4000, &written);
        rp_buffer_sent(&buffer, rp_buffer_front(&buffer, SIZE_MAX, &data));
    }
    CHECK_INT(test_allocations(), ==, allocations);
    for (int i = 0; i < 100; i++)
        append(&buffer, 4000, &written);
    CHECK_INT(rp_buffer_front(&buffer, SIZE_MAX, &data), ==, 400000);
    rp_buffer_sent(&buffer, 400000);
    CHECK_INT(buffer.flight.capacity, ==, 0);
    rp_buffer_fini(&buffer);
}
