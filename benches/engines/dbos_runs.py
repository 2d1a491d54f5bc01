"""The work of benches/beside-engines on DBOS, as its documentation advises: steps in a workflow, a queue for many.

usage: dbos_runs.py chain|fan-out|effects N [URL]
"""

import sys
import urllib.request

from dbos import DBOS, DBOSConfig, SetWorkflowID

work, n = sys.argv[1], int(sys.argv[2])
url = sys.argv[3] if len(sys.argv) > 3 else ""
config: DBOSConfig = {
    "name": "bench",
    "system_database_url": "sqlite:///dbos.sqlite",
    "run_admin_server": False,
    "log_level": "ERROR",
}
DBOS(config=config)

@DBOS.step()
def nothing(i: int) -> int:
    return i


@DBOS.step()
def effect(i: int) -> int:
    request = urllib.request.Request(f"{url}/{i}", method="POST", data=b"")
    with urllib.request.urlopen(request) as answer:
        return answer.status


@DBOS.workflow()
def chain() -> None:
    for i in range(n):
        nothing(i)


@DBOS.workflow()
def one(i: int) -> int:
    return nothing(i)


@DBOS.workflow()
def fan_out() -> None:
    handles = [DBOS.enqueue_workflow("bench", one, i) for i in range(n)]
    for handle in handles:
        handle.get_result()


@DBOS.workflow()
def effects() -> None:
    for i in range(n):
        effect(i)


# What a process that died was doing is taken up again by the launch, under the same id.
DBOS.launch()
DBOS.register_queue("bench", worker_concurrency=64, polling_interval_sec=0.1)
with SetWorkflowID(f"{work}-1"):
    DBOS.start_workflow({"chain": chain, "fan-out": fan_out, "effects": effects}[work])
DBOS.retrieve_workflow(f"{work}-1").get_result()
DBOS.destroy()
