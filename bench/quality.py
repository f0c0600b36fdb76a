"""`python -m bench.quality [FIRST LAST]`: plant defects by each seed, scan, print recall and precision of each kind."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench import planted_en, planted_ja
from bench.planted import CONTEXT_TOKENS, KINDS, Material, Planted, count_tokens, make
from studio.detectors.encoder import embed
from studio.detectors.scan import scan
from studio.rows import Flag

MATERIALS: dict[str, Material] = {"en": planted_en.MATERIAL, "ja": planted_ja.MATERIAL}
PAIRED = {"near-duplicate", "contradiction"}


@dataclass(frozen=True)
class Figures:
    """How one kind did on one set. Precision counts flags; recall counts planted rows."""

    kind: str
    planted: int
    found: int
    flags: int
    right: int

    @property
    def recall(self) -> float:
        return self.found / self.planted

    @property
    def precision(self) -> float:
        return self.right / self.flags if self.flags else 1.0


def scanned(made: Planted, *, with_encoder: bool = True) -> list[Flag]:
    return scan(
        made.rows,
        language=made.language,
        context_tokens=CONTEXT_TOKENS,
        count_tokens=count_tokens,
        embed=embed if with_encoder else None,
    )


def figures(made: Planted, flags: Sequence[Flag]) -> list[Figures]:
    """One row for each kind of planted defect. A near-duplicate equal but for spacing may be called a duplicate."""
    out = []
    for kind in KINDS:
        alias = {kind, "duplicate"} if kind == "near-duplicate" else {kind}
        own = [f for f in flags if f.kind in alias]
        right = [f for f in own if made.is_right(f, kind)]
        found = {name for f in right for name in (f.example_id, f.other_id) if name in made.defects[kind]}
        out.append(Figures(kind, len(made.defects[kind]), len(found), len(own), len(right)))
    return out


def table(every: Sequence[tuple[str, list[Figures]]]) -> str:
    lines = ["| set | " + " | ".join(KINDS) + " |", "|---|" + "---:|" * len(KINDS)]
    for name, row in every:
        lines.append(f"| {name} | " + " | ".join(f"{f.recall:.2f} / {f.precision:.2f}" for f in row) + " |")
    return "\n".join(lines)


def pooled(runs: Sequence[list[Figures]]) -> list[Figures]:
    """The figures of several sets added up."""
    return [
        Figures(same[0].kind, *(sum(getattr(f, name) for f in same) for name in ("planted", "found", "flags", "right")))
        for same in zip(*runs, strict=True)
    ]


def main(arguments: Sequence[str]) -> int:
    first, last = (int(a) for a in arguments) if arguments else (0, 9)
    every = []
    for language, material in MATERIALS.items():
        for with_encoder in (True, False):
            start = time.perf_counter()
            made = [make(material, seed) for seed in range(first, last + 1)]
            runs = [figures(m, scanned(m, with_encoder=with_encoder)) for m in made]
            seconds = (time.perf_counter() - start) / len(made)
            name = f"{language}, {'encoder' if with_encoder else 'no encoder'}"
            every.append((f"{name}, {seconds:.1f} s each", pooled(runs)))
            every.append((f"{name}, the worst of them", [_worst(same) for same in zip(*runs, strict=True)]))
    print(f"Recall / precision, seeds {first} to {last}: 500 rows each, 20 planted of each kind\n")
    print(table(every))
    return 0


def _worst(same: Sequence[Figures]) -> Figures:
    """The lowest recall and the lowest precision of several sets, as one row of hundredths."""
    recall, precision = (round(100 * min(getattr(f, name) for f in same)) for name in ("recall", "precision"))
    return Figures(same[0].kind, 100, recall, 100, precision)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
