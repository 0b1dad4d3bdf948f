"""The servers that stand before ours, set up as docs/external_storage_serving.rst says."""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import ckantoolkit as tk
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from werkzeug.serving import make_server

from ckanext.external_storage import config
from ckanext.external_storage.transfer import links
from services.checkout import VENV
from services.sandbox import Sandbox
from tests.conftest import SANDBOX
from tests.external_storage import standalone
from tests.interop import documents, elsewhere
from tests.portal import Portal, editor_and_dataset, pointer, standing
from tests.portal import path as path_of

PAGE = "external_storage_serving"
MiB = 1 << 20
PATIENCE = 60


@dataclass(frozen=True)
class Site:
    """The server as clients reach it; without TLS if ``certificate`` is None. ``store``: its files."""

    url: str
    certificate: Path | None
    store: Path

    def ask(self, method: str, url: str, **kwargs) -> requests.Response:
        verify = str(self.certificate) if self.certificate else True
        return requests.request(method, url, verify=verify, timeout=PATIENCE, **kwargs)

    def connected(self) -> socket.socket:
        parts = urlsplit(self.url)
        connection = socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE)
        if not self.certificate:
            return connection
        context = ssl.create_default_context(cafile=self.certificate)
        return context.wrap_socket(connection, server_hostname=parts.hostname)


def certificate(directory: Path) -> tuple[Path, Path]:
    """One for localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "certificate.pem", directory / "key.pem"
    paths[0].write_bytes(built.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    with standing() as portal:
        yield portal


@pytest.fixture
def nginx(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    with documented_nginx(request.config.stash[SANDBOX], tmp_path) as (site, _ini):
        yield site


@contextlib.contextmanager
def documented_nginx(box: Sandbox, directory: Path, **changed: str) -> Iterator[tuple[Site, Path]]:
    """The standalone server behind nginx, and its configuration. *changed*: directives with other values."""
    port, (cert, key) = standalone.free_port(), certificate(directory)
    url = f"https://localhost:{port}/lfs"
    ini = standalone.write_ini(box, directory / "lfs.ini", **{"ckanext.external_storage.lfs_url": url})
    with standalone.gunicorn(ini) as address:
        server = documents.filled_in(
            documents.example(PAGE, "nginx"),
            {
                "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
                "data.example.org;": "localhost;",
                "/etc/ssl/data.example.org.pem": str(cert),
                "/etc/ssl/data.example.org.key": str(key),
                "http://127.0.0.1:8001": address,
            },
        )
        for name, value in changed.items():
            server, found = re.subn(rf"\b{name} .*;", f"{name} {value};", server)
            assert found, name
        with running_nginx(server, directory):
            site = Site(url, cert, Path(box.options["ckanext.external_storage.local.path"]))
            wait_for(site, directory / "nginx.log")
            yield site, ini


@contextlib.contextmanager
def running_nginx(server: str, directory: Path) -> Iterator[None]:
    """nginx with one ``server { … }``, all that it writes in *directory*."""
    kept = [f"{name}_temp_path {directory}/{name};" for name in ("proxy", "fastcgi", "uwsgi", "scgi")]
    kept += [f"client_body_temp_path {directory}/body;", "access_log off;"]
    path = directory / "nginx.conf"
    path.write_text(
        f"user root; daemon off; pid {directory}/nginx.pid; events {{}}\n"
        f"http {{ {' '.join(kept)}\n{server} }}\n"
    )
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    command = [program, "-e", "stderr", "-c", str(path), "-p", str(directory)]
    with standalone.running(command, directory / "nginx.log"):
        yield


@pytest.fixture
def uwsgi(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    box = request.config.stash[SANDBOX]
    address = f"127.0.0.1:{standalone.free_port()}"
    url = f"http://{address}/lfs"
    ini = standalone.write_ini(box, tmp_path / "lfs.ini", **{"ckanext.external_storage.lfs_url": url})
    path = tmp_path / "uwsgi.ini"
    values = {"127.0.0.1:8001": address, "/etc/ckan/lfs.ini": str(ini)}
    path.write_text(documents.filled_in(documents.example(PAGE, "uwsgi"), values))
    program = elsewhere.python("uwsgi").parent / "uwsgi"
    command = [str(program), "--ini", str(path), "--virtualenv", sys.prefix, "--die-on-term"]
    with standalone.running(command, tmp_path / "uwsgi.log"):
        site = Site(url, None, Path(box.options["ckanext.external_storage.local.path"]))
        wait_for(site, tmp_path / "uwsgi.log")
        yield site


def wait_for(site: Site, log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(requests.ConnectionError):
            assert site.ask("GET", f"{site.url}/health").json()["healthy"], log.read_text()
            return
        time.sleep(0.1)
    pytest.fail(log.read_text())


def arriving(site: Site, before: set[Path]) -> bool:
    """Whether bytes of a new file are in the store."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        new = {path for path in site.store.rglob("*") if path.is_file()} - before
        with contextlib.suppress(FileNotFoundError):
            if any(path.stat().st_size >= MiB for path in new):
                return True
        time.sleep(0.05)
    return False


