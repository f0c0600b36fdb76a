"""A measurement as a row, rows as a Markdown table, and the machine they hold for."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

Number = float | int | None


@dataclass(frozen=True)
class Row:
    """One measurement: ours, and the plain tool's at the same work."""

    name: str
    unit: str
    ours: Number | str
    plain: Number | str = None
    tool: str = ""
    """What `plain` is."""

    @property
    def ratio(self) -> str:
        """Ours divided by the plain tool's."""
        if not all(isinstance(v, int | float) and v for v in (self.ours, self.plain)):
            return ""
        return f"{self.ours / self.plain:.2f}"  # type: ignore[operator]


def shown(value: Number | str, unit: str) -> str:
    """A number with as many digits as it deserves, and its unit."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    digits = 0 if isinstance(value, int) or abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f} {unit}".strip()


def table(rows: Sequence[Row]) -> str:
    lines = ["| measured | ours | plain | ours ÷ plain | the plain tool |", "|---|---:|---:|---:|---|"]
    lines += [f"| {r.name} | {shown(r.ours, r.unit)} | {shown(r.plain, r.unit)} | {r.ratio} | {r.tool} |" for r in rows]
    return "\n".join(lines)


def header(is_quick: bool) -> str:
    """The machine and the versions: numbers mean nothing without them."""
    from studio.model.probe import compute, probe

    machine = probe()
    chosen = compute(machine)
    versions = {**machine.versions, "xllamacpp": _version("xllamacpp")}
    names = ("torch", "transformers", "peft", "trl", "bitsandbytes", "xllamacpp")
    packages = ", ".join(f"{name} {versions[name]}" for name in names if versions.get(name))
    flags = ", ".join(machine.flags) or "no vector flags"
    lines = [f"# Benchmark of {datetime.datetime.now(datetime.UTC):%d %B %Y}", ""]
    if is_quick:
        lines += ["**A quick run: two passes and few tokens. For trying the benchmark, not for its figures.**", ""]
    lines += [
        f"- Machine: {machine.cpu}, {machine.cores} cores, {machine.ram_total / 2**30:.0f} GiB; GPU: {machine.gpu}",
        f"- Processor flags: {flags}",
        f"- Computes in {chosen.dtype} on {chosen.device}: {chosen.reason}",
        f"- {machine.os}, Python {machine.python}, {packages}",
        f"- Load before the start: {load()} (1, 5, 15 minutes; near 0 means a quiet machine)",
    ]
    return "\n".join(lines)


def _version(name: str) -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def load() -> str:
    import os

    return ", ".join(f"{value:.1f}" for value in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
