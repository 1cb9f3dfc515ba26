#!/usr/bin/env python3
"""Fetches a page by HTTPS, and prints its head: the server's certificate has to be one that the system trusts.

    python https_fetch.py HOST [PATH [PORT [CERTIFICATE-TO-TRUST]]]
"""

import asyncio
import ssl
import sys

import ringport


async def fetch(host, path, port, trusted):
    context = ssl.create_default_context(cafile=trusted)
    context.set_alpn_protocols(["http/1.1"])
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    certificate = writer.get_extra_info("peercert")
    print("certificate for", ", ".join(name for _, name in certificate["subjectAltName"]), "until", certificate["notAfter"])
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.read()
    writer.close()
    return head.decode("latin-1"), len(body)


async def main(host, path="/", port="443", trusted=None):
    try:
        async with asyncio.timeout(30):
            head, length = await fetch(host, path, int(port), trusted)
    except (OSError, TimeoutError) as error:  # errors of TLS are OSErrors
        sys.exit(f"{host}: {error}")
    print(head.rstrip())
    print(f"and {length} bytes")


ringport.run(main(*sys.argv[1:]))
