//! Random scripts and documents under a memory limit: whatever a step is given, it ends as a step
//! does, and the process that runs it goes on.
//!
//! `WINDLASS_FUZZ_CASES=100000` asks for more than the 200 of an ordinary test run, and
//! `WINDLASS_FUZZ_FIRST` for others. A case is made from its number alone, so a report names all that is needed to repeat it.

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
    time::Instant,
};

use crate::{
    harness::{Test, number_of},
    random::Random,
};

const CASES: usize = 200;
/// Steps of one process: starting one costs as much as several steps, and one that breaks breaks them all.
const CASES_PER_PROCESS: usize = 100;
/// Of address space, which also counts what is only reserved: stacks, code, allocator.
const MEMORY_KIB: u64 = 3 << 20;

#[test]
fn g3_no_script_or_document_ends_the_process() {
    let cases = number_of("WINDLASS_FUZZ_CASES", CASES);
    let first: usize = number_of("WINDLASS_FUZZ_FIRST", 0);
    let begun = Instant::now();
    let (mut done, mut refused, mut aborted) = (0, 0, Vec::new());
    while done < cases {
        let batch = CASES_PER_PROCESS.min(cases - done);
        let numbers: Vec<_> = (first + done..first + done + batch).collect();
        done += batch;
        let (end, ran) = run_what_parses(numbers);
        refused += batch - ran.len();
        let End::Aborted(together) = end else {
            continue;
        };
        let found = aborted.len();
        for number in &ran {
            if let End::Aborted(why) = run(&[*number]) {
                let body = Case::new(*number).body();
                aborted.push(format!("case {number}: {why}\n{body}"));
            }
        }
        if aborted.len() == found {
            aborted.push(format!("cases {ran:?} together: {together}"));
        }
    }
    eprintln!(
        "fuzz: {done} cases, {refused} refused before they ran, {} aborts, {:?}",
        aborted.len(),
        begun.elapsed()
    );
    assert!(aborted.is_empty(), "{}", aborted.join("\n\n"));
    assert!(refused * 4 < done, "{refused} of {done} were no scripts");
}

/// How a process ended.
enum End {
    /// By itself, whatever became of its steps.
    Ended,
    /// It found these cases to be no scripts, and ran nothing.
    Refused(BTreeSet<usize>),
    Aborted(String),
}

/// Runs cases in one process, without those that it refuses, and returns those that ran.
///
/// A file is refused with all of its mistakes at once, so this takes two processes and not one for each case.
fn run_what_parses(mut numbers: Vec<usize>) -> (End, Vec<usize>) {
    loop {
        match run(&numbers) {
            End::Refused(refused) if refused.len() == numbers.len() => {
                return (End::Ended, Vec::new());
            }
            End::Refused(refused) => numbers.retain(|number| !refused.contains(number)),
            end => return (end, numbers),
        }
    }
}

/// Runs cases as independent steps of one workflow.
fn run(numbers: &[usize]) -> End {
    let mut workflow = String::from("workflow: w\nsteps:\n");
    // The case that each line belongs to, to tell which of them a mistake is in.
    let mut cases_of_lines = vec![None; 2];
    for number in numbers {
        let case = Case::new(*number);
        let body = case.body().replace('\n', "\n      ");
        let step = format!(
            "  s{number}:\n    timeout: 250ms\n    with: {{ x: '${{{{ {} }}}}' }}\n    run: |\n      {body}\n",
            case.expression().replace('\'', "''"),
        );
        cases_of_lines.extend(step.lines().map(|_| Some(*number)));
        workflow.push_str(&step);
    }
    let test = Test::new().file("w.yaml", &workflow);
    let mut shell = Command::new("sh");
    shell
        .current_dir(test.path(""))
        .args(["-c", "ulimit -v $0; ulimit -c 0; exec \"$@\""])
        .arg(MEMORY_KIB.to_string())
        .arg(env!("CARGO_BIN_EXE_windlass"))
        .args(["run", "w.yaml", "--max-parallel", "2"])
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let output = shell.output().expect("sh starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0 | 1) => End::Ended,
        Some(2) => {
            let lines = stderr.split("[w.yaml:").skip(1).filter_map(|place| {
                let (line, _) = place.split_once(':')?;
                line.parse::<usize>().ok()
            });
            let refused: BTreeSet<_> = lines
                .filter_map(|line| *cases_of_lines.get(line - 1)?)
                .collect();
            assert!(!refused.is_empty(), "refused for nothing: {stderr}");
            End::Refused(refused)
        }
        _ => {
            let tail: Vec<_> = stderr.lines().rev().take(6).collect();
            End::Aborted(format!("{}: {}", output.status, tail.join("\n")))
        }
    }
}

/// One case, made from its number.
struct Case {
    seed: u64,
}

