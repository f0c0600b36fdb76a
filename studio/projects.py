"""Projects: one job to teach each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from studio.context import Studio
from studio.errors import Conflict, InvalidInput, NotFound, Phrase
from studio.records import Example, Project, Shot, new_id, normalise
from studio.rows import RowFilter

DEFAULT_NAME = "My first project"
MAX_TEXT = 20_000


def default(studio: Studio) -> Project:
    """The oldest project; made on first use."""
    projects = studio.store.projects.all()
    return projects[0] if projects else create(studio, DEFAULT_NAME)


def create(studio: Studio, name: str, **fields: Any) -> Project:
    """Raises:
    InvalidInput: no name, or it is taken.
    """
    project = Project(id=new_id("p"), name=name.strip(), **fields)
    with studio.store.transaction():
        _check(studio, project)
        studio.store.projects.add(project)
    return project


def get(studio: Studio, project_id: str) -> Project:
    project = studio.store.projects.get(project_id)
    if project is None:
        raise NotFound("This project doesn't exist.", "Choose another project.")
    return project


def by_name(studio: Studio, name: str | None) -> Project:
    """The project of that name; without a name, the default one."""
    if not name:
        return default(studio)
    project = studio.store.projects.by_name(name)
    if project is None:
        known = ", ".join(p.name for p in studio.store.projects.all()) or Phrase("none")
        raise NotFound(Phrase("There is no project {name!r}.", name=name), Phrase("There are: {names}.", names=known))
    return project


def update(studio: Studio, project_id: str, **changes: Any) -> Project:
    """Change fields of a project; rows and adapters stay.

    Raises:
        InvalidInput: no name, or another project has it, or a text is too long.
    """
    with studio.store.transaction():
        project = replace(get(studio, project_id), **changes)
        project = replace(project, name=project.name.strip())
        _check(studio, project)
        studio.store.projects.update(project)
    return project


def change_system_prompt(studio: Studio, project_id: str, before: str, text: str) -> None:
    """Replace `before`, which whoever wrote `text` had seen.

    Raises:
        Conflict: it is neither of the two any more.
        InvalidInput: the text is too long.
    """
    with studio.store.transaction():
        current = get(studio, project_id).system_prompt
        if current not in (before, text):
            raise Conflict(
                "The system prompt was changed on another page.",
                current,
                "Choose one of the two, below the system prompt.",
            )
        update(studio, project_id, system_prompt=text)


def _check(studio: Studio, project: Project) -> None:
    if not project.name:
        raise InvalidInput("A project needs a name.")
    namesake = studio.store.projects.by_name(project.name)
    if namesake is not None and namesake.id != project.id:
        raise InvalidInput(Phrase("There is a project {name!r} already.", name=project.name), "Choose another name.")
    for label, text in (("system prompt", project.system_prompt), ("guidelines", project.guidelines)):
        if len(text) > MAX_TEXT:
            raise InvalidInput(
                Phrase("The {label} is too long: {n} characters.", label=label, n=len(text)),
                Phrase("At most {most}.", most=MAX_TEXT),
            )


def set_shots(studio: Studio, project_id: str, shots: tuple[Shot, ...]) -> Project:
    """Replace the few-shot pairs, in the order they are shown to the model.

    Raises:
        InvalidInput: a pair is incomplete, or a new one gives away a row that is kept for testing.
    """
    for number, shot in enumerate(shots, 1):
        if not shot.prompt.strip() or not shot.answer.strip():
            raise InvalidInput(
                Phrase("Few-shot example {number} is incomplete.", number=number),
                "Fill in both the question and the answer.",
            )
    known = {normalise(shot.prompt) for shot in get(studio, project_id).shots}
    if new := {normalise(shot.prompt) for shot in shots} - known:
        _require_not_held_out(studio, project_id, new)
    return update(studio, project_id, shots=shots)


def take_shot(studio: Studio, project_id: str, example_id: str) -> Project:
    """Add a saved example as the last few-shot pair.

    Raises:
        NotFound: the project has no such example.
        InvalidInput: it is kept for testing, has several turns, or no answer.
    """
    example = studio.store.examples.get(example_id)
    if example is None or example.project_id != project_id:
        raise NotFound("This example doesn't exist.", "Choose another one.")
    if example.split != "train" or example.aside:
        raise _held_out(example)
    if not example.is_single_turn:
        raise InvalidInput(
            "An example with several turns can't be a few-shot example.", "Choose one with one question."
        )
    with studio.shots:
        return set_shots(studio, project_id, (*get(studio, project_id).shots, Shot(example.question, example.answer)))


def _require_not_held_out(studio: Studio, project_id: str, questions: set[str]) -> None:
    kept = RowFilter(splits=("test", "validation"), statuses=("draft", "approved"))
    for batch in studio.store.examples.stream(project_id, kept):
        for example in batch:
            if normalise(example.question) in questions:
                raise _held_out(example)


_ASIDE = Phrase("is nearly the same as a row kept for another side")


def _held_out(example: Example) -> InvalidInput:
    question = " ".join(example.question.split())[:60]
    kept = _ASIDE if example.aside else Phrase("is kept for {side}", side=example.split)
    return InvalidInput(
        Phrase(
            "“{question}” {kept}: shown to the model with its answer, it would test nothing any more.",
            question=question,
            kept=kept,
        ),
        "Choose a training example.",
    )


def set_format(studio: Studio, project_id: str, format_: str) -> Project:
    """Raises:
    InvalidInput: some rows would lose turns; the message counts them.
    """
    if format_ not in ("instruction", "chat"):
        raise InvalidInput(Phrase("There is no format {format!r}.", format=format_), "Use instruction or chat.")
    if format_ == "instruction":
        lossy = [e for e in studio.store.examples.find(project_id) if not e.is_single_turn]
        if lossy:
            raise InvalidInput(
                Phrase("{n} examples have several turns and would lose them in instruction format.", n=len(lossy)),
                "Keep the chat format, or reject those examples first.",
            )
    return update(studio, project_id, format=format_)
