"""Writing rows for other tools: streamed under a temporary name, then renamed; the same rows give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

from studio.errors import InvalidInput, Phrase
from studio.formats import llama_factory
from studio.formats.atomic import file_sha256, replaced
from studio.formats.card import Card
from studio.formats.folder import write_folder
from studio.formats.render import FORMATS, FormatName, llama_factory_rows
from studio.formats.sinks import Json, make_sink
from studio.formats.written import Tally, Written, fitting, written_of
from studio.records import Example

ENDINGS: Mapping[FormatName, str] = {
    "alpaca": ".json", "sharegpt": ".json", "openai": ".jsonl", "trl-messages": ".jsonl",
    "trl-prompt-completion": ".jsonl", "trl-dpo": ".jsonl", "trl-kto": ".jsonl", "csv": ".csv", "parquet": ".parquet",
    "hf": "",
}  # fmt: skip
"""The usual ending of each format's file; `hf` is a folder."""
_WITH_ENTRY = ("alpaca", "sharegpt", "trl-dpo", "trl-kto")


def write(
    format: FormatName,
    examples: Iterable[Example],
    out: Path,
    *,
    plain: bool = False,
    name: str = "",
    card: Card | None = None,
) -> Written:
    """Write `examples` to `out`, all of it or nothing.

    Args:
        plain: without the column `studio`, for validators that refuse what they don't know. It loses what the format
            has no place for.
        name: the entry's name in `dataset_info.json`; empty: the file's.
        card: for `hf`.

    Raises:
        InvalidInput: no such format, or `out` can't be written.
    """
    if format not in FORMATS:
        raise InvalidInput(
            Phrase("There is no format {format!r}.", format=format),
            Phrase("There are: {names}.", names=", ".join(FORMATS)),
        )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if format == "hf":
            return write_folder(examples, out, plain, card or Card(name or out.name))
        return _write_file(format, examples, out, plain, name or out.stem)
    except OSError as error:
        raise InvalidInput(
            Phrase("{path} can't be written: {reason}.", path=out, reason=error.strerror or error)
        ) from error


def _write_file(format_: FormatName, examples: Iterable[Example], out: Path, plain: bool, name: str) -> Written:
    tally = Tally()
    copy = out.parent / f"{out.stem}.sharegpt.json" if format_ in ("trl-dpo", "trl-kto") else None
    info = out.parent / llama_factory.NAME
    if copy is not None and copy.exists() and not llama_factory.names_file(info, copy.name):
        raise InvalidInput(
            Phrase("{path} would be written too, and is there already.", path=copy), "Choose another name, or move it."
        )
    with ExitStack() as stack:
        temporary = stack.enter_context(replaced(out))
        sink = make_sink(format_, temporary, plain)
        stack.callback(sink.close)
        second = None
        if copy is not None:
            second = Json(stack.enter_context(replaced(copy)), is_list=True)
            stack.callback(second.close)
        for example, rows in fitting(format_, examples, plain, tally):
            if not plain:
                tally.expect(out, example)
            for row in rows:
                sink.add(row)
                tally.columns.update(row)
            if second is not None:
                for row in llama_factory_rows(format_, example):
                    second.add(row)
                    tally.columns.update(row)
        if format_ in _WITH_ENTRY:
            entry = llama_factory.entry(format_, (copy or out).name, tally.columns)
            target = stack.enter_context(replaced(info))
            target.write_text(llama_factory.with_entry(info, name, entry), encoding="utf-8")
    extra_files = [copy] if copy else []
    if format_ in _WITH_ENTRY:
        extra_files.append(info)
    return written_of(format_, out, tally, file_sha256(out), (out, *extra_files), plain)
