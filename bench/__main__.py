"""`python -m bench [--quick] [--save] [--only PART]`: measure everything and write the table.

Each measurement runs in a fresh process, ours and the plain tool's in turn. The table goes to standard output and to
`bench/results/`; with `--save` to `docs/bench.md` as well. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import datetime
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import material, report, rows_material, rows_report
from bench.child import ROOT, Failed, Measured, measure
from bench.report import Row

RESULTS = ROOT / "bench" / "results"
METHODS = ("lora", "qlora")
NUMBERS = {"float32": "TRL script in float32", "default": "TRL script, default number types"}


@dataclass
class Bench:
    """What the parts share: the material, how much to do, and what was measured so far."""

    is_quick: bool
    work: Path
    model: Path
    rows: Path
    count: int = 0
    """Rows of the part `rows`."""
    loops: dict[str, Measured] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        return 24 if self.is_quick else 128

    def run(self, name: str, module: str, *arguments: object) -> Measured:
        return measure(f"bench.{module}", arguments, self.work / f"{name}.log")

    def workspace(self, name: str) -> Path:
        """A fresh workspace with the model in it."""
        folder = self.work / name
        (folder / "models").mkdir(parents=True)
        (folder / "models" / material.DEFAULT_MODEL).symlink_to(self.model, target_is_directory=True)
        return folder

    def adapter(self, method: str) -> str:
        return str(self.loops[method].value["adapter"])


def loop(bench: Bench) -> Iterator[tuple[str, list[Row]]]:
    """Click to live, in both methods, beside TRL scripts that make as many passes."""
    plain: dict[tuple[str, str], Measured] = {}
    unfinished: list[Row] = []
    for method in METHODS:
        passes = ("2",) if bench.is_quick else ()
        bench.loops[method] = bench.run(f"loop-{method}", "loop", bench.workspace(f"loop-{method}"), method, *passes)
        for numbers in NUMBERS:
            name = f"trl-{method}-{numbers}"
            made = bench.loops[method].value["passes"]
            try:
                plain[method, numbers] = bench.run(
                    name, "plain_trl", bench.model, bench.rows, bench.work / name, method, numbers, made
                )
            except Failed as error:
                unfinished.append(Row(f"{method}: {error}", "", None, None, NUMBERS[numbers]))
        ours = bench.loops[method]
        rows = [row for n in NUMBERS if (method, n) in plain for row in _loop_rows(ours, plain[method, n], NUMBERS[n])]
        title = f"The loop with {method.replace('lora', 'LoRA').replace('q', 'Q')}: 32 corrections, {made} passes"
        yield title, [*_only_ours(ours.value), *sorted(rows, key=lambda row: _ORDER.index(row.name))]
    yield "QLoRA beside LoRA", _ratios(bench.loops, plain) + unfinished


_ORDER = (
    "start → first training step",
    "start → adapter answers",
    "end of training → first token",
    "training",
    "training speed",
    "peak memory",
    "corrections learned",
    "rewordings right",
)


def _only_ours(ours: dict[str, Any]) -> list[Row]:
    return [
        Row("click → button free again", "s", ours["return_s"]),
        Row("live → first token", "s", ours["first_token_after_live_s"]),
        Row("click → every correction asked again", "s", ours["checked_s"]),
        Row("right before training", "", f"{ours['base_learned']} of {ours['total']}"),
        Row("rewordings right before training", "", f"{ours['base_held']} of {ours['held_total']}"),
    ]


def _loop_rows(measured: Measured, plain_measured: Measured, tool: str) -> list[Row]:
    ours, plain = measured.value, plain_measured.value
    return [
        Row(_ORDER[0], "s", ours["first_step_s"], plain["first_step_s"], tool),
        Row(_ORDER[1], "s", ours["live_s"], plain["live_s"], f"{tool}, then loads both"),
        Row(_ORDER[2], "s", ours["first_token_s"], plain["first_token_s"], f"{tool}, then loads both"),
        Row(_ORDER[3], "s", ours["train_s"], plain["train_s"], tool),
        Row(_ORDER[4], "tokens/s", ours["tokens_per_s"], plain["tokens_per_s"], tool),
        Row(
            _ORDER[5],
            "MB",
            measured.peak_bytes / 1e6,
            plain_measured.peak_bytes / 1e6,
            f"{tool} alone; ours: app with its chat and worker",
        ),
        Row(_ORDER[6], f"of {ours['total']}", int(ours["learned"]), int(plain["learned"]), tool),
        Row(_ORDER[7], f"of {ours['held_total']}", int(ours["held"]), int(plain["held"]), tool),
    ]


def _ratios(ours: dict[str, Measured], plain: dict[tuple[str, str], Measured]) -> list[Row]:
    """What 4 bits cost in time. Ours may make other numbers of passes in the two methods, so a token's time counts."""
    rows = [Row("training, QLoRA ÷ LoRA", "", ours["qlora"].value["train_s"] / ours["lora"].value["train_s"])]
    speed = {method: float(ours[method].value["tokens_per_s"]) for method in METHODS}
    for numbers, tool in NUMBERS.items():
        if all((method, numbers) in plain for method in METHODS):
            theirs = {method: float(plain[method, numbers].value["tokens_per_s"]) for method in METHODS}
            of_ours, of_plain = speed["lora"] / speed["qlora"], theirs["lora"] / theirs["qlora"]
            rows.append(Row("time per token, QLoRA ÷ LoRA", "", of_ours, of_plain, tool))
    return rows


