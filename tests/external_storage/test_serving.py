"""Where the LFS server is found, who may use it from a page, and how it says that it is well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from ckanext.external_storage import config, errors, ini
from ckanext.external_storage.lfs.app import LfsApplication
from ckanext.external_storage.lfs.settings import Settings
from ckanext.external_storage.standalone import public
from ckanext.external_storage.storage.local import LocalStore

PAGE = "https://maps.example.org"
BATCH = "/o/d.git/info/lfs/objects/batch"


def no_tokens(text: str) -> Any:
    raise AssertionError("nobody asks")


def no_uploads(*given: Any) -> Any:
    raise AssertionError("nothing arrives")


def client(tmp_path: Path, **fields: Any) -> Client:
    """The application without a database: enough for what is decided before it is asked."""
    settings: dict[str, Any] = {
        "url": "https://data.example.org/lfs",
        "namespace": "ckan",
        "engine": lambda: sa.create_engine("postgresql://nobody@127.0.0.1:1/nothing"),
        "store": lambda: LocalStore(tmp_path),
        "secret": lambda: b"s" * 32,
        "read_token": no_tokens,
        "check_later": no_uploads,
        "checker_alive": no_uploads,
        **fields,
    }
    return Client(LfsApplication(Settings(**settings)))


class TestOrigins:
    def preflight(self, client: Client, origin: str) -> Any:
        headers = {"Origin": origin, "Access-Control-Request-Method": "PATCH"}
        return client.options(BATCH, headers=headers)

    def test_one_that_is_listed_may_ask(self, tmp_path):
        answer = self.preflight(client(tmp_path, cors_origins=frozenset({PAGE})), PAGE)
        assert answer.status_code == 204
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
        for name in ("Authorization", "Tus-Resumable", "Upload-Offset", "Content-Type"):
            assert name in answer.headers["Access-Control-Allow-Headers"]
        assert answer.headers["Vary"] == "Origin"
        assert "Access-Control-Allow-Credentials" not in answer.headers

    @pytest.mark.parametrize(
        "origin", ["https://evil.example.org", "null", PAGE + ".evil.org", PAGE + ":8443"]
    )
    @pytest.mark.parametrize("origins", [set(), {PAGE}])
    def test_others_may_not(self, tmp_path, origin, origins):
        answer = self.preflight(client(tmp_path, cors_origins=frozenset(origins)), origin)
        assert answer.status_code == 403
        assert "Access-Control-Allow-Origin" not in answer.headers

    def test_all_may(self, tmp_path):
        answer = self.preflight(client(tmp_path, cors_origins=frozenset({"*"})), "https://any.example.org")
        assert answer.headers["Access-Control-Allow-Origin"] == "*"

    @pytest.mark.parametrize(
        ("method", "path", "status"), [("POST", BATCH, 401), ("GET", "/nothing", 404), ("DELETE", BATCH, 405)]
    )
    def test_a_page_can_read_errors(self, tmp_path, method, path, status):
        application = client(tmp_path, cors_origins=frozenset({PAGE}))
        answer = application.open(path, method=method, headers={"Origin": PAGE})
        assert answer.status_code == status
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        assert "LFS-Authenticate" in answer.headers["Access-Control-Expose-Headers"]
        elsewhere = application.open(path, method=method)
        assert "Access-Control-Allow-Origin" not in elsewhere.headers
        assert elsewhere.headers["Vary"] == "Origin"

    def test_a_page_can_read_failures(self, tmp_path):
        def fail(text: str) -> Any:
            raise RuntimeError("the secret of this test")

        application = client(tmp_path, cors_origins=frozenset({PAGE}), read_token=fail)
        answer = application.post(BATCH, headers={"Origin": PAGE, "Authorization": "Bearer x"})
        assert answer.status_code == 500
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        assert "secret of this test" not in answer.text


class TestHealth:
    def test_what_fails_is_named_and_nothing_else(self, tmp_path):
        def missing() -> bytes:
            raise errors.SecretMissing("/etc/ckan/capability_secret")

        answer = client(tmp_path, secret=missing).get("/health")
        assert answer.status_code == 503
        assert answer.json == {"healthy": False, "database": "failed", "store": "ok", "secret": "failed"}
        assert "/etc" not in answer.text


class TestMetrics:
    def test_with_the_token_from_anywhere(self, tmp_path):
        file = tmp_path / "token"
        file.write_text("sixteen characters\n")
        application = client(tmp_path, metrics_token_file=file)
        good = {"Authorization": "Bearer sixteen characters"}
        elsewhere = {"REMOTE_ADDR": "192.0.2.1"}
        answer = application.get("/metrics", headers=good, environ_overrides=elsewhere)
        assert answer.status_code == 200
        assert "external_storage_lfs_requests" in answer.text
        assert "external_storage_uploads" not in answer.text  # without its database the rest is shown
        for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer other"}):
            assert application.get("/metrics", headers=headers).status_code == 403

    @pytest.mark.parametrize("text", [None, "", "short"])
    def test_without_a_proper_secret_for_nobody(self, tmp_path, text):
        file = tmp_path / "token"
        if text is not None:
            file.write_text(text)
        answer = client(tmp_path, metrics_token_file=file).get(
            "/metrics", headers={"Authorization": f"Bearer {text or ''}"}
        )
        assert answer.status_code == 403

    @pytest.mark.parametrize(
        ("address", "headers", "status"),
        [
            ("127.0.0.1", {}, 200),
            ("::1", {}, 200),
            ("192.0.2.1", {}, 403),
            ("", {}, 403),
            ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, 403),
            ("127.0.0.1", {"Via": "1.1 proxy"}, 403),
        ],
    )
    def test_otherwise_for_this_machine(self, tmp_path, address, headers, status):
        answer = client(tmp_path).get("/metrics", headers=headers, environ_overrides={"REMOTE_ADDR": address})
        assert answer.status_code == status


class TestPublicAddress:
    """What `standalone.public` makes of a request: the address and the path that the application sees."""

    def asked(self, url: str, hops: int, path: str, headers: dict[str, str]) -> str:
        @Request.application
        def application(request: Request) -> Response:
            return Response(f"{request.root_url.rstrip('/')} {request.path} {request.remote_addr}")

        called_by = {"REMOTE_ADDR": "127.0.0.1"}
        server = Client(public(application, url, hops))
        return server.get(path, headers=headers, environ_overrides=called_by).text

    @pytest.mark.parametrize("path", ["/lfs/x", "/data/lfs/x"])
    def test_a_request_says_nothing_about_it(self, path):
        headers = {
            "Host": "evil.org",
            "X-Forwarded-Host": "evil.org",
            "X-Forwarded-Proto": "ftp",
            "X-Forwarded-Prefix": "/evil",
            "X-Forwarded-For": "192.0.2.1",
        }
        answer = self.asked("https://data.example.org:8443/data/lfs", 0, path, headers)
        assert answer == "https://data.example.org:8443/data/lfs /x 127.0.0.1"

    @pytest.mark.parametrize(
        ("headers", "expected"),
        [
            ({}, "https://data.example.org/lfs"),
            ({"X-Forwarded-Prefix": "/ckan"}, "https://data.example.org/ckan/lfs"),
            ({"X-Forwarded-Host": "evil.org, files.example.org"}, "https://files.example.org/lfs"),
            ({"X-Forwarded-Proto": "http", "Host": "evil.org"}, "http://data.example.org/lfs"),
        ],
    )
    def test_a_trusted_proxy_does(self, headers, expected):
        headers = {"X-Forwarded-For": "192.0.2.6, 192.0.2.7", **headers}
        answer = self.asked("https://data.example.org/lfs", 1, "/lfs/x", headers)
        assert answer == f"{expected} /x 192.0.2.7"

    def test_at_the_root_of_another_host(self):
        assert self.asked("https://files.example.org", 0, "/x", {}).startswith("https://files.example.org /x")

    def test_nothing_is_anywhere_else(self):
        assert "Not Found" in self.asked("https://data.example.org/lfs", 0, "/lfsx", {})


@pytest.mark.parametrize(
    ("root_path", "expected"),
    [
        ("", "http://test.ckan.net/lfs"),
        ("/data", "http://test.ckan.net/data/lfs"),
        ("/data/", "http://test.ckan.net/data/lfs"),
        ("/data/{{LANG}}", "http://test.ckan.net/data/lfs"),
        ("/{{LANG}}/data", "http://test.ckan.net/data/lfs"),
        ("/{{LANG}}", "http://test.ckan.net/lfs"),
    ],
)
def test_below_the_path_that_ckan_is_mounted_at(ckan_config, monkeypatch, root_path, expected):
    monkeypatch.setitem(ckan_config, "ckan.root_path", root_path)
    assert config.lfs_url() == expected


def test_at_an_address_of_its_own(ckan_config, monkeypatch):
    monkeypatch.setitem(ckan_config, "ckanext.external_storage.lfs_url", "https://files.example.org/")
    assert config.lfs_url() == "https://files.example.org"


class TestConfiguration:
    """`ini.read` and CKAN understand a file alike."""

    def write(self, path: Path, text: str) -> Path:
        path.parent.mkdir(exist_ok=True)
        path.write_text("[app:main]\n" + text)
        return path

    def base(self, tmp_path: Path) -> Path:
        return self.write(
            tmp_path / "base" / "ckan.ini",
            "use = egg:ckan\n"
            "ckan.site_url = http://base\n"
            "sqlalchemy.url = postgresql://base\n"
            "ckanext.external_storage.local.path = %(here)s/objects\n"
            "ckanext.blob_storage.storage_namespace = old%%name\n"
            "ckanext.authz_service.jwt_max_lifetime = 60\n",
        )

    def test_files_build_on_files(self, tmp_path):
        self.base(tmp_path)
        top = self.write(
            tmp_path / "lfs.ini",
            "use = config:base/ckan.ini\nckan.site_url = http://top\n"
            "ckanext.external_storage.cors_origins = a b\n",
        )
        found = ini.read(top, {"CKAN_SQLALCHEMY_URL": "postgresql://environment/%40"})
        assert found["ckan.site_url"] == "http://top"
        assert found["sqlalchemy.url"] == "postgresql://environment/%40"
        assert found["ckanext.external_storage.local.path"] == f"{tmp_path}/base/objects"
        assert found["ckanext.external_storage.storage_namespace"] == "old%name"
        assert found["ckanext.authz_service.jwt_max_lifetime"] == 60
        assert found["ckanext.external_storage.cors_origins"] == ["a", "b"]
        assert found["ckanext.external_storage.proxy_hops"] == 0

    @pytest.mark.usefixtures("with_plugins")
    def test_as_ckan_does(self, request, ckan_config):
        from tests.conftest import SANDBOX

        found = ini.read(request.config.stash[SANDBOX].ini, {})
        ours = [
            key for key in found if key.startswith(("ckanext.authz_service.", "ckanext.external_storage."))
        ]
        assert len(ours) > 10
        assert {key: found[key] for key in ours} == {key: ckan_config.get(key) for key in ours}
        for key in ("ckan.site_url", "ckan.site_id", "ckan.redis.url", "sqlalchemy.url"):
            assert found[key] == ckan_config[key]

    @pytest.mark.parametrize(
        ("text", "named"),
        [
            ("ckanext.external_storage.proxy_hops = one", "proxy_hops"),
            ("ckanext.authz_service.giftless_profile = perhaps", "giftless_profile"),
            ("sqlalchemy.url =", "CKAN_SQLALCHEMY_URL"),
            ("use = config:lfs.ini", "builds on itself"),
            ("use = config:none.ini", "none.ini"),
        ],
    )
    def test_mistakes_are_named(self, tmp_path, text, named):
        first = "" if text.startswith("use") else "use = config:base/ckan.ini\n"
        self.base(tmp_path)
        with pytest.raises(ValueError, match=named):
            ini.read(self.write(tmp_path / "lfs.ini", first + text), {})
