/* test_watch.c - watches of files and directories: what they tell, in which order, and how they end. */
#include <stdio.h>
#include <string.h>
#ifndef _WIN32
#include <fcntl.h>
#include <sys/stat.h>
#endif

#include "harness/wire.h"

#ifdef _WIN32
#define make_directory(path) _mkdir(path)
#define remove_directory(path) _rmdir(path)
#else
#define make_directory(path) mkdir(path, 0777)
#define remove_directory(path) rmdir(path)
#endif

static void test_need_more_than_wine(void)
{
    if (test_under_wine())
        SKIP("Wine tells neither of a watched directory that is deleted nor of those below");
}

/* ---- a directory of the test's own ---- */

static char top[64];

static const char *in_top(const char *name)
{
    static char paths[4][128];
    static int next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", top, name);
    return path;
}

static void make_top(void)
{
    int fd;

    snprintf(top, sizeof top, TEST_TMP "/ringport-watch-XXXXXX");
    fd = mkstemp(top);
    CHECK_INT(fd, >=, 0);
    close(fd);
    unlink(top);
    CHECK_INT(make_directory(top), ==, 0);
}

static void write_file(const char *name, const char *text)
{
    int fd = open(in_top(name), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

    CHECK_INT(fd, >=, 0);
    CHECK_INT(write(fd, text, strlen(text)), ==, strlen(text));
    close(fd);
}

static void rename_file(const char *from, const char *to)
{
#ifdef _WIN32
    unlink(in_top(to));
#endif
    CHECK_INT(rename(in_top(from), in_top(to)), ==, 0);
}

/* ---- what was told ---- */

typedef struct told {
    rp_watch *watch;
    char text[4096]; /* "+a ~a -a" */
    uint32_t cookies[2];
    int events, overflows, ends;
    int frees_at;       /* the event that frees the watch; 0: none */
    struct told *other; /* freed along with it */
} told;

static void on_event(rp_watch *watch, const rp_watch_event *event, void *arg)
{
    static const char signs[] = "+~-<>!.";
    told *t = arg;
    char sign = 0;

    CHECK(watch == t->watch);
    for (int i = 0; signs[i]; i++)
        if (event->what == 1u << i)
            sign = signs[i];
    CHECK(sign != 0);
    t->events++;
    t->overflows += sign == '!';
    t->ends += sign == '.';
    if (sign == '<' || sign == '>')
        t->cookies[sign == '>'] = event->cookie;
    if (strlen(t->text) + strlen(event->name) + 3 < sizeof t->text)
        sprintf(t->text + strlen(t->text), "%s%c%s", t->text[0] ? " " : "", sign, event->name);
    if (t->events == t->frees_at) {
        rp_watch_free(watch);
        t->watch = NULL;
        if (t->other) {
            rp_watch_free(t->other->watch);
            t->other->watch = NULL;
        }
    }
}

static void watch(rp_loop *loop, told *t, const char *path)
{
    CHECK_INT(rp_watch_new(loop, path, false, on_event, t, &t->watch), ==, 0);
}

/* Whether an event was told, however many there were of the same. */
static bool has_told(const told *t, const char *event)
{
    char text[sizeof t->text + 2], looked_for[128];

    snprintf(text, sizeof text, " %s ", t->text);
    snprintf(looked_for, sizeof looked_for, " %s ", event);
    return strstr(text, looked_for) != NULL;
}

/* ---- directories ---- */

TEST(a_directory_tells_what_happens_to_the_names_in_it)
{
    rp_loop *loop = wire_loop();
    told t = {0};

    make_top();
    write_file("old", "x");
    watch(loop, &t, top);
    write_file("new", "abc");
    RUN_UNTIL(loop, has_told(&t, "+new") && has_told(&t, "~new"));
    write_file("old", "more");
    RUN_UNTIL(loop, has_told(&t, "~old"));
    rename_file("new", "renamed");
    RUN_UNTIL(loop, has_told(&t, "<new") && has_told(&t, ">renamed"));
    CHECK_INT(t.cookies[0], ==, t.cookies[1]);
    CHECK_INT(t.cookies[0], !=, 0);
    CHECK_INT(make_directory(in_top("sub")), ==, 0);
    RUN_UNTIL(loop, has_told(&t, "+sub"));
    CHECK_INT(remove_directory(in_top("sub")), ==, 0);
    unlink(in_top("old"));
    unlink(in_top("renamed"));
    RUN_UNTIL(loop, has_told(&t, "-sub") && has_told(&t, "-old") && has_told(&t, "-renamed"));
    CHECK_INT(t.ends + t.overflows, ==, 0);
    rp_watch_free(t.watch);
    CHECK_INT(remove_directory(top), ==, 0);
    rp_watch_free(NULL);
    rp_loop_free(loop);
}

/* Wine tells nothing of that. */
TEST(a_directory_that_is_deleted_ends_its_watches)
{
    test_need_more_than_wine();
    rp_loop *loop = wire_loop();
    told t = {0}, file = {0};

    make_top();
    watch(loop, &t, top);
    watch(loop, &file, in_top("file"));
    CHECK_INT(remove_directory(top), ==, 0);
    RUN_UNTIL(loop, t.ends == 1 && file.ends == 1);
    CHECK(has_told(&t, "-"));
    CHECK_STR(file.text, ".");
    make_top();
    wire_settle(loop);
    CHECK_INT(t.ends + file.ends, ==, 2);
    rp_watch_free(t.watch);
    rp_watch_free(file.watch);
    CHECK_INT(remove_directory(top), ==, 0);
    rp_loop_free(loop);
}

/* ---- files ---- */

TEST(a_file_is_watched_on_when_another_one_takes_its_place)
{
    rp_loop *loop = wire_loop();
    told t = {0};

    make_top();
    write_file("config", "one");
    watch(loop, &t, in_top("config"));
    write_file("config", "two");
    RUN_UNTIL(loop, has_told(&t, "~config"));
    write_file("config.tmp", "three"); /* as an editor does it */
    rename_file("config.tmp", "config");
    RUN_UNTIL(loop, has_told(&t, ">config"));
    t.text[0] = '\0';
    write_file("config", "four");
    RUN_UNTIL(loop, has_told(&t, "~config"));
    unlink(in_top("config"));
    RUN_UNTIL(loop, has_told(&t, "-config"));
    t.text[0] = '\0';
    write_file("config", "five");
    RUN_UNTIL(loop, has_told(&t, "+config"));
    write_file("other", "x");
    wire_settle(loop);
    CHECK(!strstr(t.text, "other") && !strstr(t.text, "tmp"));
    rp_watch_free(t.watch);
    unlink(in_top("config"));
    unlink(in_top("other"));
    CHECK_INT(remove_directory(top), ==, 0);
    rp_loop_free(loop);
}

TEST(a_file_that_is_yet_to_come)
{
    rp_loop *loop = wire_loop();
    told t = {0};

    make_top();
    watch(loop, &t, in_top("later"));
    write_file("later", "x");
    RUN_UNTIL(loop, has_told(&t, "+later"));
    rp_watch_free(t.watch);
    unlink(in_top("later"));
    CHECK_INT(remove_directory(top), ==, 0);
    rp_loop_free(loop);
}

#ifndef _WIN32
TEST(a_link_leads_to_the_file_that_is_watched)
{
    rp_loop *loop = wire_loop();
    told t = {0}, directory = {0};

    make_top();
    CHECK_INT(make_directory(in_top("sub")), ==, 0);
    write_file("sub/file", "x");
    CHECK_INT(symlink("sub/file", in_top("link")), ==, 0);
    watch(loop, &t, in_top("link"));
    watch(loop, &directory, in_top("sub"));
    write_file("sub/file", "y");
    RUN_UNTIL(loop, has_told(&t, "~file") && has_told(&directory, "~file"));
    CHECK_INT(rename(in_top("sub"), in_top("elsewhere")), ==, 0);
    RUN_UNTIL(loop, has_told(&directory, "<"));
    directory.text[0] = '\0';
    write_file("elsewhere/file", "z"); /* the directory is watched on */
    RUN_UNTIL(loop, has_told(&directory, "~file"));
    unlink(in_top("elsewhere/file"));
    unlink(in_top("link"));
    rp_loop_free(loop); /* which frees the watches */
    CHECK_INT(remove_directory(in_top("elsewhere")), ==, 0);
    CHECK_INT(remove_directory(top), ==, 0);
}

TEST(a_relative_path)
{
    rp_loop *loop = wire_loop();
    told t = {0};

    make_top();
    CHECK_INT(chdir(top), ==, 0);
    watch(loop, &t, "file");
    write_file("file", "x");
    RUN_UNTIL(loop, has_told(&t, "+file"));
    rp_loop_free(loop);
    unlink("file");
    CHECK_INT(remove_directory(top), ==, 0);
}
#else
TEST_ABSENT(a_link_leads_to_the_file_that_is_watched, "links are for those who may make them");
TEST_ABSENT(a_relative_path, "all paths of tests are relative here");

TEST(a_tree_is_watched_with_the_paths_below)
{
    test_need_more_than_wine();
    rp_loop *loop = wire_loop();
    told t = {0};

    make_top();
    CHECK_INT(make_directory(in_top("sub")), ==, 0);
    CHECK_INT(rp_watch_new(loop, top, true, on_event, &t, &t.watch), ==, 0);
    write_file("sub/file", "x");
    RUN_UNTIL(loop, has_told(&t, "+sub/file"));
    rp_watch_free(t.watch);
    unlink(in_top("sub/file"));
    CHECK_INT(remove_directory(in_top("sub")), ==, 0);
    CHECK_INT(remove_directory(top), ==, 0);
    rp_loop_free(loop);
}
#endif

/* ---- several ---- */

TEST(several_watches_of_one_path_are_told_alike_and_freed_one_by_one)
{
    rp_loop *loop = wire_loop();
    told t[4] = {{0}};

    make_top();
    for (int i = 0; i < 4; i++)
        watch(loop, &t[i], i < 3 ? top : in_top("a"));
    write_file("a", "x");
    RUN_UNTIL(loop,
              has_told(&t[0], "~a") && has_told(&t[1], "~a") && has_told(&t[2], "~a") && has_told(&t[3], "~a"));
    rp_watch_free(t[0].watch);
    rp_watch_free(t[3].watch);
    write_file("b", "x");
    RUN_UNTIL(loop, has_told(&t[1], "~b") && has_told(&t[2], "~b"));
    CHECK(!has_told(&t[0], "+b"));
    rp_watch_free(t[1].watch);
    rp_watch_free(t[2].watch);
    watch(loop, &t[0], top);
    write_file("c", "x");
    RUN_UNTIL(loop, has_told(&t[0], "~c"));
    rp_loop_free(loop);
    unlink(in_top("a"));
    unlink(in_top("b"));
    unlink(in_top("c"));
    CHECK_INT(remove_directory(top), ==, 0);
}

TEST(a_callback_may_free_its_watch_and_others)
{
    rp_loop *loop = wire_loop();
    told a = {.frees_at = 1}, b = {0}, c = {0};

    make_top();
    watch(loop, &a, top);
    watch(loop, &b, top);
    watch(loop, &c, top);
    a.other = &b;
    write_file("x", "x");
    write_file("y", "y");
    RUN_UNTIL(loop, has_told(&c, "~y"));
    CHECK_INT(a.events, ==, 1);
    CHECK(!b.watch);
    rp_watch_free(c.watch);
    unlink(in_top("x"));
    unlink(in_top("y"));
    CHECK_INT(remove_directory(top), ==, 0);
    rp_loop_free(loop);
}

TEST(many_watches)
{
    enum { MANY = 300 };
    static told t[MANY];
    rp_loop *loop = wire_loop();
    char name[16];

    make_top();
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, i % 2 ? "f%d" : "d%d", i);
        if (i % 2 == 0)
            CHECK_INT(make_directory(in_top(name)), ==, 0);
        watch(loop, &t[i], in_top(name));
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, i % 2 ? "f%d" : "d%d/x", i);
        write_file(name, "x");
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, i % 2 ? "+f%d" : "+x", i);
        RUN_UNTIL(loop, has_told(&t[i], name));
    }
    rp_loop_free(loop);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, i % 2 ? "f%d" : "d%d/x", i);
        unlink(in_top(name));
        snprintf(name, sizeof name, "d%d", i);
        if (i % 2 == 0)
            CHECK_INT(remove_directory(in_top(name)), ==, 0);
    }
    CHECK_INT(remove_directory(top), ==, 0);
}

