#!/usr/bin/python3
"""test_tls.py DIR: our TLS with that of others at the other end: OpenSSL's tools, curl, nginx, Go, GnuTLS.

Our end is tests/strangers/tls_peer.c, which says what was negotiated, or an example. The certificates are made anew for
each run.
"""

import contextlib
import fcntl
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import tls_certificates
from programs import DIRECTORY, PATIENCE, Skip, run, run_all, server
from tools import connect, daemon, free_port, nginx, tool, use

PEER = str(DIRECTORY / "../tests/tls_peer")
DATA = "".join(f"line {number} of many\n" for number in range(10000)).encode()
VERSIONS = ("1.2", "1.3")
KINDS = ("rsa", "ecdsa")

HOME = tempfile.TemporaryDirectory()
CERTIFICATES = pathlib.Path(HOME.name)


def pem(name):
    return str(CERTIFICATES / f"{name}.pem")


def key(name):
    return str(CERTIFICATES / f"{name}.key")


def own(name):
    """Options of tls_peer: the certificate that it has."""
    return f"cert={pem(name)}", f"key={key(name)}"


CA = f"ca={pem('ca')}"


# ---- our end ----

class Line:
    """What tls_peer says of a connection: "TLSv1.3 TLS_AES_256_GCM_SHA384 alpn=- name=- resumed=0 peer=CN=x"."""

    def __init__(self, text):
        match = re.fullmatch(r"(\S+) (\S+) alpn=(\S+) name=(\S+) resumed=(\d) peer=(.*)\n?", text)
        assert match, text
        version, self.cipher, self.alpn, self.name, resumed, self.peer = match.groups()
        self.version = version.removeprefix("TLSv")
        self.resumed = resumed == "1"


class Served:
    def __init__(self, process, port):
        self.process, self.port = process, port

    def read(self, wanted):
        """The next line that is wanted. Clients that are killed cause others."""
        while line := self.process.stdout.readline():
            if wanted(line):
                return line
        raise AssertionError("there is no such line")

    def line(self):
        return Line(self.read(lambda line: not line.startswith("error: ")))

    def hear_error(self, *names):
        """Waits until a connection has ended by one of these errors."""
        self.read(lambda line: line.startswith("error: ") and line.split()[1] in names)


