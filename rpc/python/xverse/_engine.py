"""One connection and its calls, which outlive it: the rules of libxverse (rpc/client), step by step.

Nothing here blocks, and nothing here waits: advance() does what can be done now, and its caller waits for the socket, or for a tenth of a
second, and calls it again. Client and AsyncClient differ in that wait only."""
import errno
import os
import socket
import stat
import time
from typing import Any, Callable, Dict, Iterator, Optional, Tuple

from ._call import Call, Delivery
from ._error import XverseError
from ._place import PATH_MAX, default_path
from ._schema import (ERRORS, VERSION, BusyError, Code, DeadlineError, DeniedError, FinishReason, FormatError, GoneError, InternalError, InvalidError,
                      IoError, LimitError, LoadingError, MismatchError)
from ._wire import FRAME_LIMIT, PROTOCOL, Reply, Request, error_of, frame, take_frames

LOOK = 0.1  # seconds: how often lost servers and retries are looked at
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
_UNSEEN = 1.0  # a caller that does not call for longer was busy: the pause was its own
_MOST_LOSSES = 3
_SUSPECT = 2.0
_PUT_OFF = 0.2  # where the server does not say how long
_REFUSED = 1.0
_LOST_RANK = int(Code.LOST_RANK)


class _Lost(Exception):
    """The connection is gone; the text says why."""


