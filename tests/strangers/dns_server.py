"""dns_server.py: a server of names on the loopback interface, by UDP and by TCP on one port, for tests of resolvers.

What it answers is a table of names: addresses, in any number. A name that is not there does not exist. Names that begin with
`silent` get no answer, names with `late` the second time only, and names with `wrong` one to another question before the right
one. What is longer than 512 bytes comes by TCP alone.
"""

import collections
import contextlib
import ipaddress
import socket
import socketserver
import struct
import threading

TYPES = {1: 4, 28: 6}


class Server:
    def __init__(self, names):
        self.names = names
        self.asked = collections.Counter()  # of (way, name, type)

    def answer(self, query, way):
        """The datagrams that answer a query."""
        end = query.index(b"\0", 12)
        labels, at = [], 12
        while at < end:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        name = ".".join(labels)
        kind, _ = struct.unpack("!HH", query[end + 1:end + 5])
        self.asked[way, name, kind] += 1
        if name.startswith("silent") or (name.startswith("late") and self.asked[way, name, kind] < 2):
            return []
        found = [ipaddress.ip_address(address) for address in self.names.get(name, ())]
        packed = [address.packed for address in found if address.version == TYPES.get(kind)]
        question = query[12:end + 5]
        records = b"".join(struct.pack("!HHHIH", 0xc00c, kind, 1, 60, len(data)) + data for data in packed)
        truncated = way == "udp" and 12 + len(question) + len(records) > 512
        flags = 0x8580 | (0x200 if truncated else 0) | (0 if name in self.names else 3)
        head = struct.pack("!HHHHH", flags, 1, 0 if truncated else len(packed), 0, 0)
        whole = query[:2] + head + question + (b"" if truncated else records)
        if name.startswith("wrong"):
            return [bytes([query[0] ^ 1]) + whole[1:], whole]
        return [whole]


@contextlib.contextmanager
def serving(names):
    """Gives the server, with its `port`, while the block runs."""
    this = Server(names)

    class Datagrams(socketserver.BaseRequestHandler):
        def handle(self):
            for data in this.answer(self.request[0], "udp"):
                self.request[1].sendto(data, self.client_address)

    class Streams(socketserver.StreamRequestHandler):
        def handle(self):
            while len(head := self.rfile.read(2)) == 2:
                for data in this.answer(self.rfile.read(*struct.unpack("!H", head)), "tcp"):
                    for part in (struct.pack("!H", len(data)), data[:20], data[20:]):
                        self.wfile.write(part)

    class Tcp(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    def start_both():
        """Both on one port, which is free for the one, and may be taken for the other."""
        while True:
            streams = Tcp(("127.0.0.1", 0), Streams)
            try:
                return streams, socketserver.UDPServer(streams.server_address, Datagrams)
            except OSError:
                streams.server_close()

    with contextlib.ExitStack() as stack:
        servers = start_both()
        this.port = servers[0].server_address[1]
        for server in servers:
            stack.enter_context(server)
            server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
        yield this
