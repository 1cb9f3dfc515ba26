#!/usr/bin/python3
"""check_objects.py LIBRARY [OBJECT...]: what each layer's objects need of others, by the symbols of a static library.

1. The kernel is asked in src/proactor alone. Objects of the layers above need no function of the system that has to do
   with sockets, descriptors, readiness or time, but those that EXCEPTIONS allows, each with its reason. What includes
   say nothing of shows here: the C library's headers are everybody's.
2. A symbol that the library defines is defined in the object's own layer, or in one that it stands on
   (tests/check_layers.py). A declaration that is written down twice, and so needs no include, shows here.

Any build will do, and any platform's. The objects are those of the Python face.
`check_objects.py --self-test` proves that it can fail.
"""

import re
import subprocess
import sys

from check_layers import STANDS_ON, below

# Whose layers may ask the system's kernel: the rest asks rp_kernel.
FREE = {"base", "proactor"}

KERNEL = re.compile("|".join(f"(?:{pattern})" for pattern in [
    # sockets
    r"socket(pair)?|bind|listen|accept4?|connect|shutdown|send(to|m?msg)?|recv(from|m?msg)?|[gs]etsockopt|get(sock|peer)name",
    # descriptors
    r"p?(read|write)v?2?|p?readv|p?writev|open(at)?|creat|close(_range)?|dup[23]?|pipe2?|fcntl|ioctl|lseek|f(data)?sync|f?truncate",
    r"sendfile|splice|tee|copy_file_range|l?stat|fstat(at)?|statx|unlink(at)?|rename(at2?)?|mkdir(at)?|rmdir",
    # readiness
    r"p?poll|p?select|epoll_\w+|eventfd\w*|signalfd|timerfd_\w+|inotify_\w+|io_uring_\w+|syscall",
    # time
    r"clock_\w+|gettimeofday|time|times|clock|timespec_get|nanosleep|u?sleep",
    # processes
    r"v?fork|clone3?|posix_spawn\w*|wait(pid|id|[34])?|pidfd_\w+",
    # the same of Windows
    r"WSA\w+|closesocket|ioctlsocket|\w*CompletionPort|\w*QueuedCompletionStatus(Ex)?|CancelIo\w*|DeviceIoControl|Nt[A-Z]\w+",
    r"(Read|Write|Create|Delete|Move|Copy)File\w*|CloseHandle|DuplicateHandle|Get(File|FinalPath)\w+|SetFile\w+|CreateProcess\w+",
    r"QueryPerformance\w+|GetTickCount(64)?|GetSystemTime\w*|Sleep(Ex)?|WaitFor\w+Objects?(Ex)?|SetWaitableTimer\w*",
    # the clock of base, which is the system's
    r"rp_clock_now",
]))

# What an object needs all the same, and why.
EXCEPTIONS = {
    "loop/signals_posix": (
        ["pipe2", "read", "write", "close"],
        "a signal comes to the process, not to a loop's kernel, and its handler can do no more than write into a pipe"),
    "loop/signals_windows": (
        ["Sleep"],
        "the console's thread gives the program some time for its end, and no loop runs in it"),
    "loop/watch_source_linux": (
        ["inotify_init1", "inotify_add_watch", "inotify_rm_watch", "read", "close"],
        "files are watched by the system that has them, and no socket is touched"),
    "loop/watch_source_windows": (
        ["CancelIoEx", "CloseHandle"],
        "the same"),
    "fiber/overflow_posix": (
        ["write"],
        "the handler of a fault tells on stderr which task's stack has run over, and the process ends"),
    "fiber/overflow_windows": (
        ["WriteFile"],
        "the same"),
    "net/socket_file_posix": (
        ["lstat", "unlink"],
        "the path of a Unix socket is a file's: it outlives the socket, and no socket is touched"),
    "net/socket_file_windows": (
        ["CreateFileW", "CloseHandle", "GetFileInformationByHandle", "GetFileInformationByHandleEx", "DeleteFileW"],
        "the same"),
    "process/spawn_posix": (
        ["close", "fcntl", "pidfd_open", "pidfd_send_signal", "pipe2"],
        "a process is the system's, whatever the loop's kernel is, and so are the descriptors that it is given"),
    "process/spawn_clone_posix": (
        ["clone", "close", "fcntl", "fork", "pidfd_open", "pipe2", "read", "waitid", "waitpid"],
        "the same"),
    "process/spawn_child_posix": (
        ["dup2", "fcntl", "ioctl", "open", "syscall", "write"],
        "the same: this is the child, in which no loop runs"),
    "process/spawn_windows": (
        ["CloseHandle", "CreateFileW", "CreateProcessW", "DuplicateHandle", "GetFileAttributesW", "GetFileType",
         "NtQueryInformationFile", "SetFilePointerEx", "WaitForSingleObject"],
        "the same"),
    "process/pipe_pair_windows": (
        ["CloseHandle", "CreateFileW", "QueryPerformanceCounter"],
        "the same; the counter makes a name that nobody guesses"),
    "process/program_windows": (
        ["GetFileAttributesW"],
        "the same: programs are files"),
    "process/job_windows": (
        ["CloseHandle"],
        "the same"),
    "python/sock": (
        ["accept4", "close", "poll", "recv", "recvfrom", "send"],
        "the sockets are Python's own, which are the system's whatever the loop's kernel is"),
    "python/sock_connect": (
        ["connect", "fcntl", "getpeername", "getsockopt"],
        "the same"),
    "python/watch": (
        ["close", "dup3", "epoll_create1", "epoll_ctl", "epoll_wait", "fcntl"],
        "the descriptors are the program's, and what becomes of them is for an epoll instance to know"),
}

