"""The upload field by keyboard, for screen readers, in other languages, on a phone, under strict policies."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import ckan.i18n
import pytest
from axe_playwright_python.sync_playwright import Axe
from ckan import plugins
from ckan.lib.i18n import build_js_translations
from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.conftest import LiveSite, log_in
from tests.e2e.upload_form import file_chooser

#: What CKAN's own page breaks of `default-src 'self'`, in both versions: four inline handlers of the buttons
#: that our module binds, styles that htmx adds, and a picture of the test's user on another site.
OF_CORE = {("script-src-attr", "inline"), ("style-src-elem", "inline"), ("img-src", "elsewhere")}
#: All of ours in the form: the field, and what says that saving waits.
OURS = [[".resource-upload-field"], [".external-storage-waiting"]]


@pytest.fixture
def german(with_plugins, ckan_config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What `ckan translation js` makes of German, for the site, too: they share the directory."""
    core = Path(ckan.i18n.__file__).parent
    (tmp_path / "i18n").mkdir()
    (tmp_path / "i18n" / "de").symlink_to(core / "de")
    (tmp_path / "i18n" / "ckan.pot").symlink_to(core / "ckan.pot")
    monkeypatch.setitem(ckan_config, "ckan.i18n_directory", str(tmp_path))
    assert plugins.plugin_loaded("external_storage")
    build_js_translations()


@pytest.fixture
def form(visitor: Page, site: LiveSite) -> Callable[[str], str]:
    """Opens the form of a new resource in a language; gives the id of its dataset."""
    person = site.person("Petra Publisher")
    organization = site.organization(editor=person)
    log_in(visitor, person)

    def opened(language: str) -> str:
        name = f"roads-{uuid.uuid4().hex[:8]}"
        dataset = person.client.action("package_create", name=name, owner_org=organization["id"])
        visitor.goto(f"/{language}/dataset/{dataset['name']}/resource/new")
        expect(visitor.locator(".external-storage-hint").first).to_be_visible()
        return dataset["id"]

    return opened


@pytest.fixture
def obeying(visitor: Page) -> Iterator[Callable[[str], Callable[[], set[tuple[str, str]]]]]:
    """All pages and scripts come with a Content-Security-Policy; gives (directive, what) that broke it."""
    yield lambda policy: obey(visitor, policy)
    visitor.unroute_all(behavior="ignoreErrors")


def obey(page: Page, policy: str) -> Callable[[], set[tuple[str, str]]]:
    page.add_init_script(
        """window.inMemory = [];
        const { subtle } = crypto, digest = subtle.digest.bind(subtle);
        subtle.digest = (name, data) => (inMemory.push(data.byteLength), digest(name, data));
        window.broken = [];
        document.addEventListener('securitypolicyviolation', (event) =>
          broken.push([event.effectiveDirective, event.blockedURI]));"""
    )

    def answer(route: Route) -> None:
        if route.request.resource_type not in ("document", "script", "stylesheet"):
            return route.fallback()
        response = route.fetch(max_redirects=0)
        return route.fulfill(
            response=response, headers={**response.headers, "content-security-policy": policy}
        )

    page.route("**/*", answer)
    return lambda: {
        (directive, "elsewhere" if "://" in what else what) for directive, what in page.evaluate("broken")
    }


def nothing_is_wrong(page: Page) -> None:
    present = [selector for selector in OURS if page.locator(selector[0]).count()]
    violations = Axe().run(page, context={"include": present}).response["violations"]
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in violations] == []


def tab_to(page: Page, target: Locator) -> None:
    for _ in range(40):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError("The keyboard does not get there.")


