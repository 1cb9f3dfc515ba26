/*
 * environment_windows.c - makes the block of variables that CreateProcess() takes: UTF-16, in the order of their names.
 *
 * The names are compared as Windows does it: without regard to case, and by code units. Of several with one name the
 * last one counts. A program cannot do without SYSTEMROOT (Winsock cannot), and so an environment that lacks it gets
 * this process's.
 */
#include "process/environment_windows.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include <windows.h>

#include "base/memory.h"
#include "base/wide_windows.h"
#include "ringport/error.h"

static const wchar_t needed[] = L"SYSTEMROOT";

/* A variable, and where it stood among the others. */
typedef struct variable {
    wchar_t *text; /* "NAME=value" */
    size_t name;   /* the length of its name */
    size_t place;
} variable;

typedef struct variables {
    variable *all;
    size_t count;
} variables;

/* ---- names ---- */

/* The names of the directories of drives begin with a '=': "=C:". */
static size_t name_length(const wchar_t *text)
{
    const wchar_t *end = text[0] != L'\0' ? wcschr(text + 1, L'=') : NULL;

    return end ? (size_t)(end - text) : 0;
}

static int compare_names(const wchar_t *a, size_t a_length, const wchar_t *b, size_t b_length)
{
    return CompareStringOrdinal(a, (int)a_length, b, (int)b_length, TRUE) - CSTR_EQUAL;
}

static int compare(const void *left, const void *right)
{
    const variable *a = left, *b = right;
    int order = compare_names(a->text, a->name, b->text, b->name);

    return order != 0 ? order : (a->place > b->place) - (a->place < b->place);
}

static bool is_named(const variable *v, const wchar_t *name)
{
    return compare_names(v->text, v->name, name, wcslen(name)) == 0;
}

/* ---- making ---- */

static void drop(variables *v)
{
    for (size_t i = 0; i < v->count; i++)
        rp_free(v->all[i].text);
    rp_free(v->all);
}

/* Takes the text, whatever comes of it. */
static int add(variables *v, wchar_t *text)
{
    v->all[v->count] = (variable){.text = text, .name = name_length(text), .place = v->count};
    return v->all[v->count++].name > 0 ? 0 : -EINVAL;
}

/* "SYSTEMROOT=C:\windows", unless this process has none. */
static int add_needed(variables *v)
{
    DWORD size = GetEnvironmentVariableW(needed, NULL, 0);
    size_t name = wcslen(needed) + 1;

    if (size == 0)
        return 0;
    wchar_t *text = rp_malloc((name + size) * sizeof *text);
    if (!text)
        return -ENOMEM;
    wmemcpy(text, needed, name - 1);
    text[name - 1] = L'=';
    if (GetEnvironmentVariableW(needed, text + name, size) >= size) /* it has changed meanwhile */
        text[name] = L'\0';
    return add(v, text);
}

static int gather(const char *const *environment, variables *v)
{
    bool complete = false;
    size_t count = 0;

    while (environment[count])
        count++;
    v->all = rp_calloc((count + 1) * sizeof *v->all);
    if (!v->all)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        wchar_t *text;

        RP_TRY(rp_widen(environment[i], &text));
        RP_TRY(add(v, text));
        complete |= is_named(&v->all[i], needed);
    }
    return complete ? 0 : add_needed(v);
}

/* In order; of those with one name, the last. */
static wchar_t *join(const variables *v)
{
    size_t room = 2;
    wchar_t *block, *end;

    for (size_t i = 0; i < v->count; i++)
        room += wcslen(v->all[i].text) + 1;
    end = block = rp_malloc(room * sizeof *block);
    if (!block)
        return NULL;
    for (size_t i = 0; i < v->count; i++) {
        const variable *one = &v->all[i], *next = i + 1 < v->count ? one + 1 : NULL;
        size_t length = wcslen(one->text) + 1;

        if (next && compare_names(one->text, one->name, next->text, next->name) == 0)
            continue;
        wmemcpy(end, one->text, length);
        end += length;
    }
    if (end == block) /* one that is empty ends like any other */
        *end++ = L'\0';
    *end = L'\0';
    return block;
}

int rp_environment_make(const char *const *environment, wchar_t **block)
{
    variables v = {0};
    int rc;

    *block = NULL;
    if (!environment)
        return 0;
    rc = gather(environment, &v);
    if (rc == 0) {
        qsort(v.all, v.count, sizeof v.all[0], compare);
        *block = join(&v);
        rc = *block ? 0 : -ENOMEM;
    }
    drop(&v);
    return rc;
}

/* ---- asking ---- */

int rp_environment_get(const wchar_t *block, const wchar_t *name, const wchar_t **value, wchar_t **memory)
{
    DWORD size = block ? 0 : GetEnvironmentVariableW(name, NULL, 0);

    *value = *memory = NULL;
    for (; block && *block; block += wcslen(block) + 1) {
        size_t length = name_length(block);

        if (compare_names(block, length, name, wcslen(name)) == 0) {
            *value = block + length + 1;
            return 0;
        }
    }
    if (size == 0)
        return 0;
    *memory = rp_malloc(size * sizeof **memory);
    if (!*memory)
        return -ENOMEM;
    if (GetEnvironmentVariableW(name, *memory, size) < size)
        *value = *memory;
    return 0;
}
