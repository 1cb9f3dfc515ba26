/*
 * test_exception.c - the exception handler, debug mode's reports, and what is written where no handler is set.
 */
#include <stdio.h>
#include <string.h>

#include "loop/exception.h"
#include "loop/report_text.h"
#include "ringport/future.h"
#include "harness/support.h"
#include "harness/turns.h"

static int reports, origin_depth;
static char message[256], name[256];

static void report(rp_loop *owner, const rp_exception_context *context, void *arg)
{
    CHECK(owner == loop);
    CHECK(arg == &reports);
    reports++;
    snprintf(message, sizeof message, "%s", context->message);
    snprintf(name, sizeof name, "%s", context->name != NULL ? context->name : "");
    origin_depth = context->origin_depth;
    CHECK_INT(context->origin_depth > 0, ==, context->origin != NULL);
}

TEST(handler_set_and_asked_for)
{
    rp_exception_context context = {.message = "something is wrong", .error = -EIO, .name = "this"};
    void *arg = &loop;

    make_loop();
    CHECK(rp_get_exception_handler(loop, &arg) == NULL);
    CHECK(arg == NULL);
    rp_set_exception_handler(loop, report, &reports);
    CHECK(rp_get_exception_handler(loop, &arg) == report);
    CHECK(rp_get_exception_handler(loop, NULL) == report);
    CHECK(arg == &reports);
    rp_call_exception_handler(loop, &context);
    CHECK_INT(reports, ==, 1);
    CHECK_STR(message, "something is wrong");
    rp_set_exception_handler(loop, NULL, NULL);
    CHECK(rp_get_exception_handler(loop, NULL) == NULL);
    rp_loop_free(loop);
}

static void call_default(void)
{
    void *origin[] = {(void *)(uintptr_t)call_default};
    rp_exception_context context = {.message = "something is wrong", .error = -EIO, .name = "this"};
    rp_exception_context bare = {.message = "that is all"};

    make_loop();
    rp_call_exception_handler(loop, &context);
    context.origin = origin;
    context.origin_depth = 1;
    rp_default_exception_handler(loop, &context);
    rp_default_exception_handler(loop, &bare);
    rp_loop_free(loop);
}

TEST(default_handler)
{
    static char text[8192]; /* what another process writes to stderr */
    test_end end = test_in_child(call_default, text, sizeof text);

    CHECK(end.name == NULL && end.status == 0);
    CHECK(strstr(text, "something is wrong: this: ") != NULL);
    CHECK(strstr(text, "EIO") != NULL);
    CHECK(strstr(text, "created at") != NULL);
    CHECK(strstr(text, "that is all\n") != NULL);
}

/* ---- what reports are about ---- */

static rp_where last_where;

static void note_where(rp_loop *owner, const rp_exception_context *context, void *arg)
{
    report(owner, context, arg);
    last_where = context->where;
}

TEST(the_c_face_has_words_for_each_report)
{
    make_loop();
    rp_set_exception_handler(loop, note_where, &reports);
    for (int where = RP_WHERE_PROGRAM + 1; where <= RP_WHERE_FREED_STREAM; where++) {
        message[0] = '\0';
        rp_loop_report(loop, &(rp_report){.where = (rp_where)where, .error = -EIO, .function = "rp_read"});
        CHECK_INT(strlen(message), >, 10);
        CHECK_INT(last_where, ==, where);
    }
    CHECK_INT(reports, ==, RP_WHERE_FREED_STREAM);
    CHECK_STR(message, "rp_read() of a stream that was freed");
    rp_loop_report(loop, &(rp_report){.where = RP_WHERE_ACCEPT, .error = -EMFILE});
    CHECK_STR(message, "socket.accept() out of system resource");
    rp_loop_report(loop, &(rp_report){.where = RP_WHERE_SLOW_CALLBACK, .duration = RP_MSEC(1250)});
    CHECK_STR(message, "callback took 1.250 seconds");
    rp_loop_free(loop);
}

static rp_report reported; /* to the face */
static int face_reports;

static void note_report(rp_loop *owner, const rp_report *told)
{
    CHECK(owner == loop);
    reported = *told;
    face_reports++;
}

static void free_loop(void *arg)
{
    rp_loop_free(arg);
}

/* It finds its own words, and its own handler. */
TEST(another_face_gets_the_error_and_where_it_came_from)
{
    rp_future *future;

    make_loop();
    rp_set_exception_handler(loop, report, &reports);
    loop->reporter = note_report;
    CHECK_INT(rp_future_new(loop, &future), ==, 0);
    CHECK_INT(rp_future_set_error(future, -EPROTO), ==, 0);
    rp_future_unref(future);
    CHECK_INT(face_reports, ==, 1);
    CHECK_INT(reported.where, ==, RP_WHERE_UNREAD_ERROR);
    CHECK_INT(reported.error, ==, -EPROTO);
    CHECK(reported.future == future);
    CHECK_STR(reported.name, "future");
    CHECK_INT(rp_call_soon(loop, NULL, free_loop, loop), ==, 0);
    run_turns(1);
    CHECK_INT(face_reports, ==, 2);
    CHECK_INT(reported.where, ==, RP_WHERE_FREE);
    CHECK_INT(reported.error, ==, RP_ERUNNING);
    CHECK_INT(reports, ==, 0);
    rp_loop_free(loop);
}

