/*
 * run.c - runs the test programs that lie in the same folder, one after the other, and reports.
 *
 *     real-windows.exe [part of a name]...
 *
 * The report is printed, and left in report.txt beside the programs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#include "windows/report.h"

enum { MAX_PROGRAMS = 512, NAME_SIZE = 64 };

typedef struct programs {
    char names[MAX_PROGRAMS][NAME_SIZE]; /* without "test_" and ".exe" */
    int count;
} programs;

static void enter_own_folder(void)
{
    wchar_t path[MAX_PATH];
    DWORD length = GetModuleFileNameW(NULL, path, MAX_PATH);

    if (length == 0 || length >= MAX_PATH) {
        fprintf(stderr, "the path of this folder is too long\n");
        exit(1);
    }
    *wcsrchr(path, L'\\') = L'\0';
    SetCurrentDirectoryW(path);
}

static int is_chosen(const char *name, char **parts)
{
    if (!*parts)
        return 1;
    for (; *parts; parts++)
        if (strstr(name, *parts))
            return 1;
    return 0;
}

static int compare(const void *left, const void *right)
{
    return strcmp(left, right);
}

static void find_programs(programs *found, char **parts)
{
    WIN32_FIND_DATAA file;
    HANDLE search = FindFirstFileA("test_*.exe", &file);
    BOOL more = search != INVALID_HANDLE_VALUE;

    for (; more && found->count < MAX_PROGRAMS; more = FindNextFileA(search, &file)) {
        char *name = found->names[found->count];

        if (snprintf(name, NAME_SIZE, "%s", file.cFileName + 5) >= NAME_SIZE)
            continue;
        name[strlen(name) - 4] = '\0';
        found->count += is_chosen(name, parts);
    }
    qsort(found->names, (size_t)found->count, NAME_SIZE, compare);
}

static void run_program(report *all, const char *name)
{
    report_program program = {.name = name};
    char line[4096];

    snprintf(line, sizeof line, ".\\test_%s.exe <NUL 2>&1", name);
    printf("%-32s", name);
    fflush(stdout);
    FILE *output = _popen(line, "r");
    while (output && fgets(line, sizeof line, output))
        report_line(all, &program, line);
    report_exit(all, &program, output ? _pclose(output) : -1);
    printf(" %d passed, %d failed, %d skipped\n", program.passed, program.failed, program.skipped);
}

int main(int argc, char **argv)
{
    static programs found;
    report all = {0};
    int status;

    enter_own_folder();
    find_programs(&found, argv + 1);
    SetEnvironmentVariableA("RINGPORT_PROACTOR", "iocp");
    for (int i = 0; i < found.count; i++)
        run_program(&all, found.names[i]);
    char *text = report_end(&all, &status);
    fputs(text, stdout);
    FILE *file = fopen("report.txt", "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        printf("report.txt cannot be written in this folder\n");
    free(text);
    return status;
}
