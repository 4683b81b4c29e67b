"""What Client and AsyncClient make of the replies of a call."""
import math
from dataclasses import dataclass, field
from typing import Any, List, Optional, Type, TypeVar

from ._call import Call
from ._schema import Chunk, Finished, FinishReason, Started, TokenInfo
from ._wire import plain

T = TypeVar("T")


@dataclass
class Answer:
    """A whole answer of ``generate`` or ``chat``.

    Attributes:
        text: of the answer, after that of the prompt where ``echo`` asked for it
        ids: its tokens
        tokens: the logprobs of these, where ``logprobs`` asked for them
        prompt_text, prompt_tokens: of the prompt, where ``echo`` or ``prompt_logprobs`` asked for them
        started, finished: what the server says first and last
        resumed: how often another server, or the same after a restart, went on with it
    """

    text: str = ""
    ids: List[int] = field(default_factory=list)
    tokens: List[TokenInfo] = field(default_factory=list)
    prompt_text: str = ""
    prompt_tokens: List[TokenInfo] = field(default_factory=list)
    started: Started = field(default_factory=Started)
    finished: Finished = field(default_factory=Finished)
    resumed: int = 0

    @property
    def finish_reason(self) -> FinishReason:
        return self.finished.reason

    def __str__(self) -> str:
        return self.text


@dataclass
class Scores:
    """The answer of ``score``.

    Attributes:
        tokens: every token of the text with its logprob, which the first has not
        sum: of the logprobs
        started, finished: what the server says first and last; of a call with ``targets`` ``finished`` holds their logits
    """

    tokens: List[TokenInfo] = field(default_factory=list)
    sum: float = 0.0
    scored: int = 0
    started: Started = field(default_factory=Started)
    finished: Finished = field(default_factory=Finished)
    resumed: int = 0

    @property
    def perplexity(self) -> Optional[float]:
        """exp of the mean negative logprob; None where nothing was scored."""
        return math.exp(-self.sum / self.scored) if self.scored else None


class Collector:
    """Replies of a stream, in their order."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.started: Optional[Started] = None
        self.finished: Optional[Finished] = None
        self.queue_place = 0
        self._chunks: List[Chunk] = []

    @property
    def over(self) -> bool:
        return self.finished is not None or (self.call.over and not self.call.answers)

    def take(self) -> Optional[Chunk]:
        """The next chunk of those that have arrived; None: there is none. Raises the call's error behind the last."""
        while self.call.answers:
            kind, body = self.call.answers.popleft()
            if kind == "keep_alive":
                self.queue_place = body.queue_place
                continue
            value: Any = plain(body)
            if kind == "started":
                self.started = value
            elif kind == "finished":
                self.finished = value
            else:
                self._chunks.append(value)
                return self._chunks[-1]
        if self.call.failure is not None:
            raise self.call.failure
        return None

    def _joined(self, prompt: bool) -> str:
        return "".join(c.text for c in self._chunks if c.prompt == prompt)

    def _tokens(self, prompt: bool) -> List[TokenInfo]:
        return [t for c in self._chunks if c.prompt == prompt for t in c.tokens]

    def answer(self) -> Answer:
        """All that has arrived."""
        prompt = self._joined(True)
        return Answer(text=prompt + self._joined(False), ids=[i for c in self._chunks if not c.prompt for i in c.ids], tokens=self._tokens(False),
                      prompt_text=prompt, prompt_tokens=self._tokens(True), started=self.started or Started(), finished=self.finished or Finished(),
                      resumed=self.call.resumed)

    def scores(self) -> Scores:
        tokens = self._tokens(True) + self._tokens(False)
        logprobs = [t.logprob for t in tokens if t.logprob is not None]
        total = 0.0
        for x in logprobs:  # in their order, as `xverse score` does
            total += x
        return Scores(tokens=tokens, sum=total, scored=len(logprobs), started=self.started or Started(), finished=self.finished or Finished(),
                      resumed=self.call.resumed)


def reply_of(call: Call, made: Type[T]) -> T:
    """The one reply of a call that is over, or its error."""
    if call.failure is not None:
        raise call.failure
    reply = plain(call.answers[-1].body)
    assert isinstance(reply, made)
    return reply
