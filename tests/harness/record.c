/*
 * record.c - the callbacks of that protocol. They check what holds for every transport: made first, lost last, no data
 * after the end, pauses and resumptions in turn.
 */
#include "harness/record.h"

#include <stdlib.h>

void record_made(void *self, rp_transport *transport)
{
    record *r = self;

    r->made++;
    r->transport = transport;
}

static void keep(record *r, const void *data, size_t length)
{
    CHECK_INT(r->made, ==, 1);
    CHECK_INT(r->eofs + r->lost, ==, 0);
    if (r->length + length > r->capacity) {
        r->capacity = 2 * (r->length + length);
        r->data = realloc(r->data, r->capacity);
    }
    memcpy(r->data + r->length, data, length);
    r->length += length;
    if (r->on_data)
        r->on_data(r);
}

void record_data(void *self, const void *data, size_t length)
{
    CHECK_INT(length, >, 0);
    keep(self, data, length);
}

bool record_eof(void *self)
{
    record *r = self;

    r->eofs++;
    return r->keep_open;
}

void record_lost(void *self, int error)
{
    record *r = self;

    r->lost++;
    r->error = error;
    if (r->on_lost)
        r->on_lost(r);
}

void record_paused(void *self)
{
    record *r = self;

    CHECK_INT(r->pauses, ==, r->resumes);
    r->pauses++;
}

void record_resumed(void *self)
{
    record *r = self;

    r->resumes++;
    CHECK_INT(r->pauses, ==, r->resumes);
    if (r->on_resume)
        r->on_resume(r);
}

void record_buffer(void *self, size_t hint, void **data, size_t *length)
{
    record *r = self;

    CHECK_INT(hint, >, 0);
    *data = r->buffer;
    *length = r->buffer_size;
}

void record_updated(void *self, size_t length)
{
    record *r = self;

    CHECK(length > 0 && length <= r->buffer_size);
    keep(r, r->buffer, length);
}

const rp_protocol record_plain = {.connection_made = record_made,
                                  .data_received = record_data,
                                  .eof_received = record_eof,
                                  .connection_lost = record_lost,
                                  .pause_writing = record_paused,
                                  .resume_writing = record_resumed};
const rp_protocol record_buffered = {.connection_made = record_made,
                                     .get_buffer = record_buffer,
                                     .buffer_updated = record_updated,
                                     .eof_received = record_eof,
                                     .connection_lost = record_lost};

int record_start(rp_loop *loop, const rp_protocol *protocol, record *r)
{
    rp_transport *transport;
    int here, there;

    wire_pair(&here, &there);
    CHECK_INT(rp_connect_accepted_socket(loop, here, protocol, r, &transport), ==, 0);
    CHECK_INT(r->made, ==, 1);
    CHECK(r->transport == transport);
    return there;
}

void record_write(record *r, size_t length, uint64_t at)
{
    char *bytes = malloc(length);

    wire_fill(bytes, length, at);
    CHECK_INT(rp_transport_write(r->transport, bytes, length), ==, 0);
    free(bytes);
}
