"""The client for asyncio."""
from __future__ import annotations

import asyncio
import os
from types import TracebackType
from typing import TYPE_CHECKING, Any, AsyncIterator, Awaitable, Dict, Generator, Mapping, Optional, Sequence, Type, TypeVar, Union

from . import _requests
from ._answer import Answer, Scores, reply_of
from ._base import Connection, Opened, documented
from ._call import Call
from ._client import Client, Message, Stream
from ._engine import LOOK
from ._requests import Prompt
from ._schema import Adapter, Calls, Chunk, Done, Metrics, Parsed, Rendered, Status, Text, Tokens

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._schema import ChatOptions, DetokenizeOptions, GenerateOptions, ScoreOptions, TemplateOptions, TokenizeOptions

T = TypeVar("T")


@documented(Stream)
class AsyncStream(Opened, AsyncIterator[Chunk]):
    """An answer while it arrives, for ``async for``; as :class:`Stream`. A task that is cancelled while it reads leaves the call open:
    read it within ``async with``."""

    def __init__(self, client: AsyncClient, call: Call) -> None:
        super().__init__(call)
        self._client = client

    def __aiter__(self) -> AsyncStream:
        return self

    async def __anext__(self) -> Chunk:
        while True:
            chunk = self._got.take()
            if chunk is not None:
                return chunk
            if self._got.over:
                raise StopAsyncIteration
            await self._client._wait(self._call)

    async def answer(self) -> Answer:
        async for _ in self:
            pass
        return self._got.answer()

    async def scores(self) -> Scores:
        async for _ in self:
            pass
        return self._got.scores()

    def cancel(self) -> None:
        self._client._cancel(self._call)

    async def __aenter__(self) -> AsyncStream:
        return self

    async def __aexit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.cancel()

    def __del__(self) -> None:
        if not self._call.over:
            self._client._abandon(self._call)


