"""Child processes: transports as asyncio has them, over processes that the core starts and waits for.

No child watcher has a part in it, so a loop in any thread has children. What the core does not do (preexec_fn, and
arguments that are wrong), subprocess.Popen does, and the core waits for what that has started.
"""

import contextlib
import io
import os
import select
import signal
import subprocess
import sys
from asyncio import base_subprocess
from asyncio.log import logger
from collections.abc import Iterator

from . import _core

POPEN = subprocess.Popen  # as it was: programs replace it

# rp_process_options.flags
NEW_SESSION = 1 << 0
GROUP = 1 << 1
UID = 1 << 2
GID = 1 << 3
GROUPS = 1 << 4
UMASK = 1 << 5
KEEP_FDS = 1 << 7
KEEP_SIGNALS = 1 << 8
KEEP_NONBLOCK = 1 << 9


class NotOurs(Exception):
    """Arguments that the core does not know, or that are wrong: subprocess.Popen has the words."""


def number(value, end):
    """An integer from 0 to below `end`."""
    if not isinstance(value, int) or not 0 <= value < end:
        raise NotOurs
    return int(value)


def user_id(user):
    if isinstance(user, str):
        import pwd

        user = pwd.getpwnam(user).pw_uid
    return number(user, 2**32 - 1)


def group_id(group):
    if isinstance(group, str):
        import grp

        group = grp.getgrnam(group).gr_gid
    return number(group, 2**32 - 1)


def stdio(stream, special):
    """A descriptor, one of the special numbers, or None."""
    if stream is None or (isinstance(stream, int) and stream in special):
        return stream
    return number(stream if isinstance(stream, int) else stream.fileno(), 2**31)


def variables(env):
    if env is None:
        return None
    texts = []
    for key, value in env.items():
        name = os.fsencode(key)
        if b"=" in name:
            raise ValueError("illegal environment variable name")
        texts.append(name + b"=" + os.fsencode(value))
    return texts


def command(args, shell, executable):
    """The program and its arguments."""
    if isinstance(args, (str, bytes)):
        args = [args]
    elif isinstance(args, os.PathLike):
        raise NotOurs
    if shell:
        args = ["/bin/sh", "-c", *args]
        if executable:
            args[0] = executable
    args = list(args)
    program = executable if executable is not None or not args else args[0]
    if not program:
        raise NotOurs
    return program, args


class Process(POPEN):
    """A child process that the core has started and waits for, as the subprocess.Popen that programs expect."""

    returncode = None

    # What is set at the start of others, and looked at by what is inherited.
    text_mode = False
    encoding = errors = None
    pipesize = -1
    _communication_started = False
    _input = None
    _sigint_wait_secs = 0.25

    @classmethod
    def start(
        cls,
        loop,
        exited,
        args,
        shell,
        stdin,
        stdout,
        stderr,
        *,
        executable=None,
        close_fds=True,
        cwd=None,
        env=None,
        restore_signals=True,
        start_new_session=False,
        pass_fds=(),
        user=None,
        group=None,
        extra_groups=None,
        umask=-1,
        process_group=None,
    ):
        """Start one, as subprocess.Popen does with these arguments."""
        program, argv = command(args, shell, executable)
        streams = (
            stdio(stdin, (subprocess.PIPE, subprocess.DEVNULL)),
            stdio(stdout, (subprocess.PIPE, subprocess.DEVNULL)),
            stdio(stderr, (subprocess.PIPE, subprocess.DEVNULL, subprocess.STDOUT)),
        )
        pass_fds = tuple({number(fd, 2**31) for fd in pass_fds})
        if (pass_fds and not close_fds) or isinstance(extra_groups, str):
            raise NotOurs
        if not all(isinstance(value, int) for value in (umask, restore_signals, start_new_session)) or umask < -(2**31):
            raise NotOurs
        flags = KEEP_NONBLOCK
        for flag, applies in (
            (KEEP_FDS, not close_fds),
            (KEEP_SIGNALS, not restore_signals),
            (NEW_SESSION, start_new_session),
            (UMASK, umask >= 0),
            (GROUP, process_group is not None),
            (GROUPS, extra_groups is not None),
            (UID, user is not None),
            (GID, group is not None),
        ):
            if applies:
                flags |= flag
        numbers = (
            0 if process_group is None else number(process_group, 2**31),
            0 if user is None else user_id(user),
            0 if group is None else group_id(group),
            () if extra_groups is None else tuple(group_id(each) for each in extra_groups),
            number(max(umask, 0), 2**31),
        )
        sys.audit("subprocess.Popen", program, argv, cwd, env)
        environment = variables(env)
        self = cls.__new__(cls)
        self.args = args
        self.core = _core.spawn(loop, exited, program, argv, environment, cwd, streams, pass_fds, flags, *numbers)
        self.pid = self.core.pid
        try:
            self.stdin, self.stdout, self.stderr = self._open_pipes()
        except BaseException:
            self.kill()
            raise
        return self

    def _open_pipes(self):
        files = []
        for which, mode in enumerate(("wb", "rb", "rb")):
            fd = self.core.take_pipe(which)
            try:
                files.append(None if fd is None else io.FileIO(fd, mode))
            except BaseException:
                os.close(fd)
                for file in filter(None, files):
                    file.close()
                raise
        return files

    def poll(self):
        """How the process has ended, or None; it is the loop's to reap."""
        if self.returncode is not None:
            return self.returncode
        try:
            info = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return None
        if info is None:
            return None
        return info.si_status if info.si_code == os.CLD_EXITED else -info.si_status

    def wait(self, timeout=None):
        """Block the thread until the process has ended; it is the loop's to reap."""
        with contextlib.suppress(ProcessLookupError):
            pidfd = os.pidfd_open(self.pid)
            try:
                poll = select.poll()
                poll.register(pidfd, select.POLLIN)
                if not poll.poll(None if timeout is None else timeout * 1000):
                    raise subprocess.TimeoutExpired(self.args, timeout)
            finally:
                os.close(pidfd)
        return self.poll()

    def send_signal(self, number):
        """Send a signal, unless the process has been reaped."""
        with contextlib.suppress(ProcessLookupError):
            self.core.send_signal(number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)


