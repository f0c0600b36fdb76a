"""Fail when the documents promise what isn't there: relative links, their anchors, and `make` targets."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
FENCE = re.compile(r"^```.*?^```\s*$", re.MULTILINE | re.DOTALL)
TARGET_USED = re.compile(r"(?:^|`)(?:[A-Z_]+=\S+ )*make ([a-z][\w-]*)", re.MULTILINE)
TARGET_DEFINED = re.compile(r"^([a-z][\w-]*):", re.MULTILINE)


def anchors(text: str) -> set[str]:
    """The anchors that a page's headings get, as GitHub makes them."""
    found: set[str] = set()
    for line in re.findall(r"^#{1,6}\s+(.+?)\s*#*$", FENCE.sub("", text), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-")
        found.add(next(s for n in range(1000) if (s := f"{slug}-{n}" if n else slug) not in found))
    return found


def faults(page: Path, targets: set[str]) -> list[str]:
    """What one page promises and doesn't keep, each as a line for the reader."""
    text = page.read_text(encoding="utf-8")
    bad = [f"make {name}: no such target" for name in TARGET_USED.findall(text) if name not in targets]
    for link in LINK.findall(FENCE.sub("", text)):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            bad.append(f"{link}: no such file")
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8")):
            bad.append(f"{link}: no such heading")
    return [f"{page.relative_to(ROOT)}: {fault}" for fault in bad]


def main() -> int:
    """Check every Markdown page that git knows of or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    targets = set(TARGET_DEFINED.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
    pages = [ROOT / name for name in listed.stdout.splitlines()]
    found = [fault for page in pages if page.exists() for fault in faults(page, targets)]
    for fault in found:
        print(fault, file=sys.stderr)
    if not found:
        print(f"docs: {len(pages)} pages, links and targets are good")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
