/* http_request.h - the head of an HTTP/1.x request: as much of it as a server needs that reads no bodies. */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct http_request {
    const char *method;
    const char *path;
    int minor;       /* it is HTTP/1.minor */
    bool keep_alive; /* the client means to go on with another request */
    bool has_body;   /* bytes follow that belong to this one */
} http_request;

/*
 * Takes a head apart, up to and with its empty line, in place: the strings point into it. False if it is not as RFC
 * 9112 has it. What two readers could understand differently is refused, never guessed.
 */
bool http_request_parse(http_request *request, char *head, size_t length);

#endif
