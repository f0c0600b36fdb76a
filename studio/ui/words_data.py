"""The texts of the Data tab, in English and Japanese; part of the table in `words`."""

from __future__ import annotations

EN: dict[str, str] = {
    "app.data.tab": "Data",
    "app.data.rows": "Examples",
    "app.data.add": "Add and import",
    "app.data.export": "Export",
    "app.data.quality": "Quality",
    "app.data.sets": "Split and snapshots",
    "app.data.rules": "Guidelines",
    "app.data.augment": "More examples",
    "app.data.cancel": "Cancel",
}

JA: dict[str, str] = {
    "app.data.tab": "データ",
    "app.data.rows": "例",
    "app.data.add": "追加と読み込み",
    "app.data.export": "書き出し",
    "app.data.quality": "品質",
    "app.data.sets": "分割とスナップショット",
    "app.data.rules": "ガイドライン",
    "app.data.augment": "例を増やす",
    "app.data.cancel": "中止",
}
