/*
 * test_error.c - names and texts of errors.
 */
#ifdef _WIN32
#define WIN32_NO_STATUS /* ntstatus.h has them all, windows.h some */
#include <winsock2.h>
#undef WIN32_NO_STATUS
#include <ntstatus.h>
#include <winternl.h>

#include "base/error_windows.h"
#endif

#include "harness/harness.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

TEST(errno_values_have_names_and_texts)
{
    CHECK_STR(rp_errname(-ECONNRESET), "ECONNRESET");
    CHECK_STR(rp_strerror(-ECONNRESET), "connection reset by peer");
    CHECK_STR(rp_errname(-ECANCELED), "ECANCELED");
    CHECK_STR(rp_errname(-EAGAIN), "EAGAIN");
    CHECK_STR(rp_errname(-ENOTSUP), "ENOTSUP");
}

TEST(own_errors_have_names_and_texts)
{
#define CHECK_ERROR(name, value, text)                                                                            \
    CHECK_INT(name, ==, value);                                                                                   \
    CHECK_STR(rp_errname(name), #name);                                                                           \
    CHECK_STR(rp_strerror(name), text);
    RP_OWN_ERRORS(CHECK_ERROR)
}

static int64_t bytes;

static int try_bytes(void)
{
    RP_TRY(bytes);
    return 1;
}

/* A count of bytes that is no int must not be taken for an error. */
TEST(try_tells_large_results_from_errors)
{
    bytes = INT64_C(3) << 30;
    CHECK_INT(try_bytes(), ==, 1);
    bytes = -EPIPE;
    CHECK_INT(try_bytes(), ==, -EPIPE);
}

TEST(zero_is_success)
{
    CHECK_STR(rp_strerror(0), "success");
    CHECK_STR(rp_errname(0), "OK");
}

TEST(unknown_numbers_are_named_as_such)
{
    CHECK_STR(rp_strerror(-3999), "unknown error -3999");
    CHECK_STR(rp_errname(-3999), "EUNKNOWN");
    CHECK_STR(rp_strerror(5), "unknown error 5");
    CHECK_STR(rp_strerror(INT32_MIN), "unknown error -2147483648");
}

#ifdef __GLIBC__
/* Whatever number the C library has a name for, we have one too, and the same. */
TEST(table_is_complete)
{
    for (int number = 1; number < 4000; number++) {
        const char *name = strerrorname_np(number);
        if (!name || number == EOPNOTSUPP) /* that is ENOTSUP, too */
            continue;
        if (strcmp(rp_errname(-number), name) != 0)
            fprintf(stderr, "%d is %s, and here %s\n", number, name, rp_errname(-number));
        CHECK_STR(rp_errname(-number), name);
    }
}
#else
TEST_ABSENT(table_is_complete, "this C library does not tell the names of errors");
#endif

#ifdef _WIN32
static const struct {
    int error;
    unsigned long windows[16];
} rows[] = {
#define ROW(name, text, ...) {-(name), {__VA_ARGS__}},
#include "base/errors.inc"
};

/* Each number of Windows stands in one row only; and what sockets say of their ends is known. */
TEST(numbers_of_windows)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int j = 0; rows[i].windows[j] != 0; j++)
            CHECK_INT(rp_error_from_windows(rows[i].windows[j]), ==, rows[i].error);
    CHECK_INT(rp_error_from_windows(0), ==, 0);
    CHECK_INT(rp_error_from_windows((unsigned long)STATUS_CONNECTION_REFUSED), ==, -ECONNREFUSED);
    CHECK_INT(rp_error_from_windows((unsigned long)STATUS_LOCAL_DISCONNECT), ==, -ECONNABORTED);
    CHECK_INT(rp_error_from_windows((unsigned long)STATUS_LINK_FAILED), ==, -ECONNRESET);
    CHECK_INT(rp_error_from_windows((unsigned long)STATUS_LINK_TIMEOUT), ==, -ETIMEDOUT);
    CHECK_INT(rp_error_from_windows((unsigned long)STATUS_QUOTA_EXCEEDED), ==, -ENOMEM);
    CHECK_INT(rp_error_from_windows((unsigned long)STATUS_DRIVER_FAILED_SLEEP), ==, -EIO);
    CHECK_INT(rp_error_from_windows(ERROR_ELEVATION_REQUIRED), ==, -EACCES);
    CHECK_INT(rp_error_from_windows(ERROR_SYMLINK_NOT_SUPPORTED), ==, -EINVAL);
    CHECK_INT(rp_error_from_windows(ERROR_INVALID_REPARSE_DATA), ==, -ENOENT);
    CHECK_INT(rp_error_from_windows(ERROR_BUFFER_OVERFLOW), ==, -EFAULT);
    CHECK_INT(rp_error_from_windows(ERROR_INVALID_USER_BUFFER), ==, -EFAULT);
}

