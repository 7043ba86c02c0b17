"""Settings of channels, and their tables of codes: what is wrong is said at the start, and every cause exists."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

import piaoma.channels
from piaoma.channels import RemoteAnswer, known_channels
from piaoma.channels.codes import Meaning, Table
from piaoma.channels.leqi.line import LeqiSettings
from piaoma.channels.outside import MODULES, open_outside, trusted_roots
from piaoma.channels.settings import SettingsFault, load
from piaoma.cli.serve import serve
from piaoma.desk.channel import open_channel
from piaoma.desk.config import Config, ConfigFault, load_config
from piaoma.desk.office import shanghai_now
from piaoma.invoice.refusal import causes
from tests.channels.bench import request_of

THEIRS = """
from piaoma.channels.codes import Table
from piaoma.channels.providers.provider import Provider, ProviderSettings
from piaoma.channels.settings import load

class Theirs(Provider):
    name = "ours"
    settings_type = ProviderSettings
    table = Table({"all": {"7": "refused CHANNEL-TAXPAYER"}})
    def __init__(self, file, now, *, live):
        super().__init__(file, load(file, ProviderSettings), now, live=live)
    async def order(self, request):
        return self.table.told("issue", 7, "not ours")
    async def results(self, serial, taxpayer_id): ...
    async def raise_form(self, request): ...
    async def find_form(self, request): ...
"""
GOOD = {"url": "https://example.invalid", "key": "0" * 32, "platform": "p"}
TABLES = sorted(Path(piaoma.channels.__file__).parent.rglob("*.toml"))


def written(folder: Path, values: Mapping[str, object], mode: int = 0o600) -> Path:
    file = folder / "leqi.toml"
    file.write_text("\n".join(f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}"
                              for key, value in values.items()))  # fmt: skip
    file.chmod(mode)
    return file


def test_good_settings_are_read(tmp_path: Path) -> None:
    """What is not set has its default."""
    settings = load(written(tmp_path, GOOD), LeqiSettings)
    assert (settings.platform, settings.user_platform, settings.capability) == ("p", "", "202007")


WRONG: dict[str, dict[str, object]] = {
    "http to elsewhere": {"url": "http://example.invalid"},
    "a slash at the end": {"url": "https://example.invalid/"},
    "a key of another length": {"key": "00"},
    "a key that is no hex": {"key": "x" * 32},
    "an unknown name": {"passwort": "x"},
    "no patience": {"seconds": 0},
    "too much": {"seconds": 1000},
    "roots that are not there": {"roots": "nowhere.pem"},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_settings_are_refused_at_the_start(tmp_path: Path, wrong: str) -> None:
    """With the file and the reason, and without its secrets."""
    file = written(tmp_path, GOOD | WRONG[wrong])
    with pytest.raises(SettingsFault) as fault:
        open_outside("leqi", file, shanghai_now, live=False)
    assert "leqi.toml" in str(fault.value) and "0" * 32 not in str(fault.value)


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """It holds keys."""
    with pytest.raises(SettingsFault, match="chmod 600"):
        load(written(tmp_path, GOOD, 0o644), LeqiSettings)


def test_a_live_channel_names_its_bureau(tmp_path: Path) -> None:
    """Real originals state who answers for the number; it is not made up."""
    with pytest.raises(SettingsFault, match="bureau"):
        open_outside("leqi", written(tmp_path, GOOD), shanghai_now, live=True)


CONFIGS = {
    "no such channel": ('channel = "other"', "channel"),
    "no file": ('channel = "leqi"', "channel_file"),
    "a live sandbox": ("live = true", "live"),
    "real invoices signed with test keys": ('channel = "leqi"\nchannel_file = "x"\nlive = true', "live"),
}


@pytest.mark.parametrize("wrong", CONFIGS)
def test_a_configuration_that_cannot_be_is_refused(tmp_path: Path, wrong: str) -> None:
    """Naming the key."""
    text, key = CONFIGS[wrong]
    (tmp_path / "piaoma.toml").write_text(text)
    with pytest.raises(ConfigFault, match=f"^{key} "):
        load_config(tmp_path / "piaoma.toml", {})


def test_a_server_does_not_start_with_settings_that_cannot_be_read(tmp_path: Path) -> None:
    """It is said in one line, before anything listens."""
    config = tmp_path / "piaoma.toml"
    config.write_text(f'data = "{tmp_path / "data"}"\nchannel = "nuonuo"\nchannel_file = "{tmp_path / "none.toml"}"\n')
    with pytest.raises(ConfigFault, match=r"channel_file: .*none\.toml"):
        serve(config)
    assert Config().channel == "sandbox"


@pytest.mark.parametrize("name", MODULES)
def test_every_channel_is_found_by_its_name(name: str, tmp_path: Path) -> None:
    """The list of channels and the modules agree."""
    with pytest.raises(SettingsFault):
        trusted_roots(name, tmp_path / "none.toml")


def test_another_package_brings_a_channel_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By an entry point: its name is one of the configuration, its class is opened, and it issues; ours keep theirs."""
    (tmp_path / "theirs.py").write_text(THEIRS)
    about = tmp_path / "theirs-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[piaoma.channels]\nours = theirs:Theirs\nleqi = theirs:Theirs\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    file = written(tmp_path, {"url": "https://example.invalid", "app_key": "k", "app_secret": "s", "token": "t"})
    text = f'channel = "ours"\nchannel_file = "{file}"'
    (tmp_path / "piaoma.toml").write_text(text)
    config, _ = load_config(tmp_path / "piaoma.toml", {})

    async def story() -> RemoteAnswer:
        async with open_channel(config, lambda: None, shanghai_now) as channel:  # type: ignore[arg-type, return-value]
            assert channel.name == "ours" and channel.sandbox
            return await channel.issue_blue(request_of("a serial"))

    answer = asyncio.run(story())
    assert [refusal.cause for refusal in answer.refusals] == ["CHANNEL-TAXPAYER"]
    assert open_outside.__module__ and known_channels().count("leqi") == 1
    with pytest.raises(SettingsFault):  # a file for theirs is none for ours
        trusted_roots("leqi", file)


@pytest.mark.parametrize("file", TABLES, ids=lambda file: file.stem if file.stem != "codes" else "leqi")
def test_every_row_of_a_table_means_something_that_exists(file: Path) -> None:
    """Meanings are known, causes stand in our tables and tell what the channel said."""
    table = Table(tomllib.loads(file.read_text(encoding="utf-8")))
    refused = 0
    for section, rows in tomllib.loads(file.read_text(encoding="utf-8")).items():
        for code in rows:
            told = table.told(section, code, "话")
            assert told.meaning is not Meaning.UNKNOWN
            if told.meaning is Meaning.REFUSED:
                refused += 1
                assert told.cause in causes() and f"{code} 话" in told.refusal().what()
    assert refused


def test_a_code_that_no_table_has_means_nothing() -> None:
    """It is kept as it came, cut to what a log shows."""
    told = Table({"all": {"00": "done"}}).told("issue", "E1" * 100, "x" * 500)
    assert told.meaning is Meaning.UNKNOWN and told.said.startswith("E1E1") and len(told.said) <= 120


def test_a_table_that_is_wrong_does_not_load() -> None:
    """A refusal without a cause, a meaning that there is not, a cause for what is no refusal."""
    for row in ("refused", "perhaps", "done CHANNEL-BLUE"):
        with pytest.raises((AssertionError, ValueError)):
            Table({"all": {"1": row}})
