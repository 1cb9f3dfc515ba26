"""Child processes: subprocess_exec() and subprocess_shell(), and what asyncio makes of them."""

import asyncio
import asyncio.subprocess
import contextlib
import gc
import grp
import io
import os
import pwd
import signal
import subprocess
import sys
import threading
import warnings

import pytest

from leaks import descriptors

PIPE, STDOUT, DEVNULL = subprocess.PIPE, subprocess.STDOUT, subprocess.DEVNULL

# Arguments by which subprocess.Popen is asked, and not the core: both ways are to be the same.
WAYS = [pytest.param({}, id="core"), pytest.param({"preexec_fn": int}, id="popen", marks=pytest.mark.forks)]

# Prints the descriptors that the shell has, which opens none for itself.
LIST_DESCRIPTORS = "for f in /proc/$$/fd/*; do [ -e $f ] && printf '%s ' ${f##*/}; done; exit 0"

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may change ids")


async def exit_code(*command, **kwargs):
    process = await asyncio.create_subprocess_exec(*command, **kwargs)
    return await process.wait()


async def output(*command, **kwargs):
    """What a command prints that is to succeed."""
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, **kwargs)
    text, _ = await process.communicate()
    assert process.returncode == 0
    return text.decode()


async def shell_output(command, **kwargs):
    return await output("/bin/sh", "-c", command, **kwargs)


# ---- ends ----


@pytest.mark.parametrize("way", WAYS)
async def test_exit_codes(way):
    assert await exit_code("true", **way) == 0
    assert await exit_code("sh", "-c", "exit 255", **way) == 255
    assert await exit_code("sh", "-c", "kill -9 $$", **way) == -9
    process = await asyncio.create_subprocess_shell("read line; exit 7", stdin=PIPE, **way)
    assert process.returncode is None
    process.stdin.close()
    assert await process.wait() == process.returncode == 7
    assert await process.wait() == 7


async def test_those_that_have_ended_hold_no_descriptors():
    await exit_code("true")
    before = descriptors()
    ended = []
    for _ in range(5):
        process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
        assert await process.communicate(b"text") == (b"text", None)
        ended.append(process)
    async with asyncio.timeout(60):
        while descriptors() != before:
            await asyncio.sleep(0)  # the transports end a turn later
    assert [process.returncode for process in ended] == [0] * 5


async def test_several_wait():
    process = await asyncio.create_subprocess_exec("cat", stdin=PIPE)
    first, second = asyncio.ensure_future(process.wait()), asyncio.ensure_future(process.wait())
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    process.stdin.close()
    assert await second == 0


async def test_signals():
    for send, code in (
        (lambda process: process.terminate(), -signal.SIGTERM),
        (lambda process: process.kill(), -signal.SIGKILL),
        (lambda process: process.send_signal(signal.SIGUSR1), -signal.SIGUSR1),
    ):
        process = await asyncio.create_subprocess_exec("cat", stdin=PIPE)
        send(process)
        assert await process.wait() == code
        process.stdin.close()


@pytest.mark.own("asyncio sends it by the number, whoever has that by then")
async def test_signal_after_others_have_reaped_it(monkeypatch, caplog):
    process = await asyncio.create_subprocess_exec("true")
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process.pid, 0)
    monkeypatch.setattr(os, "kill", None)
    process.kill()
    assert await process.wait() in (0, 255)


async def test_signal_to_one_that_has_ended():
    process = await asyncio.create_subprocess_exec("true")
    await process.wait()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(ProcessLookupError):
        process.kill()


@pytest.mark.own("before Python 3.13, asyncio waits for the end of the pipes")
async def test_wait_does_not_need_the_end_of_pipes():
    process = await asyncio.create_subprocess_shell(
        "exec 5<&0; (read line <&5; echo late) & exit 4", stdin=PIPE, stdout=PIPE
    )
    assert await process.wait() == 4
    assert not process.stdout.at_eof()
    process.stdin.close()
    assert await process.stdout.read() == b"late\n"
    process._transport.close()


