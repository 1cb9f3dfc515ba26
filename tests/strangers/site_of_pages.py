"""site_of_pages.py: a server of a few pages that lead to each other, for the crawlers among the examples."""

import contextlib
import http.server
import threading

# What each page leads to.
SITE = {
    "/": ["/a", "/b", "/a#part"],
    "/a": ["/", "/c", "/missing"],
    "/b": ["/b", "/d"],
    "/c": [],
    "/d": ["/e"],
    "/e": ["/", "/a"],
    "/missing": [],
}


@contextlib.contextmanager
def site():
    """The server's port, and a list of the paths that it is asked for, while `with` lasts."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        """Answers with links, one on each line."""

        def do_GET(self):
            asked.append(self.path)
            self.send_response(404 if self.path == "/missing" else 200)
            self.end_headers()
            self.wfile.write("".join(f'<a href="{link}">{link}</a>\n' for link in SITE[self.path]).encode())

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port, asked
        finally:
            server.shutdown()
            thread.join()