@documented(Client)
class AsyncClient(Connection):
    """:class:`Client` for asyncio, with the same arguments and calls. It belongs to the event loop in which it connects.

    >>> import asyncio, xverse
    >>> async def main():
    ...     async with xverse.AsyncClient() as client:
    ...         answers = await asyncio.gather(*(client.generate("The king said", max_tokens=4, seed=n) for n in range(3)))
    ...         async for chunk in client.generate_stream("The king said", max_tokens=4, seed=0):
    ...             print(chunk.ids == answers[0].ids[:1])
    ...             break
    >>> asyncio.run(main())
    True
    """

    def _open(self) -> None:
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._watched: Optional[int] = None  # the descriptor whose events the loop reports
        self._writes = False
        self._timer: Optional[asyncio.TimerHandle] = None
        self._waiters: Dict[Call, asyncio.Future[None]] = {}

    async def connect(self) -> AsyncClient:
        """Connects; ``async with`` and ``await AsyncClient()`` do so too."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            try:
                for pause in self._engine.greet():
                    await self._look(pause)
            except BaseException:
                self.close()
                raise
        return self

    def __await__(self) -> Generator[Any, None, AsyncClient]:
        return self.connect().__await__()

    # ---- calls: their texts are those of Client ----

    async def generate(self, prompt: Prompt, **options: Unpack[GenerateOptions]) -> Answer:
        async with self.generate_stream(prompt, **options) as stream:
            return await stream.answer()

    def generate_stream(self, prompt: Prompt, **options: Unpack[GenerateOptions]) -> AsyncStream:
        return self._stream("generate", _requests.with_prompt("generate", prompt, options))

    async def chat(self, messages: Sequence[Message], **options: Unpack[ChatOptions]) -> Answer:
        async with self.chat_stream(messages, **options) as stream:
            return await stream.answer()

    def chat_stream(self, messages: Sequence[Message], **options: Unpack[ChatOptions]) -> AsyncStream:
        return self._stream("chat", _requests.with_messages("chat", messages, options))

    async def score(self, prompt: Prompt, **options: Unpack[ScoreOptions]) -> Scores:
        async with self.score_stream(prompt, **options) as stream:
            return await stream.scores()

    def score_stream(self, prompt: Prompt, **options: Unpack[ScoreOptions]) -> AsyncStream:
        return self._stream("score", _requests.with_prompt("score", prompt, options))

    async def tokenize(self, text: str, **options: Unpack[TokenizeOptions]) -> Tokens:
        return await self._ask("tokenize", Tokens, text=text, **options)

    async def detokenize(self, ids: Sequence[int], **options: Unpack[DetokenizeOptions]) -> str:
        return (await self._ask("detokenize", Text, ids=ids, **options)).text

    async def render(self, messages: Sequence[Message], **options: Unpack[TemplateOptions]) -> Rendered:
        return await self._reply(Rendered, "template_", _requests.with_messages("template_", messages, options))

    async def parse(self, answer: Answer, tools: Optional[Sequence[Mapping[str, Any]]] = None, parallel_tool_calls: Optional[bool] = None) -> Parsed:
        return await self._reply(Parsed, "parse", _requests.to_parse(answer, tools, parallel_tool_calls))

    async def status(self) -> Status:
        return await self._ask("status", Status)

    async def metrics(self) -> str:
        return (await self._ask("metrics", Metrics)).text

    async def calls(self, most: int = 0) -> Calls:
        return await self._ask("calls", Calls, most=most or None)

    async def cancel(self, call: Optional[int] = None) -> int:
        return (await self._ask("cancel", Done, call=call)).count

    async def drain(self) -> int:
        return (await self._ask("drain", Done)).count

    async def log_level(self, level: int) -> None:
        await self._ask("log_level", Done, level=level)

    async def lora_load(self, name: str, dir: Union[str, os.PathLike[str]]) -> Adapter:
        return await self._ask("lora_load", Adapter, name=name, dir=os.fspath(dir))

    async def lora_unload(self, name: str) -> Adapter:
        return await self._ask("lora_unload", Adapter, name=name)

    # ---- the client ----

    def close(self) -> None:
        self._engine.end()
        self._attend()

    async def __aenter__(self) -> AsyncClient:
        return await self.connect()

    async def __aexit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.close()

    # ---- waiting: the loop reports the socket while calls are open, and a timer the time ----

    def _begin(self, kind: str, request: Any) -> Call:
        if self._loop is None:
            raise RuntimeError("the client is not connected: use it within `async with`, or `await client.connect()` first")
        call = self._engine.send(kind, request)
        self._attend()
        return call

    def _stream(self, kind: str, request: Any) -> AsyncStream:
        return AsyncStream(self, self._begin(kind, request))

    def _ask(self, kind: str, made: Type[T], **options: Any) -> Awaitable[T]:
        return self._reply(made, kind, _requests.of(kind, **options))

    async def _reply(self, made: Type[T], kind: str, request: Any) -> T:
        call = self._begin(kind, request)
        while not call.over:
            await self._wait(call)
        return reply_of(call, made)

    async def _wait(self, call: Call) -> None:
        """Until something has arrived for the call."""
        while not call.answers and not call.over and self._loop is not None:
            waiter = self._waiters.get(call)
            if waiter is None:
                waiter = self._waiters[call] = self._loop.create_future()
            await asyncio.shield(waiter)

    def _cancel(self, call: Call) -> None:
        self._engine.cancel(call)
        self._attend()

    def _abandon(self, call: Call) -> None:
        """From a finalizer, which may run in any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._cancel, call)

    def _advance(self) -> None:
        self._engine.advance()
        self._attend()

    def _on_time(self) -> None:
        self._timer = None
        self._advance()

    def _attend(self) -> None:
        """Wakes those for whom something has arrived, and has the loop watch the socket that is open now."""
        for call in [c for c in self._waiters if c.answers or c.over]:
            _wake(self._waiters.pop(call))
        if self._loop is None or self._loop.is_closed():
            return
        self._watch(self._loop)
        if self._engine.calls and self._timer is None:
            self._timer = self._loop.call_later(LOOK, self._on_time)
        elif not self._engine.calls and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        sock = self._engine.sock
        fd = sock.fileno() if sock is not None and self._engine.calls else None
        if self._watched is not None and fd != self._watched:
            loop.remove_reader(self._watched)
            loop.remove_writer(self._watched)
            self._watched, self._writes = None, False
        if fd is None:
            return
        if self._watched is None:
            loop.add_reader(fd, self._advance)
            self._watched = fd
        if self._engine.wants_to_write != self._writes:
            self._writes = not self._writes
            if self._writes:
                loop.add_writer(fd, self._advance)
            else:
                loop.remove_writer(fd)

    async def _look(self, pause: float) -> None:
        """Waits for the socket before calls are open."""
        loop, sock = asyncio.get_running_loop(), self._engine.sock
        if sock is None:
            await asyncio.sleep(pause)
            return
        ready = loop.create_future()
        loop.add_reader(sock.fileno(), _wake, ready)
        try:
            await asyncio.wait([ready], timeout=pause)
        finally:
            loop.remove_reader(sock.fileno())


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
