"""A certificate for 127.0.0.1 and localhost, made anew by the command openssl, and contexts with it."""

import ssl
import subprocess

from servers import tool


class Certificate:
    """Its files are `certificate` and `key`."""

    def __init__(self, folder):
        self.certificate, self.key = folder / "certificate.pem", folder / "key.pem"
        command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
        command += f" -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -out {self.certificate} -keyout {self.key}"
        subprocess.run([tool("openssl"), *command.split()], check=True, capture_output=True)

    def server(self):
        """A context for a server that has it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def client(self):
        """A context for a client that trusts it."""
        return ssl.create_default_context(cafile=self.certificate)
