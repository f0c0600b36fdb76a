from __future__ import annotations

import pytest

from studio import projects
from studio.context import Studio
from studio.errors import Conflict, InvalidInput, NotFound
from studio.records import Example, Project, Shot, Split, Turn, new_id
from tests.conftest import together


def test_the_default_project_is_made_once_and_is_the_oldest(studio: Studio) -> None:
    first = projects.default(studio)
    projects.create(studio, "Another")
    assert projects.default(studio) == first == projects.by_name(studio, None)


def test_a_name_is_needed_and_taken_once(studio: Studio) -> None:
    projects.create(studio, " Desk ")
    with pytest.raises(InvalidInput, match="already"):
        projects.create(studio, "Desk")
    with pytest.raises(InvalidInput, match="needs a name"):
        projects.create(studio, "  ")
    other = projects.create(studio, "Other")
    with pytest.raises(InvalidInput, match="already"):
        projects.update(studio, other.id, name="Desk ")
    assert projects.update(studio, other.id, name=" Other ").name == "Other"
    with pytest.raises(InvalidInput, match="needs a name"):
        projects.update(studio, other.id, name=" ")


def test_a_system_prompt_is_only_replaced_by_who_has_seen_it(studio: Studio) -> None:
    project = projects.create(studio, "Desk", system_prompt="Old.")
    projects.change_system_prompt(studio, project.id, "Old.", "New.")
    projects.change_system_prompt(studio, project.id, "Old.", "New.")  # as the one before wrote it
    with pytest.raises(Conflict) as refused:
        projects.change_system_prompt(studio, project.id, "Old.", "Newer.")
    assert refused.value.current == projects.get(studio, project.id).system_prompt == "New."


def test_two_people_cant_take_one_name_at_the_same_moment(studio: Studio) -> None:
    def create(_: int) -> bool:
        try:
            projects.create(studio, "Desk")
        except InvalidInput:
            return False
        return True

    assert together(6, create).count(True) == 1
    assert [p.name for p in studio.store.projects.all()] == ["Desk"]


def test_an_unknown_project_is_named_with_those_there_are(studio: Studio, project: Project) -> None:
    with pytest.raises(NotFound, match=r"no project 'Nope'.*Help desk"):
        projects.by_name(studio, "Nope")
    with pytest.raises(NotFound):
        projects.get(studio, "p_none")


def test_changes_are_kept(studio: Studio, project: Project) -> None:
    projects.update(studio, project.id, system_prompt="新しい", guidelines="Be brief.")
    kept = projects.get(studio, project.id)
    assert (kept.system_prompt, kept.guidelines, kept.name) == ("新しい", "Be brief.", "Help desk")
    with pytest.raises(InvalidInput, match="system prompt is too long"):
        projects.update(studio, project.id, system_prompt="x" * (projects.MAX_TEXT + 1))
    assert projects.get(studio, project.id) == kept


def test_few_shot_pairs_keep_their_order_and_must_be_whole(studio: Studio, project: Project) -> None:
    shots = (Shot("B", "2"), Shot("A", "1"))
    projects.set_shots(studio, project.id, shots)
    assert projects.get(studio, project.id).shots == shots
    with pytest.raises(InvalidInput, match="example 2 is incomplete"):
        projects.set_shots(studio, project.id, (Shot("A", "1"), Shot("B", " ")))
    assert projects.get(studio, project.id).shots == shots


@pytest.mark.parametrize("split", ["test", "validation"])
def test_a_row_kept_for_testing_is_never_a_few_shot_example(studio: Studio, project: Project, split: Split) -> None:
    kept = Example(
        new_id("e"), project.id, 1, "approved", (Turn("user", "When do you  open?"),), "At nine.", split=split
    )
    talk = (Turn("user", "Hi"), Turn("assistant", "Hello"), Turn("user", "And close?"))
    deep = Example(new_id("e"), project.id, 1, "draft", talk, "At five.", split=split)
    gone = Example(new_id("e"), project.id, 1, "rejected", (Turn("user", "Gone?"),), "Yes.", split=split)
    free = Example(new_id("e"), project.id, 1, "approved", (Turn("user", "Where?"),), "Here.")
    studio.store.examples.append([kept, deep, gone, free])
    with pytest.raises(InvalidInput, match=f"When do you open.*kept for {split}"):
        projects.take_shot(studio, project.id, kept.id)
    for typed in ("When do you open?", " When do you\nopen？ ", "And close?"):
        with pytest.raises(InvalidInput, match=f"kept for {split}"):
            projects.set_shots(studio, project.id, (Shot("Fine?", "Yes."), Shot(typed, "Another answer.")))
    assert projects.get(studio, project.id).shots == ()
    projects.set_shots(studio, project.id, (Shot("Gone?", "No."), Shot("when do you open?", "At ten.")))
    assert projects.take_shot(studio, project.id, free.id).shots[-1] == Shot("Where?", "Here.")


def test_what_is_taken_as_a_few_shot_example_is_a_row_of_the_project(studio: Studio, project: Project) -> None:
    talk = (Turn("user", "Hi"), Turn("assistant", "Hello"), Turn("user", "And close?"))
    deep = Example(new_id("e"), project.id, 1, "approved", talk, "At five.")
    aside = Example(new_id("e"), project.id, 1, "approved", talk[:1], "Hello.", aside=True)
    studio.store.examples.append([deep, aside])
    with pytest.raises(InvalidInput, match="several turns"):
        projects.take_shot(studio, project.id, deep.id)
    with pytest.raises(InvalidInput, match="nearly the same as a row kept for another side"):
        projects.take_shot(studio, project.id, aside.id)
    for project_id, example_id in ((project.id, "e_none"), (projects.create(studio, "Other").id, deep.id)):
        with pytest.raises(NotFound):
            projects.take_shot(studio, project_id, example_id)


def test_a_pair_that_became_a_test_row_later_can_still_be_moved_or_removed(studio: Studio, project: Project) -> None:
    shots = (Shot("A", "1"), Shot("B", "2"))
    projects.set_shots(studio, project.id, shots)
    studio.store.examples.append(
        [Example(new_id("e"), project.id, 1, "approved", (Turn("user", "A"),), "1", split="test")]
    )
    assert projects.set_shots(studio, project.id, shots[::-1]).shots == shots[::-1]
    assert projects.set_shots(studio, project.id, shots[1:]).shots == shots[1:]
    with pytest.raises(InvalidInput, match="kept for test"):
        projects.set_shots(studio, project.id, shots)


def test_the_format_changes_only_where_no_row_loses_turns(studio: Studio, project: Project) -> None:
    single = Example(new_id("e"), project.id, 1, "approved", (Turn("system", "S"), Turn("user", "Q")), "A")
    studio.store.examples.append([single])
    assert projects.set_format(studio, project.id, "instruction").format == "instruction"
    assert projects.set_format(studio, project.id, "chat").format == "chat"
    turns = (Turn("user", "Q"), Turn("assistant", "A"), Turn("user", "Q2"))
    studio.store.examples.append([Example(new_id("e"), project.id, 1, "draft", turns, "A2")])
    with pytest.raises(InvalidInput, match="1 examples have several turns"):
        projects.set_format(studio, project.id, "instruction")
    assert projects.get(studio, project.id).format == "chat"
    with pytest.raises(InvalidInput, match="no format 'poem'"):
        projects.set_format(studio, project.id, "poem")
