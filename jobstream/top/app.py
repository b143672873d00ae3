"""The terminal view: numbers, a line of bars, four tables; Enter looks closer, Escape goes back.

Owns the screens and keys. Asks once a second, in a thread; what does not answer is said at the top, and
asked again.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Sparkline, Static, TabbedContent, TabPane

from jobstream.errors import NotReachable
from jobstream.top.rows import COLOURS, JOB_COLUMNS, TABLES, Answer, Row, of_job
from jobstream.top.source import Source

LOOK_S = 1.0
"""How often the service is asked."""

KEYS = tuple("1234")
BACK = Binding("escape", "app.pop_screen", "Back")
QUIT = Binding("q", "app.quit", "Quit")


class Rows(DataTable[Text]):
    """A table whose rows come anew and keep their place."""

    def __init__(self, columns: tuple[str, ...], id: str) -> None:
        super().__init__(id=id, cursor_type="row", zebra_stripes=False)
        self._titles = columns
        self.leads: dict[str, Mapping[str, str]] = {}

    def on_mount(self) -> None:
        """Columns are made once; those of numbers are headed at the right, as their numbers are."""
        for name in self._titles:
            self.add_column(name, key=name)

    def show(self, rows: Iterable[Row]) -> None:
        """Shows these, with as few changes as may be."""
        fresh = {row.key: row for row in rows}
        known = [str(key.value) for key in self.rows]
        if known != list(fresh):
            self._show_anew(fresh)
        else:
            for key, row in fresh.items():
                for name, cell in zip(self._titles, row.cells, strict=True):
                    if self.get_cell(key, name) != cell:
                        self.update_cell(key, name, cell, update_width=True)
        self.leads = {key: row.leads_to for key, row in fresh.items()}

    def lead(self) -> Mapping[str, str]:
        """What the row of the cursor leads to; empty if nowhere."""
        if not self.row_count:
            return {}
        key = self.coordinate_to_cell_key(self.cursor_coordinate).row_key
        return self.leads.get(str(key.value), {})

    def _show_anew(self, fresh: Mapping[str, Row]) -> None:
        place = self.cursor_row
        here = (
            None
            if not self.row_count
            else str(self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value)
        )
        self.clear()
        for key, row in fresh.items():
            self.add_row(*row.cells, key=key)
        if fresh:
            names = list(fresh)
            self.move_cursor(row=names.index(here) if here in names else min(place, len(names) - 1))


class Looking(Screen[None]):
    """Asks again and again while it is seen, and shows what came."""

    def ask(self) -> Callable[[], None]:
        """What to show, as of now; runs in a thread. NotReachable."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Begins."""
        self.set_interval(LOOK_S, self.look)
        self.look()

    def look(self) -> None:
        """Asks, unless it is still being asked or nobody sees it."""
        top: Top = self.app  # type: ignore[assignment]  # it is
        if self.is_current and not top.held:
            self.run_worker(self._look, thread=True, exclusive=True, exit_on_error=False)

    def _look(self) -> None:
        try:
            show = self.ask()
        except NotReachable as error:
            self.app.call_from_thread(self.say, str(error))
            return
        self.app.call_from_thread(self._show, show)

    def _show(self, show: Callable[[], None]) -> None:
        if self.is_attached:
            self.say("")
            show()

    def say(self, sentence: str) -> None:
        """At the top; empty: all is well."""
        if self.is_attached:
            wrong = self.query_one("#wrong", Static)
            wrong.update(Text(sentence, style="bold red1"))
            wrong.display = bool(sentence)


class Overview(Looking):
    """What goes on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(key, f"tab('{key}')", table.name) for key, table in zip(KEYS, TABLES, strict=True)),
        Binding("enter", "closer", "Look closer", priority=True),
        Binding("p", "app.hold", "Hold"),
        QUIT,
    ]

    def compose(self) -> ComposeResult:
        """Numbers, bars, tables."""
        yield Static("", id="numbers")
        yield Static("", id="wrong")
        yield Sparkline([0.0], id="bars")
        with TabbedContent(id="tabs"):
            for key, table in zip(KEYS, TABLES, strict=True):
                with TabPane(f"{key} {table.name}", id=f"tab{key}"):
                    yield Rows(table.columns, id=f"rows{key}")
        yield Footer()

    def ask(self) -> Callable[[], None]:
        """The overview."""
        told = _top(self).source.overview()
        return lambda: self._tell(told)

    def action_tab(self, key: str) -> None:
        """Another table."""
        self.query_one("#tabs", TabbedContent).active = f"tab{key}"
        self.query_one(f"#rows{key}", Rows).focus()

    def action_closer(self) -> None:
        """The jobs of the row, or its job."""
        key = self.query_one("#tabs", TabbedContent).active.removeprefix("tab")
        closer(self, self.query_one(f"#rows{key}", Rows).lead())

    def _tell(self, told: Answer) -> None:
        words = _top(self).words
        self.query_one("#numbers", Static).update(_numbers(words, told, _top(self).source.url))
        bars = told["bars"]
        done = [a + b for a, b in zip(bars["succeeded"], bars["failed"], strict=True)]
        self.query_one("#bars", Sparkline).data = [float(number) for number in done]
        for key, table in zip(KEYS, TABLES, strict=True):
            self.query_one(f"#rows{key}", Rows).show(table.rows(words, told))
        if told["away"]:
            self.say(f"a streams worker is away: {words.plain(told['away'])}")


class Jobs(Looking):
    """The jobs of a queue or a function."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "closer", "Look closer", priority=True),
        BACK,
        QUIT,
    ]

    def __init__(self, query: Mapping[str, str]) -> None:
        super().__init__()
        self._chosen = query

    def compose(self) -> ComposeResult:
        """A table."""
        chosen = ", ".join(f"{name} {value}" for name, value in self._chosen.items())
        yield Static(Text(f"The newest jobs of {chosen}", style="bold"), id="title")
        yield Static("", id="wrong")
        yield Rows(JOB_COLUMNS, id="jobs")
        yield Footer()

    def ask(self) -> Callable[[], None]:
        """The newest."""
        top = _top(self)
        jobs, now = top.source.jobs(self._chosen), top.now()
        rows = [of_job(top.words, job, now) for job in jobs]
        return lambda: self.query_one("#jobs", Rows).show(rows)

    def action_closer(self) -> None:
        """The job of the row."""
        closer(self, self.query_one("#jobs", Rows).lead())


