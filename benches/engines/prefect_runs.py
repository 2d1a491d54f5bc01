"""The work of benches/beside-engines on Prefect, as its documentation advises: tasks in a flow, `map` for many.

usage: prefect_runs.py chain|fan-out|effects N [URL]
"""

import os
import sys
import urllib.request

from prefect import flow, task
from prefect.cache_policies import INPUTS

work, n = sys.argv[1], int(sys.argv[2])
url = sys.argv[3] if len(sys.argv) > 3 else ""


@task
def nothing(i: int) -> int:
    return i


# A flow that starts again passes over tasks whose results were kept for the same inputs, among them the run's name.
@task(persist_result=True, cache_policy=INPUTS)
def effect(run: str, i: int) -> int:
    request = urllib.request.Request(f"{url}/{i}", method="POST", data=b"")
    with urllib.request.urlopen(request) as answer:
        return answer.status


@flow
def chain() -> None:
    for i in range(n):
        nothing(i)


@flow
def fan_out() -> None:
    nothing.map(range(n)).result()


@flow
def effects() -> None:
    for i in range(n):
        effect(os.getcwd(), i)


{"chain": chain, "fan-out": fan_out, "effects": effects}[work]()
