from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from studio import adapters, conversation, projects
from studio.context import Studio
from studio.errors import AdapterRejected, InvalidInput, NotFound
from studio.records import Adapter, BaseIdentity, CheckResult, Project, Sampling, Turn
from tests.conftest import make_adapter, register


def add(studio: Studio, project: Project, name: str) -> Adapter:
    """An adapter that the echo engine takes."""
    adapter = Adapter(f"a_{name}", project.id, f"r_{name}", name, studio.engine.identity, "", "lora")
    studio.store.adapters.add(adapter)
    adapters.folder(studio, adapter.id).mkdir()
    return adapter


def live_name(studio: Studio, project: Project) -> str:
    adapter = adapters.live(studio, project.id)
    return adapter.name if adapter else "base"


def test_the_base_answers_until_an_adapter_is_chosen(studio: Studio, project: Project) -> None:
    assert live_name(studio, project) == "base"
    adapters.activate(studio, project.id, add(studio, project, "v1").id)
    assert live_name(studio, project) == "v1"
    adapters.activate(studio, project.id, None)
    assert live_name(studio, project) == "base"


def test_going_back_step_by_step_to_the_base(studio: Studio, project: Project) -> None:
    for name in ("v1", "v2", "v3"):
        adapters.activate(studio, project.id, add(studio, project, name).id)
    names = []
    for _ in range(3):
        back = adapters.rollback(studio, project.id)
        names.append(back.name if back else "base")
        assert live_name(studio, project) == names[-1]
    assert names == ["v2", "v1", "base"]
    with pytest.raises(InvalidInput, match="nothing to go back to"):
        adapters.rollback(studio, project.id)


def test_going_back_skips_what_was_deleted(studio: Studio, project: Project) -> None:
    made = [add(studio, project, name) for name in ("v1", "v2", "v3")]
    for adapter in made:
        adapters.activate(studio, project.id, adapter.id)
    adapters.delete(studio, made[1].id)
    back = adapters.rollback(studio, project.id)
    assert back is not None
    assert back.name == "v1"


def test_the_live_adapter_cant_be_deleted(studio: Studio, project: Project) -> None:
    first, second = add(studio, project, "v1"), add(studio, project, "v2")
    adapters.activate(studio, project.id, first.id)
    with pytest.raises(InvalidInput, match="v1 is live"):
        adapters.delete(studio, first.id)
    adapters.delete(studio, second.id)
    assert not adapters.folder(studio, second.id).exists()
    assert [a.name for a in studio.store.adapters.all(project.id)] == ["v1"]
    for call in (adapters.get, adapters.ensure_loaded, adapters.delete):
        with pytest.raises(NotFound, match="no adapter a_v2"):
            call(studio, second.id)


def test_names(studio: Studio, project: Project) -> None:
    first = add(studio, project, "v1")
    assert adapters.named(studio, project.id, "v1") == adapters.named(studio, project.id, first.id) == first
    assert adapters.named(studio, project.id, "base") is None
    with pytest.raises(NotFound, match=r"no adapter 'v9' .*There are: base, v1"):
        adapters.named(studio, project.id, "v9")


def test_projects_keep_their_adapters_apart(studio: Studio, project: Project) -> None:
    first = add(studio, project, "v1")
    other = projects.create(studio, "Other")
    with pytest.raises(InvalidInput, match="belongs to another project"):
        adapters.activate(studio, other.id, first.id)
    with pytest.raises(NotFound):
        adapters.named(studio, other.id, "v1")
    adapters.activate(studio, project.id, first.id)
    assert live_name(studio, other) == "base"


def test_an_adapter_whose_files_are_gone_doesnt_go_live(studio: Studio, project: Project) -> None:
    adapters.activate(studio, project.id, add(studio, project, "v1").id)
    second = add(studio, project, "v2")
    shutil.rmtree(adapters.folder(studio, second.id))
    with pytest.raises(AdapterRejected):
        adapters.activate(studio, project.id, second.id)
    assert live_name(studio, project) == "v1"


def results(*answers: tuple[str, str, str]) -> list[CheckResult]:
    """(id, answer, base's answer), where "yes" is right."""
    return [
        CheckResult(id_, "test" if id_.startswith("t") else "train", id_, "yes", answer, base)
        for id_, answer, base in answers
    ]


