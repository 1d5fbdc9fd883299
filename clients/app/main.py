"""A FastAPI app with an MCP server, as people write it: no sign-in of any kind.

Tools, resources and prompts have the names that the official conformance suite asks for; `whoami`
is for the others.
"""

import asyncio
import base64
from typing import Annotated, Any

from fastapi import FastAPI
from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.prompts import Message
from fastmcp.server.dependencies import get_access_token
from fastmcp.server.event_store import EventStore
from mcp.types import (
    AudioContent,
    ContentBlock,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    EmbeddedResource,
    ImageContent,
    InputRequiredResult,
    SamplingMessage,
    TextContent,
    TextResourceContents,
)
from pydantic import Field

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
    "AAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SILENCE = base64.b64encode(
    b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x40\x1f\0\0\1\0\x08\0data\0\0\0\0"
).decode()
PICTURE = ImageContent(type="image", data=PIXEL, mime_type="image/png")

mcp: FastMCP[Any] = FastMCP("Clients")
mcp_app = mcp.http_app(path="/", event_store=EventStore(), retry_interval=500)
app = FastAPI(lifespan=mcp_app.lifespan)


@app.get("/about")
def about() -> dict[str, str]:
    return {"about": "an MCP server lives at /mcp"}


@mcp.tool
def whoami() -> str:
    """Whose token it is."""
    token = get_access_token()
    return f"subject {token.claims['sub']}" if token else "nobody"


@mcp.tool
def test_simple_text() -> str:
    """A sentence."""
    return "This is a simple text response for testing."


@mcp.tool
def test_image_content() -> ImageContent:
    """A picture."""
    return PICTURE


@mcp.tool
def test_audio_content() -> AudioContent:
    """A sound."""
    return AudioContent(type="audio", data=SILENCE, mime_type="audio/wav")


def embedded(uri: str) -> EmbeddedResource:
    content = TextResourceContents(uri=uri, mime_type="text/plain", text="An embedded resource.")
    return EmbeddedResource(type="resource", resource=content)


@mcp.tool
def test_embedded_resource() -> EmbeddedResource:
    """A resource."""
    return embedded("test://embedded-resource")


@mcp.tool
def test_multiple_content_types() -> list[ContentBlock]:
    """Several things at once."""
    text = TextContent(type="text", text="Multiple content types test:")
    return [text, PICTURE, embedded("test://mixed-content-resource")]


@mcp.tool
def test_error_handling() -> str:
    """Nothing but an error."""
    raise ToolError("This tool intentionally returns an error for testing")


@mcp.tool
async def test_tool_with_logging(ctx: Context) -> str:
    """Messages on the way."""
    for message in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(message)
        await asyncio.sleep(0.05)
    return "logged"


@mcp.tool
async def test_tool_with_progress(ctx: Context) -> str:
    """Progress on the way."""
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100)
        await asyncio.sleep(0.05)
    return "done"


@mcp.tool
async def test_reconnection(ctx: Context) -> str:
    """An answer that comes over a second stream."""
    await ctx.close_sse_stream()
    await asyncio.sleep(0.1)
    return "Reconnection test completed"


@mcp.tool
async def test_sampling(prompt: str, ctx: Context) -> str:
    """What the client's model says."""
    message = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
    got = await ctx.session.create_message([message], max_tokens=100)
    return f"LLM response: {got.content}"


@mcp.tool
async def test_elicitation(message: str, ctx: Context) -> str:
    """What the client's user says."""
    return f"User response: {(await ctx.elicit(message, str)).action}"


@mcp.tool
async def test_input_required_result_elicitation(ctx: Context) -> str | InputRequiredResult:
    """The same without a stream, as the protocol has it since 2026-07-28."""
    answer = (ctx.input_responses or {}).get("user_name")
    if isinstance(answer, ElicitResult) and answer.content:
        return f"Hello, {answer.content['name']}!"
    name = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    question = ElicitRequestFormParams(message="What is your name?", requested_schema=name)
    return InputRequiredResult(input_requests={"user_name": ElicitRequest(params=question)})


@mcp.tool
def region(
    region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})],
) -> str:
    """An argument that goes into a header too."""
    return region


@mcp.resource("test://static-text", mime_type="text/plain")
def static_text() -> str:
    """A text."""
    return "This is the content of the static text resource."


@mcp.resource("test://static-binary", mime_type="image/png")
def static_binary() -> bytes:
    """A picture."""
    return base64.b64decode(PIXEL)


@mcp.resource("test://template/{id}/data", mime_type="application/json")
def template(id: str) -> str:
    """Something about an id."""
    return f'{{"id": "{id}", "data": "Data for ID: {id}"}}'


@mcp.prompt
def test_simple_prompt() -> str:
    """A prompt."""
    return "This is a simple prompt for testing."


@mcp.prompt
def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    """A prompt with arguments."""
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


@mcp.prompt
def test_prompt_with_embedded_resource(resourceUri: str) -> list[Message]:
    """A prompt with a resource."""
    return [Message(embedded(resourceUri)), Message("Please process the resource above.")]


@mcp.prompt
def test_prompt_with_image() -> list[Message]:
    """A prompt with a picture."""
    return [Message(PICTURE), Message("Please analyze the image above.")]


@mcp.completion
def complete(ref: Any, argument: Any, context: Any) -> list[str]:
    return ["paris", "park", "party"]


app.mount("/mcp", mcp_app)
