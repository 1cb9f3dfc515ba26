/*
 * test_wall_maps.c - a process that has used up its memory mappings: no stack can be had, and whoever asks for one is
 * told; what runs goes on; stacks without room for a guard do without; and all comes back.
 */
#include <stdio.h>
#include <sys/mman.h>

#include "harness/hide.h"
#include "harness/platform.h"
#include "harness/tasks.h"

enum { MANY = 3000 };

/* ---- the limit ---- */

/* Pages whose protection alternates: a mapping each. */
static char *pages;
static size_t page, count, used;

/* And mappings of their own, to the last. */
static void *single[100];
static int singles;

static void set_page(size_t index, int protection)
{
    CHECK_INT(mprotect(pages + index * page, page, protection), ==, 0);
}

/* Takes all mappings but about so many. */
static void take_mappings(size_t but)
{
    FILE *file;
    unsigned long limit = 0;

    if (test_slow())
        SKIP("sanitizers need mappings of their own");
    file = fopen("/proc/sys/vm/max_map_count", "re");
    CHECK(file != NULL && fscanf(file, "%lu", &limit) == 1);
    fclose(file);
    if (limit > 300000)
        SKIP("the limit of mappings is %lu: too many to use up", limit);
    page = (size_t)sysconf(_SC_PAGESIZE);
    count = limit + 1000;
    pages = mmap(NULL, count * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(pages != MAP_FAILED);
    for (used = 1; used < count && mprotect(pages + used * page, page, PROT_READ) == 0;)
        used += 2;
    CHECK(used < count && errno == ENOMEM);
    while ((single[singles] = mmap(NULL, page, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) != MAP_FAILED)
        CHECK_INT(++singles, <, 100);
    for (size_t left = 0; left < but; left += 2)
        set_page(used -= 2, PROT_READ | PROT_WRITE);
}

static void give_back_mappings(void)
{
    while (singles > 0)
        CHECK_INT(munmap(single[--singles], page), ==, 0);
    CHECK_INT(munmap(pages, count * page), ==, 0);
}

/* ---- tasks ---- */

static int alive;

static int wait_for_the_end(rp_co *co, void *arg)
{
    alive++;
    int rc = rp_event_wait(co, arg);
    alive--;
    return rc;
}

/* As many tasks as there can be, but not more than that: how many, and in *rc why not more. */
static int create_tasks(rp_co *co, rp_group *group, rp_event *event, int most, int *rc)
{
    int created = 0;

    *rc = 0;
    while (created < most && (*rc = rp_group_create_task(group, NULL, wait_for_the_end, event)) == 0)
        created++;
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(rp_sleep(co, 0), ==, 0);
    CHECK_INT(alive, ==, created);
    return created;
}

static void end_tasks(rp_co *co, rp_group *group, rp_event *event)
{
    rp_event_set(event);
    CHECK_INT(rp_group_end(co, group, 0), ==, 0);
    rp_event_clear(event);
    CHECK_INT(alive, ==, 0);
}

CO_TEST(no_room_for_a_stack_is_an_error_of_its_creation)
{
    rp_event event;
    rp_group group;
    int rc;

    rp_event_init(&event);
    for (int round = 0; round < 2; round++) {
        take_mappings(0);
        rp_group_begin(co, &group);
        int few = create_tasks(co, &group, &event, MANY, &rc);
        CHECK_INT(rc, ==, -ENOMEM);
        CHECK_INT(few, <, MANY);
        end_tasks(co, &group, &event);
        give_back_mappings();
        rp_group_begin(co, &group);
        if (round == 1) {
            CHECK_INT(create_tasks(co, &group, &event, MANY, &rc), ==, MANY);
            CHECK_INT(rc, ==, 0);
        }
        end_tasks(co, &group, &event);
    }
}

/* ---- guards ---- */

static int no_room_for_guards(rp_co *co, void *arg)
{
    rp_event event;
    rp_group group;
    int rc;

    rp_event_init(&event);
    take_mappings(20); /* for the guards of a part of the stacks; this task's slab has room for all of these */
    rp_group_begin(co, &group);
    CHECK_INT(create_tasks(co, &group, &event, 60, &rc), ==, 60);
    end_tasks(co, &group, &event);
    give_back_mappings();
    return 0;
}

TEST(a_task_does_without_its_guard)
{
    hide_features("guard_pages");
    CHECK_INT(rp_run(no_room_for_guards, NULL), ==, 0);
}

/* More guards than the process may have mappings. */
static int more_than_there_are_mappings(rp_co *co, void *arg)
{
    enum { MOST = 35000 };
    rp_event event;
    rp_group group;
    int rc;

    rp_event_init(&event);
    rp_group_begin(co, &group);
    CHECK_INT(create_tasks(co, &group, &event, MOST, &rc), ==, MOST);
    end_tasks(co, &group, &event);
    return 0;
}

TEST(more_guards_than_mappings)
{
    if (test_slow())
        SKIP("too many for instrumented code");
    hide_features("guard_pages");
    CHECK_INT(rp_run(more_than_there_are_mappings, NULL), ==, 0);
}

/* ---- giving back ---- */

/* The process's address space, in KiB. */
static long address_space(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    long size = 0;

    CHECK(file != NULL && fscanf(file, "%ld", &size) == 1);
    fclose(file);
    return size * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Most tasks end between two lots of others, whose stacks stay: giving theirs back leaves a hole. */
static int ended_in_the_middle(rp_co *co, void *arg)
{
    enum { LOTS = 3 };
    static const int sizes[LOTS] = {200, MANY, 200};
    rp_event over[LOTS];
    rp_group groups[LOTS];

    for (int i = 0; i < LOTS; i++) {
        rp_event_init(&over[i]);
        rp_group_begin(co, &groups[i]);
        for (int j = 0; j < sizes[i]; j++)
            CHECK_INT(rp_group_create_task(&groups[i], NULL, wait_for_the_end, &over[i]), ==, 0);
    }
    settle(co);
    take_mappings(0);
    rp_event_set(&over[1]);
    settle(co);
    CHECK_INT(alive, ==, sizes[0] + sizes[2]);
    give_back_mappings();
    rp_event_set(&over[0]);
    rp_event_set(&over[2]);
    for (int i = LOTS - 1; i >= 0; i--)
        CHECK_INT(rp_group_end(co, &groups[i], 0), ==, 0);
    return 0;
}

TEST(stacks_are_given_back_where_no_mapping_can_be_split)
{
    long before = address_space();

    CHECK_INT(rp_run(ended_in_the_middle, NULL), ==, 0);
    CHECK_INT(address_space() - before, <, 16 * 1024);
}
