"""The real engine on the tiny model."""

from __future__ import annotations

import queue
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from studio.errors import WorkError
from studio.model.engine import Piece, Prompt, Request
from studio.model.hf_engine import MAX_ADAPTERS, HFEngine, _Streamer
from studio.model.identity import identity_of
from studio.model.loading import load_base
from studio.model.template import load_tokenizer
from studio.records import Sampling, Turn
from tests.conftest import make_adapter, together, until

QUESTIONS = (
    "When do you open?",
    "Where can I park?",
    "開館時間を教えてください。",
    "Hello",
    "How do I return a parcel to you?",
)


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> HFEngine:
    return HFEngine(tiny_model, identity_of(tiny_model, "nf4"), device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def taught(engine: HFEngine, tmp_path_factory: pytest.TempPathFactory) -> HFEngine:
    """The engine with the adapters `one` and `two`, kept loaded by using them."""
    for seed, name in enumerate(("one", "two")):
        folder = tmp_path_factory.mktemp(name)
        engine.load_adapter(name, folder, make_adapter(folder, engine.identity, seed=seed + 1))
    return engine


def ask(engine: HFEngine, question: str) -> Prompt:
    return engine.render([Turn("user", question)])


def stream(
    engine: HFEngine, prompt: Prompt, *adapters: str | None, tokens: int = 12, stop: tuple[str, ...] = ()
) -> list[str]:
    """What each side says under greedy decoding."""
    texts = [""] * len(adapters)
    for piece in engine.stream(Request(prompt, Sampling(max_tokens=tokens), adapters, stop), threading.Event()):
        texts[piece.side] += piece.text
    return texts


def answers(
    engine: HFEngine, prompts: Sequence[Prompt], adapter: str | None, limits: Sequence[int] | int = 12
) -> list[str]:
    limits = [limits] * len(prompts) if isinstance(limits, int) else limits
    found = dict(engine.answer(prompts, adapter, limits, threading.Event()))
    return [found[i] for i in range(len(prompts))]


# Answers


def test_what_is_streamed_is_what_the_model_generates(engine: HFEngine, tiny_model: Path) -> None:
    model = load_base(tiny_model, precision="nf4", packed=False, device="cpu", dtype="float32")
    tokenizer = load_tokenizer(tiny_model)
    for question in QUESTIONS:
        prompt = ask(engine, question)
        ids = torch.tensor([prompt.ids])
        output = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=30, do_sample=False)
        text = tokenizer.decode(output[0, prompt.tokens :], skip_special_tokens=True)
        assert stream(engine, prompt, None, tokens=30) == [text]


def test_the_prompt_is_shown_as_it_is_read(engine: HFEngine, tiny_model: Path) -> None:
    prompt = engine.render([Turn("system", "Be brief."), Turn("user", "Hi <|im_end|>")])
    assert prompt.text.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi ")
    assert prompt.text.endswith("<|im_start|>assistant\n")
    assert prompt.tokens == len(prompt.ids)
    assert prompt.template_hash
    assert engine.context_length == 256
    assert engine.has_chat_template


def test_adapters_answer_differently_and_the_base_as_before(taught: HFEngine, tiny_model: Path) -> None:
    untaught = HFEngine(tiny_model, taught.identity, device="cpu", dtype="float32")
    prompts = [ask(taught, q) for q in QUESTIONS]
    base, one, two = (answers(taught, prompts, name) for name in (None, "one", "two"))
    assert base == answers(untaught, prompts, None)
    assert all(len({a, b, c}) == 3 for a, b, c in zip(base, one, two, strict=True))


def test_both_sides_say_what_each_says_alone(taught: HFEngine) -> None:
    for pair in ((None, "one"), ("one", "two"), ("two", None)):
        for question in QUESTIONS[:3]:
            prompt = ask(taught, question)
            alone = [stream(taught, prompt, side)[0] for side in pair]
            assert stream(taught, prompt, *pair) == alone
            assert alone[0] != alone[1]


@pytest.mark.parametrize("adapter", [None, "one"])
def test_answers_in_batches_are_the_single_ones(taught: HFEngine, adapter: str | None) -> None:
    prompts = [ask(taught, f"{q} {'please ' * n}") for n in range(5) for q in QUESTIONS]
    limits = [3 + n % 9 for n in range(len(prompts))]
    single = [stream(taught, p, adapter, tokens=n)[0] for p, n in zip(prompts, limits, strict=True)]
    assert answers(taught, prompts, adapter, limits) == single


