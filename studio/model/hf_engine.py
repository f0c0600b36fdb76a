"""The engine that answers with transformers and PEFT: one resident base, adapters beside it, one lock."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import StoppingCriteria, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer

from studio.errors import AdapterRejected, Phrase, WorkError
from studio.model.adapter_files import verify
from studio.model.encoding import EncodedExample, TrainingRow, encode_examples
from studio.model.engine import Piece, Prompt, Request
from studio.model.loading import load_base
from studio.model.template import control_ids, encode_prompt, load_tokenizer, split_text, template_hash
from studio.records import BaseIdentity, Turn

BATCH = 8
ENCODE_BATCH = 64
"""Rows encoded before somebody in the chat can have the tokenizer: a hundredth of a second or two."""
MAX_ADAPTERS = 4
"""Adapters kept in memory; the one unused for longest is dropped first."""
_END = object()


class HFEngine:
    """See `studio.model.engine.Engine`."""

    def __init__(self, path: Path, identity: BaseIdentity, *, device: str, dtype: str) -> None:
        """Load tokenizer and base; takes seconds.

        Raises:
            ModelUnavailable: the folder can't be loaded.
        """
        self.identity = identity
        self._tokenizer = load_tokenizer(path)
        self._tokenizing = threading.Lock()
        """Held while encoding: to read typed control tokens as text is a switch of the whole tokenizer, and a thread
        that encodes meanwhile would get its own control tokens as text (seen: one call in 300, under pressure)."""
        self.has_chat_template = bool(self._tokenizer.chat_template)
        self.control_ids = control_ids(self._tokenizer)
        self._template_hash = template_hash(self._tokenizer)
        # On a GPU the packed base saves memory; on a CPU the unpacked one answers several times faster.
        self._model: Any = load_base(
            path, precision=identity.precision, packed=device == "cuda", device=device, dtype=dtype
        )
        self._dtype = getattr(torch, dtype)
        self.context_length = int(getattr(self._model.config, "max_position_embeddings", 0) or 4096)
        self._shapes = {
            name: (module.out_features, module.in_features)
            for name, module in self._model.named_modules()
            if isinstance(module, torch.nn.Linear)
        }
        self._cores = torch.get_num_threads()
        self._lock = threading.Lock()
        self._waiting = 0
        self._waiting_lock = threading.Lock()
        self._adapters: list[str] = []
        """Loaded ids, least recently used first. Read and changed under `_adapters_lock` only."""
        self._adapters_lock = threading.Lock()

    # Prompts

    def render(self, messages: Sequence[Turn], tools: Any = None) -> Prompt:
        with self._tokenizing:
            ids = encode_prompt(self._tokenizer, messages, tools)
        return self._prompt(ids)

    def render_text(self, text: str) -> Prompt:
        with self._tokenizing:
            ids = self._tokenizer(text)["input_ids"]
        return self._prompt(ids)

    def encode(self, rows: Sequence[TrainingRow]) -> list[EncodedExample]:
        encoded: list[EncodedExample] = []
        for start in range(0, len(rows), ENCODE_BATCH):
            with self._tokenizing:
                encoded += encode_examples(self._tokenizer, rows[start : start + ENCODE_BATCH])
        return encoded

    def split_text(self, ids: Sequence[int], bounds: Sequence[int]) -> list[str]:
        return split_text(self._tokenizer, ids, bounds)

    def _prompt(self, ids: list[int]) -> Prompt:
        text = self._tokenizer.decode(ids, skip_special_tokens=False)
        return Prompt(tuple(ids), text, self._template_hash)

    # Answers

    def stream(self, request: Request, cancelled: threading.Event) -> Iterator[Piece]:
        pieces: queue.Queue[Any] = queue.Queue()
        streamer = _Streamer(self._tokenizer, len(request.adapters), pieces, request.stop)
        stopped = threading.Event()
        thread = threading.Thread(
            target=self._stream, args=(request, streamer, pieces, stopped), name="answer", daemon=True
        )
        thread.start()
        try:
            while True:
                try:
                    piece = pieces.get(timeout=0.1)
                except queue.Empty:
                    if cancelled.is_set():
                        stopped.set()
                    continue
                if piece is _END:
                    return
                if isinstance(piece, BaseException):
                    raise WorkError(
                        Phrase("The model could not answer: {reason}.", reason=piece), "Try again."
                    ) from piece
                yield piece
                if cancelled.is_set():
                    stopped.set()
        finally:
            # Also reached when the reader goes away: the model must not go on for nobody.
            stopped.set()
            thread.join(timeout=30)

    def _stream(
        self, request: Request, streamer: _Streamer, pieces: queue.Queue[Any], stopped: threading.Event
    ) -> None:
        try:
            with self._interactive():
                # Writing one answer reads weights and computes little: a core left to the server and the browser
                # costs nothing alone, and keeps the threads from waiting for each other at every layer.
                torch.set_num_threads(max(1, self._cores - 1))
                ids = torch.tensor([request.prompt.ids] * len(request.adapters), device=self._model.device)
                sampling = request.sampling
                if sampling.seed is not None:
                    torch.manual_seed(sampling.seed)
                settings: dict[str, Any] = {"do_sample": sampling.temperature > 0}
                if sampling.temperature > 0:
                    settings |= {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
                self._generate(
                    ids,
                    torch.ones_like(ids),
                    request.adapters,
                    max_new_tokens=sampling.max_tokens,
                    repetition_penalty=sampling.repetition_penalty,
                    streamer=streamer,
                    stopping_criteria=StoppingCriteriaList([_Stop(lambda: stopped.is_set() or streamer.is_over)]),
                    **settings,
                )
        except Exception as error:  # noqa: BLE001 - a thread's boundary: the reader raises it again
            pieces.put(error)
        finally:
            pieces.put(_END)

    def answer(
        self, prompts: Sequence[Prompt], adapter: str | None, limits: Sequence[int], cancelled: threading.Event
    ) -> Iterator[tuple[int, str]]:
        order = sorted(range(len(prompts)), key=lambda i: (prompts[i].tokens, limits[i]))
        while order and not cancelled.is_set():
            batch = order[:BATCH]
            texts = self._answer_batch([prompts[i] for i in batch], adapter, [limits[i] for i in batch], cancelled)
            if texts is None:
                continue  # gave way to someone in the chat, or cancelled
            order = order[BATCH:]
            yield from zip(batch, texts, strict=True)

    def _answer_batch(
        self, prompts: Sequence[Prompt], adapter: str | None, limits: Sequence[int], cancelled: threading.Event
    ) -> list[str] | None:
        longest = max(p.tokens for p in prompts)
        pad = self._tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (longest - p.tokens) + list(p.ids) for p in prompts])
        mask = torch.tensor([[0] * (longest - p.tokens) + [1] * p.tokens for p in prompts])
        gave_way = threading.Event()

        def should_stop() -> bool:
            if self._waiting or cancelled.is_set():
                gave_way.set()
            return gave_way.is_set()

        self._let_others_first(cancelled)
        with self._lock:
            torch.set_num_threads(self._cores)
            output = self._generate(
                ids.to(self._model.device),
                mask.to(self._model.device),
                (adapter,),
                max_new_tokens=max(limits),
                do_sample=False,
                stopping_criteria=StoppingCriteriaList([_Stop(should_stop)]),
            )
        if gave_way.is_set():
            return None
        answers = [row[longest : longest + limit] for row, limit in zip(output, limits, strict=True)]
        return list(self._tokenizer.batch_decode(answers, skip_special_tokens=True))

    def _generate(self, ids: Any, mask: Any, adapters: Sequence[str | None], **settings: Any) -> Any:
        """One call of `generate` under the lock, with one adapter for all rows or one per row."""
        context: AbstractContextManager[Any] = nullcontext()
        for adapter in adapters:
            if adapter is not None and not self._use(adapter):
                raise WorkError(Phrase("The adapter {name} is not loaded.", name=adapter), "Choose it again.")
        if len(set(adapters)) > 1:
            settings["adapter_names"] = [a if a is not None else "__base__" for a in adapters]
        elif self._adapters:
            if adapters[0] is None:
                context = self._model.disable_adapter()
            else:
                self._model.set_adapter(adapters[0], inference_mode=True)
        with torch.inference_mode(), context:
            return self._model.generate(
                input_ids=ids, attention_mask=mask, pad_token_id=self._tokenizer.pad_token_id, **settings
            )

    @contextmanager
    def _interactive(self) -> Iterator[None]:
        """Hold the model for someone who waits in the chat; batch work gives way."""
        with self._waiting_lock:
            self._waiting += 1
        try:
            self._lock.acquire()
        finally:
            with self._waiting_lock:
                self._waiting -= 1
        try:
            yield
        finally:
            self._lock.release()

    def _let_others_first(self, cancelled: threading.Event) -> None:
        while self._waiting and not cancelled.wait(0.01):
            pass

    # Adapters

    def load_adapter(self, adapter_id: str, folder: Path, sha256: str) -> None:
        if self._use(adapter_id):
            return
        verify(folder, sha256, self.identity, self._shapes)
        # On a CPU the weights stay in the fp32 they were trained in: a bf16 product as narrow as an adapter's takes
        # 20 µs there, an fp32 one 2 µs.
        in_fp32 = self._model.device.type == "cpu"
        with self._interactive():
            if self._use(adapter_id):
                return  # someone else loaded it meanwhile
            try:
                if not self._adapters:
                    self._model = PeftModel.from_pretrained(
                        self._model, folder, adapter_name=adapter_id, autocast_adapter_dtype=in_fp32
                    )
                else:
                    self._model.load_adapter(folder, adapter_name=adapter_id, autocast_adapter_dtype=in_fp32)
            except (ValueError, RuntimeError, KeyError, OSError) as error:
                raise AdapterRejected(
                    Phrase("The adapter {name} can't be loaded: {reason}.", name=adapter_id, reason=str(error)),
                    "Train again.",
                ) from error
            if not in_fp32:
                for name, parameter in self._model.named_parameters():
                    if "lora_" in name:
                        parameter.data = parameter.data.to(self._dtype)
            self._model.eval()
            with self._adapters_lock:
                self._adapters.append(adapter_id)
                unused = self._adapters.pop(0) if len(self._adapters) > MAX_ADAPTERS else None
            if unused:
                self._delete(unused, adapter_id)

    def has_adapter(self, adapter_id: str) -> bool:
        with self._adapters_lock:
            return adapter_id in self._adapters

    def drop_adapter(self, adapter_id: str) -> None:
        with self._interactive():
            # PEFT can't run without any adapter once it wrapped the model, so the last one stays, unused.
            with self._adapters_lock:
                if adapter_id not in self._adapters or len(self._adapters) == 1:
                    return
                self._adapters.remove(adapter_id)
                other = self._adapters[-1]
            self._delete(adapter_id, other)

    def _delete(self, adapter_id: str, other: str) -> None:
        self._model.set_adapter(other, inference_mode=True)  # PEFT warns when the active one goes
        self._model.delete_adapter(adapter_id)

    def _use(self, adapter_id: str) -> bool:
        """Whether an adapter is loaded; if so it counts as used just now."""
        with self._adapters_lock:
            if adapter_id not in self._adapters:
                return False
            self._adapters.remove(adapter_id)
            self._adapters.append(adapter_id)
            return True

    def base_addresses(self) -> dict[str, int]:
        """Memory address of every base tensor: shows that a swap reloaded nothing."""
        return {
            name.removeprefix("base_model.model.").replace(".base_layer", ""): parameter.data_ptr()
            for name, parameter in self._model.named_parameters()
            if "lora_" not in name
        }


class _Stop(StoppingCriteria):
    def __init__(self, should_stop: Any) -> None:
        self._should_stop = should_stop

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        return torch.full((input_ids.shape[0],), self._should_stop(), device=input_ids.device)


class _Streamer(BaseStreamer):
    """Puts out text token by token. transformers' own holds text back until a space or a kanji: Japanese would stutter.

    Only an incomplete character at the end (U+FFFD after decoding) is held back.
    """

    def __init__(self, tokenizer: Any, sides: int, pieces: queue.Queue[Any], stop: tuple[str, ...]) -> None:
        self._tokenizer = tokenizer
        self._pieces = pieces
        self._stop = stop
        self._ids: list[list[int]] = [[] for _ in range(sides)]
        self._sent = [0] * sides
        self._ended = [False] * sides
        self._is_prompt = True

    @property
    def is_over(self) -> bool:
        return all(self._ended)

    def put(self, value: Any) -> None:
        """`value`: the prompt's ids (B, T) first, then one new token per row (B,)."""
        if self._is_prompt:
            self._is_prompt = False
            return
        for side, token in enumerate(value.tolist()):
            if not self._ended[side]:
                self._ids[side].append(token)
                self._send(side, hold=True)
                if _repeats(self._ids[side]):
                    self._ended[side] = True

    def _send(self, side: int, *, hold: bool) -> None:
        text = self._tokenizer.decode(self._ids[side], skip_special_tokens=True)
        for stop in self._stop:
            if (position := text.find(stop)) >= 0:
                text, self._ended[side], hold = text[:position], True, False
        if hold:
            text = text.rstrip("\ufffd")
            keep = max((_overlap(text, stop) for stop in self._stop), default=0)
            text = text[: len(text) - keep]
        if len(text) > self._sent[side]:
            self._pieces.put(Piece(side, text[self._sent[side] :]))
            self._sent[side] = len(text)

    def end(self) -> None:
        for side in range(len(self._ids)):
            if not self._ended[side]:
                self._send(side, hold=False)


def _repeats(ids: list[int]) -> bool:
    """Whether an answer says the same 8 to 64 tokens for the third time in a row.

    Small models under greedy decoding do, and would go on to the length limit while the expert waits.
    """
    return any(
        ids[-block:] == ids[-2 * block : -block] == ids[-3 * block : -2 * block]
        for block in range(8, min(64, len(ids) // 3) + 1)
    )


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that may be the beginning of `stop`."""
    return next((n for n in range(min(len(text), len(stop)), 0, -1) if text.endswith(stop[:n])), 0)
