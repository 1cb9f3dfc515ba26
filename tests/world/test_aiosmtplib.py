"""Mails from aiosmtplib to aiosmtpd: one by one, at once, 8 MB by STARTTLS and TLS, logins, refusals, a lost server."""

import asyncio
import contextlib
from email.message import EmailMessage

import aiosmtplib
import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from cases import on_loop, until
from loops import check, size
from tls import Certificate

PACKAGES = ["aiosmtplib", "aiosmtpd"]
LOGIN = {"username": "somebody", "password": "secret"}


class Box:
    """Takes mails for everybody but nobody, and keeps what it is told of each."""

    def __init__(self):
        self.mails = []

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 No such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        check()
        await asyncio.sleep(0)
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.content, session.ssl is not None))
        return "250 Taken"


def authenticate(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (b"somebody", b"secret"), handled=False)


@contextlib.asynccontextmanager
async def serving(tls=None, **options):
    """A server; gives its box, its connections and where it is."""
    box, connections = Box(), []

    def accept():
        connections.append(SMTP(box, hostname="server", data_size_limit=1 << 25, loop=loop, **options))
        return connections[-1]

    loop = asyncio.get_running_loop()
    async with await loop.create_server(accept, "127.0.0.1", 0, ssl=tls) as server:
        yield box, connections, {"hostname": "127.0.0.1", "port": server.sockets[0].getsockname()[1], "timeout": 60}
        await until(lambda: all(connection.transport is None for connection in connections))


def mail(number, body="text"):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@x.test", f"b{number}@x.test", f"mail {number}"
    message.set_content(body)
    return message


@on_loop
async def test_mails_by_one_client():
    count = size(500, 100)
    async with serving() as (box, connections, address):
        async with aiosmtplib.SMTP(**address) as client:
            for number in range(count):
                await client.send_message(mail(number))
        assert [to for _, to, _, _ in box.mails] == [[f"b{number}@x.test"] for number in range(count)]
        assert len(connections) == 1


@on_loop
async def test_clients_at_once():
    count = size(100, 30)
    async with serving() as (box, connections, address):
        await asyncio.gather(*(aiosmtplib.send(mail(number), **address) for number in range(count)))
        assert sorted(to for _, to, _, _ in box.mails) == sorted([f"b{number}@x.test"] for number in range(count))
        assert len(connections) == count


@pytest.mark.parametrize("begin", ["STARTTLS", "TLS"])
@on_loop
async def test_tls(begin, tmp_path):
    """The server of STARTTLS puts asyncio's own SSLProtocol upon the loop's transport, the client calls start_tls()."""
    certificate = Certificate(tmp_path)
    lines = "".join(f"{number:070}\n" for number in range(size(8, 2) << 20 >> 6))
    late = begin == "STARTTLS"
    options = {"tls_context": certificate.server(), "require_starttls": True} if late else {"tls": certificate.server()}
    async with serving(**options) as (box, _, address):
        async with aiosmtplib.SMTP(**address, tls_context=certificate.client(), start_tls=late, use_tls=not late) as client:
            await client.send_message(mail(1, lines))
        ((_, _, content, encrypted),) = box.mails
        assert encrypted == late and content.partition(b"\r\n\r\n")[2].decode().replace("\r\n", "\n") == lines


@on_loop
async def test_logins(tmp_path):
    certificate = Certificate(tmp_path)
    options = {"tls_context": certificate.server(), "authenticator": authenticate, "auth_required": True}
    async with serving(**options) as (box, _, address):
        address |= {"tls_context": certificate.client(), "start_tls": True}
        await aiosmtplib.send(mail(1), **address, **LOGIN)
        with pytest.raises(aiosmtplib.SMTPAuthenticationError):
            await aiosmtplib.send(mail(2), **address, **LOGIN | {"password": "guess"})
        assert len(box.mails) == 1


@on_loop
async def test_refusals():
    async with serving() as (box, _, address):
        async with aiosmtplib.SMTP(**address) as client:
            with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
                await client.sendmail("a@x.test", ["nobody@x.test"], b"text")
            refused, _ = await client.sendmail("a@x.test", ["nobody@x.test", "b@x.test"], b"text")
            assert list(refused) == ["nobody@x.test"]
        assert [to for _, to, _, _ in box.mails] == [["b@x.test"]]


@on_loop
async def test_a_server_is_lost():
    async with serving() as (_, connections, address):
        async with aiosmtplib.SMTP(**address) as client:
            connections[0].transport.abort()
            await until(lambda: not client.is_connected)
            with pytest.raises(aiosmtplib.SMTPServerDisconnected):
                await client.noop()
        await aiosmtplib.send(mail(1), **address)
