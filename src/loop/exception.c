/*
 * exception.c - the exception handler, which is told of errors that nobody waits for; and debug mode's switches.
 */
#include "loop/exception.h"

#include <stdio.h>

#include "base/names.h"
#include "base/origin.h"

#ifdef _WIN32
#define flockfile _lock_file
#define funlockfile _unlock_file
#endif

void rp_set_exception_handler(rp_loop *loop, rp_exception_handler *handler, void *arg)
{
    loop->exception_handler = handler;
    loop->exception_handler_arg = arg;
}

rp_exception_handler *rp_get_exception_handler(const rp_loop *loop, void **arg)
{
    if (arg)
        *arg = loop->exception_handler_arg;
    return loop->exception_handler;
}

void rp_call_exception_handler(rp_loop *loop, const rp_exception_context *context)
{
    if (loop->exception_handler)
        loop->exception_handler(loop, context, loop->exception_handler_arg);
    else
        rp_default_exception_handler(loop, context);
}

void rp_default_exception_handler(rp_loop *loop, const rp_exception_context *context)
{
    (void)loop;
    flockfile(stderr);
    fprintf(stderr, "ringport: %s", context->message);
    if (context->name)
        fprintf(stderr, ": %s", context->name);
    if (context->error < 0)
        fprintf(stderr, ": %s (%s)", rp_strerror(context->error), rp_errname(context->error));
    fputc('\n', stderr);
    if (context->origin_depth > 0) {
        fprintf(stderr, "  created at (most recent call first):\n");
        rp_origin_print(stderr, context->origin, context->origin_depth);
    }
    funlockfile(stderr);
}

void rp_loop_report(rp_loop *loop, const rp_report *report)
{
    loop->reporter(loop, report);
}

void rp_set_debug(rp_loop *loop, bool enabled)
{
    enabled = enabled && !loop->no_debug;
    const char *reason = loop->closed ? NULL : rp_proactor_fallback_reason(loop->proactor);

    if (enabled && !loop->debug && reason)
        fprintf(stderr, "ringport: the loop runs on %s; %s\n", rp_loop_backend_name(loop), reason);
    loop->debug = enabled;
    rp_loop_note_state(loop);
}

bool rp_get_debug(const rp_loop *loop)
{
    return loop->debug;
}

void rp_set_slow_callback_duration(rp_loop *loop, int64_t duration)
{
    loop->slow_callback_duration = duration;
}

int64_t rp_get_slow_callback_duration(const rp_loop *loop)
{
    return loop->slow_callback_duration;
}

int rp_set_coroutine_origin_tracking_depth(int depth)
{
    return rp_origin_set_depth(depth);
}

int rp_get_coroutine_origin_tracking_depth(void)
{
    return rp_origin_get_depth();
}