/* ---- too much ---- */

#ifdef _WIN32
enum { MANY_EVENTS = 1500 }; /* the buffer has 32 KiB */
#else
enum { MANY_EVENTS = 9000 }; /* the kernel queues 16,384 */
#endif

TEST(what_is_too_much_is_told_as_an_overflow_and_the_watch_goes_on)
{
    rp_loop *loop = wire_loop();
    told t = {0};
    char name[16];

    make_top();
    watch(loop, &t, top);
    for (int i = 0; i < MANY_EVENTS; i++) { /* two events each */
        snprintf(name, sizeof name, "%d", i);
        write_file(name, "");
        unlink(in_top(name));
    }
    RUN_UNTIL(loop, t.overflows > 0);
    write_file("after", "x");
    for (int before = -1; before != t.events;) { /* what is queued yet */
        before = t.events;
        wire_run(loop, RP_MSEC(50));
    }
    t.text[0] = '\0';
    write_file("later", "x");
    RUN_UNTIL(loop, has_told(&t, "+later"));
    rp_watch_free(t.watch);
    unlink(in_top("after"));
    unlink(in_top("later"));
    CHECK_INT(remove_directory(top), ==, 0);
    rp_loop_free(loop);
}

TEST(writes_in_a_row_are_told_as_one)
{
    rp_loop *loop = wire_loop();
    told t = {0};

    make_top();
    write_file("log", "x");
    watch(loop, &t, in_top("log"));
    for (int i = 0; i < 1000; i++)
        write_file("log", "line\n");
    RUN_UNTIL(loop, has_told(&t, "~log"));
    wire_settle(loop);
    CHECK_INT(t.events, <, 100);
    rp_watch_free(t.watch);
    unlink(in_top("log"));
    CHECK_INT(remove_directory(top), ==, 0);
    rp_loop_free(loop);
}

