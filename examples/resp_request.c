/*
 * resp_request.c - the parser of resp_server.c; it knows nothing of ringport. But for heads, which are short, it
 * looks at each byte once, however small the pieces are in which a request comes. It takes memory for what has come,
 * never for what was announced.
 */
#include "resp_request.h"

#include <stdlib.h>
#include <string.h>

enum {
    HEAD_LIMIT = 32, /* bytes of "*3\r\n" and "$5\r\n" */
    ROOM_KEPT = 64,  /* for the arguments of the next request */
};

static resp_result fail(resp_request *request, const char *error)
{
    request->error = error;
    return RESP_ERROR;
}

bool resp_number(const char *bytes, size_t length, long long *number)
{
    bool negative = length > 0 && bytes[0] == '-';
    size_t i = negative;
    unsigned long long value = 0, limit = (1ULL << 63) - !negative;

    if (i == length || (bytes[i] == '0' && length > 1))
        return false;
    for (; i < length; i++) {
        unsigned digit = (unsigned)(bytes[i] - '0');

        if (digit > 9 || value > (limit - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = (long long)(negative ? -value : value);
    return true;
}

static bool add(resp_request *request, size_t offset, size_t length)
{
    if (request->count == request->room) {
        size_t room = request->room == 0 ? 8 : 2 * request->room;
        resp_argument *arguments = realloc(request->arguments, room * sizeof *arguments);

        if (!arguments)
            return false;
        request->arguments = arguments;
        request->room = room;
    }
    request->arguments[request->count++] = (resp_argument){offset, length};
    return true;
}

/* Takes the number of "*3\r\n" or "$5\r\n" off. */
static resp_result take_head(resp_request *request, const char *bytes, size_t length, const char *error,
                             long long *number)
{
    const char *head = bytes + request->at + 1;
    size_t left = length - request->at - 1;
    const char *end = memchr(head, '\n', left < HEAD_LIMIT ? left : HEAD_LIMIT);

    if (!end)
        return left < HEAD_LIMIT ? RESP_MORE : fail(request, error);
    if (end == head || end[-1] != '\r' || !resp_number(head, (size_t)(end - 1 - head), number))
        return fail(request, error);
    request->at = (size_t)(end + 1 - bytes);
    return RESP_COMPLETE;
}

static resp_result take_string(resp_request *request, const char *bytes, size_t length)
{
    if (!request->in_string) {
        long long number;

        if (request->at == length)
            return RESP_MORE;
        if (bytes[request->at] != '$')
            return fail(request, "Protocol error: expected '$'");

        resp_result result = take_head(request, bytes, length, "Protocol error: invalid bulk length", &number);
        if (result != RESP_COMPLETE)
            return result;
        if (number < 0 || number > RESP_REQUEST_LIMIT - (long long)request->at)
            return fail(request, "Protocol error: invalid bulk length");
        request->length = (size_t)number;
        request->in_string = true;
    }
    if (length - request->at < request->length + 2)
        return RESP_MORE;
    if (memcmp(bytes + request->at + request->length, "\r\n", 2) != 0)
        return fail(request, "Protocol error: a bulk is longer than its length");
    if (!add(request, request->at, request->length))
        return fail(request, "out of memory");
    request->at += request->length + 2;
    request->in_string = false;
    request->missing--;
    return request->at > RESP_REQUEST_LIMIT ? fail(request, "Protocol error: too big request") : RESP_COMPLETE;
}

static resp_result parse_array(resp_request *request, const char *bytes, size_t length)
{
    if (!request->in_array) {
        long long number;
        resp_result result =
            take_head(request, bytes, length, "Protocol error: invalid multibulk length", &number);

        if (result != RESP_COMPLETE)
            return result;
        if (number > RESP_ARGUMENTS_LIMIT)
            return fail(request, "Protocol error: invalid multibulk length");
        request->missing = number < 0 ? 0 : (size_t)number;
        request->in_array = true;
    }
    while (request->missing > 0) {
        resp_result result = take_string(request, bytes, length);

        if (result != RESP_COMPLETE)
            return result;
    }
    return RESP_COMPLETE;
}

static unsigned hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? (unsigned)(c - '0')
           : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
           : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                  : 16;
}

/* What stands for one byte behind a backslash in double quotes; *c is moved to its last byte. */
static char unescape(const char **c, const char *end)
{
    static const char names[] = "nrtba", values[] = "\n\r\t\b\a";

    if (end - *c > 2 && **c == 'x' && hex_digit((*c)[1]) < 16 && hex_digit((*c)[2]) < 16) {
        *c += 2;
        return (char)(16 * hex_digit((*c)[-1]) + hex_digit(**c));
    }

    const char *name = memchr(names, **c, sizeof names - 1);
    return name ? values[name - names] : **c;
}

/* Copies a word without its quotes to `to`, which may be where it is. Returns its end; NULL if its quotes are wrong. */
static const char *take_word(const char *c, const char *end, char *to, size_t *length)
{
    char *begin = to;
    char quote = '\0';

    for (; c < end && (quote != '\0' || !memchr(" \t\r", *c, 3)); c++) {
        if (quote == '\0' && (*c == '"' || *c == '\'')) {
            quote = *c;
        } else if (*c == quote && quote != '\0') {
            quote = '\0';
            if (c + 1 < end && !memchr(" \t\r", c[1], 3))
                return NULL;
        } else if (*c == '\\' && c + 1 < end && (quote == '"' || (quote == '\'' && c[1] == '\''))) {
            c++;
            *to++ = quote == '"' ? unescape(&c, end) : *c;
        } else {
            *to++ = *c;
        }
    }
    *length = (size_t)(to - begin);
    return quote == '\0' ? c : NULL;
}

static resp_result parse_line(resp_request *request, char *bytes, size_t length)
{
    size_t limit = length < RESP_LINE_LIMIT ? length : RESP_LINE_LIMIT;
    const char *end = memchr(bytes + request->at, '\n', limit - request->at);

    if (!end) {
        request->at = limit;
        return limit < RESP_LINE_LIMIT ? RESP_MORE : fail(request, "Protocol error: too big inline request");
    }
    for (const char *c = bytes; c < end;) {
        size_t at = (size_t)(c - bytes), word;

        if (memchr(" \t\r", *c, 3)) {
            c++;
            continue;
        }
        c = take_word(c, end, bytes + at, &word);
        if (!c)
            return fail(request, "Protocol error: unbalanced quotes in request");
        if (!add(request, at, word))
            return fail(request, "out of memory");
    }
    request->at = (size_t)(end + 1 - bytes);
    return RESP_COMPLETE;
}

resp_result resp_request_parse(resp_request *request, char *bytes, size_t length)
{
    if (length == 0)
        return RESP_MORE;
    return bytes[0] == '*' ? parse_array(request, bytes, length) : parse_line(request, bytes, length);
}

void resp_request_reset(resp_request *request)
{
    if (request->room > ROOM_KEPT)
        resp_request_free(request);
    *request = (resp_request){.arguments = request->arguments, .room = request->room};
}

void resp_request_free(resp_request *request)
{
    free(request->arguments);
    request->arguments = NULL;
    request->room = 0;
}
