/*
 * scenarios_watch.c - faults strike a program that watches a directory by a callback and in a task: a lost
 * event is reported, and no task waits for it for ever.
 */
#include <stdio.h>

#include "harness/files.h"
#include "harness/platform.h"
#include "harness/scenarios.h"
#include "harness/wire.h"
#include "ringport.h"

static char top[64], path[96];

/* What is told of a lack of memory is noted as such. Whether there is nothing more to wait for. */
static bool is_last(const rp_watch_event *event)
{
    if (event->what == RP_WATCH_OVERFLOW)
        scenario_note(-ENOMEM);
    return event->what & (RP_WATCH_CREATED | RP_WATCH_OVERFLOW | RP_WATCH_ENDED);
}

static void on_event(rp_watch *watch, const rp_watch_event *event, void *arg)
{
    (void)watch;
    if (is_last(event))
        rp_event_set(arg);
}

static void create_file(void)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    CHECK_INT(fd, >=, 0);
    close(fd);
}

static int take_event(rp_co *co, rp_watch *watch)
{
    rp_watch_event event;

    do
        RP_TRY(scenario_note(rp_watch_next(co, watch, &event)));
    while (!is_last(&event));
    return 0;
}

static int watch_twice(rp_co *co, void *arg)
{
    rp_watch *by_callback, *in_task;
    rp_event told;
    int rc;

    (void)arg;
    rp_event_init(&told);
    RP_TRY(scenario_note(rp_watch_new(rp_co_loop(co), top, false, on_event, &told, &by_callback)));
    rc = scenario_note(rp_watch_new(rp_co_loop(co), top, false, NULL, NULL, &in_task));
    if (rc == 0) {
        create_file();
        rc = take_event(co, in_task);
        if (rc == 0)
            rc = scenario_note(rp_event_wait(co, &told));
        for (int i = 0; i < 3 && rc == 0; i++) /* so many turns, and what waiting for more has come to is told */
            rc = scenario_note(rp_sleep(co, 0));
        rp_watch_free(in_task);
    }
    rp_watch_free(by_callback);
    return rc;
}

int scenario_watches(void)
{
    int rc;

    snprintf(top, sizeof top, TEST_TMP "/ringport-watches-%llx", (unsigned long long)rp_monotonic());
    snprintf(path, sizeof path, "%s/file", top);
    CHECK_INT(make_directory(top), ==, 0);
    rc = scenario_run(watch_twice);
    unlink(path);
    CHECK_INT(remove_directory(top), ==, 0);
    return rc;
}