/* ---- errors and ends ---- */

TEST(what_cannot_be_watched)
{
    rp_loop *loop = wire_loop();
    rp_watch *none = NULL;

    make_top();
    write_file("file", "x");
    CHECK_INT(rp_watch_new(loop, in_top("no/such/file"), false, on_event, NULL, &none), ==, -ENOENT);
    CHECK_INT(rp_watch_new(loop, "", false, on_event, NULL, &none), ==, -ENOENT);
    CHECK_INT(rp_watch_new(loop, in_top("file/below"), false, on_event, NULL, &none), <, 0);
#ifndef _WIN32
    CHECK_INT(rp_watch_new(loop, top, true, on_event, NULL, &none), ==, -ENOTSUP);
#endif
    CHECK_INT(rp_watch_new(loop, in_top("file"), true, on_event, NULL, &none), ==, -ENOTSUP);
    CHECK(!none);
    CHECK_INT(rp_loop_close(loop), ==, 0);
    CHECK_INT(rp_watch_new(loop, top, false, on_event, NULL, &none), ==, RP_ECLOSED);
    rp_loop_free(loop);
    unlink(in_top("file"));
    CHECK_INT(remove_directory(top), ==, 0);
}

TEST(a_lack_of_memory_is_told)
{
    make_top();
    for (uint64_t nth = 1;; nth++) {
        rp_loop *loop = wire_loop();
        told t = {0};
        int rc;

        test_fail_allocation(nth);
        rc = rp_watch_new(loop, in_top("x"), false, on_event, &t, &t.watch);
        bool failed = test_allocation_failed();
        test_fail_allocation(0);
        if (!failed) {
            CHECK_INT(rc, ==, 0);
            write_file("x", "x");
            test_fail_allocation(1);
            RUN_UNTIL(loop, t.events > 0);
            test_fail_allocation(0);
            RUN_UNTIL(loop, t.overflows > 0 || has_told(&t, "~x"));
            unlink(in_top("x"));
            rp_loop_free(loop);
            break;
        }
        CHECK(rc == -ENOMEM || rc == 0); /* where it is a reader that has no memory, the loop's handler is told */
        rp_loop_free(loop);
    }
    CHECK_INT(remove_directory(top), ==, 0);
}