def test_nginx_as_documented(portal, nginx):
    moves_files(portal, nginx)
    assert nginx.ask("GET", f"{nginx.url}/metrics").status_code == 404


@pytest.fixture
def downloads(portal: Portal, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch) -> Iterator[str]:
    """Address of CKAN behind an nginx that sends the files, as docs/external_storage_downloads.rst says."""
    monkeypatch.setitem(tk.config, "ckanext.external_storage.local.sendfile", "x-accel-redirect")
    root = request.config.stash[SANDBOX].options["ckanext.external_storage.local.path"]
    files = documents.filled_in(
        documents.example("external_storage_downloads", "nginx"), {"/var/lib/ckan/objects/": f"{root}/"}
    )
    ckan = make_server("127.0.0.1", 0, portal.app.app, threaded=True)
    threading.Thread(target=ckan.serve_forever, daemon=True).start()
    port = standalone.free_port()
    all_else = f"location / {{ proxy_pass http://127.0.0.1:{ckan.server_port}; }}"
    with running_nginx(f"server {{ listen 127.0.0.1:{port};\n{all_else}\n{files} }}", tmp_path):
        url = f"http://127.0.0.1:{port}"
        wait_until_open(port, tmp_path / "nginx.log")
        yield url
    ckan.shutdown()


