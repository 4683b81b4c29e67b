"""The rules by which the Python client continues calls, against a server that is played here: those that tests/unit/client*.c checks of
libxverse. Runs with any Python and protobuf that the package supports, and needs nothing else; prints what fails and one closing line."""
import asyncio
import gc
import os
import shutil
import socket
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import xverse
from xverse._wire import Reply, Request, _head, frame, take_frames

passed = failed = 0
folder = tempfile.mkdtemp(prefix="xv-py-")


counting = threading.Lock()


def check(name, ok, text=""):
    global passed, failed
    with counting:
        passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print(f"FAILED {name}: {text}", flush=True)


class Peer:
    """A server that says what it is asked to."""

    def __init__(self, protocol=1, hello=True, frame_limit=0):
        self.path = f"{folder}/{time.monotonic_ns()}"
        self.protocol, self.greets, self.frame_limit = protocol, hello, frame_limit
        self.heard, self.news, self.s = [], threading.Condition(), None
        self.listen()

    def listen(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(8)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                s = listener.accept()[0]
            except OSError:
                return
            self.s = s
            threading.Thread(target=self.read, args=(s,), daemon=True).start()

    def read(self, s):
        buffer = bytearray()
        while True:
            try:
                data = s.recv(1 << 16)
            except OSError:
                return
            if not data:
                return
            buffer += data
            while True:
                head = _head(buffer, 0)
                if head is None or len(buffer) < sum(head):
                    break
                request = Request.FromString(bytes(buffer[head[0]:sum(head)]))
                del buffer[:sum(head)]
                if request.WhichOneof("body") == "hello":
                    if self.greets:
                        self.put(Reply(hello=dict(protocol_min=self.protocol, protocol_max=self.protocol, version="v", served_model="m",
                                                  frame_limit=self.frame_limit)), s)
                    continue
                with self.news:
                    self.heard.append(request)
                    self.news.notify_all()

    def wait(self, n):
        """The n-th request that came."""
        with self.news:
            if not self.news.wait_for(lambda: len(self.heard) >= n, 20):
                raise AssertionError(f"request {n} did not come: {self.heard}")
            return self.heard[n - 1]

    def put(self, reply, s=None):
        (s or self.s).sendall(frame(reply))

    def say(self, n, **body):
        """Answers the n-th request."""
        self.put(Reply(id=self.wait(n).id, **body))

    def started(self, n, **more):
        self.say(n, started=dict(call=9, seed=5, fingerprint="f", numerics_class="c", prompt_tokens=3, **more))

    def chunk(self, n, text, ids, **more):
        self.say(n, chunk=dict(text=text, ids=ids, **more))

    def finished(self, n):
        self.say(n, finished=dict(reason=1, output_tokens=3))

    def refuse(self, n, code, after=50):
        self.say(n, error=dict(code=int(code), text="put off", retryable=code.name in ("BUSY", "LOADING", "DRAINING", "LOST_RANK"), retry_after_ms=after))

    def drop(self):
        try:
            self.s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the client was faster
        self.s.close()

    def end(self):
        """No process listens any more."""
        if not os.path.exists(self.path):
            return
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        os.unlink(self.path)
        if self.s and self.s.fileno() >= 0:
            self.drop()


Code = xverse.Code


class later(threading.Thread):
    """What an act does and returns, at the same time."""

    def __init__(self, act):
        super().__init__(daemon=True)
        self.act, self.value = act, None
        self.start()

    def run(self):
        self.value = raised(self.act)

    def end(self):
        self.join(30)
        return self.value


def raised(act):
    try:
        return act()
    except Exception as e:
        return e


def goes_on_where_it_stood():
    p = Peer()
    c = xverse.Client(p.path)
    stream = c.generate_stream([1, 2, 3], temperature=1.0, return_token_ids=False)
    p.started(1, adapter="a", adapter_fingerprint="af")
    p.chunk(1, "ab\u4f60", [7, 8])
    check("resume: ids are asked for", p.wait(1).generate.sampling.return_token_ids)
    check("resume: the first chunk", next(stream).ids == [7, 8])
    p.drop()
    got = later(lambda: stream.answer())
    r = p.wait(2).generate
    check("resume: what is kept", list(r.resume.ids) == [7, 8] and r.resume.text_bytes == 5 and r.resume.seed == 5 and r.resume.fingerprint == "f" and
          r.resume.numerics_class == "c" and r.resume.adapter_fingerprint == "af" and r.sampling.temperature == 1 and list(r.tokens.ids) == [1, 2, 3], r)
    p.started(2)
    p.chunk(2, "c", [9])
    p.finished(2)
    a = got.end()
    check("resume: the whole answer", (a.text, a.ids, a.resumed, a.started.adapter) == ("ab\u4f60c", [7, 8, 9], 1, "a"), a)
    check("resume: it is counted", c.resends == 1, c.resends)
    c.close()
    p.end()


def prompt_is_shown_once():
    p = Peer()
    c = xverse.Client(p.path)
    stream = c.generate_stream("x", echo=True, prompt_logprobs=0)
    tokens = [dict(id=i, logprob=-i) for i in range(3)]
    p.started(1)
    p.say(1, chunk=dict(text="\u4f60\u597d", tokens=tokens[:2], prompt=True))
    next(stream)
    p.drop()
    got = later(lambda: stream.answer())
    p.started(2)
    p.say(2, chunk=dict(text="\u4f60", tokens=tokens[:1], prompt=True))
    p.say(2, chunk=dict(text="\u597da", tokens=tokens[1:], prompt=True))
    p.chunk(2, "b", [1])
    p.finished(2)
    a = got.end()
    check("echo: the prompt comes once", (a.text, a.prompt_text, [t.id for t in a.prompt_tokens]) == ("\u4f60\u597dab", "\u4f60\u597da", [0, 1, 2]), a)
    c.close()
    p.end()


def three_losses_are_the_end():
    p = Peer()
    c = xverse.Client(p.path)
    got = later(lambda: c.generate([1]))
    for i in range(3):
        p.wait(i + 1)
        p.drop()
    result = got.end()
    check("three losses: given up", isinstance(result, xverse.InternalError) and "lost 3 times" in str(result), result)
    check("three losses: sent again twice", c.resends == 2 and len(p.heard) == 3, (c.resends, len(p.heard)))
    got = later(lambda: c.generate([1]))
    p.started(4)
    p.finished(4)
    result = got.end()
    check("three losses: the client goes on", result.finish_reason == xverse.FinishReason.STOP, result)
    c.close()
    p.end()


def progress_between_losses():
    p = Peer()
    c = xverse.Client(p.path)
    got = later(lambda: c.generate([1]))
    for i in range(5):
        p.started(i + 1)
        p.chunk(i + 1, "x", [i])
        p.refuse(i + 1, Code.LOST_RANK, 1)  # last words, and the end of the connection: one loss
        p.drop()
    p.started(6)
    p.finished(6)
    result = got.end()
    check("a new token between losses is progress", result.ids == [0, 1, 2, 3, 4], result)
    c.close()
    p.end()


def last_words_are_one_loss():
    """Also where the call was sent again before its connection ended."""
    p = Peer()
    c = xverse.Client(p.path)
    got = later(lambda: c.generate([1]))
    for n in (1, 3):
        p.refuse(n, Code.LOST_RANK, 1)
        p.wait(n + 1)
        p.drop()
    p.started(5)
    p.finished(5)
    result = got.end()
    check("last words and the end of the connection are one loss", isinstance(result, xverse.Answer) and result.finished.reason == 1, repr(result))
    c.close()
    p.end()


def loading():
    p, said = Peer(), []
    c = xverse.Client(p.path, on_wait=said.append)
    got = later(lambda: c.generate([1]))
    for i in range(3):
        p.refuse(i + 1, Code.LOADING, 1)
    p.started(4)
    p.finished(4)
    result = got.end()
    check("loading: a call waits", result.resumed == 0 and said == ["put off"], (result, said))
    stream = c.generate_stream([1])
    p.refuse(5, Code.LOADING, 60000)
    for _ in range(3):
        got = later(lambda: raised(lambda: next(stream)))
        got.join(0.2)
    stream.cancel()
    result = got.end()
    check("loading: a cancelled call that is put off ends", stream._call.over and stream._call.answers == type(stream._call.answers)(), stream._call.answers)
    c.close()
    c = xverse.Client(p.path)
    stream = c.generate_stream([1])
    stream.cancel()
    p.wait(7)
    p.refuse(6, Code.LOADING)
    e = raised(lambda: stream.answer())
    check("loading: a call is not put off once its Cancel is sent", isinstance(e, xverse.LoadingError), repr(e))
    c.close()
    c = xverse.Client(p.path, loading_timeout=-1)
    later(lambda: p.refuse(8, Code.LOADING))
    e = raised(lambda: c.generate([1]))
    check("loading: refused at once", isinstance(e, xverse.LoadingError) and e.retryable and e.retry_after_ms == 50, e)
    c.close()
    c = xverse.Client(p.path, loading_timeout=0.3)
    later(lambda: [p.refuse(n, Code.LOADING) for n in range(9, 100)])
    e = raised(lambda: c.generate([1]))
    check("loading: the wait ends", isinstance(e, xverse.LoadingError), e)
    c.close()
    p.end()
    p = Peer()
    c = xverse.Client(p.path, loading_timeout=0.3)
    later(lambda: [p.refuse(n, Code.LOADING, 3600000) for n in (1, 2)])
    got = later(lambda: raised(lambda: c.generate([1])))
    result = got.end()
    check("loading: a longer wait than the caller's ends with it", isinstance(result, xverse.LoadingError) and len(p.heard) == 2, result)
    c.close()
    p.end()


def busy_and_mismatch():
    p = Peer()
    c = xverse.Client(p.path)
    later(lambda: p.refuse(1, Code.BUSY))
    e = raised(lambda: c.generate([1]))
    check("busy before the start is an answer", isinstance(e, xverse.BusyError), e)
    got = later(lambda: c.generate([1]))
    p.started(2)
    p.chunk(2, "a", [4])
    p.refuse(2, Code.BUSY, 1)
    check("busy after it is a delay", list(p.wait(3).generate.resume.ids) == [4])
    p.refuse(3, Code.MISMATCH)
    result = got.end()
    check("another model is the end", isinstance(result, xverse.MismatchError), result)
    c.close()
    p.end()


def time_limits():
    p = Peer()
    c = xverse.Client(p.path)
    got = later(lambda: c.generate([1], timeout_ms=5000))
    check("time: the first send", 0 < p.wait(1).generate.timeout_ms <= 5001, p.heard)
    time.sleep(0.2)
    p.drop()
    check("time: less is left", p.wait(2).generate.timeout_ms <= 4801, p.heard)
    p.started(2)
    p.chunk(2, "a", [1])
    p.end()
    result = got.end()
    check("time: a stream that ends here has a reason", result.finish_reason == xverse.FinishReason.DEADLINE and result.ids == [1], result)
    c.close()


def patience():
    p = Peer()
    c = xverse.Client(p.path, resume_timeout=1)
    later(lambda: (p.wait(1), p.end()))
    e = raised(lambda: c.generate([1]))
    check("patience ends", isinstance(e, xverse.GoneError) and "did not come back within 1 s" in str(e), e)
    e = raised(lambda: c.status())
    check("and once more", isinstance(e, xverse.GoneError), e)
    p.listen()
    got = later(lambda: c.generate([1]))
    p.started(2)
    p.finished(2)
    result = got.end()
    check("the client goes on with a new server", result.finished.reason == 1, result)
    c.close()
    c = xverse.Client(p.path, resume=False)
    later(lambda: (p.wait(3), p.drop()))
    e = raised(lambda: c.generate([1]))
    check("without resume the loss is reported", isinstance(e, xverse.GoneError) and "closed the connection" in str(e), e)
    c.close()
    p.end()


def stopped_responding():
    p = Peer()
    c = xverse.Client(p.path, silence_timeout=1.5)
    got = later(lambda: c.generate([1]))
    p.started(1)
    p.chunk(1, "a", [1])
    check("a server that says nothing is lost", list(p.wait(2).generate.resume.ids) == [1])
    p.finished(2)
    result = got.end()
    check("and the call goes on", result.text == "a" and result.resumed == 1, result)
    stream = c.generate_stream([1])
    p.started(3)
    p.chunk(3, "a", [1])
    next(stream)
    time.sleep(3)  # a caller that does other things
    got = later(stream.answer)
    time.sleep(0.3)
    p.finished(3)
    check("a caller that looks elsewhere loses nothing", got.end().resumed == 0 and len(p.heard) == 3, len(p.heard))
    c.close()
    p.end()


def idle_loss():
    p = Peer()
    c = xverse.Client(p.path)
    got = later(lambda: c.status())
    p.say(1, status=dict(model="m", state=2))
    result = got.end()
    check("status", result.state == xverse.State.READY and result.model == "m" and result.defaults == {}, result)
    p.drop()
    stream = c.generate_stream([1])
    later(lambda: (p.started(2), p.finished(2)))
    check("a loss without calls costs none", stream.answer().resumed == 0 and stream._call.losses == 0, stream._call.losses)
    p.put(Reply(error=dict(code=int(Code.DRAINING), text="bye", retryable=True)))
    p.drop()
    stream = c.generate_stream([1])
    later(lambda: (p.started(3), p.finished(3)))
    check("nor do a server's last words", stream.answer().resumed == 0)
    c.close()
    p.end()


def prefixes():
    p = Peer()
    c = xverse.Client(p.path)
    for n, prefix in enumerate(["abc", "abc", "abd", "abd"], 1):
        later(lambda n=n: (p.started(n), p.refuse(n, Code.LIMIT) if n == 3 else p.finished(n)))
        raised(lambda: c.score("x", prefix=prefix))
    sent = [(r.score.prefix_text, r.score.prefix_id) for r in p.heard]
    check("a prefix is sent once, and again after an error", sent == [("abc", 1), ("", 1), ("abd", 2), ("abd", 3)], sent)
    stream = c.score_stream("y", prefix="abd")
    p.wait(5)
    p.drop()
    got = later(lambda: stream.scores())
    check("and on a new connection", p.wait(6).score.prefix_text == "abd" and p.heard[4].score.prefix_text == "", p.heard[4:])
    p.finished(6)
    result = got.end()
    c.close()
    p.end()


def too_large():
    """One more byte than the server takes would end the connection: such a call ends alone, whether it is sent for the first time or again."""
    p = Peer()
    c = xverse.Client(p.path)
    got = later(lambda: c.generate([1]))
    p.started(1)
    least = Request(id=2, tokenize=dict(text="x" * (1 << 24))).ByteSize() - (1 << 24)  # without the text
    text = "x" * ((1 << 24) - least)
    e = raised(lambda: c.tokenize(text + "x"))
    check("a request of 16 MiB and a byte", isinstance(e, xverse.LimitError) and "has 16777217 bytes, and the server takes 16777216" in str(e), repr(e))
    later(lambda: p.say(2, tokens=dict(ids=[4])))
    check("one of 16 MiB is sent", c.tokenize(text).ids == [4] and p.heard[1].ByteSize() == 1 << 24, p.heard[1].ByteSize())
    prefix = "y" * (1 << 24)
    for _ in range(2):
        e = raised(lambda: c.score("x", prefix=prefix))
        check("a prefix that is too large", isinstance(e, xverse.LimitError), repr(e))
    p.chunk(1, "a", [1])
    p.finished(1)
    result = got.end()
    check("the other call goes on", result.text == "a" and result.resumed == 0 and len(p.heard) == 2, (result, len(p.heard)))
    got = later(lambda: c.generate("x" * ((1 << 24) - 100)))
    p.started(3)
    p.chunk(3, "a", list(range(200, 300)))
    p.drop()
    e = got.end()
    check("with what has arrived it is too large", isinstance(e, xverse.LimitError) and len(p.heard) == 3, repr(e))
    c.close()
    p.end()
    p = Peer(frame_limit=4096)
    c = xverse.Client(p.path)
    e = raised(lambda: c.generate("x" * 5000))
    check("the server's own limit", isinstance(e, xverse.LimitError) and "takes 4096" in str(e), repr(e))
    c.close()
    p.end()


def texts_that_are_none():
    """Debian's protobuf makes bytes of them, without an error."""
    for body in (dict(chunk=dict(text="#")), dict(started=dict(fingerprint="#")), dict(hello=dict(version="#"))):
        data = bytearray(frame(Reply(id=1, **body)).replace(b"#", b"\xff"))
        e = raised(lambda: list(take_frames(data)))
        check(f"a text that is no UTF-8: {list(body)}", isinstance(e, xverse.FormatError), repr(e))


def wrong_answers():
    p = Peer()
    c = xverse.Client(p.path)
    later(lambda: p.say(1, tokens=dict(ids=[1])))
    e = raised(lambda: c.status())
    check("an answer to another question", isinstance(e, xverse.FormatError) and 'answered with "tokens"' in str(e), e)
    for data in (b"\xff\xff\xff\xff\xff\xff", b"\x03\xff\xff\xff", b"\x80\x80\x80\x80\x7f"):
        n = len(p.heard) + 1
        later(lambda: (p.wait(n), p.s.sendall(data)))
        e = raised(lambda: c.status())
        check(f"bytes that are no frame: {data!r}", isinstance(e, xverse.FormatError), e)
    c.close()
    p.end()
    p = Peer(protocol=2)
    e = raised(lambda: xverse.Client(p.path))
    check("another protocol", isinstance(e, xverse.MismatchError) and "protocol 2 to 2" in str(e), e)
    p.end()
    e = raised(lambda: xverse.Client(p.path))
    check("no socket", isinstance(e, xverse.GoneError) and "there is no such socket" in str(e), e)
    p = Peer(hello=False)
    e = raised(lambda: xverse.Client(p.path, connect_timeout=0.3))
    check("no Hello", isinstance(e, xverse.DeadlineError), e)
    p.end()
    e = raised(lambda: xverse.Client("@x"))
    check("an abstract socket", isinstance(e, xverse.InvalidError), e)
    e = raised(lambda: xverse.Client("/" + "x" * 200))
    check("a long path", isinstance(e, xverse.InvalidError) and "at most 107" in str(e), e)
    open(folder + "/file", "w").close()
    e = raised(lambda: xverse.Client(folder + "/file"))
    check("a file", isinstance(e, xverse.InvalidError) and "is not a socket" in str(e), e)


def away_before_hello():
    p = Peer(hello=False)
    later(lambda: (time.sleep(0.3), setattr(p, "greets", True), p.drop()))
    c = xverse.Client(p.path)
    check("a server that goes away before its Hello is waited for", c.served_model == "m")
    c.close()
    p.end()


def options():
    p = Peer()
    c = xverse.Client(p.path)
    wrong = [(dict(max_token=1), TypeError, "did you mean 'max_tokens'"), (dict(seed=-1), ValueError, "seed"), (dict(temperature="hot"), TypeError, "temperature"),
             (dict(stop=[1]), TypeError, "stop"), (dict(choice="a"), TypeError, "choice"), (dict(logit_bias={"a": 1}), TypeError, "logit_bias"),
             (dict(allowed_token_ids=[1 << 40]), ValueError, "allowed_token_ids"), (dict(adapter="\ud800"), ValueError, "adapter"),
             (dict(logit_bias=[1]), ValueError, "logit_bias")]
    for more, kind, text in wrong:
        e = raised(lambda: c.generate("x", **more))
        check(f"options: {more}", isinstance(e, kind) and text in str(e), repr(e))
    for prompt in ("\ud800", [1.5], None, [1 << 40]):
        e = raised(lambda: c.generate(prompt))
        check(f"prompt: {prompt!r}", isinstance(e, (TypeError, ValueError)) and str(e).startswith("prompt:"), repr(e))
    e = raised(lambda: c.chat([{"role": 1}]))
    check("a role that is no text", isinstance(e, TypeError) and "messages[0]" in str(e), repr(e))
    check("nothing was sent", not p.heard, p.heard)
    c.chat_stream([dict(role="user", content=[{"type": "text", "text": "\u4f60"}], name="n"), dict(role="assistant", content=None, tool_calls=[1]), dict(role="x")],
                  tools=[dict(type="function")], stop="end", logit_bias={3: 1.5}, json_schema={"type": "object"}, compact=True, seed=None)
    r = p.wait(1).chat
    check("chat: what is sent", r.messages[0].json == '{"content": [{"type": "text", "text": "\u4f60"}]}' and r.messages[0].name == "n" and
          r.messages[1].json == '{"content": null, "tool_calls": [1]}' and not r.messages[2].HasField("content") and
          r.tools_json == '[{"type": "function"}]' and list(r.sampling.stop) == ["end"] and r.sampling.logit_bias[0].value == 1.5 and
          r.sampling.constraint.json_schema == '{"type": "object"}' and r.sampling.constraint.compact and not r.sampling.HasField("seed"), r)
    c.close()
    c = xverse.Client(p.path, asker_key="k", asker_client="u")
    c.generate_stream("x")
    asker = next(r.asker for r in map(p.wait, range(2, 9)) if r.WhichOneof("body") == "generate")
    check("for whom it asks", (asker.key, asker.client) == ("k", "u"), asker)
    c.close()
    p.end()


def abandoned():
    p = Peer()
    c = xverse.Client(p.path)
    c.generate_stream([1])
    gc.collect()
    check("a stream that is dropped is cancelled", p.wait(2).cancel.id == p.heard[0].id)
    p.say(1, finished=dict(reason=3))
    with c.generate_stream([1]) as stream:
        p.wait(3)
    check("and one whose block ends", p.wait(4).cancel.id == p.heard[2].id)
    p.say(3, finished=dict(reason=3))
    check("which says so", stream.answer().finish_reason == xverse.FinishReason.CANCELLED)
    c.close()
    e = raised(lambda: c.status())
    check("a client that was closed says so", isinstance(e, xverse.GoneError) and "was closed" in str(e), repr(e))
    p.end()


def many_threads():
    p = Peer()
    c = xverse.Client(p.path)
    answers = {}

    def ask(i):
        answers[i] = c.generate([i])

    threads = [later(lambda i=i: ask(i)) for i in range(8)]
    for n in range(1, 9):
        p.started(n)
    for n in range(8, 0, -1):
        i = p.heard[n - 1].generate.tokens.ids[0]
        p.chunk(n, str(i), [i])
        p.finished(n)
    [t.join(20) for t in threads]
    check("threads: each has its answer", {i: a.text for i, a in answers.items()} == {i: str(i) for i in range(8)}, answers)
    c.close()
    p.end()


def with_asyncio():
    p = Peer()

    async def main():
        async with xverse.AsyncClient(p.path) as c:
            tasks = [asyncio.ensure_future(c.generate([i])) for i in range(3)]
            await asyncio.sleep(0)
            in_thread = asyncio.get_running_loop().run_in_executor
            await in_thread(None, lambda: (p.wait(3), p.started(1), p.chunk(1, "a", [1]), p.finished(1), p.started(2), p.chunk(2, "b", [2])))
            first = await tasks[0]
            tasks[2].cancel()
            e = [await asyncio.gather(tasks[2], return_exceptions=True)][0][0]
            cancel = await in_thread(None, p.wait, 4)
            p.drop()
            again = await in_thread(None, p.wait, 5)
            p.chunk(5, "c", [3])
            p.finished(5)
            second = await tasks[1]
            return first, e, cancel, again, second

    async def dropped():
        n = len(p.heard)
        async with xverse.AsyncClient(p.path) as c:
            c.generate_stream([7])
            gc.collect()
            await asyncio.get_running_loop().run_in_executor(None, p.wait, n + 2)

    first, e, cancel, again, second = asyncio.run(asyncio.wait_for(main(), 30))
    check("asyncio: an answer", first.text == "a", first)
    asyncio.run(asyncio.wait_for(dropped(), 30))
    check("asyncio: a stream that is dropped is cancelled", p.heard[-1].cancel.id == p.heard[-2].id, p.heard[-2:])
    check("asyncio: a cancelled task cancels its call", isinstance(e, asyncio.CancelledError) and cancel.cancel.id == p.heard[2].id, e)
    check("asyncio: a loss", list(again.generate.resume.ids) == [2] and second.text == "bc" and second.resumed == 1, second)
    p.end()
    e = raised(lambda: asyncio.run(xverse.AsyncClient(p.path).status()))
    check("asyncio: a client that is not connected", isinstance(e, RuntimeError), e)


TESTS = (goes_on_where_it_stood, prompt_is_shown_once, three_losses_are_the_end, progress_between_losses, last_words_are_one_loss, loading,
         busy_and_mismatch, time_limits, patience, stopped_responding, idle_loss, prefixes, too_large, wrong_answers, texts_that_are_none, away_before_hello, options,
         abandoned, many_threads, with_asyncio)


def run(test):
    try:
        test()
    except Exception as e:
        check(test.__name__, False, repr(e))


xverse._engine._SUSPECT = 0.2  # seconds; tests/product/check_python compares what it is with libxverse's
with ThreadPoolExecutor(len(TESTS)) as pool:  # most of them wait most of the time
    list(pool.map(run, TESTS))
shutil.rmtree(folder)
print(f"{passed} passed, {failed} failed, 0 skipped")
raise SystemExit(failed > 0)
