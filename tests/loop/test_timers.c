/*
 * test_timers.c - the timer queue against a model: a plain array, searched for what is due, sorted by time and
 * order of insertion. A failing sequence is replayed with RP_TEST_SEED.
 */
#include "harness/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop/timers.h"

typedef struct entry {
    rp_timer timer;
    uint64_t order; /* of insertion */
    bool in;
} entry;

enum { COUNT = 300 };

static rp_timers timers;
static rp_node due;
static entry entries[COUNT];
static uint64_t inserted, state;

/* xorshift64*: all that tests need. */
static uint64_t random_bits(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * UINT64_C(2685821657736338717);
}

static void set_up(int64_t now)
{
    rp_timers_init(&timers, now);
    rp_list_init(&due);
}

static void insert(entry *new, int64_t when)
{
    new->timer.when = when;
    new->order = inserted++;
    new->in = true;
    rp_timers_insert(&timers, &new->timer);
}

static entry *pop_due(void)
{
    rp_node *node = rp_list_pop(&due);
    entry *popped = node ? rp_container_of(node, entry, timer.handle.link) : NULL;

    if (popped)
        popped->in = false;
    return popped;
}

/* ---- single behaviours ---- */

TEST(empty_queue)
{
    set_up(100);
    CHECK_INT(rp_timers_next(&timers), ==, RP_NEVER);
    CHECK_INT(rp_timers_expire(&timers, 1000, &due), ==, 0);
    CHECK_INT(rp_timers_expire(&timers, 1000, &due), ==, 0);
    CHECK(rp_list_empty(&due));
}

TEST(order_of_time_and_ties_in_order_of_insertion)
{
    static const int64_t when[] = {500, 70, 500, 101, 500, 70};
    static const int expected[] = {1, 5, 3, 0, 2, 4};

    set_up(0);
    for (int i = 0; i < 6; i++)
        insert(&entries[i], when[i]);
    CHECK_INT(rp_timers_next(&timers), ==, 70);
    CHECK_INT(rp_timers_expire(&timers, 499, &due), ==, 3);
    CHECK_INT(rp_timers_next(&timers), ==, 500);
    CHECK_INT(rp_timers_expire(&timers, 500, &due), ==, 3);
    for (int i = 0; i < 6; i++)
        CHECK(pop_due() == &entries[expected[i]]);
    CHECK_INT(timers.count, ==, 0);
}

TEST(timers_are_exact_to_the_nanosecond)
{
    set_up(12345);
    insert(&entries[0], RP_SEC(3600) + 1);
    CHECK_INT(rp_timers_expire(&timers, RP_SEC(3600), &due), ==, 0);
    CHECK_INT(rp_timers_next(&timers), ==, RP_SEC(3600) + 1);
    CHECK_INT(rp_timers_expire(&timers, RP_SEC(3600) + 1, &due), ==, 1);
}

TEST(overdue_timers_come_first_in_order_of_time)
{
    static const int64_t when[] = {101, 100, -7, 99, INT64_MIN, 99, 0};
    static const int expected[] = {4, 2, 6, 3, 5, 1, 0};

    set_up(100);
    for (int i = 0; i < 7; i++)
        insert(&entries[i], when[i]);
    CHECK_INT(rp_timers_next(&timers), ==, 0);
    CHECK_INT(rp_timers_expire(&timers, 101, &due), ==, 7);
    for (int i = 0; i < 7; i++)
        CHECK(pop_due() == &entries[expected[i]]);
}

TEST(same_time_inserted_before_and_after_the_clock_moved)
{
    set_up(0);
    insert(&entries[0], RP_SEC(1));
    rp_timers_expire(&timers, RP_MSEC(999), &due);
    insert(&entries[1], RP_SEC(1));
    rp_timers_expire(&timers, RP_SEC(1) - 1, &due);
    insert(&entries[2], RP_SEC(1));
    CHECK_INT(rp_timers_expire(&timers, RP_SEC(2), &due), ==, 3);
    for (int i = 0; i < 3; i++)
        CHECK(pop_due() == &entries[i]);
}