@pytest.mark.own("asyncio waits by os.waitpid() in a thread, and writes other words")
@pytest.mark.parametrize("way", WAYS)
async def test_sigchld_is_ignored(caplog, way):
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert await exit_code("true", **way) == 255
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert "exit status already read" in caplog.text


@pytest.mark.own("asyncio writes other words")
async def test_others_reap_it(caplog):
    read, write = os.pipe()
    process = await asyncio.create_subprocess_exec("cat", stdin=read)
    os.close(read)
    os.close(write)
    assert os.waitpid(-1, 0)[0] == process.pid
    assert await process.wait() == 255
    assert "exit status already read" in caplog.text


async def test_two_hundred_at_once():
    async def one(number):
        process = await asyncio.create_subprocess_shell(f"read line; exit {number}", stdin=PIPE)
        return process

    processes = await asyncio.gather(*(one(number) for number in range(200)))
    for process in processes:
        process.stdin.close()
    assert await asyncio.gather(*(process.wait() for process in processes)) == list(range(200))


def test_in_another_thread(loop_factory):
    """Nobody asks for a child watcher."""
    codes = []

    async def main():
        async with asyncio.timeout(60):
            codes.append(await exit_code("sh", "-c", "exit 3"))
            codes.append(await shell_output("echo text"))

    def run():
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(main())

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes.count(3) == codes.count("text\n") == 3


@pytest.mark.own("asyncio has child watchers before Python 3.14")
@pytest.mark.skipif(sys.version_info >= (3, 14), reason="there are none")
async def test_no_child_watcher(monkeypatch):
    def refuse(*_):
        raise AssertionError("a child watcher is asked for")

    monkeypatch.setattr(asyncio.events, "get_child_watcher", refuse)
    monkeypatch.setattr(asyncio, "get_child_watcher", refuse)
    assert await exit_code("true") == 0


# ---- errors ----


@pytest.mark.parametrize("way", WAYS)
async def test_no_such_program(way):
    for wrong in ({"args": ("/no/such/program", "argument")}, {"args": ("no-such-program",)}):
        with pytest.raises(FileNotFoundError) as raised:
            await asyncio.create_subprocess_exec(*wrong["args"], **way)
        assert raised.value.filename == wrong["args"][0]
    with pytest.raises(FileNotFoundError) as raised:
        await asyncio.create_subprocess_exec("true", cwd="/no/such/directory", **way)
    assert raised.value.filename == "/no/such/directory"
    with pytest.raises(PermissionError) as raised:
        await asyncio.create_subprocess_exec("/etc/passwd", **way)
    assert raised.value.filename == "/etc/passwd"
    with pytest.raises(FileNotFoundError) as raised:
        await asyncio.create_subprocess_exec("true", executable="/no/such", stdin=PIPE, stdout=PIPE, stderr=PIPE, **way)
    assert raised.value.filename == "/no/such"


