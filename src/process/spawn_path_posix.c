/*
 * spawn_path_posix.c - where a program may be: its path, or its name in each directory of PATH.
 *
 * It is done before the child is made, since a child that borrows its parent's memory must not allocate. What is there
 * only the child can tell, in its own directory and with its own rights: it tries the paths one after the other.
 */
#include "process/spawn_path_posix.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* What execvp() and Python take where there is no PATH. */
static const char usual_path[] = "/bin:/usr/bin";

static const char *search_path(const char *const *env)
{
    const char *path = NULL;

    if (!env)
        path = getenv("PATH");
    for (; env && *env && !path; env++)
        path = strncmp(*env, "PATH=", 5) == 0 ? *env + 5 : NULL;
    return path ? path : usual_path;
}

/* Writes "directory/program", or "program" for a part that is empty, and returns its end. */
static char *join(char *to, const char *directory, size_t length, const char *program)
{
    memcpy(to, directory, length);
    to += length;
    if (length > 0 && to[-1] != '/')
        *to++ = '/';
    return stpcpy(to, program) + 1;
}

char **rp_spawn_paths(const char *program, const char *const *env)
{
    const char *path = strchr(program, '/') ? "" : search_path(env);
    size_t parts = 1;

    for (const char *colon = path; (colon = strchr(colon, ':')); colon++)
        parts++;
    char **paths = rp_malloc((parts + 1) * sizeof *paths + strlen(path) + parts * (strlen(program) + 2));
    if (!paths)
        return NULL;
    char *text = (char *)(paths + parts + 1);
    for (size_t i = 0; i < parts; i++) {
        size_t length = strcspn(path, ":");

        paths[i] = text;
        text = join(text, path, length, program);
        path += length + 1;
    }
    paths[parts] = NULL;
    return paths;
}
