#!/usr/bin/python3
"""test_migration.py DIR [LOSS]: runs the programs of docs/migration.md, as they were and on ringport, in the directory
of the built examples: they do the same (see programs.py). LOSS is lose_midway.c, built."""

import contextlib
import os
import signal
import socket
import sys
import threading

from programs import DIRECTORY, PATIENCE, run_all, server, serving, start

UV, CALLBACKS, COROUTINES = ("migration/broadcast_" + name for name in ("uv", "callbacks", "coroutines"))


@contextlib.contextmanager
def clients(port, count):
    """Connections that lines can be read from."""
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE)) for _ in range(count)]
        yield [(peer, stack.enter_context(peer.makefile("r", newline="\n"))) for peer in peers]


def lines_until(file, wanted):
    """What comes before a line that is waited for."""
    lines = []
    while (line := file.readline()) != wanted:
        assert line, f"the end came before {wanted!r}"
        lines.append(line)
    return lines


def without_counts(file, length):
    """So much of what is said, without what the server says meanwhile, which may divide a line."""
    while length > 0:
        line = file.readline()
        assert line
        line = line.removesuffix("3 here\n")
        length -= len(line)
        yield line


def broadcast(name):
    """Three clients are told of each other, hear what each says, and are told when one has left."""
    with server(name, 0, 5) as port, clients(port, 3) as peers:
        for _, file in peers:
            lines_until(file, "3 here\n")
        for number, (peer, _) in enumerate(peers):
            peer.sendall(f"from {number}\n".encode())
            for _, file in peers:
                assert set(lines_until(file, f"from {number}\n")) <= {"3 here\n"}
        many = b"".join(b"line %d\n" % i for i in range(100000))
        sender = threading.Thread(target=peers[0][0].sendall, args=[many])
        sender.start()
        for _, file in peers:
            assert "".join(without_counts(file, len(many))) == many.decode()
        sender.join()
        peers[0][0].shutdown(socket.SHUT_RDWR)
        for _, file in peers[1:]:
            lines_until(file, "2 here\n")


def clients_that_are_gone(name):
    """They reset their connections while they are written to, and the others hear on."""
    with serving(name, 0, 1) as (process, port), clients(port, 2) as peers:
        if name == UV:
            process.send_signal(signal.SIGPIPE)  # as its own writes to them may do
        for number in range(200):
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as peer:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                peers[0][0].sendall(f"line {number}\n".encode())
        peers[0][0].sendall(b"last\n")
        for _, file in peers:
            lines_until(file, "last\n")
            lines_until(file, "2 here\n")


def on_libuv():
    broadcast(UV)
    clients_that_are_gone(UV)


def on_callbacks():
    broadcast(CALLBACKS)
    clients_that_are_gone(CALLBACKS)


def on_coroutines():
    broadcast(COROUTINES)
    clients_that_are_gone(COROUTINES)


def on_coroutines_that_lose_clients():
    """Amid a message, while others send theirs. What is freed then, and used all the same, is no pointer any more."""
    process = start(COROUTINES, 0, 1000000, more={"LD_PRELOAD": sys.argv[2], "MALLOC_PERTURB_": "85"})
    try:
        port = int(process.stdout.readline().rpartition(":")[2])
        for _ in range(10):
            with clients(port, 20) as peers:
                for peer, _ in peers:
                    peer.setblocking(False)
                for _ in range(400):
                    for peer, _ in peers:
                        with contextlib.suppress(OSError):
                            peer.send(b"hello\n")
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0 and "no memory" in output, (process.returncode, output)
    finally:
        process.kill()
        process.wait()


def on_threads():
    process = start("migration/echo_threads", 0)
    try:
        port = int(process.stdout.readline().rpartition(":")[2])
        data = os.urandom(1000000)
        with clients(port, 3) as peers:
            for peer, _ in peers:
                sender = threading.Thread(target=peer.sendall, args=[data])
                sender.start()
                received = bytearray()
                while len(received) < len(data):
                    received += peer.recv(65536)
                sender.join()
                assert received == data
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == -signal.SIGTERM
    finally:
        process.kill()
        process.wait()


CASES = [on_callbacks, on_coroutines, on_threads]

if len(sys.argv) > 2:  # built where it can be preloaded
    CASES.append(on_coroutines_that_lose_clients)
if (DIRECTORY / UV).exists():  # built where there is libuv
    CASES.append(on_libuv)

sys.exit(run_all(CASES))