@pytest.mark.parametrize("way", WAYS)
async def test_a_script_without_a_shell(tmp_path, way):
    script = tmp_path / "script"
    script.write_text("exit 3\n")
    script.chmod(0o755)
    with pytest.raises(OSError, match="Exec format error"):
        await asyncio.create_subprocess_exec(script, **way)
    script.write_text("#!/bin/sh\nexit 3\n")
    assert await exit_code(script, **way) == 3


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("args", "kwargs", "error", "text"),
    [
        (("true", "a\0b"), {}, ValueError, "embedded null byte"),
        (("tr\0ue",), {}, ValueError, "embedded null byte"),
        (("true",), {"cwd": "a\0b"}, ValueError, "embedded null byte"),
        (("true",), {"env": {"A": "a\0b"}}, ValueError, "embedded null byte"),
        (("true",), {"env": {"A=B": "c"}}, ValueError, "illegal environment variable name"),
        (("true",), {"env": {"A": 1}}, TypeError, "expected str, bytes or os.PathLike object"),
        (("true",), {"cwd": 1.5}, TypeError, "expected str, bytes or os.PathLike object"),
        (("true",), {"user": -1}, ValueError, "User ID cannot be negative"),
        (("true",), {"user": 2**64}, (OverflowError, ValueError), ""),
        (("true",), {"user": 1.5}, TypeError, "User must be a string or an integer"),
        (("true",), {"user": "no such user"}, KeyError, "no such user"),
        (("true",), {"group": -1}, ValueError, "Group ID cannot be negative"),
        (("true",), {"group": "no such group"}, KeyError, "no such group"),
        (("true",), {"user": ""}, KeyError, "name not found"),
        (("true",), {"group": ""}, KeyError, "name not found"),
        (("true",), {"user": []}, TypeError, "User must be a string or an integer"),
        (("true",), {"group": ()}, TypeError, "Group must be a string or an integer"),
        (("true",), {"extra_groups": 0}, TypeError, ""),
        (("true",), {"process_group": ""}, TypeError, ""),
        (("true",), {"restore_signals": "yes"}, TypeError, "cannot be interpreted as an integer"),
        (("true",), {"start_new_session": None}, TypeError, "cannot be interpreted as an integer"),
        (("true",), {"umask": -(2**70)}, OverflowError, ""),
        (("true",), {"env": []}, AttributeError, "items"),
        (("true",), {"env": ["A=b"]}, AttributeError, "items"),
        (("true",), {"extra_groups": "root"}, ValueError, "Groups must be a list"),
        (("true",), {"extra_groups": [1.5]}, TypeError, "Items in extra_groups"),
        (("true",), {"startupinfo": 1}, ValueError, "startupinfo is only supported on Windows"),
        (("true",), {"creationflags": 1}, ValueError, "creationflags is only supported on Windows"),
        (("true",), {"pass_fds": [-1]}, ValueError, ""),
        (("true",), {"stdin": "text"}, AttributeError, "fileno"),
        (("true",), {"stdout": -7}, OSError, ""),
        (("true",), {"stdin": 999}, OSError, "Bad file descriptor"),
        (("true",), {"no_such_argument": 1}, TypeError, "unexpected keyword argument"),
        (("true",), {"bufsize": 1}, ValueError, "bufsize must be 0"),
        (("true",), {"text": True}, ValueError, "text must be False"),
        (("true",), {"universal_newlines": True}, ValueError, "universal_newlines must be False"),
        (("true",), {"shell": True}, ValueError, "shell must be False"),
        (("",), {}, PermissionError, ""),
    ],
)
async def test_wrong_arguments(args, kwargs, error, text, way):
    with pytest.raises(error, match=text or None):
        await asyncio.create_subprocess_exec(*args, **kwargs, **way)


async def test_a_closed_descriptor():
    read, write = os.pipe()
    os.close(read)
    os.close(write)
    for kwargs in ({"stdin": read}, {"stdout": write, "stdin": PIPE}):
        with pytest.raises(OSError, match="Bad file descriptor"):
            await asyncio.create_subprocess_exec("true", **kwargs)


# ---- what a child is given ----


@pytest.mark.parametrize("way", WAYS)
async def test_pipes(way):
    process = await asyncio.create_subprocess_shell(
        "cat; echo error >&2; exit 2", stdin=PIPE, stdout=PIPE, stderr=PIPE, **way
    )
    assert await process.communicate(b"input") == (b"input", b"error\n")
    assert process.returncode == 2
    process = await asyncio.create_subprocess_shell("echo one; echo two >&2", stdout=PIPE, stderr=STDOUT, **way)
    assert await process.communicate() == (b"one\ntwo\n", None)
    names = "readlink /proc/self/fd/0; readlink /proc/$$/fd/2"
    assert await shell_output(names, stdin=DEVNULL, stderr=DEVNULL, **way) == "/dev/null\n/dev/null\n"


async def test_much_data():
    data = os.urandom(3 << 20)
    process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
    assert await process.communicate(data) == (data, None)


