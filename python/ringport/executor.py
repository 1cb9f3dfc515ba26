"""The end of the default executor: with a time limit, as Python has it from 3.13 on."""

import asyncio
import sys
import threading
import warnings


def _finish(future, exception):
    if future.done():
        return
    if exception is None:
        future.set_result(None)
    else:
        future.set_exception(exception)


class Executor:
    """The part of a Loop that ends its default executor."""

    if sys.version_info < (3, 13):  # 3.12 has a limit, and waits without end before it

        async def shutdown_default_executor(self, timeout=None):
            """Refuse further jobs, and wait until those that the default executor has are done.

            timeout: seconds after which it warns and waits no longer. None: there is no limit.
            """
            self._executor_shutdown_called = True
            if self._default_executor is None:
                return
            future = self.create_future()
            thread = threading.Thread(target=self._do_shutdown, args=(future,))
            thread.start()
            try:
                async with asyncio.timeout(timeout):
                    await future
            except TimeoutError:
                message = f"The executor did not finishing joining its threads within {timeout} seconds."
                warnings.warn(message, RuntimeWarning, stacklevel=2)
                self._default_executor.shutdown(wait=False)
            else:
                thread.join()

        def _do_shutdown(self, future):
            exception = None
            try:
                self._default_executor.shutdown(wait=True)
            except Exception as error:
                exception = error
            if not self.is_closed():
                self.call_soon_threadsafe(_finish, future, exception)
