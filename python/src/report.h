/*
 * report.h - what the core reports, in asyncio's words, to loop.call_exception_handler().
 */
#ifndef RPY_REPORT_H
#define RPY_REPORT_H

#include "loop.h"

/* Has the core report to `loop`, for as long as that has an rp_loop. */
void rpy_report_install(rpy_loop *loop);

#endif