async def test_files_and_descriptors(tmp_path):
    path = tmp_path / "file"
    with path.open("wb") as file:
        assert await exit_code("sh", "-c", "echo out; echo err >&2", stdout=file, stderr=file.fileno()) == 0
    assert path.read_text() == "out\nerr\n"
    with path.open("rb") as file:
        assert await output("cat", stdin=file) == "out\nerr\n"


@pytest.mark.parametrize("way", WAYS)
async def test_environment_and_directory(tmp_path, monkeypatch, way):
    monkeypatch.setenv("TEST_SUBPROCESS", "inherited")
    assert await shell_output("echo $TEST_SUBPROCESS", **way) == "inherited\n"
    process = await asyncio.create_subprocess_exec("/usr/bin/env", stdout=PIPE, env={"A": "b", b"C": b"\xff"}, **way)
    assert await process.communicate() == (b"A=b\nC=\xff\n", None)
    assert await output("/usr/bin/env", env={}, **way) == ""
    for cwd in (tmp_path, str(tmp_path), os.fsencode(tmp_path)):
        assert await output("pwd", cwd=cwd, **way) == f"{tmp_path}\n"


@pytest.mark.parametrize("way", WAYS)
async def test_path_is_the_childs(tmp_path, way):
    script = tmp_path / "a-program"
    script.write_text("#!/bin/sh\nexit 9\n")
    script.chmod(0o755)
    assert await exit_code("a-program", env={"PATH": f"/no/such:{tmp_path}"}, **way) == 9
    assert await exit_code("a-program", env={"PATH": ""}, cwd=tmp_path, **way) == 9
    with pytest.raises(FileNotFoundError):
        await asyncio.create_subprocess_exec("a-program", env={"PATH": "/bin"}, **way)
    script.chmod(0o644)
    with pytest.raises(PermissionError):
        await asyncio.create_subprocess_exec("a-program", env={"PATH": f"{tmp_path}:/bin"}, **way)


@pytest.mark.parametrize("way", WAYS)
async def test_executable(way):
    assert await output("name", "-c", "echo $0", executable="/bin/sh", **way) == "name\n"
    process = await asyncio.create_subprocess_shell("echo $0", executable="/bin/sh", stdout=PIPE, **way)
    assert await process.communicate() == (b"/bin/sh\n", None)


@pytest.mark.parametrize("way", WAYS)
async def test_session_group_and_umask(way):
    show = "cut -d' ' -f5,6 /proc/$$/stat; echo $$"
    for kwargs, expected in (
        ({}, lambda pid: (os.getpgrp(), os.getsid(0))),
        ({"start_new_session": True}, lambda pid: (pid, pid)),
        ({"process_group": 0}, lambda pid: (pid, os.getsid(0))),
        ({"process_group": None}, lambda pid: (os.getpgrp(), os.getsid(0))),
    ):
        group, session, pid = map(int, (await shell_output(show, **kwargs, **way)).split())
        assert (group, session) == expected(pid)
    assert await shell_output("umask", umask=0o027, **way) == "0027\n"
    assert await shell_output("umask", umask=0, **way) == "0000\n"


@root
@pytest.mark.parametrize("way", WAYS)
async def test_ids(way):
    show = "grep ^Uid: /proc/self/status; grep ^Gid: /proc/self/status; grep ^Groups: /proc/self/status"

    async def ids(**kwargs):
        lines = (await shell_output(show, **kwargs, **way)).splitlines()
        return [[int(number) for number in line.split()[1:]] for line in lines]

    nobody, mail = pwd.getpwnam("nobody").pw_uid, grp.getgrnam("mail").gr_gid
    assert await ids(user=1234, group=77, extra_groups=[5, 6]) == [[1234] * 4, [77] * 4, [5, 6]]
    assert (await ids(user="nobody"))[0] == [nobody] * 4
    assert (await ids(group="mail", extra_groups=["mail"]))[1:] == [[mail] * 4, [mail]]
    assert (await ids(extra_groups=[]))[2] == []
    assert os.getresuid() == (0, 0, 0)


