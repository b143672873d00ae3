"""The dashboard in a real Chromium, on a real cluster with a small shop: every page, every action, by mouse
and by keyboard, with and without JavaScript. Nothing may be told on the console, nor found by axe.

With --pictures it writes those of the README.
"""

import os
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    FloatRect,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)

from jobstream.cluster.child import Child
from jobstream.cluster.up import Cluster
from tests.e2e.shop import SMTP_DOWN
from tests.waiting import eventually

pytestmark = pytest.mark.full

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
WINDOW: ViewportSize = {"width": 1280, "height": 860}
PHONE: ViewportSize = {"width": 390, "height": 844}
TRAFFIC_S, PICTURE_TRAFFIC_S = 3.0, 110.0
ROOMS = ("", "queues", "jobs", "schedules", "dead", "minions", "trail")
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def shop(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Ask]:
    """A shop with customers: two minions, jobs of each kind, a schedule, one that runs on, one that died."""
    logs = tmp_path_factory.mktemp("shop")
    with ExitStack() as stack:
        for name in ("shop-1", "shop-2"):
            command = [sys.executable, "-m", "jobstream.minion", "tests.e2e.shop", "--relay", cluster.relay]
            minion = Child.start([*command, "--name", name], log=logs / f"{name}.log")
            stack.callback(minion.kill)
        http = stack.enter_context(httpx.Client(base_url=f"http://{cluster.http}", timeout=60))

        def ask(method: str, path: str, body: Any = None) -> Any:
            answer = http.request(method, path, json=body)
            assert answer.is_success, answer.text
            return answer.json()

        hourly = {"cron": "0 * * * *", "function": "report.build", "queue": "reports"}
        ask("PUT", "/schedules/hourly-report", {**hourly, "args": {"month": "2026-11", "rows": 120}})
        runs = {"worker": "export.orders", "queue": "reports", "args": {"orders": 1_500}, "timeout": "5m"}
        ask("POST", "/job", {**runs, "id": "export-2026-11"})
        broken = {"worker": "report.build", "queue": "reports", "args": {"month": "2026-10", "rows": -1}}
        retry = {"attempts_max": 3, "kind": "exponential", "initial_ms": 300, "jitter": 0}
        ask("POST", "/job", {**broken, "id": "report-2026-10", "retry": retry})
        ask(
            "POST", "/job", {"worker": "fax.send", "id": "fax-1", "args": {"to": "<script>alert(1)</script>"}}
        )
        _customers(ask, PICTURE_TRAFFIC_S if pytestconfig.getoption("--pictures") else TRAFFIC_S)
        eventually(lambda: ask("GET", "/job/report-2026-10")["phase"] == "dead", timeout_s=60)
        eventually(lambda: ask("GET", "/job/export-2026-11")["done"], timeout_s=60)
        yield ask


