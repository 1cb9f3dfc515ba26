#!/usr/bin/env python3
"""An echo server that speaks TLS, with what was agreed on for each connection.

    python tls_echo_server.py CERTIFICATE KEY [PORT]

    $ openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost \
        -keyout key.pem -out certificate.pem
"""

import asyncio
import ssl
import sys

import ringport


class Echo(asyncio.Protocol):
    # It is called after the handshake.
    def connection_made(self, transport):
        self.transport = transport
        tls = transport.get_extra_info("ssl_object")
        host, port, *_ = transport.get_extra_info("peername")
        print(f"{host}:{port} speaks {tls.version()}, {tls.cipher()[0]}", flush=True)

    def data_received(self, data):
        self.transport.write(data)

    # The peer takes less than it sends: read nothing more until that is over.
    def pause_writing(self):
        self.transport.pause_reading()

    def resume_writing(self):
        self.transport.resume_reading()


async def main(certificate, key, port="8443"):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", int(port), ssl=context)
    print(f"serving on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


ringport.run(main(*sys.argv[1:]))