class Engine:
    def __init__(self, path: Optional[str], connect_timeout: float, silence_timeout: float, resume: bool, resume_timeout: float,
                 loading_timeout: Optional[float], on_wait: Optional[Callable[[str], None]], asker: Tuple[str, str]) -> None:
        self.path = _checked_path(default_path() if path is None else os.fspath(path))
        self.connect_timeout, self.silence_timeout = connect_timeout, silence_timeout
        self.resume, self.resume_timeout = resume, resume_timeout
        self.loading_timeout = resume_timeout if loading_timeout is None else loading_timeout
        self.on_wait, self.asker = on_wait, asker
        self.sock: Optional[socket.socket] = None
        self.hello: Any = None  # the server's, of the last connection
        self.greeted = False
        self.calls: Dict[int, Call] = {}  # in the order asked: so they are sent again
        self.resends = 0  # calls sent again because the server was lost
        self._in, self._out = bytearray(), bytearray()
        self._prefix: Tuple[int, Any] = (0, None)  # that the connection has, with its number
        self._next_id = 1
        self._closed = False
        self._lost: Optional[float] = None
        self._try = 0.0
        self._pause = _FIRST_PAUSE
        self._heard = self._looked = time.monotonic()
        self._waits_for, self._noticed = "", False

    # ---- the connection ----

    @property
    def wants_to_write(self) -> bool:
        return self.sock is not None and bool(self._out)

    def _connect(self) -> None:
        """A Unix socket connects at once, or says EAGAIN where the queue of the listener is full."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            sock.connect(self.path)
        except OSError as e:
            sock.close()
            raise self._explain(e) from None
        self.sock = sock
        hello = Request()
        hello.hello.protocol_min = hello.hello.protocol_max = PROTOCOL
        hello.hello.frame_limit, hello.hello.version = FRAME_LIMIT, VERSION
        self._out += frame(hello)
        self._heard = time.monotonic()

    def _explain(self, e: OSError) -> XverseError:
        if e.errno == errno.ENOENT:
            return GoneError(f"{self.path}: no server: there is no such socket (is xversed running? XVERSE_SOCKET names its socket)")
        if e.errno == errno.ECONNREFUSED:
            if os.path.exists(self.path) and not self._is_there():
                return InvalidError(f"{self.path} is not a socket")
            return GoneError(f"{self.path}: no server: nothing listens on this socket")
        if e.errno in (errno.EACCES, errno.EPERM):
            return DeniedError(f"{self.path}: you may not connect (the server's --uds-group says who may)")
        if e.errno == errno.EAGAIN:
            return BusyError(f"{self.path}: the server does not accept connections")
        return IoError(f"{self.path}: {e.strerror}")

    def _is_there(self) -> bool:
        try:
            return stat.S_ISSOCK(os.stat(self.path).st_mode)
        except OSError:
            return False

    def close(self) -> None:
        if self.sock is not None:
            self.sock.close()
        self.sock, self.greeted = None, False
        self._in.clear()
        self._out.clear()
        self._prefix = (self._prefix[0], None)

    def greet(self) -> Iterator[float]:
        """Connects and waits for the server's Hello; yields how many seconds the caller may wait for the socket. A server that took the
        connection and went away is being started again; where no process listens, the socket may be passing from one to the next."""
        end = time.monotonic() + self.connect_timeout
        refused_end, seen = time.monotonic() + _REFUSED, False
        while True:
            try:
                self._connect()
                yield from self._wait_hello(end)
                return
            except BusyError:
                if self.sock is not None or time.monotonic() > end:
                    raise
            except GoneError:
                if not (seen or self._is_there()) or time.monotonic() > refused_end:
                    raise
            except _Lost as e:
                if time.monotonic() > end:
                    raise GoneError(str(e)) from None
                seen, refused_end = True, time.monotonic() + _REFUSED
            self.close()
            yield _FIRST_PAUSE

    def _wait_hello(self, end: float) -> Iterator[float]:
        notice = time.monotonic() + 1
        while True:
            self._exchange()
            if self.greeted:
                self._noticed = False
                return
            if time.monotonic() > notice:
                self._note_wait("the server accepted the connection and has not answered yet")
            if time.monotonic() > end:
                raise DeadlineError(f"{self.path}: the server accepted the connection but sent nothing for {self.connect_timeout:g} s")
            yield LOOK

    # ---- calls ----

    def send(self, kind: str, request: Any) -> Call:
        """Begins a call; the request belongs to the engine from now on."""
        if self._closed:
            raise GoneError("the client was closed")
        if not self.calls:
            self._heard = time.monotonic()  # nothing is said while no call is open
            self._look_at_idle()
        request.id = self._next_id
        self._next_id += 1
        if self.asker[0]:
            request.asker.key = self.asker[0]
        if self.asker[1]:
            request.asker.client = self.asker[1]
        body = getattr(request, kind)
        if self.resume and kind in ("generate", "chat") and body.sampling.HasField("return_token_ids"):
            body.sampling.return_token_ids = True  # resuming needs them
        call = Call(request.id, kind, request)
        self.calls[call.id] = call
        if self.sock is not None:
            if not self._encode(call):
                return call
            call.sent = call.had = True
            self._guarded(self._write)
        elif self._lost is None:
            self._lost = time.monotonic()
        return call

    def _look_at_idle(self) -> None:
        """A server that has ended since the last call, whatever it said last, has not had the next one."""
        try:
            if self.sock is not None:
                self._guarded(self._exchange)
        except XverseError:
            self.close()

    def cancel(self, call: Call) -> None:
        """Ends a call of this connection: at once where no server has it, else by the server's last reply."""
        if call.over or call.cancelled:
            return
        if self.sock is None or call.retry is not None:
            self._finish(call, FinishReason.CANCELLED)
            return
        call.cancelled = True
        request = Request()
        request.cancel.id = call.id
        self.send("cancel", request)

    def _encode(self, call: Call) -> bool:
        """False: it is more than the server takes, which would end the connection, and with it all other calls. So this one ends here."""
        request = call.to_send()
        if call.kind == "score" and request.score.WhichOneof("prefix"):
            if request is call.request:
                request = Request()
                request.CopyFrom(call.request)
            self._save_prefix(request.score)
        size, largest = request.ByteSize(), self._largest()
        if size > largest:
            self._prefix = (self._prefix[0], None)  # the server did not get it
            self._fail(call, LimitError(f"the request has {size} bytes, and the server takes {largest} in one message"))
            return False
        self._out += frame(request)
        return True

    def _largest(self) -> int:
        return (self.hello.frame_limit if self.greeted else 0) or FRAME_LIMIT

    def _save_prefix(self, score: Any) -> None:
        """Leaves out a prefix that the connection has."""
        name = score.WhichOneof("prefix")
        value = (name, score.prefix_text if name == "prefix_text" else tuple(score.prefix_tokens.ids))
        number, kept = self._prefix
        if value == kept:
            score.ClearField(name)
        else:
            number = (number + 1) & 0xffffffff or 1
            self._prefix = (number, value)
        score.prefix_id = number

    def _send_again(self, call: Call) -> None:
        call.prompt_text_now = call.prompt_tokens_now = 0
        call.retry = None
        if not self._encode(call):
            return
        call.resumed += call.had
        self.resends += call.had
        call.sent = call.had = True
        call.started_now = False

    def _deliver(self, call: Call, kind: str, body: Any) -> None:
        call.answers.append(Delivery(kind, body))
        if kind not in ("started", "chunk", "keep_alive"):
            self._remove(call)

    def _remove(self, call: Call) -> None:
        call.over = True
        self.calls.pop(call.id, None)

    def _fail(self, call: Call, error: XverseError) -> None:
        """A stream that its deadline ends is not an error."""
        if isinstance(error, DeadlineError) and call.started is not None:
            self._finish(call, FinishReason.DEADLINE)
            return
        call.failure = error
        self._remove(call)

    def _finish(self, call: Call, reason: FinishReason) -> None:
        reply = Reply()
        reply.finished.reason = int(reason)
        reply.finished.prompt_tokens = call.started.prompt_tokens if call.started is not None else 0
        reply.finished.output_tokens = len(call.ids)
        self._deliver(call, "finished", reply.finished)

    def end(self) -> None:
        """The server cancels what is open; there will be no other call."""
        self._closed = True
        self.fail_all(GoneError("the client was closed"))

    def fail_all(self, error: XverseError) -> None:
        """The connection is lost for good; a later call tries anew."""
        self.close()
        self._lost = None
        self._try = 0.0
        for call in list(self.calls.values()):
            call.failure = error
            self._remove(call)

    # ---- one turn ----

    def advance(self) -> None:
        """Does what can be done without waiting."""
        try:
            self._step()
            self._end_here()
        except XverseError as e:
            self.fail_all(e)

    def _step(self) -> None:
        if self._lost is not None and time.monotonic() - self._lost > self.resume_timeout:
            raise GoneError(f"{self.path}: the server was lost and did not come back within {self.resume_timeout:g} s")
        if self.sock is None:
            if self.calls:
                self._come_back()
            return
        self._guarded(self._exchange)
        if self.sock is not None:
            self._look_at_calls()

    def _guarded(self, act: Callable[[], None]) -> None:
        """A loss is one of each call that the server had."""
        try:
            act()
        except _Lost as e:
            self._count_losses()
            self._lose(str(e))

    def _exchange(self) -> None:
        """Sends and receives what goes; replies are taken before the end of the connection is."""
        try:
            self._write()
        except _Lost:
            self._receive()
            raise
        self._receive()

    def _write(self) -> None:
        while self.sock is not None and self._out:
            try:
                del self._out[:self.sock.send(self._out, socket.MSG_NOSIGNAL)]
            except (BlockingIOError, InterruptedError):
                return
            except OSError as e:
                raise _Lost(f"{self.path}: the server has gone away: {e.strerror}") from None

    def _receive(self) -> None:
        while self.sock is not None:
            try:
                data = self.sock.recv(1 << 16)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b""
            if not data:
                raise _Lost(f"{self.path}: the server closed the connection")
            self._heard = time.monotonic()
            self._in += data
            for reply in take_frames(self._in):
                self._take(reply)
                if self.sock is None:
                    return

    def _take(self, reply: Any) -> None:
        kind = reply.WhichOneof("body")
        body = getattr(reply, kind) if kind else None
        call = self.calls.get(reply.id)
        if kind == "hello" and not self.greeted:
            self._take_hello(body)
        elif kind == "error" and not reply.id:
            self._take_refusal(error_of(body))
        elif kind == "hello" or (call is not None and (kind is None or not call.fits(kind))):
            self._take_misfit(call, kind or "nothing")
        elif call is not None:
            self._take_answer(call, kind, body)

    def _take_answer(self, call: Call, kind: str, body: Any) -> None:
        if kind == "error":
            error = error_of(body)
            if call.kind == "score":  # the server may not have kept it: the next request brings it again
                self._prefix = (self._prefix[0], None)
            if self._may_wait(call, error):
                self._delay(call, error)
                return
            self._lost, self._noticed = None, False
            call.failure = error
            self._remove(call)
            return
        if kind != "keep_alive":
            self._lost, self._noticed = None, False
        if call.take(kind, body):
            self._deliver(call, kind, body)

    def _take_hello(self, hello: Any) -> None:
        if hello.protocol_min > PROTOCOL or hello.protocol_max < PROTOCOL:
            raise MismatchError(f"{self.path}: the server speaks protocol {hello.protocol_min} to {hello.protocol_max}, this program {PROTOCOL}")
        self.hello, self.greeted = hello, True

    def _take_refusal(self, error: XverseError) -> None:
        """An error about the connection: full for now is a delay for calls that came from another one."""
        if not (error.retryable and self._lost is not None):
            raise error
        self._lose(error.text)
        self._try = time.monotonic() + (error.retry_after_ms / 1000 or _PUT_OFF)

    def _take_misfit(self, call: Optional[Call], kind: str) -> None:
        error = FormatError(f'{self.path}: the server answered with "{kind}", which does not answer the request')
        if call is None:
            raise error
        self._fail(call, error)

    # ---- loss ----

    def _note_wait(self, text: str) -> None:
        self._waits_for = text
        if not self._noticed and self.on_wait is not None:
            self.on_wait(text)
        self._noticed = True

    def _count_losses(self) -> None:
        for call in self.calls.values():
            call.losses += call.sent and call.retry is None and not call.lost_here

    def _lose(self, why: str) -> None:
        self.close()
        if not self.calls:
            return
        if not self.resume:
            raise GoneError(why)
        self._note_wait(why)
        if self._lost is None:
            self._lost = time.monotonic()
        self._pause = _FIRST_PAUSE
        self._try = time.monotonic() + self._pause

    def _come_back(self) -> None:
        if time.monotonic() < self._try:
            return
        try:
            self._connect()
        except XverseError as e:
            if not self.resume:
                raise
            self._note_wait(e.text)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            self._try = time.monotonic() + self._pause
            return
        for call in list(self.calls.values()):
            call.lost_here = False
            if _suspect(call) and not call.cancelled:
                call.retry = time.monotonic() + _suspect(call)
            else:
                self._send_again(call)
        self._guarded(self._write)

    def _delay(self, call: Call, error: XverseError) -> None:
        if call.late is None:
            call.late = time.monotonic()
        lost = error.code == _LOST_RANK
        call.losses += lost
        call.lost_here |= lost  # the connection ends, too: that is the same loss
        call.had = call.started_now or lost
        # no longer than the caller is ready to wait: then the call is sent a last time
        left = max(0.0, call.late + self._patience(call, error) - time.monotonic() + 0.001)
        call.retry = time.monotonic() + min(error.retry_after_ms / 1000 or _PUT_OFF, left) + _suspect(call)
        self._note_wait(error.text)

    def _patience(self, call: Call, error: XverseError) -> float:
        begun = call.started is not None or call.resumed > 0
        return self.loading_timeout if isinstance(error, LoadingError) and not begun else self.resume_timeout

    def _may_wait(self, call: Call, error: XverseError) -> bool:
        """Another try may mend it: a delay of any call while the model loads, of one that has begun whatever it is."""
        begun = call.started is not None or call.resumed > 0
        loading = isinstance(error, LoadingError)
        patience = self._patience(call, error)
        if not self.resume or not call.streams or not error.retryable or patience < 0 or call.cancelled:
            return False
        if not begun and not loading and error.code != _LOST_RANK:
            return False
        return call.late is None or time.monotonic() - call.late <= patience

    def _forgive_unseen(self) -> None:
        """Time without traffic counts only while the caller looks."""
        now = time.monotonic()
        if now - self._looked > _UNSEEN:
            self._heard += now - self._looked
        self._heard = min(self._heard, now)
        self._looked = now

    def _look_at_calls(self) -> None:
        """Sends calls whose time has come; an open call on a connection without traffic means that the server hangs."""
        with_server = False
        self._forgive_unseen()
        for call in list(self.calls.values()):
            if call.retry is not None and time.monotonic() >= call.retry:
                self._send_again(call)
            with_server |= call.retry is None
        if not with_server:
            self._heard = time.monotonic()
        if time.monotonic() - self._heard > self.silence_timeout:
            self._lose(f"{self.path}: the server stopped responding for {self.silence_timeout:g} s")
        else:
            self._guarded(self._write)

    def _end_here(self) -> None:
        """Ends calls that no server will end: lost too often, or out of time."""
        for call in list(self.calls.values()) if self.resume else ():
            away = self.sock is None or call.retry is not None
            if call.losses >= _MOST_LOSSES:
                self._fail(call, InternalError(
                    f"the server was lost {call.losses} times while it had this request, which brought no new token: it is given up, "
                    "since the request may be what ends the server (its log has the reason)"))
            elif call.deadline is not None and away and time.monotonic() > call.deadline:
                self._fail(call, DeadlineError(f"the time of this call is over, and the server is not ready: {self._waits_for}"))


def _suspect(call: Call) -> float:
    """A call that was lost before its first token may be the cause: it is sent later than others, so that they can finish."""
    return 0.0 if call.ids else _SUSPECT * call.losses


def _checked_path(path: str) -> str:
    if path.startswith("@"):
        raise InvalidError(f"{path}: abstract sockets are not supported (./{path} names a file)")
    size = len(os.fsencode(path))
    if size > PATH_MAX:
        raise InvalidError(f"{path}: {size} bytes; the path of a Unix socket has at most {PATH_MAX}")
    return path


assert ERRORS[_LOST_RANK].default_code == _LOST_RANK