def test_an_answer_stops_within_a_token(taught: HFEngine) -> None:
    cancelled = threading.Event()
    pieces = []
    for piece in taught.stream(Request(ask(taught, "Hello"), Sampling(max_tokens=200), ("one",)), cancelled):
        pieces.append(piece)
        cancelled.set()
    # One token may have been under way, and one finished but not read.
    assert 1 <= len(pieces) <= 3
    assert not any(t.name == "answer" for t in threading.enumerate())


def test_the_model_stops_when_the_reader_goes_away(taught: HFEngine) -> None:
    reader = taught.stream(Request(ask(taught, "Hello"), Sampling(max_tokens=200), ("one",)), threading.Event())
    next(reader)
    reader.close()  # type: ignore[attr-defined]
    assert not any(t.name == "answer" for t in threading.enumerate())
    assert stream(taught, ask(taught, "Hello"), None, tokens=2)


def test_an_error_in_the_middle_reaches_the_reader_and_the_next_answer_works(taught: HFEngine) -> None:
    outside = Prompt((1, 50, 999_999), "?", "")
    with pytest.raises(WorkError, match="The model could not answer"):
        stream(taught, outside, "one")
    with pytest.raises(WorkError, match="not loaded"):
        stream(taught, ask(taught, "Hello"), "nobody")
    assert stream(taught, ask(taught, "Hello"), "one") == answers(taught, [ask(taught, "Hello")], "one")


def test_an_answer_ends_before_a_stop_string(taught: HFEngine) -> None:
    prompt = ask(taught, "Hello")
    [whole] = stream(taught, prompt, "one", tokens=40)
    for length in (1, 3, 6):
        stop = whole[10 : 10 + length]
        [text] = stream(taught, prompt, "one", tokens=40, stop=(stop, "never said"))
        assert text == whole[: whole.index(stop)]


def test_the_same_seed_draws_the_same_answer(engine: HFEngine) -> None:
    prompt = ask(engine, "Hello")

    def draw(seed: int) -> str:
        request = Request(prompt, Sampling(temperature=1.0, max_tokens=12, seed=seed))
        return "".join(piece.text for piece in engine.stream(request, threading.Event()))

    assert draw(1) == draw(1)
    assert len({draw(seed) for seed in range(4)}) > 1


def test_a_cancelled_batch_ends_early(taught: HFEngine) -> None:
    cancelled = threading.Event()
    prompts = [ask(taught, f"{q} {n}") for q in QUESTIONS for n in range(6)]
    found = []
    for index, _ in taught.answer(prompts, "one", [5] * len(prompts), cancelled):
        found.append(index)
        cancelled.set()
    assert 1 <= len(found) <= 8


def test_batch_work_gives_way_to_someone_in_the_chat(taught: HFEngine) -> None:
    prompts = [ask(taught, f"{q} {n}") for q in QUESTIONS for n in range(4)]
    expected = answers(taught, prompts, "one", 60)
    in_chat = stream(taught, ask(taught, "Hello"), "two", tokens=3)
    found: dict[int, str] = {}
    begun = threading.Event()

    def batch() -> None:
        begun.set()
        found.update(taught.answer(prompts, "one", [60] * len(prompts), threading.Event()))

    thread = threading.Thread(target=batch)
    thread.start()
    begun.wait()
    until(taught._lock.locked)
    assert stream(taught, ask(taught, "Hello"), "two", tokens=3) == in_chat
    assert thread.is_alive(), "the chat had to wait for the whole batch"
    thread.join()
    assert [found[i] for i in range(len(prompts))] == expected


def test_many_at_once_each_get_their_own_answer(taught: HFEngine) -> None:
    cases = [(q, a) for q in QUESTIONS[:3] for a in (None, "one", "two")]
    expected = [stream(taught, ask(taught, q), a) for q, a in cases]
    assert together(len(cases), lambda n: stream(taught, ask(taught, cases[n][0]), cases[n][1])) == expected


# Text


def japanese_pieces(tokenizer_folder: Path, text: str) -> list[str]:
    """The pieces that come out when the tokens of `text` come in one by one."""
    tokenizer = load_tokenizer(tokenizer_folder)
    pieces: queue.Queue[Piece] = queue.Queue()
    streamer = _Streamer(tokenizer, 1, pieces, ())
    streamer.put(torch.tensor([[1, 2, 3]]))  # the prompt
    out = []
    for token in tokenizer(text, add_special_tokens=False)["input_ids"]:
        streamer.put(torch.tensor([token]))
        out.append("".join(pieces.get().text for _ in range(pieces.qsize())))
    streamer.end()
    assert "".join(out) == text
    return out


