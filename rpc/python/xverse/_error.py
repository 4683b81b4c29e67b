"""The base of all errors that the server or this client reports."""
from typing import Any, Optional


class XverseError(Exception):
    """What went wrong, in the server's words; each code of the protocol has a class of its own.

    Attributes:
        code: the number of ``Code``
        text: for people; also what ``str()`` gives
        retryable: the same request may succeed later, not before ``retry_after_ms``
        retry_after_ms: 0 where the server says nothing of it
        rank, step, pid: of the rank that was lost (``LostRankError``), else None
    """

    default_code = 16

    def __init_subclass__(cls) -> None:
        cls.__module__ = "xverse"  # where users find it, and a traceback names it

    def __init__(self, text: str, *, code: Optional[int] = None, retryable: bool = False, retry_after_ms: int = 0, rank: Optional[int] = None,
                 step: Optional[int] = None, pid: Optional[int] = None) -> None:
        super().__init__(text)
        self.text = text
        self.code = self.default_code if code is None else code
        self.retryable = retryable
        self.retry_after_ms = retry_after_ms
        self.rank, self.step, self.pid = rank, step, pid

    def __reduce__(self) -> Any:
        return _again, (type(self), self.text, self.__dict__)


def _again(kind: type, text: str, state: Any) -> XverseError:
    error: XverseError = kind(text)
    error.__dict__.update(state)
    return error