TEST(a_loop_that_is_closed_frees_what_watches_and_what_was_not_told)
{
    rp_loop *loop = wire_loop();
    told t = {0}, u = {0};

    make_top();
    watch(loop, &t, top);
    CHECK_INT(rp_watch_new(loop, top, false, NULL, NULL, &u.watch), ==, 0);
    for (int i = 0; i < 10; i++)
        write_file(i % 2 ? "a" : "b", "x");
    RUN_UNTIL(loop, t.events > 0);
    rp_loop_free(loop);
    unlink(in_top("a"));
    unlink(in_top("b"));
    CHECK_INT(remove_directory(top), ==, 0);
}

/* ---- coroutines ---- */

static int next_in_task(rp_co *co, void *arg)
{
    told *t = arg;
    rp_watch_event event;
    int rc = rp_watch_next(co, t->watch, &event);

    t->events = rc;
    if (rc == 0)
        snprintf(t->text, sizeof t->text, "%s", event.name);
    return rc;
}

CO_TEST(a_task_takes_events_one_by_one)
{
    rp_watch_event event;
    rp_task *task;
    told t = {0};

    make_top();
    CHECK_INT(rp_watch_new(rp_co_loop(co), in_top("file"), false, NULL, NULL, &t.watch), ==, 0);
    write_file("file", "x");
    CHECK_INT(rp_watch_next(co, t.watch, &event), ==, 0);
    CHECK_INT(event.what, ==, RP_WATCH_CREATED);
    CHECK_STR(event.name, "file");
    CHECK_INT(rp_watch_next(co, t.watch, &event), ==, 0);
    CHECK_INT(event.what, ==, RP_WATCH_MODIFIED);
    wire_settle_in(co);
    CHECK_INT(rp_create_task(&task, next_in_task, &t), ==, 0);
    wire_settle_in(co);
    CHECK_INT(rp_watch_next(co, t.watch, &event), ==, -EBUSY);
    CHECK(rp_task_cancel(task)); /* loses nothing */
    CHECK_INT(rp_join(co, task), ==, RP_EFUTCANCELED);
    unlink(in_top("file"));
    do
        CHECK_INT(rp_watch_next(co, t.watch, &event), ==, 0);
    while (event.what == RP_WATCH_MODIFIED);
    CHECK_INT(event.what, ==, RP_WATCH_DELETED);
    CHECK_INT(rp_create_task(&task, next_in_task, &t), ==, 0);
    wire_settle_in(co);
    rp_watch_free(t.watch);
    CHECK_INT(rp_join(co, task), ==, -EBADF);
    CHECK_INT(remove_directory(top), ==, 0);
    CHECK_INT(rp_watch_new(rp_co_loop(co), TEST_TMP, false, on_event, &t, &t.watch), ==, 0);
    CHECK_INT(rp_watch_next(co, t.watch, &event), ==, -EINVAL);
    rp_watch_free(t.watch);
}

