"""The runs of a soak: their workflows, and what each must come to."""

from counter import number_of

POSTS = """const INPUTS = #{ url: "string", tag: "string", kind: "string", step: "string", posts: "int" };
fn run(inputs) {
    let n = 0;
    for i in 0..inputs.posts {
        n += http::post(`${inputs.url}/${inputs.kind}/${inputs.tag}/${inputs.step}-${i}`, #{ idempotency: true }).json.n;
    }
    #{ n: n }
}
"""
ONCE = """const INPUTS = #{ url: "string", tag: "string" };
fn run(inputs) {
    let n = http::post(`${inputs.url}/once/${inputs.tag}/a`).json.n;
    n += http::post(`${inputs.url}/keyed/${inputs.tag}/b`, #{ idempotency: true }).json.n;
    #{ n: n }
}
"""
HEAD = 'params: { url: string, tag: string }\n'
CHAIN, POSTS_OF_A_STEP, ITEMS = 6, 3, 8


def step(name: str, kind: str = "keyed", posts: int = POSTS_OF_A_STEP, more: str = "", label: str = "") -> str:
    inputs = f'url: "${{{{ params.url }}}}", tag: "${{{{ params.tag }}}}", kind: {kind}, step: "{label or name}", posts: {posts}'
    return f"  {name}:\n    script: posts.rhai\n    with: {{ {inputs} }}\n{more}"


def files() -> dict[str, str]:
    """The workflows, with their scripts."""
    chain = "".join(step(f"s{i}", more=f"    needs: [s{i - 1}]\n" if i else "") for i in range(CHAIN))
    total = " + ".join(f"steps.s{i}.n" for i in range(CHAIN))
    items = list(range(ITEMS))
    each = step("each", posts=1, more=f"    for_each: ${{{{ {items} }}}}\n    max_parallel: 4\n", label="each${{ item }}")
    of_each = " + ".join(f'steps.each["{i}"].n' for i in items)
    waits = (
        step("before", posts=1)
        + '  pause: { run: "time::sleep(\\"25s\\")", needs: [before] }\n'
        + '  asks: { approval: "Continue?", needs: [pause] }\n'
        + step("after", posts=1, more="    needs: [asks]\n")
    )
    flaky = step("a", kind="flaky", posts=1, more="    retry: { attempts: 6, backoff: 200ms..1s }\n") + step(
        "b", posts=1, more="    needs: [a]\n"
    )
    once = '  a: { script: once.rhai, with: { url: "${{ params.url }}", tag: "${{ params.tag }}" } }\n'

    def of(name: str, steps: str, n: str, head: str = "") -> str:
        return f"workflow: {name}\n{HEAD}{head}steps:\n{steps}outputs:\n  n: ${{{{ {n} }}}}\n"

    return {
        "posts.rhai": POSTS,
        "once.rhai": ONCE,
        "chain.yaml": of("chain", chain, total),
        "items.yaml": of("items", each, of_each, "lock: items\n"),
        "waits.yaml": of("waits", waits, "steps.before.n + steps.after.n"),
        "flaky.yaml": of("flaky", flaky, "steps.a.n + steps.b.n"),
        "once.yaml": of("once", once, "steps.a.n"),
    }


def paths(workflow: str, tag: str) -> list[str]:
    """The requests of a run."""
    of = {
        "chain": [f"keyed/{tag}/s{i}-{j}" for i in range(CHAIN) for j in range(POSTS_OF_A_STEP)],
        "items": [f"keyed/{tag}/each{i}-0" for i in range(ITEMS)],
        "waits": [f"keyed/{tag}/before-0", f"keyed/{tag}/after-0"],
        "flaky": [f"flaky/{tag}/a-0", f"keyed/{tag}/b-0"],
        "once": [f"once/{tag}/a", f"keyed/{tag}/b"],
    }
    return [f"/{path}" for path in of[workflow]]


def outcome(workflow: str, tag: str) -> int:
    """What a run's output `n` must be."""
    return sum(number_of(path) for path in paths(workflow, tag))
