/*
 * test_spawn_path.c - where a program is looked for, and what is told if none of the places has one.
 */
#include "process/spawn_path_posix.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "harness/children.h"

/* ---- the list ---- */

static void check_paths(const char *program, const char *path, const char *expected)
{
    char text[256] = "", variable[256];
    const char *env[] = {"OTHER=x", variable, "PATH=/not/this/one", NULL};

    snprintf(variable, sizeof variable, "PATH=%s", path);
    char **paths = rp_spawn_paths(program, env);
    for (char **each = paths; *each; each++) {
        strcat(text, *each);
        strcat(text, ":");
    }
    rp_free(paths);
    CHECK_STR(text, expected);
}

TEST(paths)
{
    check_paths("sh", "/bin", "/bin/sh:");
    check_paths("sh", "/usr/bin:/bin", "/usr/bin/sh:/bin/sh:");
    check_paths("sh", "/bin/", "/bin/sh:");
    check_paths("sh", "/", "/sh:");
    check_paths("sh", "relative", "relative/sh:");
    check_paths("sh", "", "sh:");
    check_paths("sh", ":/bin", "sh:/bin/sh:");
    check_paths("sh", "/bin:", "/bin/sh:sh:");
    check_paths("sh", "/a::/b", "/a/sh:sh:/b/sh:");
    check_paths("./sh", "/bin:/usr/bin", "./sh:");
    check_paths("/bin/sh", "/usr/bin", "/bin/sh:");
    check_paths("a/b", "/usr/bin", "a/b:");
}

TEST(no_path)
{
    char **paths = rp_spawn_paths("sh", (const char *const[]){"PATHOLOGY=/x", NULL});

    CHECK_STR(paths[0], "/bin/sh");
    CHECK_STR(paths[1], "/usr/bin/sh");
    CHECK(!paths[2]);
    rp_free(paths);
    unsetenv("PATH");
    paths = rp_spawn_paths("sh", NULL);
    CHECK_STR(paths[0], "/bin/sh");
    rp_free(paths);
    setenv("PATH", "/here", 1);
    paths = rp_spawn_paths("sh", NULL);
    CHECK_STR(paths[0], "/here/sh");
    rp_free(paths);
    test_fail_allocation(1);
    CHECK(!rp_spawn_paths("sh", NULL));
}

/* ---- programs in directories ---- */

/* Directories a, b and c, and the working directory; removed again by clean_up(). */
static char root[64];

static void set_up(void)
{
    snprintf(root, sizeof root, "/tmp/test_spawn_path.XXXXXX");
    CHECK(mkdtemp(root) != NULL);
    CHECK_INT(chdir(root), ==, 0);
    CHECK_INT(mkdir("a", 0755), ==, 0);
    CHECK_INT(mkdir("b", 0755), ==, 0);
}

static void put(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "we");

    CHECK(file != NULL);
    fputs(text, file);
    fclose(file);
    CHECK_INT(chmod(path, mode), ==, 0);
}

static void clean_up(void)
{
    static const char *const paths[] = {"a/program", "b/program", "program", "a", "b"};

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        remove(paths[i]);
    CHECK_INT(chdir("/"), ==, 0);
    CHECK_INT(rmdir(root), ==, 0);
}

/* How "program" ends with that PATH; or the error of its start. */
static int run_program(rp_loop *loop, const char *path, const char *cwd)
{
    char variable[256];
    const char *env[] = {variable, NULL};
    rp_process_options options = {.argv = (const char *[]){"program", NULL}, .env = env, .cwd = cwd};
    rp_process *process;
    child_end end = {.loop = loop};
    int rc;

    snprintf(variable, sizeof variable, "PATH=%s", path);
    rc = rp_process_spawn(loop, &options, child_ended, &end, &process);
    if (rc < 0)
        return rc;
    child_wait(loop, &end);
    rp_process_unref(process);
    return end.code;
}