@contextlib.contextmanager
def peer_server(mode, *options):
    """tls_peer as a server; it must end in order."""
    process = subprocess.Popen([PEER, mode, "127.0.0.1", "0", *options], text=True, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        first = process.stdout.readline()
        match = re.match(r"serving on 127\.0\.0\.1:(\d+)", first)
        assert match, first + process.stdout.read()
        yield Served(process, int(match[1]))
        process.send_signal(2)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()


def peer_client(port, *options, data=DATA, host="localhost"):
    """What tls_peer got as a client, and its lines."""
    done = subprocess.run([PEER, "client", host, str(port), *options], input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout, [Line(line) for line in done.stderr.decode().splitlines()]


def peer_fails(port, *options):
    """What tls_peer says when it fails: the alert, the text, and the error's name."""
    done = subprocess.run([PEER, "client", "localhost", str(port), *options], input=b"x\n", stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=PATIENCE)
    assert done.returncode == 1, done
    text = done.stderr.decode()
    match = re.search(r"(?:alert=(-?\d+) (.*)\n)?error: (\w+)\n$", text)
    assert match, text
    return match[3], match[2] or "", int(match[1] or -1)


# ---- a program that is spoken to ----

class Dialogue:
    """A program with its stdin and stdout; what it prints is waited for."""

    def __init__(self, name, *arguments):
        self.process = subprocess.Popen([tool(name), *map(str, arguments)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.heard = b""

    def say(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def hear(self, text):
        """Reads until that was printed, which is waited for."""
        while text.encode() not in self.heard:
            part = os.read(self.process.stdout.fileno(), 65536)
            assert part, (text, self.heard[-2000:])
            self.heard += part
        self.heard = self.heard.partition(text.encode())[2]

    def hear_end(self):
        while part := os.read(self.process.stdout.fileno(), 65536):
            self.heard += part
        return self.heard.decode(errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.kill()
        self.process.stdout.close()
        self.process.wait(PATIENCE)


def s_client(port, *arguments):
    return Dialogue("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", pem("ca"), "-verify_return_error",
                    "-verify_hostname", "localhost", *arguments)


@contextlib.contextmanager
def s_server(*arguments):
    """s_server, whose stdin is ours; the port is the first thing it says."""
    with Dialogue("openssl", "s_server", "-accept", "127.0.0.1:0", *arguments) as dialogue:
        dialogue.hear("ACCEPT 127.0.0.1:")
        while b"\n" not in dialogue.heard:
            dialogue.heard += os.read(dialogue.process.stdout.fileno(), 65536)
        port, _, dialogue.heard = dialogue.heard.partition(b"\n")
        yield dialogue, int(port)


def certified(name):
    return "-cert", pem(name), "-key", key(name)


def tls_option(version):
    return "-tls" + version.replace(".", "_")


# ---- OpenSSL's tools ----

def s_client_to_us():
    for kind in KINDS:
        with peer_server("echo", *own(kind)) as ours:
            for version in VERSIONS:
                with s_client(ours.port, tls_option(version), "-servername", "localhost", "-quiet") as client:
                    client.say("hello\n")
                    client.hear("hello\n")
                line = ours.line()
                assert (line.version, line.name, line.peer) == (version, "localhost", "-"), vars(line)


def us_to_s_server():
    for kind in KINDS:
        for version in VERSIONS:
            with s_server(*certified(kind), tls_option(version), "-rev") as (_, port):
                data, (line,) = peer_client(port, CA, data=b"hello\nworld\n")
                assert data == b"olleh\ndlrow\n", data
                assert (line.version, line.peer) == (version, "CN=localhost"), vars(line)


def key_update_of_s_client():
    """Asked for by the client, and answered by us, in the middle of a conversation."""
    with peer_server("echo", *own("ecdsa")) as ours:
        with s_client(ours.port, "-tls1_3", "-quiet", "-no_ign_eof") as client:
            for number in range(3):
                client.say(f"before {number}\n")
                client.hear(f"before {number}\n")
                client.say("K\n" if number % 2 else "k\n")
                client.hear("KEYUPDATE")
                client.say(f"after {number}\n")
                client.hear(f"after {number}\n")
        assert ours.line().version == "1.3"


def key_update_of_s_server():
    """Asked for by the server, when we have nothing to write."""
    with s_server(*certified("ecdsa"), "-tls1_3", "-msg") as (there, port):
        with Dialogue(PEER, "client", "localhost", port, CA, "keep=1") as ours:
            ours.process.stdin.close()
            ours.hear("TLSv1.3")
            for number in range(3):
                there.say("K\n")
                there.hear(">>> TLS 1.3, Handshake [length 0005], KeyUpdate")
                there.say(f"after {number}\n")
                ours.hear(f"after {number}\n")


def renegotiation_is_refused():
    """TLS 1.2: whoever asks for it gets an alert; the server serves others all the same."""
    with peer_server("echo", *own("rsa")) as ours:
        with s_client(ours.port, "-tls1_2", "-quiet", "-no_ign_eof") as client:
            client.say("hello\n")
            client.hear("hello\n")
            assert ours.line().version == "1.2"
            client.say("R\n")
            client.hear("RENEGOTIATING")
            assert "no renegotiation" in client.hear_end()
        ours.hear_error("RP_ETLS_ALERT", "RP_ETLS_PROTOCOL")
        data, _ = peer_client(ours.port, CA)
        assert data == DATA
    with s_server(*certified("rsa"), "-tls1_2") as (there, port):
        with Dialogue(PEER, "client", "localhost", port, CA, "keep=1") as client:
            client.process.stdin.close()
            client.hear("TLSv1.2")
            there.say("r\n")
            assert "RP_ETLS_" in client.hear_end() or "no renegotiation" in there.hear_end()


def read_if_there(path):
    with contextlib.suppress(FileNotFoundError):
        return pathlib.Path(path).read_text()
    return ""


def resumption_with_openssl():
    for version in VERSIONS:
        with s_server(*certified("ecdsa"), tls_option(version), "-rev") as (_, port):
            _, (first, second) = peer_client(port, CA, "times=2", data=b"x\n")
            assert not first.resumed and second.resumed, version
        with peer_server("echo", *own("ecdsa")) as ours, tempfile.TemporaryDirectory() as directory:
            session = f"{directory}/session"
            for argument, resumed in (("-sess_out", False), ("-sess_in", True)):
                with s_client(ours.port, tls_option(version), "-quiet", argument, session) as client:
                    client.say("hello\n")
                    client.hear("hello\n")
                    while argument == "-sess_out" and "END SSL SESSION" not in read_if_there(session):
                        time.sleep(0.01)
                assert ours.line().resumed == resumed, (version, argument)


def client_certificates():
    for version in VERSIONS:
        with peer_server("echo", *own("ecdsa"), CA, "verify=required") as ours:
            with s_client(ours.port, tls_option(version), "-quiet", *certified("client")) as client:
                client.say("hello\n")
                client.hear("hello\n")
            assert ours.line().peer == "CN=client"
            with s_client(ours.port, tls_option(version)) as client:
                assert "certificate required" in client.hear_end() or version == "1.2"
            ours.hear_error("RP_ETLS_NO_CERTIFICATE")
            with s_client(ours.port, tls_option(version), *certified("stranger")) as client:
                client.hear_end()
            ours.hear_error("RP_ETLS_SELF_SIGNED", "RP_ETLS_UNTRUSTED")
        with peer_server("echo", *own("ecdsa"), CA, "verify=optional") as ours:
            assert peer_client(ours.port, CA)[0] == DATA and ours.line().peer == "-"
            assert peer_client(ours.port, CA, *own("client"))[0] == DATA and ours.line().peer == "CN=client"
        with s_server(*certified("rsa"), tls_option(version), "-CAfile", pem("ca"), "-Verify", 1,
                      "-verify_return_error", "-rev") as (_, port):
            assert peer_client(port, CA, *own("client"), data=b"ab\n")[0] == b"ba\n"


def several_certificates():
    with peer_server("echo", *own("rsa"), *own("ecdsa"), "sni=other.test", *own("other")) as ours:
        for name, subject in (("localhost", "CN=localhost"), ("other.test", "CN=other.test")):
            data, (line,) = peer_client(ours.port, CA, f"name={name}")
            assert data == DATA and line.peer == subject and ours.line().name == name
        for sigalgs in ("RSA-PSS+SHA256", "ECDSA+SHA256"):
            with s_client(ours.port, "-servername", "localhost", "-sigalgs", sigalgs) as client:
                client.hear("Peer signature type: " + sigalgs.split("+")[0])
            ours.line()


def alpn():
    with peer_server("echo", *own("ecdsa"), "alpn=h2,http/1.1") as ours:
        for offered, chosen in (("http/1.1,h2", "h2"), ("http/1.1", "http/1.1"), ("other", "-")):
            with s_client(ours.port, "-alpn", offered, "-quiet") as client:
                client.say("hello\n")
                client.hear("hello\n")
            assert ours.line().alpn == chosen
    with s_server(*certified("rsa"), "-alpn", "two,one", "-rev") as (_, port):
        _, (line,) = peer_client(port, CA, "alpn=one,two", data=b"x\n")
        assert line.alpn == "two"


# ---- what goes wrong ----

def errors_of_a_client():
    with s_server(*certified("rsa"), "-rev") as (_, port):
        assert peer_fails(port, f"ca={pem('stranger')}")[0] == "RP_ETLS_UNTRUSTED"
        error, text, _ = peer_fails(port, CA, "name=wrong.test")
        assert error == "RP_ETLS_HOSTNAME" and text
    with s_server(*certified("stranger"), "-rev") as (_, port):
        assert peer_fails(port, CA)[0] in ("RP_ETLS_SELF_SIGNED", "RP_ETLS_UNTRUSTED")
    with s_server(*certified("rsa"), "-tls1_3", "-rev") as (_, port):
        error, _, alert = peer_fails(port, CA, "max=1.2")
        assert error in ("RP_ETLS_VERSION", "RP_ETLS_ALERT") and alert in (70, -1), (error, alert)
    with s_server(*certified("rsa"), "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256", "-rev") as (_, port):
        error, _, alert = peer_fails(port, CA, "max=1.2", "ciphers=ECDHE-RSA-AES256-GCM-SHA384")
        assert error in ("RP_ETLS_CIPHER", "RP_ETLS_ALERT") and alert in (40, -1), (error, alert)
    with server("mail_server", 0, pem("rsa"), key("rsa")) as port:
        assert peer_fails(port, CA)[0] == "RP_ETLS_PLAIN"


def errors_of_a_server():
    with peer_server("http", *own("rsa"), "min=1.3") as ours:
        with s_client(ours.port, "-tls1_2") as client:
            client.hear("protocol version")
        ours.hear_error("RP_ETLS_VERSION")
        done = subprocess.run([tool("curl"), "-sS", f"http://127.0.0.1:{ours.port}/"], capture_output=True, timeout=PATIENCE)
        assert done.returncode != 0
        ours.hear_error("RP_ETLS_PLAIN")
        with connect(ours.port) as connection:
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)
        ours.hear_error("ECONNRESET", "RP_ETLS_TRUNCATED")
        url = f"https://localhost:{ours.port}/served"
        assert use("curl", "-sS", "--cacert", pem("ca"), url) == b"/served"


def a_stream_that_is_cut_off():
    """The connection ends without close_notify: that is not the end of the stream."""
    with s_server(*certified("rsa")) as (there, port):
        with Dialogue(PEER, "client", "localhost", port, CA, "keep=1") as ours:
            ours.process.stdin.close()
            ours.hear("TLSv1.3")
            there.say("part\n")
            ours.hear("part\n")
            there.process.kill()
            text = ours.hear_end()
            assert "RP_ETLS_TRUNCATED" in text or "ECONNRESET" in text, text
            assert ours.process.wait(PATIENCE) == 1


# ---- curl, nginx ----

def curl_to_us():
    with peer_server("http", *own("rsa"), *own("ecdsa"), "alpn=http/1.1", "sni=other.test", *own("other")) as ours:
        def curl(*arguments, host="localhost"):
            return use("curl", "-sS", "--cacert", pem("ca"), "--resolve", f"{host}:{ours.port}:127.0.0.1", *arguments)

        url = f"https://localhost:{ours.port}"
        for version in VERSIONS:
            assert curl("--tls-max", version, f"--tlsv{version}", f"{url}/a") == b"/a"
            line = ours.line()
            assert (line.version, line.alpn) == (version, "http/1.1")
        assert curl(f"{url}/[1-200]") == b"".join(b"/%d" % number for number in range(1, 201))
        assert curl(f"https://other.test:{ours.port}/b", host="other.test") == b"/b"
        codes = curl("-Z", "--parallel-max", 20, "-o", os.devnull, "-w", "%{http_code} ", "-H", "Connection: close",
                     f"{url}/[1-100]")
        assert codes.split() == [b"200"] * 100


def tls_nginx(directory, more):
    """nginx on the directory, by TLS on a port of its own."""
    port = free_port()
    return port, nginx(directory, f"| listen 127.0.0.1:{port} ssl; ssl_certificate {pem('rsa')}; "
                       f"ssl_certificate_key {key('rsa')}; ssl_certificate {pem('ecdsa')}; "
                       f"ssl_certificate_key {key('ecdsa')}; {more}")


def us_to_nginx():
    with tempfile.TemporaryDirectory() as files:
        pathlib.Path(files, "data").write_bytes(DATA)
        for version in VERSIONS:
            port, running = tls_nginx(files, f"ssl_protocols TLSv{version}; ssl_session_cache shared:s:1m;")
            with running:
                output = run("https_fetch", "localhost", port, "/data", pem("ca"))
                assert f"TLSv{version} of CN=localhost\n" in output and "HTTP/1.1 200 OK" in output, output
                assert re.search(r"^/data: (\d+) bytes", output, re.M)[1] > str(len(DATA)), output
                request = b"GET /data HTTP/1.0\r\nHost: x\r\n\r\n"
                data, lines = peer_client(port, CA, "times=2", "keep=1", data=request)
                assert data.count(DATA) == 2 and [line.resumed for line in lines] == [False, True]
        port, running = tls_nginx(files, f"ssl_client_certificate {pem('ca')}; ssl_verify_client on;")
        with running:
            data, _ = peer_client(port, CA, *own("client"), "keep=1", data=request)
            assert data.endswith(DATA)
            assert b"400 Bad Request" in peer_client(port, CA, "keep=1", data=request)[0]


def nginx_before_us():
    """nginx as a client: it verifies us, shows its certificate, keeps connections, and resumes."""
    with peer_server("http", *own("ecdsa"), CA, "verify=required") as ours, tempfile.TemporaryDirectory() as files:
        more = (f"upstream ours {{ server 127.0.0.1:{ours.port}; keepalive 4; }} |"
                "location / { proxy_pass https://ours; proxy_http_version 1.1; proxy_set_header Connection ''; "
                f"proxy_ssl_verify on; proxy_ssl_trusted_certificate {pem('ca')}; proxy_ssl_name localhost; "
                f"proxy_ssl_server_name on; proxy_ssl_certificate {pem('client')}; "
                f"proxy_ssl_certificate_key {key('client')}; }}")
        with nginx(files, more) as port:
            codes = use("curl", "-sS", "-Z", "--parallel-max", 20, "-o", os.devnull, "-w", "%{http_code} ",
                        f"http://127.0.0.1:{port}/[1-200]")
            assert codes.split() == [b"200"] * 200, codes
        line = ours.line()
        assert (line.name, line.peer) == ("localhost", "CN=client"), vars(line)


# ---- Go ----

def go_program():
    """tls_peer.go, built: by Debian's Go if it is there, which has its packages built."""
    path = f"/usr/lib/go/bin:{os.environ['PATH']}"
    tool("go")
    program = str(CERTIFICATES / "tls_peer_go")
    if not os.path.exists(program):
        source = pathlib.Path(__file__).with_name("tls_peer.go")
        subprocess.run(["go", "build", "-o", program, source], check=True, timeout=PATIENCE,
                       env=os.environ | {"PATH": path, "GO111MODULE": "off", "CGO_ENABLED": "0",
                                         "GOCACHE": str((DIRECTORY / "../go-cache").resolve())})
    return program


def go_to_us():
    program = go_program()
    for kind in KINDS:
        with peer_server("echo", *own(kind), CA, "verify=optional", "alpn=h2") as ours:
            for version in VERSIONS:
                done = subprocess.run([program, "client", str(ours.port), "2", CA, *own("client"), "alpn=h2",
                                       f"max={version}"], input=DATA, capture_output=True, timeout=PATIENCE)
                assert done.returncode == 0 and done.stdout == DATA * 2, done.stderr
                lines = [ours.line(), ours.line()]
                assert [line.resumed for line in lines] == [False, True], done.stderr
                assert {(line.version, line.alpn, line.peer) for line in lines} == {(version, "h2", "CN=client")}


def us_to_go():
    program = go_program()
    for kind in KINDS:
        for version in VERSIONS:
            process = subprocess.Popen([program, "server", CA, *own(kind), "verify=yes", "alpn=h2", f"max={version}"],
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            try:
                port = int(process.stdout.readline())
                data, (line,) = peer_client(port, CA, *own("client"), "alpn=h2")
                assert data == DATA and (line.version, line.alpn) == (version, "h2"), vars(line)
            finally:
                process.kill()
                process.wait()
                process.stdout.close()


# ---- GnuTLS ----

def gnutls_priority(version):
    return f"NORMAL:-VERS-ALL:+VERS-TLS{version}"


def gnutls_cli_to_us():
    for kind in KINDS:
        with peer_server("echo", *own(kind)) as ours:
            for version in VERSIONS:
                with Dialogue("gnutls-cli", "--x509cafile", pem("ca"), "--sni-hostname", "localhost",
                              "--verify-hostname", "localhost", "--priority", gnutls_priority(version), "-p", ours.port,
                              "127.0.0.1") as client:
                    client.hear("Handshake was completed")
                    client.say("hello\n")
                    client.hear("hello\n")
                    client.process.stdin.close()
                    client.hear_end()
                line = ours.line()
                assert (line.version, line.name) == (version, "localhost"), vars(line)


def inside_us_to_gnutls_serv():
    with socket.socket() as s:  # the loopback interface is down in a new namespace
        fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", 1 | 64))
    for kind in KINDS:
        for version in VERSIONS:
            port = free_port()
            with daemon(port, "gnutls-serv", "--echo", "--quiet", "-p", port, "--x509certfile", pem(kind), "--x509keyfile",
                        key(kind), "--priority", gnutls_priority(version)):
                data, (line,) = peer_client(port, CA, data=b"hello\n")
                assert data == b"hello\n" and line.version == version, (data, vars(line))


def us_to_gnutls_serv():
    """It listens on all interfaces: in a network of its own."""
    tool("gnutls-serv")
    apart = [tool("unshare"), "-rn"]
    if subprocess.run([*apart, "true"], stderr=subprocess.DEVNULL).returncode != 0:
        raise Skip("namespaces are not permitted")
    done = subprocess.run([*apart, sys.executable, __file__, str(DIRECTORY), "inside_us_to_gnutls_serv"], timeout=PATIENCE,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout.decode()


# ---- the examples ----

def echo_examples():
    with server("tls_echo_server", 0, pem("rsa"), key("rsa")) as port:
        with Dialogue(str(DIRECTORY / "tls_echo_client"), "localhost", port, pem("ca")) as client:
            writer = threading.Thread(target=lambda: (client.process.stdin.write(DATA), client.process.stdin.close()))
            writer.start()
            output = client.hear_end()
            writer.join()
        assert output == "TLSv1.3\n" + DATA.decode()


def mail_examples():
    with server("mail_server", 0, pem("rsa"), key("rsa")) as port, connect(port) as connection:
        lines = connection.makefile("rw", newline="\r\n", encoding="latin-1")
        assert lines.readline().startswith("220")
        print("MAIL early", end="\r\n", file=lines, flush=True)
        assert lines.readline().startswith("530")
        # What is put behind STARTTLS in plain text is not taken for what TLS has brought.
        connection.sendall(b"STARTTLS\r\nMAIL evil\r\n")
        assert lines.readline().startswith("220")
        assert "250" not in lines.read()


def starttls_of_openssl():
    process = subprocess.Popen([str(DIRECTORY / "mail_server"), "0", pem("rsa"), key("rsa")], text=True,
                               stdout=subprocess.PIPE)
    try:
        port = int(process.stdout.readline().rpartition(":")[2])
        run("mail_client", "localhost", port, pem("ca"), "from", "us")
        assert [process.stdout.readline() for _ in range(2)] == ["from\n", "us\n"]
        with s_client(port, "-starttls", "smtp", "-quiet") as client:
            client.say("from openssl\n")
            client.hear("250 taken")
        assert process.stdout.readline() == "from openssl\n"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


CASES = [s_client_to_us, us_to_s_server, key_update_of_s_client, key_update_of_s_server, renegotiation_is_refused,
         resumption_with_openssl, client_certificates, several_certificates, alpn, errors_of_a_client, errors_of_a_server,
         a_stream_that_is_cut_off, curl_to_us, us_to_nginx, nginx_before_us, go_to_us, us_to_go, gnutls_cli_to_us,
         us_to_gnutls_serv, echo_examples, mail_examples, starttls_of_openssl]

with HOME:
    try:
        tls_certificates.make(HOME.name)
    except Skip as reason:
        print("skipped all:", reason)
        sys.exit(0)
    wanted = [globals()[name] for name in sys.argv[2:]] or CASES
    failed = run_all(wanted)
sys.exit(failed)
