"""A made-up data set of any size: rows of about 1 KB, English and some Japanese, a few of them twice."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson

SEED = 2026
ROW_BYTES = 1000
"""Bytes of UTF-8 that a row's line has, about."""
JAPANESE_EVERY = 8
TWICE_EVERY = 1000
"""One row in so many stands in the file again."""
RARE_EN, RARE_JA = "quixotrope", "螺鈿細工"
"""Words that a thousandth of the rows have."""
COMMON_EN, COMMON_JA = "the", "図書館"
ABSENT_EN, ABSENT_JA = "zzyzxq", "鼈甲飴屋"

_COMMON = (
    "the of to and a in is it you that was for on are with as they be at one have this from or had by not but what"
    " some we can out other were all there when up use your how said an each she which do their time if will way about"
    " many then them write would like so these her long make thing see him two has look more day could go come did"
    " number sound no most people my over know water than call first who may down side been now find any new work part"
    " take get place made live where after back little only round man year came show every good me give our under name"
    " very through just form sentence great think say help low line differ turn cause much mean before move right boy"
    " old too same tell does set three want air well also play small end put home read hand port large spell add even"
    " land here must big high such follow act why ask men change went light kind off need house picture try us again"
    " animal point mother world near build self earth father"
).split()
_JA_COMMON = (
    "図書館 開館 時間 本 貸出 返却 予約 利用 カード 手続き 窓口 電話 確認 必要 可能 場合 期限 延長 資料 検索 お知らせ"
    " 変更 登録 案内 質問 回答 説明 方法 お客様 商品 注文 配送 料金 無料 有料 午前 午後 月曜日 火曜日 休館日 来週"
    " 今日 明日 担当"
).split()
_JA_LINKS = ("は", "が", "を", "に", "で", "の", "と", "から", "まで", "も")
_JA_ENDS = ("です。", "ます。", "ました。", "ください。", "できます。", "ありません。")
_SYLLABLES = (
    "ba ce di fo gu la me ni po ru sa te vi zo cra dle fri glo nes pra ston tri ver wen xar yol bri chu".split()
)


def vocabulary(size: int = 30_000) -> list[str]:
    """Words as common as natural ones: real ones first, then made-up ones of two to four syllables."""
    dice, words = random.Random(SEED), dict.fromkeys(_COMMON)
    while len(words) < size:
        words["".join(dice.choices(_SYLLABLES, k=dice.randint(2, 4)))] = None
    return list(words)


def japanese(size: int = 3000) -> list[str]:
    dice, words = random.Random(SEED), dict.fromkeys(_JA_COMMON)
    while len(words) < size:
        words["".join(chr(dice.randint(0x4E00, 0x6FFF)) for _ in range(dice.choice((1, 2, 2, 3))))] = None
    return list(words)


class Rows:
    """Row number `i` is the same in every run."""

    def __init__(self) -> None:
        self.en, self.ja = vocabulary(), japanese()
        self._ranks = {name: _zipf(len(words)) for name, words in (("en", self.en), ("ja", self.ja))}

    def batch(self, start: int, count: int) -> list[dict[str, Any]]:
        """Rows `start` to `start + count` in Alpaca's shape."""
        dice = np.random.default_rng((SEED, start))
        words = self._draw(dice, "en", self.en, count * 170)
        signs = self._draw(dice, "ja", self.ja, (count // JAPANESE_EVERY + 1) * 150)
        rows = []
        for i in range(start, start + count):
            if i % JAPANESE_EVERY == JAPANESE_EVERY - 1:
                rows.append(_japanese_row(i, [next(signs) for _ in range(110)]))
            else:
                rows.append(_english_row(i, [next(words) for _ in range(150)]))
        return rows

    def _draw(self, dice: np.random.Generator, name: str, words: list[str], count: int) -> Iterator[str]:
        picked = np.searchsorted(self._ranks[name], dice.random(count))
        return map(words.__getitem__, picked.tolist())


def _zipf(size: int) -> Any:
    weights = 1 / np.arange(2, size + 2)
    return np.cumsum(weights / weights.sum())


def _english_row(i: int, words: list[str]) -> dict[str, Any]:
    if i % 1000 == 3:
        words[40] = RARE_EN
    sentences = [" ".join(words[j : j + 12]).capitalize() + "." for j in range(30, len(words), 12)]
    question = f"{' '.join(words[:16]).capitalize()} {i}?"
    return {"instruction": question, "input": " ".join(words[16:30]) if i % 3 else "", "output": " ".join(sentences)}


def _japanese_row(i: int, words: list[str]) -> dict[str, Any]:
    if i % 1000 == 7:
        words[40] = RARE_JA
    text = "".join(
        word + (_JA_ENDS[(i + j) % 6] if j % 8 == 7 else _JA_LINKS[(i + 3 * j) % 10]) for j, word in enumerate(words)
    )
    return {"instruction": f"{text[:40]}({i})", "input": "", "output": text[40:]}


def write(path: Path, count: int, batch: int = 5000) -> int:
    """Write `count` different rows as JSON Lines, some of them twice; returns the number of lines."""
    rows, lines = Rows(), 0
    with path.open("wb", buffering=1 << 20) as out:
        for start in range(0, count, batch):
            some = rows.batch(start, min(batch, count - start))
            some += some[::TWICE_EVERY]
            for row in some:
                out.write(orjson.dumps(row) + b"\n")
            lines += len(some)
    return lines
