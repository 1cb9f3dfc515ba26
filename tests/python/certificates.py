"""A certificate for 127.0.0.1 that is made for the tests by the command openssl, and contexts with it."""

import ssl
import subprocess

import pytest


def make_certificate(folder):
    """The paths of a new certificate and its key."""
    paths = folder / "certificate.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    command += f" -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -out {paths[0]} -keyout {paths[1]}"
    subprocess.run(command.split(), check=True, capture_output=True)
    return paths


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """The paths of a certificate and its key."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def server_context(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture
def client_context(certificate):
    """One that trusts the certificate."""
    return ssl.create_default_context(cafile=certificate[0])


@pytest.fixture(params=["openssl", "memory"])
def engine(request, monkeypatch, pytestconfig):
    """The engine of TLS that is used: `pytestmark = pytest.mark.usefixtures("engine")` runs each test with both."""
    if pytestconfig.getoption("reference"):
        if request.param == "memory":
            pytest.skip("asyncio has one way")
        return "asyncio"
    from ringport import tls

    best = tls.choose(request.getfixturevalue("loop"))
    if request.param != "openssl":
        monkeypatch.setattr(tls, "_chosen", (request.param, "a test wants it"))
    elif best[0] != "openssl":
        pytest.skip(best[1])
    return request.param
