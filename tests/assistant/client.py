"""An assistant: starts `windlass mcp` as the client of the Python SDK of MCP does, and calls its tools.

Reads {"command": [...], "env": {...}, "cwd": "...", "calls": [{"tool": ..., "arguments": ...}]} from standard input, and prints
what the server says of itself, its tools, and the result of each call. In an argument, "$RUN" is the run of the last answer
that has one.
"""

import asyncio
import json
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


def with_run(value, run):
    if isinstance(value, dict):
        return {key: with_run(one, run) for key, one in value.items()}
    return run if value == "$RUN" else value


async def main():
    asked = json.load(sys.stdin)
    command = asked["command"]
    parameters = StdioServerParameters(
        command=command[0], args=command[1:], env=asked["env"], cwd=asked["cwd"]
    )
    async with stdio_client(parameters) as (reader, writer):
        async with ClientSession(reader, writer) as session:
            about = await session.initialize()
            tools = await session.list_tools()
            results, run = [], None
            for call in asked["calls"]:
                until = call.get("until")
                while True:
                    try:
                        result = await session.call_tool(
                            call["tool"], with_run(call["arguments"], run)
                        )
                    except Exception as error:
                        results.append({"refused": str(error)})
                        break
                    dumped = result.model_dump(mode="json", by_alias=True)
                    answer = dumped.get("structuredContent") or {}
                    if until and answer.get("status") != until:
                        await asyncio.sleep(0.05)
                        continue
                    run = answer.get("run") if isinstance(answer.get("run"), str) else run
                    results.append(dumped)
                    break
    json.dump(
        {
            "about": about.model_dump(mode="json", by_alias=True),
            "tools": [tool.model_dump(mode="json", by_alias=True) for tool in tools.tools],
            "results": results,
        },
        sys.stdout,
    )


asyncio.run(asyncio.wait_for(main(), 60))
