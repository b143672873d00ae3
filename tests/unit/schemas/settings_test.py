"""Settings: what wins over what, where each came from, and what cannot be."""

import dataclasses
from pathlib import Path

import pytest

from schemas.settings import FILE, NAMES, BadSetting, Settings, lanes, limits, load, resolve


def test_defaults() -> None:
    """With nothing said, everything is on loopback, and says that it is a default."""
    settings, origins = resolve({}, {}, None)
    assert settings == Settings()
    assert settings.bootstrap == "127.0.0.1:9092"
    assert settings.relay.startswith("127.0.0.1:")
    assert settings.web.startswith("127.0.0.1:")
    assert set(origins) == set(NAMES)
    assert set(origins.values()) == {"default"}


def test_order() -> None:
    """A flag wins over the environment, which wins over the file, which wins over the default."""
    toml = 'prefix = "file."\nweb = "w:1"\npartitions = 3'
    environ = {"JOBSTREAM_PREFIX": "env.", "JOBSTREAM_RELAY": "r:2", "JOBSTREAM_PARTITIONS": "4"}
    settings, origins = resolve({"prefix": "flag.", "partitions": None}, environ, toml)
    assert (settings.prefix, origins["prefix"]) == ("flag.", "flag --prefix")
    assert (settings.partitions, origins["partitions"]) == (4, "JOBSTREAM_PARTITIONS")
    assert (settings.relay, origins["relay"]) == ("r:2", "JOBSTREAM_RELAY")
    assert (settings.web, origins["web"]) == ("w:1", FILE)
    assert (settings.data, origins["data"]) == (".jobstream", "default")


def test_empty_variables_are_not_set() -> None:
    """An empty variable is as if it were not there, and other variables are not ours."""
    settings, _ = resolve({}, {"JOBSTREAM_PREFIX": "", "JOBSTREAM_JAVA": "/x", "PATH": "/"}, "")
    assert settings == Settings()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("bootstrap", "nowhere"),
        ("bootstrap", "a:1,b"),
        ("bootstrap", "a:99999"),
        ("relay", "http://a:1"),
        ("relay", "a:1,"),
        ("relay", "dns:a"),
        ("relay_token", "a\nb"),
        ("web", ":6066"),
        ("web", "6066"),
        ("prefix", "a b"),
        ("prefix", "x" * 101),
        ("prefix", "é"),
        ("partitions", "0"),
        ("partitions", "-1"),
        ("partitions", "513"),
        ("partitions", "9" * 5_000),
        ("partitions", "4.0"),
        ("partitions", "²"),
        ("data", "a\0b"),
    ],
)
def test_bad_values(name: str, found: str) -> None:
    """A value that cannot be is refused with its name, what it must be, what it is, and its origin."""
    with pytest.raises(BadSetting) as caught:
        resolve({}, {f"JOBSTREAM_{name.upper()}": found}, None)
    sentence = str(caught.value)
    assert sentence.startswith(f"{name} must be ")
    assert sentence.endswith(f"(from JOBSTREAM_{name.upper()})")
    assert len(sentence) < 300


def test_secrets_are_not_shown() -> None:
    """Neither in what settings print, nor in what is said of one that cannot be; the file of one is."""
    settings, _ = resolve({}, {"JOBSTREAM_RELAY_TOKEN": "very-secret"}, None)
    assert settings.relay_token == "very-secret"  # noqa: S105  # opens nothing
    assert "very-secret" not in repr(settings) + settings.shown("relay_token")
    assert resolve({}, {"JOBSTREAM_RELAY_TOKEN": "@/x"}, None)[0].shown("relay_token") == "@/x"
    with pytest.raises(BadSetting) as caught:
        resolve({}, {"JOBSTREAM_RELAY_TOKEN": "very\0secret"}, None)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "url", "told"),
    [
        ("database", "postgresql://me:s3cret@db-1/shop", "postgresql://me:(set)@db-1/shop"),
        ("database", "postgresql://me:s3/c@ret@db-1/shop", "postgresql://me:(set)@db-1/shop"),
        (
            "database",
            "postgresql://db-1/shop?password=s3cret&x=1",
            "postgresql://db-1/shop?password=(set)&x=1",
        ),
        ("database", "postgresql://me@db-1/shop", "postgresql://me@db-1/shop"),
        ("registry", "http://me:s3cret@registry:8081", "http://me:(set)@registry:8081"),
    ],
)
def test_passwords_in_urls_are_not_shown(name: str, url: str, told: str) -> None:
    """Of a URL all is told but its password, also of one that cannot be."""
    settings, _ = resolve({}, {f"JOBSTREAM_{name.upper()}": url}, None)
    assert getattr(settings, name) == url
    assert settings.shown(name) == told
    assert "s3" not in repr(settings)
    with pytest.raises(BadSetting) as caught:
        resolve({}, {f"JOBSTREAM_{name.upper()}": f"ftp{url}"}, None)
    assert "s3" not in str(caught.value)


