"""The client that blocks."""
from __future__ import annotations

import os
import select
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Optional, Sequence, Type, TypeVar, Union

from . import _requests
from ._answer import Answer, Scores, reply_of
from ._base import Connection, Opened
from ._call import Call
from ._engine import LOOK, Engine
from ._requests import Prompt
from ._schema import Adapter, Calls, Chunk, Done, Metrics, Parsed, Rendered, Status, Text, Tokens

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._schema import ChatOptions, DetokenizeOptions, GenerateOptions, ScoreOptions, TemplateOptions, TokenizeOptions

Message = Mapping[str, Any]
T = TypeVar("T")


class Stream(Opened, Iterator[Chunk]):
    """An answer while it arrives: chunks in their order. As a context manager it cancels what its block leaves unread."""

    def __init__(self, client: Client, call: Call) -> None:
        super().__init__(call)
        self._client = client

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> Chunk:
        while True:
            chunk = self._got.take()
            if chunk is not None:
                return chunk
            if self._got.over:
                raise StopIteration
            self._client._wait(self._call)

    def answer(self) -> Answer:
        """Reads to the end; all of the answer, also what was read before."""
        for _ in self:
            pass
        return self._got.answer()

    def scores(self) -> Scores:
        """The same of a ``score_stream``."""
        for _ in self:
            pass
        return self._got.scores()

    def cancel(self) -> None:
        """Asks the server to end it. What has arrived can be read; the reason to finish is then CANCELLED, if nothing else was sooner."""
        self._client._cancel(self._call)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.cancel()

    def __del__(self) -> None:
        if not self._call.over:
            self._client._abandon(self._call)