/* Both are woken by the same change, and this task goes on first. */
CO_TEST(a_watch_that_is_freed_before_its_waiter_looks)
{
    rp_watch_event event;
    rp_watch *first;
    rp_task *task;
    told t = {0};

    make_top();
    CHECK_INT(rp_watch_new(rp_co_loop(co), top, false, NULL, NULL, &first), ==, 0);
    CHECK_INT(rp_watch_new(rp_co_loop(co), top, false, NULL, NULL, &t.watch), ==, 0);
    CHECK_INT(rp_create_task(&task, next_in_task, &t), ==, 0);
    wire_settle_in(co);
    write_file("file", "x");
    CHECK_INT(rp_watch_next(co, first, &event), ==, 0);
    CHECK_INT(rp_watch_next(co, t.watch, &event), ==, -EBUSY); /* the event is the waiter's */
    rp_watch_free(t.watch);
    CHECK_INT(rp_join(co, task), ==, -EBADF);
    rp_watch_free(first);
    unlink(in_top("file"));
    CHECK_INT(remove_directory(top), ==, 0);
}

CO_TEST(a_task_is_told_the_end)
{
    rp_watch_event event;
    told t = {0};

    test_need_more_than_wine();
    make_top();
    CHECK_INT(rp_watch_new(rp_co_loop(co), top, false, NULL, NULL, &t.watch), ==, 0);
    CHECK_INT(remove_directory(top), ==, 0);
    do
        CHECK_INT(rp_watch_next(co, t.watch, &event), ==, 0);
    while (event.what != RP_WATCH_ENDED);
    CHECK_INT(rp_watch_next(co, t.watch, &event), ==, RP_EOF);
    rp_watch_free(t.watch);
}

static int wait_for_ever(rp_co *co, void *arg)
{
    rp_watch_event event;

    rp_watch_next(co, arg, &event);
    CHECK(false);
    return 0;
}

TEST(a_task_that_is_left_in_it_leaves_nothing)
{
    rp_loop *loop = wire_loop();
    rp_watch *watched;
    rp_task *task;

    make_top();
    CHECK_INT(rp_watch_new(loop, top, false, NULL, NULL, &watched), ==, 0);
    CHECK_INT(rp_loop_create_task(loop, &task, wait_for_ever, watched), ==, 0);
    wire_settle(loop);
    rp_future_unref(task);
    rp_loop_free(loop);
    CHECK_INT(remove_directory(top), ==, 0);
}