def swap(bench: Bench) -> Iterator[tuple[str, list[Row]]]:
    """A trained adapter beside the resident base, beside loading both again."""
    ours = bench.run("swap", "swap", bench.workspace("swap"), bench.adapter("lora"), bench.adapter("qlora")).value
    tool = "loads base and adapter again (PEFT)"
    unmoved = f"{'yes' if ours['base_unmoved'] else 'NO'}, {ours['tensors']} tensors"
    yield (
        "The swap",
        [
            Row("first adapter beside the base, files checked", "s", ours["first_load_s"], ours["plain_load_s"], tool),
            Row("next adapter beside the base, files checked", "s", ours["load_s"], ours["plain_load_s"], tool),
            Row("switch to a loaded adapter", "s", ours["switch_s"], ours["plain_load_s"], tool),
            Row("one token, adapter", "s", ours["first_token_adapter_s"]),
            Row("one token, back to the base", "s", ours["first_token_base_s"]),
            Row("base tensors stayed at their addresses", "", unmoved),
        ],
    )


def chat(bench: Bench) -> Iterator[tuple[str, list[Row]]]:
    """The speed of answers, beside transformers in two number types and llama.cpp."""
    adapter = bench.adapter("qlora")
    rows: list[Row] = []
    workspace = bench.workspace("chat")
    for what, arguments in (("base", ()), ("adapter", (adapter,))):
        ours = bench.run(f"chat-{what}", "chat", workspace, bench.tokens, *arguments).value
        tools = {}
        for dtype in ("float32", "bfloat16"):
            measured = bench.run(
                f"generate-{what}-{dtype}", "plain_generate", bench.model, bench.tokens, dtype, *arguments
            )
            tools[f"transformers{' and PEFT' if arguments else ''}, {dtype}"] = measured.value
        if not arguments:
            gguf = material.gguf_file(RESULTS / "cache")
            tools["llama.cpp, Q4_1"] = bench.run("llama", "plain_llama", gguf, bench.tokens).value
        for key, label, unit in (
            ("tokens_per_s", "speed of answers", "tokens/s"),
            ("first_token_s", "first token of an answer", "s"),
        ):
            rows += [Row(f"{label}, {what}", unit, ours[key], plain[key], tool) for tool, plain in tools.items()]
    yield f"The chat, {bench.tokens} tokens", rows


def start(bench: Bench) -> Iterator[tuple[str, list[Row]]]:
    """The second start of the app, offline."""
    ours = bench.run("start", "second_start", bench.workspace("start")).value
    yield (
        "The second start, offline",
        [
            Row("start → the page answers", "s", ours["page_s"]),
            Row("start → the model is ready", "s", ours["ready_s"]),
        ],
    )


def million(bench: Bench) -> Iterator[tuple[str, list[Row]]]:
    """Very many rows, beside the raw DuckDB operations."""
    file = bench.work / "million.jsonl"
    rows_material.write(file, bench.count)
    ours = bench.run("rows", "rows", file, bench.work / "rows")
    yield from rows_report.tables(ours.value, bench.run("plain_rows", "plain_rows", file, bench.work / "plain").value)


PARTS: dict[str, Callable[[Bench], Iterator[tuple[str, list[Row]]]]] = {
    "loop": loop,
    "swap": swap,
    "chat": chat,
    "start": start,
}
"""What `python -m bench` measures of the model; `rows` is measured by itself (`--only rows`)."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the studio beside the plain tools.")
    parser.add_argument("--quick", action="store_true", help="two passes and few tokens: to try the benchmark itself")
    parser.add_argument("--save", action="store_true", help="write docs/bench.md too")
    parser.add_argument(
        "--only", choices=("loop", "start", "rows"), help="one part alone (swap and chat need the loop's adapters)"
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="how many rows, with --only rows")
    options = parser.parse_args()
    date = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    work = RESULTS / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    if options.only == "rows":
        return rows_report.run(Bench(options.quick, work, work, work, options.rows), million, options.save)
    bench = Bench(
        options.quick, work, material.model_folder(RESULTS / "cache"), material.write_rows(work / "rows.jsonl")
    )
    pages, failed = [report.header(options.quick)], False
    print(pages[0], flush=True)
    for name in [options.only] if options.only else PARTS:
        try:
            for title, rows in PARTS[name](bench):
                pages.append(f"## {title}\n\n{report.table(rows)}")
                print(f"\n{pages[-1]}", flush=True)
        except (Failed, KeyError) as error:
            failed = True
            pages.append(f"## {name}: not measured\n\n{error}")
            print(f"\n{pages[-1]}", flush=True)
    text = "\n\n".join(pages) + "\n"
    (RESULTS / f"{date}.md").write_text(text, encoding="utf-8")
    if options.save and not failed:
        (ROOT / "docs" / "bench.md").write_text(text, encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