def test_relays_may_be_several() -> None:
    """For minions: a list, with names that stand for all their addresses."""
    settings, _ = resolve({"relay": "a:1, dns:b.c:2"}, {}, None)
    assert settings.relay == "a:1,dns:b.c:2"


@pytest.mark.parametrize("found", ["true", "1.5", "[1]", "{a = 1}", "2026-01-01"])
def test_bad_types_in_the_file(found: str) -> None:
    """The file has strings and whole numbers."""
    with pytest.raises(BadSetting, match=r"^partitions must be .* \(from jobstream\.toml\)$"):
        resolve({}, {}, f"partitions = {found}")


def test_good_addresses() -> None:
    """Addresses may be names, IPv4, IPv6, and for Kafka several."""
    settings, _ = resolve({"bootstrap": "a:1, b.c:2", "relay": "[::1]:7071", "web": "0.0.0.0:0"}, {}, None)
    assert (settings.bootstrap, settings.relay, settings.web) == ("a:1,b.c:2", "[::1]:7071", "0.0.0.0:0")


def test_unknown_name_in_the_file() -> None:
    """A name in the file that is none is most likely misspelt."""
    with pytest.raises(BadSetting, match=r"has no setting 'boostrap'; did you mean bootstrap\?"):
        resolve({}, {}, 'boostrap = "a:1"')
    with pytest.raises(BadSetting, match=r"has no setting 'zzz'; there are bootstrap, "):
        resolve({}, {}, "zzz = 1")


def test_file_that_is_not_toml() -> None:
    """A file that cannot be read as TOML is an error with the place."""
    with pytest.raises(BadSetting, match=r"^jobstream\.toml must be TOML: .*line 1"):
        resolve({}, {}, "prefix x\n")


def test_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is the process's, the file that of its directory."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        monkeypatch.delenv(f"JOBSTREAM_{name.upper()}", raising=False)
    assert load()[0] == Settings()
    (tmp_path / FILE).write_text('data = "there"\nweb = "w:1"')
    monkeypatch.setenv("JOBSTREAM_WEB", "e:2")
    settings, origins = load({"prefix": "p."})
    assert settings == Settings(data="there", web="e:2", prefix="p.")
    assert origins["data"] == FILE
    (tmp_path / FILE).write_bytes(b"\xff")
    with pytest.raises(BadSetting, match=r"must be a file in UTF-8"):
        load()


def test_each_setting_has_a_doc() -> None:
    """Each setting says what it is."""
    assert all(field.metadata["doc"] for field in dataclasses.fields(Settings))


def test_queues_with_key_order() -> None:
    """Each with what its lanes do when a job dies."""
    assert lanes("a, b=waits") == {"a": "goes_on", "b": "waits"}
    with pytest.raises(BadSetting, match=r"ordered must be queues with key order, .*, got 'a=sometimes'"):
        resolve({}, {"JOBSTREAM_ORDERED": "a=sometimes"}, None)


def test_limits() -> None:
    """By queue or function, from 1 up."""
    assert limits("queue/mail=20, function/pdf.render=4") == {"queue/mail": 20, "function/pdf.render": 4}
    for bad in ("mail=3", "queue/mail=0", "queue/mail=many", "queue/MAIL=1", "x"):
        with pytest.raises(BadSetting, match=r"limits must be limits, each as queue/name=number"):
            resolve({}, {"JOBSTREAM_LIMITS": bad}, None)
