/*
 * directory.h - what stands in a directory, batch by batch.
 */
#ifndef RP_PROACTOR_DIRECTORY_H
#define RP_PROACTOR_DIRECTORY_H

#include "ringport/base.h"

enum { RP_DIRECTORY_ROOM = 32768 };

/* A batch of entries, as the system has them. Zeroed, it is empty. */
typedef struct rp_directory_batch {
    size_t place; /* of the next one */
    size_t used;
    /* Aligned as the system wants it. */
    uint64_t room[RP_DIRECTORY_ROOM / sizeof(uint64_t)];
} rp_directory_batch;

/* An entry; its name lies in the batch. */
typedef struct rp_directory_entry {
    const char *name;
    uint64_t inode;
    uint32_t type; /* S_IFREG and so on; 0: unknown */
} rp_directory_entry;

/* Reads the next batch of an open directory, and blocks: 1, 0 at the end, or an error. Any thread. */
int rp_directory_read(rp_fd fd, rp_directory_batch *batch);

/* Takes the next entry of a batch that is neither "." nor "..": false if there is none. */
bool rp_directory_next(rp_directory_batch *batch, rp_directory_entry *entry);

#endif