def _customers(ask: Ask, seconds: float) -> None:
    """Jobs at a steady rate with a wave in it."""
    ends_s, turn = time.monotonic() + seconds, 0
    while time.monotonic() < ends_s:
        turn += 1
        mail = {"worker": "mail.send", "queue": "mail", "key": f"customer-{turn % 40}"}
        jobs = [{**mail, "args": {"to": f"c{turn}-{n}@example.com"}} for n in range(3 + turn // 40 % 4)]
        jobs += [
            {"worker": "picture.resize", "queue": "pictures", "args": {"path": f"/{turn}.png", "width": 320}}
        ] * 2
        if turn % 8 == 0:
            jobs.append(
                {**mail, "args": {"to": SMTP_DOWN}, "retry": {"attempts_max": 2, "initial_ms": 60_000}}
            )
        ask("POST", "/jobs", jobs)
        threading.Event().wait(0.2)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium; skips without one, fails on a build server."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            "Chromium is not installed (Debian package chromium)"
        )
    with sync_playwright() as playwright:
        one = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield one
        one.close()


@pytest.fixture
def page(browser: Browser, cluster: Cluster, shop: Ask) -> Iterator[Page]:  # noqa: ARG001  # is to be there
    """A page; a word on the console ends the test."""
    context = browser.new_context(viewport=WINDOW, base_url=f"http://{cluster.http}")
    with ExitStack() as stack:
        stack.callback(context.close)
        yield watched(context)


def watched(context: BrowserContext) -> Page:
    """A page whose complaints are collected in `complaints`."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(message.text)

    page.on("console", heard)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.complaints = complaints  # type: ignore[attr-defined]  # goes along with it
    return page


def check(page: Page) -> None:
    """Nothing was complained of, and axe finds nothing."""
    assert page.complaints == []  # type: ignore[attr-defined]
    found = Axe().run(page).response["violations"]
    told = [
        f"{each['id']}: {each['nodes'][0]['html'][:200]} {each['nodes'][0]['failureSummary']}"
        for each in found
    ]
    assert told == [], page.url


@pytest.mark.usefixtures("shop")
def test_pictures(browser: Browser, cluster: Cluster, pytestconfig: pytest.Config) -> None:
    """Those of the README, as the pages are now."""
    if not pytestconfig.getoption("--pictures"):
        pytest.skip("pictures are written by `make pictures`")
    PICTURES.mkdir(exist_ok=True)
    # The picture of the job ends above its trace, whose paths are those of some machine.
    shown = (("overview", "", "light", 860), ("job", "job/report-2026-10", "dark", 540))
    for name, room, theme, high in shown:
        context = browser.new_context(viewport=WINDOW, base_url=f"http://{cluster.http}", color_scheme=theme)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(f"/dashboard/{room}")
        expect(page.get_by_text("live", exact=True)).to_be_visible()
        page.screenshot(path=PICTURES / f"{name}.png", clip=FloatRect(x=0, y=0, width=1280, height=high))
        context.close()


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(("theme", "size"), [("light", WINDOW), ("dark", WINDOW), ("light", PHONE)])
def test_every_page_is_clean(
    browser: Browser, cluster: Cluster, tmp_path: Path, theme: Any, size: Any
) -> None:
    """No complaint, no violation of accessibility, no page wider than its window; a picture of each."""
    context = browser.new_context(viewport=size, base_url=f"http://{cluster.http}", color_scheme=theme)
    page = watched(context)
    jobs = (
        "job/export-2026-11",
        "job/report-2026-10",
        "job/fax-1",
        "schedule/hourly-report",
        "do/pause-queue/mail",
    )
    for room in (*ROOMS, *jobs, "jobs?q=queue:mail"):
        page.goto(f"/dashboard/{room}")
        expect(page.locator("h1")).to_be_visible()
        if size is WINDOW:  # what axe looks for is the same in a narrow one
            check(page)
        assert page.complaints == []  # type: ignore[attr-defined]
        wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1], f"{room} is {wide[0]} wide in a window of {wide[1]}"
        page.screenshot(path=tmp_path / f"{re.sub('[^a-z0-9]', '-', room) or 'overview'}.png")
    context.close()
    assert len(list(tmp_path.glob("*.png"))) == len(ROOMS) + len(jobs) + 1


def test_the_story_of_a_job_is_told(page: Page) -> None:
    """Attempts as a picture and a table, error with its trace, arguments as text; how far it is."""
    page.goto("/dashboard/jobs?q=report-2026-10")
    expect(page).to_have_url(re.compile("/dashboard/job/report-2026-10$"))
    expect(page.locator("svg.timeline rect.failure")).to_have_count(3)
    expect(page.locator("pre", has_text="ValueError: a report must have rows, got -1")).to_be_visible()
    expect(page.get_by_text("3 of 3 attempts failed")).to_be_visible()
    page.goto("/dashboard/job/export-2026-11")
    bar = page.locator("progress").first
    before = float(bar.get_attribute("value") or 0)
    eventually(lambda: float(bar.get_attribute("value") or 0) > before, timeout_s=30)
    expect(page.get_by_text("reading orders").first).to_be_visible()
    page.goto("/dashboard/job/fax-1")
    expect(page.get_by_text("Waits for a minion of queue default with the function fax.send")).to_be_visible()
    expect(page.locator("pre", has_text="<script>alert(1)</script>")).to_be_visible()
    assert page.complaints == []  # type: ignore[attr-defined]


def act(page: Page, button: str, done: str, **fields: str) -> None:
    """Clicks an action, answers its question, and sees what it says it did."""
    page.locator("main").get_by_role("link", name=button, exact=True).first.click()
    asked = page.get_by_role("dialog")
    expect(asked).to_be_visible()
    check(page)
    for name, value in fields.items():
        asked.get_by_label(name.capitalize()).fill(value)
    asked.get_by_role("button", name=button).click()
    expect(page.get_by_role("status").filter(has_text=re.compile(done))).to_be_visible()
    assert page.complaints == []  # type: ignore[attr-defined]


def test_actions_ask_once_and_say_what_they_did(page: Page, shop: Ask) -> None:
    """Queues, jobs, schedules, dead letters; each is in the trail."""
    page.goto("/dashboard/queues")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="pictures", exact=True))
    row.get_by_role("link", name="Pause").click()
    page.get_by_role("dialog").get_by_role("link", name="Leave it").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    row.get_by_role("link", name="Pause").click()
    page.get_by_role("dialog").get_by_label("Note").fill("disk is full")
    page.get_by_role("dialog").get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Queue pictures is paused")).to_be_visible()
    expect(page.get_by_text("paused: disk is full")).to_be_visible()
    waits = shop("POST", "/job", {"worker": "picture.resize", "queue": "pictures", "args": ["/x.png", 1]})[
        "id"
    ]
    page.goto(f"/dashboard/job/{waits}")
    expect(page.get_by_text(re.compile("Waits for queue pictures is paused"))).to_be_visible()
    page.goto("/dashboard/queues")
    row.get_by_role("link", name="Resume").click()
    page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Queue pictures goes on")).to_be_visible()
    page.goto("/dashboard/job/fax-1")
    act(page, "Cancel job", "Job fax-1: cancelled", reason="nobody has a fax")
    expect(page.locator("h1 .phase")).to_have_text("cancelled")
    page.goto("/dashboard/schedule/hourly-report")
    act(page, "Fire now", "Schedule hourly-report: fired")
    act(page, "Pause", "Schedule hourly-report: paused", reason="holidays")
    act(page, "Resume", "Schedule hourly-report: resumed")
    page.goto("/dashboard/dead?function=report.build")
    act(page, "Redrive", "Job report-2026-10: runs again")
    page.goto("/dashboard/trail")
    for what in ("cancel-job", "pause-queue", "resume-queue", "trigger-schedule", "redrive"):
        expect(page.get_by_role("cell", name=f"POST /dashboard/do/{what}/").first).to_be_visible()
    eventually(lambda: shop("GET", "/job/report-2026-10")["phase"] == "dead", timeout_s=60)


def test_the_keyboard_is_enough(page: Page) -> None:
    """Rooms, rows, search, light and dark, help."""
    page.goto("/dashboard/")
    page.keyboard.press("g")
    page.keyboard.press("q")
    expect(page).to_have_url(re.compile("/dashboard/queues$"))
    page.keyboard.press("j")
    expect(page.locator("tr.here")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/dashboard/jobs\?queue="))
    page.keyboard.press("/")
    page.keyboard.type("export-2026-11")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/dashboard/job/export-2026-11$"))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_hidden()
    page.wait_for_function("!document.activeElement.closest('dialog')")  # which keeps the keys it gets
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    check(page)


def test_pages_are_live_while_they_are_seen(page: Page, shop: Ask, cluster: Cluster) -> None:
    """Numbers change by themselves; hidden, a page asks for nothing; who is away is shown."""
    page.goto("/dashboard/jobs?q=function:live.check")
    expect(page.get_by_text("No job fits")).to_be_visible()
    shop("POST", "/job", {"worker": "live.check", "id": "live-1"})
    expect(page.get_by_role("link", name="live-1")).to_be_visible()
    hide = "(hidden) => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
    hide += " document.dispatchEvent(new Event('visibilitychange')); return source === null; }"
    assert page.evaluate(hide, True) is True
    assert page.evaluate(hide, False) is False
    page.goto("/dashboard/")
    cluster.send("streams", signal.SIGSTOP)
    try:
        expect(page.get_by_text("A streams worker is away")).to_be_visible()
        expect(page.locator(".tiles .leased")).to_have_text("–")  # noqa: RUF001  # our dash
    finally:
        cluster.send("streams", signal.SIGCONT)
    expect(page.get_by_text("A streams worker is away")).to_be_hidden()


def test_without_javascript_everything_is_read_and_done(
    browser: Browser, cluster: Cluster, shop: Ask
) -> None:
    """Pages, and an action with its question as a page."""
    shop("POST", "/job", {"worker": "fax.send", "id": "fax-2"})
    context = browser.new_context(java_script_enabled=False, base_url=f"http://{cluster.http}")
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    for room in ROOMS:
        page.goto(f"/dashboard/{room}")
        expect(page.locator("h1")).to_be_visible()
    page.goto("/dashboard/job/fax-2")
    page.get_by_role("link", name="Cancel job").click()
    page.get_by_role("button", name="Cancel job").click()
    expect(page.get_by_text("Job fax-2: cancelled.")).to_be_visible()
    context.close()


def test_nothing_inline_runs(page: Page) -> None:
    """Were markup to come through, the policy would stop it."""
    page.goto("/dashboard/")
    inject = """() => new Promise(done => {
        document.addEventListener("securitypolicyviolation", event => done(event.effectiveDirective));
        document.querySelector("h1").innerHTML = '<img src="/none.svg" onerror="window.ran = 1">';
    })"""
    assert page.evaluate(inject) == "script-src-attr"
    assert page.evaluate("window.ran") is None
