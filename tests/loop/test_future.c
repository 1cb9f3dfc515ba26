/*
 * test_future.c - futures: every end, callbacks in order, removal, references, errors that nobody reads.
 */
#include "loop/future.h"
#include "harness/support.h"
#include "harness/turns.h"

static int reports, reported_error;

static void report(rp_loop *owner, const rp_exception_context *context, void *arg)
{
    CHECK(owner == loop && arg == &reports);
    CHECK(context->future != NULL);
    CHECK(context->message != NULL && context->name != NULL);
    CHECK_INT(rp_future_result(rp_future_ref(context->future)), ==, context->error); /* it may be looked at */
    rp_future_unref(context->future);
    reported_error = context->error;
    reports++;
}

static void make_loop_with_reports(void)
{
    make_loop();
    rp_set_exception_handler(loop, report, &reports);
}

static rp_future *make_future(void)
{
    rp_future *future;

    CHECK_INT(rp_future_new(loop, &future), ==, 0);
    return future;
}

TEST(ends)
{
    make_loop_with_reports();
    rp_future *future = make_future();
    CHECK(rp_future_get_loop(future) == loop);
    CHECK(!rp_future_done(future) && !rp_future_cancelled(future));
    CHECK_INT(rp_future_result(future), ==, RP_EINVALIDSTATE);
    CHECK(rp_future_value(future) == NULL);
    CHECK(rp_future_data(future) == NULL);
    rp_future_set_data(future, &reports);
    CHECK_INT(rp_future_set_error(future, 0), ==, -EINVAL);
    CHECK_INT(rp_future_set_error(future, 5), ==, -EINVAL);
    CHECK_INT(rp_future_set_result(future, trace), ==, 0);
    CHECK(rp_future_done(future) && !rp_future_cancelled(future));
    CHECK_INT(rp_future_result(future), ==, 0);
    CHECK(rp_future_value(future) == trace);
    CHECK(rp_future_data(future) == &reports); /* it is no concern of the result's */
    CHECK_INT(rp_future_set_result(future, NULL), ==, RP_EINVALIDSTATE);
    CHECK_INT(rp_future_set_error(future, -EIO), ==, RP_EINVALIDSTATE);
    CHECK(!rp_future_cancel(future));
    CHECK_INT(rp_future_result(future), ==, 0);
    rp_future_unref(future);

    future = make_future();
    CHECK_INT(rp_future_set_error(future, -EIO), ==, 0);
    CHECK(rp_future_done(future) && !rp_future_cancelled(future));
    CHECK_INT(rp_future_result(future), ==, -EIO);
    CHECK(rp_future_value(future) == NULL);
    rp_future_unref(future);

    future = make_future();
    CHECK(rp_future_cancel(future));
    CHECK(rp_future_done(future) && rp_future_cancelled(future));
    CHECK_INT(rp_future_result(future), ==, RP_EFUTCANCELED);
    CHECK(!rp_future_cancel(future));
    CHECK_INT(rp_future_set_result(future, NULL), ==, RP_EINVALIDSTATE);
    rp_future_unref(future);
    CHECK_INT(reports, ==, 0);
    rp_future_unref(NULL);
    CHECK(rp_future_ref(NULL) == NULL);
    rp_loop_free(loop);
}

TEST(unread_errors)
{
    make_loop_with_reports();
    rp_future *future = make_future();
    CHECK_INT(rp_future_set_error(future, -EIO), ==, 0);
    CHECK_INT(reports, ==, 0);
    rp_future_unref(rp_future_ref(future));
    CHECK_INT(reports, ==, 0);
    rp_future_unref(future);
    CHECK_INT(reports, ==, 1);
    CHECK_INT(reported_error, ==, -EIO);

    future = make_future(); /* a cancelled one is no error */
    CHECK(rp_future_cancel(future));
    rp_future_unref(future);
    rp_future_unref(make_future()); /* nor one that never ends */
    CHECK_INT(reports, ==, 1);

    rp_set_debug(loop, true);
    future = make_future();
    CHECK(future->origin != NULL);
    CHECK_INT(rp_future_set_error(future, -EPERM), ==, 0);
    rp_future_unref(future);
    CHECK_INT(reports, ==, 2);
    rp_loop_free(loop);
}

