#!/usr/bin/env python3
"""Takes lines as a mail server does: in plain text at first, and by TLS from STARTTLS on. It prints what it gets.

    python mail_server.py CERTIFICATE KEY [PORT]

    $ openssl s_client -starttls smtp -connect 127.0.0.1:2525 -CAfile certificate.pem
"""

import asyncio
import ssl
import sys

import ringport


async def serve(reader, writer, context):
    writer.write(b"220 localhost\r\n")
    secret = False
    while line := (await reader.readline()).decode().strip():
        if line.upper().startswith("QUIT"):
            break
        if line.upper().startswith("EHLO"):
            writer.write(b"250 localhost\r\n" if secret else b"250-localhost\r\n250 STARTTLS\r\n")
        elif line.upper() == "STARTTLS" and not secret:
            writer.write(b"220 go ahead\r\n")
            await writer.start_tls(context)  # plain text that comes before TLS fails the handshake
            secret = True
        elif secret:
            print(line, flush=True)
            writer.write(b"250 taken\r\n")
        else:
            writer.write(b"530 STARTTLS comes first\r\n")
    writer.write(b"221 bye\r\n")
    writer.close()


async def main(certificate, key, port="2525"):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(lambda *streams: serve(*streams, context), "127.0.0.1", int(port))
    print(f"serving on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


ringport.run(main(*sys.argv[1:]))
