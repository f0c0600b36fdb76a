"""Loading a base so that chat and trainer compute with the same numbers (docs/decisions/0002)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio.errors import ModelUnavailable, Phrase


def load_base(path: Path, *, precision: str, packed: bool, device: str, dtype: str, attention: str = "sdpa") -> Any:
    """The base model in evaluation mode.

    Args:
        path: a model folder with safetensors.
        precision: `full` or `nf4`.
        packed: with `nf4`, keep the weights in 4 bits (bitsandbytes `Linear4bit`); else hold the very same values
            unpacked in `dtype`, which answers faster on a CPU.
        device: `cpu` or `cuda`.
        dtype: name of the torch dtype to compute with.
        attention: transformers' `attn_implementation`.

    Raises:
        ModelUnavailable: the folder can't be loaded.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    from studio.model.quantize import use_fast_quantisation

    if precision == "nf4" and device == "cpu":
        use_fast_quantisation()
    compute_dtype = getattr(torch, dtype)
    quantization = None
    if precision == "nf4" and packed:
        quantization = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=compute_dtype,
        )
    try:
        model = AutoModelForCausalLM.from_pretrained(
            path,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=compute_dtype,
            quantization_config=quantization,
            device_map={"": 0 if device == "cuda" else "cpu"},
            attn_implementation=attention,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelUnavailable(
            Phrase("The model in {file} can't be loaded: {reason}.", file=path.name, reason=str(error)),
            "Fetch it again with: studio models pull",
        ) from error
    if precision == "nf4" and not packed:
        round_to_nf4_(model)
    _pack_input_of_head_(model)
    model.eval()
    return model


def _pack_input_of_head_(model: Any) -> None:
    """Hand the output head its positions side by side in memory.

    `generate` hands it the last position of each row as a view with gaps. On a frozen head torch then copies the whole
    weight for each row and multiplies the copies: 94 against 5 ms for one row, 850 against 9 ms for eight (135M, bf16).
    """
    import torch

    head = model.get_output_embeddings()
    if head is not None:
        head.register_forward_pre_hook(
            lambda _, inputs: (inputs[0].clone(memory_format=torch.contiguous_format), *inputs[1:])
        )


def round_to_nf4_(model: Any) -> None:
    """Replace every linear weight, except the output head's, by its NF4 value with double quantisation, in place.

    The values equal those that a packed `Linear4bit` multiplies with (QLoRA, arXiv:2305.14314, section 3).
    """
    import bitsandbytes.functional as bnb
    import torch

    head = model.get_output_embeddings()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.Linear) and module is not head:
                packed, state = bnb.quantize_4bit(module.weight.data, quant_type="nf4", compress_statistics=True)
                module.weight.data.copy_(bnb.dequantize_4bit(packed, state))


def unpack_(model: Any, path: Path, dtype: str) -> None:
    """Put the full weights of the folder in place of every packed linear layer of a (PEFT) model, one at a time.

    Raises:
        ModelUnavailable: the folder names its weights otherwise than the model does.
    """
    import bitsandbytes as bnb
    import torch
    from safetensors import safe_open

    packed = {name: module for name, module in model.named_modules() if isinstance(module, bnb.nn.Linear4bit)}
    where: dict[str, Path] = {}
    for file in sorted(path.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            where |= dict.fromkeys(tensors.keys(), file)
    plain = {name: name.removeprefix("base_model.model.").replace(".base_layer", "") for name in packed}
    if missing := [key for key in plain.values() if f"{key}.weight" not in where]:
        raise ModelUnavailable(
            Phrase("The weights of {missing} are not in {file} under that name.", missing=missing[0], file=path.name)
        )
    for name, module in packed.items():
        key = f"{plain[name]}.weight"
        with safe_open(where[key], framework="pt") as tensors:
            weight = tensors.get_tensor(key).to(module.weight.device, getattr(torch, dtype))
        dense = torch.nn.Linear(module.in_features, module.out_features, bias=False, device="meta")
        dense.weight = torch.nn.Parameter(weight, requires_grad=False)
        dense.bias = module.bias
        parent, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(parent), attribute, dense)
