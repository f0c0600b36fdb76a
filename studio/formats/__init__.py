"""The files of other tools: recognised, read as drafts, written from examples, and compared after writing."""

from studio.formats.card import Card
from studio.formats.draft import Draft
from studio.formats.reading import Preview, read, recognise
from studio.formats.render import FORMATS, FormatName
from studio.formats.shapes import FIELDS, Shape
from studio.formats.verifying import Verification, verify
from studio.formats.writing import ENDINGS, write
from studio.formats.written import Written

__all__ = [
    "ENDINGS",
    "FIELDS",
    "FORMATS",
    "Card",
    "Draft",
    "FormatName",
    "Preview",
    "Shape",
    "Verification",
    "Written",
    "read",
    "recognise",
    "verify",
    "write",
]