TEST(first_that_can_be_executed)
{
    rp_loop *loop = wire_loop();

    set_up();
    CHECK_INT(run_program(loop, "a:b", NULL), ==, -ENOENT);
    put("b/program", "#!/bin/sh\nexit 12\n", 0755);
    CHECK_INT(run_program(loop, "a:b", NULL), ==, 12);
    CHECK_INT(run_program(loop, "a:no/such:b/program:b", NULL), ==, 12); /* ENOENT and ENOTDIR */
    put("a/program", "#!/bin/sh\nexit 11\n", 0755);
    CHECK_INT(run_program(loop, "a:b", NULL), ==, 11);
    CHECK_INT(chmod("a/program", 0644), ==, 0);
    CHECK_INT(run_program(loop, "a:b", NULL), ==, 12); /* one that may not be executed is passed over */
    CHECK_INT(run_program(loop, "a", NULL), ==, -EACCES);
    CHECK_INT(run_program(loop, "a:no/such", NULL), ==, -EACCES); /* and told, if there is no other */
    CHECK_INT(run_program(loop, "no/such:a", NULL), ==, -EACCES);
    clean_up();
    rp_loop_free(loop);
}

TEST(the_childs_directory)
{
    rp_loop *loop = wire_loop();

    set_up();
    put("b/program", "#!/bin/sh\nexit 12\n", 0755);
    CHECK_INT(run_program(loop, "", NULL), ==, -ENOENT);
    CHECK_INT(run_program(loop, "", "b"), ==, 12);
    CHECK_INT(run_program(loop, ":/bin", "b"), ==, 12);
    CHECK_INT(run_program(loop, "/bin:", "b"), ==, 12);
    CHECK_INT(run_program(loop, "../b", "a"), ==, 12);
    CHECK_INT(run_program(loop, "b", "a"), ==, -ENOENT);
    clean_up();
    rp_loop_free(loop);
}

/* There is no shell for what is no program: a later one in PATH may do, and else the first error is told. */
TEST(what_is_no_program)
{
    rp_loop *loop = wire_loop();

    set_up();
    put("a/program", "exit 13\n", 0755);
    CHECK_INT(run_program(loop, "a", NULL), ==, -ENOEXEC);
    put("b/program", "#!/bin/sh\nexit 12\n", 0755);
    CHECK_INT(run_program(loop, "a:b", NULL), ==, 12);
    CHECK_INT(chmod("b/program", 0), ==, 0);
    CHECK_INT(run_program(loop, "a:b", NULL), ==, -ENOEXEC);
    put("a/program", "", 0755);
    CHECK_INT(run_program(loop, "a", NULL), ==, -ENOEXEC);
    put("a/program", "#!/no/such/interpreter\n", 0755);
    CHECK_INT(run_program(loop, "a", NULL), ==, -ENOENT);
    clean_up();
    rp_loop_free(loop);
}

TEST(programs_that_are_none)
{
    rp_loop *loop = wire_loop();
    char name[5000];
    const char *argv[] = {"", NULL};
    rp_process *process;

    CHECK_INT(rp_process_spawn(loop, &(rp_process_options){.argv = argv}, NULL, NULL, &process), ==, -ENOENT);
    argv[0] = "/tmp";
    CHECK_INT(rp_process_spawn(loop, &(rp_process_options){.argv = argv}, NULL, NULL, &process), ==, -EACCES);
    argv[0] = "/bin/sh/x";
    CHECK_INT(rp_process_spawn(loop, &(rp_process_options){.argv = argv}, NULL, NULL, &process), ==, -ENOTDIR);
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    argv[0] = name;
    CHECK_INT(rp_process_spawn(loop, &(rp_process_options){.argv = argv}, NULL, NULL, &process), ==,
              -ENAMETOOLONG);
    rp_loop_free(loop);
}

TEST(program_and_name)
{
    rp_loop *loop = wire_loop();

    CHECK_CHILD_PRINTS(loop, "other name\n", .program = "sh",
                       .argv = (const char *[]){"other name", "-c", "echo $0", NULL});
    rp_loop_free(loop);
}
