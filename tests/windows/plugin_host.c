/*
 * plugin_host.c - a program that knows nothing of ringport: a thread runs the tasks of a DLL, and ends only after the
 * DLL has been freed. An exception is raised then, and goes through all handlers that are installed.
 *
 * plugin_host DLL NAME...     prints which of the names the DLL exports
 */
#include <stdio.h>
#include <windows.h>

static HMODULE plugin;
static HANDLE ran, freed;

static DWORD CALLBACK run(void *arg)
{
    int (*plugin_run)(void) = (int (*)(void))(void *)GetProcAddress(plugin, "plugin_run");
    int rc = plugin_run ? plugin_run() : -1;

    (void)arg;
    SetEvent(ran);
    WaitForSingleObject(freed, INFINITE);
    return rc < 0;
}

static LONG CALLBACK catch_it(EXCEPTION_POINTERS *exception)
{
    return exception->ExceptionRecord->ExceptionCode == 0xE0000001 ? EXCEPTION_CONTINUE_EXECUTION
                                                                   : EXCEPTION_CONTINUE_SEARCH;
}

int main(int argc, char **argv)
{
    HANDLE thread;
    DWORD failed;

    plugin = argc > 1 ? LoadLibraryA(argv[1]) : NULL;
    if (!plugin) {
        printf("not loaded: error %lu\n", GetLastError());
        return 1;
    }
    for (int i = 2; i < argc; i++)
        if (GetProcAddress(plugin, argv[i]))
            printf("exports %s\n", argv[i]);
    ran = CreateEventA(NULL, TRUE, FALSE, NULL);
    freed = CreateEventA(NULL, TRUE, FALSE, NULL);
    thread = CreateThread(NULL, 0, run, NULL, 0, NULL);
    WaitForSingleObject(ran, INFINITE);
    FreeLibrary(plugin);
    AddVectoredExceptionHandler(0, catch_it);
    RaiseException(0xE0000001, 0, 0, NULL);
    SetEvent(freed);
    WaitForSingleObject(thread, INFINITE);
    GetExitCodeThread(thread, &failed);
    puts(failed ? "failed" : "ended");
    return failed != 0;
}
