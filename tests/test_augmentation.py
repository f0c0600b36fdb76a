"""Drafts made from rows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from studio import augmentation, dataset, projects, samples
from studio.augmentation import keep, propose
from studio.context import Studio, open_studio
from studio.errors import Cancelled, InvalidInput, ModelUnavailable, NotFound
from studio.records import Example, Turn, new_id
from studio.rows import RowFilter
from studio.settings import Settings


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[Studio]:
    opened = open_studio(Settings(workspace=tmp_path / "workspace", engine="echo", author="ada"), "tests")
    yield opened
    opened.close()


def row(studio: Studio, question: str = "Can I buy the gift?", **fields: object) -> Example:
    """An approved training row of the default project."""
    example = Example(
        new_id("e"), projects.default(studio).id, 1, "approved", (Turn("user", question),), "Yes, for 15 euros."
    )
    example = replace(example, **fields)  # type: ignore[arg-type]
    studio.store.examples.append([example])
    return example


def test_a_draft_is_linked_to_its_source_and_stays_on_its_side(echo: Studio) -> None:
    source = row(echo, extra={"topic": "gifts", "tools": []}, rejected="No.")
    (draft,) = propose(echo, [source.id], "synonyms", seed=3)
    assert draft.question == "Can I purchase the gift?"
    assert (draft.answer, draft.rejected) == (source.answer, None), "what was rejected was said to other words"
    assert (draft.status, draft.source, draft.author, draft.version) == ("draft", "augmented", "ada", 1)
    assert (draft.parent_id, draft.group, draft.split) == (source.id, source.id, "train")
    assert draft.extra == {"topic": "gifts", "tools": [], "augmentation": {"method": "synonyms", "seed": 3, "try": 0}}
    assert echo.store.examples.count(source.project_id) == 1, "nothing is stored yet"
    keep(echo, [draft])
    stored = dataset.get(echo, draft.id)
    assert (stored.question, stored.status, stored.source) == (draft.question, "draft", "augmented")


def test_earlier_turns_and_the_input_of_a_row_are_left_alone(echo: Studio) -> None:
    earlier = (Turn("user", "Can I buy it?"), Turn("assistant", "Yes."))
    source = row(
        echo, messages=(*earlier, Turn("user", "Can I buy the gift?\n\nCan I buy")), extra={"input": "Can I buy"}
    )
    (draft,) = propose(echo, [source.id], "synonyms")
    assert draft.messages[:2] == earlier
    assert draft.question == "Can I purchase the gift?\n\nCan I buy"


def test_a_seed_repeats_and_another_one_differs(echo: Studio) -> None:
    text = "Please, is the shop at the corner of my street open on the first day of the month?"
    source, twin = row(echo, text), row(echo, text)
    texts = [
        [d.question for d in propose(echo, [i], "deletion", n=3, seed=seed)]
        for i, seed in ((source.id, 0), (source.id, 0), (twin.id, 0), (source.id, 1))
    ]
    assert texts[0] == texts[1] == texts[2] != texts[3]
    assert len(set(texts[0])) == 3


def test_held_out_rows_give_drafts_only_if_asked_and_on_their_side(echo: Studio) -> None:
    source = row(echo, split="test")
    with pytest.raises(InvalidInput, match="held out for test"):
        propose(echo, [source.id], "synonyms")
    (draft,) = propose(echo, [source.id], "synonyms", held_out=True)
    assert (draft.split, draft.group) == ("test", source.id)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"status": "draft"}, "not approved"),
        ({"status": "rejected"}, "not approved"),
        ({"messages": (Turn("user", "Hi"), Turn("tool", "4"))}, "does not end with a question"),
        ({"messages": (Turn("user", "Hi", extra={"content": [{"type": "image"}]}),)}, "does not end with a question"),
    ],
)
def test_a_row_that_can_be_no_source_is_refused(echo: Studio, fields: dict[str, object], says: str) -> None:
    source = row(echo, **fields)
    with pytest.raises(InvalidInput, match=says) as refused:
        propose(echo, [source.id], "synonyms")
    assert refused.value.hint


def test_requests_that_make_no_sense_are_refused(echo: Studio) -> None:
    source = row(echo)
    with pytest.raises(InvalidInput, match="no method"):
        propose(echo, [source.id], "poetry")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="0 drafts"):
        propose(echo, [source.id], "synonyms", n=0)
    with pytest.raises(InvalidInput, match="No rows"):
        propose(echo, [], "synonyms")
    with pytest.raises(NotFound):
        propose(echo, ["e_gone"], "synonyms")
    with pytest.raises(ModelUnavailable):
        propose(echo, [source.id], "paraphrase")


def test_a_language_without_a_word_list_is_refused(echo: Studio) -> None:
    german = projects.create(echo, "Auskunft", language="de")
    source = row(echo, "Wann ist geöffnet?", project_id=german.id)
    with pytest.raises(InvalidInput, match="English and Japanese"):
        propose(echo, [source.id], "deletion")


def test_drafts_whose_source_changed_sides_are_not_kept(echo: Studio) -> None:
    source = row(echo)
    drafts = propose(echo, [source.id], "synonyms")
    echo.store.examples.append([replace(source, version=2, split="test")])
    with pytest.raises(InvalidInput, match="changed sides"):
        keep(echo, drafts)
    with pytest.raises(InvalidInput, match="no draft"):
        keep(echo, [source])
    assert echo.store.examples.count(source.project_id) == 1


@pytest.mark.parametrize("method", augmentation.MODEL_METHODS)
def test_the_model_is_asked_with_progress_and_its_nonsense_is_not_offered(
    echo: Studio, method: augmentation.Method
) -> None:
    echo.load_engine()
    ids = [row(echo, f"Can I buy {n} gifts?").id for n in (1, 2)]
    seen: list[tuple[int, int]] = []
    # The echo engine says "You said: …" and the question again.
    assert propose(echo, ids, method, n=2, progress=lambda done, total: seen.append((done, total))) == []
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1]


@pytest.mark.parametrize("method", ["paraphrase", "back-translation", "deletion"])
def test_it_can_be_stopped(echo: Studio, method: augmentation.Method) -> None:
    echo.load_engine()
    ids = [row(echo, f"Can I buy the {n} gifts?").id for n in range(5)]
    cancelled = threading.Event()
    seen: list[int] = []

    def stop(done: int, total: int) -> None:
        seen.append(done)
        cancelled.set()

    with pytest.raises(Cancelled):
        propose(echo, ids, method, progress=stop, cancelled=cancelled)
    assert len(seen) == 1
    assert echo.store.examples.count(projects.default(echo).id) == 5


def test_a_question_too_long_for_the_model_is_refused(echo: Studio) -> None:
    echo.load_engine()
    source = row(echo, "Why? " * 1000)
    with pytest.raises(InvalidInput, match="the model reads 2048"):
        propose(echo, [source.id], "paraphrase")


def test_sources_are_the_rows_that_drafts_can_be_made_from(echo: Studio) -> None:
    usable = row(echo)
    row(echo, "Can I buy the other gift?", status="draft")
    row(echo, "Can I buy the third gift?", split="test")
    row(echo, "Can I buy the fourth gift?", messages=(Turn("user", "Hello."), Turn("assistant", "Hello.")))
    found = augmentation.sources(echo, projects.default(echo).id, RowFilter())
    assert (found.ids, found.left_out) == ((usable.id,), 3)


def test_offers_come_bit_by_bit_and_without_what_is_there(echo: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmentation, "MANY_ROWS", 2)
    project_id = projects.default(echo).id
    ids = [row(echo, f"Can I buy the gift number {n}?").id for n in range(5)]
    seen: list[tuple[int, int]] = []
    found = list(augmentation.offers(echo, project_id, ids, "synonyms", progress=lambda *n: seen.append(n)))
    assert [len(drafts) for drafts in found] == [2, 2, 1]
    assert seen[-1] == (5, 5)
    keep(echo, found[0])
    again = list(augmentation.offers(echo, project_id, ids, "synonyms"))
    assert [len(drafts) for drafts in again] == [0, 2, 1], "what is there already is not offered again"


@pytest.mark.model
def test_the_default_model_rewords_some_questions(tmp_path: Path, models_folder: Path) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "models").symlink_to(models_folder)
    studio = open_studio(Settings(workspace=workspace, offline=True, dtype="float32"), "tests")
    try:
        studio.load_engine()
        sample = samples.try_sample(studio, "support_en")
        rows = studio.store.examples.find(sample.id, split="train")[:6]
        drafts = propose(studio, [e.id for e in rows], "paraphrase", n=1)
        assert len(drafts) >= 2, "of these six it rewords four"
        by_id = {e.id: e for e in rows}
        for draft in drafts:
            source = by_id[draft.parent_id or ""]
            assert draft.question != source.question
            assert draft.answer == source.answer
            assert draft.extra["augmentation"]["adapter"] == "base"
        assert len(keep(studio, drafts)) == len(drafts)
    finally:
        studio.close()
