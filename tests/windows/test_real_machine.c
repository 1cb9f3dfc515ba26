/*
 * test_real_machine.c - which Windows this is, for those who read the other findings of scripts/real-windows.
 */
#include <stdio.h>

#include "harness/support.h"

typedef LONG WINAPI get_version(OSVERSIONINFOW *version);

TEST(this_is_windows_10_or_later)
{
    OSVERSIONINFOW version = {.dwOSVersionInfoSize = sizeof version};
    get_version *get;

    test_need_real_windows("it is no Windows");
    get = (get_version *)(uintptr_t)GetProcAddress(GetModuleHandleA("ntdll.dll"), "RtlGetVersion");
    CHECK_INT(get(&version), ==, 0);
    printf("# Windows %lu.%lu, build %lu\n", version.dwMajorVersion, version.dwMinorVersion,
           version.dwBuildNumber);
    CHECK_INT(version.dwMajorVersion, >=, 10);
}

TEST(what_this_was_built_by)
{
#ifdef _UCRT
    const char *runtime = "the UCRT";
#else
    const char *runtime = "msvcrt";
#endif

    test_need_real_windows("the report says so of itself");
    printf("# compiled by " __VERSION__ " for %s\n", runtime);
    printf("# %lu processors\n", GetActiveProcessorCount(ALL_PROCESSOR_GROUPS));
}