impl Case {
    fn new(number: usize) -> Self {
        Self {
            seed: (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        }
    }

    fn body(&self) -> String {
        let mut random = Random(self.seed);
        let count = 1 + random.below(6);
        let mut lines: Vec<_> = vec![
            "fn repeated(unit, count) { let r = unit; while r.len() < count { r += r; } r } fn wrap(x) { || x }".to_owned(),
            "let s = \"ab\"; let t = \"x\"; let a = [1, \"b\"]; let b = [a]; let m = #{ k: a }; let f = |x| [x]; let n = 7;".to_owned(),
        ];
        for _ in 0..count {
            lines.push(random.statement(2));
        }
        lines.join("\n")
    }

    fn expression(&self) -> String {
        let mut random = Random(self.seed ^ 0xabcd);
        random.pick(&[
            "1",
            "[\"aaaa\"].map(|x| { let y = x; for i in 0..3 { y.replace(\"a\", \"aaaaaaaa\") } y }).len()",
            "[1, 2].map(|x| [x, x]).map(|x| [x, x])",
            "[[[[]]]].to_string()",
            "[\"a\", \"b\"].map(|x| { let y = [x]; for i in 0..300 { y = [y] } y.len() }).len()",
            "#{ a: [1] }.to_json()",
            "[\"a\"].map(|x| x + x).reduce(|a, b| a + b, \"\")",
            "\"a\".split(\"\").len()",
        ])
        .to_owned()
    }
}

impl Random {
    fn number(&mut self) -> String {
        let edge = self.pick(&[
            "0",
            "1",
            "-1",
            "2",
            "64",
            "1000",
            "20000",
            "100000",
            "1048576",
            "4611686018427387904",
            "1125899906842624",
            "9223372036854775807",
            "-9223372036854775807",
        ]);
        edge.to_owned()
    }

    /// A text that some reader may choke on.
    fn text(&mut self) -> String {
        let unit = self.pick(&[
            "[",
            "{",
            "- ",
            "a.",
            "[[a]]\\n",
            "{\\\"a\\\":",
            "[1,",
            "&a [*a,",
            "? ",
            "x: ",
            "!!x ",
            "-----BEGIN CERTIFICATE-----\\n",
            "MIIB",
            "%41",
            "\u{feff}",
            "é",
            "\\n",
            "\\t",
            "'",
            "1e9",
            "a = [",
            "{a={",
            "{{",
            "((((",
            "!",
            "&x ",
            "*x",
            "|",
            "> ",
            "# ",
            "<<: ",
        ]);
        let count = self.pick(&["1", "3", "70", "2000", "30000"]);
        format!("\"{unit}\".repeated({count})")
    }

    fn value(&mut self, depth: usize) -> String {
        match self.below(if depth == 0 { 9 } else { 14 }) {
            0 => self.number(),
            1 => self.pick(&["s", "t", "\"\"", "\"ab\"", "'c'"]).to_owned(),
            2 => self.pick(&["a", "b", "[]"]).to_owned(),
            3 => self.pick(&["m", "#{}"]).to_owned(),
            4 => self
                .pick(&["f", "|y| y", "|| a", "|| f.call(1)", "|y| [y, a, s]"])
                .to_owned(),
            5 => self.pick(&["n", "true", "1.5", "()", "0..9"]).to_owned(),
            6..=8 => self.text_or_short(),
            9 => format!("[{}, {}]", self.value(depth - 1), self.value(depth - 1)),
            10 => format!(
                "#{{ k: {}, j: {} }}",
                self.value(depth - 1),
                self.value(depth - 1)
            ),
            11 => format!(
                "`${{{}}}${{{}}}`",
                self.value(depth - 1),
                self.value(depth - 1)
            ),
            12 => format!("({} + {})", self.value(depth - 1), self.value(depth - 1)),
            _ => self.call(depth - 1),
        }
    }

    fn text_or_short(&mut self) -> String {
        let text = self.text();
        // Scripts have no such function: it is written out, or made by `pad`.
        let (unit, count) = text.rsplit_once(".repeated(").unwrap_or((&text, "1)"));
        match count {
            "1)" | "3)" => unit.to_owned(),
            _ => format!("repeated({unit}, {count}"),
        }
    }

