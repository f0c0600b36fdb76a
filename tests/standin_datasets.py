"""A working stand-in for the part of a Hub that keeps datasets: made, looked at, pushed to and read over real HTTP.

It keeps to what huggingface_hub asks and reads: large files go to, and come from, another origin without the token, a
commit names the one it builds on, and who may not see a dataset is told that there is none.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.standins import StandInHub, refuse, send

ATTRIBUTES = {".gitattributes": b"*.parquet filter=lfs diff=lfs merge=lfs -text\n"}
Files = dict[str, bytes]


def commit_of(files: Files, number: int) -> str:
    return hashlib.sha1(repr((number, sorted(files.items()))).encode()).hexdigest()


def is_large(name: str, size: int) -> bool:
    return name.endswith(".parquet") or size > 100_000


@dataclass
class DatasetRepo:
    """A dataset: its commits, oldest first."""

    commits: list[tuple[str, Files]] = field(default_factory=list)
    is_private: bool = False
    is_gated: bool = False
    messages: list[str] = field(default_factory=list)
    branches: dict[str, str] = field(default_factory=dict)
    """Names of older commits."""

    @classmethod
    def of(cls, files: Files, **changes: Any) -> DatasetRepo:
        repo = cls(**changes)
        repo.add(files, "first")
        return repo

    def add(self, files: Files, message: str) -> str:
        self.commits.append((commit_of(files, len(self.commits)), dict(files)))
        self.messages.append(message)
        return self.head

    @property
    def head(self) -> str:
        return self.commits[-1][0]

    @property
    def files(self) -> Files:
        return self.commits[-1][1]

    def at(self, revision: str) -> tuple[str, Files] | None:
        wanted = self.branches.get(revision, self.head if revision in ("", "main") else revision)
        return next(((sha, files) for sha, files in self.commits if sha == wanted), None)


class StandInDatasets(StandInHub):
    """A Hub with models and datasets, and people who are known by their tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.datasets: dict[str, DatasetRepo] = {}
        self.writers: dict[str, str] = {}
        """Token → the owner whose datasets it may read and write."""
        self.readers: dict[str, str] = {}
        """Token → the owner whose datasets it may read."""
        self.store: Files = {}
        """Large files by their SHA-256."""
        self.asked: list[tuple[str, str, str]] = []
        """Method, path and token of each request."""
        self.lies: Files = {}
        """For a dataset's file, what is sent in its place."""
        self.claimed: dict[str, int] = {}
        """For a dataset's file, the size that is told."""
        self.answers: dict[str, tuple[int, str, str]] = {}
        """For the beginning of a path, the status, error code and words with which it is refused."""
        self.card_errors: list[str] = []

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        url = urlsplit(request.path)
        path = unquote(url.path)
        self.token = request.headers.get("authorization", "").removeprefix("Bearer ")
        self.body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        self.asked.append((request.command, path, self.token))
        for start, refusal in self.answers.items():
            if f"{request.command} {path}".startswith(start):
                return refuse(request, *refusal)
        if self.token and self.token not in self.writers | self.readers:
            return refuse(request, 401, "", "Invalid credentials in Authorization header")
        if path == "/api/validate-yaml":
            errors = [{"message": text} for text in self.card_errors]
            return self._json(request, {"errors": errors, "warnings": []}, 400 if errors else 200)
        if path == "/api/repos/create":
            return self._create(request)
        if match := re.fullmatch(r"/lfs/([0-9a-f]{64})", path):
            return self._large(request, match[1])
        if match := re.fullmatch(r"/datasets/(.+?)\.git/info/lfs/objects/batch", path):
            return self._batch(request, match[1])
        if match := re.fullmatch(r"/datasets/(.+?)/resolve/(refs/[^/]+/[^/]+|[^/]+)/(.+)", path):
            return self._resolve(request, *match.groups())
        if match := re.fullmatch(
            r"/api/datasets/(.+?)(?:/(revision|tree|paths-info|preupload|commit)/(refs/[^/]+/[^/]+|[^/]+)(?:/(.*))?)?",
            path,
        ):
            name, what, revision, rest = match.groups("")
            return self._dataset(request, name, what, revision, rest)
        return super().answer(request)

    def _json(self, request: BaseHTTPRequestHandler, value: Any, status: int = 200) -> None:
        send(request, json.dumps(value).encode(), "application/json", status)

    def _may(self, name: str, tokens: dict[str, str]) -> bool:
        return bool(self.token) and tokens.get(self.token) == name.partition("/")[0]

    def _visible(self, request: BaseHTTPRequestHandler, name: str) -> DatasetRepo | None:
        repo = self.datasets.get(name)
        if repo and (not repo.is_private or self._may(name, self.readers | self.writers)):
            return repo
        refuse(request, 404 if self.token else 401, "RepoNotFound", "Repository not found")
        return None

    def _create(self, request: BaseHTTPRequestHandler) -> None:
        wish = json.loads(self.body)
        owner = wish["organization"] or self.writers.get(self.token, "")
        name = f"{owner}/{wish['name']}"
        if not self._may(name, self.writers):
            return refuse(request, 403, "", f"You don't have the rights to create a dataset under {owner!r}")
        if name in self.datasets:
            return refuse(request, 409, "", "You already created this dataset repo")
        self.datasets[name] = DatasetRepo.of(ATTRIBUTES, is_private=wish.get("visibility") == "private")
        return self._json(request, {"url": f"{self.url}/datasets/{name}", "name": name})

    def _dataset(self, request: BaseHTTPRequestHandler, name: str, what: str, revision: str, rest: str) -> None:
        repo = self._visible(request, name)
        if repo is None:
            return None
        found = repo.at(revision)
        if found is None:
            return refuse(request, 404, "RevisionNotFound")
        if what in ("preupload", "commit") and not self._may(name, self.writers):
            return refuse(request, 403, "", "You need write access")
        sha, files = found
        if what in ("", "revision"):
            about = {"id": name, "sha": sha, "private": repo.is_private, "gated": "auto" if repo.is_gated else False}
            siblings = [self._sibling(path, files[path]) for path in files]
            return self._json(request, about | {"siblings": siblings, "cardData": {"license": "cc-by-4.0"}})
        if what == "tree":
            return self._json(request, self._tree(files, rest, "recursive" in parse_qs(urlsplit(request.path).query)))
        if what == "paths-info":
            paths = parse_qs(self.body.decode()).get("paths", [])
            entries = {entry["path"]: entry for entry in self._tree(files, "", True)}
            return self._json(request, [entries[path] for path in paths if path in entries])
        if what == "preupload":
            return self._json(request, {"files": [self._mode(wish, files) for wish in json.loads(self.body)["files"]]})
        return self._commit(request, name, repo)

    def _sibling(self, path: str, data: bytes) -> dict[str, Any]:
        size = self.claimed.get(path, len(data))
        sibling: dict[str, Any] = {"rfilename": path, "size": size, "blobId": git_hash(data)}
        if is_large(path, len(data)):
            sibling["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": size, "pointerSize": 134}
        return sibling

    def _tree(self, files: Files, folder: str, recursive: bool) -> list[dict[str, Any]]:
        head, entries = f"{folder}/" if folder else "", {}
        for path, data in files.items():
            if not path.startswith(head):
                continue
            parts = path[len(head) :].split("/")
            for depth in range(1, len(parts) if recursive else min(len(parts), 2)):
                inside = head + "/".join(parts[:depth])
                entries[inside] = {"type": "directory", "path": inside, "oid": "0" * 40, "size": 0}
            if recursive or len(parts) == 1:
                entry = {"type": "file", "path": path, "oid": git_hash(data), "size": len(data)}
                if is_large(path, len(data)):
                    entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
                entries[path] = entry
        return list(entries.values())

    def _mode(self, wish: dict[str, Any], files: Files) -> dict[str, Any]:
        path, size = wish["path"], wish["size"]
        assert len(base64.b64decode(wish["sample"])) == min(size, 512)
        known, large = files.get(path), is_large(path, size)
        oid = None if known is None else hashlib.sha256(known).hexdigest() if large else git_hash(known)
        ignored = path in files.get(".gitignore", b"").decode().split()
        return {"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": ignored, "oid": oid}

    def _batch(self, request: BaseHTTPRequestHandler, name: str) -> None:
        if not self._may(name, self.writers):
            return refuse(request, 403, "", "You need write access")
        objects = []
        for wish in json.loads(self.body)["objects"]:
            entry = {"oid": wish["oid"], "size": wish["size"]}
            if wish["oid"] not in self.store:
                entry["actions"] = {"upload": {"href": f"{self.other_origin}/lfs/{wish['oid']}"}}
            objects.append(entry)
        return self._json(request, {"transfer": "basic", "objects": objects})

    @property
    def other_origin(self) -> str:
        """This same server under another name, as large files lie elsewhere on the real Hub."""
        return self.url.replace("127.0.0.1", "localhost")

    def _large(self, request: BaseHTTPRequestHandler, oid: str) -> None:
        if self.token:
            return refuse(request, 400, "", "Only one auth mechanism allowed")
        if request.command == "PUT":
            if hashlib.sha256(self.body).hexdigest() != oid:
                return refuse(request, 400, "", "BadDigest")
            self.store[oid] = self.body
            return send(request, b"", "text/plain")
        return self._bytes(request, oid, self.store[oid], {})

    def _commit(self, request: BaseHTTPRequestHandler, name: str, repo: DatasetRepo) -> None:
        lines = [json.loads(line) for line in self.body.splitlines()]
        header, files = lines[0]["value"], dict(repo.files)
        if header.get("parentCommit", repo.head) != repo.head:
            return refuse(request, 412, "", "A commit has happened since. Please refresh and try again.")
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                assert value["oid"] in self.store
                files[value["path"]] = self.store[value["oid"]]
            else:
                assert line["key"] == "deletedFile"
                del files[value["path"]]
        sha = repo.add(files, header["summary"])
        url = f"{self.url}/datasets/{name}/commit/{sha}"
        return self._json(request, {"success": True, "commitOid": sha, "commitUrl": url})

    def _resolve(self, request: BaseHTTPRequestHandler, name: str, revision: str, path: str) -> None:
        repo = self._visible(request, name)
        if repo is None:
            return None
        found = repo.at(revision)
        if found is None:
            return refuse(request, 404, "RevisionNotFound")
        sha, files = found
        if path not in files:
            return refuse(request, 404, "EntryNotFound")
        if repo.is_gated and not self._may(name, self.readers | self.writers):
            return refuse(request, 403, "GatedRepo", "Access to this dataset is restricted")
        data = files[path]
        headers = {"X-Repo-Commit": sha, "ETag": f'"{git_hash(data)}"'}
        if is_large(path, len(data)) and path not in self.lies | self.cut | self.stall:
            oid = hashlib.sha256(data).hexdigest()
            self.store.setdefault(oid, data)
            headers |= {"X-Linked-ETag": f'"{oid}"', "X-Linked-Size": str(len(data))}
            headers["Location"] = f"{self.other_origin}/lfs/{oid}"
            return send(request, b"", "text/plain", 302, headers)
        return self._bytes(request, path, self.lies.get(path, data), headers)

    def _bytes(self, request: BaseHTTPRequestHandler, path: str, data: bytes, headers: dict[str, str]) -> None:
        wanted = request.headers.get("Range", "")
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
        if wanted or path in self.cut | self.stall:
            self.requests.append((path, wanted))
        if not match and path not in self.cut | self.stall:
            return send(request, data, "application/octet-stream", 200, headers)
        start, end = (int(match[1]), int(match[2] or len(data) - 1) + 1) if match else (0, len(data))
        request.send_response(206 if match else 200)
        for name, value in headers.items():
            request.send_header(name, value)
        if match:
            request.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        request.send_header("Content-Length", str(end - start))
        request.end_headers()
        return self.send_or_break(request, path, data[start:end])


def git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
