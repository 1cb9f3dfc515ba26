/*
 * program_windows.c - looks a program up as cmd.exe does, but in the child's directories: CreateProcess() by itself
 * would look in those of this process.
 *
 * A name is tried as it is if it has an extension, and then with each of those in PATHEXT that CreateProcess() can
 * start. A directory of PATH may stand in quotes.
 */
#include "process/program_windows.h"

#include <string.h>

#include <windows.h>

#include "base/memory.h"
#include "process/environment_windows.h"
#include "ringport/error.h"

/* What is looked for, and where the name of a file is made that may be it. */
typedef struct search {
    const wchar_t *name;
    const wchar_t *extensions; /* "" if the name is to be tried alone */
    const wchar_t *cwd;        /* "" or a directory */
    wchar_t *path;
} search;

static const wchar_t *const startable[] = {L".com", L".exe", L".bat", L".cmd"};
enum { STARTABLE = sizeof startable / sizeof startable[0], LONGEST_EXTENSION = 4 };

/* ---- text ---- */

static bool is_separator(wchar_t c)
{
    return c == L'\\' || c == L'/';
}

static bool same(const wchar_t *a, size_t length, const wchar_t *b)
{
    return CompareStringOrdinal(a, (int)length, b, -1, TRUE) == CSTR_EQUAL;
}

static bool has_directory(const wchar_t *name)
{
    return wcspbrk(name, L"\\/:") != NULL;
}

static const wchar_t *extension_of(const wchar_t *path)
{
    const wchar_t *dot = wcsrchr(path, L'.');

    return dot && !wcspbrk(dot, L"\\/:") ? dot : NULL;
}

static bool is_absolute(const wchar_t *path, size_t length)
{
    return (length > 1 && path[1] == L':') || (length > 0 && is_separator(path[0]));
}

bool rp_program_is_batch(const wchar_t *path)
{
    const wchar_t *extension = extension_of(path);

    return extension &&
           (same(extension, wcslen(extension), L".bat") || same(extension, wcslen(extension), L".cmd"));
}

/* ---- trying ---- */

static void append(wchar_t **end, const wchar_t *text, size_t length)
{
    wmemcpy(*end, text, length);
    *end += length;
    **end = L'\0';
}

/* A directory, behind another one; an empty one is none. */
static void append_directory(wchar_t **end, const wchar_t *directory, size_t length)
{
    append(end, directory, length);
    if (length > 0 && !is_separator(directory[length - 1]) && directory[length - 1] != L':')
        append(end, L"\\", 1);
}

static bool is_file(const wchar_t *path)
{
    DWORD attributes = GetFileAttributesW(path);

    return attributes != INVALID_FILE_ATTRIBUTES && !(attributes & FILE_ATTRIBUTE_DIRECTORY);
}

/* With each of the extensions. */
static bool try_extensions(const search *s, wchar_t *end)
{
    for (const wchar_t *next = s->extensions; *next != L'\0';) {
        size_t length = wcscspn(next, L";");

        for (int i = 0; i < STARTABLE; i++) {
            wchar_t *there = end;

            if (!same(next, length, startable[i]))
                continue;
            append(&there, startable[i], LONGEST_EXTENSION);
            if (is_file(s->path))
                return true;
        }
        next += length + (next[length] == L';');
    }
    return false;
}

/* The name in a directory. That is relative to `cwd`, unless it is absolute. */
static bool try_in(const search *s, const wchar_t *directory, size_t length)
{
    wchar_t *end = s->path;

    if (!is_absolute(directory, length))
        append_directory(&end, s->cwd, wcslen(s->cwd));
    append_directory(&end, directory, length);
    append(&end, s->name, wcslen(s->name));
    if (extension_of(s->name) && is_file(s->path))
        return true;
    return try_extensions(s, end);
}

static bool try_directories(const search *s, const wchar_t *directories)
{
    while (*directories != L'\0') {
        wchar_t quote = *directories == L'"' || *directories == L'\'' ? *directories : L'\0';
        const wchar_t *first = directories + (quote != L'\0');
        size_t length = wcscspn(first, (const wchar_t[]){quote != L'\0' ? quote : L';', L'\0'});

        if (length > 0 && try_in(s, first, length))
            return true;
        directories = first + length;
        directories += wcscspn(directories, L";");
        directories += *directories == L';';
    }
    return false;
}

static bool look(const search *s, const wchar_t *directories)
{
    if (has_directory(s->name)) {
        size_t length = wcslen(s->name);
        search there = *s;

        if (is_absolute(s->name, length))
            there.cwd = L"";
        return try_in(&there, L"", 0);
    }
    if (NeedCurrentDirectoryForExePathW(s->name) && try_in(s, L"", 0))
        return true;
    return try_directories(s, directories);
}

int rp_program_find(const wchar_t *name, const wchar_t *cwd, const wchar_t *block, wchar_t **path)
{
    const wchar_t *directories, *extensions;
    wchar_t *directories_memory = NULL, *extensions_memory = NULL;
    search s = {.name = name, .cwd = cwd ? cwd : L""};
    int rc = rp_environment_get(block, L"PATH", &directories, &directories_memory);

    *path = NULL;
    if (rc == 0)
        rc = rp_environment_get(block, L"PATHEXT", &extensions, &extensions_memory);
    if (rc == 0) {
        s.extensions = extensions && *extensions ? extensions : L".com;.exe;.bat;.cmd";
        size_t room =
            wcslen(s.cwd) + (directories ? wcslen(directories) : 0) + wcslen(name) + LONGEST_EXTENSION + 3;
        *path = s.path = rp_malloc(room * sizeof *s.path);
        rc = !s.path ? -ENOMEM : *name != L'\0' && look(&s, directories ? directories : L"") ? 0 : -ENOENT;
    }
    rp_free(directories_memory);
    rp_free(extensions_memory);
    if (rc < 0) {
        rp_free(*path);
        *path = NULL;
    }
    return rc;
}