@pytest.mark.parametrize("way", WAYS)
async def test_descriptors(way):
    fds = [os.open("/dev/zero", os.O_RDONLY) for _ in range(10)]
    passed = os.dup(fds[0])
    try:
        for fd in fds:
            os.set_inheritable(fd, True)
        assert await shell_output(LIST_DESCRIPTORS, **way) == "0 1 2 "
        assert (await shell_output(LIST_DESCRIPTORS, pass_fds=[passed], **way)).split() == ["0", "1", "2", str(passed)]
        assert not os.get_inheritable(passed)
        listed = (await shell_output(LIST_DESCRIPTORS, close_fds=False, **way)).split()
        assert {str(fd) for fd in fds} <= set(listed)
        assert str(passed) not in listed
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            listed = await shell_output(LIST_DESCRIPTORS, close_fds=False, pass_fds=[passed], **way)
        assert listed.split() == ["0", "1", "2", str(passed)]
        assert "pass_fds overriding close_fds" in str(told[0].message)
    finally:
        for fd in [*fds, passed]:
            os.close(fd)


@pytest.mark.filterwarnings("ignore:pass_fds overriding close_fds:RuntimeWarning")
@pytest.mark.parametrize("kwargs", [{"close_fds": False}, pytest.param({"preexec_fn": int}, marks=pytest.mark.forks), {}])
async def test_descriptors_of_an_iterator(kwargs):
    read, write = os.pipe()
    try:
        assert await exit_code("test", "-e", f"/proc/self/fd/{write}", pass_fds=iter([write]), **kwargs) == 0
    finally:
        os.close(read)
        os.close(write)


@pytest.mark.parametrize("way", WAYS)
async def test_flags_of_descriptors_stay(way):
    """O_NONBLOCK is whoever's has it set: that of the program's own files is not taken off."""
    read, write = os.pipe()
    try:
        os.set_blocking(read, False)
        assert await exit_code("true", stdin=read, **way) == 0
        assert not os.get_blocking(read)
    finally:
        os.close(read)
        os.close(write)


@pytest.mark.parametrize("way", WAYS)
async def test_restore_signals(way):
    async def ignored(**kwargs):
        text = await output("grep", "SigIgn", "/proc/self/status", **kwargs, **way)
        mask = int(text.split()[1], 16)
        return {number for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGHUP) if mask >> number - 1 & 1}

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert await ignored() == {signal.SIGHUP}
        assert await ignored(restore_signals=False) == {signal.SIGPIPE, signal.SIGXFSZ, signal.SIGHUP}
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.forks
async def test_preexec_fn(tmp_path):
    assert await output("pwd", preexec_fn=lambda: os.chdir("/usr")) == "/usr\n"

    def fail():
        raise ValueError

    with pytest.raises(subprocess.SubprocessError, match="preexec_fn"):
        await asyncio.create_subprocess_exec("true", preexec_fn=fail)


async def test_pipesize():
    process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE, pipesize=8192)
    assert await process.communicate(b"text") == (b"text", None)


async def test_audit_event():
    told = []
    # A hook cannot be removed: it is told nothing after this.
    listening = True

    def hook(event, args):
        if listening and event == "subprocess.Popen":
            told.append(args)

    sys.addaudithook(hook)
    try:
        assert await exit_code("sh", "-c", "exit 0", cwd="/", env={"PATH": "/bin"}) == 0
    finally:
        listening = False
    assert told == [("sh", ["sh", "-c", "exit 0"], "/", {"PATH": "/bin"})]


# ---- transports and protocols ----


class Recorder(asyncio.SubprocessProtocol):
    def __init__(self):
        self.events = []
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        self.events.append("made")

    def pipe_data_received(self, fd, data):
        self.events.append((fd, data))

    def pipe_connection_lost(self, fd, exc):
        self.events.append((fd, exc))

    def process_exited(self):
        self.events.append("exited")

    def connection_lost(self, exc):
        self.events.append(("lost", exc))
        self.done.set_result(None)