def test_by_keyboard_in_german_under_a_strict_policy(visitor: Page, german, form, obeying, large: Path):
    page = visitor
    held: list[Route] = []
    holding = [True]

    def hold(route: Route) -> None:
        if route.request.method == "PATCH" and holding[0]:
            held.append(route)
        else:
            route.fallback()

    page.route("**/uploads/*/tus", hold)
    broken = obeying("default-src 'self'")
    form("de")
    page.locator(".resource-upload-field [role=status]").evaluate(
        """status => { window.heard = [];
        new MutationObserver(() => heard.push(status.textContent)).observe(status, {childList: true}); }"""
    )
    nothing_is_wrong(page)

    upload = page.locator("#resource-upload-button")
    upload.focus()  # which the page does itself, where nothing else has the focus
    file_chooser(page, lambda: page.keyboard.press("Enter")).set_files(large)
    row = page.get_by_role("group", name="measured.bin")
    expect(row).to_have_attribute("data-state", "sending")
    expect(row).to_be_focused()
    nothing_is_wrong(page)
    expect(row).to_match_aria_snapshot(
        """
        - group "measured.bin":
          - paragraph:
            - strong: measured.bin
            - text: 17 MiB
          - progressbar "measured.bin"
          - paragraph: /Wird hochgeladen. \\d+ %/
          - button "Anhalten"
          - button "Abbrechen"
          - paragraph: /Wenn diese Seite inzwischen geschlossen wird/
        """
    )
    bar = row.get_by_role("progressbar")
    assert bar.get_attribute("aria-valuetext") == row.locator(".external-storage-line").text_content()

    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(row).to_have_attribute("data-state", "paused")
    resume = row.get_by_role("button", name="Weiter", exact=True)
    expect(resume).to_be_focused()
    nothing_is_wrong(page)
    page.keyboard.press("Space")
    expect(row).to_have_attribute("data-state", "sending")
    expect(row.get_by_role("button", name="Anhalten")).to_be_focused()

    save = page.locator("button[name=save][value=go-dataset-complete]")
    tab_to(page, save)
    page.keyboard.press("Enter")
    waiting = page.get_by_text("Das Formular wird von selbst gespeichert, sobald die Datei da ist.").first
    expect(waiting).to_be_visible()
    expect(save).to_be_focused()
    nothing_is_wrong(page)
    heard = page.evaluate("heard")
    # Such a policy forbids WebAssembly: hashed in memory.
    page.wait_for_function("inMemory.includes(17 << 20)")
    assert broken() <= OF_CORE

    checked: list[Route] = []
    page.route("**/uploads/*/complete", lambda route: checked.append(route))
    holding[0] = False
    for route in held[-1:]:
        route.fallback()
    expect(row).to_have_attribute("data-state", "checking")
    nothing_is_wrong(page)
    for route in checked:
        route.fallback()
    expect(page).to_have_url(re.compile(r"/de/dataset/[^/]+$"))
    expect(page.get_by_role("link", name="measured.bin").first).to_be_visible()
    told = [text.removeprefix("measured.bin: ").partition(" 0")[0] for text in heard]
    assert told == [
        "Wartet auf den Beginn",
        "Wird hochgeladen:",
        "Angehalten bei",
        "Wartet auf den Beginn",
        "Wird hochgeladen:",
        "Das Formular wird von selbst gespeichert, sobald die Datei da ist.",
    ]


def test_from_right_to_left_on_a_phone(visitor: Page, form, obeying, large: Path, tmp_path: Path):
    page = visitor
    page.set_viewport_size({"width": 320, "height": 700})
    page.emulate_media(reduced_motion="reduce", forced_colors="active")
    broken = obeying("default-src 'self'; script-src 'self' 'wasm-unsafe-eval'")
    page.route(
        "**/uploads/*/tus", lambda route: None if route.request.method == "PATCH" else route.fallback()
    )
    form("ar")
    row = page.locator(".external-storage-row")
    empty = tmp_path / "empty.csv"
    empty.touch()
    for file, state in ((empty, "asking"), (large, "sending")):
        button = page.locator("#resource-upload-button, [data-action=replace]").locator("visible=true")
        file_chooser(page, button.click).set_files(file)
        expect(row).to_have_attribute("data-state", state)
        nothing_is_wrong(page)
        if state == "asking":
            expect(row).to_be_focused()
    page.wait_for_function("() => navigator.locks.query().then(({ held }) => held.length === 1)")
    box, bar, edge, fits = row.evaluate(
        """row => { const { left, right } = row.getBoundingClientRect();
        const fill = row.querySelector('.progress-bar'), style = getComputedStyle(row);
        fill.style.width = '50%';
        const half = fill.getBoundingClientRect(), whole = fill.parentElement.getBoundingClientRect();
        return [[left, right], [whole.right - half.right, half.left - whole.left],
          [parseFloat(style.borderRightWidth), parseFloat(style.borderLeftWidth)],
          [...row.querySelectorAll('*')].every((part) => {
            const place = part.getBoundingClientRect();
            return !place.width || (place.left >= left && place.right <= right);
          })]; }"""
    )
    assert 0 <= box[0] < box[1]
    assert fits, "nothing of the row leaves it"
    assert bar[0] < 3 < bar[1], "it grows from the right"
    assert edge[0] > edge[1]
    assert row.locator(".progress-bar").evaluate("fill => getComputedStyle(fill).transitionDuration") == "0s"
    assert page.evaluate("inMemory") == [], "begun, so hashed: by WebAssembly in the worker"
    assert broken() <= OF_CORE
