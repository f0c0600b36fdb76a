"""The files of other tools: recognised, read as drafts, written from examples, and compared after writing."""

from studio.formats.card import Card
from studio.formats.columns import Batch, TooWideError, verify_columns, write_columns
from studio.formats.containers import Position, container_of, raw_rows
from studio.formats.draft import Draft
from studio.formats.encodings import Encoding, NotTextError, encoding_of, named
from studio.formats.left_out import LeftOut
from studio.formats.plain import Plain, plain_of
from studio.formats.reading import Preview, read, read_rows, recognise
from studio.formats.render import FORMATS, FormatName
from studio.formats.shapes import FIELDS, Shape, told
from studio.formats.verifying import Verification, verify
from studio.formats.writing import ENDINGS, write
from studio.formats.written import Written

__all__ = [
    "ENDINGS",
    "FIELDS",
    "FORMATS",
    "Batch",
    "Card",
    "Draft",
    "Encoding",
    "FormatName",
    "LeftOut",
    "NotTextError",
    "Plain",
    "Position",
    "Preview",
    "Shape",
    "TooWideError",
    "Verification",
    "Written",
    "container_of",
    "encoding_of",
    "named",
    "plain_of",
    "raw_rows",
    "read",
    "read_rows",
    "recognise",
    "told",
    "verify",
    "verify_columns",
    "write",
    "write_columns",
]
