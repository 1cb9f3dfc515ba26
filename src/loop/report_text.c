/*
 * report_text.c - the C face's words for reports.
 */
#include "loop/report_text.h"

#include <stdio.h>

#include "base/origin.h"
#include "loop/future.h"

/* What is the same each time. */
static const char *const texts[] = {
    [RP_WHERE_FREE] = "a loop that runs cannot be freed",
    [RP_WHERE_UNREAD_ERROR] = "an error was never read",
    [RP_WHERE_READER] = "a watched descriptor failed and was removed",
    [RP_WHERE_SIGNALS] = "signals cannot be received; trying again in a second",
    [RP_WHERE_SHUTDOWN_TASK] = "a task failed during the runner's shutdown",
    [RP_WHERE_SHUTDOWN] = "the tasks that are left could not be ended",
    [RP_WHERE_SHUTDOWN_EXECUTOR] = "the default executor's end could not be waited for",
    [RP_WHERE_PROTOCOL_FACTORY] = "cannot make the protocol of an incoming connection",
    [RP_WHERE_HANDSHAKE] = "the handshake of TLS has failed on an incoming connection",
    [RP_WHERE_ACCEPT] = "accept failed on a socket",
    [RP_WHERE_HAND_OVER] = "no memory to hand a connection to its server",
    [RP_WHERE_BALANCER] = "the thread that accepts connections has failed",
    [RP_WHERE_READ_START] = "cannot receive on a transport",
    [RP_WHERE_READ] = "fatal read error on a transport",
    [RP_WHERE_READ_MEMORY] = "no memory for the loop's receive buffer",
    [RP_WHERE_GET_BUFFER] = "get_buffer() gave no room to receive into",
    [RP_WHERE_WRITE_START] = "cannot send on a transport",
    [RP_WHERE_WRITE] = "fatal write error on a transport",
    [RP_WHERE_WRITE_MEMORY] = "no memory for the write buffer",
    [RP_WHERE_WRITE_EOF] = "cannot end the stream of a transport",
    [RP_WHERE_OPEN_TRANSPORT] = "transport never closed",
    [RP_WHERE_TASK_FACTORY] = "could not set the task factory",
    [RP_WHERE_PENDING_TASK] = "task was destroyed but it is pending",
    [RP_WHERE_UNSTARTED_TASK] = "task was destroyed before it ever ran",
    [RP_WHERE_OPEN_GROUP] = "a task ended in a group that it had begun, and not ended",
    [RP_WHERE_OPEN_TIMEOUT] = "a task ended in a timeout that it had begun, and not ended",
    [RP_WHERE_PENDING_AGEN] = "asynchronous generator was destroyed before it ended",
    [RP_WHERE_AGEN_CLOSE] = "an error occurred during closing of an asynchronous generator",
    [RP_WHERE_LATE_AGEN] = "asynchronous generator began after those of its loop had been shut down",
    [RP_WHERE_HANDLER] = "unhandled error in a connection's handler",
    [RP_WHERE_HANDLER_TASK] = "cannot make a task for a connection",
};

/* A report names as many tasks as fit. */
typedef struct text {
    char bytes[1024];
    size_t length;
} text;

static char *end_of(text *t)
{
    return t->bytes + t->length;
}

static size_t room_in(const text *t)
{
    return sizeof t->bytes - t->length;
}

/*
 * Keeps the n bytes that snprintf() has put at its end: all of them, or none and false. Room for `spare` more bytes is
 * left.
 */
static bool keep(text *t, int n, size_t spare)
{
    if (n < 0 || (size_t)n + spare >= room_in(t)) {
        *end_of(t) = '\0';
        return false;
    }
    t->length += (size_t)n;
    return true;
}

static bool append_task(text *t, const rp_future *task, bool first)
{
    const char *name = task->type->get_name ? task->type->get_name(task) : task->type->name;
    const char *what = task->type->waits_for ? task->type->waits_for(task) : NULL;
    const char *mark = first ? ":" : ",";
    enum { AND_MORE = 32 };

    if (!what)
        return keep(t, snprintf(end_of(t), room_in(t), "%s '%s'", mark, name), AND_MORE);
    return keep(t, snprintf(end_of(t), room_in(t), "%s '%s' for %s", mark, name, what), AND_MORE);
}

/* How many tasks the loop has, what is wrong with the one or the many, and each with what it waits for. */
static void name_tasks(text *t, const rp_loop *loop, const char *one, const char *many)
{
    size_t told = 0;
    const char *wrong = loop->task_count == 1 ? one : many;

    (void)keep(t, snprintf(end_of(t), room_in(t), "%zu %s", loop->task_count, wrong), 0);
    for (rp_node *node = loop->tasks.next; node != &loop->tasks; node = node->next, told++)
        if (!append_task(t, rp_container_of(node, rp_future, link), told == 0))
            break;
    if (told < loop->task_count)
        (void)keep(t, snprintf(end_of(t), room_in(t), ", and %zu more", loop->task_count - told), 0);
}

static const char *text_of(const rp_loop *loop, const rp_report *report, text *t)
{
    switch (report->where) {
    case RP_WHERE_SLOW_CALLBACK:
        snprintf(t->bytes, sizeof t->bytes, "callback took %.3f seconds", (double)report->duration / 1e9);
        break;
    case RP_WHERE_STALLED_TASKS:
        name_tasks(t, loop, "task waits for nothing that can come", "tasks wait for nothing that can come");
        break;
    case RP_WHERE_UNENDED_TASKS:
        name_tasks(t, loop, "task was cancelled at the runner's end, and has not ended yet",
                   "tasks were cancelled at the runner's end, and have not ended yet");
        break;
    case RP_WHERE_FREED_STREAM:
        snprintf(t->bytes, sizeof t->bytes, "%s() of a stream that was freed", report->function);
        break;
    case RP_WHERE_SHUTDOWN_EXECUTOR:
        return report->error == -ETIMEDOUT ? "the default executor did not finish its work in time"
                                           : texts[report->where];
    case RP_WHERE_ACCEPT:
        if (report->error == -EMFILE || report->error == -ENFILE || report->error == -ENOBUFS ||
            report->error == -ENOMEM)
            return "socket.accept() out of system resource";
        return texts[report->where];
    default:
        return texts[report->where];
    }
    return t->bytes;
}

void rp_report_to_handler(rp_loop *loop, const rp_report *report)
{
    const rp_origin *origin = report->origin;
    text t = {.length = 0};
    rp_exception_context context = {
        .message = text_of(loop, report, &t),
        .error = report->error,
        .name = report->name,
        .future = report->future,
        .transport = report->transport,
        .origin = origin ? origin->addresses : NULL,
        .origin_depth = origin ? origin->depth : 0,
        .where = report->where,
    };

    rp_call_exception_handler(loop, &context);
}
