"""Options of a call become its request. Which there are is read off the descriptor; a wrong one is named before anything is sent."""
import difflib
import json
from operator import index
from typing import Any, Dict, Iterable, Mapping, Optional, Sequence, Tuple, Union

from ._answer import Answer
from ._wire import Request, is_repeated

Prompt = Union[str, Sequence[int]]
_STRING = 9  # FieldDescriptor.TYPE_STRING
_INTEGERS = (3, 4, 5, 13)


def _fields(body: Any) -> Dict[str, Tuple[Any, Any]]:
    """Option: (message, field). Options of sampling and of its constraint stand beside those of the request itself."""
    found: Dict[str, Tuple[Any, Any]] = {}
    for field in body.DESCRIPTOR.fields:
        if field.name == "sampling":
            found.update(_fields(body.sampling))
        elif field.name == "constraint":
            found.update(_fields(body.constraint))
        else:
            found[field.name[:-5] if field.name.endswith("_json") else field.name] = (body, field)
    return found


def _as_json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _set_list(body: Any, field: Any, value: Any) -> None:
    at = getattr(body, field.name)
    if field.name == "logit_bias":
        for token, bias in value.items():
            at.add(id=index(token), value=bias)
    elif field.type == _STRING:
        at.extend([value] if isinstance(value, str) else value)
    else:
        at.extend(map(index, value))


def _set(body: Any, field: Any, value: Any) -> None:
    if is_repeated(field):
        _set_list(body, field, value)
    elif field.name == "choice":
        if isinstance(value, str):
            raise TypeError("a list of texts is needed, not one text")
        body.choice.text.extend(value)
    elif field.name.endswith("_json") or (field.type == _STRING and isinstance(value, (Mapping, list))):
        setattr(body, field.name, _as_json(value))
    else:
        setattr(body, field.name, index(value) if field.type in _INTEGERS else value)


def named(name: str, act: Any, *args: Any) -> None:
    """Calls it; an error that it raises names the option."""
    try:
        act(*args)
    except TypeError as e:
        raise TypeError(f"{name}: {e}") from None
    except (ValueError, OverflowError, AttributeError) as e:
        raise ValueError(f"{name}: {e}") from None


def _unknown(call: str, name: str, known: Iterable[str]) -> TypeError:
    near = difflib.get_close_matches(name, known, 1)
    return TypeError(f"{call}: there is no option {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))


def _set_options(call: str, body: Any, options: Mapping[str, Any]) -> None:
    known = _fields(body)
    for name, value in options.items():
        if name not in known:
            raise _unknown(call, name, known)
        if value is not None:
            named(name, _set, *known[name], value)


def set_prompt(body: Any, prompt: Prompt, text: str = "text", tokens: str = "tokens") -> None:
    if isinstance(prompt, str):
        setattr(body, text, prompt)
    else:
        getattr(body, tokens).SetInParent()
        getattr(body, tokens).ids.extend(map(index, prompt))


def _set_message(to: Any, message: Mapping[str, Any]) -> None:
    """Content that is no text, and all keys that the protocol has no field for, go as JSON."""
    rest: Dict[str, Any] = {}
    for key, value in message.items():
        if key in ("role", "content", "name") and isinstance(value, str):
            setattr(to, key, value)
        elif key == "role":
            raise TypeError("role must be a text")
        else:
            rest[key] = value
    if rest:
        to.json = _as_json(rest)
    to.SetInParent()


def with_prompt(kind: str, prompt: Prompt, options: Mapping[str, Any]) -> Any:
    """Generate and Score."""
    request = Request()
    body = getattr(request, kind)
    body.SetInParent()
    named("prompt", set_prompt, body, prompt)
    more = dict(options)
    prefix = more.pop("prefix", None) if kind == "score" else None
    if prefix is not None and len(prefix):
        named("prefix", set_prompt, body, prefix, "prefix_text", "prefix_tokens")
    _set_options(kind, body, more)
    return request


def with_messages(kind: str, messages: Sequence[Mapping[str, Any]], options: Mapping[str, Any]) -> Any:
    """Chat and Template."""
    request = Request()
    body = getattr(request, kind)
    body.SetInParent()
    for i, message in enumerate(messages):
        named(f"messages[{i}]", _set_message, body.messages.add(), message)
    _set_options(kind.rstrip("_"), body, options)
    return request


def to_parse(answer: Answer, tools: Any, parallel_tool_calls: Optional[bool]) -> Any:
    """Of an answer of Chat, whose Started says how to read it."""
    started = answer.started
    return of("parse", text=answer.text, tools=tools, tool_parser=started.tool_parser, reasoning_parser=started.reasoning_parser,
              reasoning_open=started.reasoning_open, parallel_tool_calls=parallel_tool_calls)


def of(kind: str, **options: Any) -> Any:
    """Any other request."""
    request = Request()
    body = getattr(request, kind)
    body.SetInParent()
    _set_options(kind, body, options)
    return request
