"""Every mistake in the settings is told at once, with its key and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from hub import settings
from hub.settings import Settings, SettingsError, find, load


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "siarhub.toml"


def mistakes(file: Path, text: str | bytes) -> list[str]:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SettingsError) as caught:
        load(file)
    return str(caught.value).splitlines()


def test_an_empty_file_means_all_defaults(file: Path) -> None:
    file.write_text("")

    assert load(file) == Settings()


def test_all_mistakes_are_told_at_once_with_key_and_line(file: Path) -> None:
    found = mistakes(
        file,
        '[hub]\nlanguage = "jv"\ntime_zone = "Asia/Nowhere"\n\n[jobs]\ntranscodes = -1\nspeed = 3\n\n[jobbs]\nx = 1\n',
    )

    for line, key in (
        (2, "hub.language"),
        (3, "hub.time_zone"),
        (6, "jobs.transcodes"),
        (7, "jobs.speed"),
        (9, "jobbs"),
    ):
        assert any(one.startswith(f"{file}:{line}: {key}: ") for one in found), (key, found)
    assert len(found) == 5


def test_a_wrong_type_is_told_where_it_stands(file: Path) -> None:
    assert mistakes(file, '[jobs]\n# transcodes\ntranscodes = "two"')[0].startswith(f"{file}:3: jobs.transcodes: ")
    assert mistakes(file, "jobs = 7")[0].startswith(f"{file}:1: jobs: ")
    assert mistakes(file, "[plugins]\nradio = 7")[0].startswith(f"{file}:2: plugins.radio: ")


def test_broken_toml_names_the_line(file: Path) -> None:
    (only,) = mistakes(file, "[hub\nroot = 1")

    assert "not valid TOML" in only
    assert "line 1" in only


def test_a_file_in_another_encoding_says_so(file: Path) -> None:
    (only,) = mistakes(file, '[hub]\nroot = "/srv/caf\xe9"'.encode("latin-1"))

    assert "not UTF-8" in only


def test_the_mark_that_windows_editors_put_first_does_no_harm(file: Path) -> None:
    file.write_bytes(b'\xef\xbb\xbf[hub]\r\nroot = "/srv/x"\r\n')

    assert load(file).hub.root == Path("/srv/x")


def test_a_missing_file_and_a_folder_name_the_remedy(file: Path) -> None:
    for path in (file, file.parent):
        with pytest.raises(SettingsError, match="give --config FILE or set SIARHUB_CONFIG"):
            load(path)


def test_a_plugins_table_is_for_the_plugin_to_judge(file: Path) -> None:
    file.write_text("[plugins.mine]\nwhatever = [1, 2]\n")

    assert load(file).plugins == {"mine": {"whatever": [1, 2]}}


def test_the_file_is_the_one_given_or_the_environments_or_the_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIARHUB_CONFIG", "/x.toml")
    assert (find(Path("/given.toml")), find()) == (Path("/given.toml"), Path("/x.toml"))

    monkeypatch.delenv("SIARHUB_CONFIG")
    assert find() == settings.DEFAULT_PATH


def keys(model: type[BaseModel], path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found |= keys(inner, f"{path}{name}.")
        elif name != "plugins":
            found[f"{path}{name}"] = field
    return found


@pytest.mark.parametrize(("key", "field"), keys(Settings).items())
def test_every_key_is_described_in_one_sentence(key: str, field: Any) -> None:
    assert field.description, key
    assert field.description.endswith("."), key


def test_what_is_printed_as_the_default_file_is_the_default(file: Path) -> None:
    file.write_text(settings.render_default())

    assert load(file) == Settings()
