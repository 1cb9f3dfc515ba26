import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Literal, TypedDict, TypeVar, type_check_only

_T = TypeVar("_T")
_Backend = Literal["io_uring", "epoll"]

__all__ = ["Loop", "capi", "get_include", "new_event_loop", "run"]
if sys.version_info < (3, 14):
    __all__ += ["EventLoopPolicy", "install"]

__version__: str
capi: object

@type_check_only
class _Statistics(TypedDict):
    turns: int
    callbacks: int
    completions: int
    kernel_entries: int
    wakeups: int
    busy_polls: int
    busy_polls_found: int
    timers_scheduled: int
    timers_cancelled: int
    timers_pending: int
    operations_in_flight: int
    longest_turn: float
    backend: str
    fallback_reason: str | None
    tls: str | None
    tls_fallback_reason: str | None

class Loop(asyncio.BaseEventLoop):
    def __init__(self, *, backend: _Backend | None = None, busy_poll: float = 0.0) -> None: ...
    @property
    def backend(self) -> str: ...
    @property
    def fallback_reason(self) -> str | None: ...
    def stats(self) -> _Statistics: ...
    async def shutdown_default_executor(self, timeout: float | None = None) -> None: ...

def get_include() -> str: ...
def new_event_loop(*, backend: _Backend | None = None, busy_poll: float = 0.0) -> Loop: ...
def run(
    main: Coroutine[Any, Any, _T],
    *,
    debug: bool | None = None,
    loop_factory: Callable[..., asyncio.AbstractEventLoop] | None = None,
    backend: _Backend | None = ...,
    busy_poll: float = ...,
) -> _T: ...

if sys.version_info < (3, 16):
    class EventLoopPolicy(asyncio.DefaultEventLoopPolicy): ...

    def install() -> None: ...
