"""Solr from its jars, run by Jetty, with one core `ckan` that has CKAN's own schema.

All sites and test runs share it: CKAN puts its `ckan.site_id` into each document and each query.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import requests

from services import progress
from services.checkout import RUN
from services.processes import Program
from services.progress import Failure
from services.settings import Settings

SOURCE = Path(__file__).resolve().parent
DIRECTORY = RUN / "solr"
JARS = DIRECTORY / "lib"
HOME = DIRECTORY / "home"
CORE = HOME / "ckan"
#: Files that CKAN's schema names; what they list is a site's own affair.
WORD_LISTS = ("protwords.txt", "stopwords.txt", "synonyms.txt")
#: CKAN 2.11 refuses a schema called 2.12, while 2.12 accepts this name; the schemas differ in nothing else.
SCHEMA_NAME = "ckan-2.11"


def prepare(settings: Settings) -> tuple[Program, bool]:
    """Fetch the jars, write the core; the program and whether a running one must be restarted for it."""
    java = shutil.which("java")
    if java is None:
        raise Failure("Java is not installed.", "run `make install`.")
    _fetch_jars()
    changed = _write_core()
    properties = {
        "solr.port": str(settings.ports["solr"]),
        "solr.webroot": str(DIRECTORY / "webroot"),
        "solr.solr.home": str(HOME),
        "solr.log.dir": str(DIRECTORY / "log"),
        "java.io.tmpdir": str(DIRECTORY / "tmp"),
    }
    for name in ("webroot", "log", "tmp"):
        (DIRECTORY / name).mkdir(exist_ok=True)
    command = [java, "-Xmx256m", *(f"-D{name}={value}" for name, value in properties.items())]
    command += ["-cp", f"{JARS}/*", "org.eclipse.jetty.xml.XmlConfiguration", str(SOURCE / "jetty.xml")]
    return Program("solr", command, DIRECTORY), changed


def answers(settings: Settings) -> bool:
    try:
        url = f"{settings.solr_url()}/select"
        return requests.get(url, params={"q": "*:*", "rows": 0}, timeout=10).status_code == requests.codes.ok
    except requests.RequestException:
        return False


def forget_site(settings: Settings, site_id: str) -> None:
    """Remove the documents of one CKAN from the index."""
    query = {"delete": {"query": f'site_id:"{site_id}"'}}
    requests.post(f"{settings.solr_url()}/update?commit=true", json=query, timeout=30).raise_for_status()


def _fetch_jars() -> None:
    """Let Maven collect the jars; once, until pom.xml changes."""
    wanted = hashlib.sha256((SOURCE / "pom.xml").read_bytes()).hexdigest()
    stamp = JARS / "pom.sha256"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    maven = shutil.which("mvn")
    if maven is None:
        raise Failure("Maven is not installed, and it fetches Solr's jars.", "run `make install`.")
    unfinished = DIRECTORY / "lib.unfinished"
    for directory in (unfinished, JARS):
        shutil.rmtree(directory, ignore_errors=True)
    DIRECTORY.mkdir(exist_ok=True)
    with progress.step("Solr: fetching its jars with Maven"):
        progress.run(
            [
                maven,
                "--batch-mode",
                "--no-transfer-progress",
                "--file",
                SOURCE / "pom.xml",
                "dependency:copy-dependencies",
                f"-DoutputDirectory={unfinished}",
                "-DincludeScope=runtime",
            ],
            log="solr-jars",
            advice="it needs Maven Central; if the network failed, run the command again.",
        )
    (unfinished / stamp.name).write_text(wanted)
    unfinished.rename(JARS)


def _write_core() -> bool:
    spec = find_spec("ckan")
    if spec is None or not spec.submodule_search_locations:
        raise Failure("CKAN is not installed for this interpreter.", "run `make install`.")
    schema = (Path(spec.submodule_search_locations[0]) / "config/solr/schema.xml").read_text()
    schema, found = re.subn(r'(<schema\b[^>]*\bname=")ckan-[\d.]+"', rf'\g<1>{SCHEMA_NAME}"', schema, count=1)
    if not found:
        raise Failure(
            "CKAN's Solr schema has no name of the form `ckan-X.Y`, by which CKAN recognises it.",
            "compare ckan/config/solr/schema.xml with services/solr/__init__.py, which renames it.",
        )
    files = {
        "core.properties": "name=ckan\n",
        "conf/schema.xml": schema,
        "conf/solrconfig.xml": (SOURCE / "solrconfig.xml").read_text(),
        **{f"conf/{name}": "" for name in WORD_LISTS},
    }
    (CORE / "conf").mkdir(parents=True, exist_ok=True)
    (HOME / "solr.xml").write_text("<solr/>\n")
    changed = False
    for name, text in files.items():
        path = CORE / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            changed = True
    return changed
