#!/usr/bin/env python3
"""Sends lines to mail_server.py, by TLS from STARTTLS on.

    python mail_client.py CERTIFICATE PORT LINE...

The certificate is the server's, and trusted.
"""

import asyncio
import ssl
import sys

import ringport


async def answer(reader, expected):
    """An answer may have several lines: all but the last have a '-' behind the number."""
    while True:
        line = (await reader.readline()).decode()
        if line[:3] != expected:
            sys.exit(f"the server says {line.strip() or 'nothing more'}")
        if line[3:4] != "-":
            return line


async def ask(reader, writer, line, expected):
    writer.write(line.encode() + b"\r\n")
    return await answer(reader, expected)


async def main(certificate, port, *lines):
    context = ssl.create_default_context(cafile=certificate)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
    await answer(reader, "220")
    await ask(reader, writer, "EHLO localhost", "250")
    await ask(reader, writer, "STARTTLS", "220")
    await writer.start_tls(context, server_hostname="localhost")
    for line in lines:
        await ask(reader, writer, line, "250")
    await ask(reader, writer, "QUIT", "221")
    writer.close()
    await writer.wait_closed()


ringport.run(main(*sys.argv[1:]))