static bool is_in_table(unsigned long number)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int j = 0; rows[i].windows[j] != 0; j++)
            if (rows[i].windows[j] == number)
                return true;
    return false;
}

/* Every status of the system itself that the table does not have means what Windows' error for it means. */
TEST(a_status_means_what_windows_error_for_it_does)
{
    const unsigned long severities[] = {0x80000000 /* warnings */, 0xC0000000 /* errors */};
    int known = 0;

    for (int i = 0; i < 2; i++)
        for (unsigned long status = severities[i]; status <= severities[i] + 0xFFFF; status++) {
            unsigned long error = RtlNtStatusToDosError((NTSTATUS)status);

            if (is_in_table(status) || !is_in_table(error))
                continue;
            CHECK_INT(rp_error_from_windows(status), ==, rp_error_from_windows(error));
            known++;
        }
    printf("# %d more statuses are known by their errors\n", known);
    CHECK_INT(known, >=, 130);
    CHECK_INT(rp_error_from_windows((unsigned long)STATUS_NOT_SAME_DEVICE), ==, -EXDEV);
    CHECK_INT(rp_error_from_windows((unsigned long)STATUS_NETWORK_NAME_DELETED), ==, -ECONNRESET);
    CHECK_INT(rp_error_from_windows((unsigned long)STATUS_OBJECT_NAME_INVALID), ==, -ENOENT);
    CHECK_INT(rp_error_from_windows((unsigned long)STATUS_DISK_QUOTA_EXCEEDED), ==, -ENOSPC);
}

/* Numbers that look alike: a status and an error, a success and an error, a customer's and the system's. */
TEST(numbers_of_different_kinds_are_not_mixed_up)
{
    CHECK_INT(rp_error_from_windows(ERROR_ACCESS_DENIED), ==, -EACCES);
    CHECK_INT(rp_error_from_windows((unsigned long)STATUS_ACCESS_VIOLATION), ==, -EFAULT); /* 0xC0000005 */
    CHECK_INT(rp_error_from_windows(0x20000000 | ERROR_ACCESS_DENIED), ==, -EIO);
    CHECK_INT(rp_error_from_windows(0xE0000000 | ERROR_ACCESS_DENIED), ==, -EIO);
    CHECK_INT(rp_error_from_windows(WAIT_TIMEOUT), ==,
              -ETIMEDOUT); /* as a status it is STATUS_TIMEOUT: no error */
    CHECK_INT(rp_error_from_windows((unsigned long)STATUS_PENDING), ==, -EIO);
    CHECK_INT(rp_error_from_windows(0x80000000), ==, -EIO);
    CHECK_INT(rp_error_from_windows(0xC0000000), ==, -EIO);
}
#endif

static void *text_in_thread(void *arg)
{
    return (void *)rp_strerror(-3998);
}

TEST(unknown_texts_are_kept_for_each_thread)
{
    const char *text = rp_strerror(-3999);
    pthread_t thread;

    CHECK_INT(pthread_create(&thread, NULL, text_in_thread, NULL), ==, 0);
    pthread_join(thread, NULL);
    CHECK_STR(text, "unknown error -3999");
}
