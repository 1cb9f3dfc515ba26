/*
 * record.h - a protocol that keeps a record of what its transport tells it, and can be told to do something then.
 */
#ifndef RP_TESTS_RECORD_H
#define RP_TESTS_RECORD_H

#include "harness/wire.h"

typedef struct record record;
struct record {
    rp_transport *transport;
    char *data; /* all that came; to be freed by the test */
    size_t length;
    size_t capacity;
    int made, eofs, lost, pauses, resumes;
    int error;      /* that the connection was lost by */
    bool keep_open; /* after the peer's end */
    void (*on_data)(record *record);
    void (*on_resume)(record *record);
    void (*on_lost)(record *record);
    size_t buffer_size; /* for get_buffer */
    char buffer[4096];
};

/* Its callbacks, and two protocols of them: one that is given the data, and one that gives a buffer for it. */
void record_made(void *self, rp_transport *transport);
void record_data(void *self, const void *data, size_t length);
bool record_eof(void *self);
void record_lost(void *self, int error);
void record_paused(void *self);
void record_resumed(void *self);
void record_buffer(void *self, size_t hint, void **data, size_t *length);
void record_updated(void *self, size_t length);

extern const rp_protocol record_plain, record_buffered;

/* A transport of one end of a TCP connection; the other end is returned. */
int record_start(rp_loop *loop, const rp_protocol *protocol, record *r);

/* Writes so many bytes, which can be told apart, from that place of the stream on. */
void record_write(record *r, size_t length, uint64_t at);

#endif