async def test_protocol(loop):
    transport, protocol = await loop.subprocess_exec(Recorder, "sh", "-c", "read line; echo $line; exit 6", stderr=None)
    assert isinstance(transport, asyncio.SubprocessTransport)
    assert transport.get_protocol() is protocol
    assert transport.get_returncode() is None
    assert not transport.is_closing()
    os.kill(transport.get_pid(), 0)
    process = transport.get_extra_info("subprocess")
    assert process.pid == transport.get_pid()
    assert process.returncode is None
    assert process.poll() is None
    assert list(process.args) == ["sh", "-c", "read line; echo $line; exit 6"]
    assert process.stdin is not None
    assert process.stderr is None
    assert transport.get_pipe_transport(2) is None
    transport.get_pipe_transport(0).write(b"text\n")
    await protocol.done
    assert transport.get_returncode() == process.returncode == process.poll() == 6
    assert protocol.events[0] == "made"
    assert protocol.events[-1] == ("lost", None)
    assert protocol.events.index((1, b"text\n")) < protocol.events.index((1, None))
    assert sorted(map(str, protocol.events[1:-1])) == sorted(map(str, [(1, b"text\n"), (1, None), (0, None), "exited"]))
    transport.close()


async def test_close_kills(loop):
    transport, protocol = await loop.subprocess_exec(Recorder, "cat")
    transport.close()
    assert transport.is_closing()
    await protocol.done
    assert transport.get_returncode() == -signal.SIGKILL
    transport.close()


@pytest.mark.own("in asyncio, close() may reap it, and then the code is lost")
async def test_close_of_one_that_has_ended(loop):
    """It is not killed, though the loop has not heard of its end yet, and its code is not lost."""
    transport, protocol = await loop.subprocess_exec(Recorder, "sh", "-c", "exit 5", stdin=None, stdout=None, stderr=None)
    with contextlib.suppress(ChildProcessError):
        os.waitid(os.P_PID, transport.get_pid(), os.WEXITED | os.WNOWAIT)
    transport.close()
    await protocol.done
    assert transport.get_returncode() == 5


@pytest.mark.own("asyncio's thread may have reaped it, and then subprocess.Popen knows no code")
async def test_the_process_object(loop):
    transport, protocol = await loop.subprocess_exec(Recorder, "cat")
    process = transport.get_extra_info("subprocess")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.001)
    process.terminate()
    assert process.wait() == -signal.SIGTERM
    assert process.poll() == -signal.SIGTERM
    process.send_signal(signal.SIGTERM)  # to one that has ended, it is nothing
    process.kill()
    await protocol.done
    transport.close()


@pytest.mark.parametrize("way", WAYS)
async def test_the_process_object_is_a_popen(loop, way):
    transport, _ = await loop.subprocess_exec(asyncio.SubprocessProtocol, "cat", stdout=None, stderr=None, **way)
    process = transport.get_extra_info("subprocess")
    assert isinstance(process, subprocess.Popen)
    assert "returncode: None args: ('cat',)" in repr(process)
    assert not (process.text_mode or process.universal_newlines or process.encoding or process.errors)
    assert process.pipesize == -1
    transport.get_pipe_transport(0).close()
    assert await transport._wait() == 0
    with process as entered:
        assert entered is process
    assert process.stdin.closed
    assert process.communicate() == (None, None)
    transport.close()


@pytest.mark.parametrize("way", WAYS)
async def test_the_process_objects_args(loop, way):
    for start, args, expected in (
        (loop.subprocess_exec, ("true", "text"), ("true", "text")),
        (loop.subprocess_shell, ("true",), "true"),
    ):
        transport, _ = await start(asyncio.SubprocessProtocol, *args, **way)
        assert transport.get_extra_info("subprocess").args == expected
        await transport._wait()
        transport.close()


async def test_subprocess_popen_is_replaced(monkeypatch):
    """Programs and their tests do that: it is called."""
    called = []

    class Popen(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            called.append(args)
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(subprocess, "Popen", Popen)
    assert await shell_output("echo text") == "text\n"
    assert called == [(("/bin/sh", "-c", "echo text"),)]


async def test_cancelled_start(loop):
    task = asyncio.ensure_future(asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE, stderr=PIPE))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.own("asyncio leaves the pipes to the garbage collector, which warns of them")
