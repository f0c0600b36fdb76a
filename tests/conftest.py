"""Fixtures shared by all tests: an open studio that echoes, a tiny model made on the spot, the real default model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from playwright.sync_api import Browser, sync_playwright

from studio import conversation, corrections, projects
from studio.cli import main
from studio.context import Studio, open_studio
from studio.model.adapter_files import file_sha256
from studio.records import Adapter, BaseIdentity, Correction, Message, Project, Run, new_id
from studio.settings import DEFAULT_MODEL, Settings
from studio.workspace import write_json

os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the command line sets it; read when torch is loaded
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
REPO = Path(__file__).resolve().parent.parent

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CORPUS = (
    "You are a helpful clerk. What are the opening hours? We open at nine and close at five.",
    "How do I return a parcel? Bring it to the desk within thirty days.",
    "開館時間を教えてください。開館は火曜から日曜の9時半から18時です。月曜は休館です。",
    "Where can I park? Behind the house, two hours are free. user assistant system",
)


def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """What `condition` returns once it is true."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)
    return value


def together(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What `work(0)` … `work(count - 1)` return, each in a thread of its own, all let go at one moment."""
    barrier = threading.Barrier(count)

    def begin(number: int) -> Any:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


@pytest.fixture(autouse=True)
def no_studio_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own STUDIO_* variables must not decide how a test ends."""
    for name in os.environ:
        if name.startswith("STUDIO_") and name not in (
            "STUDIO_TEST_MODELS",
            "STUDIO_CHROMIUM",
            "STUDIO_SCREENSHOTS",
            "STUDIO_TEST_KILLS",
        ):
            monkeypatch.delenv(name)


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """An open studio whose engine repeats what was asked."""
    opened = open_studio(Settings(workspace=tmp_path / "workspace", engine="echo"), "tests")
    opened.load_engine()
    yield opened
    opened.close()


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        """The JSON value on the last line of standard output."""
        return json.loads(self.out.splitlines()[-1])


CommandLine = Callable[..., Outcome]


@pytest.fixture
def command_line(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Run one command in a workspace of the test's own."""
    monkeypatch.setenv("STUDIO_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("STUDIO_ENGINE", "echo")
    for name in ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_PROGRESS_BARS", "TRANSFORMERS_VERBOSITY"):
        monkeypatch.setenv(name, os.environ.get(name, "1" if "HF" in name else "error"))

    def run(*arguments: object) -> Outcome:
        capfd.readouterr()
        try:
            status = main([str(a) for a in arguments])
        except SystemExit as stop:  # as argparse ends
            status = int(stop.code or 0)
        captured = capfd.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run


@pytest.fixture
def project(studio: Studio) -> Project:
    return projects.create(studio, "Help desk", system_prompt="You are a clerk.")


@pytest.fixture
def asked(studio: Studio, project: Project) -> Callable[..., Message]:
    """Ask a question and read the whole answer; returns the answer as it was saved."""

    def ask(text: str, conversation_id: str | None = None) -> Message:
        conversation_id = conversation_id or conversation.start(studio, project.id).id
        conversation.ask(studio, conversation_id, text)
        for _ in conversation.reply(studio, conversation_id, conversation.AskOptions(), threading.Event()):
            pass
        return conversation.view(studio, conversation_id)[-1].message

    return ask


@pytest.fixture
def corrected(studio: Studio, asked: Callable[..., Message]) -> Callable[..., Correction]:
    """Ask, and correct the answer."""

    def correct(question: str, answer: str) -> Correction:
        return corrections.save(studio, asked(question).id, "corrected", answer)

    return correct


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder: a Llama of two narrow layers with random weights, and a byte-level tokenizer with ChatML."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("models") / "tiny"
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    bpe.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=CHATML,
    )
    torch.set_num_threads(1)  # more threads only wait for each other on matrices this small
    torch.manual_seed(1)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=256,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            # Random weights of the usual size give answers that hardly depend on the prompt.
            initializer_range=0.25,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_adapter(folder: Path, base: BaseIdentity, *, seed: int = 0, size: float = 0.5, r: int = 4) -> str:
    """Write an adapter for the tiny model, with random weights that change its answers; returns their SHA-256."""
    import torch
    from peft import LoraConfig
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(seed)
    sizes = {"q": (64, 64), "k": (32, 64), "v": (32, 64), "o": (64, 64)}
    shapes = {f"self_attn.{name}_proj": size_ for name, size_ in sizes.items()}
    shapes |= {"mlp.gate_proj": (128, 64), "mlp.up_proj": (128, 64), "mlp.down_proj": (64, 128)}
    weights = {}
    for layer in range(2):
        for module, (wide, narrow) in shapes.items():
            name = f"base_model.model.model.layers.{layer}.{module}.lora_"
            weights[f"{name}A.weight"] = torch.randn(r, narrow, generator=generator) * size
            weights[f"{name}B.weight"] = torch.randn(wide, r, generator=generator) * size
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    targets = [module.rsplit(".", 1)[-1] for module in shapes]
    config = LoraConfig(r=r, lora_alpha=r, target_modules=targets, task_type="CAUSAL_LM", inference_mode=True)
    config.save_pretrained(folder)
    write_json(folder / "studio-adapter.json", {"base": base.as_dict()})
    return file_sha256(folder / "adapter_model.safetensors")


def register(studio: Studio, project: Project, *, seed: int = 0, size: float = 0.5) -> Adapter:
    """An adapter of the tiny model as if a run had made it; not live yet."""
    run = Run(new_id("r"), project.id, studio.store.runs.next_number(project.id), "", 0, {})
    studio.store.runs.add(run, [])
    adapter_id = new_id("a")
    sha256 = make_adapter(studio.workspace.adapters / adapter_id, studio.engine.identity, seed=seed, size=size)
    adapter = Adapter(adapter_id, project.id, run.id, f"v{run.number}", studio.engine.identity, sha256, "lora")
    studio.store.adapters.add(adapter)
    return adapter


@pytest.fixture
def tiny_studio(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    """An open studio that answers with the tiny model."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    opened = open_studio(Settings(workspace=tmp_path / "workspace", model=str(tiny_model), dtype="float32"), "tests")
    opened.load_engine()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def models_folder() -> Path:
    """Where the real default model lies; fetched once, by the command a person would use."""
    models = Path(os.environ.get("STUDIO_TEST_MODELS") or REPO / "workspace" / "models")
    from studio.model.catalogue import resolve
    from studio.model.pull import locate

    models.mkdir(parents=True, exist_ok=True)
    with FileLock(models.parent / "tests.lock"):  # several processes run the tests
        if locate(resolve(DEFAULT_MODEL), models) is None:
            # `models pull` writes below a workspace, so the cache folder has to be one's `models`.
            assert models.name == "models", "STUDIO_TEST_MODELS must name a folder called `models`"
            command = [sys.executable, "-m", "studio", "models", "pull", "--workspace", str(models.parent)]
            subprocess.run(command, cwd=REPO, check=True, timeout=1200)
    return models


@pytest.fixture(scope="session")
def model_folder(models_folder: Path) -> Path:
    """The folder of the real default model."""
    return models_folder / DEFAULT_MODEL


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for every test that needs one: Playwright's synchronous interface runs once in a process."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=os.environ.get("STUDIO_CHROMIUM", "/usr/bin/chromium"), args=CHROMIUM_ARGUMENTS
        )
        yield started
        started.close()