TEST(removal)
{
    set_up(10);
    insert(&entries[0], 1000);
    insert(&entries[1], 1000);
    insert(&entries[2], 5);
    rp_timers_remove(&timers, &entries[2].timer);
    CHECK(!rp_node_linked(&entries[2].timer.handle.link));
    CHECK_INT(rp_timers_next(&timers), ==, 1000);
    rp_timers_remove(&timers, &entries[0].timer);
    CHECK_INT(rp_timers_next(&timers), ==, 1000);
    rp_timers_remove(&timers, &entries[1].timer);
    CHECK_INT(rp_timers_next(&timers), ==, RP_NEVER);
    CHECK_INT(timers.count, ==, 0);
    CHECK_INT(rp_timers_expire(&timers, 5000, &due), ==, 0);
}

/* A timer that was removed may cost an early wake-up, but one only. */
TEST(removed_timer_is_forgotten_after_its_time)
{
    set_up(0);
    insert(&entries[0], RP_MSEC(10));
    insert(&entries[1], RP_MSEC(11));
    rp_timers_remove(&timers, &entries[0].timer);
    CHECK_INT(rp_timers_next(&timers), <=, RP_MSEC(11));
    rp_timers_expire(&timers, RP_MSEC(10), &due);
    CHECK_INT(rp_timers_next(&timers), ==, RP_MSEC(11));
}

TEST(never_is_a_time_like_any_other)
{
    set_up(1);
    insert(&entries[0], RP_NEVER);
    insert(&entries[1], RP_NEVER - 1);
    CHECK_INT(rp_timers_next(&timers), ==, RP_NEVER - 1);
    CHECK_INT(rp_timers_expire(&timers, RP_NEVER - 1, &due), ==, 1);
    CHECK(pop_due() == &entries[1]);
    CHECK_INT(rp_timers_next(&timers), ==, RP_NEVER);
    CHECK_INT(rp_timers_expire(&timers, RP_NEVER, &due), ==, 1);
    insert(&entries[2], RP_NEVER);
    CHECK_INT(rp_timers_expire(&timers, RP_NEVER, &due), ==, 1);
}

TEST(all_are_taken)
{
    static const int64_t when[] = {RP_SEC(7), 5, RP_SEC(7), RP_NEVER, 2000, 5, RP_NEVER};

    set_up(100);
    for (int i = 0; i < 7; i++)
        insert(&entries[i], when[i]);
    rp_timers_take_all(&timers, &due);
    CHECK_INT(timers.count, ==, 0);
    CHECK_INT(rp_timers_next(&timers), ==, RP_NEVER);
    for (entry *taken; (taken = pop_due());)
        insert(taken, 3000 + taken->timer.when % 10);
    CHECK_INT(rp_timers_next(&timers), ==, 3000);
    CHECK_INT(rp_timers_expire(&timers, 3010, &due), ==, 7);
    CHECK(pop_due() == &entries[4]);
    CHECK(pop_due() == &entries[0]);
    CHECK(pop_due() == &entries[2]);
}

/* ---- the model ---- */

/* Of the timers due at `now` or before, the one that should come first; NULL if none is. */
static entry *model_first(int64_t now)
{
    entry *first = NULL;

    for (int i = 0; i < COUNT; i++) {
        entry *each = &entries[i];
        if (!each->in || each->timer.when > now)
            continue;
        if (!first || each->timer.when < first->timer.when ||
            (each->timer.when == first->timer.when && each->order < first->order))
            first = each;
    }
    return first;
}

/* Overdue timers need no rule of their own: they are the earliest. */
static void expire_and_compare(int64_t now)
{
    size_t count = rp_timers_expire(&timers, now, &due);
    entry *expected;

    for (; (expected = model_first(now)); count--)
        CHECK(pop_due() == expected);
    CHECK_INT(count, ==, 0);
    CHECK(rp_list_empty(&due));
    CHECK_INT(timers.now, ==, now);
}

