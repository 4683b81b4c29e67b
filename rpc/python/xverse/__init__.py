"""A client of xversed, a server of language models: generate, chat, score and tokenize over its Unix socket, in pure Python.

Streams survive a restart of the server and go on where they stood, with the same text. docs/python.md shows how to use it.

>>> import xverse
>>> with xverse.Client() as client:
...     for chunk in client.generate_stream("The king said to the people,", max_tokens=12, seed=1):
...         print(chunk.text, end="")
 "We have made a great city with a great
>>> client = xverse.Client()
>>> try:
...     client.generate("Hello", top_p=7)
... except xverse.InvalidError as e:
...     print(e)
top_p: 7 is not within 0 to 1
>>> client.close()
"""
from . import _schema
from ._aio import AsyncClient, AsyncStream
from ._answer import Answer, Scores
from ._client import Client, Stream
from ._error import XverseError
from ._place import default_path
from ._schema import *  # noqa: F403

__version__ = _schema.VERSION
__all__ = ["Answer", "AsyncClient", "AsyncStream", "Client", "Scores", "Stream", "XverseError", "default_path"]
__all__ += _schema.__all__
