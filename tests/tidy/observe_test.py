"""Dashboards, alerts, their runbook and what else deploy/ has for operators: it hangs together, and every
metric that it names is told by some process.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from schemas.settings import Settings
from schemas.telemetry import catalogue, prometheus
from schemas.telemetry.catalogue import CATALOGUE
from schemas.telemetry.meter import Meter
from schemas.topics import Topics
from tests.tidy.source import ROOT

DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yml"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
NAMED = re.compile(r"\bjobstream_[a-z_]+")


def unknown(text: str) -> set[str]:
    """Metrics that a text names and nobody tells."""
    named = set(NAMED.findall(text))
    return {
        name
        for name in named
        if name not in CATALOGUE and re.sub(r"_(bucket|sum|count)$", "", name) not in CATALOGUE
    }


def alerts() -> list[dict[str, Any]]:
    """The alert rules."""
    found: list[dict[str, Any]] = [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]
    return found


def expressions(path: Path) -> list[str]:
    """What the panels of a dashboard ask."""
    panels = json.loads(path.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


def test_the_dashboards_are_there() -> None:
    """Jobs, queues, minions, Kafka; each with an address of its own."""
    assert [path.stem for path in DASHBOARDS] == ["jobs", "kafka", "minions", "queues"]
    assert len({json.loads(path.read_text())["uid"] for path in DASHBOARDS}) == len(DASHBOARDS)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_name_metrics_that_exist(path: Path) -> None:
    """Every panel asks, by the data source that is chosen, for metrics that exist, by their own labels."""
    assert unknown(path.read_text()) == set()
    for panel in json.loads(path.read_text())["panels"]:
        assert panel["type"] == "row" or panel["targets"]
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel.get("targets", ()))
    for expression in expressions(path):
        for name, chosen in re.findall(r"(jobstream_[a-z_]+)\{([^}]*)\}", expression):
            metric = CATALOGUE.get(name) or CATALOGUE[re.sub(r"_(bucket|sum|count)$", "", name)]
            assert set(re.findall(r"(\w+)=", chosen)) <= {*metric.labels, "le", "instance"}, expression


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_grafana_knows_what_dashboards_say(path: Path) -> None:
    """Read by Grafana's own types and written again, a dashboard has all its fields, and as they were."""
    plugins.register_default_plugins()
    raw = json.loads(path.read_text())
    again = json.loads(JSONEncoder().encode(Dashboard.from_json(raw)))
    assert list(differences(raw, again, path.name)) == []
    raw["panels"][1]["fieldConfig"]["defaults"]["unitt"] = "s"
    assert list(differences(raw, json.loads(JSONEncoder().encode(Dashboard.from_json(raw))), "")) != []


def differences(wanted: Any, found: Any, where: str) -> Iterator[str]:
    """Where something that is wanted is not found, or is another; what is found besides is a default."""
    match wanted, found:
        case dict(), dict():
            for name, value in wanted.items():
                yield from differences(value, found.get(name), f"{where}.{name}")
        case list(), list() if len(wanted) == len(found):
            for number, (one, other) in enumerate(zip(wanted, found, strict=True)):
                yield from differences(one, other, f"{where}[{number}]")
        case _ if wanted != found:
            yield f"{where}: {wanted!r} became {found!r}"


def test_alerts_name_metrics_that_exist_and_a_line_of_the_runbook() -> None:
    """Whoever is woken finds out what to do."""
    assert unknown(RULES.read_text()) == set()
    headings = {
        line.removeprefix("## ")
        for line in (ROOT / "docs" / "runbook.md").read_text().splitlines()
        if line[:3] == "## "
    }
    assert {alert["alert"] for alert in alerts()} == headings
    for alert in alerts():
        assert alert["annotations"]["runbook_url"] == f"docs/runbook.md#{alert['alert'].lower()}"
        assert alert["labels"]["severity"] in {"critical", "warning", "info"}


