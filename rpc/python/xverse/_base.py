"""What Client and AsyncClient have in common: all but how they wait."""
from __future__ import annotations

import os
from types import FunctionType
from typing import Callable, Optional, Type, TypeVar, Union

from ._answer import Collector
from ._call import Call
from ._engine import Engine
from ._schema import Finished, Started

K = TypeVar("K")


class Connection:
    """The arguments and the state of both."""

    def __init__(self, path: Union[str, os.PathLike[str], None] = None, *, connect_timeout: float = 40, silence_timeout: float = 10,
                 resume: bool = True, resume_timeout: float = 120, loading_timeout: Optional[float] = None,
                 on_wait: Optional[Callable[[str], None]] = None, asker_key: str = "", asker_client: str = "") -> None:
        self._engine = Engine(None if path is None else os.fspath(path), connect_timeout, silence_timeout, resume, resume_timeout, loading_timeout,
                              on_wait, (asker_key, asker_client))
        self._open()

    def _open(self) -> None:
        raise NotImplementedError

    @property
    def path(self) -> str:
        """Of the server's socket."""
        return self._engine.path

    @property
    def server_version(self) -> str:
        """As the server said when it was connected to last."""
        return str(self._engine.hello.version)

    @property
    def served_model(self) -> str:
        """The name under which it serves its model."""
        return str(self._engine.hello.served_model)

    @property
    def resends(self) -> int:
        """Calls that were sent again because the server was lost."""
        return self._engine.resends


class Opened:
    """A call whose answer arrives in parts."""

    def __init__(self, call: Call) -> None:
        self._call, self._got = call, Collector(call)

    @property
    def started(self) -> Optional[Started]:
        """What the server said first, such as the seed; None before."""
        return self._got.started

    @property
    def finished(self) -> Optional[Finished]:
        """What it said last; None before."""
        return self._got.finished

    @property
    def queue_place(self) -> int:
        """Of a call that waits, as last heard; 0: it runs."""
        return self._got.queue_place

    @property
    def resumed(self) -> int:
        """How often another server, or the same after a restart, went on with it."""
        return self._call.resumed


def documented(like: type) -> Callable[[Type[K]], Type[K]]:
    """Methods without a text of their own get that of their namesakes in `like`, up to the examples, which show the other class."""
    def decorate(kind: Type[K]) -> Type[K]:
        for name, member in vars(kind).items():
            text = getattr(getattr(like, name, None), "__doc__", None)
            if isinstance(member, FunctionType) and not name.startswith("_") and not member.__doc__ and text:
                member.__doc__ = text.split(">>>")[0].rstrip()
        return kind
    return decorate