class Job(Looking):
    """One job."""

    BINDINGS: ClassVar[list[BindingType]] = [BACK, QUIT]

    def __init__(self, job: str, key: str | None) -> None:
        super().__init__()
        self._job = job
        self._job_key = key

    def compose(self) -> ComposeResult:
        """Text."""
        yield Static("", id="wrong")
        with VerticalScroll():
            yield Static("", id="job")
        yield Footer()

    def ask(self) -> Callable[[], None]:
        """The job."""
        top = _top(self)
        job = top.source.job(self._job, self._job_key)
        text = _job_text(top.words, job)
        return lambda: self.query_one("#job", Static).update(text)


class Top(App[None]):
    """The terminal view."""

    TITLE = "jobstream top"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #numbers { height: 2; padding: 0 1; }
    #wrong { display: none; padding: 0 1; height: auto; }
    #title { padding: 0 1; }
    #bars { height: 3; margin: 0 1; }
    #bars > .sparkline--max-color { color: $success; }
    #bars > .sparkline--min-color { color: $success-darken-2; }
    DataTable { height: 1fr; }
    TabbedContent, ContentSwitcher, TabPane { height: 1fr; }
    TabPane { padding: 0; }
    #job { padding: 0 1; }
    """

    def __init__(self, source: Source) -> None:
        super().__init__()
        from relay.doors.dashboard import words

        self.source = source
        self.words = words
        self.held = False

    def on_mount(self) -> None:
        """Begins with the overview."""
        self.push_screen(Overview())

    def action_hold(self) -> None:
        """Stops to ask, or goes on."""
        self.held = not self.held
        self.notify("held still; p goes on" if self.held else "goes on", timeout=2)

    def now(self) -> str:
        """The time as the service's answers have it."""
        import time

        from schemas.times import format_time

        return format_time(time.time_ns() // 1_000_000)


def closer(screen: Screen[Any], lead: Mapping[str, str]) -> None:
    """Opens what a row leads to."""
    if "job" in lead:
        screen.app.push_screen(Job(lead["job"], lead.get("key")))
    elif lead:
        screen.app.push_screen(Jobs(lead))


def _top(screen: Screen[Any]) -> Top:
    assert isinstance(screen.app, Top)
    return screen.app


def _numbers(words: Any, told: Answer, url: str) -> Text:
    """The two lines at the top."""
    text = Text()
    names = (("Waiting", "ready"), ("Running", "leased"), ("Retrying", "retrying"), ("Dead", "dead"))
    for name, phase in names:
        text.append(f"{name} ", style="grey62")
        text.append(f"{words.count(told['phases'][phase])}   ", style=f"bold {COLOURS[phase]}")
    for name, number, colour in (
        ("Done", told["done_per_s"], "green3"),
        ("Failed", told["failed_per_s"], "red1"),
    ):
        text.append(f"{name} ", style="grey62")
        text.append(f"{words.rate(number)}/s   ", style=f"bold {colour if number else 'grey62'}")
    for name in ("wait", "run"):
        text.append("Start " if name == "wait" else "Run ", style="grey62")
        low, high = told[f"{name}_p50_ms"], told[f"{name}_p95_ms"]
        text.append(f"{words.took(low)} · {words.took(high)}   ")
    text.append(f"\n{words.clock(told['now'], told['now'])} UTC  {url}", style="grey50")
    away = [each["address"] for each in told["relays"] if each["away"]]
    if away:
        text.append(f"  relay away: {', '.join(away)}", style="bold red1")
    return text


def _job_text(words: Any, job: Answer) -> Text:
    """A job, line by line."""
    text = Text(f"{job['function']} ", style="bold")
    text.append(job["phase"], style=COLOURS.get(job["phase"], ""))
    text.append(
        f"\n{words.plain(job['id'])}  queue {job['queue']}  key {words.plain(job['key'])}\n\n", style="grey62"
    )
    for name in ("waiting_for", "located", "end_reason"):
        if job[name]:
            text.append(f"{name.replace('_', ' ')}: {words.plain(job[name])}\n")
    for each in job["attempts"]:
        outcome = each["outcome"] or "runs"
        text.append(f"\nattempt {each['attempt']} ", style="bold")
        text.append(
            f"{outcome} ",
            style="green3" if outcome == "success" else "gold3" if outcome == "runs" else "red1",
        )
        text.append(
            f"at {words.plain(each['minion'] or 'no minion')}, waited {words.took(each['queue_wait_ms'])}"
        )
        if each["error_type"]:
            text.append(f"\n  {words.plain(each['error_type'])}: {words.plain(each['error_message'] or '')}")
    for name in ("args", "result"):
        found = words.payload(job, name)
        if found is not None:
            text.append(f"\n\n{name} ", style="bold")
            text.append(f"{found['kind']} {found['size'] or ''}\n", style="grey62")
            text.append(found["text"][:4_000])
    return text
