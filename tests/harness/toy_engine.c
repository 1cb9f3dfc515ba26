/* toy_engine.c - turns bytes over, and puts a header before them. */
#include "harness/toy_engine.h"

#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "base/memory.h"
#include "harness/wire.h"
#include "net/transport.h"

typedef struct toy {
    rp_tls_engine base;
    toy_factory *factory;
    bool server;
    bool greeted; /* the peer */
    bool shaken;
    bool asking;
    bool answered;
    bool closed; /* by the peer */
    int alert;
    int error;
    size_t start, end; /* of what is pending in `plain` */
    char plain[TOY_PLAIN];
    char record[TOY_RECORD]; /* that is being written */
} toy;

static toy *toy_of(rp_tls_engine *engine)
{
    return rp_container_of(engine, toy, base);
}

static void call(toy *self)
{
    if (self->factory->called)
        self->factory->called(self->factory->arg);
}

size_t toy_record(char *to, int type, const void *data, size_t length)
{
    to[0] = (char)type;
    to[1] = (char)(length >> 8);
    to[2] = (char)length;
    for (size_t i = 0; i < length; i++)
        to[TOY_HEADER + i] = (char)~((const char *)data)[i];
    return TOY_HEADER + length;
}

void toy_send(int fd, int type, const char *text)
{
    char bytes[200];
    size_t length = toy_record(bytes, type, text, strlen(text));

    CHECK_INT(send(fd, bytes, length, MSG_NOSIGNAL), ==, (ssize_t)length);
}

static void say(toy *self, int type, const void *data, size_t length)
{
    rp_tls_output_write(self->base.output, self->record, toy_record(self->record, type, data, length));
    call(self);
}

static int fail(toy *self, int error, char alert)
{
    say(self, TOY_ALERT, &alert, 1);
    return self->error = error;
}

/* The type of the record at the front, 0 if it is not whole yet, or an error. */
static int front(toy *self, size_t *length)
{
    const rp_tls_input *input = self->base.input;

    if (input->length < TOY_HEADER || self->factory->deaf)
        return 0;
    *length = (size_t)input->data[1] << 8 | input->data[2];
    if (*length > TOY_PLAIN)
        return fail(self, RP_ETLS_PROTOCOL, TOY_ALERT_MALFORMED);
    return input->length < TOY_HEADER + *length ? 0 : input->data[0];
}

static void take(toy *self, size_t length)
{
    char header[TOY_HEADER];

    rp_tls_input_take(self->base.input, header, sizeof header);
    rp_tls_input_take(self->base.input, self->plain, length);
    for (size_t i = 0; i < length; i++)
        self->plain[i] = (char)~self->plain[i];
}

/* What is no data: 0, -EAGAIN if it is data after all, or an error. */
static int take_other(toy *self, int type, size_t length)
{
    if (type == TOY_DATA)
        return -EAGAIN;
    take(self, length);
    if (type == TOY_ASK)
        say(self, TOY_ANSWER, "", 0);
    else if (type == TOY_ANSWER)
        self->answered = self->asking;
    else if (type == TOY_CLOSE)
        self->closed = true;
    else if (type == TOY_ALERT && length == 1) {
        self->alert = self->plain[0];
        return self->error = RP_ETLS_ALERT;
    } else if (type != TOY_TICKET)
        return fail(self, RP_ETLS_PROTOCOL, TOY_ALERT_MALFORMED);
    return 0;
}

static int expect(toy *self, int expected)
{
    size_t length = 0;
    int type = front(self, &length);

    if (type <= 0)
        return type == 0 ? -EAGAIN : type;
    if (type == expected) {
        take(self, length);
        return 0;
    }
    if (type == TOY_ALERT)
        return take_other(self, type, length);
    return fail(self, type == 'G' ? RP_ETLS_PLAIN : RP_ETLS_PROTOCOL, TOY_ALERT_MALFORMED);
}

static int greet(toy *self)
{
    static const char greeting[TOY_PLAIN];

    if (self->server && self->factory->refuses)
        return fail(self, self->factory->refuses, TOY_ALERT_REFUSED);
    say(self, TOY_HELLO, greeting, self->server ? self->factory->flight : 10);
    self->greeted = true;
    return 0;
}

static int handshake(rp_tls_engine *engine)
{
    toy *self = toy_of(engine);

    call(self);
    if (self->error || self->shaken)
        return self->error;
    if (!self->server && !self->greeted)
        RP_TRY(greet(self));
    if (self->server && !self->greeted) {
        RP_TRY(expect(self, TOY_HELLO));
        RP_TRY(greet(self));
    }
    RP_TRY(expect(self, self->server ? TOY_FINISHED : TOY_HELLO));
    say(self, self->server ? TOY_TICKET : TOY_FINISHED, "session", 7);
    self->shaken = true;
    return 0;
}