@pytest.mark.parametrize("way", WAYS)
async def test_all_tasks_are_cancelled_at_a_start(way):
    """As by asyncio.run() that is interrupted: the task that is to connect the pipes never begins."""
    task = asyncio.ensure_future(asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE, stderr=PIPE, **way))
    await asyncio.sleep(0)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert len(others) == 2
    for each in others:
        each.cancel()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(asyncio.CancelledError):
            await task
        del task, others, each
        gc.collect()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.own("asyncio leaves those that it has not come to open")
@pytest.mark.parametrize("which", [0, 1, 2])
async def test_a_pipe_that_cannot_be_connected(loop, monkeypatch, which):
    class Refused(Exception):
        pass

    left = [which]
    for name in ("connect_write_pipe", "connect_read_pipe"):
        connect = getattr(loop, name)

        async def connect_or_fail(factory, pipe, connect=connect):
            left[0] -= 1
            if left[0] < 0:
                raise Refused
            return await connect(factory, pipe)

        monkeypatch.setattr(loop, name, connect_or_fail)
    with pytest.raises(Refused):
        await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE, stderr=PIPE)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.own("asyncio's transport raises when it is deleted after its loop's end")
@pytest.mark.filterwarnings("ignore:unclosed (transport|file):ResourceWarning")
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_the_loop_is_closed_first(new_loop):
    loop = new_loop()
    process = loop.run_until_complete(asyncio.create_subprocess_exec("cat", stdin=PIPE))
    pid = process.pid
    loop.close()
    del process
    gc.collect()
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


@pytest.mark.own("asyncio's close() raises when the loop is closed")
def test_close_after_the_loop(new_loop):
    loop = new_loop()
    transport, _ = loop.run_until_complete(
        loop.subprocess_exec(asyncio.SubprocessProtocol, "cat", stdin=PIPE, stdout=PIPE, stderr=PIPE)
    )
    pid, process = transport.get_pid(), transport.get_extra_info("subprocess")
    files = process.stdin, process.stdout, process.stderr
    loop.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        transport.close()
        assert all(file.closed for file in files)
        del transport, process, files
        gc.collect()
    os.waitpid(pid, 0)


def test_a_closed_loop(new_loop):
    loop = new_loop()
    coroutine = loop.subprocess_exec(asyncio.SubprocessProtocol, "true")
    loop.close()
    with pytest.raises(RuntimeError):
        loop.run_until_complete(coroutine)
    coroutine.close()


async def test_other_threads_open_descriptors():
    """None of them gets into a child."""
    stop = False

    def open_and_close():
        while not stop:
            fds = [os.open("/dev/zero", os.O_RDONLY) for _ in range(20)]
            for fd in fds:
                os.set_inheritable(fd, True)
            for fd in fds:
                os.close(fd)

    thread = threading.Thread(target=open_and_close)
    thread.start()
    try:
        for _ in range(20):
            assert await shell_output(LIST_DESCRIPTORS) == "0 1 2 "
    finally:
        stop = True
        thread.join()


@pytest.mark.own("looks inside")
async def test_a_file_that_cannot_be_made(loop, monkeypatch):
    """The process has begun by then: it is killed, and its pipes are closed."""
    made, file = [], io.FileIO

    def make(fd, mode):
        if len(made) == 1:
            raise MemoryError
        made.append(fd)
        return file(fd, mode)

    monkeypatch.setattr("ringport.subprocesses.io.FileIO", make)
    with pytest.raises(MemoryError):
        await asyncio.create_subprocess_exec("sleep", "1000", stdin=PIPE, stdout=PIPE, stderr=PIPE)
    assert made
    async with asyncio.timeout(60):
        while True:
            try:
                os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                break  # the loop has reaped it
            await asyncio.sleep(0.001)
