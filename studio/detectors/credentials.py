"""Secrets: keys, tokens and passwords, by the patterns of `detect-secrets`. Nothing is verified over a network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from studio import reasons
from studio.detectors.text import turns_of
from studio.records import Example
from studio.rows import Flag

_PROMISING = re.compile(
    r"[A-Za-z0-9_/+=.-]{16,}|-----BEGIN|://[^/\s]+:[^/\s]+@|pass|pwd|secret|token|key|credential|パスワード|暗証",
    re.IGNORECASE,
)
_PASSWORD = re.compile(
    r"(?:password|passphrase|passwd|pwd|api[ _-]?key|secret[ _-]?key|パスワード|暗証番号)"
    r"\s*(?:is|was|[:=：＝は])+\s*[\"'「]?"
    r"(?P<value>(?=[^\s\"'」]*\d)(?=[^\s\"'」]*[A-Za-z])[!-~]{6,64})",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"x{4,}|\*{3,}|<[^>]*>|\{[^}]*\}|\.\.\.|example|your[_-]?|dummy|placeholder|changeme", re.IGNORECASE
)
_PLAIN_NAMES = {"Basic Auth Credentials": "Password in a web address", "JSON Web Token": "Sign-in token (JWT)"}
_VENDOR = re.compile(r"\b(?:sk-(?:ant-|proj-)?[A-Za-z0-9_-]{24,}|hf_[A-Za-z0-9]{30,}|AIza[A-Za-z0-9_-]{35})\b")
"""Keys of model services in the forms they have had since the library's last release (2024)."""


def secrets(example: Example) -> list[Flag]:
    """One flag for each secret; the reason shows its first four characters only."""
    return [
        Flag(
            example.id,
            "secret",
            reasons.say("secret", "found", what=what, text=text[start : start + 4]),
            span=(start, end),
            field=field,
        )
        for field, text in turns_of(example)
        for what, start, end in find(text)
    ]


def find(text: str) -> list[tuple[str, int, int]]:
    """What each secret is, from, to."""
    if not _PROMISING.search(text):
        return []
    found: dict[tuple[int, int], str] = {}
    for pattern, what in ((_VENDOR, "API key"), (_PASSWORD, "Password")):
        for match in pattern.finditer(text):
            span = match.span("value") if "value" in pattern.groupindex else match.span()
            if not _PLACEHOLDER.search(match[0]):
                found.setdefault(span, what)
    for what, value in _by_library(text):
        start = text.find(value)
        if start >= 0 and not _PLACEHOLDER.search(value):
            found.setdefault((start, start + len(value)), what)
    kept: list[tuple[str, int, int]] = []
    for (start, end), what in sorted(found.items()):
        if not kept or start >= kept[-1][2]:
            kept.append((what, start, end))
    return kept


def _by_library(text: str) -> Iterator[tuple[str, str]]:
    for plugin in _plugins():
        for line in text.splitlines() if len(text) > 4000 else (text,):
            for value in plugin.analyze_string(line):
                # A pattern with a group yields the group: find the whole match again.
                whole = next((m[0] for p in plugin.denylist if (m := p.search(line)) and value in m[0]), value)
                what = str(plugin.secret_type)
                yield _PLAIN_NAMES.get(what, what), whole


@lru_cache(maxsize=1)
def _plugins() -> tuple[Any, ...]:
    """The plugins whose secrets have a form. Those by entropy or a variable's name cry wolf in prose."""
    from detect_secrets.plugins import (
        artifactory,
        aws,
        azure_storage_key,
        basic_auth,
        discord,
        github_token,
        gitlab_token,
        jwt,
        mailchimp,
        npm,
        openai,
        private_key,
        pypi_token,
        sendgrid,
        slack,
        square_oauth,
        stripe,
        telegram_token,
        twilio,
    )  # fmt: skip

    return (
        artifactory.ArtifactoryDetector(), aws.AWSKeyDetector(), azure_storage_key.AzureStorageKeyDetector(),
        basic_auth.BasicAuthDetector(), discord.DiscordBotTokenDetector(), github_token.GitHubTokenDetector(),
        gitlab_token.GitLabTokenDetector(), jwt.JwtTokenDetector(), mailchimp.MailchimpDetector(), npm.NpmDetector(),
        openai.OpenAIDetector(), private_key.PrivateKeyDetector(), pypi_token.PypiTokenDetector(),
        sendgrid.SendGridDetector(), slack.SlackDetector(), square_oauth.SquareOAuthDetector(), stripe.StripeDetector(),
        telegram_token.TelegramBotTokenDetector(), twilio.TwilioKeyDetector(),
    )  # fmt: skip