static int64_t read_toy(rp_tls_engine *engine, void *buffer, size_t length)
{
    toy *self = toy_of(engine);

    call(self);
    while (self->start == self->end) {
        int type;

        if (self->error)
            return self->error;
        if (self->closed)
            return 0;
        self->start = self->end = 0;
        type = front(self, &self->end);
        if (type == TOY_DATA)
            take(self, self->end);
        else {
            size_t other = self->end;

            self->end = 0;
            if (type <= 0)
                return type == 0 ? -EAGAIN : type;
            RP_TRY(take_other(self, type, other));
        }
    }
    if (length > self->end - self->start)
        length = self->end - self->start;
    memcpy(buffer, self->plain + self->start, length);
    self->start += length;
    return (int64_t)length;
}

/* Data that nobody has read stands in the way of the answer. */
static int await_answer(toy *self)
{
    size_t length = 0;

    if (!self->asking)
        say(self, TOY_ASK, "", 0);
    self->asking = true;
    while (!self->answered) {
        int type = self->start < self->end ? 0 : front(self, &length);

        if (type <= 0)
            return type == 0 ? -EAGAIN : type;
        RP_TRY(take_other(self, type, length));
    }
    return 0;
}

static int64_t write_toy(rp_tls_engine *engine, const void *data, size_t length)
{
    toy *self = toy_of(engine);

    call(self);
    if (self->error)
        return self->error;
    if (self->factory->asks)
        RP_TRY(await_answer(self));
    self->asking = self->answered = false;
    if (length > TOY_PLAIN)
        length = TOY_PLAIN;
    say(self, TOY_DATA, data, length);
    return (int64_t)length;
}

static int shut_down(rp_tls_engine *engine)
{
    toy *self = toy_of(engine);

    call(self);
    if (self->error || self->factory->shutdown_error)
        return self->error ? self->error : self->factory->shutdown_error;
    say(self, TOY_CLOSE, "", 0);
    return 0;
}

static size_t pending(const rp_tls_engine *engine)
{
    const toy *self = rp_container_of(engine, const toy, base);

    return self->end - self->start;
}

static int alert(const rp_tls_engine *engine)
{
    return rp_container_of(engine, const toy, base)->alert;
}

static const char *text(const rp_tls_engine *engine)
{
    return rp_container_of(engine, const toy, base)->error ? "it is a toy" : NULL;
}

static void free_toy(rp_tls_engine *engine)
{
    toy *self = toy_of(engine);

    self->factory->freed++;
    rp_free(self);
}

static const rp_tls_engine_type type = {
    .handshake = handshake,
    .read = read_toy,
    .write = write_toy,
    .shutdown = shut_down,
    .pending = pending,
    .alert = alert,
    .text = text,
    .free = free_toy,
};

static int make(rp_tls_factory *base, bool server, const char *server_name, rp_tls_engine **engine)
{
    toy_factory *factory = rp_container_of(base, toy_factory, base);
    toy *self;

    if (factory->make_error)
        return factory->make_error;
    self = rp_calloc(sizeof *self);
    if (!self)
        return -ENOMEM;
    factory->made++;
    factory->server = server;
    snprintf(factory->name, sizeof factory->name, "%s", server_name ? server_name : "");
    if (!server)
        memcpy(factory->client_name, factory->name, sizeof factory->name);
    self->base.type = &type;
    self->factory = factory;
    self->server = server;
    self->alert = -1;
    *engine = &self->base;
    return 0;
}

static void no_count(rp_tls_factory *factory)
{
}

void toy_factory_init(toy_factory *factory)
{
    *factory = (toy_factory){.base = {.make = make, .ref = no_count, .unref = no_count}, .flight = 3000};
}

/* ---- pairs of filters ---- */

typedef struct pair pair;
typedef struct end {
    pair *pair;
    void *self;
    bool server;
} end;

/* It stays until both have ended their handshakes. */
struct pair {
    end ends[2];
    const rp_protocol *protocol;
    int waits;
};

toy_factory *toy_engines(void)
{
    static toy_factory factory;

    if (!factory.base.make)
        toy_factory_init(&factory);
    return &factory;
}

rp_tls_context *toy_context(void)
{
    return (rp_tls_context *)&toy_engines()->base;
}

static void on_done(void *arg, rp_transport *filter, int error)
{
    end *e = arg;
    pair *p = e->pair;

    CHECK_INT(error, ==, 0);
    rp_transport_start(filter, p->protocol, e->self);
    p->waits--;
}

static void on_below(void *self, rp_transport *below)
{
    end *e = self;
    rp_tls_filter_options options = {.server = e->server};
    rp_transport *filter;

    CHECK_INT(rp_tls_filter_new(below, &toy_engines()->base, &options, on_done, e, &filter), ==, 0);
}

/* The first is the server, whose handshake ends last. */
void start_toys(rp_loop *loop, starter *below, const rp_protocol *protocol, void *const selves[2])
{
    static const rp_protocol beginner = {.connection_made = on_below};
    static pair pairs[64];
    static int next;
    pair *p = &pairs[next++ % 64];

    *p = (pair){.ends = {{p, selves[0], true}, {p, selves[1], false}}, .protocol = protocol, .waits = 2};
    below(loop, &beginner, (void *[]){&p->ends[0], &p->ends[1]});
    if (!rp_current_task())
        RUN_UNTIL(loop, p->waits == 0);
}
