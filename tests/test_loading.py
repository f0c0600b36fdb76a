from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from studio.errors import ModelUnavailable
from studio.model.identity import identity_of
from studio.model.loading import load_base, unpack_

IDS = torch.tensor([[1, 50, 60, 70, 80, 90, 100, 110, 120, 130]])


def load(folder: Path, precision: str, packed: bool, dtype: str = "float32") -> Any:
    return load_base(folder, precision=precision, packed=packed, device="cpu", dtype=dtype)


def logits(model: Any) -> torch.Tensor:
    """(T, V)"""
    with torch.inference_mode():
        return model(input_ids=IDS).logits[0]


def test_the_want_of_compiled_code_is_not_announced(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("bitsandbytes.backends.cpu.ops")
    log.warning("Failed to load CPU gemm_4bit_forward from kernels-community: %s.", "No module named 'kernels'")
    log.warning("Something else is wrong.")
    assert caplog.messages == ["Something else is wrong."]


def test_loading_what_the_engine_needs_prints_nothing() -> None:
    # On processors with bfloat16 arithmetic bitsandbytes would.
    command = [sys.executable, "-c", "import logging; logging.basicConfig(); import studio.model.hf_engine"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_unpacked_nf4_computes_what_packed_nf4_computes(tiny_model: Path) -> None:
    full = logits(load(tiny_model, "full", packed=False))
    unpacked = logits(load(tiny_model, "nf4", packed=False))
    # As the trainer computes: in evaluation mode bitsandbytes goes on in bfloat16 where a CPU has it.
    packed_model = load(tiny_model, "nf4", packed=True).train()
    assert type(packed_model.model.layers[0].mlp.up_proj).__name__ == "Linear4bit"
    packed = logits(packed_model)
    rounding = (unpacked - full).abs().max()
    assert rounding > 0.01, "rounding to 4 bits must be seen at all"
    assert (unpacked - packed).abs().max() < rounding / 1000


def test_head_and_embeddings_are_not_rounded(tiny_model: Path) -> None:
    full, rounded = load(tiny_model, "full", packed=False), load(tiny_model, "nf4", packed=False)
    assert torch.equal(full.lm_head.weight, rounded.lm_head.weight)
    assert not torch.equal(full.model.layers[0].mlp.up_proj.weight, rounded.model.layers[0].mlp.up_proj.weight)
    assert rounded.model.embed_tokens.weight.data_ptr() == rounded.lm_head.weight.data_ptr(), "still shared"


def test_the_folder_itself_isnt_changed(tiny_model: Path) -> None:
    before = identity_of(tiny_model, "nf4")
    load(tiny_model, "nf4", packed=False)
    assert identity_of(tiny_model, "nf4") == before
    assert before.model == "tiny"
    assert identity_of(tiny_model, "full").sha256 == before.sha256


def test_weights_that_are_cut_short_are_named(tiny_model: Path, tmp_path: Path) -> None:
    for file in tiny_model.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(ModelUnavailable, match="can't be loaded"):
        load(tmp_path, "full", packed=False)


def test_packed_layers_get_their_full_weights_back(tiny_model: Path, tmp_path: Path) -> None:
    """Below a PEFT model too, as in the middle of a QLoRA run."""
    from peft import LoraConfig, get_peft_model

    full = logits(load(tiny_model, "full", packed=False))
    packed = load(tiny_model, "nf4", packed=True).train()
    model = get_peft_model(packed, LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM"))
    assert (logits(model) - full).abs().max() > 0.01
    unpack_(model, tiny_model, "float32")
    assert (logits(model) - full).abs().max() < 1e-4
    renamed = load(tiny_model, "nf4", packed=True)
    with pytest.raises(ModelUnavailable, match="under that name"):
        unpack_(renamed, tmp_path, "float32")


@pytest.mark.model
def test_the_default_model_unpacked_and_packed(model_folder: Path) -> None:
    unpacked = logits(load(model_folder, "nf4", packed=False))
    packed = logits(load(model_folder, "nf4", packed=True).train())
    assert (unpacked - packed).abs().max() < 1e-3
    assert torch.equal(unpacked.argmax(-1), packed.argmax(-1))
