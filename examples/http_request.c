/*
 * http_request.c - the parser of http_server.c. It takes line by line off the head, ends each by '\0' in place of its
 * line break, and looks at every byte: nothing that is no text comes through.
 */
#include "http_request.h"

#include <string.h>
#include <strings.h>

/* How many of each there were. */
typedef struct fields {
    int hosts;
    int lengths;
    int encodings;
} fields;

static bool is_token(const char *text)
{
    static const char allowed[] = "!#$%&'*+-.^_`|~0123456789"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    return *text != '\0' && text[strspn(text, allowed)] == '\0';
}

static bool is_number(const char *text)
{
    return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* Takes the next line off, without its line break; NULL if there is none, or it holds what is no text. */
static char *cut_line(char **rest, const char *end)
{
    char *line = *rest;
    char *newline = memchr(line, '\n', (size_t)(end - line));

    if (newline == NULL || newline == line || newline[-1] != '\r')
        return NULL;
    newline[-1] = '\0';
    *rest = newline + 1;
    for (const char *c = line; c < newline - 1; c++)
        if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
            return NULL;
    return line;
}

/* CONNECT's host:port is for proxies. */
static bool is_target(const char *text)
{
    if (*text != '/' && strcmp(text, "*") != 0 && strncasecmp(text, "http://", 7) != 0)
        return false;
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

static bool parse_request_line(http_request *request, char *line)
{
    char *path = strchr(line, ' ');
    char *version = path != NULL ? strchr(path + 1, ' ') : NULL;

    if (version == NULL)
        return false;
    *path++ = '\0';
    *version++ = '\0';
    request->method = line;
    request->path = path;
    if (!is_token(line) || !is_target(path) || strncmp(version, "HTTP/1.", 7) != 0 || strlen(version + 7) != 1)
        return false;
    request->minor = version[7] - '0';
    request->keep_alive = request->minor > 0;
    return request->minor >= 0 && request->minor <= 9;
}

/* Whether a word is in a list that is separated by commas. */
static bool lists(const char *list, const char *word)
{
    for (size_t length; *list != '\0'; list += length) {
        list += strspn(list, ", \t");
        length = strcspn(list, ", \t");
        if (length == strlen(word) && strncasecmp(list, word, length) == 0)
            return true;
    }
    return false;
}

/* A folded line, or a space before the colon, is no token. */
static bool parse_field(http_request *request, fields *seen, char *name)
{
    char *value = strchr(name, ':');
    size_t length;

    if (value == NULL)
        return false;
    *value++ = '\0';
    value += strspn(value, " \t");
    for (length = strlen(value); length > 0 && strchr(" \t", value[length - 1]) != NULL; length--)
        ;
    value[length] = '\0';
    if (strcasecmp(name, "Host") == 0)
        return ++seen->hosts == 1 && strpbrk(value, " \t,/\\?#@") == NULL;
    if (strcasecmp(name, "Content-Length") == 0) {
        request->has_body |= strspn(value, "0") != length;
        return ++seen->lengths == 1 && is_number(value);
    }
    if (strcasecmp(name, "Transfer-Encoding") == 0) {
        request->has_body = true;
        return ++seen->encodings == 1 && strcasecmp(value, "chunked") == 0;
    }
    if (strcasecmp(name, "Connection") == 0 && lists(value, "close"))
        request->keep_alive = false;
    return is_token(name);
}

bool http_request_parse(http_request *request, char *head, size_t length)
{
    const char *end = head + length;
    fields seen = {0};
    char *line = cut_line(&head, end);

    *request = (http_request){0};
    if (line == NULL || !parse_request_line(request, line))
        return false;
    while ((line = cut_line(&head, end)) != NULL && *line != '\0')
        if (!parse_field(request, &seen, line))
            return false;
    if (line == NULL || head != end)
        return false;
    if (request->minor == 0)
        return seen.encodings == 0;
    return seen.hosts == 1 && seen.lengths + seen.encodings <= 1;
}
