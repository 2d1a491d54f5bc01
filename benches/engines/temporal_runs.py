"""The work of benches/beside-engines on Temporal, as its documentation advises: activities in a workflow, gathered for many.

usage: temporal_runs.py worker | chain|fan-out|effects N [URL]      TEMPORAL_ADDRESS says where the server is
"""

import asyncio
import concurrent.futures
import os
import sys
import urllib.request
import uuid
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

QUEUE = "bench"
# The server notices by this that a worker has died in an activity.
LIMIT = timedelta(seconds=5)


@activity.defn
async def nothing(i: int) -> int:
    return i


@activity.defn
def effect(url: str, i: int) -> int:
    request = urllib.request.Request(f"{url}/{i}", method="POST", data=b"")
    with urllib.request.urlopen(request) as answer:
        return answer.status


@workflow.defn(name="chain")
class Chain:
    @workflow.run
    async def run(self, n: int, _url: str) -> None:
        for i in range(n):
            await workflow.execute_activity(nothing, i, start_to_close_timeout=LIMIT)


@workflow.defn(name="fan-out")
class FanOut:
    @workflow.run
    async def run(self, n: int, _url: str) -> None:
        await asyncio.gather(*(workflow.execute_activity(nothing, i, start_to_close_timeout=LIMIT) for i in range(n)))


@workflow.defn(name="effects")
class Effects:
    @workflow.run
    async def run(self, n: int, url: str) -> None:
        for i in range(n):
            await workflow.execute_activity(effect, args=[url, i], start_to_close_timeout=LIMIT)


async def main() -> None:
    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"])
    if sys.argv[1] != "worker":
        work, n, url = sys.argv[1], int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else ""
        await client.execute_workflow(work, args=[n, url], id=f"{work}-{uuid.uuid4()}", task_queue=QUEUE)
        # Skips the interpreter's shutdown, during which a thread of the SDK may still call into it and abort the process.
        os._exit(0)
    with concurrent.futures.ThreadPoolExecutor(16) as threads:
        worker = Worker(
            client,
            task_queue=QUEUE,
            workflows=[Chain, FanOut, Effects],
            activities=[nothing, effect],
            activity_executor=threads,
        )
        await worker.run()


if __name__ == "__main__":
    asyncio.run(main())
