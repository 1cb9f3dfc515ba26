"""uvicorn's worker for gunicorn, told to leave the loop to asyncio."""

from uvicorn_worker import UvicornWorker


class Worker(UvicornWorker):
    CONFIG_KWARGS = {"loop": "none", "http": "httptools"}
