from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from wardwatch.errors import SettingsError
from wardwatch.settings import Settings, load

DOCS = Path(__file__).parents[2] / "docs" / "operator" / "settings.md"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "wardwatch.toml"
    path.write_text(text, "utf-8")
    return path


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, 'log_level = "error"\n[alerter]\nwindow_s = 600\nconsole_url = "http://a"\n')
    monkeypatch.setenv("WARDWATCH_ALERTER__WINDOW_S", "900")
    settings = load(path)
    assert settings.log_level == "error"
    assert settings.alerter.window_s == 900
    assert settings.alerter.console_url == "http://a"


def test_the_file_may_be_named_by_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDWATCH_CONFIG", str(written(tmp_path, 'log_level = "debug"\n')))
    assert load().log_level == "debug"


def test_a_secret_file_gives_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wardwatch_store").write_text("http://elastic:hush@es:9200\n")
    monkeypatch.setenv("WARDWATCH_SECRETS", str(tmp_path))
    assert load().store_url == "http://elastic:hush@es:9200"


def test_a_secret_file_gives_a_setting_of_a_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wardwatch_bus_access__password").write_text("hush\n")
    monkeypatch.setenv("WARDWATCH_SECRETS", str(tmp_path))
    access = load(written(tmp_path, '[bus_access]\nuser = "renai"\n')).bus_access
    assert (access.user, access.password.get_secret_value()) == ("renai", "hush")
    assert "hush" not in repr(access)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("bogus = 1\n", "bogus is no setting"),
        ("[alerter]\nwindow = 5\n", "alerter.window is no setting"),
        ("[alerter]\nwindow_s = 5\n", "alerter.window_s = 5"),
        ('[collector]\ntenant = "No Such"\n', "collector.tenant = 'No Such'"),
        ('[collector]\nzone = "Mars/Base"\n', "collector.zone = 'Mars/Base'"),
        ('[[collector.sources]]\nparser = "hl7v2"\ntransport = "pigeon"\n', "collector.sources.0.transport = 'pigeon'"),
        ("not toml", "is not TOML"),
    ],
)
def test_a_wrong_or_unknown_setting_is_refused_by_name(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(written(tmp_path, text))
    assert named in str(caught.value)


def test_a_setting_of_another_transport_is_refused(tmp_path: Path) -> None:
    text = '[[collector.sources]]\nparser = "linux"\ntransport = "udp"\nlisten = "0.0.0.0:514"\ntoken = "hush"\n'
    with pytest.raises(SettingsError, match="token is no setting of transport 'udp'") as refused:
        load(written(tmp_path, text))
    assert "hush" not in str(refused.value)


def test_an_unknown_variable_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDWATCH_BUSS", "kafka://x")
    with pytest.raises(SettingsError, match="WARDWATCH_BUSS is no setting"):
        load()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml can't be read"):
        load(tmp_path / "nowhere.toml")


def test_a_secret_is_printed_neither_by_the_settings_nor_by_their_error(tmp_path: Path) -> None:
    source = '[[collector.sources]]\nparser = "windows"\ntransport = "http"\ntoken = "hush-hush"\n'
    assert "hush-hush" not in repr(load(written(tmp_path, source)))
    with pytest.raises(SettingsError) as caught:
        load(written(tmp_path, source.replace('"hush-hush"', '["hush-hush"]')))
    assert "hush-hush" not in str(caught.value)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(load(), "log_level", "debug")  # noqa: B010 the type checker refuses the assignment too


def names(model: type[BaseModel], prefix: str = "") -> list[str]:
    found: list[str] = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found += names(kind, f"{prefix}{name}.")
        else:
            found.append(prefix + name)
    return found


def test_every_setting_is_documented() -> None:
    text = DOCS.read_text("utf-8")
    assert [name for name in names(Settings) if f"`{name}`" not in text] == []


@pytest.mark.parametrize("package", ["wardwatch", "ingest", "enrich", "detections", "dashboards"])
def test_whoever_opens_the_bus_of_the_settings_opens_it_with_its_access(package: str) -> None:
    sources = [path.read_text("utf-8") for path in (DOCS.parents[2] / package).rglob("*.py")]
    calls = [call for text in sources for call in re.findall(r"open_\w+\([^()]*\.bus_url[^()]*\)", text)]
    assert [call for call in calls if "bus_access" not in call] == []


USER = '[[collector.sources]]\nparser = "snmp_trap"\ntransport = "snmp"\n[[collector.sources.users]]\nname = "ups"\n'


@pytest.mark.parametrize(
    ("passwords", "refused"),
    [
        ('auth_password = "hush"\n', "users.0.auth_password"),
        ('auth_password = "hush-hush"\nprivacy = "aes"\n', "needs a privacy_password"),
        ('auth_password = "hush-hush"\nprivacy = "aes"\nprivacy_password = "hush"\n', "needs a privacy_password"),
    ],
)
def test_a_password_of_snmp_that_is_too_short_is_refused_and_never_printed(
    tmp_path: Path, passwords: str, refused: str
) -> None:
    with pytest.raises(SettingsError, match=refused) as caught:
        load(written(tmp_path, USER + passwords))
    assert "hush" not in str(caught.value)
    assert "hush" not in repr(load(written(tmp_path, USER + 'auth_password = "hush-hush"\n')))
