/*
 * timers.c - the wheel of timers.h: 11 levels of 64 slots, a slot a list, a bitmap of the used slots of each
 * level.
 *
 * With (level, slot) as timers.h defines them, all timers of a level agree with `now` in every higher digit and
 * have a greater one at the level itself. So the earliest timers of all are in the lowest used slot of the lowest
 * used level: two bit scans find them.
 */
#include "loop/timers.h"

#include <assert.h>

static rp_timer *timer_of(rp_node *node)
{
    return rp_container_of(node, rp_timer, handle.link);
}

static unsigned level_of(int64_t due, int64_t now)
{
    return (63u - (unsigned)__builtin_clzll((uint64_t)(due ^ now))) / RP_TIMERS_DIGIT;
}

static unsigned slot_of(int64_t due, unsigned level)
{
    return (unsigned)((uint64_t)due >> (level * RP_TIMERS_DIGIT)) % RP_TIMERS_SLOTS;
}

void rp_timers_init(rp_timers *timers, int64_t now)
{
    assert(now >= 0);
    timers->now = now;
    timers->count = 0;
    rp_list_init(&timers->overdue);
    for (unsigned level = 0; level < RP_TIMERS_LEVELS; level++) {
        timers->used[level] = 0;
        for (unsigned slot = 0; slot < RP_TIMERS_SLOTS; slot++)
            rp_list_init(&timers->slots[level][slot].timers);
    }
}

/* Puts a timer that is due after `now` into its slot. */
static void put(rp_timers *timers, rp_timer *timer)
{
    unsigned level = level_of(timer->when, timers->now);
    unsigned index = slot_of(timer->when, level);
    rp_timer_slot *slot = &timers->slots[level][index];
    uint64_t bit = UINT64_C(1) << index;

    if (!(timers->used[level] & bit) || timer->when < slot->earliest)
        slot->earliest = timer->when;
    timers->used[level] |= bit;
    rp_list_push(&slot->timers, &timer->handle.link);
}

void rp_timers_insert(rp_timers *timers, rp_timer *timer)
{
    timers->count++;
    if (timer->when <= timers->now)
        rp_list_push(&timers->overdue, &timer->handle.link);
    else
        put(timers, timer);
}

void rp_timers_remove(rp_timers *timers, rp_timer *timer)
{
    rp_node *node = &timer->handle.link;

    /* The last of its list: both neighbours are the head. The overdue have no bit to clear. */
    if (node->next == node->prev && timer->when > timers->now) {
        unsigned level = level_of(timer->when, timers->now);
        timers->used[level] &= ~(UINT64_C(1) << slot_of(timer->when, level));
    }
    rp_list_remove(node);
    timers->count--;
}

/* The slot that holds the earliest timers of the wheel: its level and index, or false if all are empty. */
static bool earliest_slot(const rp_timers *timers, unsigned *level, unsigned *index)
{
    for (*level = 0; *level < RP_TIMERS_LEVELS; ++*level)
        if (timers->used[*level]) {
            *index = (unsigned)__builtin_ctzll(timers->used[*level]);
            return true;
        }
    return false;
}

int64_t rp_timers_next(const rp_timers *timers)
{
    unsigned level, index;

    if (!rp_list_empty(&timers->overdue))
        return 0;
    return earliest_slot(timers, &level, &index) ? timers->slots[level][index].earliest : RP_NEVER;
}

/* ---- the overdue: a stable merge sort of runs linked by `next` alone, ended by NULL ---- */

static rp_node *merge(rp_node *first, rp_node *second)
{
    rp_node *merged = NULL, **end = &merged;

    while (first && second) {
        rp_node **lesser = timer_of(second)->when < timer_of(first)->when ? &second : &first;
        *end = *lesser;
        end = &(*lesser)->next;
        *lesser = *end;
    }
    *end = first ? first : second;
    return merged;
}

/* runs[i] is empty or a sorted run of 2^i timers that were inserted before those of all lower ones. */
static rp_node *sort(rp_node *list)
{
    rp_node *runs[64] = {NULL}, *sorted = NULL;

    while (list) {
        rp_node *run = list;
        unsigned i = 0;
        list = list->next;
        run->next = NULL;
        for (; runs[i]; i++) {
            run = merge(runs[i], run);
            runs[i] = NULL;
        }
        runs[i] = run;
    }
    for (unsigned i = 0; i < 64; i++)
        sorted = merge(runs[i], sorted);
    return sorted;
}

static size_t expire_overdue(rp_timers *timers, rp_node *due)
{
    rp_node *node, *next;
    size_t count = 0;

    if (rp_list_empty(&timers->overdue))
        return 0;
    timers->overdue.prev->next = NULL;
    for (node = sort(timers->overdue.next); node; node = next, count++) {
        next = node->next;
        rp_list_push(due, node);
    }
    rp_list_init(&timers->overdue);
    return count;
}

/* ---- the wheel ---- */

/* The first point in time of a slot: `now` with the slot at its level's digit and zeros below. */
static int64_t slot_base(const rp_timers *timers, unsigned level, unsigned index)
{
    unsigned shift = level * RP_TIMERS_DIGIT;
    uint64_t below_next_level = ((uint64_t)RP_TIMERS_SLOTS << shift) - 1; /* the top level: all ones */

    return (int64_t)(((uint64_t)timers->now & ~below_next_level) | ((uint64_t)index << shift));
}

/* Deals out a slot whose base `now` has just become: to `due`, or to lower levels, which are empty. */
static size_t deal_out(rp_timers *timers, unsigned level, unsigned index, rp_node *due)
{
    rp_node *head = &timers->slots[level][index].timers;
    rp_node *node = head->next, *next;
    size_t count = 0;

    rp_list_init(head);
    timers->used[level] &= ~(UINT64_C(1) << index);
    for (; node != head; node = next) {
        next = node->next;
        if (timer_of(node)->when > timers->now) {
            put(timers, timer_of(node));
        } else {
            rp_list_push(due, node);
            count++;
        }
    }
    return count;
}

size_t rp_timers_expire(rp_timers *timers, int64_t now, rp_node *due)
{
    size_t count = expire_overdue(timers, due);
    unsigned level, index;

    assert(now >= timers->now);
    while (earliest_slot(timers, &level, &index)) {
        int64_t base = slot_base(timers, level, index);
        if (base > now)
            break;
        timers->now = base;
        count += deal_out(timers, level, index, due);
    }
    /*
     * A step of `now` up to, but not past, the earliest slot moves no other slot's timers to another place. Take a
     * timer in a slot of level L with base B: old now <= new now < B. The old one and B agree in all digits above
     * L, hence so does the new one, which lies between; and its digit at L is less than B's, as below it B has
     * zeros. So L is still the highest digit in which the timer differs from `now`.
     */
    timers->now = now;
    timers->count -= count;
    return count;
}

void rp_timers_take_all(rp_timers *timers, rp_node *all)
{
    unsigned level, index;

    rp_list_splice(all, &timers->overdue);
    while (earliest_slot(timers, &level, &index)) {
        rp_list_splice(all, &timers->slots[level][index].timers);
        timers->used[level] &= ~(UINT64_C(1) << index);
    }
    timers->count = 0;
}
