"""The verbs by name. It imports only modules that are cheap: each verb loads the rest when it runs."""

import typer

from jobstream.cli import (
    about,
    attempt_verbs,
    calling,
    config_verbs,
    connect_verbs,
    doctoring,
    gateway_verbs,
    jobs,
    packaging,
    redriving,
    schedule_verbs,
    services,
    starting,
    top_verb,
    topic_verbs,
)

_JOBS = "Jobs"
_RUN = "Run"
_KAFKA = "Cluster and settings"

app = typer.Typer(
    name="jobstream",
    help="""Background jobs on Apache Kafka.

Exit codes:

- 0: done
- 1: the answer is no: a job failed, is unknown or was refused, or a check found differences
- 2: what was typed makes no sense
- 3: Kafka or the status pages do not answer
- 4: not within the time given
- 130: Ctrl-C
""",
    rich_markup_mode="markdown",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("submit", rich_help_panel=_JOBS)(jobs.submit)
app.command("call", rich_help_panel=_JOBS)(calling.call)
app.command("status", rich_help_panel=_JOBS)(jobs.status)
app.command("list", rich_help_panel=_JOBS)(jobs.list_jobs)
app.command("top", rich_help_panel=_JOBS)(top_verb.top)
app.command("cancel", rich_help_panel=_JOBS)(jobs.cancel)
app.command("retry", rich_help_panel=_JOBS)(jobs.retry)
app.command("reschedule", rich_help_panel=_JOBS)(jobs.reschedule)
app.command("search", rich_help_panel=_JOBS)(gateway_verbs.search)
app.command("history", rich_help_panel=_JOBS)(gateway_verbs.history)
app.command("facts", rich_help_panel=_JOBS)(gateway_verbs.facts)
app.command("queues", rich_help_panel=_JOBS)(gateway_verbs.queues)
app.command("duties", rich_help_panel=_JOBS)(gateway_verbs.duties)
app.command("cancel-many", rich_help_panel=_JOBS)(gateway_verbs.cancel_many)
app.add_typer(gateway_verbs.letters, rich_help_panel=_JOBS)
app.command("receipt", rich_help_panel=_JOBS)(attempt_verbs.receipt)
app.command("heartbeat", rich_help_panel=_JOBS)(attempt_verbs.heartbeat)
app.command("redrive", rich_help_panel=_JOBS)(redriving.redrive)
app.command("why", rich_help_panel=_JOBS)(doctoring.why)
app.command("pause", rich_help_panel=_JOBS)(config_verbs.pause)
app.command("resume", rich_help_panel=_JOBS)(config_verbs.resume)
app.add_typer(schedule_verbs.app, rich_help_panel=_JOBS)

app.command("init", rich_help_panel=_RUN)(starting.init)
app.command("up", rich_help_panel=_RUN)(services.up)
app.command("demo", rich_help_panel=_RUN)(services.demo)
app.command("minion", rich_help_panel=_RUN)(services.minion)
app.command("package", rich_help_panel=_RUN)(packaging.package)
app.command("relay", rich_help_panel=_RUN)(services.relay)
app.command("gateway", rich_help_panel=_RUN)(services.gateway)
app.command("gearman", rich_help_panel=_RUN)(services.gearman)
app.command("streams", rich_help_panel=_RUN)(services.streams)
app.command("registry", rich_help_panel=_RUN)(services.registry)

app.command("health", rich_help_panel=_KAFKA)(attempt_verbs.health)
app.command("metrics", rich_help_panel=_KAFKA)(attempt_verbs.metrics)
app.command("doctor", rich_help_panel=_KAFKA)(doctoring.doctor)
app.add_typer(topic_verbs.app, rich_help_panel=_KAFKA)
app.add_typer(config_verbs.app, rich_help_panel=_KAFKA)
app.add_typer(connect_verbs.app, rich_help_panel=_KAFKA)
app.command("completion", rich_help_panel=_KAFKA)(starting.completion)
app.command("version", rich_help_panel=_KAFKA)(about.version)