def wait_until_open(port: int, log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    pytest.fail(log.read_text())


def test_nginx_sends_the_files_of_downloads(portal, downloads):
    editor, dataset = editor_and_dataset(private=True)
    data = f"0123456789 {dataset['id']}".encode()
    resource = portal.publish(editor, dataset, data, "data.csv")
    url, own = f"{downloads}{path_of(resource['url'])}", {"Authorization": editor["token"]}

    def ask(method: str = "GET", **headers: str) -> requests.Response:
        return requests.request(method, url, headers={**own, **headers}, timeout=PATIENCE)

    whole = ask()
    assert (whole.status_code, whole.content) == (200, data)
    assert "X-Accel-Redirect" not in whole.headers  # where the file is stays between nginx and CKAN
    assert whole.headers["Content-Disposition"] == 'attachment; filename="data.csv"'
    assert whole.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert whole.headers["Cache-Control"] == "private, no-cache"
    assert whole.headers["X-Content-Type-Options"] == "nosniff"
    assert whole.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert whole.headers["Referrer-Policy"] == "no-referrer"
    part = ask(Range="bytes=2-4", **{"If-Range": whole.headers["ETag"]})
    assert (part.status_code, part.content) == (206, b"234")
    assert part.headers["Content-Range"] == f"bytes 2-4/{len(data)}"
    assert ask(Range="bytes=-36").content == dataset["id"].encode()
    assert ask(Range="bytes=2-4", **{"If-Range": '"another"'}).content == data
    assert ask(Range=f"bytes={len(data)}-").status_code == 416
    assert ask(**{"If-None-Match": whole.headers["ETag"]}).status_code == 304
    assert ask("HEAD").headers["Content-Length"] == str(len(data))
    # Only CKAN opens the location, and only to whom it may.
    assert requests.get(url, timeout=PATIENCE).status_code == 404
    with config.engine().connect() as connection:
        key = links.linked(connection, dataset["id"], [resource["sha256"]])[resource["sha256"]].key
    for place in (key, f"{key[:-70]}/../../{key}", "objects/", "parts/"):
        answer = requests.get(f"{downloads}/external-storage-files/{place}", timeout=PATIENCE)
        assert answer.status_code == 404, place


#: Name → media type that it is sent as.
HOSTILE = {
    "page.html": "text/html; charset=utf-8",
    "../../etc/passwd.svg": "image/svg+xml",
    'a"; filename="b.exe".csv': "text/csv; charset=utf-8",
    "exe.\u202ecsv.js": "text/plain; charset=utf-8",
    "two\r\nX-Accel-Redirect: /external-storage-files/parts/x.txt": "text/plain; charset=utf-8",
}


def test_nginx_sends_hostile_names_as_harmless(portal, downloads):
    editor, dataset = editor_and_dataset()
    for name, kind in HOSTILE.items():
        data = f"<script>alert({name!r})</script>{dataset['id']}".encode()
        resource = portal.publish(editor, dataset, data, name)
        url = f"{downloads}/dataset/{dataset['name']}/resource/{resource['id']}/download"
        answer = requests.get(url, timeout=PATIENCE)
        assert answer.content == data, name
        assert answer.headers["Content-Type"] == kind
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        disposition = answer.headers["Content-Disposition"]
        assert re.fullmatch(r'attachment; filename="[^"/]*"(; filename\*=UTF-8\'\'[\w.%-]+)?', disposition)


@pytest.mark.proof(seconds=(0, 65))
def test_check_sees_what_a_proxy_does_to_slow_uploads(request, tmp_path, counts, record_property):
    """A PUT of more than a minute, behind nginx as documented and behind one that holds uploads back."""
    for name, changed in (("documented", {}), ("buffering", {"proxy_request_buffering": "on"})):
        directory = tmp_path / name
        directory.mkdir()
        with documented_nginx(request.config.stash[SANDBOX], directory, **changed) as (site, ini):
            done = subprocess.run(
                [VENV / "bin/ckan", "-c", ini, "external-storage", "check", "--slow"],
                env={**os.environ, "REQUESTS_CA_BUNDLE": str(site.certificate)},
                capture_output=True,
                text=True,
                timeout=PATIENCE + 3 * counts["seconds"],
                check=False,
            )
        lines = done.stdout.splitlines()
        record_property(name, lines[lines.index("site address: well") :])
        if changed:
            assert "slow upload: not well" in lines, done
            assert "nginx: proxy_request_buffering off;" in done.stdout
        else:
            assert "slow upload: well" in lines, done


@pytest.mark.proof(runs=(0, 1))  # it takes a compiler half a minute
def test_uwsgi_as_documented(portal, request, counts):
    for _ in range(counts["runs"]):
        moves_files(portal, request.getfixturevalue("uwsgi"))


def slowly(data: bytes) -> Iterator[bytes]:
    """In pieces, of which a proxy cannot have the last one before it passes on the first."""
    yield data[:1]
    time.sleep(0.5)
    yield data[1:]


def moves_files(portal: Portal, site: Site) -> None:
    editor, dataset = editor_and_dataset()
    token = portal.write_token(editor, dataset)
    repository = f"{dataset['organization']['name']}/{dataset['name']}"

    def batch(operation: str, data: bytes, token: str = token) -> requests.Response:
        return site.ask(
            "POST",
            f"{site.url}/{repository}.git/info/lfs/objects/batch",
            json={"operation": operation, "objects": [pointer(data)]},
            headers={"Authorization": f"Bearer {token}"},
        )

    def action(operation: str, data: bytes) -> dict:
        answer = batch(operation, data)
        assert answer.status_code == 200, answer.text
        found = answer.json()["objects"][0]["actions"][operation]
        assert found["href"].startswith(f"{site.url}/")
        return found

    # Passed on while it arrives: the store has a part of it before the client has sent the rest.
    large = bytes(3 * MiB) + dataset["id"].encode()
    upload = action("upload", large)
    before = {path for path in site.store.rglob("*") if path.is_file()}
    lines = [f"PUT {urlsplit(upload['href']).path} HTTP/1.1", f"Host: {urlsplit(site.url).netloc}"]
    lines += [f"{name}: {value}" for name, value in upload["header"].items()]
    lines += [f"Content-Length: {len(large)}", "Connection: close", "", ""]
    with site.connected() as connection, connection.makefile("rb") as answer:
        connection.sendall("\r\n".join(lines).encode() + large[: 2 * MiB])
        assert arriving(site, before)
        connection.sendall(large[2 * MiB :])
        assert b" 200 " in answer.readline()
    download = action("download", large)
    assert site.ask("GET", download["href"], headers=download["header"]).content == large
    part = site.ask("GET", download["href"], headers={**download["header"], "Range": "bytes=-36"})
    assert (part.status_code, part.content) == (206, dataset["id"].encode())

    other = b"other" + dataset["id"].encode()
    upload = action("upload", other)
    chunked = site.ask("PUT", upload["href"], data=slowly(other), headers=upload["header"])
    assert chunked.status_code == 411
    assert batch("upload", other, token="x" * 8192).status_code == 401  # the longest header arrives
