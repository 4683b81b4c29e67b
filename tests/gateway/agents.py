"""Libraries that give models tools and schemas, unmodified, against a random model: what they get back is valid by their own types, whatever the model
would rather say. That nothing but the form is right is no fault here."""
import asyncio
import typing

import instructor
import openai
import pydantic
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic_ai import Agent, NativeOutput, PromptedOutput, ToolOutput
from pydantic_ai.exceptions import UnexpectedModelBehavior, UsageLimitExceeded
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.usage import UsageLimits

from gw import *
from random_models import TEMPLATE, start_random

gw = Gateway("--model", "m=" + start_random("hermes", TEMPLATE), "--port=0")
URL = f"http://127.0.0.1:{gw.port}/v1"
client = openai.OpenAI(base_url=URL, api_key="none", max_retries=0)
ASK = [{"role": "user", "content": "The weather in Paris, please"}]


class Weather(pydantic.BaseModel):
    """Tells the weather."""
    unit: typing.Literal["C", "F"]
    wind: typing.Literal["none", "some", "much"]
    sunny: bool


LOOP = asyncio.new_event_loop()  # one for all: connections of a closed one complain when they are collected
MORE = dict(temperature=1.5, max_tokens=400)


def tried(name, run, seeds=6):
    """One of some seeds gives a whole answer; an error of the server fails at once."""
    last = None
    for seed in range(seeds):
        try:
            found = run(seed)
            if found is not None:
                return check(name, True)
        except (pydantic.ValidationError, openai.LengthFinishReasonError, UnexpectedModelBehavior, UsageLimitExceeded) as e:
            last = e
        except Exception as e:
            if type(e).__name__ != "IncompleteOutputException":  # instructor's, which moves from release to release
                return check(name, False, type(e), e)
            last = e
    return check(name, False, last)


def openai_library():
    def parsed(seed):
        r = client.chat.completions.parse(model="m", messages=ASK, response_format=Weather, seed=seed, **MORE)
        return r.choices[0].message.parsed

    def tools(seed):
        r = client.chat.completions.parse(model="m", messages=ASK, tools=[openai.pydantic_function_tool(Weather)], tool_choice="required", parallel_tool_calls=False, seed=seed, **MORE)
        return r.choices[0].message.tool_calls[0].function.parsed_arguments

    def streamed(seed):
        with client.chat.completions.stream(model="m", messages=ASK, tools=[openai.pydantic_function_tool(Weather)], seed=seed, parallel_tool_calls=False,
                                            tool_choice={"type": "function", "function": {"name": "Weather"}}, **MORE) as s:
            kinds = {e.type for e in s}
            c = s.get_final_completion().choices[0]
        same("its events", {"tool_calls.function.arguments.delta", "tool_calls.function.arguments.done"} <= kinds, True)
        same("its finish", c.finish_reason, "tool_calls")
        return c.message.tool_calls[0].function.parsed_arguments
    for run in (parsed, tools, streamed):
        tried("openai: " + run.__name__, lambda seed: isinstance(run(seed), Weather) or None)


def openai_responses():
    ask = dict(model="m", input="The weather in Paris, please", max_output_tokens=400, temperature=1.5)
    tool = openai.pydantic_function_tool(Weather)["function"]

    def parsed(seed):
        return client.responses.parse(text_format=Weather, extra_body={"seed": seed}, **ask).output_parsed

    def tools(seed):
        r = client.responses.parse(tools=[openai.pydantic_function_tool(Weather)], tool_choice="required", parallel_tool_calls=False, extra_body={"seed": seed}, **ask)
        return next((i.parsed_arguments for i in r.output if i.type == "function_call"), None) if r.status == "completed" else None

    def streamed(seed):
        with client.responses.stream(text_format=Weather, extra_body={"seed": seed}, **ask) as s:
            kinds = {e.type for e in s}
            if "response.completed" not in kinds:
                return None
            r = s.get_final_response()
        same("its events", {"response.created", "response.output_item.added", "response.output_text.delta", "response.output_text.done"} <= kinds, True)
        return r.output_parsed
    for run in (parsed, tools, streamed):
        tried("openai responses: " + run.__name__, lambda seed: isinstance(run(seed), Weather) or None)
    first = client.responses.create(model="m", input="Hi", tools=[{"type": "function", **tool}], tool_choice="required", max_output_tokens=400, extra_body={"seed": 1})
    back = [{"role": "user", "content": "Hi"}, *first.output, *({"type": "function_call_output", "call_id": i.call_id, "output": "warm"} for i in first.output if i.type == "function_call" and i.status == "completed")]
    check("openai responses: results go back", client.responses.create(model="m", input=back, max_output_tokens=5).output)


