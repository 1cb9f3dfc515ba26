/*
 * report_text.h - the C face's reports: words for them, and the way to the exception handler.
 */
#ifndef RP_LOOP_REPORT_TEXT_H
#define RP_LOOP_REPORT_TEXT_H

#include "loop/exception.h"

/* What a loop's reporter is unless a face puts another one in its place. */
void rp_report_to_handler(rp_loop *loop, const rp_report *report);

#endif
