"""A plugin of pytest that sets what tornado.test.runtests sets before Tornado's tests: accesses are not logged."""

import logging

logging.getLogger("tornado.access").setLevel(logging.CRITICAL)
