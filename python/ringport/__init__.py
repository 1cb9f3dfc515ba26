"""An event loop for asyncio, on io_uring or epoll."""

from . import _core
from .loop import Loop, new_event_loop, run

__version__ = _core.__version__

__all__ = ["Loop", "new_event_loop", "run"]
