"""One open call: its request and what has arrived of its answer, so that another server can go on with it."""
import time
from collections import deque
from typing import Any, Deque, List, NamedTuple, Optional

from ._error import XverseError
from ._wire import Request

STREAMS = ("generate", "chat", "score")
_ANSWERS = {"status": "status", "tokenize": "tokens", "detokenize": "text", "cancel": "done", "drain": "done", "log_level": "done",
            "metrics": "metrics", "template_": "rendered", "calls": "calls", "lora_load": "adapter", "lora_unload": "adapter",
            "parse": "parsed"}


class Delivery(NamedTuple):
    """A reply that the user gets."""

    kind: str
    body: Any


def _left_of(text: str, size: int) -> str:
    """The text without its first bytes, which are whole characters."""
    return text.encode()[size:].decode(errors="replace")


class Call:
    def __init__(self, id: int, kind: str, request: Any) -> None:
        self.id, self.kind, self.request = id, kind, request
        self.streams = kind in STREAMS
        self.answers: Deque[Delivery] = deque()  # that the user has not taken
        self.over = False
        self.failure: Optional[XverseError] = None  # behind the last of `answers`
        # for a resume
        self.started: Any = None  # the first Started
        self.ids: List[int] = []
        self.text_bytes = 0
        # of the prompt: delivered, and arrived since the call was sent last
        self.prompt_text = self.prompt_tokens = self.prompt_text_now = self.prompt_tokens_now = 0
        self.resumed = 0          # how often it was sent to another server, or again, that goes on with it
        self.had = False          # a server had it, and did not merely put it off
        self.started_now = False  # it has begun since it was sent last
        self.sent = False
        self.lost_here = False    # by the present connection's own word
        self.cancelled = False    # so that it is not put off: its Cancel would be answered before it is sent again
        self.losses = 0           # how often the server went away while it had this call, since its last new token
        self.retry: Optional[float] = None     # send again then; None: it is sent, or goes with the next connection
        self.late: Optional[float] = None      # since when the server puts it off
        self.deadline: Optional[float] = None
        body = getattr(request, kind)
        limit = getattr(body, "timeout_ms", 0)
        if self.streams and limit:
            self.deadline = time.monotonic() + limit / 1000
        if kind in ("generate", "chat") and body.HasField("resume"):
            self.ids = list(body.resume.ids)
            self.text_bytes = body.resume.text_bytes

    def to_send(self) -> Any:
        """The request as it is sent now: with what has arrived, and what is left of its time."""
        again = bool(self.started) and self.kind in ("generate", "chat")
        if not again and self.deadline is None:
            return self.request
        request = Request()
        request.CopyFrom(self.request)
        body = getattr(request, self.kind)
        if self.deadline is not None:  # the server counts from when it hears
            body.timeout_ms = max(1, int((self.deadline - time.monotonic()) * 1000) + 1)
        if again:
            resume = body.resume
            resume.Clear()
            resume.ids.extend(self.ids)
            resume.text_bytes = self.text_bytes
            for name in ("seed", "fingerprint", "numerics_class"):
                setattr(resume, name, getattr(self.started, name))
            if self.started.adapter_fingerprint:
                resume.adapter_fingerprint = self.started.adapter_fingerprint
        return request

    def fits(self, kind: str) -> bool:
        """Its request has such an answer."""
        if kind in ("error", "keep_alive"):
            return True
        return kind in ("started", "chunk", "finished") if self.streams else kind == _ANSWERS[self.kind]

    def take(self, kind: str, body: Any) -> bool:
        """Records a reply and leaves out what was delivered before; whether the user gets it."""
        if kind == "started":
            self.late, self.started_now = None, True
            first = self.started is None
            if first:
                self.started = body
            return first
        if kind != "chunk":
            return True
        new = self._take_prompt(body) if body.prompt else self._take_output(body)
        if new:
            self.losses = 0
        return new

    def _take_prompt(self, chunk: Any) -> bool:
        """The server sends the prompt again after a resume."""
        size, count = len(chunk.text.encode()), len(chunk.tokens)
        text = min(self.prompt_text - self.prompt_text_now, size)
        tokens = min(self.prompt_tokens - self.prompt_tokens_now, count)
        self.prompt_text_now += size
        self.prompt_tokens_now += count
        if text:
            chunk.text = _left_of(chunk.text, text)
        del chunk.tokens[:tokens]
        self.prompt_text += size - text
        self.prompt_tokens += count - tokens
        return size > text or count > tokens

    def _take_output(self, chunk: Any) -> bool:
        self.ids.extend(chunk.ids)
        self.text_bytes += len(chunk.text.encode())
        return True
