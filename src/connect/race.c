/*
 * race.c - connecting to one of several addresses: their order, the attempts at them, the first success.
 *
 * As in asyncio's staggered_race() it is the attempt that was started last whose failure starts the next one at once;
 * the failure of an earlier one leaves the delay alone. What has lost is cancelled, and its socket is closed when it
 * has ended, also if it was connected by then. The race is over when the last of them has ended.
 */
#include "connect/race.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"
#include "net/bind.h"

/* ---- the order ---- */

static void prepare(rp_race *race, rp_fd given)
{
    rp_list_init(&race->racers);
    race->given = given;
    race->winner = -1;
    race->error = -ECANCELED;
}

void rp_race_take_address(rp_race *race, const struct addrinfo *address, rp_fd given)
{
    prepare(race, given);
    race->only = address;
    race->order = &race->only;
    race->count = 1;
}

enum { FAMILIES = 4 }; /* that are told apart: what else there is counts as the last one */

typedef struct families {
    const struct addrinfo *next[FAMILIES]; /* of each, the first that is not in the order yet; NULL: none */
    int which[FAMILIES];
    int count;
} families;

/* The place of a family, which is given one if it is new. */
static int place_of_family(families *all, int family)
{
    for (int i = 0; i < all->count; i++)
        if (all->which[i] == family)
            return i;
    if (all->count == FAMILIES)
        return FAMILIES - 1;
    all->which[all->count] = family;
    return all->count++;
}

/* Takes the next address of a family out. */
static const struct addrinfo *take_next(families *all, int place)
{
    const struct addrinfo *taken = all->next[place], *info = taken;

    if (!taken)
        return NULL;
    do
        info = info->ai_next;
    while (info && place_of_family(all, info->ai_family) != place);
    all->next[place] = info;
    return taken;
}

/*
 * Families take turns, in the order in which they appear; the first one has so many turns before the others. As in
 * asyncio's _interleave_addrinfos().
 */
static void interleave_families(rp_race *race, const struct addrinfo *list, size_t ahead)
{
    families all = {.count = 0};
    size_t placed = 0;

    for (const struct addrinfo *info = list; info; info = info->ai_next) {
        int place = place_of_family(&all, info->ai_family);

        if (!all.next[place])
            all.next[place] = info;
    }
    while (placed < race->count) {
        for (int place = 0; place < (ahead > 0 ? 1 : all.count); place++) {
            const struct addrinfo *info = take_next(&all, place);

            if (info)
                race->order[placed++] = info;
        }
        if (ahead > 0)
            ahead = all.next[0] ? ahead - 1 : 0;
    }
}

int rp_race_take_list(rp_race *race, const struct addrinfo *list, int interleave)
{
    size_t i = 0;

    if (!list->ai_next) {
        rp_race_take_address(race, list, -1);
        return 0;
    }
    prepare(race, -1);
    for (const struct addrinfo *info = list; info; info = info->ai_next)
        race->count++;
    race->order = rp_calloc(race->count * sizeof(const struct addrinfo *));
    if (!race->order)
        return -ENOMEM;
    if (interleave > 0)
        interleave_families(race, list, (size_t)interleave - 1);
    else
        for (const struct addrinfo *info = list; info; info = info->ai_next)
            race->order[i++] = info;
    return 0;
}

static void drop_order(rp_race *race)
{
    if (race->order != &race->only)
        rp_free(race->order);
    race->order = NULL;
    race->count = 0;
}

/* ---- attempts ---- */

static rp_racer *new_racer(rp_race *race)
{
    rp_racer *racer = race->first.race ? rp_calloc(sizeof *racer) : &race->first;

    if (!racer)
        return NULL;
    racer->race = race;
    racer->fd = -1;
    rp_list_push(&race->racers, &racer->link);
    return racer;
}

static void free_racer(rp_racer *racer)
{
    rp_race *race = racer->race;

    rp_list_remove(&racer->link);
    if (race->last == racer)
        race->last = NULL;
    if (racer == &race->first)
        race->first.race = NULL;
    else
        rp_free(racer);
}

