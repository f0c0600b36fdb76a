import pytest

from studio.detectors.credentials import secrets
from tests.detectors.rows import row

# Put together here, so that no scanner takes the tests for a leak.
TOKENS = [
    "AKIA" + "IOSFODNN7ABCDEFG",
    "ghp_" + "abcdefghijklmnopqrstuvwxyz0123456789",
    "hf_" + "abcdefghijklmnopqrstuvwxyzABCDEFGH",
    "sk-" + "proj-abcdefghijklmnopqrstuvwxyz0123",
    "xoxb-" + "123456789012-123456789012-abcdefghijklmnopqrstuvwx",
    "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
]


@pytest.mark.parametrize("token", TOKENS)
def test_a_token_is_found_and_not_shown(token: str) -> None:
    text = f"Use {token} for now."
    (flag,) = secrets(row("How?", text))
    assert flag.span is not None
    assert text[slice(*flag.span)].startswith(token[:20])
    assert token[:12] not in flag.reason


@pytest.mark.parametrize(
    "text",
    [
        "password: Tr0ub4dor&3x",
        "The password is hunter2hunter2",
        "パスワードは「abc12345」です",
        "https://ana:pa55word@host.org/x",
        "-----BEGIN RSA PRIVATE KEY-----",
    ],
)
def test_a_password(text: str) -> None:
    assert [f.kind for f in secrets(row("How?", text))] == ["secret"]


@pytest.mark.parametrize(
    "text",
    [
        "You can reset the password under Settings.",
        "password: ********",
        "Set API_KEY=<your-key> first",
        "password: your_password1",
        "Secret santa token economics",
        "https://shop.example/returns/form?lang=en",
        "SELECT password FROM users",
    ],
)
def test_talk_about_secrets_is_none(text: str) -> None:
    assert secrets(row("How?", text)) == []