static void check_next_and_count(void)
{
    entry *first = model_first(RP_NEVER);
    int64_t next = rp_timers_next(&timers);
    size_t count = 0;

    for (int i = 0; i < COUNT; i++)
        count += entries[i].in;
    CHECK_INT(timers.count, ==, count);
    if (!first)
        CHECK_INT(next, ==, RP_NEVER);
    else if (first->timer.when <= timers.now)
        CHECK_INT(next, <=, timers.now);
    else
        CHECK_INT(next, <=, first->timer.when);
}

/* A distance of a random magnitude: as often nanoseconds as years. */
static int64_t random_distance(int bits)
{
    return (int64_t)(random_bits() >> 1) >> (63 - random_bits() % (uint64_t)bits);
}

static int64_t add(int64_t time, int64_t distance)
{
    return time > 0 && distance > RP_NEVER - time ? RP_NEVER : time + distance;
}

static int64_t random_time(void)
{
    switch (random_bits() % 16) {
    case 0:
        return timers.now;
    case 1:
        return timers.now - random_distance(40);
    case 2:
        return -random_distance(63);
    case 3:
        return RP_NEVER - (int64_t)(random_bits() % 3);
    case 4: /* a tie with another, or its neighbour */
        return add(entries[random_bits() % COUNT].timer.when, (int64_t)(random_bits() % 2));
    case 5:
        return add(timers.now, random_distance(63));
    default:
        return add(timers.now, random_distance(34));
    }
}

static void random_step(void)
{
    entry *any = &entries[random_bits() % COUNT];
    uint64_t kind = random_bits() % 8;

    if (kind < 5 && !any->in) {
        insert(any, random_time());
    } else if (kind < 7 && any->in) {
        rp_timers_remove(&timers, &any->timer);
        any->in = false;
    } else if (kind == 7) {
        int64_t next = rp_timers_next(&timers);
        int64_t now = random_bits() % 2 && next != RP_NEVER && next > timers.now
                          ? next
                          : add(timers.now, random_distance(36));
        expire_and_compare(now);
    }
}

static void compare_with_model(uint64_t seed)
{
    fprintf(stderr, "RP_TEST_SEED=%llu\n", (unsigned long long)seed);
    state = seed;
    memset(entries, 0, sizeof entries);
    inserted = 0;
    set_up(random_distance(50));
    for (int i = 0; i < 4000; i++) {
        random_step();
        check_next_and_count();
    }
    expire_and_compare(RP_NEVER);
}

TEST(random_sequences_agree_with_the_model)
{
    const char *fixed = getenv("RP_TEST_SEED");

    if (fixed) {
        compare_with_model(strtoull(fixed, NULL, 10));
        return;
    }
    for (int i = 0; i < (test_slow() ? 10 : 100); i++)
        compare_with_model(((uint64_t)rp_monotonic() << 8 | (uint64_t)i) | 1);
}

/* A sleeper that trusts rp_timers_next() wakes a few times for each timer at the most, and is never late. */
TEST(few_wake_ups)
{
    int wakeups = 0;
    size_t expired = 0;

    state = 42;
    set_up(1);
    for (int i = 0; i < COUNT; i++)
        insert(&entries[i], 1 + (int64_t)(random_bits() % (uint64_t)RP_SEC(100)));
    for (int i = 0; i < COUNT; i += 2)
        rp_timers_remove(&timers, &entries[i].timer);
    while (timers.count > 0) {
        int64_t next = rp_timers_next(&timers);
        CHECK_INT(next, >, timers.now);
        expired += rp_timers_expire(&timers, next, &due);
        wakeups++;
    }
    CHECK_INT(expired, ==, COUNT / 2);
    CHECK_INT(wakeups, <=, COUNT);
}
