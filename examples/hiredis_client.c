/*
 * hiredis_client.c - hiredis_client port|path tasks count: hiredis on the loop. Tasks share one connection to a
 * Redis, and each increments a number so often, awaiting each reply; a command that blocks meets a time limit.
 */
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <ringport.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct connection {
    redisAsyncContext *context; /* NULL: it is lost, and hiredis has freed it */
    char error[128];
    int tasks;
    int count;
} connection;

/* ---- hiredis' hooks: what it would like to be told of ---- */

typedef struct hooks {
    rp_loop *loop;
    redisAsyncContext *context;
    rp_handle ending;
} hooks;

/* They may free the context, and the hooks with it, by cleanup(). */
static void readable(rp_fd fd, void *arg)
{
    const hooks *h = arg;

    (void)fd;
    redisAsyncHandleRead(h->context);
}

static void writable(rp_fd fd, void *arg)
{
    const hooks *h = arg;

    (void)fd;
    redisAsyncHandleWrite(h->context);
}

static void end_connection(void *arg)
{
    const hooks *h = arg;
    connection *c = h->context->data;

    c->context = NULL;
    redisAsyncFree(h->context);
}

/* Else all tasks would wait for good. hiredis may be amid something: the connection ends in the next turn. */
static void check(hooks *h, int rc)
{
    connection *c = h->context->data;

    if (rc < 0) {
        snprintf(c->error, sizeof c->error, "%s", rp_strerror(rc));
        rp_call_soon(h->loop, &h->ending, end_connection, h);
    }
}

static void add_read(void *arg)
{
    hooks *h = arg;

    check(h, rp_add_reader(h->loop, h->context->c.fd, readable, h));
}

static void del_read(void *arg)
{
    const hooks *h = arg;

    rp_remove_reader(h->loop, h->context->c.fd);
}

static void add_write(void *arg)
{
    hooks *h = arg;

    check(h, rp_add_writer(h->loop, h->context->c.fd, writable, h));
}

static void del_write(void *arg)
{
    const hooks *h = arg;

    rp_remove_writer(h->loop, h->context->c.fd);
}

static void cleanup(void *arg)
{
    hooks *h = arg;

    del_read(arg);
    del_write(arg);
    rp_handle_cancel(&h->ending);
    free(h);
}

static int attach(rp_loop *loop, redisAsyncContext *context)
{
    hooks *h = malloc(sizeof *h);

    if (!h)
        return -ENOMEM;
    *h = (hooks){.loop = loop, .context = context};
    context->ev.data = h;
    context->ev.addRead = add_read;
    context->ev.delRead = del_read;
    context->ev.addWrite = add_write;
    context->ev.delWrite = del_write;
    context->ev.cleanup = cleanup;
    return 0;
}

/* ---- a connection, and commands that are awaited ---- */

static void lost(const redisAsyncContext *context, int status)
{
    connection *c = context->data;

    if (status != REDIS_OK)
        snprintf(c->error, sizeof c->error, "%s", context->errstr);
    c->context = NULL;
}

static void connected(const redisAsyncContext *context, int status)
{
    if (status != REDIS_OK)
        lost(context, status);
}

static int open_connection(rp_co *co, connection *c, const char *where)
{
    redisAsyncContext *context =
        strchr(where, '/') ? redisAsyncConnectUnix(where) : redisAsyncConnect("127.0.0.1", atoi(where));
    int rc = context ? 0 : -ENOMEM;

    if (context && context->err) {
        snprintf(c->error, sizeof c->error, "%s", context->errstr);
        rc = -ECONNREFUSED;
    }
    if (rc == 0)
        rc = attach(rp_co_loop(co), context);
    if (rc < 0) {
        if (context)
            redisAsyncFree(context);
        return rc;
    }
    context->data = c;
    c->context = context;
    redisAsyncSetConnectCallback(context, connected);
    redisAsyncSetDisconnectCallback(context, lost);
    return 0;
}

/* A command on its way: whoever comes last, the reply or the task that gave it up, frees it. */
typedef struct command {
    rp_future *replied;
    char *text;
    int error;
    bool over;
} command;

static void give_up(command *cmd)
{
    if (!cmd->over) {
        cmd->over = true;
        return;
    }
    rp_future_unref(cmd->replied);
    free(cmd->text);
    free(cmd);
}