def test_a_score_counts_what_was_learned_and_what_broke(studio: Studio, project: Project) -> None:
    first, second = add(studio, project, "v1"), add(studio, project, "v2")
    assert adapters.score(studio, first.id) is None
    studio.store.adapters.save_results(
        first.id, results(("e1", "yes", "no"), ("e2", "no", "yes"), ("t1", "yes", "yes"), ("t2", "no", "no"))
    )
    score = adapters.score(studio, first.id)
    assert score is not None
    assert (score.learned, score.total, score.base_learned) == (1, 2, 1)
    assert (score.held_learned, score.held_total, score.base_held) == (1, 2, 1)
    assert score.broke == 1, "the base knew e2"
    studio.store.adapters.save_results(
        second.id, results(("e1", "no", "no"), ("e2", "yes", "yes"), ("e3", "no", "no"), ("t1", "no", "yes"))
    )
    score = adapters.score(studio, second.id)
    assert score is not None
    assert score.broke == 2, "v1 knew e1 and t1"


# Files that fail a check, with the tiny model


@pytest.fixture
def tiny_project(tiny_studio: Studio) -> Project:
    return projects.create(tiny_studio, "Help desk")


def edit_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def change_weights(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def rename_first(tensors: dict[str, object], name: str) -> None:
    tensors[name] = tensors.pop(next(iter(tensors)))


def fill(tensors: dict[str, object], value: float) -> None:
    next(iter(tensors.values())).view(-1)[3] = value  # type: ignore[attr-defined]


def narrow(tensors: dict[str, object]) -> None:
    name = next(iter(tensors))
    tensors[name] = tensors[name][..., :-1].contiguous()  # type: ignore[index]


def flip_a_byte(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


def only_pickle(folder: Path) -> None:
    import torch

    (folder / "adapter_model.safetensors").unlink()
    torch.save({}, folder / "adapter_model.bin")


def truncate(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


OTHER_BASE = {"base": BaseIdentity("other/model", "1", "f" * 64, "nf4").as_dict()}

# What is done to the files, whether the registered checksum is that of the changed file, and what is said.
BROKEN: dict[str, tuple[Callable[[Path], object], bool, str]] = {
    "folder gone": (shutil.rmtree, False, "has no adapter_model.safetensors"),
    "weights gone": (lambda f: (f / "adapter_model.safetensors").unlink(), False, "has no adapter_model.safetensors"),
    "pickle only": (only_pickle, False, "has no adapter_model.safetensors"),
    "config gone": (lambda f: (f / "adapter_config.json").unlink(), True, "adapter_config.json can't be read"),
    "config no JSON": (lambda f: (f / "adapter_config.json").write_text("{"), True, "can't be read"),
    "config a list": (lambda f: (f / "adapter_config.json").write_text("[]"), True, "not a JSON object"),
    "config huge": (lambda f: (f / "adapter_config.json").write_text(" " * 2_000_000), True, "far too large"),
    "config deep": (lambda f: (f / "adapter_config.json").write_text("[" * 500_000), True, "can't be read"),
    "manifest gone": (lambda f: (f / "studio-adapter.json").unlink(), True, "studio-adapter.json can't be read"),
    "another base": (lambda f: edit_json(f / "studio-adapter.json", **OTHER_BASE), True, "belongs to another base"),
    "changed hash": (flip_a_byte, False, "were changed after training"),
    "truncated": (truncate, False, "were changed after training"),
    "truncated, known": (truncate, True, "can't be read"),
    "no safetensors": (lambda f: (f / "adapter_model.safetensors").write_bytes(b"\xff" * 999), True, "can't be read"),
    "empty": (lambda f: (f / "adapter_model.safetensors").write_bytes(b""), True, "can't be read"),
    "NaN": (lambda f: change_weights(f, lambda t: fill(t, float("nan"))), True, "not finite"),
    "infinite": (lambda f: change_weights(f, lambda t: fill(t, float("inf"))), True, "not finite"),
    "wrong shape": (lambda f: change_weights(f, narrow), True, "has shape"),
    "wrong rank": (lambda f: edit_json(f / "adapter_config.json", r=8), True, "has shape"),
    "half a pair": (lambda f: change_weights(f, lambda t: t.pop(next(iter(t)))), True, "not complete"),
    "half the layers": (
        lambda f: change_weights(f, lambda t: [t.pop(k) for k in list(t) if "layers.1" in k]),
        True,
        "not complete",
    ),
    "unknown weights": (
        lambda f: change_weights(f, lambda t: rename_first(t, "x.lora_A.weight")),
        True,
        "weights for x",
    ),
    "output head": (
        lambda f: change_weights(f, lambda t: rename_first(t, "base_model.model.lm_head.weight")),
        True,
        "doesn't have",
    ),
    "not LoRA": (lambda f: edit_json(f / "adapter_config.json", peft_type="IA3"), True, "not a LoRA adapter"),
    "rank 0": (lambda f: edit_json(f / "adapter_config.json", r=0), True, "not a LoRA adapter"),
    "rank a text": (lambda f: edit_json(f / "adapter_config.json", r="4"), True, "not a LoRA adapter"),
    "auto_mapping": (
        lambda f: edit_json(f / "adapter_config.json", auto_mapping={"parent_library": "os"}),
        True,
        "asks to import code",
    ),
    "PiSSA": (
        lambda f: edit_json(f / "adapter_config.json", init_lora_weights="pissa"),
        True,
        "more than plain LoRA: it sets init_lora_weights",
    ),
    "DoRA": (lambda f: edit_json(f / "adapter_config.json", use_dora=True), True, "it sets use_dora"),
    "saved modules": (
        lambda f: edit_json(f / "adapter_config.json", modules_to_save=["lm_head"]),
        True,
        "it sets modules_to_save",
    ),
    "bias": (lambda f: edit_json(f / "adapter_config.json", bias="all"), True, "it sets bias"),
    "all layers": (lambda f: edit_json(f / "adapter_config.json", target_modules=".*"), True, "which layers"),
    "no layers": (lambda f: edit_json(f / "adapter_config.json", target_modules=[]), True, "which layers"),
    "too strong": (lambda f: edit_json(f / "adapter_config.json", lora_alpha=1e9), True, "no usable lora_alpha"),
}


def test_a_broken_adapter_leaves_everything_in_place(tiny_studio: Studio, tiny_project: Project) -> None:
    """One open studio for all of them: the next broken one meets what the one before left behind."""
    studio = tiny_studio
    engine = studio.engine
    prompt = engine.render([Turn("user", "When do you open?")])

    def answer(adapter_id: str | None) -> str:
        return dict(engine.answer([prompt], adapter_id, [6], threading.Event()))[0]

    good = register(studio, tiny_project, seed=1)
    base_before = answer(None)
    adapters.activate(studio, tiny_project.id, good.id)
    good_before = answer(good.id)
    assert good_before != base_before
    for name, (damage, is_registered_so, said) in BROKEN.items():
        broken = register(studio, tiny_project, seed=2)
        folder = adapters.folder(studio, broken.id)
        damage(folder)
        if is_registered_so:
            from studio.model.adapter_files import file_sha256

            sha256 = file_sha256(folder / "adapter_model.safetensors")
            studio.store._database.execute("UPDATE adapters SET sha256 = ? WHERE id = ?", [sha256, broken.id])
        with pytest.raises(AdapterRejected) as caught:
            adapters.activate(studio, tiny_project.id, broken.id)
        assert said in caught.value.message, name
        current = adapters.live(studio, tiny_project.id)
        assert current == good, name
        assert not engine.has_adapter(broken.id), name
        assert answer(good.id) == good_before, name
    assert answer(None) == base_before
    fresh = register(studio, tiny_project, seed=3)
    adapters.activate(studio, tiny_project.id, fresh.id)
    assert answer(fresh.id) not in (good_before, base_before)


def test_a_broken_first_adapter_leaves_the_base_answering(tiny_studio: Studio, tiny_project: Project) -> None:
    chat = conversation.start(tiny_studio, tiny_project.id)
    broken = register(tiny_studio, tiny_project)
    flip_a_byte(adapters.folder(tiny_studio, broken.id))
    conversation.ask(tiny_studio, chat.id, "When do you open?")
    sampling = Sampling(max_tokens=5)
    options = conversation.AskOptions((broken.id,), sampling)
    with pytest.raises(AdapterRejected):
        list(conversation.reply(tiny_studio, chat.id, options, threading.Event()))
    options = conversation.AskOptions((None,), sampling)
    assert list(conversation.reply(tiny_studio, chat.id, options, threading.Event()))


def test_an_adapter_made_for_other_numbers_of_the_same_base(tiny_studio: Studio, tiny_project: Project) -> None:
    """Trained against the 4-bit base, it would answer a little differently on the full one."""
    made = register(tiny_studio, tiny_project)
    rounded = BaseIdentity(**{**tiny_studio.engine.identity.as_dict(), "precision": "nf4"})
    make_adapter(adapters.folder(tiny_studio, made.id), rounded)
    with pytest.raises(AdapterRejected, match=r"\(nf4, .*loaded is .*\(full,"):
        adapters.ensure_loaded(tiny_studio, made.id)


def test_an_adapter_of_another_base_is_passed_over_and_not_forgotten(studio: Studio, project: Project) -> None:
    fits = add(studio, project, "v1")
    other = replace(fits, id="a_v2", name="v2", base=BaseIdentity("other/model", "1", "f" * 64, "full"))
    studio.store.adapters.add(other)
    for adapter in (fits, other):
        studio.store.adapters.activate(project.id, adapter.id, "trained")
    assert adapters.live(studio, project.id) == fits
    studio.engine.identity = other.base
    assert adapters.live(studio, project.id) == other
