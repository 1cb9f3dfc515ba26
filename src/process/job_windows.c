/*
 * job_windows.c - one job object for all children of this process.
 *
 * Nobody but this process has a handle of it, and it is never closed. So the system closes it when the process ends,
 * however that comes about, and then ends all that is in the job: children, and what they have started. A child that
 * is to go on is not put into it.
 */
#include "process/job_windows.h"

#include <windows.h>

#include "base/error_windows.h"

static INIT_ONCE once = INIT_ONCE_STATIC_INIT;

/* What a child starts may leave the job, if it asks for that: a debugger or an installer, say. */
static BOOL CALLBACK make(PINIT_ONCE init, void *parameter, void **context)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {
        .BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_BREAKAWAY_OK};
    HANDLE job = CreateJobObjectW(NULL, NULL);

    if (job && SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof limits)) {
        *context = job;
        return TRUE;
    }
    if (job)
        CloseHandle(job);
    return FALSE; /* the next one tries again */
}

int rp_job_add(void *process)
{
    void *job;

    if (!InitOnceExecuteOnce(&once, make, NULL, &job) || !AssignProcessToJobObject(job, process))
        return rp_error_last();
    return 0;
}
