/*
 * test_queue.c - queues as containers: their orders, their limits, and the memory that they take and give back.
 */
#include <stdlib.h>

#include "harness/numbers.h"
#include "harness/tasks.h"

static int lowest_first(const void *a, const void *b)
{
    return (number(a) > number(b)) - (number(a) < number(b));
}

/* ---- orders ---- */

TEST(oldest_first)
{
    rp_queue queue;
    size_t in = 0, out = 0;
    void *pointer = &queue;

    rp_queue_init(&queue, 0);
    CHECK_INT(rp_queue_get_nowait(&queue, &pointer), ==, -EAGAIN);
    CHECK(pointer == &queue);
    for (int round = 0; round < 100; round++) { /* the ring grows at every offset */
        for (int i = 0; i < 7; i++)
            put(&queue, in++);
        for (int i = 0; i < 5; i++)
            CHECK_INT(get(&queue), ==, out++);
        CHECK_INT(rp_queue_size(&queue), ==, in - out);
    }
    while (!rp_queue_empty(&queue))
        CHECK_INT(get(&queue), ==, out++);
    CHECK_INT(out, ==, in);
    CHECK(!rp_queue_full(&queue));
    CHECK_INT(rp_queue_fini(&queue), ==, 0);
}

TEST(newest_first)
{
    rp_queue queue;

    rp_lifo_queue_init(&queue, 0);
    for (size_t i = 0; i < 100; i++) {
        put(&queue, 1000);
        CHECK_INT(get(&queue), ==, 1000);
        put(&queue, i);
    }
    for (size_t i = 100; i > 0; i--)
        CHECK_INT(get(&queue), ==, i - 1);
    CHECK_INT(rp_queue_fini(&queue), ==, 0);
}

TEST(by_priority)
{
    size_t counts[50] = {0}, last = 0;
    rp_queue queue;

    srand(1);
    rp_priority_queue_init(&queue, 0, lowest_first);
    for (int i = 0; i < 500; i++) {
        size_t n = (size_t)rand() % 50;
        counts[n]++;
        put(&queue, n);
        if (i % 3 == 0) {
            n = get(&queue);
            for (size_t j = 0; j < n; j++)
                CHECK_INT(counts[j], ==, 0);
            counts[n]--;
        }
    }
    while (!rp_queue_empty(&queue)) {
        size_t n = get(&queue);
        CHECK_INT(n, >=, last);
        counts[n]--;
        last = n;
    }
    for (int i = 0; i < 50; i++)
        CHECK_INT(counts[i], ==, 0);
    CHECK_INT(rp_queue_fini(&queue), ==, 0);
}

/* ---- memory ---- */

static void init_kind(rp_queue *queue, int kind)
{
    if (kind == 0)
        rp_queue_init(queue, 0);
    else if (kind == 1)
        rp_lifo_queue_init(queue, 0);
    else
        rp_priority_queue_init(queue, 0, lowest_first);
}

TEST(memory_is_given_back)
{
    enum { MANY = 100000, LEAST = 128 };
    rp_queue queue;

    for (int kind = 0; kind < 3; kind++) {
        init_kind(&queue, kind);
        for (size_t i = 0; i < 5; i++) /* the ring does not begin at its first place */
            put(&queue, i);
        for (size_t i = 0; i < 5; i++)
            get(&queue);
        for (size_t i = 0; i < MANY; i++)
            put(&queue, i);
        uint64_t before = test_allocations();
        for (size_t i = 0; i < MANY; i++) {
            CHECK_INT(get(&queue), ==, kind == 1 ? MANY - 1 - i : i);
            CHECK(queue.capacity == LEAST || queue.capacity < 4 * rp_queue_size(&queue) + 4);
        }
        CHECK_INT(queue.capacity, ==, LEAST);
        CHECK_INT(test_allocations() - before, <, 20); /* by halves */
        CHECK_INT(rp_queue_fini(&queue), ==, 0);
    }
}

