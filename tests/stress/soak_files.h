/*
 * soak_files.h - the soak's files: made, written, read, renamed, sent, copied, listed, watched and
 * removed.
 */
#ifndef RP_TESTS_SOAK_FILES_H
#define RP_TESTS_SOAK_FILES_H

#include <ringport.h>

/* One who does so, in a directory of his own. */
typedef struct soak_librarian {
    uint64_t state;    /* of chance */
    const char *bytes; /* to be written, */
    uint32_t size;     /* so many of them */
    uint64_t files, cancelled, sent, cancelled_sendings;
    const char *wrong; /* what was not as it must be; NULL: nothing */
    char directory[64];
} soak_librarian;

/* Until a point in time. 0, or an error; what was wrong is in the struct. */
int soak_files(rp_co *co, soak_librarian *librarian, int64_t until);

#endif
