"""A real browser without a window: Chromium, by the WebDriver protocol of its own driver."""

from __future__ import annotations

import json
import os
import shutil
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from taskbridge.process import Command, Process, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE: Final = timedelta(seconds=40)
MISSING: Final = "no Chromium with its driver here: apt-get install chromium-driver"
_OPTIONS: Final = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")


class Browser:
    """One window."""

    def __init__(self, session: str) -> None:
        self._session = session

    def open(self, url: str) -> None:
        """Load a page."""
        self._ask("/url", {"url": url})

    def run(self, script: str, *arguments: object) -> Any:
        """What a script returns in the page."""
        return self._ask("/execute/sync", {"script": script, "args": arguments})

    def click(self, selector: str) -> None:
        """Click the first element that fits, and wait for the page that follows."""
        self._ask(f"/element/{self._element(selector)}/click", {})

    def type(self, selector: str, text: str) -> None:
        """Write into a field."""
        self._ask(f"/element/{self._element(selector)}/value", {"text": text})

    @property
    def text(self) -> str:
        """All that is to be read on the page."""
        return str(self.run("return document.body.innerText"))

    def until(self, *words: str) -> None:
        """Wait until one of these is to be read on the page."""
        deadline = time.monotonic() + PATIENCE.total_seconds()
        while not any(each in self.text for each in words):
            assert time.monotonic() < deadline, f"not one of {words!r} is on the page:\n{self.text}"
            time.sleep(0.05)

    def forget(self) -> None:
        """Drop the cookies of this site."""
        request = urllib.request.Request(f"{self._session}/cookie", method="DELETE")
        with urllib.request.urlopen(request, timeout=PATIENCE.total_seconds()):
            pass

    def _element(self, selector: str) -> str:
        found = self._ask("/element", {"using": "css selector", "value": selector})
        return str(next(iter(found.values())))

    def _ask(self, path: str, body: dict[str, Any]) -> Any:
        return ask(self._session + path, body)


def ask(url: str, body: dict[str, Any]) -> Any:
    """The value that the driver answers with; its error is raised as text."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE.total_seconds()) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{url}: {error.read().decode()[:2000]}") from error


@contextmanager
def browsing(folder: Path) -> Iterator[Browser]:
    """A browser with a profile of its own. Where there is none the test is skipped; where CI is set it fails."""
    driver, chromium = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or chromium is None:
        if os.environ.get("CI"):
            raise AssertionError(MISSING)
        pytest.skip(MISSING)
    port = free_port()
    site = f"http://127.0.0.1:{port}"
    options = {"binary": chromium, "args": [*_OPTIONS, f"--user-data-dir={folder / 'profile'}"]}
    asked = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
    with Process(Command(argv=(driver, f"--port={port}")), log=folder / "driver.log") as process:
        process.wait_for_line("was started successfully", within=PATIENCE)
        session = ask(f"{site}/session", asked)["sessionId"]
        try:
            yield Browser(f"{site}/session/{session}")
        finally:
            with urllib.request.urlopen(urllib.request.Request(f"{site}/session/{session}", method="DELETE")):
                pass