/* ---- debug mode ---- */

void slow_callback_of_test(void *arg); /* not static, so that it has a name */

void slow_callback_of_test(void *arg)
{
    int64_t end = rp_monotonic() + RP_MSEC(3);

    (void)arg;
    while (rp_monotonic() < end)
        ;
}

TEST(slow_callbacks)
{
    rp_handle handle = {0};
    rp_timer timer = {0};

    make_loop();
    rp_set_exception_handler(loop, report, &reports);
    CHECK(!rp_get_debug(loop) || getenv("RINGPORT_DEBUG") != NULL);
    CHECK_INT(rp_get_slow_callback_duration(loop), ==, RP_MSEC(100));
    rp_set_slow_callback_duration(loop, RP_MSEC(2));
    CHECK_INT(rp_get_slow_callback_duration(loop), ==, RP_MSEC(2));
    CHECK_INT(rp_call_soon(loop, NULL, slow_callback_of_test, NULL), ==, 0);
    run_turns(1);
    CHECK_INT(reports, ==, 0); /* not without debug mode */

    rp_set_debug(loop, true);
    CHECK(rp_get_debug(loop));
    CHECK_INT(rp_call_soon(loop, &handle, slow_callback_of_test, NULL), ==, 0);
    run_turns(1);
    CHECK_INT(reports, ==, 1);
    CHECK(strstr(message, "took 0.0") != NULL);
    CHECK(strlen(name) > 0);
    CHECK_INT(origin_depth, >, 0); /* where it was scheduled */
    CHECK_INT(rp_call_later(loop, &timer, 0, slow_callback_of_test, NULL), ==, 0);
    run_turns(1);
    CHECK_INT(reports, ==, 2);
    CHECK_INT(rp_call_soon_threadsafe(loop, NULL, slow_callback_of_test, NULL), ==, 0);
    run_turns(1);
    CHECK_INT(reports, ==, 3);

    rp_set_slow_callback_duration(loop, RP_SEC(60));
    CHECK_INT(rp_call_soon(loop, NULL, slow_callback_of_test, NULL), ==, 0);
    run_turns(1);
    CHECK_INT(reports, ==, 3);
    rp_loop_free(loop);
}

TEST(origin_depth)
{
    CHECK_INT(rp_get_coroutine_origin_tracking_depth(), ==, 10);
    CHECK_INT(rp_set_coroutine_origin_tracking_depth(-1), ==, -EINVAL);
    CHECK_INT(rp_set_coroutine_origin_tracking_depth(65), ==, -EINVAL);
    CHECK_INT(rp_set_coroutine_origin_tracking_depth(64), >=, 0);
    CHECK_INT(rp_get_coroutine_origin_tracking_depth(), ==, 64);
    make_loop();
    rp_set_exception_handler(loop, report, &reports);
    rp_set_debug(loop, true);
    rp_set_slow_callback_duration(loop, 0);
    int depths[] = {0, 1, 3};
    for (int i = 0; i < 3; i++) {
        CHECK_INT(rp_set_coroutine_origin_tracking_depth(depths[i]), >=, 0);
        CHECK_INT(rp_call_soon(loop, NULL, slow_callback_of_test, NULL), ==, 0);
        run_turns(1);
        CHECK_INT(reports, ==, i + 1);
        CHECK_INT(origin_depth, ==, depths[i]);
    }
    rp_loop_free(loop);
}

TEST(debug_by_option_and_environment)
{
    rp_loop_options options = {.debug = true};

    unsetenv("RINGPORT_DEBUG");
    CHECK_INT(rp_loop_new(&options, &loop), ==, 0);
    CHECK(rp_get_debug(loop));
    rp_set_debug(loop, false);
    CHECK(!rp_get_debug(loop));
    rp_loop_free(loop);
    const char *values[] = {"1", "0", "", "yes"};
    for (int i = 0; i < 4; i++) {
        setenv("RINGPORT_DEBUG", values[i], 1);
        CHECK_INT(rp_loop_new(NULL, &loop), ==, 0);
        CHECK_INT(rp_get_debug(loop), ==, i == 0 || i == 3);
        rp_loop_free(loop);
    }
}

TEST(debug_kept_off)
{
    rp_loop_options options = {.no_debug = true};

    setenv("RINGPORT_DEBUG", "1", 1);
    CHECK_INT(rp_loop_new(&options, &loop), ==, 0);
    CHECK(!rp_get_debug(loop));
    rp_set_debug(loop, true);
    CHECK(!rp_get_debug(loop));
    rp_loop_free(loop);
    options.debug = true;
    CHECK_INT(rp_loop_new(&options, &loop), ==, 0);
    CHECK(!rp_get_debug(loop));
    rp_loop_free(loop);
}
