"""A program of a user, for a type checker: `mypy --strict` must find nothing here, and the lines that say `wrong` must be found."""
import asyncio
from typing import List, Optional

import xverse


def complete(client: xverse.Client, prompt: str, seed: int) -> str:
    answer: xverse.Answer = client.generate(prompt, max_tokens=4, seed=seed, stop=["\n"], logit_bias={3: 1.0}, choice=["a", "b"], timeout_ms=1000)
    reason: xverse.FinishReason = answer.finish_reason
    first: Optional[float] = answer.tokens[0].logprob if answer.tokens else None
    return f"{answer.text} {reason.name} {first}"


def follow(client: xverse.Client, ids: List[int]) -> int:
    with client.chat_stream([{"role": "user", "content": "Hi"}], tools=[{"type": "function"}], temperature=0.5) as stream:
        texts: List[str] = [chunk.text for chunk in stream]
    status: xverse.Status = client.status()
    bytes_of_rank: int = status.rank[0].weight_bytes
    tokens: xverse.Tokens = client.tokenize("a", pieces=True)
    scores: Optional[float] = client.score(ids, top_n=2).perplexity
    return len(texts) + bytes_of_rank + len(tokens.ids) + int(scores or 0)


async def together(prompts: List[str]) -> List[xverse.Answer]:
    async with xverse.AsyncClient("/run/s", resume=False) as client:
        async for chunk in client.generate_stream(prompts[0]):
            print(chunk.ids)
        return list(await asyncio.gather(*(client.generate(p) for p in prompts)))


def fail(client: xverse.Client) -> str:
    try:
        client.generate("x", max_tokens="many")  # wrong
        client.generate("x", max_token=1)  # wrong
        client.generate(1.5)  # wrong
        return client.status().state  # wrong
    except xverse.BusyError as e:
        return f"{e.text} {e.retry_after_ms + 1} {e.rank}"
