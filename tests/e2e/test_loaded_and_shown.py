"""Private files in CKAN's own views, and in the DataStore by xloader: from the local store and from S3."""

from __future__ import annotations

import io
import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from ckan.tests import factories
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from services import databases, ini
from services.checkout import LOG, ROOT, VENV, write_private
from services.settings import Settings
from tests.conftest import SANDBOX
from tests.e2e.conftest import PATIENCE, LiveSite, Person, log_in, served
from tests.interop import elsewhere

#: xloader with what it imports; by itself it would bring other versions of what CKAN is installed with.
XLOADER = (
    "ckanext-xloader==2.5.2",
    "tabulator==1.53.5",
    "attrs",
    "boto3",
    "botocore",
    "chardet==5.2.0",
    "et-xmlfile",
    "ijson",
    "jmespath",
    "jsonlines",
    "linear-tsv",
    "openpyxl",
    "s3transfer",
    "unicodecsv",
    "unidecode",
    "xlrd",
)


@dataclass(frozen=True)
class LoadingSite:
    """A site with DataStore and xloader. ``work()`` does what is queued, as ``ckan jobs worker`` does."""

    site: LiveSite
    ini: str
    environment: dict[str, str]

    def work(self) -> str:
        done = subprocess.run(
            [VENV / "bin/ckan", "-c", self.ini, "jobs", "worker", "--burst"],
            env={**os.environ, **self.environment, "CKAN_SITE_URL": self.site.url},
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        return done.stdout + done.stderr


@pytest.fixture(scope="module", params=["local", "s3"])
def loading(request: pytest.FixtureRequest) -> Iterator[LoadingSite]:
    box = request.config.stash[SANDBOX]
    settings = Settings.load()
    assert settings
    name = f"datastore_{box.number}"
    sysadmin: Any = factories.SysadminWithToken()
    options = {
        **box.options,
        **databases.create_datastore(settings, name, box.options["ckan.site_id"]),
        **(request.getfixturevalue("s3_options") if request.param == "s3" else {}),
        "ckan.plugins": f"{ini.test_plugins()} datastore xloader",
        "ckanext.xloader.api_token": sysadmin["token"],
        "ckanext.xloader.ssl_verify": "false",
    }
    path = box.ini.with_name(f"loading-{request.param}.ini")
    write_private(path, ini.text(options, base=ROOT / "test.ini"))
    environment = {"PYTHONPATH": str(elsewhere.beside_ckan(*XLOADER))}
    with served(path, LOG / f"loading-site-{box.number}.log", **environment) as site:
        if request.param == "s3":
            # The text view reads files by script, which follows the redirect to the store with its headers.
            headers = ["x-requested-with", "content-type"]
            rule = {"AllowedOrigins": [site.url], "AllowedMethods": ["GET"], "AllowedHeaders": headers}
            request.getfixturevalue("s3_client").put_bucket_cors(
                Bucket=request.getfixturevalue("bucket"), CORSConfiguration={"CORSRules": [rule]}
            )
        yield LoadingSite(site, str(path), environment)
    databases.drop(settings, name)


@dataclass(frozen=True)
class PrivateFiles:
    """Resources of a private dataset, by format."""

    resources: dict[str, dict[str, Any]]
    editor: Person
    #: Is in all of them.
    own: str


@pytest.fixture
def files(loading: LoadingSite) -> PrivateFiles:
    person = loading.site.person("Eda Editor")
    organization = loading.site.organization(editor=person)["name"]
    name = f"private-{uuid.uuid4().hex[:8]}"
    person.client.action("package_create", name=name, owner_org=organization, private=True)
    resources = {}
    # Content that is known already is not stored again, and both stores share one database.
    own = uuid.uuid4().hex.encode()
    for format, data in (
        ("CSV", b"id,city\n1,Graz\n2,Wien " + own),
        ("TXT", b"a <b>text</b> " + own),
        ("PNG", png()),
        ("PDF", PDF + b"% " + own),
    ):
        oid = person.client.upload(organization, name, data)[0]
        resources[format] = person.client.action(
            "resource_create",
            package_id=name,
            url=f"file.{format.lower()}",
            url_type="upload",
            sha256=oid,
            name=format,
            format=format,
        )
    return PrivateFiles(resources, person, own.decode())


def png() -> bytes:
    file = io.BytesIO()
    Image.frombytes("RGB", (30, 10), os.urandom(900)).save(file, "PNG")
    return file.getvalue()


#: A page of 200 by 200 points with one word on it.
PDF = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Contents 4 0 R\
/Resources<</Font<</F 5 0 R>>>>>>endobj
4 0 obj<</Length 41>>stream
BT /F 40 Tf 20 90 Td (Proof) Tj ET
endstream endobj
5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj
trailer<</Root 1 0 R>>
%%EOF
"""


def test_rows_of_a_private_file_are_loaded(loading: LoadingSite, files: PrivateFiles):
    log = loading.work()
    found = files.editor.client.action("datastore_search", resource_id=files.resources["CSV"]["id"])
    rows = [(row["id"], row["city"]) for row in found["records"]]
    assert rows == [("1", "Graz"), ("2", f"Wien {files.own}")], log
    assert "Signature" not in log


def test_private_files_are_shown_to_whom_they_are_for(
    loading: LoadingSite, files: PrivateFiles, browser: Browser
):
    context = browser.new_context(base_url=loading.site.url, locale="en")
    page = context.new_page()
    try:
        log_in(page, files.editor)
        page.goto(view(files, "TXT", "text_view"))
        expect(page.locator("pre").first).to_have_text(f"a <b>text</b> {files.own}", timeout=PATIENCE)
        page.goto(view(files, "PNG", "image_view"))
        expect(page.locator("img[src*='/download/']")).to_have_js_property("naturalWidth", 30)
        page.goto(view(files, "PDF", "pdf_view"))
        assert shows_a_pdf(page)
    finally:
        context.close()


def test_resource_proxy_passes_on_what_is_public_only(loading: LoadingSite, files: PrivateFiles):
    """It fetches as nobody, whoever asks it: from CKAN's address, and on to the store that this names."""
    resource, client = files.resources["TXT"], files.editor.client
    address = f"{loading.site.url}/dataset/{resource['package_id']}/resource/{resource['id']}/proxy"

    def ask(**headers: str) -> requests.Response:
        return requests.get(address, headers=headers, timeout=PATIENCE / 1000)

    for answer in (ask(), ask(Authorization=client.token)):
        assert answer.status_code >= 400
        assert files.own not in answer.text
        assert "Signature" not in answer.text
    client.action("package_patch", id=resource["package_id"], private=False)
    public = ask()
    assert (public.status_code, public.text) == (200, f"a <b>text</b> {files.own}")
    assert public.headers["Content-Type"] == "text/plain; charset=utf-8"


def view(files: PrivateFiles, format: str, kind: str) -> str:
    """Address of a new view of the file, as a page has it in a frame."""
    resource = files.resources[format]
    client = files.editor.client
    made = client.action("resource_view_create", resource_id=resource["id"], view_type=kind, title=kind)
    return f"/dataset/{resource['package_id']}/resource/{resource['id']}/view/{made['id']}"


def shows_a_pdf(page: Page) -> bool:
    """Is there the browser's own viewer, dark grey, with a white sheet of 200 by 200 points in it?

    What is in the viewer is out of reach for everything but a look.
    """
    deadline = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < deadline:
        count = Image.open(io.BytesIO(page.screenshot())).convert("L").histogram()
        if sum(count[30:70]) > 400_000 and 40_000 < count[255] < 200_000:
            return True
        page.wait_for_timeout(200)
    return False
