"""Make `en.tsv` and `ja.tsv` from WordNet 3.1 and the Sudachi synonym dictionary (see README.md beside this file).

python data/thesaurus/make.py WORDNET_DICT_FOLDER SUDACHI_SYNONYMS_JSON
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
POS = {"1": "n", "2": "v", "3": "a", "5": "a", "4": "r"}
PLAIN = re.compile(r"[a-z]{3,}(?:_[a-z]+)?")
ONE_KIND = 0.6
"""Least share of a word's uses in tagged text that must be of one part of speech."""
ONE_SENSE = 0.5
"""Least share of those that must be in its first sense: without it a synonym would often be of another one."""
SYNONYM_SENSE = 0.2
"""Least share of a synonym's own uses that must be in the sense that is meant."""
USUAL = 0.25
"""Least use of a synonym, as a share of the most used one's: "require" for "need", but not "necessitate"."""

Senses = dict[tuple[str, str], list[tuple[int, str, int]]]
"""(word, part of speech) → (number of the sense, synset, uses in tagged text)"""


def english(dict_folder: Path) -> Iterator[tuple[str, str, list[str]]]:
    """(word, part of speech, synonyms) for words with one main sense; the synonyms are in use in that same sense."""
    senses: Senses = defaultdict(list)
    for line in (dict_folder / "index.sense").read_text(encoding="utf-8").splitlines():
        key, synset, number, count = line.split()
        lemma, _, rest = key.partition("%")
        senses[lemma, POS[rest[0]]].append((int(number), synset, int(count)))
    uses: dict[str, int] = defaultdict(int)
    kinds: dict[str, int] = defaultdict(int)
    for (lemma, _), found in senses.items():
        uses[lemma] += sum(count for *_, count in found)
        kinds[lemma] += 1
    members: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    for (lemma, pos), found in senses.items():
        total = sum(count for *_, count in found)
        for number, synset, count in found:
            is_usual = count and number <= 2 and count >= SYNONYM_SENSE * max(total, uses[lemma])
            if is_usual and PLAIN.fullmatch(lemma):
                members[synset, pos].append((-count, lemma))
    for (lemma, pos), found in sorted(senses.items()):
        total = sum(count for *_, count in found)
        _, synset, count = min(found)
        is_only = kinds[lemma] == 1 and len(found) == 1
        is_main = total and total >= ONE_KIND * uses[lemma] and count >= ONE_SENSE * total
        ranked = [(use, other) for use, other in sorted(members[synset, pos]) if other != lemma]
        others = [other.replace("_", " ") for use, other in ranked if use <= USUAL * ranked[0][0]]
        if pos == "v":
            # "Call it off", not "call off it": a verb of two words needs more than putting it in.
            others = [other for other in others if " " not in other]
        # In -ing it is as often another part of speech, or stands before a noun: hiking boots, a fitting.
        is_usable = PLAIN.fullmatch(lemma) and "_" not in lemma and (pos == "v" or not lemma.endswith("ing"))
        if is_usable and others and (is_only or is_main):
            yield lemma, pos, others


def japanese(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    """(word, kind, synonyms) from the groups' words as they are mainly written; abbreviations, translations, former
    names and mistakes are left out."""
    groups: dict[str, set[str]] = defaultdict(set)
    kinds: dict[str, str] = {}
    times: dict[str, int] = defaultdict(int)
    for group in json.loads(path.read_text(encoding="utf-8")):
        usable = [
            item["midashi"]
            for item in group["items"]
            if item["expandControl"] == 0
            and item["gokeiSyubetsu"] in ("代表語", "未定義")
            and item["ryakusyou"] in ("代表語形", "未定義")
            and item["hyoukiYure"] in ("代表表記", "未定義")
            and re.fullmatch(r"[ぁ-ゖァ-ヺー一-鿿々]{2,8}", item["midashi"])
        ]
        for word in dict.fromkeys(usable):
            times[word] += 1
            groups[word] |= set(usable) - {word}
            kinds[word] = "n" if group["items"][0]["taigenYogen"] == "体言" else "v"
    for word in sorted(groups):
        # A word in several groups has several meanings.
        others = sorted(o for o in groups[word] if times[o] == 1)
        if times[word] == 1 and others and len(others) <= 8:
            yield word, kinds[word], others


def write(path: Path, rows: Iterator[tuple[str, str, list[str]]]) -> None:
    text = "".join(f"{word}\t{kind}\t{'|'.join(others)}\n" for word, kind, others in rows)
    path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write(HERE / "en.tsv", english(Path(sys.argv[1])))
    write(HERE / "ja.tsv", japanese(Path(sys.argv[2])))
