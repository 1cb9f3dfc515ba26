/*
 * error.c - the names and texts of errors.
 *
 * The texts are our own rather than strerror()'s, so that they are the same on every platform and need neither a
 * lock nor a buffer. Of two names for one number the table holds one: EAGAIN for EWOULDBLOCK, ENOTSUP for
 * EOPNOTSUPP.
 */
#include "ringport/error.h"

#include <stdio.h>

typedef struct error_entry {
    int number;
    const char *name;
    const char *text;
} error_entry;

#define ROW(name, text, ...) {-(name), #name, text},
#define OWN_ENTRY(name, value, text) {value, #name, text},

static const error_entry errors[] = {
#include "base/errors.inc"
    RP_OWN_ERRORS(OWN_ENTRY)};

static const error_entry *find(int error)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (errors[i].number == error)
            return &errors[i];
    return NULL;
}

const char *rp_strerror(int error)
{
    static _Thread_local char unknown[32];
    const error_entry *entry = find(error);

    if (entry)
        return entry->text;
    if (error == 0)
        return "success";
    snprintf(unknown, sizeof unknown, "unknown error %d", error);
    return unknown;
}

const char *rp_errname(int error)
{
    const error_entry *entry = find(error);

    if (entry)
        return entry->name;
    return error == 0 ? "OK" : "EUNKNOWN";
}