/* Whoever holds a reference need not be anybody who reads. */
TEST(unread_errors_at_the_close)
{
    make_loop_with_reports();
    rp_future *kept = make_future(), *read = make_future(), *late = make_future(), *dropped = make_future();
    CHECK_INT(rp_future_set_error(kept, -EIO), ==, 0);
    CHECK_INT(rp_future_set_error(read, -EPERM), ==, 0);
    CHECK_INT(rp_future_set_error(dropped, -EPROTO), ==, 0);
    CHECK_INT(rp_future_result(read), ==, -EPERM);
    CHECK_INT(rp_future_result(read), ==, -EPERM);
    rp_future_unref(dropped);
    CHECK_INT(reports, ==, 1);
    CHECK_INT(rp_loop_close(loop), ==, 0);
    CHECK_INT(reports, ==, 2);
    CHECK_INT(reported_error, ==, -EIO);
    CHECK_INT(rp_future_set_error(late, -EBADMSG), ==, 0);
    CHECK(rp_list_empty(&loop->unread)); /* holders in several threads have nothing in common any more */
    rp_future_unref(late);
    CHECK_INT(reports, ==, 3);
    CHECK_INT(rp_future_result(kept), ==, -EIO);
    rp_loop_free(loop);
    rp_future_unref(kept); /* it was told of once */
    rp_future_unref(read);
    CHECK_INT(reports, ==, 3);
}

/* ---- callbacks ---- */

static void note_done(rp_future *future, void *arg)
{
    CHECK(rp_future_done(future));
    strcat(trace, arg);
}

static void add(rp_future *future, rp_done_callback *entry, char *letter)
{
    CHECK_INT(rp_future_add_done_callback(future, entry, note_done, letter), ==, 0);
}

TEST(callbacks_in_order)
{
    rp_done_callback entries[5] = {0}, late = {0};

    for (int end = 0; end < 3; end++) {
        make_loop_with_reports();
        rp_future *future = make_future();
        add(future, &entries[0], "a");
        add(future, &entries[1], "b");
        add(future, &entries[2], "c");
        CHECK_INT(rp_future_add_done_callback(future, &entries[1], note_done, "x"), ==, -EBUSY);
        CHECK_INT(rp_future_add_done_callback(future, &entries[3], NULL, "x"), ==, -EINVAL);
        CHECK_INT(rp_future_add_done_callback(future, NULL, note_done, "x"), ==, -EINVAL);
        run_turns(2);
        CHECK_STR(trace, "");
        if (end == 0)
            CHECK_INT(rp_future_set_result(future, NULL), ==, 0);
        else if (end == 1)
            CHECK_INT(rp_future_set_error(future, -EIO), ==, 0);
        else
            CHECK(rp_future_cancel(future));
        CHECK_STR(trace, "");    /* never inside of set_result */
        add(future, &late, "d"); /* done already: in the next turn */
        CHECK_INT(rp_future_add_done_callback(future, &entries[0], note_done, "x"), ==, -EBUSY);
        run_turns(1);
        CHECK_STR(trace, "abcd");
        run_turns(1);
        CHECK_STR(trace, "abcd");
        add(future, &entries[0], "e"); /* an entry serves again */
        run_turns(1);
        CHECK_STR(trace, "abcde");
        rp_future_result(future);
        rp_future_unref(future);
        rp_loop_free(loop);
    }
    CHECK_INT(reports, ==, 0);
}

TEST(callbacks_removed)
{
    rp_done_callback entries[4] = {0};

    make_loop_with_reports();
    rp_future *future = make_future();
    CHECK(!rp_future_remove_done_callback(&entries[0])); /* never added */
    for (int i = 0; i < 4; i++)
        add(future, &entries[i], (char *[]){"a", "b", "c", "d"}[i]);
    CHECK(rp_future_remove_done_callback(&entries[1]));
    CHECK(!rp_future_remove_done_callback(&entries[1]));
    CHECK_INT(rp_future_set_result(future, NULL), ==, 0);
    CHECK(rp_future_remove_done_callback(&entries[2])); /* ready to run, not run yet */
    run_turns(1);
    CHECK_STR(trace, "ad");
    CHECK(!rp_future_remove_done_callback(&entries[0]));
    rp_future_unref(future);

    future = make_future(); /* the callback alone keeps it; removing it lets it go: the harness sees to leaks */
    add(future, &entries[0], "x");
    rp_future_unref(future);
    CHECK(rp_future_remove_done_callback(&entries[0]));
    rp_loop_free(loop);
}

static rp_done_callback first, second, third;

