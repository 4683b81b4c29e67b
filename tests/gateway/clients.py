import asyncio
import warnings

import openai
from prometheus_client.parser import text_string_to_metric_families

from gw import *

if not os.path.exists(TEXT_MODEL):
    skip("no model with a tokenizer")
    done()
_, sock = start_daemon(TEXT_MODEL, "tiny", max_num_seqs=2, max_num_queued_reqs=2, **({"chat_template": "llama-2"} if has_chat() else {}))
open(WORK + "/keys", "w").write("good\n")
gw = Gateway("--model", "tiny=" + sock, "--port=0", "--api-key-file", WORK + "/keys", "--max-body=100000", ready=False)
wait_for(lambda: gw.get("/health/ready")[0] == 200)
TEXT = ", there was a little girl" if PUBLISHED else continuation(sock, "Once upon a time", 8)
URL = f"http://127.0.0.1:{gw.port}/v1"
client = openai.OpenAI(base_url=URL, api_key="good", max_retries=0)


def completions():
    same("models", [m.id for m in client.models.list()], ["tiny"])
    same("model", client.models.retrieve("tiny").max_model_len, 512)
    r = client.completions.create(model="tiny", prompt="Once upon a time", max_tokens=8, temperature=0, logprobs=2)
    same("text", r.choices[0].text, TEXT)
    same("usage", (r.usage.prompt_tokens, r.usage.completion_tokens), (5 if PUBLISHED else r.usage.prompt_tokens, 8))
    same("logprobs", len(r.choices[0].logprobs.top_logprobs), 8)
    check("receipt", "/" in r.system_fingerprint)
    s = client.completions.create(model="tiny", prompt="Once upon a time", max_tokens=8, temperature=0, stream=True,
                                  stream_options={"include_usage": True})
    pieces = list(s)
    same("stream", "".join(p.choices[0].text for p in pieces if p.choices), TEXT)
    same("stream usage", pieces[-1].usage.completion_tokens, 8)
    same("finish", [p.choices[0].finish_reason for p in pieces if p.choices][-1], "length")
    r = client.completions.create(model="tiny", prompt=["Once", "The"], n=2, max_tokens=3, seed=1)
    same("several", [c.index for c in r.choices], [0, 1, 2, 3])


def error(name, kind, call):
    try:
        call()
        check(name, False, "no error")
    except kind as e:
        check(name, type(e) is kind and isinstance(getattr(e, "body", {}), (dict, type(None))), type(e), e)
    except Exception as e:
        check(name, False, type(e), e)


def errors():
    def create(c=client, **more):
        return c.completions.create(**{"model": "tiny", "prompt": "x", "max_tokens": 1, **more})
    error("wrong key", openai.AuthenticationError, lambda: create(openai.OpenAI(base_url=URL, api_key="bad", max_retries=0)))
    error("no such model", openai.NotFoundError, lambda: create(model="none"))
    error("bad field", openai.BadRequestError, lambda: create(temperature=-1))
    error("too long", openai.BadRequestError, lambda: create(prompt="x " * 2000))
    error("too large", openai.APIStatusError, lambda: create(prompt="x" * 200000))
    try:
        create(max_tokens=100000)
    except openai.BadRequestError as e:
        same("code and type", (e.code, e.type), ("context_length_exceeded", "invalid_request_error"))
    down = Gateway("--model", "tiny=/nonexistent", "--port=0", ready=False)
    error("no daemon", openai.InternalServerError,
          lambda: create(openai.OpenAI(base_url=f"http://127.0.0.1:{down.port}/v1", api_key="x", max_retries=0)))
    down.stop()


async def crowd():
    """More than the queue takes: the library waits as it is told and all succeed."""
    c = openai.AsyncOpenAI(base_url=URL, api_key="good", max_retries=20)
    answers = await asyncio.gather(*[c.completions.create(model="tiny", prompt="Once", max_tokens=300, extra_body={"ignore_eos": True}) for _ in range(12)])
    same("all in the end", [a.usage.completion_tokens for a in answers], [300] * 12)
    stream = await c.completions.create(model="tiny", prompt="Once", max_tokens=400, stream=True, extra_body={"ignore_eos": True})
    async for _ in stream:
        break
    await stream.close()


def chat():
    if gw.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}, {"Authorization": "Bearer good"})[0] == 501:
        skip("chat: not there yet")
        return
    import langchain_openai
    r = client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "Hello"}], max_tokens=5, logprobs=True, top_logprobs=2)
    check("chat", r.choices[0].message.role == "assistant" and r.usage.completion_tokens <= 5)
    check("chat logprobs", all(len(t.top_logprobs) == 2 for t in r.choices[0].logprobs.content))
    text = "".join(p.choices[0].delta.content or "" for p in client.chat.completions.create(
        model="tiny", messages=[{"role": "user", "content": "Hello"}], max_completion_tokens=5, stream=True, seed=1))
    r = client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "Hello"}], max_completion_tokens=5, seed=1)
    same("chat stream", text, r.choices[0].message.content)
    model = langchain_openai.ChatOpenAI(base_url=URL, api_key="good", model="tiny", max_tokens=5)
    check("LangChain", isinstance(model.invoke("Hello").content, str))
    check("LangChain stream", len(list(model.stream("Hello"))) > 1)


def responses():
    if not has_chat():
        return
    import langchain_openai
    r = client.responses.create(model="tiny", input="Hello", max_output_tokens=5, extra_body={"seed": 1})
    same("a response", (r.status, r.incomplete_details.reason, r.usage.output_tokens, bool(r.output_text)), ("incomplete", "max_output_tokens", 5, True))
    events = list(client.responses.create(model="tiny", input="Hello", max_output_tokens=5, stream=True, extra_body={"seed": 1}))
    same("its events", ("".join(e.delta for e in events if e.type == "response.output_text.delta"), events[-1].type, events[-1].response.output_text),
         (r.output_text, "response.incomplete", r.output_text))
    error("what is not stored", openai.BadRequestError, lambda: client.responses.create(model="tiny", input="x", previous_response_id="resp_1"))
    error("nothing to retrieve", openai.NotFoundError, lambda: client.responses.retrieve("resp_1"))
    model = langchain_openai.ChatOpenAI(base_url=URL, api_key="good", model="tiny", max_tokens=5, use_responses_api=True)
    check("LangChain by responses", isinstance(model.invoke("Hello").text, str))
    check("LangChain by responses, streamed", len(list(model.stream("Hello"))) > 1)


def langchain():
    import langchain_openai
    model = langchain_openai.OpenAI(base_url=URL, api_key="good", model="tiny", max_tokens=8, temperature=0)
    same("LangChain completion", model.invoke("Once upon a time"), TEXT)
    same("LangChain stream", "".join(model.stream("Once upon a time")), TEXT)
    same("LangChain batch", len(model.batch(["Once", "The"])), 2)


def prometheus():
    text = gw.get("/metrics", {"Authorization": "Bearer good"})[1].decode()
    families = {f.name: f for f in text_string_to_metric_families(text)}
    check("families", {"xverse_num_requests_running", "xverse_num_requests_waiting", "xverse_kv_cache_usage_perc"} <= set(families), sorted(families))
    same("types", (families["xverse_num_requests_running"].type, families["xverse_generation_tokens"].type), ("gauge", "counter"))


warnings.simplefilter("ignore")
completions()
errors()
asyncio.run(crowd())
langchain()
chat()
responses()
prometheus()
done()
