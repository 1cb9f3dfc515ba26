/*
 * resp_commands.h - what resp_server.c does when it is asked: a table of Redis' commands, with a function for each.
 */
#ifndef RESP_COMMANDS_H
#define RESP_COMMANDS_H

#include "resp_reply.h"
#include "resp_request.h"
#include "resp_store.h"

/* What all connections share. */
typedef struct resp_service {
    resp_store store;
    const char *backend;
    size_t clients;
    size_t held; /* bytes for them, of requests that have begun and of replies */
    unsigned long long calls;
} resp_service;

/* What belongs to one connection. Zeroed at first. */
typedef struct resp_session {
    size_t database;
    bool ended; /* by QUIT, or because the client cannot be answered any more */
} resp_session;

/* Does what a complete request asks for, and writes the reply. `bytes` are the request's. */
void resp_execute(resp_service *service, resp_session *session, const resp_request *request, const char *bytes,
                  resp_reply *reply);

#endif
