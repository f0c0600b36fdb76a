"""Our NF4 rounding equals bitsandbytes' own, bit by bit."""

from __future__ import annotations

from typing import Any

import pytest

torch: Any = pytest.importorskip("torch")


def reference(weights: Any, blocksize: int, quant_type: str) -> tuple[Any, Any]:
    """bitsandbytes' own kernel, as it is for tensors that no other kernel takes."""
    from bitsandbytes.backends.default import ops

    bounds, order = ops._get_4bit_quantize_bounds(quant_type, weights.device)
    flat = weights.reshape(-1).float()
    full = flat.numel() - flat.numel() % blocksize
    blocks = flat[:full].reshape(-1, blocksize)
    absmax = blocks.abs().max(dim=-1)[0]
    scaled = torch.clamp(blocks * (1.0 / absmax.clamp(min=1e-38).view(-1, 1)), -1, 1).reshape(-1)
    places = torch.bucketize(scaled, bounds, out_int32=True)
    places = (places if quant_type == "nf4" else order[places]).to(torch.uint8)
    return ((places[::2] << 4) | places[1::2]).unsqueeze(1), absmax


@pytest.mark.parametrize("quant_type", ["nf4", "fp4"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_it_equals_bitsandbytes(quant_type: str, dtype: str) -> None:
    from bitsandbytes.functional import get_4bit_type

    from studio.model.quantize import quantize

    torch.manual_seed(0)
    weights = torch.randn(192, 576) * torch.logspace(-8, 4, 192).unsqueeze(1)
    weights[0] = 0.0
    code = get_4bit_type(quant_type, device="cpu").sort()[0]
    ties = torch.cat([(code[:-1] + code[1:]) / 2, code, torch.ones(33)])
    weights[1, :64] = ties[:64]
    weights = weights.to(getattr(torch, dtype))
    ours, theirs = quantize(weights, 64, quant_type, torch.uint8), reference(weights, 64, quant_type)
    assert torch.equal(ours[0], theirs[0])
    assert torch.equal(ours[1], theirs[1])


def test_a_last_block_may_be_short() -> None:
    import bitsandbytes.functional as bnb

    from studio.model.quantize import use_fast_quantisation

    use_fast_quantisation()
    use_fast_quantisation()
    weights = torch.randn(1, 102)
    packed, state = bnb.quantize_4bit(weights, quant_type="nf4")
    assert packed.shape == (51, 1)
    assert state.absmax[1] == weights[0, 64:].abs().max()
    assert (bnb.dequantize_4bit(packed, state) - weights).abs().max() < 0.2 * weights.abs().max()
