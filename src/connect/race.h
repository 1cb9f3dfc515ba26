/*
 * race.h - connecting to one of several addresses: which is tried next, and when (happy eyeballs, RFC 8305).
 *
 * The addresses are tried in order. The next one is started when the last one has failed, or after a delay, beside
 * those that are under way. The first that is connected wins, and the others are ended.
 */
#ifndef RP_CONNECT_RACE_H
#define RP_CONNECT_RACE_H

#include "base/list.h"
#include "base/socket.h"
#include "loop/loop.h"
#include "ringport/net.h"

typedef struct rp_race rp_race;

/* A connect that is under way. */
typedef struct rp_racer {
    rp_op connect;
    rp_race *race;
    const struct addrinfo *address;
    rp_fd fd;
    rp_node link; /* among those of its race */
} rp_racer;

/* Embedded in whoever connects. Zeroed but for these. */
struct rp_race {
    /*
     * Nothing is under way any more: called once, last, perhaps before rp_race_start() returns. It takes `winner`, and
     * may free the race.
     */
    void (*over)(rp_race *race);
    rp_loop *loop;
    int64_t delay;                /* nanoseconds; 0: none is started beside another */
    const struct addrinfo *local; /* to bind to; NULL: nothing is bound */
    rp_connect_errors *errors;    /* NULL: they are not kept */

    rp_fd given; /* a socket to connect in place of a new one; -1: none */
    const struct addrinfo **order;
    size_t count, next;
    const struct addrinfo *only; /* the order, if there is one address */
    rp_node racers;
    rp_racer *last; /* that was started last, while it is under way; NULL: none */
    rp_racer first; /* the memory of one of them */
    rp_timer timer;
    size_t failed; /* the last place in the order, from 1, of an address that has failed; 0: none has */
    int error;     /* of that address; -ECANCELED: none has */
    rp_fd winner;  /* the socket that was connected first; -1: none, and `error` tells why */
    const struct addrinfo *winner_address;
    bool decided; /* there is one, or it was stopped: nothing is started any more */
};

/* Takes one address, which lives as long as the race, and a socket for it, or -1. */
void rp_race_take_address(rp_race *race, const struct addrinfo *address, rp_fd given);

/*
 * Takes the addresses of a list, which lives as long as the race, from each family in turn after `interleave` of the
 * first one; 0: as they are. -ENOMEM.
 */
int rp_race_take_list(rp_race *race, const struct addrinfo *list, int interleave);

/* Begins. */
void rp_race_start(rp_race *race);

/* Asks for the end of what is under way. What is connected already wins nevertheless. */
void rp_race_stop(rp_race *race);

/* Somebody has won, and it came to nothing: keeps why, beside the errors of the others. */
void rp_race_keep_error(rp_race *race, int error);

/* The loop is closed: frees what is left, and nothing is called any more. */
void rp_race_abandon(rp_race *race);

#endif
