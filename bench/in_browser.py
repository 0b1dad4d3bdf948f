"""What a page of Chromium takes while it works: memory of its scripts, and whether it can still be used."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import CDPSession, Error, Page

#: Milliseconds between two beats by which `MainThread` feels that the page cannot answer.
BEAT = 5
#: What a thread of Chromium does at one go (trace category "toplevel").
_TASK = "ThreadControllerImpl::RunTask"
_PULSE = """(beat) => {
  const pulse = (window.pulse = { longest: 0, longTasks: 0 });
  const observer = new PerformanceObserver((list) => { pulse.longTasks += list.getEntries().length; });
  observer.observe({ type: "longtask" });
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    pulse.longest = Math.max(pulse.longest, now - last - beat);
    last = now;
  }, beat);
  pulse.end = () => {
    clearInterval(timer);
    pulse.longTasks += observer.takeRecords().length;
    observer.disconnect();
    return [pulse.longest, pulse.longTasks];
  };
}"""


class ScriptMemory:
    """Bytes that the scripts of a page and of its workers hold: objects, buffers, WebAssembly.

    Made before the workers are. `look` now and then: ``peak`` is the most that was seen.
    """

    def __init__(self, page: Page):
        self._page = page
        self._session: CDPSession = page.context.new_cdp_session(page)
        self._workers: set[str] = set()
        self._answers: dict[str, dict[str, Any]] = {}
        on = self._session.on
        on("Target.attachedToTarget", lambda event: self._workers.add(event["sessionId"]))
        on("Target.detachedFromTarget", lambda event: self._workers.discard(event["sessionId"]))
        on("Target.receivedMessageFromTarget", self._keep)
        # Not flat, because Playwright hands on no messages of a session within this one.
        attach = {"autoAttach": True, "waitForDebuggerOnStart": False, "flatten": False}
        self._session.send("Target.setAutoAttach", attach)
        self.peak = 0

    def look(self, *, collected: bool = False) -> int:
        """Bytes now; ``collected``: after what nothing refers to any more has been removed."""
        if collected:
            self._session.send("HeapProfiler.collectGarbage")
            self._ask_workers("HeapProfiler.collectGarbage")
        total = _bytes(self._session.send("Runtime.getHeapUsage"))
        total += sum(map(_bytes, self._ask_workers("Runtime.getHeapUsage")))
        self.peak = max(self.peak, total)
        return total

    def _ask_workers(self, method: str) -> list[dict[str, Any]]:
        """What those answer that do not end meanwhile."""
        self._answers.clear()
        asked = set(self._workers)
        for worker in asked:
            message = json.dumps({"id": 1, "method": method})
            with contextlib.suppress(Error):
                self._session.send("Target.sendMessageToTarget", {"sessionId": worker, "message": message})
        while (asked & self._workers) - set(self._answers):
            self._page.wait_for_timeout(5)
        return list(self._answers.values())

    def _keep(self, event: dict[str, Any]) -> None:
        self._answers[event["sessionId"]] = json.loads(event["message"]).get("result", {})


@dataclass(frozen=True)
class Work:
    """``longest``: seconds of a processor that the longest task of the page took, in which it can do nothing
    else. ``longest_wait``: seconds by the clock until it could answer its user, which has in it that other
    processes had the processor; ``long_tasks``: how often above 50 ms, by the clock."""

    longest: float
    longest_wait: float
    long_tasks: int


class MainThread:
    """What the thread works that draws a page and answers its user, from now until `end`."""

    def __init__(self, page: Page):
        self._page = page
        browser = page.context.browser
        assert browser
        self._session = browser.new_browser_cdp_session()
        self._events: list[dict[str, Any]] = []
        self._complete = False
        self._session.on("Tracing.dataCollected", self._keep)
        self._session.on("Tracing.tracingComplete", self._end)
        wanted = {"includedCategories": ["toplevel", "__metadata"], "recordMode": "recordAsMuchAsPossible"}
        self._session.send("Tracing.start", {"traceConfig": wanted, "transferMode": "ReportEvents"})
        page.evaluate(_PULSE, BEAT)

    def end(self) -> Work:
        longest_wait, long_tasks = self._page.evaluate("pulse.end()")
        self._session.send("Tracing.end")
        while not self._complete:
            self._page.wait_for_timeout(50)
        self._session.detach()
        drawing = {
            (event["pid"], event["tid"])
            for event in self._events
            if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
        }
        tasks = [
            event["tdur"]
            for event in self._events
            if "tdur" in event and (event["pid"], event["tid"]) in drawing
        ]
        return Work(max(tasks) / 1e6, longest_wait / 1000, long_tasks)

    def _keep(self, chunk: dict[str, Any]) -> None:
        self._events += [event for event in chunk["value"] if event["name"] in (_TASK, "thread_name")]

    def _end(self, _event: dict[str, Any]) -> None:
        self._complete = True


def _bytes(usage: dict[str, Any]) -> int:
    return int(usage.get("usedSize", 0)) + int(usage.get("backingStorageSize", 0))
