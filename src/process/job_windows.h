/*
 * job_windows.h - the job that children are in: it ends them when this process ends.
 */
#ifndef RP_PROCESS_JOB_WINDOWS_H
#define RP_PROCESS_JOB_WINDOWS_H

/* Puts a process, with all that it will start, into the job. `process` is its HANDLE. 0 or an error. */
int rp_job_add(void *process);

#endif
