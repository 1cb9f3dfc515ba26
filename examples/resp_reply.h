/*
 * resp_reply.h - replies of Redis' protocol (RESP2), written one behind the other into memory that grows.
 */
#ifndef RESP_REPLY_H
#define RESP_REPLY_H

#include <stdbool.h>
#include <stddef.h>

enum { RESP_REPLY_LIMIT = 64 * 1024 * 1024 }; /* bytes of one reply */

/* Zeroed at first. */
typedef struct resp_reply {
    char *bytes;
    size_t length;
    size_t room;
    size_t begin; /* of the last reply */
    bool failed; /* the last reply was too long, or there was no memory for it; after its end: nor for the error */
} resp_reply;

/*
 * Stand around all that makes up one reply. What could not be written becomes an error that the client gets. If there
 * is no memory for that, `failed` stays, and nothing was written: the client would take the next reply for this one.
 */
void resp_reply_begin(resp_reply *reply);
void resp_reply_end(resp_reply *reply);

void resp_reply_status(resp_reply *reply, const char *status);
void resp_reply_error(resp_reply *reply, const char *error);
void resp_reply_integer(resp_reply *reply, long long number);
void resp_reply_string(resp_reply *reply, const char *bytes, size_t length);
void resp_reply_text(resp_reply *reply, const char *text);
void resp_reply_null(resp_reply *reply);

/* The head of an array: so many replies follow. */
void resp_reply_array(resp_reply *reply, size_t count);

/* Forgets what was written, and keeps a moderate amount of memory. */
void resp_reply_clear(resp_reply *reply);

#endif