    fn call(&mut self, depth: usize) -> String {
        let reader = self.pick(&[
            "yaml::parse",
            "json::parse",
            "toml::parse",
            "parse_json",
            "x509::read",
            "base64::decode",
            "yaml::stringify",
            "json::stringify",
            "toml::stringify",
            "hash::sha256",
            "log::info",
            "base64::encode",
            "kube::kubeconfig",
            "to_string",
            "to_debug",
            "print",
            "debug",
        ]);
        match self.below(3) {
            0 if reader != "kube::kubeconfig" => format!("{reader}({})", self.value(depth)),
            1 => {
                let method = self.pick(&[
                    "replace",
                    "pad",
                    "insert",
                    "append",
                    "push",
                    "splice",
                    "split",
                    "sub_string",
                    "crop",
                    "extract",
                    "index_of",
                    "contains",
                    "set",
                    "truncate",
                    "chop",
                ]);
                let (x, y) = (self.value(0), self.value(0));
                match method {
                    "append" | "push" | "split" | "truncate" | "chop" | "extract" | "contains"
                    | "index_of" => {
                        format!("{}.{method}({x})", self.pick(&["s", "a", "b", "m"]))
                    }
                    "splice" => format!(
                        "{}.splice({}, {}, {x})",
                        self.pick(&["a", "b"]),
                        self.number(),
                        self.number()
                    ),
                    _ => format!("{}.{method}({x}, {y})", self.pick(&["s", "a", "b", "t"])),
                }
            }
            _ => {
                let higher = self.pick(&[
                    "map", "filter", "for_each", "retain", "drain", "sort", "dedup", "some", "all",
                ]);
                let function = self.pick(&[
                    "|x| [x, a]",
                    "|x| s + s",
                    "|x| { s += s; s }",
                    "|x| { a.push(a); x }",
                    "|x| x",
                    "|x| b == b",
                    "|x, y| 0",
                    "|x| { this = [this]; this }",
                ]);
                format!("{}.{higher}({function})", self.pick(&["a", "b"]))
            }
        }
    }

    fn statement(&mut self, depth: usize) -> String {
        let target = self.pick(&["s", "t", "a", "b", "m", "f", "n"]);
        let one = match self.below(9) {
            0 => format!("{target} = {};", self.value(2)),
            1 => format!("{target} += {};", self.value(1)),
            2 => format!("{};", self.call(2)),
            3 => {
                let grow = self.pick(&[
                    "a = [a]",
                    "b = [b, b]",
                    "a.push(a)",
                    "a += a",
                    "s += s",
                    "s = s + t",
                    "m = #{ k: m }",
                    "m.x = m",
                    "s = s.replace(\"a\", s)",
                    "t = t.replace(\"\", t)",
                    "let g = f; f = || g.call()",
                    "a.push(f)",
                    "f = |x| [x, f]",
                    "a.insert(0, b)",
                    "s.pad(n * 1000, \"é\")",
                    "n *= 8",
                    "b = a.map(|x| s)",
                    "a = a.to_string().split(\"\")",
                    "s = a.to_string()",
                    "a[0] = a",
                    "a == [a]",
                    "log::info(s)",
                    "let h = wrap(f); f = h",
                ]);
                let times = self.pick(&["3", "30", "1000", "20000"]);
                format!("for i in 0..{times} {{ {grow}; }}")
            }
            4 => format!("try {{ {}; }} catch (e) {{ s = `${{e}}`; }}", self.call(2)),
            5 => format!(
                "b.for_each(|x| {{ {}; }});",
                self.pick(&["this = [this]", "a.push(x)", "s += s", "this += this"])
            ),
            6 => format!("throw {};", self.value(1)),
            7 => format!("switch {} {{ 1 => 2, _ => 3 }};", self.value(1)),
            _ => format!("let v = {}; {target} = v;", self.value(2)),
        };
        match self.below(4) {
            0 if depth > 0 => format!(
                "for j in 0..{} {{ {} }}",
                self.pick(&["2", "50"]),
                self.statement(depth - 1)
            ),
            1 if depth > 0 => format!("try {{ {one} }} catch {{ }}"),
            _ => one,
        }
    }
}

/// A document on stdin is one more way in.
#[test]
fn g3_documents_on_the_command_line_are_refused_with_an_error() {
    let nested = |unit: &str| unit.repeat(40_000);
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nparams: { x: any }\nsteps:\n  a: { run: '1' }\n",
    );
    for (name, text) in [
        ("deep.yaml", format!("x: {}1", nested("- "))),
        ("deep.json", format!("{{\"x\": {}", nested("["))),
        ("laughs.yaml", {
            let mut text = String::from("a0: &a0 \"some text that is long enough\\n\"\n");
            for i in 1..12 {
                let names = format!("*a{},", i - 1).repeat(9);
                text.push_str(&format!("a{i}: &a{i} [{names}]\n"));
            }
            text
        }),
    ] {
        test.write(name, &text);
        let ran = test.windlass(&["run", "w.yaml", "--params", name]);
        assert_eq!(ran.code, 2, "{name}: exit {}\n{}", ran.code, ran.stderr);
        test.write("flow.yaml", &text);
        let ran = test.windlass(&["validate", "flow.yaml"]);
        assert!(matches!(ran.code, 1 | 2), "{name}: exit {}", ran.code);
    }
    test.write("windlass.toml", &format!("x = {}", nested("[")));
    test.windlass(&["run", "w.yaml"]).expect(2);
    test.write("windlass.toml", &format!("{}x = 1", nested("a.")));
    test.windlass(&["run", "w.yaml"]).expect(2);
}
