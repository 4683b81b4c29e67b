"""Where the server's socket lies: the rule of rpc/place.h, as a client applies it."""
import os
import stat
from typing import List, NamedTuple, Optional

from ._schema import DeniedError

_NAME = "/xversed.sock"
_SYSTEM = "/run/xversed"
PATH_MAX = 107  # bytes of a Unix socket's path


class _Place(NamedTuple):
    name: str  # for messages
    folder: str
    trusted: bool  # no other user than root chose what is in it
    bad: Optional[str]  # why a server of this user cannot use it


def _status(path: str, follow: bool = True) -> Optional[os.stat_result]:
    try:
        return os.stat(path) if follow else os.lstat(path)
    except OSError:
        return None


def _may(path: str, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _cannot_write(folder: str) -> Optional[str]:
    return None if _may(folder, os.W_OK | os.X_OK) else "may not be written by this user"


def _runtime_dir() -> _Place:
    name, folder = "XDG_RUNTIME_DIR", os.environ.get("XDG_RUNTIME_DIR", "")
    if not folder:
        return _Place(name, folder, False, "is not set")
    if not folder.startswith("/"):
        return _Place(name, folder, False, "is not an absolute path")
    if len(os.fsencode(folder)) > PATH_MAX - len(_NAME):
        return _Place(name, folder, False, "is too long for the path of a socket")
    st = _status(folder)
    if st is None or not stat.S_ISDIR(st.st_mode):
        return _Place(name, folder, True, "names a folder that does not exist")
    if st.st_uid != os.geteuid():
        return _Place(name, folder, True, "names a folder of another user")
    return _Place(name, folder, True, _cannot_write(folder))


def _system() -> _Place:
    st, bad = _status(_SYSTEM), None
    if st is not None:
        bad = "is not a folder" if not stat.S_ISDIR(st.st_mode) else \
            "may be written by every user" if st.st_mode & stat.S_IWOTH else _cannot_write(_SYSTEM)
    elif _cannot_write("/run"):
        bad = "does not exist, and only root may make it"
    return _Place(_SYSTEM, _SYSTEM, True, bad)


def _private() -> _Place:
    folder = f"/tmp/xversed-{os.geteuid()}"
    st, tmp, bad = _status(folder, follow=False), _status("/tmp"), None
    if st is None:
        bad = "cannot be made" if _cannot_write("/tmp") else None
    elif stat.S_ISLNK(st.st_mode):
        bad = "is a symbolic link, which may be another user's"
    elif not stat.S_ISDIR(st.st_mode):
        bad = "is not a folder"
    elif st.st_uid != os.geteuid():
        bad = "belongs to another user"
    elif st.st_mode & 0o077:
        bad = "is open to other users: its mode must be 0700"
    else:
        bad = _cannot_write(folder)
    if tmp is None or tmp.st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH:
        bad = "cannot be trusted: /tmp has no sticky bit"
    return _Place(folder, folder, bad is None, bad)


def _socket_in(place: _Place) -> int:
    """0: there is no socket, 1: one that may not be connected to, 2: one that may."""
    path = place.folder + _NAME
    st = _status(path) if place.trusted else None
    if st is None or not stat.S_ISSOCK(st.st_mode):
        return 0
    return 2 if _may(path, os.W_OK) else 1


def _refuse(places: List[_Place]) -> DeniedError:
    faults = ", ".join(f"{p.name} {p.bad}" for p in places)
    return DeniedError(f"no folder for the socket: {faults}; --uds PATH names the socket, or set XDG_RUNTIME_DIR to a folder of your own")


def default_path() -> str:
    """The socket of a client that is given none: ``XVERSE_SOCKET``, else ``xversed.sock`` in ``$XDG_RUNTIME_DIR``, ``/run/xversed`` or
    ``/tmp/xversed-UID``, wherever there is one. Raises DeniedError if none of these folders can be used."""
    named = os.environ.get("XVERSE_SOCKET")
    if named:
        return named
    places = [_runtime_dir(), _system(), _private()]
    own = next((p for p in places if p.bad is None), None)
    best, found = own, 0 if own is None else _socket_in(own)
    for place in places:
        if found < 2 and _socket_in(place) > found:
            best, found = place, _socket_in(place)
    if best is None:
        raise _refuse(places)
    return best.folder + _NAME
