/*
 * late_host.c - a C program, without a C++ runtime, whose task loads a library that brings one: late.cpp.
 */
#include <dlfcn.h>
#include <ringport.h>
#include <stdio.h>

static int load(rp_co *co, void *arg)
{
    int (*late)(rp_co * co);
    void *library;

    RP_TRY(rp_sleep(co, 0));
    library = dlopen(arg, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return -ENOENT;
    }
    late = (int (*)(rp_co *))(size_t)dlsym(library, "late");
    return late(co);
}

int main(int argc, char **argv)
{
    int rc = rp_run(load, argc > 1 ? argv[1] : NULL);

    puts(rc < 0 ? rp_strerror(rc) : "ended");
    return rc < 0;
}
