//! Pages about the language of workflows: types, and what expressions read.

use super::page::{Page, Term};

/// A type, or a name that expressions read.
struct Word {
    /// As it is written in a file.
    name: &'static str,
    /// A sentence or more.
    about: &'static str,
    /// The language of the example, and the example.
    example: (&'static str, &'static str),
}

const TYPES: [Word; 11] = [
    Word {
        name: "string",
        about: "A text. An input that is declared `\"string = RSA_2048\"` has a default, one that is declared `\"string?\"` may be left out.",
        example: ("yaml", "params: { name: string }"),
    },
    Word {
        name: "int",
        about: "A whole number of 64 bits. An int that is given for a `float` becomes one.",
        example: (
            "yaml",
            "params: { count: { type: int, default: 3, min: 1, max: 9 } }",
        ),
    },
    Word {
        name: "float",
        about: "A number with 64 bits, which may have a fraction.",
        example: ("yaml", "params: { share: { type: float, default: 0.5 } }"),
    },
    Word {
        name: "bool",
        about: "`true` or `false`.",
        example: ("yaml", "params: { force: { type: bool, default: false } }"),
    },
    Word {
        name: "duration",
        about: "A length of time, as a string: `30s`, `5m`, `12h`, `365d`; 100 years at most.",
        example: (
            "yaml",
            "params: { validity: { type: duration, default: 90d } }",
        ),
    },
    Word {
        name: "secret",
        about: "A text or bytes that nobody sees: it is encrypted in the journal and shown as `‹secret›`. What a script derives from a secret is a secret, too. The value of a param may be a reference: `env:NAME`, `file:PATH`, or a secret in a store.",
        example: ("yaml", "params: { token: secret }"),
    },
    Word {
        name: "bytes",
        about: "Data that need not be text, such as a keystore. In JSON and YAML it is base64; a script has `len()`, `bytes[i]`, `extract(start, length)` and `to_text()`.",
        example: ("rhai", "let keystore = file::read_bytes(\"keystore.p12\");"),
    },
    Word {
        name: "any",
        about: "Any value, also none.",
        example: ("rhai", "const INPUTS = #{ body: \"any\" };"),
    },
    Word {
        name: "list",
        about: "Values in an order. `list(string)` is a list of strings, `list` one of anything.",
        example: (
            "yaml",
            "params: { clusters: { type: list(string), default: [east, west] } }",
        ),
    },
    Word {
        name: "map",
        about: "Values by name. `map(int)` has ints, `map` anything. In Rhai, a map begins with `#{`.",
        example: (
            "yaml",
            "params: { labels: { type: map(string), default: { team: pki } } }",
        ),
    },
    Word {
        name: "timestamp",
        about: "Not a type: a time is a `string` in RFC 3339, such as `2027-03-01T00:00:00Z`. `time::now()` gives one; `time::add`, `time::format` and `time::seconds_between` take one.",
        example: ("rhai", "let tomorrow = time::add(time::now(), \"1d\");"),
    },
];

const READS: [Word; 9] = [
    Word {
        name: "params",
        about: "The params of the workflow.",
        example: ("yaml", "with: { name: \"${{ params.name }}\" }"),
    },
    Word {
        name: "steps",
        about: "The outputs of steps: `steps.STEP.OUTPUT`, of an item `steps.STEP[\"ITEM\"].OUTPUT`. A step waits for every step that its expressions read. A step that was skipped has no outputs: read them with `?.`. The status of a step can't be read: for a step that may fail, use `on_error: continue`.",
        example: (
            "yaml",
            "with: { ca: \"${{ steps.root_ca.arn }}\", note: \"${{ steps.maybe?.text ?? 'none' }}\" }",
        ),
    },
    Word {
        name: "item",
        about: "The item of a `for_each`; of a map, `item.key` and `item.value`. It can be read in what belongs to one item, so not in `when`.",
        example: (
            "yaml",
            "{ for_each: \"${{ params.clusters }}\", with: { cluster: \"${{ item }}\" }, script: restart.rhai }",
        ),
    },
    Word {
        name: "run.id",
        about: "The id of the run.",
        example: ("yaml", "with: { label: \"${{ run.id }}\" }"),
    },
    Word {
        name: "run.started_at",
        about: "When the run was started, in RFC 3339.",
        example: ("yaml", "with: { since: \"${{ run.started_at }}\" }"),
    },
    Word {
        name: "run.status",
        about: "How the run went until now: `succeeded`, `failed` or `cancelled`. It can be read under `finally` only.",
        example: (
            "yaml",
            "finally: { tell: { when: \"${{ run.status == 'failed' }}\", script: tell.rhai } }",
        ),
    },
    Word {
        name: "target.name",
        about: "The name of the target of the run.",
        example: ("yaml", "with: { target: \"${{ target.name }}\" }"),
    },
    Word {
        name: "target.kube",
        about: "Whether the target has the Kubernetes clusters of the workflow.",
        example: ("yaml", "when: ${{ target.kube }}"),
    },
    Word {
        name: "inputs",
        about: "What a script reads: the values of the step's `with`. A script file declares them in `INPUTS`.",
        example: (
            "rhai",
            "const INPUTS = #{ name: \"string\" };\n\nfn run(inputs) {\n    #{ greeting: `hello ${inputs.name}` }\n}",
        ),
    },
];

/// Returns the pages about a type or a name that expressions read; `run` is about all that begins with it, and `steps.x.status` about
/// `steps`.
pub fn language_pages(word: &str) -> Vec<Page> {
    let begins = |whole: &str, start: &str| {
        let rest = whole.strip_prefix(start);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let is_it = |known: &&Word| begins(known.name, word) || begins(word, known.name);
    let page = |kind: &str, known: &Word| {
        let (language, example) = known.example;
        Page::new(format!("`{}`, {kind}", known.name))
            .text(known.about)
            .code(language, example)
    };
    let types = TYPES.iter().filter(|known| known.name == word);
    let types = types.map(|known| page("as a type", known));
    let reads = READS.iter().filter(is_it);
    let reads = reads.map(|known| page("in expressions and scripts", known));
    types.chain(reads).collect()
}

/// Lists the words of which [`language_pages`] has pages.
pub fn language_topics() -> impl Iterator<Item = &'static str> {
    TYPES.iter().chain(&READS).map(|known| known.name)
}

/// Returns the lists of these words for the page of all topics.
pub fn language_terms() -> Vec<Term> {
    let list = |name: &str, words: &[Word]| Term {
        name: name.to_owned(),
        kind: String::new(),
        about: words
            .iter()
            .map(|known| known.name)
            .collect::<Vec<_>>()
            .join(", "),
    };
    vec![list("types", &TYPES), list("names", &READS)]
}
