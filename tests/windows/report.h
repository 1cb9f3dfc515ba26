/*
 * report.h - what the programs of a test run have printed, put together: what was found, what failed, what was skipped.
 */
#ifndef RP_TESTS_WINDOWS_REPORT_H
#define RP_TESTS_WINDOWS_REPORT_H

#include <stddef.h>

/* Text that grows. */
typedef struct report_text {
    char *text; /* malloc()'s; NULL: nothing yet */
    size_t length;
} report_text;

typedef struct report {
    int passed, failed, skipped;
    report_text findings, failures, skips;
} report;

/* What is known of the program that is running. */
typedef struct report_program {
    const char *name;
    int passed, failed, skipped; /* in its last line */
    int ended;                   /* whether there was such a line */
    int failing;                 /* whether a failure's output follows */
} report_program;

/* Takes a line that the program has printed, with or without its end. */
void report_line(report *all, report_program *program, const char *line);

/* Takes the program's exit status: one that died, or never told what it had run, has failed. */
void report_exit(report *all, report_program *program, int status);

/* The whole, with the sum as its last line, to be freed by free(); frees what it was made of. *status: of the run. */
char *report_end(report *all, int *status);

#endif
