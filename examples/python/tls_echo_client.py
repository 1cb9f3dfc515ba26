#!/usr/bin/env python3
"""Sends lines of standard input to tls_echo_server.py, and prints what comes back.

    python tls_echo_client.py CERTIFICATE [PORT]

The certificate is the server's, and trusted. Another one is refused, and the program says why.
"""

import asyncio
import ssl
import sys

import ringport


async def main(certificate, port="8443"):
    context = ssl.create_default_context(cafile=certificate)
    try:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(port), ssl=context, server_hostname="localhost", ssl_handshake_timeout=10
        )
    except ssl.SSLCertVerificationError as error:
        sys.exit(f"the server's certificate is refused: {error.verify_message}")
    for line in sys.stdin:
        writer.write(line.encode())
        print((await reader.readline()).decode(), end="")
    writer.close()
    await writer.wait_closed()


ringport.run(main(*sys.argv[1:]))