class Client(Connection):
    """A connection to ``xversed`` that outlives restarts of the server: calls that are open then go on where they stood.

    Args:
        path: the server's socket; None: that of :func:`default_path`
        connect_timeout: seconds to wait for a server that is starting; longer than the launcher waits before it restarts a job
        silence_timeout: seconds without a word from the server, with calls open, after which it counts as lost
        resume: False: calls end with GoneError when the server is lost
        resume_timeout: seconds to try to reconnect
        loading_timeout: seconds that a call waits for the model to load; None: as `resume_timeout`; below 0: it ends with LoadingError
        on_wait: called with the reason when calls begin to wait for the server; it must not use the client
        asker_key, asker_client: for whom a gateway asks, with every request (docs/protocol.md)

    Several threads may use a client. What an option of a call means, and its range, is in ``help(xverse.GenerateOptions)`` and so on.

    >>> import xverse
    >>> client = xverse.Client()
    >>> client.generate("The king said to the people,", max_tokens=12, seed=1).text
    ' "We have made a great city with a great'
    """

    def _open(self) -> None:
        self._turn = threading.Condition(threading.Lock())  # not reentrant: see _abandon()
        self._pumped = False  # some thread waits for the socket, on behalf of all
        try:
            for pause in self._engine.greet():
                _poll(self._engine, pause)
        except BaseException:
            self._engine.close()
            raise

    # ---- calls that stream ----

    def generate(self, prompt: Prompt, **options: Unpack[GenerateOptions]) -> Answer:
        """Continues a text, or a list of token ids.

        >>> answer = client.generate("The king said", max_tokens=4, temperature=0, logprobs=1)
        >>> len(answer.ids), answer.finish_reason.name, answer.tokens[0].rank
        (4, 'LENGTH', 1)
        """
        return self.generate_stream(prompt, **options).answer()

    def generate_stream(self, prompt: Prompt, **options: Unpack[GenerateOptions]) -> Stream:
        """The same, as it arrives.

        >>> with client.generate_stream("The king said to the people,", max_tokens=12, seed=1) as stream:
        ...     "".join(chunk.text for chunk in stream)
        ' "We have made a great city with a great'
        >>> stream.finished.output_tokens
        12
        """
        return self._stream("generate", _requests.with_prompt("generate", prompt, options))

    def chat(self, messages: Sequence[Message], **options: Unpack[ChatOptions]) -> Answer:
        """Answers a conversation: messages with ``role`` and ``content``, as OpenAI's API has them.

        >>> answer = client.chat([{"role": "user", "content": "Hi"}], max_tokens=3, temperature=0)
        >>> len(answer.ids) <= 3
        True
        """
        return self.chat_stream(messages, **options).answer()

    def chat_stream(self, messages: Sequence[Message], **options: Unpack[ChatOptions]) -> Stream:
        """The same, as it arrives."""
        return self._stream("chat", _requests.with_messages("chat", messages, options))

    def score(self, prompt: Prompt, **options: Unpack[ScoreOptions]) -> Scores:
        """The logprob of every token of a text; with ``targets`` the logits of these ids as the token that follows it.

        >>> scores = client.score("In the beginning God created the heaven and the earth.")
        >>> scores.tokens[0].logprob is None, scores.scored == len(scores.tokens) - 1, 1 < scores.perplexity < 1000
        (True, True, True)
        >>> len(client.score("In the beginning", targets=[5, 6], target_logprobs=True).finished.target_logits)
        2
        """
        return self.score_stream(prompt, **options).scores()

    def score_stream(self, prompt: Prompt, **options: Unpack[ScoreOptions]) -> Stream:
        """The same, as it arrives: tokens of the prompt come in chunks."""
        return self._stream("score", _requests.with_prompt("score", prompt, options))

    # ---- calls with one reply ----

    def tokenize(self, text: str, **options: Unpack[TokenizeOptions]) -> Tokens:
        """Token ids of a text; with ``pieces`` also their bytes and places.

        >>> tokens = client.tokenize("a king", pieces=True, add_special_tokens=False)
        >>> b"".join(tokens.texts)
        b'a king'
        """
        return self._ask("tokenize", Tokens, text=text, **options)

    def detokenize(self, ids: Sequence[int], **options: Unpack[DetokenizeOptions]) -> str:
        """The text of token ids.

        >>> client.detokenize(client.tokenize("a king", add_special_tokens=False).ids)
        'a king'
        """
        return self._ask("detokenize", Text, ids=ids, **options).text

    def render(self, messages: Sequence[Message], **options: Unpack[TemplateOptions]) -> Rendered:
        """The prompt that ``chat`` makes of a conversation, as text and ids."""
        return self._reply(Rendered, "template_", _requests.with_messages("template_", messages, options))

    def parse(self, answer: Answer, tools: Optional[Sequence[Mapping[str, Any]]] = None, parallel_tool_calls: Optional[bool] = None) -> Parsed:
        """Takes the text of a chat's answer apart: content, reasoning and calls of tools. `tools` are those of the chat.

        >>> import json
        >>> tools = [{"type": "function", "function": {"name": "crown", "parameters": {"type": "object", "properties": {"king": {"enum": ["Saul", "David"]}},
        ...          "required": ["king"], "additionalProperties": False}}}]
        >>> answer = client.chat([{"role": "user", "content": "Who is king?"}], tools=tools, tool_name="crown", max_tokens=150, temperature=0)
        >>> [(call.name, json.loads(call.arguments)) for call in client.parse(answer, tools).calls]
        [('crown', {'king': 'Saul'})]
        """
        return self._reply(Parsed, "parse", _requests.to_parse(answer, tools, parallel_tool_calls))

    def status(self) -> Status:
        """The server's state, limits and counters.

        >>> status = client.status()
        >>> status.state.name, status.ranks >= 1, status.fingerprint != ""
        ('READY', True, True)
        """
        return self._ask("status", Status)

    def metrics(self) -> str:
        """Counters, as Prometheus reads them.

        >>> "xverse_requests_total" in client.metrics()
        True
        """
        return self._ask("metrics", Metrics).text

    def calls(self, most: int = 0) -> Calls:
        """Open calls, the oldest first: all for root and the server's user, their own for others. `most` 0: 1,000."""
        return self._ask("calls", Calls, most=most or None)

    def cancel(self, call: Optional[int] = None) -> int:
        """Ends a call by its server-wide number (``Started.call``), or all of this connection; how many ended."""
        return self._ask("cancel", Done, call=call).count

    def drain(self) -> int:
        """The server takes no new calls and ends with its last open one. For root and the server's user."""
        return self._ask("drain", Done).count

    def log_level(self, level: int) -> None:
        """What the server logs: 0 errors, 1 warnings, 2 info, 3 debug. For root and the server's user."""
        self._ask("log_level", Done, level=level)

    def lora_load(self, name: str, dir: Union[str, os.PathLike[str]]) -> Adapter:
        """Loads the LoRA adapter of a folder, under a name that requests ask for. For root and the server's user."""
        return self._ask("lora_load", Adapter, name=name, dir=os.fspath(dir))

    def lora_unload(self, name: str) -> Adapter:
        """Unloads it when its last call has ended. For root and the server's user."""
        return self._ask("lora_unload", Adapter, name=name)

    # ---- the client ----

    def close(self) -> None:
        """The server cancels what is open."""
        with self._turn:
            self._engine.end()
            self._turn.notify_all()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.close()

    # ---- waiting ----

    def _begin(self, kind: str, request: Any) -> Call:
        with self._turn:
            return self._engine.send(kind, request)

    def _stream(self, kind: str, request: Any) -> Stream:
        return Stream(self, self._begin(kind, request))

    def _ask(self, kind: str, made: Type[T], **options: Any) -> T:
        return self._reply(made, kind, _requests.of(kind, **options))

    def _reply(self, made: Type[T], kind: str, request: Any) -> T:
        call = self._begin(kind, request)
        while not call.over:
            self._wait(call)
        return reply_of(call, made)

    def _wait(self, call: Call) -> None:
        """Until something has arrived for the call. One thread waits for the socket, the others for that thread."""
        with self._turn:
            while not call.answers and not call.over:
                if self._pumped:
                    self._turn.wait(LOOK)
                    continue
                self._pumped = True
                try:
                    self._engine.advance()
                    if not call.answers and not call.over:
                        self._turn.release()
                        try:
                            _poll(self._engine, LOOK)
                        finally:
                            self._turn.acquire()
                finally:
                    self._pumped = False
                    self._turn.notify_all()

    def _cancel(self, call: Call) -> None:
        with self._turn:
            self._engine.cancel(call)

    def _abandon(self, call: Call) -> None:
        """From a finalizer, which may run within any call of ours: if the client is in use, the server is not asked."""
        if self._turn.acquire(blocking=False):
            try:
                self._engine.cancel(call)
            finally:
                self._turn.release()


def _poll(engine: Engine, seconds: float) -> None:
    """Waits for the socket, or where there is none for a while of that."""
    sock = engine.sock
    if sock is None:
        time.sleep(min(seconds, 0.02))
        return
    poll = select.poll()
    try:
        poll.register(sock, select.POLLIN | (select.POLLOUT if engine.wants_to_write else 0))
    except ValueError:  # another thread has closed it
        return
    poll.poll(seconds * 1000)