MEMBER = re.compile(r"^(?:(?:.*/)?(python)/[^/]+/src|(?:.*/)?src_([a-z]+))_(\w+)\.[cS]\.o(?:bj)?:$")


def plain(symbol):
    """A function's name without what the compiler, the C library and Windows put around it."""
    symbol = symbol.partition("@")[0].removeprefix("__imp_")
    return re.sub(r"^__(?:isoc\d+_)?(\w+?)_chk$", r"\1", re.sub(r"64$", "", symbol))


def read(table):
    """{"layer/file": (what it defines, what it needs)} of what nm prints of a library."""
    objects, current = {}, None
    for line in table.splitlines():
        if member := MEMBER.match(line):
            current = objects.setdefault(f"{member[1] or member[2]}/{member[3]}", (set(), set()))
        elif line.endswith(":"):
            current = None
        elif current and (parts := line.split()):
            kind, name = parts[-2:] if len(parts) > 1 else (" ", "")
            if kind in "Uw":
                current[1].add(name)
            elif kind.isupper() or kind in "vu":
                current[0].add(name)
    return objects


def mistakes(objects, exceptions):
    home = {name: each for each, (defined, _) in objects.items() for name in defined}
    used = {each: set() for each in exceptions}
    for each, (_, needed) in sorted(objects.items()):
        layer = each.partition("/")[0]
        if layer not in STANDS_ON:
            yield f"{each}: which layer does it belong to? Say so in tests/check_layers.py"
            continue
        allowed = exceptions.get(each, ([], ""))[0]
        for name in sorted(needed):
            other = home.get(name, each).partition("/")[0]
            if other != layer and other not in below(layer):
                yield f"{each} needs {name}() of {home[name]}, on which its layer does not stand"
            if layer not in FREE and KERNEL.fullmatch(plain(name)):
                if plain(name) in allowed:
                    used[each].add(plain(name))
                else:
                    yield f"{each} calls {plain(name)}(): above src/proactor the kernel is asked by rp_kernel alone"
    for each in sorted(exceptions):
        for name in sorted(set(exceptions[each][0]) - used[each]) if each in objects else []:
            yield f"{each} does not call {name}(): take it out of EXCEPTIONS in tests/check_objects.py"


def self_test():
    def count(table, exceptions=None):
        return len(list(mistakes(read(table), exceptions or {})))

    low = "src_base_clock_posix.c.o:\n0000 T rp_clock_now\n U clock_gettime\n\n"
    proactor = "src_proactor_kernel_posix.c.o:\n0000 R rp_system_kernel\n U send\n U rp_clock_now\n\n"
    loop = "lib.a.p/src_loop_loop.c.o:\n0000 T rp_run\n U rp_system_kernel\n U memcpy\n w rp_unknown\n\n"
    assert count(low + proactor + loop) == 0
    assert count(loop + " U recv\n") == 1
    assert count(loop + " U __recv_chk\n U fcntl64\n U __imp_closesocket\n") == 3
    assert count(low + loop + " U rp_clock_now\n") == 1  # a lower layer's, but the system's time
    assert count(low + " U rp_run\n" + loop) == 1  # a step up
    assert count(loop + "src_net_bind.c.obj:\n U rp_run\nsrc_co_task.c.obj:\n0000 T rp_task\n U rp_run\n") == 0
    assert count("src_net_bind.c.obj:\n U rp_task\nsrc_co_task.c.obj:\n0000 T rp_task\n") == 1  # siblings
    assert count(loop + "b/python/_core.so.p/src_module.c.o:\n U rp_run\n") == 0
    assert count(loop + " U PyInit\n\nb/python/_core.so.p/src_loop_type.c.o:\n0000 T PyInit\n U recv\n") == 2
    assert count("src_misc_x.c.o:\n U memcpy\n") == 1
    filters = "src_tls_filter.c.o:\n0000 T rp_filter\n\n"
    assert count(filters + "src_connect_server.c.o:\n U rp_filter\n") == 0
    assert count(filters + "src_net_transport.c.o:\n U rp_filter\n") == 1
    assert count(loop + " U recv\n", {"loop/loop": (["recv"], "")}) == 0
    assert count(loop, {"loop/loop": (["recv"], "")}) == 1  # an exception that nothing needs
    assert count(loop, {"loop/other": (["recv"], "")}) == 0  # another platform's file
    for name in ("clock_gettime", "WSASend", "preadv2", "setsockopt", "epoll_pwait2", "QueryPerformanceCounter"):
        assert KERNEL.fullmatch(name), name
    for name in ("sendable", "rp_kernel_send", "memcpy", "strtol", "timer", "thread"):
        assert not KERNEL.fullmatch(name), name


def main():
    self_test()
    if sys.argv[1:] == ["--self-test"]:
        return 0
    objects = read(subprocess.run(["nm", *sys.argv[1:]], check=True, capture_output=True, text=True).stdout)
    found = list(mistakes(objects, EXCEPTIONS))
    missing = [layer for layer in ("base", "proactor", "loop", "net", "connect", "process", "co", "stream")
               if not any(each.startswith(layer + "/") for each in objects)]
    if missing:
        found.append(f"{sys.argv[1]} has no objects of src/" + ", src/".join(missing))
    print(*found, sep="\n", end="\n" if found else "")
    return len(found) > 0


if __name__ == "__main__":
    sys.exit(main())
