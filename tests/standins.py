"""Working stand-ins for the services that models come from: a Hub, a package index, and tiny models to put in them."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import unquote, urlsplit


class Answering(Protocol):
    """A service that answers any request."""

    url: str

    def answer(self, request: BaseHTTPRequestHandler) -> None: ...


Service = TypeVar("Service", bound=Answering)
COMMIT = "0123456789abcdef0123456789abcdef01234567"
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}<a>{% endif %}"
)


@dataclass
class Repo:
    """What the stand-in Hub holds under one name."""

    files: dict[str, bytes]
    refuse: tuple[int, str] | None = None
    """Status and error code with which its files are refused."""
    claimed_sha256: dict[str, str] = field(default_factory=dict)
    claimed_size: dict[str, int] = field(default_factory=dict)


class StandInHub:
    """As much of a Hub as fetching a model needs, over real HTTP."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.requests: list[tuple[str, str]] = []
        """Path and Range header of each request."""
        self.cut: dict[str, list[int]] = {}
        """For a file, after how many bytes to break each of the next connections."""
        self.stall: dict[str, int] = {}
        """For a file, after how many bytes to send no more; `stalled` is set then."""
        self.stalled = threading.Event()
        self.released = threading.Event()
        self.url = ""

    def fetched(self) -> list[str]:
        return [path.rsplit("/", 1)[-1] for path, _ in self.requests if "/resolve/" in path]

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = unquote(urlsplit(request.path).path)
        self.requests.append((path, request.headers.get("Range", "")))
        if path.startswith("/api/models/"):
            self._describe(request, path.removeprefix("/api/models/"))
        elif "/resolve/" in path:
            name, _, rest = path[1:].partition("/resolve/")
            self._send_file(request, self.repos[name], rest.partition("/")[2])

    def _describe(self, request: BaseHTTPRequestHandler, path: str) -> None:
        name, _, revision = path.partition("/revision/")
        if name not in self.repos:
            refuse(request, 404, "RepoNotFound")
            return
        if revision not in ("", "main", COMMIT):
            refuse(request, 404, "RevisionNotFound")
            return
        repo = self.repos[name]
        siblings = []
        for file, data in repo.files.items():
            size = repo.claimed_size.get(file, len(data))
            sibling: dict[str, object] = {"rfilename": file, "size": size, "blobId": "0"}
            if file.endswith((".safetensors", ".bin")):
                sha = repo.claimed_sha256.get(file, hashlib.sha256(data).hexdigest())
                sibling["lfs"] = {"sha256": sha, "size": size, "pointerSize": 134}
            siblings.append(sibling)
        body = {"id": name, "sha": COMMIT, "siblings": siblings, "cardData": {"license": "mit"}, "private": False}
        send(request, json.dumps(body).encode(), "application/json")

    def _send_file(self, request: BaseHTTPRequestHandler, repo: Repo, file: str) -> None:
        if repo.refuse:
            refuse(request, *repo.refuse)
            return
        data, start = repo.files[file], 0
        if wanted := request.headers.get("Range"):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        request.send_response(206 if wanted else 200)
        request.send_header("Content-Length", str(len(data) - start))
        request.end_headers()
        self.send_or_break(request, file, data[start:])

    def send_or_break(self, request: BaseHTTPRequestHandler, file: str, data: bytes) -> None:
        """Send what is left of a file, unless a test wants the connection to break or to stand still."""
        if cuts := self.cut.get(file):
            request.wfile.write(data[: cuts.pop(0)])
            request.close_connection = True
            request.connection.close()
        elif file in self.stall:
            request.wfile.write(data[: self.stall.pop(file)])
            request.wfile.flush()
            self.stalled.set()
            self.released.wait(60)
            request.close_connection = True
        else:
            request.wfile.write(data)


@dataclass
class StandInIndex:
    """A package index with one wheel, over real HTTP."""

    package: str
    file: str
    wheel: bytes
    url: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = urlsplit(request.path).path
        if path == f"/simple/{self.package}/":
            send(request, f'<!DOCTYPE html><html><body><a href="/{self.file}">{self.file}</a>'.encode(), "text/html")
        elif path == f"/{self.file}":
            send(request, self.wheel, "application/octet-stream")
        else:
            refuse(request, 404, "")


@contextlib.contextmanager
def serving(service: Service) -> Iterator[Service]:
    """Serve a stand-in on a free port of this machine until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                service.answer(self)

        do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815 - named by the base class

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a connection that a test broke

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield service
    finally:
        if isinstance(service, StandInHub):
            service.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def send(
    request: BaseHTTPRequestHandler, body: bytes, kind: str, status: int = 200, headers: dict[str, str] | None = None
) -> None:
    request.send_response(status)
    for name, value in (headers or {}).items():
        request.send_header(name, value)
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(body)


def refuse(request: BaseHTTPRequestHandler, status: int, code: str, message: str = "") -> None:
    request.send_response(status)
    request.send_header("X-Error-Code", code)
    request.send_header("X-Error-Message", message or code)
    request.send_header("Content-Length", "0")
    request.end_headers()


def tiny_vocabulary() -> tuple[list[str], list[str]]:
    """Byte-level tokens and merges, the two special tokens first."""
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())
    merges = ["t h", "th e", "a n"]
    return ["<s>", "</s>", *letters, *(merge.replace(" ", "") for merge in merges)], merges


def tiny_model(folder: Path) -> Path:
    """Save a tiny random Llama with a tokenizer, as a Hub repository holds one."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokens, merges = tiny_vocabulary()
    bpe = models.BPE({t: i for i, t in enumerate(tokens)}, [(m.split()[0], m.split()[1]) for m in merges])
    backend = Tokenizer(bpe)
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>")
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokens),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        bos_token_id=0,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def tiny_gguf(path: Path) -> Path:
    """Write a tiny random Llama as a GGUF file in float32."""
    import gguf
    import numpy as np

    tokens, merges = tiny_vocabulary()
    width, hidden, heads, kv_heads = 64, 128, 4, 2
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(128)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(hidden)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3] + [1] * (len(tokens) - 2))
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_chat_template(TEMPLATE)
    random = np.random.default_rng(0)
    shapes = {
        "token_embd": (len(tokens), width),
        "output_norm": (width,),
        "blk.0.attn_norm": (width,),
        "blk.0.ffn_norm": (width,),
        "blk.0.attn_q": (width, width),
        "blk.0.attn_k": (width // 2, width),
        "blk.0.attn_v": (width // 2, width),
        "blk.0.attn_output": (width, width),
        "blk.0.ffn_gate": (hidden, width),
        "blk.0.ffn_up": (hidden, width),
        "blk.0.ffn_down": (width, hidden),
    }
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", random.normal(0, 0.1, shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def wheel_with(gguf: Path, package: str, version: str) -> bytes:
    """Build a wheel that carries a GGUF file."""
    module, info = package.replace("-", "_"), f"{package.replace('-', '_')}-{version}.dist-info"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.write(gguf, f"{module}/{gguf.name}")
        archive.writestr(f"{module}/__init__.py", "")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/LICENSE", "Free as in speech.\n")
        archive.writestr(f"{info}/RECORD", "")
    return buffer.getvalue()
