"""Who may see what, what may be done, and that hostile names and arguments stay text in a browser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from tests.browser import browsing
from tests.conformance.backends import ROOT
from tests.django_admin.hostile import HOSTILE
from tests.django_admin.site import serving
from tests.forks import run_python

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.browser import Browser

PAGES = ("", "job/?id=x", "dead/", "dead/letter/?id=letter-1", "outbox/", "periodic/")

# One browser and one site of each kind.
pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("admin")]


@dataclass(frozen=True, slots=True)
class Site:
    """The project, served."""

    url: str
    letter: str
    environment: dict[str, str]

    def page(self, path: str) -> str:
        return f"{self.url}/admin/taskbridge/desk/{path}"

    def python(self, code: str) -> Any:
        """What a program of the project prints, which is JSON."""
        head = "import django, json; from urllib.parse import urlencode; django.setup()\n"
        ran = run_python(head + code, environment=self.environment, directory=ROOT, timeout=60)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout.splitlines()[-1])


@pytest.fixture(scope="module", params=["huey+sqlite", "rq+redis"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The project with its store in SQL, and in Redis where there are no tables."""
    folder = tmp_path_factory.mktemp("site")
    if request.param == "rq+redis":
        url = f"rq+{request.getfixturevalue('redis_server').fresh_url()}"
    else:
        url = f"huey+sqlite:///{folder}/queue.db"
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.django_admin.settings",
        "PYTHONPATH": str(ROOT),
        "TEST_TASKS_URL": url,
        "TEST_DATABASE": f"sqlite:///{folder}/django.db",
        "TEST_SIGNALS": str(folder / "signals"),
    }
    manage = [sys.executable, "-m", "django"]
    subprocess.run([*manage, "migrate", "-v0"], env=environment, check=True, timeout=120)
    seeded = subprocess.run(
        [sys.executable, "-m", "tests.django_admin.seed"], env=environment, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert seeded.returncode == 0, seeded.stderr
    with serving((*manage, "runserver"), folder / "log", environment=environment) as url:
        yield Site(url, json.loads(seeded.stdout)["letter"], environment)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def log_in(browser: Browser, site: Site, name: str) -> None:
    """As this user, whoever was there before."""
    browser.open(f"{site.url}/admin/login/")
    browser.forget()
    browser.open(f"{site.url}/admin/login/?next=/admin/taskbridge/desk/")
    browser.type("#id_username", name)
    browser.type("#id_password", "secret")
    browser.click("[type=submit]")
    browser.until("LOG OUT", "403 Forbidden", "Please enter the correct username")


def test_hostile_names_and_arguments_stay_text_on_every_page(browser: Browser, site: Site) -> None:
    log_in(browser, site, "boss")
    seen = [browser.text]
    links = browser.run("return [...document.querySelectorAll('#result_list a')].map(a => a.href)")
    assert len(links) == 2
    for page in ("dead/", "dead/?state=redriven", "outbox/", "periodic/", "?backend=" + "%3Cscript%3E"):
        browser.open(site.page(page))
        assert browser.run("return window.owned") is None
        seen.append(browser.text)
        links += browser.run("return [...document.querySelectorAll('#result_list a')].map(a => a.href)")
    for link in links:
        browser.open(link)
        assert browser.run("return window.owned") is None
        assert browser.run("return document.querySelectorAll('img').length") == 0
        seen.append(browser.text)
    assert sum(HOSTILE in text for text in seen) >= 6
    succeeded = next(text for text in seen if "Returned" in text and "SUCCESSFUL" in text)
    assert HOSTILE.replace('"', '\\"') in succeeded


def test_a_list_shows_what_its_filters_say_and_hostile_filters_stay_text(browser: Browser, site: Site) -> None:
    def rows(page: str) -> int:
        browser.open(site.page(page))
        assert browser.run("return window.owned") is None
        assert browser.run("return document.querySelectorAll('#content img').length") == 0
        count: int = browser.run("return document.querySelectorAll('#content tbody tr td:nth-child(2)').length")
        return count

    log_in(browser, site, "boss")
    assert (rows("?status=FAILED"), rows("?status=EXPIRED"), rows("?of_backend=Second")) == (1, 0, 0)
    assert (rows("dead/?id=raw-"), rows("dead/?reason=nothing+such")) == (1, 0)
    assert (rows("outbox/?state=waits"), rows("outbox/?state=given+up")) == (1, 0)
    assert (rows("periodic/?task=GREET"), rows("periodic/?state=paused")) == (1, 0)
    hostile = urlencode({"task": HOSTILE, "queue": HOSTILE})
    for page, expected in (("", 2), ("dead/", 1), ("outbox/", 1)):
        assert rows(f"{page}?{hostile}") == expected
        assert browser.run("return document.querySelector('#filters [name=task]').value") == HOSTILE
    browser.open(site.page("?status=%22%3E%3Cscript%3Ewindow.owned%3Dtrue%3C%2Fscript%3E"))
    browser.type("#filters [name=task]", "nobody")
    browser.click("#filters [type=submit]")
    browser.until("Nothing is recorded here.")
    assert browser.run("return window.owned") is None


def test_a_filter_that_fits_few_reads_a_part_and_goes_on_from_there(site: Site) -> None:
    found = site.python(
        "from django.contrib.auth.models import User\n"
        "from django.test import Client\n"
        "from taskbridge.django import pages\n"
        "pages.BATCH = pages.SHOWN = 1\n"
        "client = Client(SERVER_NAME='127.0.0.1')\n"
        "client.force_login(User.objects.get(username='boss'))\n"
        "page, steps, ids = '?status=FAILED', 0, []\n"
        "while page and steps < 100 and not ids:\n"
        "    context = client.get('/admin/taskbridge/desk/' + page).context_data\n"
        "    ids += [each.id for each in context['records']]\n"
        "    page = context['after'] and '?status=FAILED&' + urlencode({'after': context['after']})\n"
        "    steps += 1\n"
        "since = ('no time', '2020-01-01T00:00:00+00:00', '2100-01-01T00:00:00+00:00')\n"
        "dead = [client.get('/admin/taskbridge/desk/dead/', {'id': 'raw-', 'since': each}) for each in since]\n"
        "print(json.dumps([len(ids), *(len(each.context_data['letters']) for each in dead)]))"
    )
    assert found == [1, 1, 1, 0]


def test_an_outbox_of_any_length_is_shown_to_its_end(site: Site) -> None:
    every, few, odd = site.python(
        "import re\n"
        "from django.contrib.auth.models import User\n"
        "from django.db import transaction\n"
        "from django.test import Client\n"
        "from taskbridge.django import pages\n"
        "from taskbridge.message import Message\n"
        "from taskbridge.outbox import row\n"
        "from taskbridge.outbox.transaction import on\n"
        "pages.SHOWN, pages.READ = 2, 3\n"
        "client = Client(SERVER_NAME='127.0.0.1')\n"
        "client.force_login(User.objects.get(username='boss'))\n"
        "def ids(query):\n"
        "    found = []\n"
        "    while query is not None:\n"
        "        answer = client.get('/admin/taskbridge/desk/outbox/' + query)\n"
        "        (database,) = answer.context_data['databases']\n"
        "        found += [each['row'].id for each in database['rows']]\n"
        '        more = re.search(\'href="([^"]*after=[^"]*)">More\', answer.content.decode())\n'
        "        query = more and more[1].replace('&amp;', '&')\n"
        "    return found\n"
        "with transaction.atomic():\n"
        "    sent = [Message(f'{name}-{number}', 'shop.told', [], {}) for number in range(7) for name in ('a', 'b')]\n"
        "    row.write(on(None), sent, [None] * 14, backend='default', task='shop.told', ordering_key=None)\n"
        "    asked = (('x', '1'), (0, '9' * 30), (7, -1), (0, '\\u0663'))\n"
        "    odd = [len(ids(f'?of={of}&after={after}')) for of, after in asked]\n"
        "    print(json.dumps([ids(''), ids('?id=b-'), odd]))\n"
        "    transaction.set_rollback(True)"
    )
    assert len(every) == len(set(every)) == 15
    assert few == [f"b-{number}" for number in range(7)]
    assert odd == [15] * 4


def test_who_may_enqueues_a_dead_letter_again_which_leaves_a_trace(browser: Browser, site: Site) -> None:
    log_in(browser, site, "boss")
    browser.open(site.page("dead/"))
    browser.click(f"input[name=letter][value='{site.letter}']")
    browser.click("input[value='Enqueue again']")
    browser.until(f"Enqueued again: {site.letter}.")
    assert browser.run("return document.querySelectorAll('input[name=letter]').length") == 1
    browser.open(site.page("dead/?state=redriven"))
    assert site.letter in browser.text
    trace = site.python(
        "from django.contrib.admin.models import LogEntry\n"
        "print(json.dumps([[e.user.username, e.object_id, e.change_message] for e in LogEntry.objects.all()]))"
    )
    assert trace == [["boss", site.letter, "Enqueued again."]]
    kept = site.python(
        "from taskbridge.router import router; from taskbridge.store import Selection\n"
        f"letter, = router.store().letters(Selection(ids=({site.letter!r},), state=None))\n"
        "print(json.dumps(letter.redrives))"
    )
    assert kept == 1


def test_who_may_only_look_sees_no_arguments_and_can_enqueue_nothing(browser: Browser, site: Site) -> None:
    log_in(browser, site, "looker")
    browser.open(site.page("dead/?state=redriven"))
    links = browser.run("return [...document.querySelectorAll('#result_list a')].map(a => a.href)")
    browser.open(site.page(""))
    links += browser.run("return [...document.querySelectorAll('#result_list a')].map(a => a.href)")
    for link in links:
        browser.open(link)
        assert "hidden: it needs the permission" in browser.text
        assert "key" not in browser.text
    browser.open(site.page("dead/"))
    assert "raw-" in browser.text
    assert browser.run("return document.querySelectorAll('#result_list input').length") == 0
    # A form of one's own, with the token that the page has.
    browser.run(
        "const form = document.querySelector('#content form[method=post]');"
        "const field = document.createElement('input'); field.name = 'letter'; field.value = 'letter-1';"
        "form.append(field); form.submit()"
    )
    browser.until("403 Forbidden")
    assert site.python(
        "from django.contrib.admin.models import LogEntry\n"
        "print(json.dumps(LogEntry.objects.filter(user__username='looker').count()))"
    ) == 0  # fmt: skip


@pytest.mark.parametrize(("name", "told"), [("staff", "403 Forbidden"), ("customer", "Username:")])
def test_who_has_no_permission_gets_nothing(name: str, told: str, browser: Browser, site: Site) -> None:
    log_in(browser, site, name)
    for page in PAGES:
        browser.open(site.page(page))
        assert told in browser.text
        assert "tests.django_backend" not in browser.text


@pytest.mark.parametrize("page", PAGES)
def test_a_stranger_is_sent_to_the_login(page: str, site: Site) -> None:
    with urllib.request.urlopen(site.page(page), timeout=30) as answer:
        assert "/admin/login/" in answer.url
        assert "tests.django_backend" not in answer.read().decode()


def test_a_form_without_its_token_is_refused(site: Site) -> None:
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(site.page("dead/"), b"letter=letter-1", timeout=30)
