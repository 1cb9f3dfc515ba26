"""tls_certificates.py: certificates that are made by `openssl` for one run of tests, in a directory of its own.

`ca` has issued all but `stranger`, which has issued nothing. Each has a NAME.pem and a NAME.key.
"""

import pathlib

from tools import use

KINDS = {"rsa": ["rsa:2048"], "ecdsa": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]}


def issue(directory, name, kind, subject, names=None, issuer="ca"):
    """A certificate of that kind of key for a subject; without `names` it is a root."""
    extensions = [f"subjectAltName={names}", "basicConstraints=critical,CA:FALSE"] if names else [
        "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"]
    issued = ["-CA", f"{directory}/{issuer}.pem", "-CAkey", f"{directory}/{issuer}.key"] if names else []
    use("openssl", "req", "-x509", "-newkey", *KINDS[kind], "-nodes", "-days", 2, "-subj", f"/CN={subject}",
        "-keyout", f"{directory}/{name}.key", "-out", f"{directory}/{name}.pem", *issued,
        *(word for extension in extensions for word in ("-addext", extension)))


def make(directory):
    local = "DNS:localhost,IP:127.0.0.1"
    issue(directory, "ca", "ecdsa", "ca")
    issue(directory, "stranger", "ecdsa", "stranger")
    issue(directory, "rsa", "rsa", "localhost", local)
    issue(directory, "ecdsa", "ecdsa", "localhost", local)
    issue(directory, "other", "ecdsa", "other.test", "DNS:other.test")
    issue(directory, "client", "ecdsa", "client", "DNS:client.test")
    return pathlib.Path(directory)
