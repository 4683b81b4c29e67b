"""Messages of the protocol, made from its descriptor, and the frames that carry them.

The descriptor goes into a pool of its own: a program may also have xverse_pb2 of another version."""
import struct
from typing import Any, Dict, Iterator, Optional, Tuple

from google.protobuf import descriptor_pool, message, message_factory

from . import _schema
from ._error import XverseError
from ._schema import ERRORS, REPLIES, FormatError

PROTOCOL = 1  # the version that this client speaks
FRAME_LIMIT = 16 << 20
_HEAD_MAX = 5


def _classes() -> Dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(_schema.DESCRIPTOR)
    found = pool.FindFileByName("xverse.proto").message_types_by_name
    if hasattr(message_factory, "GetMessageClass"):  # protobuf 4.22 and later
        return {name: message_factory.GetMessageClass(d) for name, d in found.items()}
    factory: Any = message_factory.MessageFactory(pool)
    return {name: factory.GetPrototype(d) for name, d in found.items()}


_made = _classes()
Request: Any = _made["Request"]
Reply: Any = _made["Reply"]


def is_repeated(field: Any) -> bool:
    new = getattr(field, "is_repeated", None)  # later releases warn of `label`
    return bool(field.label == 3 if new is None else new)


def frame(request: Any) -> bytes:
    data: bytes = request.SerializeToString()
    n, head = len(data), bytearray()
    while n > 0x7f:
        head.append(n & 0x7f | 0x80)
        n >>= 7
    head.append(n)
    return bytes(head) + data


def _head(buffer: bytearray, at: int) -> Optional[Tuple[int, int]]:
    """(where the message begins, its bytes), or None: not all of the length has arrived."""
    n = 0
    for i in range(_HEAD_MAX):
        if at + i == len(buffer):
            return None
        byte = buffer[at + i]
        n |= (byte & 0x7f) << 7 * i
        if byte < 0x80:
            if n > FRAME_LIMIT:
                break
            return at + i + 1, n
    raise FormatError("the server sent bytes that are not a frame")


def _is_text(body: Any) -> bool:
    """Whether all strings are: protobuf's older form in C++ makes bytes of what is not UTF-8, and goes on."""
    for field, value in body.ListFields():
        values = value if is_repeated(field) else (value,)
        if field.type == field.TYPE_STRING and any(isinstance(v, bytes) for v in values):
            return False
        if field.message_type is not None and not all(map(_is_text, values)):
            return False
    return True


def take_frames(buffer: bytearray) -> Iterator[Any]:
    """Whole replies, which leave the buffer."""
    while True:
        head = _head(buffer, 0)
        if head is None or len(buffer) < sum(head):
            return
        begin, size = head
        data = bytes(memoryview(buffer)[begin:begin + size])
        del buffer[:begin + size]
        try:
            reply = Reply.FromString(data)
        except (message.DecodeError, UnicodeDecodeError, struct.error) as e:
            raise FormatError(f"the server sent a message that cannot be decoded: {e}") from None
        if not _is_text(reply):
            raise FormatError("the server sent a message that cannot be decoded: a text is not UTF-8")
        yield reply


def _value(field: Any, value: Any) -> Any:
    if field.enum_type is not None:
        return getattr(_schema, field.enum_type.name)(value)
    return plain(value) if field.message_type is not None else value


def plain(body: Any) -> Any:
    """The dataclass of a reply's message; of Sampling a dict of what is set."""
    made: Dict[str, Any] = {}
    for field, value in body.ListFields():
        made[field.name] = [_value(field, v) for v in value] if is_repeated(field) else _value(field, value)
    kind = REPLIES.get(body.DESCRIPTOR.name)
    return made if kind is None else kind(**made)


def error_of(body: Any) -> XverseError:
    """The exception of an Error."""
    def known(name: str) -> Optional[int]:
        return int(getattr(body, name)) if body.HasField(name) else None
    return ERRORS.get(body.code, XverseError)(body.text, code=body.code, retryable=body.retryable, retry_after_ms=body.retry_after_ms,
                                              rank=known("rank"), step=known("step"), pid=known("pid"))
