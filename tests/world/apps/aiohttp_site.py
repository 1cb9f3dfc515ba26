"""aiohttp_site.py PORT: a site of aiohttp's that serves until a signal, and then says how many slow requests it answered."""

import asyncio
import json
import sys

from aiohttp import web

begun = 0
answered = 0
stopping = asyncio.Event()


async def loop(request):
    return web.Response(text=type(asyncio.get_running_loop()).__module__)


async def slow(request):
    """Answers only after the signal has come."""
    global begun, answered
    begun += 1
    await stopping.wait()
    answered += 1
    return web.Response(text="slow")


async def begun_all(request):
    """Answers once so many slow requests have begun."""
    while begun < int(request.match_info["count"]):
        await asyncio.sleep(0.01)
    return web.Response()


async def stop(app):
    stopping.set()


async def clean(app):
    print(json.dumps({"answered": answered, "cleaned": True}))


app = web.Application()
app.add_routes([web.get("/loop", loop), web.get("/slow", slow), web.get("/begun/{count}", begun_all)])
app.on_shutdown.append(stop)
app.on_cleanup.append(clean)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, shutdown_timeout=30)