static void change_callbacks(rp_future *future, void *arg)
{
    note_done(future, arg);
    CHECK(rp_future_remove_done_callback(&second)); /* of this very turn */
    CHECK_INT(rp_future_add_done_callback(future, &second, note_done, "s"), ==, 0);
    CHECK_INT(rp_future_add_done_callback(future, &first, note_done, "f"), ==, 0); /* itself */
    rp_future_unref(future);                                                       /* the caller's reference */
}

TEST(callbacks_change_callbacks)
{
    make_loop_with_reports();
    rp_future *future = make_future();
    CHECK_INT(rp_future_add_done_callback(future, &first, change_callbacks, "1"), ==, 0);
    add(future, &second, "x");
    add(future, &third, "3");
    CHECK_INT(rp_future_set_result(future, NULL), ==, 0);
    run_turns(1);
    CHECK_STR(trace, "13");
    run_turns(1);
    CHECK_STR(trace, "13sf");
    rp_loop_free(loop);
}

static void free_entry(rp_future *future, void *arg)
{
    free(arg);
    rp_future_unref(future);
}

TEST(callback_frees_its_entry)
{
    rp_done_callback *entry = calloc(1, sizeof *entry);

    make_loop_with_reports();
    rp_future *future = make_future();
    CHECK_INT(rp_future_add_done_callback(future, entry, free_entry, entry), ==, 0);
    CHECK(rp_future_cancel(future));
    run_turns(1);
    rp_loop_free(loop);
}

/* An error is not read by callbacks being called. */
TEST(callback_that_reads_nothing)
{
    rp_done_callback entry = {0};

    make_loop_with_reports();
    rp_future *future = make_future();
    add(future, &entry, "a");
    rp_future_set_error(future, -EIO);
    rp_future_unref(future);
    CHECK_INT(reports, ==, 0); /* the callback keeps it */
    run_turns(1);
    CHECK_STR(trace, "a");
    CHECK_INT(reports, ==, 1);
    rp_loop_free(loop);
}

/* ---- loops that end first ---- */

static void must_not_run(rp_future *future, void *arg)
{
    (void)future;
    (void)arg;
    CHECK(false);
}

TEST(outlives_its_loop)
{
    rp_done_callback waiting = {0}, ready = {0}, other = {0};

    make_loop_with_reports();
    rp_future *pending_one = make_future(), *done = make_future(), *failed = make_future();
    CHECK_INT(rp_future_add_done_callback(pending_one, &waiting, must_not_run, NULL), ==, 0);
    CHECK_INT(rp_future_set_result(done, trace), ==, 0);
    CHECK_INT(rp_future_add_done_callback(done, &ready, must_not_run, NULL), ==, 0);
    rp_loop_free(loop);
    CHECK(rp_loop_is_closed(rp_future_get_loop(done))); /* a reference keeps the loop's memory */
    CHECK_INT(rp_future_result(done), ==, 0);
    CHECK(rp_future_value(done) == trace);
    CHECK(!rp_future_remove_done_callback(&ready)); /* it was dropped */
    CHECK_INT(rp_future_add_done_callback(done, &other, must_not_run, NULL), ==, RP_ECLOSED);
    CHECK_INT(rp_future_set_result(pending_one, NULL), ==, 0); /* nobody is told any more */
    CHECK(!rp_future_remove_done_callback(&waiting));
    CHECK_INT(rp_future_set_error(failed, -EIO), ==, 0);
    rp_future_unref(pending_one);
    rp_future_unref(done);
    rp_future_unref(failed);
    CHECK_INT(reports, ==, 1);
}

/* A pending future of a closed loop, kept by its callback alone. */
TEST(callback_left_on_closed_loop)
{
    rp_done_callback entry = {0};

    make_loop_with_reports();
    rp_future *future = make_future();
    CHECK_INT(rp_future_add_done_callback(future, &entry, must_not_run, NULL), ==, 0);
    rp_loop_free(loop);
    rp_future_unref(future);
    CHECK(rp_future_remove_done_callback(&entry));
}

TEST(no_memory)
{
    rp_future *future;

    make_loop_with_reports();
    test_fail_allocation(1);
    CHECK_INT(rp_future_new(loop, &future), ==, -ENOMEM);
    CHECK(future == NULL);
    test_fail_allocation(0);
    rp_set_debug(loop, true);
    test_fail_allocation(2); /* its origin: it does without */
    CHECK_INT(rp_future_new(loop, &future), ==, 0);
    CHECK(future->origin == NULL);
    test_fail_allocation(0);
    rp_future_unref(future);
    rp_loop_free(loop);
}