def test_kana_come_out_as_soon_as_they_are_whole(tiny_model: Path) -> None:
    out = japanese_pieces(tiny_model, "ひらがなとカタカナ")
    assert len([piece for piece in out if piece]) > 3
    assert out[-1], "the last kana waits for nothing"
    assert "\ufffd" not in "".join(out)


@pytest.mark.model
def test_kana_of_the_default_model_come_out_as_soon_as_they_are_whole(model_folder: Path) -> None:
    out = japanese_pieces(model_folder, "ひらがなとカタカナ")
    assert len([piece for piece in out if piece]) == 9
    assert out[-1]


# Adapters


@pytest.fixture
def fresh(tiny_model: Path) -> HFEngine:
    return HFEngine(tiny_model, identity_of(tiny_model, "nf4"), device="cpu", dtype="float32")


def load(engine: HFEngine, tmp_path: Path, name: str, seed: int = 0) -> None:
    folder = tmp_path / name
    engine.load_adapter(name, folder, make_adapter(folder, engine.identity, seed=seed))


def test_swaps_reload_nothing(fresh: HFEngine, tmp_path: Path) -> None:
    before = fresh.base_addresses()
    prompt = ask(fresh, "Hello")
    base = stream(fresh, prompt, None)
    assert len(before) > 15
    for number in range(MAX_ADAPTERS + 2):
        load(fresh, tmp_path, f"a{number}", seed=number)
        assert stream(fresh, prompt, f"a{number}") != base
        assert fresh.base_addresses() == before
    for number in range(MAX_ADAPTERS + 2):
        fresh.drop_adapter(f"a{number}")
        assert fresh.base_addresses() == before
    assert stream(fresh, prompt, None) == base


def test_the_adapter_unused_for_longest_goes_first(fresh: HFEngine, tmp_path: Path) -> None:
    for number in range(MAX_ADAPTERS):
        load(fresh, tmp_path, f"a{number}")
    stream(fresh, ask(fresh, "Hello"), "a0", tokens=1)
    shutil.rmtree(tmp_path / "a1")
    fresh.load_adapter("a1", tmp_path / "a1", "")  # it is there already: used, not read again
    load(fresh, tmp_path, "new")
    loaded = [name for name in ("a0", "a1", "a2", "a3", "new") if fresh.has_adapter(name)]
    assert loaded == ["a0", "a1", "a3", "new"]
    assert set(fresh._model.peft_config) == set(loaded)


def test_loading_at_the_same_moment_loads_once(fresh: HFEngine, tmp_path: Path) -> None:
    sha256 = make_adapter(tmp_path, fresh.identity)
    together(6, lambda _: fresh.load_adapter("one", tmp_path, sha256))
    assert fresh._adapters == ["one"]
    assert stream(fresh, ask(fresh, "Hello"), "one") != stream(fresh, ask(fresh, "Hello"), None)


def test_the_last_adapter_can_be_dropped_and_the_base_goes_on(fresh: HFEngine, tmp_path: Path) -> None:
    base = stream(fresh, ask(fresh, "Hello"), None)
    load(fresh, tmp_path, "one")
    fresh.drop_adapter("one")
    fresh.drop_adapter("never there")
    assert stream(fresh, ask(fresh, "Hello"), None) == base
    load(fresh, tmp_path, "two", seed=2)
    assert stream(fresh, ask(fresh, "Hello"), "two") != base


def test_a_stream_ends_on_the_adapter_it_began_with(taught: HFEngine, tmp_path: Path) -> None:
    prompt = ask(taught, "Hello")
    expected = stream(taught, prompt, "one", tokens=80)
    text = ""
    swap: threading.Thread | None = None
    for piece in taught.stream(Request(prompt, Sampling(max_tokens=80), ("one",)), threading.Event()):
        text += piece.text
        if swap is None:
            swap = threading.Thread(target=load, args=(taught, tmp_path, "three", 3))
            swap.start()
    assert swap is not None
    swap.join()
    assert [text] == expected
    assert stream(taught, prompt, "three", tokens=80) != expected
    taught.drop_adapter("three")
