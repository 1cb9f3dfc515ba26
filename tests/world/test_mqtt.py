"""aiomqtt against Debian's Mosquitto: each QoS, retained messages, wills of killed clients, TLS, a restart."""

import asyncio
import contextlib
import os
import pathlib
import signal
import subprocess

import aiomqtt
import pytest
from cases import on_loop, until
from loops import python, size
from servers import free_port, started, stop, tool
from tls import Certificate

PACKAGES = ["aiomqtt", "paho-mqtt"]
SERVERS = ["mosquitto"]
HERE = pathlib.Path(__file__).parent
MORTAL = """
import asyncio, sys, aiomqtt
from loops import check

async def main(port):
    check()
    will = aiomqtt.Will("wills", b"is gone", qos=1)
    async with aiomqtt.Client("127.0.0.1", port, will=will, keepalive=5) as client:
        await client.publish("born", b"", qos=1)
        await asyncio.sleep(3600)

asyncio.run(main(int(sys.argv[1])))
"""


class Broker:
    """A Mosquitto within the block, at `port`, and with TLS at `secure`. start() and stop() may be called there."""

    def __init__(self, folder):
        self.certificate = Certificate(folder)
        self.port, self.secure = free_port(), free_port()
        self.settings = folder / "mosquitto.conf"
        self.settings.write_text(
            f"allow_anonymous true\nuser root\nmax_queued_messages 0\nlistener {self.port} 127.0.0.1\n"
            f"listener {self.secure} 127.0.0.1\n"
            f"certfile {self.certificate.certificate}\nkeyfile {self.certificate.key}\n"
        )
        self.running = contextlib.ExitStack()

    def start(self):
        addresses = ("127.0.0.1", self.port), ("127.0.0.1", self.secure)
        self.server = self.running.enter_context(started([tool("mosquitto"), "-c", self.settings], *addresses))

    def stop(self):
        stop(self.server)

    def client(self, **options):
        return aiomqtt.Client("127.0.0.1", self.port, **options)


@pytest.fixture
def broker(tmp_path):
    broker = Broker(tmp_path)
    with broker.running:
        broker.start()
        yield broker


async def take(client, count):
    """The next messages: what they say, by topic."""
    found = []
    async for message in client.messages:
        found.append((str(message.topic), message.payload))
        if len(found) == count:
            return found


@pytest.mark.parametrize("qos", [0, 1, 2])
@on_loop
async def test_messages(broker, qos):
    count = size(2000, 300)
    async with broker.client() as reader, broker.client(max_inflight_messages=50) as writer:
        await reader.subscribe("numbers/#", qos=qos)
        taking = asyncio.create_task(take(reader, count))
        for n in range(count):
            await writer.publish(f"numbers/{n % 7}", b"%d" % n, qos=qos, timeout=60)
        assert sorted(await taking) == sorted((f"numbers/{n % 7}", b"%d" % n) for n in range(count))


@on_loop
async def test_large_messages_by_tls(broker):
    message = os.urandom(size(8, 1) << 20)
    context = broker.certificate.client()
    async with aiomqtt.Client("127.0.0.1", broker.secure, tls_context=context) as client:
        await client.subscribe("large", qos=1)
        await client.publish("large", message, qos=1, timeout=60)
        assert await take(client, 1) == [("large", message)]


@on_loop
async def test_retained(broker):
    async with broker.client() as client:
        await client.publish("state", b"on", qos=1, retain=True)
    async with broker.client() as client:
        await client.subscribe("state")
        assert await take(client, 1) == [("state", b"on")]


@on_loop
async def test_a_will(broker):
    """A client that is killed has its will published."""
    async with broker.client() as client:
        await client.subscribe([("wills", 1), ("born", 1)])
        child = subprocess.Popen(python("-c", MORTAL, str(broker.port)), cwd=HERE)
        try:
            assert await take(client, 1) == [("born", b"")]
            child.send_signal(signal.SIGKILL)
            assert await take(client, 1) == [("wills", b"is gone")]
        finally:
            child.kill()
            child.wait()


@on_loop
async def test_fifty_clients(broker):
    """Each hears what each says."""
    ready = asyncio.Semaphore(0)
    begin = asyncio.Event()

    async def member(number):
        async with broker.client() as client:
            await client.subscribe("room", qos=1)
            ready.release()
            await begin.wait()
            await client.publish("room", b"%d" % number, qos=1, timeout=60)
            return {int(message) for _, message in await take(client, members)}

    members = size(50, 15)
    tasks = [asyncio.create_task(member(n)) for n in range(members)]
    for _ in range(members):
        await ready.acquire()
    begin.set()
    assert await asyncio.gather(*tasks) == [set(range(members))] * members


@on_loop
async def test_the_broker_is_killed(broker):
    """A client says so, and a new one comes to the broker that is started then."""
    with pytest.raises(aiomqtt.MqttError):
        async with broker.client() as client:
            await client.subscribe("topic")
            broker.stop()
            await take(client, 1)
    await asyncio.to_thread(broker.start)
    async with broker.client() as client:
        await client.subscribe("topic")
        await client.publish("topic", b"again", qos=1)
        assert await take(client, 1) == [("topic", b"again")]


@on_loop
async def test_nobody_serves():
    with pytest.raises(aiomqtt.MqttError):
        async with aiomqtt.Client("127.0.0.1", free_port()):
            pass
    await until(lambda: len(asyncio.all_tasks()) == 1)
