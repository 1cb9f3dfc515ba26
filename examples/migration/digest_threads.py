#!/usr/bin/env python3
"""digest_threads.py [PORT]: answers each line with its digest, which takes a while; with a thread for each connection.

digest_tasks.py is the same on an event loop.
"""

import hashlib
import socketserver
import sys


def digest(line):
    return hashlib.scrypt(line.strip(), salt=b"salt", n=1024, r=8, p=1, dklen=16).hex()


class Client(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(f"{digest(line)}\n".encode())


def main(port=8888):
    with socketserver.ThreadingTCPServer(("127.0.0.1", port), Client) as server:
        server.daemon_threads = True
        print(f"serving on 127.0.0.1:{server.server_address[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
