#!/usr/bin/python3
"""Fails if include/ringport/python.h does not hand out what the headers below it declare.

Each function of base.h, error.h, op.h, loop.h, future.h and net.h is in its list, and has its name defined, but for those
that LEFT_OUT names. `check_capi.py --self-test` proves that it can fail.
"""

import pathlib
import re
import sys

INCLUDE = pathlib.Path(__file__).resolve().parent.parent / "include/ringport"
HEADERS = "base.h", "error.h", "op.h", "loop.h", "future.h", "net.h"

# What makes, runs, ends and sets up loops is Python's business, and so are signals, threads, memory, and contexts of TLS.
LEFT_OUT = """
rp_set_allocator rp_get_allocator rp_transport_start_tls
rp_loop_new rp_loop_close rp_loop_free rp_run_forever rp_run_until_complete rp_loop_stop rp_loop_proactor
rp_add_signal_handler rp_remove_signal_handler
rp_executor_new rp_executor_shutdown rp_executor_free rp_set_default_executor rp_shutdown_default_executor
rp_set_exception_handler rp_get_exception_handler rp_default_exception_handler
rp_set_debug rp_get_debug rp_set_slow_callback_duration rp_get_slow_callback_duration
rp_set_coroutine_origin_tracking_depth rp_get_coroutine_origin_tracking_depth
rp_set_asyncgens_hook rp_shutdown_asyncgens
rp_get_event_loop_policy rp_set_event_loop_policy rp_new_event_loop rp_set_event_loop rp_get_event_loop
rp_runner_new rp_runner_get_loop rp_runner_close rp_runner_free
""".split()


def declared(text):
    return re.findall(r"^RP_API [^;(]*?(rp_\w+)\(", text, re.M)


def faults(wanted, header):
    """A line for each difference between the functions that are wanted and those that the header has."""
    for what, names in (("in RP_PYTHON_FUNCTIONS_", re.findall(r"^ +X\((rp_\w+)\)", header, re.M)),
                        ("defined", re.findall(r"^#define (rp_\w+) RP_PYTHON_\(\1\)$", header, re.M))):
        yield from (f"{name} is not {what}" for name in wanted if name not in names)
        yield from (f"{name} is {what}, and should not be" for name in names if name not in wanted)


def self_test():
    header = "    X(rp_a)  \\\n    X(rp_b)\n#define rp_a RP_PYTHON_(rp_a)\n#define rp_b RP_PYTHON_(rp_b)\n"
    assert declared("RP_API const char *rp_a(void);\nRP_API int rp_b(int a,\n  int b);\n") == ["rp_a", "rp_b"]
    assert list(faults(["rp_a", "rp_b"], header)) == []
    assert len(list(faults(["rp_a", "rp_b", "rp_c"], header))) == 2
    assert len(list(faults(["rp_a"], header))) == 2
    assert len(list(faults(["rp_a", "rp_b"], header.replace("RP_PYTHON_(rp_b)", "RP_PYTHON_(rp_a)")))) == 1


def main():
    self_test()
    if sys.argv[1:] == ["--self-test"]:
        return 0
    there = [name for header in HEADERS for name in declared((INCLUDE / header).read_text())]
    found = [f"{name} is left out, and no header has it" for name in LEFT_OUT if name not in there]
    found += faults([name for name in there if name not in LEFT_OUT], (INCLUDE / "python.h").read_text())
    print(*found, sep="\n", end="\n" if found else "")
    return len(found) > 0


sys.exit(main())
