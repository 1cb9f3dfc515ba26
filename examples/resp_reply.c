/*
 * resp_reply.c - the writer of resp_server.c; it knows nothing of ringport.
 */
#include "resp_reply.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM = 64 * 1024 };

static bool make_room(resp_reply *reply, size_t more)
{
    size_t room = reply->room == 0 ? ROOM : reply->room;

    while (room - reply->length < more)
        room *= 2;
    if (room > reply->room) {
        char *bytes = realloc(reply->bytes, room);

        if (!bytes)
            return false;
        reply->bytes = bytes;
        reply->room = room;
    }
    return true;
}

/* The room may be more than one reply is to have. */
static void append(resp_reply *reply, const char *bytes, size_t length)
{
    if (reply->failed || length > RESP_REPLY_LIMIT - (reply->length - reply->begin) ||
        (length > reply->room - reply->length && !make_room(reply, length))) {
        reply->failed = true;
        return;
    }
    memcpy(reply->bytes + reply->length, bytes, length);
    reply->length += length;
}

static void append_line(resp_reply *reply, const char *kind, const char *text)
{
    append(reply, kind, strlen(kind));
    append(reply, text, strlen(text));
    append(reply, "\r\n", 2);
}

static void append_number(resp_reply *reply, char kind, long long number)
{
    char text[32];
    char *begin = text + sizeof text;
    unsigned long long left = number < 0 ? -(unsigned long long)number : (unsigned long long)number;

    *--begin = '\n';
    *--begin = '\r';
    do
        *--begin = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    if (number < 0)
        *--begin = '-';
    *--begin = kind;
    append(reply, begin, (size_t)(text + sizeof text - begin));
}

void resp_reply_begin(resp_reply *reply)
{
    reply->begin = reply->length;
    reply->failed = false;
}

void resp_reply_end(resp_reply *reply)
{
    if (!reply->failed)
        return;
    reply->length = reply->begin;
    reply->failed = false;
    resp_reply_error(reply, "ERR the reply is too long");
    if (reply->failed)
        reply->length = reply->begin;
}

void resp_reply_status(resp_reply *reply, const char *status)
{
    append_line(reply, "+", status);
}

void resp_reply_error(resp_reply *reply, const char *error)
{
    append_line(reply, "-", error);
}

void resp_reply_integer(resp_reply *reply, long long number)
{
    append_number(reply, ':', number);
}

void resp_reply_string(resp_reply *reply, const char *bytes, size_t length)
{
    append_number(reply, '$', (long long)length);
    append(reply, bytes, length);
    append(reply, "\r\n", 2);
}

void resp_reply_text(resp_reply *reply, const char *text)
{
    resp_reply_string(reply, text, strlen(text));
}

void resp_reply_null(resp_reply *reply)
{
    append_line(reply, "$-1", "");
}

void resp_reply_array(resp_reply *reply, size_t count)
{
    append_number(reply, '*', (long long)count);
}

void resp_reply_clear(resp_reply *reply)
{
    reply->length = 0;
    if (reply->room > 16 * ROOM) {
        free(reply->bytes);
        *reply = (resp_reply){0};
    }
}
