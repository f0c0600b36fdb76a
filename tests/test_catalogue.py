from __future__ import annotations

from pathlib import Path

import pytest

from studio.errors import InvalidInput, NotFound
from studio.model.catalogue import HUB_ID, load_catalogue, resolve
from studio.settings import DEFAULT_MODEL

COMMIT = "a" * 40
GOOD = """
[models.one]
hub_id = "owner/One"
parameters = 10
context = 20
languages = ["en"]
licence = "MIT"
commercial = true
gated = false
chat_template = true
note = "Fine."
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "models.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_catalogue_can_be_read_and_chosen_from() -> None:
    catalogue = load_catalogue()
    assert next(iter(catalogue)) == DEFAULT_MODEL
    assert catalogue[DEFAULT_MODEL].wheel is not None
    assert len(catalogue) >= 11
    assert len({entry.hub_id.lower() for entry in catalogue.values()}) == len(catalogue)
    assert sum(entry.languages[0] == "ja" for entry in catalogue.values()) >= 3
    assert not catalogue["smollm2-135m"].chat_template
    for key, entry in catalogue.items():
        assert entry.key == key == key.lower()
        assert entry.parameters > 10**8
        assert entry.context >= 2048
        assert entry.note
        assert entry.note_ja
        assert entry.licence


def test_a_known_model_is_found_by_key_and_by_hub_id_in_any_case() -> None:
    entry = load_catalogue()["qwen3-0.6b"]
    assert resolve("qwen3-0.6b") == resolve(" Qwen3-0.6B ") == resolve("qwen/QWEN3-0.6b") == entry
    assert resolve(f"Qwen/Qwen3-0.6B@{entry.revision}") == entry


def test_another_commit_of_a_known_model_gets_a_folder_of_its_own_and_no_package() -> None:
    known = load_catalogue()[DEFAULT_MODEL]
    entry = resolve(f"{known.hub_id}@{COMMIT}")
    assert entry.revision == COMMIT
    assert entry.key != known.key
    assert entry.wheel is None
    assert entry.licence == known.licence


def test_an_unknown_hub_id_is_taken_as_it_is() -> None:
    entry = resolve("Some-Owner/Some.Model_1")
    assert (entry.key, entry.hub_id, entry.revision) == ("some-owner--some.model_1", "Some-Owner/Some.Model_1", "")
    assert entry.commercial is None
    assert resolve(f"a/b@{COMMIT}").key == "a--b--aaaaaaaaaaaa"


def test_a_folder_is_used_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "owner" / "My Model"
    folder.mkdir(parents=True)
    assert resolve(str(folder)).path == folder
    assert resolve(str(folder)).key == "my-model"
    monkeypatch.chdir(tmp_path)
    assert resolve("./owner/My Model").path == folder
    assert resolve("owner").path == tmp_path / "owner"


@pytest.mark.parametrize("name", ["", "  ", "owner/name@main"])
def test_what_can_be_no_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        resolve(name)


@pytest.mark.parametrize("name", ["/no/such/folder", "./nope", "nothing", "a/b/c", "owner/..", "../x", "owner/na--me"])
def test_what_is_not_there_is_not_found(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(NotFound) as caught:
        resolve(name)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["smollm2-135m-instrct", "SmolLM2-135M-Instrukt"])
def test_a_near_miss_gets_a_suggestion(name: str) -> None:
    with pytest.raises(NotFound, match=r"Did you mean smollm2-135m-instruct\?"):
        resolve(name)


def test_a_suggestion_may_come_from_the_hub_name() -> None:
    with pytest.raises(NotFound, match=r"Did you mean sarashina2\.2-1b-instruct\?"):
        resolve("sarashina2.2-1b-instruct-v0.2")


def test_a_hub_id_is_one_slash_between_plain_names() -> None:
    assert HUB_ID.fullmatch("HuggingFaceTB/SmolLM2-135M-Instruct")
    assert not any(HUB_ID.fullmatch(name) for name in ("a", "a/b/c", "/a", "a/", "-a/b", "a/.b", "a/b c", "a/b\n"))


def test_a_catalogue_of_ones_own(tmp_path: Path) -> None:
    catalogue = load_catalogue(write(tmp_path, GOOD))
    assert catalogue["one"].languages == ("en",)
    assert resolve("ONE", catalogue).hub_id == "owner/One"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[models.one]", "[models.one", "can't be read"),
        ("[models.one]", '[models."One two"]', "the name may hold only"),
        ('hub_id = "owner/One"', "", "hub_id is missing"),
        ('"owner/One"', '"owner"', "not of the form"),
        ("parameters = 10", 'parameters = "10"', "parameters is of the wrong kind"),
        ("context = 20", "context = true", "context is of the wrong kind"),
        ("gated = false", "gated = 0", "gated is of the wrong kind"),
        ("note =", "notes =", "notes is not a field"),
        ("note =", 'path = "/x"\nnote =', "path is not a field"),
        ("note =", 'revision = "main"\nnote =', "not 40 hexadecimal digits"),
        ('"Fine."', '"Fine."\n[models.one.wheel]\npackage = "p"', "version is missing"),
    ],
)
def test_a_faulty_catalogue_says_what_is_wrong(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        load_catalogue(write(tmp_path, GOOD.replace(old, new)))


def test_a_missing_catalogue_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="can't be read"):
        load_catalogue(tmp_path / "none.toml")
