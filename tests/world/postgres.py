"""A PostgreSQL of a row's own: a new cluster in a temporary folder, which serves on TCP, on TLS and on a Unix socket.

PostgreSQL refuses to be root: if we are, it is "nobody". Its backends leave their session, so that they are looked for
when it is killed. What is killed leaves its shared memory: in the end it stops by itself.
"""

import asyncio
import contextlib
import os
import pathlib
import select
import shutil
import signal
import subprocess
import tempfile

from servers import free_port, started, tool
from tls import Certificate

USER, PASSWORD, DATABASE = "owner", "a secret", "postgres"
SETTINGS = {
    "autovacuum": "off",
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "127.0.0.1",
    "max_connections": "120",
    "max_wal_size": "256MB",
    "shared_buffers": "64MB",
    "ssl": "on",
    "synchronous_commit": "off",
}


class Postgres:
    """It runs within the block. start() and kill() may be called there, in a thread: both wait."""

    def __init__(self):
        self.as_user = []
        if os.geteuid() == 0:
            self.as_user = [tool("setpriv"), "--reuid=nobody", "--regid=nogroup", "--clear-groups"]

    def __enter__(self):
        self.port = free_port()
        # Not below TMPDIR, which may be for us alone, or too long for the address of a Unix socket.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postgres", dir="/tmp"))
        self.running = contextlib.ExitStack()
        try:
            self.certificate = Certificate(self.folder)
            self.password = self.folder / "password"
            self.password.write_text(PASSWORD)
            self.give_away()
            data = ["-D", self.folder / "data"]
            options = f"--no-sync --wal-segsize=1 -U {USER} -E UTF8 --locale=C -A scram-sha-256 --pwfile".split()
            command = [*self.as_user, tool("initdb"), *data, *options, self.password]
            subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.folder)
            settings = SETTINGS | {
                "port": self.port,
                "unix_socket_directories": self.folder,
                "ssl_cert_file": self.certificate.certificate,
                "ssl_key_file": self.certificate.key,
            }
            given = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
            self.command = [*self.as_user, tool("postgres"), *data, *given]
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        try:
            if hasattr(self, "server"):
                self.stop()
        finally:
            self.kill()
            shutil.rmtree(self.folder)

    def give_away(self):
        """Makes the folder and what is in it the server's."""
        if self.as_user:
            for path in (self.folder, *self.folder.iterdir()):
                shutil.chown(path, "nobody", "nogroup")

    def start(self):
        """Has it serve, if it does not."""
        if not self.backends():
            where = ("127.0.0.1", self.port)
            ready = [tool("pg_isready"), "-q", "-h", where[0], "-p", str(self.port), "-U", USER, "-d", DATABASE]
            server = started(self.command, where, ready=lambda: subprocess.run(ready).returncode == 0, cwd=self.folder)
            self.server = self.running.enter_context(server)

    def backends(self):
        """The server's processes, of which none is the postmaster."""
        server = getattr(self, "server", None)
        if not server or server.poll() is not None:
            return []
        return [int(pid) for pid in pathlib.Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()]

    def kill(self):
        """Kills it and all its backends, of which none can say goodbye; they and their memory are gone then."""
        killed = []
        if self.backends():
            self.server.send_signal(signal.SIGSTOP)  # so that no backend is born meanwhile
            killed = [os.pidfd_open(pid) for pid in self.backends()]
        for backend in killed:
            signal.pidfd_send_signal(backend, signal.SIGKILL)
        self.running.close()
        for backend in killed:
            select.select([backend], [], [], 60)
            os.close(backend)

    def stop(self):
        """Has it stop at once, and give back its shared memory, and that of one that was killed before."""
        self.start()
        self.server.send_signal(signal.SIGQUIT)
        self.server.wait(60)

    def address(self, where="tcp"):
        """Host and port for a client, on "tcp", "tls" or "unix"."""
        return {"host": str(self.folder) if where == "unix" else "127.0.0.1", "port": self.port}

    def login(self, where="tcp"):
        """Address, user, password and database, by asyncpg's names for them."""
        return self.address(where) | {"user": USER, "password": PASSWORD, "database": DATABASE}


@contextlib.asynccontextmanager
async def timed_out_after(running):
    """A timeout that ends the block, once the coroutine `running` has ended, which waits until the query runs.

    PostgreSQL ignores it if a query is cancelled that it has not begun.
    """
    try:
        async with asyncio.timeout(None) as limit:

            async def expire():
                await running
                limit.reschedule(0)

            expiry = asyncio.create_task(expire())
            yield
    except TimeoutError:
        await expiry
    else:
        raise AssertionError("it is not over")
