"""A repository on the Hub: what it holds, how long to wait for an answer, and what an error of the Hub means."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar

from studio.errors import HubUnavailable, InvalidInput, Phrase
from studio.settings import Settings
from studio.transfer import IsCancelled, stop_if

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub import DatasetInfo, HfApi, ModelInfo
    from huggingface_hub.errors import HfHubHTTPError

T = TypeVar("T")
ANSWER_WITHIN_S = 8.0
"""How long the Hub may take for its first answer, looking up its address included."""
COMMIT = re.compile(r"[0-9a-f]{40}")
TOKEN = re.compile(r"\b(hf_|api_org_)\w+")
SERVER_WORDS = 200
"""Characters of the Hub's own explanation that are shown."""


@dataclass(frozen=True)
class Hub:
    """Which Hub, and as whom."""

    url: str = "https://huggingface.co"
    token: str | None = field(default=None, repr=False)
    """None: the token of this machine (HF_TOKEN, or `hf auth login`); empty: nobody's."""
    offline: bool = False
    """Never ask the Hub."""

    @classmethod
    def of(cls, settings: Settings, token: str | None = None) -> Hub:
        return cls(settings.hub_url, token, settings.offline)

    @property
    def auth(self) -> str | Literal[False] | None:
        """The token as huggingface_hub takes it."""
        return False if self.token == "" else self.token

    def api(self) -> HfApi:
        from huggingface_hub import HfApi

        return HfApi(endpoint=self.url, token=self.auth)

    def headers(self) -> dict[str, str]:
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

        return dict(build_hf_headers(token=self.auth))

    def has_token(self) -> bool:
        return "authorization" in self.headers()

    def redact(self, words: str) -> str:
        """The Hub's own words, and not too many; nothing that looks like a token goes through."""
        token = self.headers().get("authorization", "").removeprefix("Bearer ")
        return TOKEN.sub("…", words.replace(token, "…") if token else words)[:SERVER_WORDS]


@dataclass(frozen=True)
class RemoteFile:
    """One file of a repository, as the Hub describes it."""

    name: str
    """Its path inside the repository, with `/`."""
    size: int
    sha256: str = ""
    """Known for what lies in large-file storage."""


@dataclass(frozen=True)
class State:
    """What a repository holds at one commit."""

    commit: str
    files: tuple[RemoteFile, ...]
    licence: str
    is_private: bool


