"""A shell, commands, sftp of 100 MB each way, forwarded ports; the same with Debian's sshd, ssh and sftp."""

import asyncio
import contextlib
import getpass
import os
import pathlib

import asyncssh
import payload
import psutil
import pytest
from cases import on_loop, until
from loops import check
from servers import free_port, started, stop, tool

PACKAGES = ["asyncssh"]
SERVERS = ["openssh-client", "openssh-server"]
USER = getpass.getuser()


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """The server's key and the user's, in a folder that is the server's too."""
    folder = tmp_path_factory.mktemp("keys")
    for name in "server", "user":
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(folder / name)
        (folder / name).chmod(0o600)
        asyncssh.read_private_key(folder / name).write_public_key(folder / f"{name}.pub")
    return folder


async def shell(process):
    """A shell of three words: it adds, it tells its environment, and it ends."""
    check()
    if process.command:
        return await execute(process)
    process.stdout.write(f"hello {process.get_extra_info('username')} on {process.term_type}\n")
    with contextlib.suppress(asyncssh.BreakReceived, asyncssh.TerminalSizeChanged):
        async for line in process.stdin:
            word, *numbers = line.split()
            if word == "exit":
                return process.exit(int(numbers[0]))
            process.stdout.write(f"{sum(map(int, numbers))}\n")
    process.exit(1)


async def execute(process):
    """A command of the user's: a program whose streams are the channel's."""
    if process.command == "wait":
        await asyncio.sleep(3600)
    child = await asyncio.create_subprocess_shell(
        process.command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    await process.redirect(stdin=child.stdin, stdout=child.stdout, stderr=child.stderr)
    status = await child.wait()
    await process.stdout.drain()
    process.exit(status)


class Gate(asyncssh.SSHServer):
    """Whoever has the key may forward ports."""

    def connection_requested(self, *_):
        return True

    def server_requested(self, *_):
        return True


@contextlib.asynccontextmanager
async def serving(keys):
    """A server; gives its port."""
    acceptor = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=Gate, server_host_keys=[keys / "server"], encoding="utf-8",
        authorized_client_keys=str(keys / "user.pub"), process_factory=shell, sftp_factory=True, allow_scp=True,
    )  # fmt: skip
    async with acceptor:
        yield acceptor.get_port()


@contextlib.contextmanager
def sshd(keys):
    """OpenSSH's server, for the user whom the test runs as; gives it and its port."""
    if os.getuid() == 0:
        pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    port = free_port()
    options = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": keys / "server",
        "AuthorizedKeysFile": keys / "user.pub",
        "PidFile": "none",
        "StrictModes": "no",  # whoever else may write to the key's folders does not matter
        "PermitRootLogin": "prohibit-password",
        "PasswordAuthentication": "no",
        "PrintMotd": "no",
        "UsePAM": "no",
        "MaxSessions": "100",
        "Subsystem": "sftp internal-sftp",
    }
    config = keys / f"sshd_config.{port}"
    config.write_text("".join(f"{name} {value}\n" for name, value in options.items()))
    with started([tool("sshd"), "-D", "-e", "-f", config], ("127.0.0.1", port)) as server:
        try:
            yield server, port
        finally:
            kill(server)