def instructor_library():
    for mode in (instructor.Mode.TOOLS, instructor.Mode.TOOLS_STRICT, instructor.Mode.JSON, instructor.Mode.JSON_SCHEMA):
        one = instructor.from_openai(client, mode=mode)
        if mode == instructor.Mode.JSON:  # asks for any object and hopes: the schema is ours
            more = dict(extra_body={"response_format": {"type": "json_schema", "json_schema": {"name": "w", "schema": Weather.model_json_schema()}}})
        else:
            more = {}
        tried(f"instructor: {mode}", lambda seed: one.chat.completions.create(model="m", messages=ASK, response_model=Weather, max_retries=0, seed=seed, **MORE, **more))


def langchain_library():
    def model(seed):
        return ChatOpenAI(base_url=URL, api_key="none", model="m", max_retries=0, seed=seed, temperature=1.5, max_tokens=400)
    for method in ("function_calling", "json_schema"):
        tried(f"langchain: {method}", lambda seed: model(seed).with_structured_output(Weather, method=method).invoke("The weather, please"))
    tried("langchain by responses", lambda seed: ChatOpenAI(base_url=URL, api_key="none", model="m", max_retries=0, temperature=1.5, max_tokens=400, use_responses_api=True, extra_body={"seed": seed})
          .with_structured_output(Weather, method="json_schema").invoke("The weather, please"))
    tried("langchain: any tool", lambda seed: (model(seed).bind_tools([Weather], tool_choice="any").invoke("The weather").tool_calls or [None])[0])

    def streamed(seed):
        whole = None
        for piece in model(seed).bind_tools([Weather], tool_choice="Weather").stream("The weather"):
            whole = piece if whole is None else whole + piece
        return Weather(**whole.tool_calls[0]["args"]) if whole.tool_calls else None
    tried("langchain: streamed", streamed)
    back = [HumanMessage("The weather?"), AIMessage("", tool_calls=[{"name": "Weather", "args": {"unit": "C"}, "id": "c1"}]), ToolMessage("warm", tool_call_id="c1")]
    check("langchain: results go back", isinstance(model(1).bind_tools([Weather]).invoke(back), AIMessage))


def pydantic_ai_library():
    settings = dict(temperature=1.5, max_tokens=400)

    def run(output, seed, kind=OpenAIChatModel, **more):
        m = kind("m", provider=OpenAIProvider(openai_client=openai.AsyncOpenAI(base_url=URL, api_key="none", max_retries=0)), settings={**settings, "seed": seed})
        agent = Agent(m, output_type=output, retries=0, **more)
        return LOOP.run_until_complete(agent.run("The weather, please", usage_limits=UsageLimits(request_limit=3))).output
    for kind in (ToolOutput, NativeOutput):
        tried(f"pydantic-ai: {kind.__name__}", lambda seed: run(kind(Weather), seed))
        tried(f"pydantic-ai by responses: {kind.__name__}", lambda seed: run(kind(Weather), seed, OpenAIResponsesModel))
    # it asks for any JSON object: whether it is a Weather is the model's affair, so that only the server's part is checked
    try:
        run(PromptedOutput(Weather), 1)
        check("pydantic-ai: PromptedOutput", True)
    except UnexpectedModelBehavior:
        check("pydantic-ai: PromptedOutput", True)


for test in (openai_library, openai_responses, instructor_library, langchain_library, pydantic_ai_library):
    try:
        test()
    except Exception as e:
        check(test.__name__, False, type(e), e)
same("the gateway ends", gw.stop(), 0)
done()