@pytest.fixture
def promtool() -> str:
    """Prometheus' own tool, of Debian's package `prometheus`."""
    found = shutil.which("promtool")
    if found is None:
        assert "CI" not in os.environ, "promtool is missing; .ci/run installs it"
        pytest.skip("promtool is not there; the Debian package prometheus has it")
    return found


@pytest.mark.parametrize(
    "check", [("check", "config", "prometheus.yml"), ("test", "rules", "rules_test.yml")], ids=" ".join
)
def test_prometheus_takes_them(promtool: str, check: tuple[str, ...]) -> None:
    """Configuration and rules are valid, and each alert fires when it must and only then."""
    done = subprocess.run(
        [promtool, *check], cwd=RULES.parent, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_what_dashboards_ask(promtool: str, tmp_path: Path) -> None:
    """Every panel's question, with its variables filled in, is one."""
    filled = (
        each.replace("$__rate_interval", "1m").replace("$queue", "q")
        for path in DASHBOARDS
        for each in expressions(path)
    )
    asked = [{"record": f"asked:{number}", "expr": each} for number, each in enumerate(filled)]
    rules = tmp_path / "asked.yml"
    rules.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": asked}]}))
    done = subprocess.run(
        [promtool, "check", "rules", rules], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_played(promtool: str) -> None:
    """The rules' test has, for each alert, a moment when it fires and one when it does not."""
    assert promtool  # which plays them in another test
    played = yaml.safe_load((RULES.parent / "rules_test.yml").read_text())["tests"]
    moments = [moment for test in played for moment in test["alert_rule_test"]]
    names = {alert["alert"] for alert in alerts()}
    assert {moment["alertname"] for moment in moments if moment.get("exp_alerts")} == names
    assert {moment["alertname"] for moment in moments if not moment.get("exp_alerts")} == names


def test_prometheus_takes_what_is_shown(promtool: str) -> None:
    """Every metric of the catalogue, as an endpoint shows it, is as Prometheus wants them."""
    meter = Meter()
    for metric in CATALOGUE.values():
        labels = tuple("x" for _ in metric.labels)
        if metric.kind is catalogue.Kind.COUNTER:
            meter.counter(metric).add(labels)
        elif metric.kind is catalogue.Kind.HISTOGRAM:
            meter.histogram(metric).observe(labels, 0.1)
        else:
            meter.watch(lambda metric=metric, labels=labels: [(metric, labels, 1.0)])  # type: ignore[misc]
    done = subprocess.run(
        [promtool, "check", "metrics"],
        input=prometheus.text(meter.read()),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()


def test_the_observing_profile() -> None:
    """Collector, trace viewer, Prometheus and Grafana come only when asked for; their files exist."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    observing = {
        name: service for name, service in services.items() if service.get("profiles") == ["observe"]
    }
    assert set(observing) == {"collector", "traces", "prometheus", "grafana"}
    for service in observing.values():
        for volume in service.get("volumes", ()):
            assert (ROOT / volume.split(":")[0]).exists()
    targets = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"][0]
    asked = {name for entry in targets["dns_sd_configs"] for name in entry["names"]}
    assert asked <= set(services)
    pipelines = yaml.safe_load((DEPLOY / "collector" / "config.yml").read_text())
    for pipeline in pipelines["service"]["pipelines"].values():
        for part in ("receivers", "processors", "exporters"):
            assert set(pipeline[part]) <= set(pipelines[part])


def test_keda_reads_what_relays_commit() -> None:
    """The example names the group and a topic as the catalogue makes them."""
    (trigger,) = yaml.safe_load((DEPLOY / "keda" / "minions.yml").read_text())["spec"]["triggers"]
    topics = Topics(Settings().prefix)
    assert trigger["type"] == "kafka"
    assert trigger["metadata"]["consumerGroup"] == f"{topics.prefix}relay"
    assert trigger["metadata"]["topic"] == topics.dispatch("mails")
    assert trigger["metadata"]["offsetResetPolicy"] == "earliest"