ARGUMENTS = frozenset(Process.start.__kwdefaults__)

# Arguments that say nothing with these values. With others, subprocess.Popen is asked.
NOTHING = {"preexec_fn": None, "startupinfo": None, "creationflags": 0, "pipesize": -1}


def close_files(process):
    """Close this end of a process's pipes."""
    for file in filter(None, (process.stdin, process.stdout, process.stderr)):
        file.close()


class SubprocessTransport(base_subprocess.BaseSubprocessTransport):
    """A transport of a child process."""

    _connecting = False

    def __init__(self, *args, **kwargs):
        self._waiters = []
        try:
            super().__init__(*args, **kwargs)
        except BaseException:
            if getattr(self, "_proc", None) is not None:  # it has begun, and nobody is to hear of it
                self.close()
            raise

    def _start(self, args, shell, stdin, stdout, stderr, bufsize, **kwargs):
        streams = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
        for name in "pass_fds", "extra_groups":
            if isinstance(kwargs.get(name), Iterator):
                kwargs[name] = tuple(kwargs[name])  # Popen may look at it after us
        for name in NOTHING:
            if name in kwargs and kwargs[name] == NOTHING[name]:
                del kwargs[name]
        if subprocess.Popen is POPEN and bufsize == 0 and ARGUMENTS.issuperset(kwargs):
            with contextlib.suppress(NotOurs):
                self._proc = Process.start(self._loop, self._ended, args, shell, **streams, **kwargs)
                self._process = self._proc.core
                return
        self._proc = subprocess.Popen(args, shell=shell, bufsize=bufsize, **streams, **kwargs)
        self._process = _core.adopt(self._loop, self._ended, self._proc.pid)

    def close(self):
        ended = self._loop is not None and self._loop.is_closed()
        if ended:
            for end in filter(None, self._pipes.values()):  # the loop is no more that would close them
                end.pipe._pipe = None
            self._pipes = {}
        if self._proc is not None and (ended or not self._connecting):
            close_files(self._proc)
        super().close()

    async def _connect_pipes(self, waiter):
        """What could not be connected, or not before close(), is closed. A task that is cancelled may never begin it."""
        self._connecting = True
        files = self._proc.stdin, self._proc.stdout, self._proc.stderr
        try:
            await super()._connect_pipes(waiter)
        finally:
            for which, file in enumerate(files):
                pipe = self._pipes.get(which)
                if pipe is None and file is not None:
                    file.close()
                elif pipe is not None and self._closed:
                    pipe.pipe.close()

    def _ended(self, returncode):
        """The core has reaped the process, or cannot."""
        if self._proc is None:
            return  # its start has failed later on
        if returncode is None:
            returncode = self._proc.returncode  # Popen has, perhaps
        if returncode is None:
            returncode = 255
            logger.warning("child process pid %d exit status already read: will report returncode 255", self._proc.pid)
        self._loop.call_soon(self._process_exited, returncode)

    def _process_exited(self, returncode):
        try:
            super()._process_exited(returncode)
        finally:
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(returncode)
            self._waiters.clear()

    def send_signal(self, signal):
        """Send a signal: by the core, which knows the process from others with its number."""
        self._check_proc()
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    async def _wait(self):
        """Wait until the process has ended, whoever still has its pipes."""
        if self._returncode is not None:
            return self._returncode
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        return await waiter


class Subprocesses:
    """What Loop has of subprocess_exec() and subprocess_shell()."""

    async def _make_subprocess_transport(
        self, protocol, args, shell, stdin, stdout, stderr, bufsize, extra=None, **kwargs
    ):
        waiter = self.create_future()
        transport = SubprocessTransport(
            self, protocol, args, shell, stdin, stdout, stderr, bufsize, waiter=waiter, extra=extra, **kwargs
        )
        try:
            await waiter
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:
            transport.close()
            await transport._wait()
            raise
        return transport
