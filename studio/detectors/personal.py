"""Personal data: e-mail addresses, telephone numbers, cards, accounts, identity numbers, postal and IP addresses.

Telephone numbers by libphonenumber (`phonenumbers`), check digits by `python-stdnum`; both work from tables of their
own, without a network. Names of people are not looked for: that needs a language model, and every answer has some.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterator

import phonenumbers
from phonenumbers import Leniency, PhoneNumberMatcher
from stdnum import iban, luhn
from stdnum.jp import in_ as my_number
from stdnum.us import ssn

from studio import reasons
from studio.detectors.text import turns_of
from studio.records import Example
from studio.rows import Flag

Found = tuple[str, int, int]
"""What it is, from, to."""

_EMAIL = re.compile(
    r"(?<![\w.+-])[a-z0-9][\w.+-]{0,63}@(?:[a-z0-9-]{1,63}\.)+[a-z]{2,24}(?![\w@])", re.IGNORECASE | re.ASCII
)
_RESERVED = re.compile(r"[@.]example(?:\.(?:com|org|net))?$|\.(?:test|invalid|localhost)$", re.IGNORECASE)
"""Domains set aside for examples (RFC 2606)."""
_CARD = re.compile(
    r"(?<![\d.-])(?:\d{13,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}|\d{4}([ -])\d{6}\2\d{4,5})(?![\d-]|\s*[-+*/×=]\s*\d)"
)
_CARD_BRANDS = re.compile(r"4|5[1-5]|2[2-7]|3[47]|3[05689]|35|6(?:011|5|4[4-9])|62")
_IBAN = re.compile(r"(?<![A-Z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Z0-9])")
_SSN = re.compile(r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])")
_IP = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)", re.ASCII)
_VERSION = re.compile(r"(?:version|firmware|build|release|v|バージョン|版)[^.!?。\n]{0,40}$", re.IGNORECASE)
_TWELVE = re.compile(r"(?<![\d-])\d{4}[ -]?\d{4}[ -]?\d{4}(?![\d-])")
_MY_NUMBER = re.compile(r"マイナンバー|個人番号|my ?number", re.IGNORECASE)
_POSTCODE = re.compile(r"〒\s*\d{3}[-‐−ー]?\d{4}(?:\s*[一-龯ぁ-んァ-ヴー々]{2,}[一-龯ぁ-んァ-ヴー々\d‐−ー-]*)?")
_PREFECTURE = re.compile(
    r"(?:東京都|北海道|(?:大阪|京都)府|[一-龯]{2,3}県)[一-龯ぁ-んァ-ヴ々]{1,12}?[市区町村郡][一-龯ぁ-んァ-ヴ々]{1,16}\d{1,4}(?:丁目|番地?|[-‐−ー]\d)[\d‐−ー-]*"
)
_STREET = re.compile(
    r"\b\d{1,5} (?:[A-Z][a-z]+ ){1,3}(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Way|Court|Ct)\b\.?"
    r",? (?:[A-Z][a-z]+ ?){1,3},? (?:[A-Z]{2} \d{5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2})\b"
)
_PHONE_LIKE = re.compile(r"[+＋(]?\d[\d\s().‐−ー-]{7,}\d")
_NOT_A_PHONE = re.compile(
    r"(?:order|part|serial|batch|model|article|item|tracking|parcel|ref(?:erence)?|isbn|invoice|ticket|case|id|no|number|code"
    r"|注文|部品|製造|品番|型番|追跡|番号|伝票|整理)\W{0,4}(?:(?:no|number|code|番号|コード)\W{0,3})?(?:is|was|の|は|:)?\s*$",
    re.IGNORECASE,
)
_DATE = re.compile(r"(?:19|20)\d\d[-/.年]\d{1,2}(?:\D|$)")
_SUM = re.compile(r"\d\s*[/*×=÷]\s*\d|[=*×÷]\s*\d|\d\s*[=*×÷]|^\+\s|\d\s+[-+]\s+\d|[+]\s\d")
"""Arithmetic."""
_IS_A_PHONE = re.compile(
    r"phone|mobile|cell|call|tel|fax|ring|whatsapp|text me|電話|携帯|連絡|ファックス|ＦＡＸ", re.IGNORECASE
)


def personal(example: Example, language: str = "en") -> list[Flag]:
    """One flag for each kind of personal data in each text of a row."""
    flags = []
    for field, text in turns_of(example):
        seen: set[str] = set()
        for what, start, end in find(text, language):
            if what not in seen:
                seen.add(what)
                reason = reasons.say("pii", "found", what=what, text=text[start:end].strip())
                flags.append(Flag(example.id, "pii", reason, span=(start, end), field=field))
    return flags


def find(text: str, language: str = "en") -> list[Found]:
    """Every piece of personal data in a text; overlaps go to what has the better proof."""
    if not any(c.isdigit() for c in text) and "@" not in text:
        return []
    even = "".join(_even(c) for c in text)
    taken: list[Found] = []
    for search in _SEARCHES:
        for found in search(even, language):
            if not any(found[1] < end and start < found[2] for _, start, end in taken):
                taken.append(found)
    return sorted(taken, key=lambda f: f[1])


def _even(char: str) -> str:
    """Full-width signs as narrow ones, one for one, so that spans stay true."""
    narrow = unicodedata.normalize("NFKC", char)
    return narrow if len(narrow) == 1 and char != "〒" else char


def _emails(text: str, language: str) -> Iterator[Found]:
    for match in _EMAIL.finditer(text):
        if not _RESERVED.search(match[0]):
            yield "E-mail address", *match.span()


def _ibans(text: str, language: str) -> Iterator[Found]:
    for match in _IBAN.finditer(text):
        if iban.is_valid(match[0]):
            yield "Bank account (IBAN)", *match.span()


def _cards(text: str, language: str) -> Iterator[Found]:
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if len(set(digits)) > 3 and _CARD_BRANDS.match(digits) and luhn.is_valid(digits):
            yield "Card number", *match.span()


def _my_numbers(text: str, language: str) -> Iterator[Found]:
    """Twelve digits with a right check digit come by chance one time in eleven, so the word must stand near them."""
    for match in _TWELVE.finditer(text):
        if _MY_NUMBER.search(text, max(0, match.start() - 30), match.end() + 15) and my_number.is_valid(match[0]):
            yield "My Number (個人番号)", *match.span()


def _ssns(text: str, language: str) -> Iterator[Found]:
    for match in _SSN.finditer(text):
        if ssn.is_valid(match[0]):
            yield "Social security number", *match.span()


def _ips(text: str, language: str) -> Iterator[Found]:
    for match in _IP.finditer(text):
        try:
            address = ipaddress.ip_address(match[0])
        except ValueError:
            continue
        if address.is_global and not _VERSION.search(text, max(0, match.start() - 60), match.start()):
            yield "IP address", *match.span()


def _addresses(text: str, language: str) -> Iterator[Found]:
    for pattern in (_POSTCODE, _PREFECTURE, _STREET):
        for match in pattern.finditer(text):
            yield "Postal address", *match.span()


def _phones(text: str, language: str) -> Iterator[Found]:
    if not _PHONE_LIKE.search(text):
        return
    seen: set[int] = set()
    for region in _REGIONS.get(language, ("US", "GB")):
        for match in PhoneNumberMatcher(text, region, leniency=Leniency.VALID):
            if match.start not in seen and _is_phone(text, match):
                seen.add(match.start)
                yield "Telephone number", match.start, match.end


def _is_phone(text: str, match: phonenumbers.PhoneNumberMatch) -> bool:
    """A valid number that isn't called something else. Without `+` it must be grouped or called a telephone number."""
    before = text[max(0, match.start - 40) : match.start]
    after = text[match.end : match.end + 20]
    if (
        _DATE.match(match.raw_string)
        or _SUM.search(match.raw_string)
        or _SUM.search(before[-4:] + "1")
        or _SUM.search("1" + after[:4])
    ):
        return False
    if match.raw_string.startswith(("+", "＋")):
        return True
    if _NOT_A_PHONE.search(before):
        return False
    around = before + after
    number_type = phonenumbers.number_type(match.number)
    if number_type == phonenumbers.PhoneNumberType.TOLL_FREE and not _IS_A_PHONE.search(around):
        return False
    return _IS_A_PHONE.search(around) is not None or re.search(r"[\s()-]", match.raw_string.strip()) is not None


_REGIONS = {
    "ja": ("JP", "US"), "en": ("US", "GB"), "de": ("DE", "AT", "CH"), "fr": ("FR", "BE", "CH"),
    "es": ("ES", "MX"), "it": ("IT",), "nl": ("NL", "BE"), "pt": ("BR", "PT"),
    "zh": ("CN", "TW", "HK"), "ko": ("KR",), "pl": ("PL",),
}  # fmt: skip
_SEARCHES: tuple[Callable[[str, str], Iterator[Found]], ...] = (
    _emails, _ibans, _my_numbers, _cards, _ssns, _addresses, _ips, _phones,
)  # fmt: skip
