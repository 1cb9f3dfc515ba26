"""suites.py NAME --junit=FILE: a library's own tests, unchanged, on the loop that WORLD_LOOP names.

The tests are those of the library's source package, in the version that requirements.txt pins, and they test the
package that is installed. That of websockets has none: the library and its tests are those of Debian 13's source
package.

The table says what of them is run: a whole run takes what goes through the loop, a reduced one (WORLD_REDUCED=1) the
files that ask most of it. The run fails if the loops were not those that it is about (plugins/witness.py). Source
packages are kept in WORLD_CACHE, by default build/world/sources.
"""

import argparse
import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("WORLD_CACHE", HERE.parents[1] / "build/world/sources"))
LIMITS = 800, 280  # seconds, for hangs alone: of a whole run, of a reduced one


@dataclass
class Suite:
    """What is run of a library's tests.

    Cases go by pytest's names in `left_out`, by those of JUnit files in `differs`.
    """

    name: str
    package: str
    what: str  # for the page
    whole: list
    reduced: list
    plugins: list
    options: list = field(default_factory=list)
    environment: dict = field(default_factory=dict)
    installed: bool = False  # the tests are in the installed package: there is no source to get
    debian: str = ""  # the version of Debian's source package, whose library is tested as well
    left_out: dict = field(default_factory=dict)  # not run on any loop, and why
    differs: dict = field(default_factory=dict)  # fails on ringport, not on asyncio, and why


def files(pattern, *names):
    return [pattern.format(name) for name in names]


def localhost_has_ipv6():
    with contextlib.suppress(OSError):
        return bool(socket.getaddrinfo("localhost", 0, socket.AF_INET6))
    return False


# Containers often give localhost no address of IPv6. Then these cases fail on any loop, and leave sockets behind that
# let a later one fail.
IPV6 = "" if localhost_has_ipv6() else " and not ipv6 and not dualstack and not multi"
SUITES = [
    Suite(
        name="aiohttp",
        package="aiohttp",
        what="its own tests of what goes through the loop: server, client, connector, WebSockets, proxies, sendfile,"
        " runners",
        whole=files(
            "tests/test_{}.py", "web_functional", "client_functional", "connector", "web_server",
            "web_websocket_functional", "client_ws_functional", "web_sendfile_functional", "run_app",
            "proxy_functional", "client_session", "streams", "web_runner", "web_protocol", "client_proto", "resolver",
            "loop", "test_utils", "tcp_helpers", "worker",
        ),
        reduced=files(
            "tests/test_{}.py", "web_functional", "web_server", "web_websocket_functional", "web_sendfile_functional",
            "tcp_helpers", "loop",
        ),
        plugins=["pytest_mock", "pytest_timeout"],
        options=["-o", "addopts=", "-m", "not dev_mode and not autobahn and not internal", "--timeout=60"],
    ),
    Suite(
        name="anyio",
        package="anyio",
        what="its own tests, whole, with the loop beneath its asyncio backend",
        whole=["tests"],
        reduced=files(
            "tests/{}.py", "test_sockets", "test_subprocesses", "test_signals", "test_taskgroups", "streams/test_tls"
        ),
        plugins=["anyio", "pytest_mock", "pytest_timeout"],
        options=["-o", "addopts=", "-m", "not network", "-k", f"not uvloop and not trio{IPV6}"],
        left_out={
            "tests/streams/test_tls.py::TestTLSStream::test_truststore_ssl[asyncio]": "fails on asyncio too: the end"
            " that its own thread meets is now and then another one",
            "tests/test_to_thread.py::TestBlockingPortalProvider::test_single_thread[asyncio]": "counts the threads of"
            " the process, and fails on asyncio too if one of an earlier test ends meanwhile",
            "tests/test_from_thread.py::TestRunAsyncFromThread::test_run_sync_from_thread_pooling": "counts them too:"
            " it failed once on epoll, and was not seen to fail on asyncio",
        },
    ),
    Suite(
        name="tornado",
        package="tornado",
        what="its own tests, whole",
        whole=["--pyargs", "tornado.test"],
        reduced=[
            "--pyargs",
            *files(
                "tornado.test.{}_test", "iostream", "httpserver", "simple_httpclient", "websocket", "process",
                "asyncio", "ioloop", "tcpserver", "tcpclient",
            ),
        ],
        plugins=["tornado_log"],
        options=["-o", "python_files=*_test.py"],
        installed=True,
        left_out={
            "gen_test.py::RunnerGCTest::test_gc": "gives three collections of all objects 0.2 s: a busy machine takes"
            " longer",
            "simple_httpclient_test.py::SimpleHTTPSClientTestCase::test_request_timeout": "gives a handshake of TLS and"
            " a request 0.1 s, and fails on asyncio too",
        },
    ),
    Suite(
        name="pytest-asyncio",
        package="pytest-asyncio",
        what="its own tests, whole",
        whole=["tests"],
        reduced=[
            "tests/async_fixtures",
            *files("tests/test_{}.py", "simple", "subprocess", "task_cleanup", "port_factories"),
        ],
        plugins=[],
        options=["-o", "addopts="],
        environment={"PYTEST_PLUGINS": "pytest_asyncio.plugin"},  # also for the sessions of pytest that the tests start
    ),
    Suite(
        name="websockets",
        package="websockets",
        what="its own tests of its asyncio implementation, whole",
        whole=["tests/asyncio"],
        reduced=["tests/asyncio"],
        plugins=[],
        debian="15.0.1-1",
        differs={
            f"tests.asyncio.test_connection.{side}ConnectionTests::test_{end}_address": "patches get_extra_info() of"
            " asyncio.BaseTransport, and ringport's transports have their own"
            for side in ("Client", "Server")
            for end in ("local", "remote")
        },
    ),
]  # fmt: skip


