"""What this machine can do, and what follows for how numbers are computed."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from studio.errors import InvalidInput

CPU_FLAGS = {
    "avx2": "avx2",
    "avx512f": "avx512",
    "avx512_bf16": "avx512_bf16",
    "amx_bf16": "amx_bf16",
    "asimd": "neon",
    "bf16": "arm_bf16",
}
"""The flags that decide anything, as the kernel writes them and as the studio does."""

PACKAGES = (
    "torch", "transformers", "peft", "trl", "accelerate", "bitsandbytes", "datasets", "gradio", "duckdb",
    "huggingface_hub", "gguf", "safetensors",
)  # fmt: skip

BF16_FROM_CAPABILITY = (8, 0)
"""The first NVIDIA generation (Ampere) with bfloat16 in its tensor cores."""


@dataclass(frozen=True)
class Machine:
    """A computer, as far as it matters for serving and training."""

    cpu: str
    cores: int
    """Usable by this process: affinity and container limits counted."""
    flags: tuple[str, ...]
    """Of `CPU_FLAGS`, sorted."""
    ram_total: int
    """Bytes in all, or the container's limit."""
    ram_available: int
    """Bytes that can be had without swapping."""
    gpu: str | None = None
    vram: int | None = None
    """Bytes in all."""
    vram_free: int | None = None
    capability: tuple[int, int] | None = None
    """CUDA compute capability; None for a GPU of another make."""
    os: str = ""
    python: str = ""
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Compute:
    """Where and in which numbers to compute, and why."""

    device: str
    """`cpu` or `cuda`."""
    dtype: str
    """`float32`, `bfloat16` or `float16`."""
    reason: str


def compute(machine: Machine, dtype_setting: str = "auto") -> Compute:
    """Choose device and number type for a machine.

    On a CPU without bfloat16 instructions bfloat16 is several times slower than float32, so it must not be the default
    there (measured: 17 against 116 GFLOP/s).

    Args:
        dtype_setting: `auto`, or the type a person insists on.

    Raises:
        InvalidInput: float16 on a CPU, where training overflows and most operations are missing or slow.
    """
    device = "cuda" if machine.gpu else "cpu"
    if dtype_setting == "auto":
        return Compute(device, *(_gpu_dtype(machine) if machine.gpu else _cpu_dtype(machine)))
    if device == "cpu" and dtype_setting == "float16":
        raise InvalidInput("float16 can't be used on a CPU.", "Set STUDIO_DTYPE to auto, float32 or bfloat16.")
    best = compute(machine).dtype
    doubt = "" if best == dtype_setting else f"; {best} would suit this machine better"
    return Compute(device, dtype_setting, f"set by hand{doubt}")


def _gpu_dtype(machine: Machine) -> tuple[str, str]:
    if machine.capability is None:
        return "bfloat16", f"{machine.gpu} is not an NVIDIA GPU; current ones compute in bfloat16"
    version = ".".join(map(str, machine.capability))
    if machine.capability >= BF16_FROM_CAPABILITY:
        return "bfloat16", f"{machine.gpu} computes in bfloat16 (compute capability {version})"
    return "float16", f"{machine.gpu} has no fast bfloat16 (compute capability {version})"


def _cpu_dtype(machine: Machine) -> tuple[str, str]:
    native = [flag for flag in ("amx_bf16", "avx512_bf16") if flag in machine.flags]
    if native:
        return "bfloat16", f"this CPU has bfloat16 instructions ({', '.join(native)})"
    return "float32", "this CPU has no bfloat16 instructions, so bfloat16 would be slower"


def probe() -> Machine:
    """Look at this machine. Imports torch, which takes seconds the first time."""
    import psutil
    import torch

    memory = psutil.virtual_memory()
    limit, used = container_memory()
    ram = min(memory.total, limit or memory.total)
    gpu = vram = vram_free = capability = None
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        vram_free, vram = torch.cuda.mem_get_info(0)
        gpu = str(properties.name)
        capability = None if torch.version.hip else (int(properties.major), int(properties.minor))
    name, flags = read_cpu()
    if not flags and sys.platform == "win32":
        seen = torch.backends.cpu.get_cpu_capability()
        flags = {"AVX2": ("avx2",), "AVX512": ("avx2", "avx512")}.get(seen, ())
    return Machine(
        cpu=name,
        cores=usable_cores(),
        flags=flags,
        ram_total=ram,
        ram_available=min(memory.available, ram - used if limit else ram),
        gpu=gpu,
        vram=vram,
        vram_free=vram_free,
        capability=capability,
        os=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        versions=versions(),
    )


def read_cpu(cpuinfo: Path = Path("/proc/cpuinfo")) -> tuple[str, tuple[str, ...]]:
    """Return the CPU's name and those of its flags that decide anything; without /proc, the name alone."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return _name_from_system(), ()
    first: dict[str, str] = {}
    for line in lines:
        key, colon, value = line.partition(":")
        if colon:
            first.setdefault(key.strip().lower(), value.strip())
    words = (first.get("flags") or first.get("features") or "").split()
    flags = tuple(sorted(CPU_FLAGS[word] for word in set(words) & CPU_FLAGS.keys()))
    return first.get("model name") or _name_from_system(), flags


def _name_from_system() -> str:
    if sys.platform == "darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        if found:
            return found
    return platform.processor() or platform.machine() or "unknown"


def usable_cores(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Count the cores that this process may use: its affinity, bounded by the container's share of CPU time."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
        share = math.ceil(int(quota) / int(period))
    except (OSError, ValueError):  # no container, or no limit ("max")
        return affinity
    return max(1, min(affinity, share))


def container_memory(cgroup: Path = Path("/sys/fs/cgroup")) -> tuple[int, int]:
    """Return the container's memory limit and what it uses, in bytes; zeros where there is no limit."""
    try:
        return int((cgroup / "memory.max").read_text()), int((cgroup / "memory.current").read_text())
    except (OSError, ValueError):
        return 0, 0


def versions() -> dict[str, str]:
    """Return the installed versions of the packages that decide a result; one that is missing is left out."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