def kill(server):
    """Kills an sshd with its connections and their commands, which are in sessions of their own."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in psutil.Process(server.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    stop(server)


@contextlib.asynccontextmanager
async def serving_by_sshd(keys):
    with sshd(keys) as (_, port):
        yield port


both_servers = pytest.mark.parametrize("server", [serving, serving_by_sshd], ids=["asyncssh", "sshd"])


@contextlib.asynccontextmanager
async def client(keys, port):
    """Gives its connection."""
    known = asyncssh.import_known_hosts(f"[127.0.0.1]:{port} {(keys / 'server.pub').read_text()}")
    async with asyncssh.connect(
        "127.0.0.1", port, username=USER, client_keys=[keys / "user"], known_hosts=known, config=None
    ) as connection:
        yield connection


@contextlib.asynccontextmanager
async def connected(keys, server=serving):
    """A client of a server; gives its connection."""
    async with server(keys) as port, client(keys, port) as connection:
        yield connection


@on_loop
async def test_shell(keys):
    async with connected(keys) as connection, connection.create_process(term_type="vt100") as process:
        process.stdin.write("add 1 2 3\n")
        seen = [await process.stdout.readline() for _ in range(2)]
        assert f"hello {USER} on vt100" in seen[0] and "6" in "".join(seen) + await process.stdout.readline()
        process.stdin.write("exit 7\n")
        assert (await process.wait()).exit_status == 7


@on_loop
async def test_a_shell_of_sshd(keys):
    """With a terminal and without one."""
    async with connected(keys, serving_by_sshd) as connection:
        done = await connection.run("stty size", term_type="vt100", term_size=(100, 40))
        assert done.stdout.split() == ["40", "100"]
        async with connection.create_process() as process:
            for number in range(100):
                process.stdin.write(f"echo $((2 * {number}))\n")
                assert await process.stdout.readline() == f"{2 * number}\n"
            process.stdin.write("exit 7\n")
            assert (await process.wait()).exit_status == 7


@both_servers
@on_loop
async def test_commands_at_once(keys, server):
    async with connected(keys, server) as connection:
        commands = [connection.run(f"cat; echo {n} >&2; exit {n}", input=f"in {n}") for n in range(20)]
        found = await asyncio.gather(*commands)
        assert [(done.stdout, done.stderr.strip(), done.exit_status) for done in found] == [
            (f"in {n}", str(n), n) for n in range(20)
        ]


@on_loop
async def test_a_command_is_cancelled(keys):
    async with connected(keys) as connection:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(connection.run("wait"), 0.1)
        assert (await connection.run("echo alive")).stdout == "alive\n"


@both_servers
@on_loop
async def test_sftp(keys, tmp_path, server):
    """Up, and down again."""
    local, remote, back = (tmp_path / name for name in ("local", "remote", "back"))
    with local.open("wb") as file:
        file.writelines(payload.blocks())
    async with connected(keys, server) as connection, connection.start_sftp_client() as sftp:
        await sftp.put(local, remote)
        assert (await sftp.stat(remote)).size == payload.SIZE
        await sftp.get(remote, back)
    for path in remote, back:
        with path.open("rb") as file:
            assert payload.digest(iter(lambda: file.read(1 << 20), b"")) == payload.DIGEST


@both_servers
@on_loop
async def test_forwarded_ports(keys, server):
    """A client's port that leads to a server behind, and a port of the server's that leads to one before it."""

    async def echo(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as behind, connected(keys, server) as connection:
        target = behind.sockets[0].getsockname()
        listeners = [
            await connection.forward_local_port("127.0.0.1", 0, *target),
            await connection.forward_remote_port("127.0.0.1", 0, *target),
        ]
        for listener in listeners:
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.get_port())
            writer.write(payload.BLOCK)
            writer.write_eof()
            assert await reader.read() == payload.BLOCK
            writer.close()
            await writer.wait_closed()
        for listener in listeners:
            listener.close()
            await listener.wait_closed()


@on_loop
async def test_an_abort_amid_a_command(keys):
    async with connected(keys) as connection:
        process = await connection.create_process("wait")
        connection.abort()
        assert (await process.wait()).exit_status is None


@on_loop
async def test_sshd_is_killed(keys):
    with sshd(keys) as (server, port):
        async with client(keys, port) as connection:
            process = await connection.create_process("echo begun; sleep 3600")
            assert await process.stdout.readline() == "begun\n"
            kill(server)
            assert (await process.wait()).exit_status is None
            with pytest.raises(asyncssh.Error):
                await connection.run("true")


async def run_client(command, *, text=""):
    """A program of OpenSSH's; gives what it prints."""
    child = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await child.communicate(text.encode())
    return child.returncode, out.decode(), errors.decode()


@on_loop
async def test_openssh(keys, tmp_path):
    options = ["-F", "none", "-i", str(keys / "user"), "-o", f"UserKnownHostsFile={tmp_path / 'hosts'}"]
    options += ["-o", "StrictHostKeyChecking=accept-new", "-o", "BatchMode=yes"]
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(payload.BLOCK)
    async with serving(keys) as port:
        ssh = [tool("ssh"), *options, "-p", str(port), "somebody@127.0.0.1"]
        status, out, errors = await run_client([*ssh, "tr a-z A-Z; exit 3"], text="loud")
        assert (status, out) == (3, "LOUD"), errors
        status, out, errors = await run_client(ssh, text="add 40 2\nexit 0\n")
        assert status == 0 and out.splitlines()[-1] == "42", errors
        batch = f"put {source} {target}\nget {target} {tmp_path / 'again'}\n"
        status, _, errors = await run_client(
            [tool("sftp"), *options, "-P", str(port), "-b", "-", "somebody@127.0.0.1"], text=batch
        )
        assert status == 0, errors
        await until(lambda: (tmp_path / "again").exists())
        assert (tmp_path / "again").read_bytes() == target.read_bytes() == payload.BLOCK
