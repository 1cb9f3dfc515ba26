/*
 * resp_request.h - requests of Redis' protocol (RESP2), out of bytes that come in pieces: arrays of strings, and lines.
 */
#ifndef RESP_REQUEST_H
#define RESP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

enum {
    RESP_LINE_LIMIT = 64 * 1024,           /* bytes of an inline request */
    RESP_ARGUMENTS_LIMIT = 1024 * 1024,    /* strings of an array, as Redis has it */
    RESP_REQUEST_LIMIT = 64 * 1024 * 1024, /* bytes of all of it */
};

/* Where an argument stands in the request's bytes. */
typedef struct resp_argument {
    size_t offset;
    size_t length;
} resp_argument;

/* A request, as far as it has come. Zeroed at first. */
typedef struct resp_request {
    resp_argument *arguments;
    size_t count;
    size_t room;       /* in `arguments` */
    size_t at;         /* how many bytes were looked at; of a complete request, its length */
    size_t missing;    /* strings of the array that are to come */
    size_t length;     /* of the string that has begun */
    bool in_array;     /* its head was read */
    bool in_string;    /* the head of a string was read */
    const char *error; /* what is wrong with it */
} resp_request;

typedef enum resp_result {
    RESP_ERROR = -1,
    RESP_MORE,
    RESP_COMPLETE, /* `count` may be 0: nothing is asked for, nor answered */
} resp_result;

/*
 * Goes on with a request that begins at `bytes`, of which `length` have come. They may have moved since the last call.
 * Quotes of an inline request are resolved in place.
 */
resp_result resp_request_parse(resp_request *request, char *bytes, size_t length);

/* Makes ready for the next one, and keeps a moderate amount of memory. */
void resp_request_reset(resp_request *request);

void resp_request_free(resp_request *request);

/* Whether these bytes are a number as it is written, "-17" or "0", without anything else: not "017" or "-0". */
bool resp_number(const char *bytes, size_t length, long long *number);

#endif