TEST(a_queue_that_grows_and_shrinks_about_one_size_keeps_its_memory)
{
    rp_queue queue;

    rp_queue_init(&queue, 0);
    for (size_t size = 1; size < 300; size++) {
        put(&queue, size);
        uint64_t before = test_allocations();
        for (int i = 0; i < 100; i++) {
            put(&queue, 0);
            get(&queue);
        }
        CHECK_INT(test_allocations() - before, <=, 1);
    }
    CHECK_INT(rp_queue_fini(&queue), ==, 0);
}

/* As producers and consumers have it that run in turns. */
TEST(a_small_queue_that_is_filled_and_emptied_keeps_its_memory)
{
    rp_queue queue;
    uint64_t before = 0;

    rp_queue_init(&queue, 100);
    for (int round = 0; round < 10; round++) {
        for (size_t i = 0; i < 100; i++)
            put(&queue, i);
        for (size_t i = 0; i < 100; i++)
            CHECK_INT(get(&queue), ==, i);
        if (round == 0)
            before = test_allocations();
    }
    CHECK_INT(test_allocations() - before, ==, 0);
    CHECK_INT(rp_queue_fini(&queue), ==, 0);
}

TEST(no_memory_to_shrink_into)
{
    rp_queue queue;
    size_t capacity, i = 0;

    rp_queue_init(&queue, 0);
    for (size_t n = 0; n < 1000; n++)
        put(&queue, n);
    capacity = queue.capacity;
    while (rp_queue_size(&queue) > capacity / 4 + 1)
        CHECK_INT(get(&queue), ==, i++);
    for (int n = 0; n < 10; n++) {
        test_fail_allocation(1);
        CHECK_INT(get(&queue), ==, i++);
        CHECK(test_allocation_failed());
        test_fail_allocation(0);
        CHECK_INT(queue.capacity, ==, capacity);
    }
    CHECK_INT(get(&queue), ==, i++);
    CHECK_INT(queue.capacity, ==, capacity / 2);
    while (!rp_queue_empty(&queue))
        CHECK_INT(get(&queue), ==, i++);
    rp_queue_shutdown(&queue, true);
    CHECK_INT(queue.capacity, ==, 0); /* nothing can come any more */
    CHECK_INT(rp_queue_fini(&queue), ==, 0);
}

TEST(limits)
{
    rp_queue queue;

    for (size_t maxsize = 1; maxsize < 100; maxsize += 9) {
        rp_queue_init(&queue, maxsize);
        CHECK_INT(rp_queue_maxsize(&queue), ==, maxsize);
        for (size_t i = 0; i < maxsize; i++) {
            CHECK(!rp_queue_full(&queue));
            put(&queue, i);
        }
        CHECK(rp_queue_full(&queue));
        CHECK_INT(queue.capacity, ==, maxsize); /* no memory for more */
        CHECK_INT(rp_queue_put_nowait(&queue, NULL), ==, -EAGAIN);
        CHECK_INT(get(&queue), ==, 0);
        put(&queue, 7);
        CHECK_INT(rp_queue_fini(&queue), ==, 0);
    }
}

TEST(no_memory)
{
    rp_queue queue;

    rp_queue_init(&queue, 0);
    test_fail_allocation(1);
    CHECK_INT(rp_queue_put_nowait(&queue, NULL), ==, -ENOMEM);
    for (size_t i = 0; i < 16; i++)
        put(&queue, i);
    test_fail_allocation(1);
    CHECK_INT(rp_queue_put_nowait(&queue, NULL), ==, -ENOMEM);
    CHECK_INT(rp_queue_size(&queue), ==, 16);
    for (size_t i = 0; i < 16; i++) {
        CHECK_INT(get(&queue), ==, i);
        CHECK_INT(rp_queue_task_done(&queue), ==, 0);
    }
    CHECK_INT(rp_queue_task_done(&queue), ==, -EPERM); /* what was not put does not count */
    CHECK_INT(rp_queue_fini(&queue), ==, 0);
}