/* The reply belongs to hiredis, and is gone when this returns. NULL: there will be none. */
static void replied(redisAsyncContext *context, void *reply, void *arg)
{
    const redisReply *r = reply;
    command *cmd = arg;
    char number[32];

    (void)context;
    if (!r) {
        cmd->error = -ECONNRESET;
    } else {
        snprintf(number, sizeof number, "%lld", r->integer);
        cmd->text = strdup(r->type == REDIS_REPLY_INTEGER ? number : r->str ? r->str : "");
        cmd->error = !cmd->text ? -ENOMEM : r->type == REDIS_REPLY_ERROR ? -EPROTO : 0;
    }
    if (!rp_future_done(cmd->replied))
        rp_future_set_result(cmd->replied, NULL);
    give_up(cmd);
}

/* Sends a command, and suspends until its reply has come, as text, which is the caller's. */
static int ask(rp_co *co, connection *c, char **text, const char *format, ...)
{
    command *cmd = calloc(1, sizeof *cmd);
    va_list arguments;
    int rc = cmd ? rp_future_new(rp_co_loop(co), &cmd->replied) : -ENOMEM;

    *text = NULL;
    if (rc == 0) {
        va_start(arguments, format);
        if (!c->context || redisvAsyncCommand(c->context, replied, cmd, format, arguments) != REDIS_OK) {
            rp_future_unref(cmd->replied);
            rc = -ENOTCONN;
        }
        va_end(arguments);
    }
    if (rc < 0) {
        free(cmd);
        return rc;
    }
    rc = rp_await(co, cmd->replied);
    if (rc == 0) {
        rc = cmd->error;
        *text = cmd->text;
        cmd->text = NULL;
    }
    give_up(cmd);
    return rc;
}

/* ---- the program ---- */

static int increment(rp_co *co, void *arg)
{
    connection *c = arg;

    for (int i = 0; i < c->count; i++) {
        char *text;
        int rc = ask(co, c, &text, "INCR hiredis:number");

        free(text);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int increment_all(rp_co *co, connection *c)
{
    rp_group group;
    int rc = 0;

    rp_group_begin(co, &group);
    for (int i = 0; i < c->tasks && rc == 0; i++)
        rc = rp_group_create_task(&group, NULL, increment, c);
    return rp_group_end(co, &group, rc);
}

static int use_connection(rp_co *co, connection *c)
{
    rp_timeout timeout;
    char *text;

    int rc = ask(co, c, &text, "SET hiredis:number 0");
    free(text);
    if (rc == 0)
        rc = increment_all(co, c);
    if (rc == 0) {
        rc = ask(co, c, &text, "GET hiredis:number");
        printf("%d tasks, %d times each: %s\n", c->tasks, c->count, text ? text : "");
        free(text);
    }
    if (rc < 0)
        return rc;

    rp_timeout_begin(co, &timeout, RP_MSEC(100));
    rc = ask(co, c, &text, "BLPOP hiredis:none 0");
    rc = rp_timeout_end(co, &timeout, rc);
    printf("BLPOP: %s\n", rc == -ETIMEDOUT ? "no reply in time" : text ? text : rp_strerror(rc));
    free(text);
    return rc == -ETIMEDOUT || rc == -EPROTO ? 0 : rc;
}

static int run(rp_co *co, void *arg)
{
    char **argv = arg;
    connection c = {.tasks = atoi(argv[2]), .count = atoi(argv[3])};
    int rc = open_connection(co, &c, argv[1]);

    if (rc == 0)
        rc = use_connection(co, &c);
    if (c.context)
        redisAsyncFree(c.context); /* replies that were given up come here, and are none */
    if (c.error[0] != '\0')
        fprintf(stderr, "hiredis_client: %s\n", c.error);
    return rc;
}

int main(int argc, char **argv)
{
    int rc;

    signal(SIGPIPE, SIG_IGN); /* hiredis leaves it to the program, and writes to what the server may have closed */
    rc = argc < 4 ? -EINVAL : rp_run(run, argv);
    if (rc < 0)
        fprintf(stderr, "hiredis_client: %s\n", rp_strerror(rc));
    return rc < 0;
}