@dataclass(frozen=True)
class Repo:
    """A repository by its name, at a revision."""

    hub: Hub
    kind: Literal["model", "dataset"]
    id: str
    revision: str = ""
    """A branch, tag or commit; empty: the newest."""

    @property
    def page(self) -> str:
        return f"{self.hub.url}/{'datasets/' if self.kind == 'dataset' else ''}{self.id}"

    def look(self, cancelled: IsCancelled) -> State:
        """Ask what the repository holds; a dead network must not hold a person up, so the wait is bounded as a whole.

        Raises:
            HubUnavailable: it can't be had, and why.
            Cancelled: `cancelled()` became true.
        """

        def ask() -> ModelInfo | DatasetInfo:
            api = self.hub.api()
            get: Callable[..., ModelInfo | DatasetInfo] = api.dataset_info if self.kind == "dataset" else api.model_info
            return get(self.id, revision=self.revision or None, files_metadata=True, timeout=ANSWER_WITHIN_S - 2)

        with self.errors():
            info = wait_for(ask, ANSWER_WITHIN_S, cancelled)
        if not COMMIT.fullmatch(str(info.sha)):
            raise HubUnavailable(Phrase("The Hub names no commit of {name}.", name=self.id), "Try again later.")
        return State(
            commit=str(info.sha),
            files=tuple(
                RemoteFile(s.rfilename, s.size or 0, s.lfs.sha256 if s.lfs else "") for s in info.siblings or ()
            ),
            licence=str(getattr(info.card_data, "license", "") or ""),
            is_private=bool(info.private),
        )

    def url_of(self, name: str, commit: str) -> str:
        from huggingface_hub import hf_hub_url

        return hf_hub_url(self.id, name, repo_type=self.kind, revision=commit, endpoint=self.hub.url)

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Turn huggingface_hub's and its HTTP client's errors into HubUnavailable."""
        import httpx2
        from huggingface_hub.errors import (
            GatedRepoError,
            HfHubHTTPError,
            OfflineModeIsEnabled,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        if self.hub.offline:
            said = Phrase("{name} is on the Hub, and the studio is offline.", name=self.id)
            raise HubUnavailable(said, "Go online and try again.")
        sign_in = "then run `hf auth login` or set HF_TOKEN, and try again."
        terms, them = ("licence", "it") if self.kind == "model" else ("conditions", "them")
        try:
            yield
        except GatedRepoError as error:
            raise HubUnavailable(
                Phrase(
                    "The {terms} of {name} must be accepted before its files can be fetched.", terms=terms, name=self.id
                ),
                Phrase("Sign in and accept {them} at {page}, {then}", them=them, page=self.page, then=sign_in),
            ) from error
        except RevisionNotFoundError as error:
            revision = self.revision[:12] if COMMIT.fullmatch(self.revision) else self.revision
            kind = "commit" if self.kind == "model" else "revision"
            raise HubUnavailable(
                Phrase("{name} has no {kind} {revision} on the Hub.", name=self.id, kind=kind, revision=revision),
                Phrase("See {page}.", page=f"{self.page}/commits/main"),
            ) from error
        except RepositoryNotFoundError as error:
            raise HubUnavailable(
                Phrase("The Hub has no {kind} {name}, or it is private.", kind=self.kind, name=self.id),
                Phrase("Check the name at {page}; if it is private, {then}", page=self.page, then=sign_in),
            ) from error
        except HfHubHTTPError as error:
            raise self._refusal(error) from error
        except (httpx2.HTTPError, OfflineModeIsEnabled, ConnectionError, TimeoutError, ValueError) as error:
            raise HubUnavailable(
                Phrase("The Hub at {url} can't be reached, or the connection broke.", url=self.hub.url),
                "Check the connection and start again: what has arrived is kept.",
            ) from error

    def _refusal(self, error: HfHubHTTPError) -> HubUnavailable:
        """What a status means that says nothing about the repository itself."""
        status, said = error.response.status_code, self._said(error.response)
        tokens = f"{self.hub.url}/settings/tokens"
        if status == 401:
            hint = Phrase("Make a new one at {url}, then run `hf auth login` or set HF_TOKEN.", url=tokens)
            return HubUnavailable("The Hub does not know the token: it is mistyped or no longer valid.", hint)
        if status in (402, 403):
            hint = Phrase("See at {url} what the token allows, and whether it may write.", url=tokens)
            return HubUnavailable(
                Phrase("The Hub does not allow this for {name}{said}.", name=self.id, said=said), hint
            )
        if status in (409, 412):
            return HubUnavailable(
                Phrase("{name} was changed on the Hub at the same moment{said}.", name=self.id, said=said),
                "Try again: the newest state is used.",
            )
        if status == 429:
            return HubUnavailable("The Hub has been asked too often.", "Wait a few minutes and try again.")
        message = Phrase(
            "The Hub answered with error {status} for {name}{said}.", status=status, name=self.id, said=said
        )
        return HubUnavailable(message, "Try again later.")

    def _said(self, response: httpx2.Response) -> str:
        """The Hub's own explanation, as the end of a sentence."""
        words = self.hub.redact(" ".join(response.headers.get("X-Error-Message", "").split())).rstrip(".")
        return f": {words}" if words else ""


def check_id(repo_id: str, *, with_owner: bool = False) -> None:
    """Refuse what can't be the name of a repository.

    Raises:
        InvalidInput: it can't.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise InvalidInput(
            Phrase("{name} can't be the name of a dataset on the Hub.", name=repr(repo_id)),
            "Use owner/name, with letters, digits, `-`, `_` and `.` only, at most 96 of them.",
        ) from error
    if with_owner and "/" not in repo_id:
        raise InvalidInput(Phrase("{name} does not say whose dataset it is.", name=repr(repo_id)), "Use owner/name.")


def wait_for(
    work: Callable[[], T], silent_s: float, cancelled: IsCancelled, last_sign: Callable[[], float] = lambda: 0.0
) -> T:
    """Run `work` in a thread and wait for it, as long as it shows a sign of life.

    Args:
        silent_s: how long it may show none; `last_sign` tells when the last one was (`time.monotonic`).

    Raises:
        TimeoutError: it was silent for longer; the thread is left to end by itself.
        Cancelled: `cancelled()` became true; likewise.
    """
    results: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001 - handed to the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, name="ask-the-hub", daemon=True)
    started = time.monotonic()
    thread.start()
    while thread.is_alive():
        thread.join(0.05)
        stop_if(cancelled)
        if thread.is_alive() and time.monotonic() - max(started, last_sign()) > silent_s:
            raise TimeoutError(f"no answer within {silent_s} s")
    if errors:
        raise errors[0]
    return results[0]
