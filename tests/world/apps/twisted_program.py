"""twisted_program.py FOLDER: what Twisted does on asyncio's reactor, step by step; prints each that has gone well."""

import asyncio
import pathlib
import sys

from twisted.internet import asyncioreactor

asyncioreactor.install(asyncio.new_event_loop())

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

import payload  # noqa: E402
from loops import check  # noqa: E402
from tls import Certificate  # noqa: E402
from twisted.internet import defer, endpoints, error, protocol, reactor, ssl, task, threads, utils  # noqa: E402
from twisted.web import client, resource, server  # noqa: E402
from twisted.web.iweb import IPolicyForHTTPS  # noqa: E402
from zope.interface import implementer  # noqa: E402


class Hello(resource.Resource):
    isLeaf = True

    def render_GET(self, request):
        return b"hello " + request.postpath[-1]

    def render_PUT(self, request):
        return payload.digest(iter(lambda: request.content.read(1 << 20), b"")).encode()


async def serve(text, factory):
    """Listens; gives the port."""
    return await endpoints.serverFromString(reactor, text).listen(factory)


async def requests(agent, port):
    async def ask(number):
        answer = await agent.request(b"GET", b"http://127.0.0.1:%d/n%d" % (port, number))
        return await client.readBody(answer)

    found = await defer.gatherResults([defer.ensureDeferred(ask(n)) for n in range(100)])
    assert found == [b"hello n%d" % n for n in range(100)]


async def a_large_body(agent, port, folder):
    path = folder / "body"
    with path.open("wb") as file:
        file.writelines(payload.blocks())
    with path.open("rb") as file:
        body = client.FileBodyProducer(file)
        answer = await agent.request(b"PUT", b"http://127.0.0.1:%d/" % port, None, body)
        assert (await client.readBody(answer)).decode() == payload.DIGEST


async def over_tls(folder, site):
    certificate = Certificate(folder)
    text = f"ssl:0:interface=127.0.0.1:certKey={certificate.certificate}:privateKey={certificate.key}"
    port = await serve(text, site)
    trust = ssl.Certificate.loadPEM(certificate.certificate.read_bytes())

    @implementer(IPolicyForHTTPS)
    class Policy:
        def creatorForNetloc(self, hostname, port):
            return ssl.optionsForClientTLS("localhost", trustRoot=trust)

    agent = client.Agent(reactor, Policy())
    answer = await agent.request(b"GET", b"https://127.0.0.1:%d/you" % port.getHost().port)
    assert await client.readBody(answer) == b"hello you"
    await port.stopListening()


async def a_process():
    out, errors, status = await utils.getProcessOutputAndValue("/bin/sh", ["-c", "echo out; echo err >&2; exit 3"])
    assert (out, errors, status) == (b"out\n", b"err\n", 3)


async def in_threads():
    def work(number):
        return threads.blockingCallFromThread(reactor, lambda: 2 * number)

    found = await defer.gatherResults([threads.deferToThread(work, n) for n in range(50)])
    assert found == [2 * n for n in range(50)]


async def datagrams():
    class Server(protocol.DatagramProtocol):
        def datagramReceived(self, datagram, address):
            self.transport.write(datagram * 2, address)

    class Client(protocol.DatagramProtocol):
        def __init__(self, port):
            self.port = port
            self.answered = defer.Deferred()

        def startProtocol(self):
            self.transport.connect("127.0.0.1", self.port)
            self.transport.write(b"ab")

        def datagramReceived(self, datagram, address):
            self.answered.callback(datagram)

    listener = reactor.listenUDP(0, Server(), interface="127.0.0.1")
    asker = Client(listener.getHost().port)
    port = reactor.listenUDP(0, asker, interface="127.0.0.1")
    assert await asker.answered == b"abab"
    await port.stopListening()
    await listener.stopListening()


async def periods():
    seen = []
    call = task.LoopingCall(lambda: seen.append(1) if len(seen) < 5 else call.stop())
    await call.start(0.001)
    assert len(seen) == 5
    late = reactor.callLater(3600, seen.clear)
    assert late.active()
    late.cancel()
    assert await task.deferLater(reactor, 0.001, len, seen) == 5


async def a_coroutine():
    async def wait():
        check()
        await asyncio.sleep(0.001)
        return 42

    assert await defer.Deferred.fromFuture(asyncio.ensure_future(wait())) == 42


async def an_error(agent):
    try:
        await agent.request(b"GET", b"http://127.0.0.1:1/")
    except error.ConnectionRefusedError:
        return
    raise AssertionError("nobody serves there")


async def a_lost_connection():
    lost = defer.Deferred()

    class Server(protocol.Protocol):
        def connectionMade(self):
            self.transport.abortConnection()

    class Client(protocol.Protocol):
        def connectionLost(self, reason):
            lost.callback(reason.type)

    port = await serve("tcp:0:interface=127.0.0.1", protocol.Factory.forProtocol(Server))
    point = endpoints.TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
    await endpoints.connectProtocol(point, Client())
    assert await lost is error.ConnectionLost
    await port.stopListening()


async def steps(folder):
    check(reactor._asyncioEventloop)
    site = server.Site(Hello())
    port = await serve("tcp:0:interface=127.0.0.1", site)
    number = port.getHost().port
    pool = client.HTTPConnectionPool(reactor)
    agent = client.Agent(reactor, pool=pool)
    yield f"on {type(reactor._asyncioEventloop).__module__.split('.')[0]}", None
    yield "requests", requests(agent, number)
    yield "a large body", a_large_body(agent, number, folder)
    yield "TLS", over_tls(folder, site)
    yield "a process", a_process()
    yield "threads", in_threads()
    yield "datagrams", datagrams()
    yield "periods", periods()
    yield "a coroutine of asyncio's", a_coroutine()
    yield "an error", an_error(agent)
    yield "a lost connection", a_lost_connection()
    await pool.closeCachedConnections()
    await port.stopListening()
    yield "the end", None


async def main(reactor, folder):
    async for text, step in steps(pathlib.Path(folder)):
        if step:
            await step
        print(text, flush=True)


task.react(lambda reactor, *arguments: defer.ensureDeferred(main(reactor, *arguments)), sys.argv[1:])
