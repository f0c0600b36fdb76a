from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from studio.errors import InvalidInput
from studio.model.probe import Machine, compute, container_memory, probe, read_cpu, usable_cores

PLAIN = Machine(cpu="a CPU", cores=2, flags=("avx2",), ram_total=8 << 30, ram_available=4 << 30)

INTEL = """\
processor\t: 0
model name\t: Intel(R) Xeon(R) Platinum 8480+
flags\t\t: fpu sse2 avx2 avx512f avx512_bf16 amx_bf16 amx_tile

processor\t: 1
model name\t: another
flags\t\t: fpu
"""
ARM = "processor\t: 0\nFeatures\t: fp asimd bf16 sve\n"


def with_gpu(capability: tuple[int, int] | None) -> Machine:
    return dataclasses.replace(PLAIN, gpu="a GPU", vram=16 << 30, capability=capability)


@pytest.mark.parametrize(
    ("machine", "device", "dtype"),
    [
        (PLAIN, "cpu", "float32"),
        (dataclasses.replace(PLAIN, flags=()), "cpu", "float32"),
        (dataclasses.replace(PLAIN, flags=("avx2", "avx512")), "cpu", "float32"),
        (dataclasses.replace(PLAIN, flags=("arm_bf16", "neon")), "cpu", "float32"),
        (dataclasses.replace(PLAIN, flags=("avx2", "avx512", "avx512_bf16")), "cpu", "bfloat16"),
        (dataclasses.replace(PLAIN, flags=("amx_bf16",)), "cpu", "bfloat16"),
        (with_gpu((9, 0)), "cuda", "bfloat16"),
        (with_gpu((8, 0)), "cuda", "bfloat16"),
        (with_gpu((7, 5)), "cuda", "float16"),
        (with_gpu(None), "cuda", "bfloat16"),
    ],
)
def test_the_numbers_fit_the_machine(machine: Machine, device: str, dtype: str) -> None:
    choice = compute(machine)
    assert (choice.device, choice.dtype) == (device, dtype)
    assert choice.reason


def test_a_person_may_insist() -> None:
    assert compute(PLAIN, "bfloat16").dtype == "bfloat16"
    assert "float32 would suit" in compute(PLAIN, "bfloat16").reason
    assert compute(PLAIN, "float32").reason == "set by hand"
    assert compute(with_gpu((8, 0)), "float16").device == "cuda"


def test_float16_on_a_cpu_is_refused() -> None:
    with pytest.raises(InvalidInput, match="can't be used on a CPU"):
        compute(PLAIN, "float16")


def test_the_cpu_is_read_from_the_kernels_list(tmp_path: Path) -> None:
    listed = tmp_path / "cpuinfo"
    listed.write_text(INTEL)
    assert read_cpu(listed) == ("Intel(R) Xeon(R) Platinum 8480+", ("amx_bf16", "avx2", "avx512", "avx512_bf16"))
    listed.write_text(ARM)
    assert read_cpu(listed)[1] == ("arm_bf16", "neon")
    name, flags = read_cpu(tmp_path / "none")
    assert name
    assert flags == ()


def test_a_container_limits_cores_and_memory(tmp_path: Path) -> None:
    unlimited = usable_cores(tmp_path)
    assert unlimited >= 1
    assert container_memory(tmp_path) == (0, 0)
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("400\n")
    assert usable_cores(tmp_path) == 1
    assert container_memory(tmp_path) == (1000, 400)
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert usable_cores(tmp_path) == unlimited
    assert container_memory(tmp_path) == (0, 0)


def test_this_machine_can_be_looked_at_and_written_down() -> None:
    machine = probe()
    assert machine.cpu
    assert machine.cores >= 1
    assert 0 < machine.ram_available <= machine.ram_total
    assert {"torch", "transformers", "peft", "gradio"} <= machine.versions.keys()
    assert (machine.gpu is None) == (machine.vram is None)
    json.dumps(dataclasses.asdict(machine))
    assert compute(machine).device in ("cpu", "cuda")