static void keep_error(rp_race *race, size_t place, const struct addrinfo *address, int error)
{
    rp_connect_errors *errors = race->errors;

    if (place > race->failed) {
        race->failed = place;
        race->error = error;
    }
    if (!errors)
        return;
    if (errors->count < errors->capacity) {
        rp_connect_error *kept = &errors->list[errors->count];
        size_t length = (size_t)address->ai_addrlen;

        kept->error = error;
        kept->address_length = (uint32_t)length;
        memcpy(kept->address, address->ai_addr, length < sizeof kept->address ? length : sizeof kept->address);
    }
    errors->count++;
}

void rp_race_keep_error(rp_race *race, int error)
{
    keep_error(race, race->failed + 1, race->winner_address, error);
}

/* The place of an address in the order, from 1. */
static size_t place_of(const rp_race *race, const struct addrinfo *address)
{
    size_t i = 0;

    while (race->order[i] != address)
        i++;
    return i + 1;
}

/* Makes the socket, bound to a local address if one is asked for. */
static int open_socket(rp_racer *racer)
{
    rp_race *race = racer->race;
    const struct addrinfo *address = racer->address;
    const rp_kernel *kernel = race->loop->kernel;

    racer->fd = race->given;
    race->given = -1;
    if (racer->fd >= 0)
        return 0;
    RP_TRY(rp_kernel_open(kernel, address->ai_family, address->ai_socktype, address->ai_protocol, &racer->fd));
    return race->local ? rp_bind_first(kernel, racer->fd, address->ai_family, race->local) : 0;
}

static void on_connected(rp_op *op);

static int try_address(rp_race *race, const struct addrinfo *address)
{
    rp_racer *racer = new_racer(race);
    int rc;

    if (!racer)
        return -ENOMEM;
    racer->address = address;
    rc = open_socket(racer);
    if (rc == 0) {
        rp_op_connect(&racer->connect, racer->fd, address->ai_addr, (uint32_t)address->ai_addrlen, on_connected,
                      racer);
        rc = rp_submit(race->loop, &racer->connect);
    }
    if (rc == 0) {
        race->last = racer;
        return 0;
    }
    rp_loop_close_socket(race->loop, racer->fd);
    free_racer(racer);
    return rc;
}

static void on_time(void *arg);

/* Starts attempts until one is under way after which the next has to wait. */
static void go_on(rp_race *race)
{
    rp_timer_cancel(&race->timer);
    while (!race->decided && race->next < race->count) {
        const struct addrinfo *address = race->order[race->next++];
        int rc = try_address(race, address);

        if (rc < 0)
            keep_error(race, race->next, address, rc);
        else if (race->delay == 0 || race->next == race->count ||
                 rp_call_later(race->loop, &race->timer, race->delay, on_time, race) == 0)
            break;
    }
}

/* The last thing that is done with the race, if nothing is left of it. */
static void settle(rp_race *race)
{
    if (!rp_list_empty(&race->racers))
        return;
    assert(race->decided || race->next == race->count);
    drop_order(race);
    race->over(race);
}

static void on_time(void *arg)
{
    rp_race *race = arg;

    go_on(race);
    settle(race);
}

void rp_race_start(rp_race *race)
{
    go_on(race);
    settle(race);
}

void rp_race_stop(rp_race *race)
{
    race->decided = true;
    rp_timer_cancel(&race->timer);
    for (rp_node *node = race->racers.next; node != &race->racers; node = node->next)
        rp_cancel(race->loop, &rp_container_of(node, rp_racer, link)->connect);
}

static void on_connected(rp_op *op)
{
    rp_racer *racer = op->data;
    rp_race *race = racer->race;
    const struct addrinfo *address = racer->address;
    bool was_last = race->last == racer;
    int64_t result = op->result;
    rp_fd fd = racer->fd;

    free_racer(racer);
    if (result >= 0 && race->winner < 0) {
        race->winner = fd;
        race->winner_address = address;
        rp_race_stop(race);
    } else {
        rp_loop_close_socket(race->loop, fd);
        if (!race->decided) {
            keep_error(race, place_of(race, address), address, (int)result);
            if (was_last)
                go_on(race);
        }
    }
    settle(race);
}

void rp_race_abandon(rp_race *race)
{
    while (!rp_list_empty(&race->racers)) {
        rp_racer *racer = rp_container_of(race->racers.next, rp_racer, link);

        rp_kernel_close(race->loop->kernel, racer->fd);
        free_racer(racer);
    }
    rp_kernel_close(race->loop->kernel, race->winner);
    drop_order(race);
}
