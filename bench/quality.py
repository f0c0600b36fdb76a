"""`python -m bench.quality [SEED ...]`: plant defects, scan, and print recall and precision of each kind."""

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


def main(arguments: Sequence[str]) -> int:
    every = []
    for seed in [int(a) for a in arguments] or [0, 101]:
        for language, material in MATERIALS.items():
            made = make(material, seed)
            for with_encoder in (True, False):
                start = time.perf_counter()
                flags = scanned(made, with_encoder=with_encoder)
                name = f"{language}, seed {seed}{'' if with_encoder else ', no encoder'}"
                every.append((f"{name}, {time.perf_counter() - start:.1f} s", figures(made, flags)))
    print("Recall / precision of 20 planted rows among 500:\n")
    print(table(every))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
