/*
 * plugin_host.c - a program that knows nothing of ringport: a thread runs the plugin's tasks, and ends only after the
 * plugin has been unloaded.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>

static sem_t ran, unloaded;
static void *plugin;

static void *run(void *arg)
{
    int (*plugin_run)(void) = (int (*)(void))(size_t)dlsym(plugin, "plugin_run");
    int rc = plugin_run();

    (void)arg;
    sem_post(&ran);
    sem_wait(&unloaded);
    return (void *)(size_t)(rc < 0);
}

int main(int argc, char **argv)
{
    pthread_t thread;
    void *failed;

    plugin = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!plugin || sem_init(&ran, 0, 0) || sem_init(&unloaded, 0, 0) || pthread_create(&thread, NULL, run, NULL)) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    sem_wait(&ran);
    dlclose(plugin);
    sem_post(&unloaded);
    pthread_join(thread, &failed);
    puts(failed ? "failed" : "ended");
    return failed != NULL;
}