def version(suite):
    """The version that requirements.txt pins, or Debian's."""
    if suite.debian:
        return suite.debian.partition("-")[0]
    lines = (HERE / "requirements.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines)[suite.package]


def from_pypi(suite, folder):
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", suite.package]
    subprocess.run([*command, "-d", folder, f"{suite.package}=={version(suite)}"], check=True)


def debian_mirror():
    """Where this machine has Debian's packages from.

    Before its first apt-get update it does not know which of its mirrors are Debian's: then they go by their names.
    """

    def mirrors(*options):
        command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", *options]
        found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        return [mirror for mirror in found if "security" not in mirror]

    named = [mirror for mirror in mirrors("--no-release-info") if mirror.rstrip("/").endswith("/debian")]
    for mirror in mirrors("Origin: Debian") + named:
        return mirror
    sys.exit("apt knows no mirror of Debian's: /etc/apt/sources.list is to have one, and apt-get update to be run")


def from_debian(suite, folder):
    """Gets a source package by lists of apt's own, so that the system's stay as they are."""
    signed = "signed-by=/usr/share/keyrings/debian-archive-keyring.gpg"
    mirror = debian_mirror()
    (folder / "lists/partial").mkdir(parents=True)
    (folder / "sources.list").write_text(f"deb-src [{signed}] {mirror} trixie main\n")
    options = [
        f"Dir::Etc::SourceList={folder}/sources.list", "Dir::Etc::SourceParts=-", f"Dir::State::Lists={folder}/lists",
        f"Dir::Cache={folder}/cache", "APT::Sandbox::User=root",
    ]  # fmt: skip
    options = [word for option in options for word in ("-o", option)]
    get = ["source", "--tar-only", "--download-only", f"python-{suite.package}={suite.debian}"]
    for arguments in ["update"], get:
        subprocess.run(["apt-get", "--quiet", *options, *arguments], cwd=folder, stdout=subprocess.DEVNULL, check=True)


def source(suite):
    """The folder with the tests of the source package, and without a package that is installed."""
    folder = CACHE / f"{suite.package}-{version(suite)}"
    if folder.exists():
        return folder
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        scratch = pathlib.Path(scratch)
        (from_debian if suite.debian else from_pypi)(suite, scratch)
        shutil.unpack_archive(next(scratch.glob("*.tar.gz")), scratch / "unpacked")
        [unpacked] = (scratch / "unpacked").iterdir()
        if not suite.debian:
            for package in (unpacked / suite.package.replace("-", "_"), unpacked / "src"):
                shutil.rmtree(package, ignore_errors=True)
        try:
            unpacked.rename(folder)
        except OSError:  # another run was faster
            assert folder.exists()
    return folder


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=[suite.name for suite in SUITES])
    parser.add_argument("--junit", required=True, type=pathlib.Path)
    options, more = parser.parse_known_args()  # pytest gets what is left
    suite = next(suite for suite in SUITES if suite.name == options.name)
    reduced = os.environ.get("WORLD_REDUCED") == "1"
    junit = options.junit.resolve()

    CACHE.mkdir(parents=True, exist_ok=True)
    folder = CACHE if suite.installed else source(suite)
    os.chdir(folder)
    found = [str(folder / "src")] * bool(suite.debian), [str(HERE / "plugins")], [os.environ.get("PYTHONPATH", "")]
    path = os.pathsep.join(filter(None, sum(found, [])))
    os.environ.update(suite.environment, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTHONPATH=path)
    limit = str(LIMITS[reduced])
    python = [sys.executable, *["-m", "ringport"] * (os.environ.get("WORLD_LOOP", "ringport") == "ringport")]
    plugins = [word for plugin in ("witness", *suite.plugins) for word in ("-p", plugin)]
    pytest = ["-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", f"--junitxml={junit}", *plugins]
    pytest += suite.options
    if suite.installed:  # cases go by names that begin there
        pytest.append(f"--rootdir={sysconfig.get_path('platlib')}/{suite.package}/test")
    chosen = [f"--deselect={case}" for case in suite.left_out] + (suite.reduced if reduced else suite.whole)
    # It stays in this process' group, so that whoever ends that ends all of it.
    os.execvp("timeout", ["timeout", "--foreground", "--kill-after=5", limit, *python, *pytest, *chosen, *more])


if __name__ == "__main__":
    main()
