//! `windlass test --mutate`, and what tests need for it: tests of scripts, runs that come before, certificates, clocks.

use serde_json::Value as Json;

use crate::harness::{Ran, Test, contains};

const SCRIPT: &str = r#"//! Reads twice, and refuses what is too much.
const INPUTS = #{ url: "string", most: "int = 3" };
const OUTPUTS = #{ n: "int" };

fn run(inputs) {
    let n = http::get(inputs.url).json.n;
    if n > inputs.most {
        throw `${n} is too much`;
    }
    log::info(`${n} is well`);
    #{ n: n }
}
"#;

const TESTS: &str = r#"script: look.rhai
tests:
  what is little is taken:
    params: { url: https://a.example }
    given: [{ http::get: , gives: { json: { n: 2 } } }]
    expect: { outputs: { n: 2 } }
  what is too much is refused:
    params: { url: https://a.example }
    given: [{ http::get: , gives: { json: { n: 4 } } }]
    expect: { status: failed, error: "*4 is too much*" }
"#;

fn look() -> Test {
    Test::new()
        .file("look.rhai", SCRIPT)
        .file("look.test.yaml", TESTS)
}

#[test]
fn mutants_without_a_test_are_none() {
    let test = look();
    let ran = test
        .windlass(&["test", "--mutate", "--filter", "nothing"])
        .expect(2);
    ran.says("no test matches `--filter`");
}

#[test]
fn a_script_is_tested_by_itself() {
    let test = look();
    let ran = test
        .windlass(&["test", "look.rhai", "--coverage"])
        .expect(0);
    contains(
        &ran.stderr,
        &[
            "2 tests run: 2 passed",
            "Coverage look.rhai",
            "lines    5/5",
        ],
    );
    test.write("look.test.yaml", &TESTS.replace("url: https", "ulr: https"));
    let ran = test.windlass(&["test"]).expect(2);
    contains(&ran.stderr, &["has no param `ulr`", "did you mean `url`?"]);
    test.write(
        "look.test.yaml",
        &TESTS.replace("script: look", "script: lok"),
    );
    let ran = test.windlass(&["test"]).expect(2);
    contains(
        &ran.stderr,
        &["can't read `lok.rhai`", "look.test.yaml:1:9"],
    );
}

/// The bound itself is tested by nobody; nothing else survives.
#[test]
fn mutants_that_no_test_notices_are_shown() {
    let test = look();
    let ran = test.windlass(&["test", "--mutate", "--json"]).expect(1);
    contains(
        &ran.stderr,
        &[
            "SURVIVED look.rhai:7: `>` became `>=` (2 tests passed)",
            "NOTICED look.rhai:7: the condition `n > inputs.most` became `false` (by look.test.yaml: what is too much is refused)",
            "NOTICED look.rhai:8: the statement",
            "Score",
        ],
    );
    let json = ran.json();
    let survived: Vec<_> = json["mutants"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|mutant| mutant["fate"] == "survived")
        .map(|mutant| mutant["what"].as_str().expect("a text").to_owned())
        .collect();
    assert_eq!(survived, ["`>` became `>=`"]);
    // A line that no test reaches survives, too.
    let one = TESTS.split("  what is too much").next().expect("a part");
    test.write("look.test.yaml", one);
    let ran = test.windlass(&["test", "--mutate"]).expect(1);
    contains(&ran.stderr, &["no test reaches it", "look.rhai:8"]);
    // The files themselves are as they were.
    assert_eq!(test.read("look.rhai"), SCRIPT);
}

#[test]
fn a_score_says_how_much_must_be_noticed() {
    let test = look();
    test.windlass(&["test", "--mutate", "--score", "60"])
        .expect(0);
    let sample = ["test", "--mutate", "--sample", "1", "--score", "0"];
    let ran = test.windlass(&sample).expect(0);
    contains(&ran.stderr, &["Starting 1 mutant of 1 file, 2 tests"]);
    let seeded = |seed: &str| {
        let sample = [
            "test", "--mutate", "--sample", "3", "--score", "0", "--json",
        ];
        let command = [sample.as_slice(), &["--seed", seed]].concat();
        test.windlass(&command).expect(0).json()["mutants"].clone()
    };
    assert_eq!(seeded("1"), seeded("1"));
    let seeds = ["1", "2", "3", "4"].map(seeded);
    assert!(seeds.iter().any(|other| *other != seeds[0]), "{seeds:?}");
    let none = ["test", "--mutate", "--of", "other"];
    contains(
        &test.windlass(&none).expect(2).stderr,
        &["`--of` matches no file in which something can be altered"],
    );
    test.write(
        "look.test.yaml",
        &TESTS.replace("n: 2 } }\n  what", "n: 5 } }\n  what"),
    );
    let ran = test.windlass(&["test", "--mutate"]).expect(2);
    contains(
        &ran.stderr,
        &["the output `n` is not as expected", "[failing-tests]"],
    );
}

/// Each line of a workflow is one that a test notices, or that the workflow is not valid without.
#[test]
fn the_entries_of_a_workflow_are_removed_in_turn() {
    let workflow = "workflow: w\nparams:\n  urls: list(string)\n  least: { type: int, default: 1 }\nlock: l\nsteps:\n  first:\n    for_each: ${{ params.urls }}\n    \
        max_parallel: 1\n    with: { url: \"${{ item }}\", extra: ignored }\n    run: |\n      #{ n: http::get(inputs.url).json.n }\n    retry: { attempts: 2, backoff: 1s }\n  \
        second:\n    needs: [first]\n    with: { least: \"${{ params.least }}\" }\n    run: |\n      if inputs.least > 1 { throw \"too much\" }\n      http::put(\"https://a.example/x\")\n";
    let tests = "workflow: w.yaml\ntests:\n  it works:\n    params: { urls: [https://a.example/1, https://a.example/2] }\n    given:\n      \
        - { http::get: { url: \"*/1\" }, gives: { status: 503 } }\n      - { http::get: { url: \"*/1\" }, gives: { json: { n: 1 } } }\n      \
        - { http::get: { url: \"*/2\" }, gives: { json: { n: 2 } } }\n      - { http::put:  }\n    expect: { calls: [http::get, http::get, http::get, http::put] }\n";
    let test = Test::new()
        .file("w.yaml", workflow)
        .file("w.test.yaml", tests);
    let ran = test
        .windlass(&["test", "--mutate", "--json", "--of", "w.yaml"])
        .expect(1);
    let json = ran.json();
    let fate = |what: &str| {
        let mut mutants = json["mutants"].as_array().expect("a list").iter();
        let found = mutants.find(|mutant| mutant["what"] == format!("{what} was removed"));
        found.map(|mutant| mutant["fate"].as_str().expect("a text").to_owned())
    };
    for (what, expected) in [
        ("the step `second`", Some("noticed")),
        ("`needs` of the step `second`", Some("noticed")),
        ("`retry` of the step `first`", Some("noticed")),
        ("the input `url` of the step `first`", Some("refused")),
        ("the input `extra` of the step `first`", Some("survived")),
        ("`default` of the param `least`", Some("refused")),
        // A test of one run can't show it.
        ("`lock`", None),
    ] {
        assert_eq!(fate(what).as_deref(), expected, "{what}: {}", ran.stderr);
    }
    contains(&ran.stderr, &["; including those that validate rejects"]);
}

/// A sample of the mutants of what is shipped; `windlass test workflows --mutate` makes all of them.
#[test]
fn the_tests_of_shipped_runbooks_notice_their_mutants() {
    let test = Test::with_shipped_workflows();
    let files = [
        "workflows/patch-host.yaml",
        "workflows/drain-patch-verify.yaml",
        "workflows/rotate-db-password.yaml",
    ];
    // How long `wait_until_healthy` pauses is seen by nobody.
    let of = [
        "steps/set_",
        "steps/patch_host",
        "steps/verify_login",
        "patch-verify.yaml",
        "db-password.yaml",
    ];
    let of: Vec<_> = of.iter().flat_map(|part| ["--of", part]).collect();
    let mutate = ["--mutate", "--score", "85", "--json"];
    let ran = test
        .windlass(&[&["test"], files.as_slice(), &mutate, &of].concat())
        .expect(0);
    let all = ran.json()["all"].as_u64().expect("a number");
    assert!(all >= 15, "{all}: {}", ran.stderr);
}

/// A sample of all mutants of the shipped scripts that have tests of their own here. The number draws the sample: another
/// one draws others.
#[test]
fn the_tests_of_shipped_scripts_notice_a_sample_of_their_mutants() {
    let test = Test::with_shipped_workflows();
    let scripts = ["apply_roots", "check_policy", "find_root", "restart"];
    let files = scripts.map(|name| format!("workflows/steps/{name}.test.yaml"));
    let files: Vec<_> = files.iter().map(String::as_str).collect();
    let of = scripts.map(|name| ["--of", name]).concat();
    let sample = ["--mutate", "--json", "--sample", "30", "--seed", "2026"];
    let sample = [sample.as_slice(), &["--score", "90"]].concat();
    let command = [&["test"], files.as_slice(), &sample, &of].concat();
    let ran = test.windlass(&command).expect(0);
    let json = ran.json();
    assert!(json["all"].as_u64() >= Some(25), "{}", ran.stderr);
    let of_files = json["files"].as_array().expect("a list").iter();
    let sum: u64 = of_files.filter_map(|file| file["all"].as_u64()).sum();
    assert_eq!(json["all"].as_u64(), Some(sum));
    contains(
        &ran.stderr,
        &["Starting 30 mutants of", "workflows/steps/apply_roots.rhai"],
    );
}

/// A certificate of its own: CN=test, a CA, until 2126.
fn self_signed() -> String {
    let text = include_str!("../workflows/certificate.test.yaml");
    let lines = text.lines().map(str::trim);
    let pem = lines.skip_while(|line| !line.starts_with("-----BEGIN"));
    let mut pem: Vec<_> = pem
        .take_while(|line| !line.starts_with("-----END"))
        .collect();
    pem.push("-----END CERTIFICATE-----");
    pem.join("\n")
}

fn expecting(expected: &str) -> (Test, Ran) {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nparams: { pem: string }\nsteps:\n  a:\n    with: { pem: \"${{ params.pem }}\" }\n    run: |\n      file::write(\"a.pem\", inputs.pem)\n",
    );
    let pem = Json::from(self_signed()).to_string();
    test.write(
        "w.test.yaml",
        &format!("workflow: w.yaml\ntests:\n  it works:\n    params: {{ pem: {pem} }}\n    expect:\n      certificates: {expected}\n"),
    );
    let ran = test.windlass(&["test"]);
    (test, ran)
}

#[test]
fn each_expectation_of_a_certificate_can_fail() {
    let (_, ran) = expecting(
        "{ a.pem: { subject: CN=te*, issuer: CN=test, is_ca: true, days: 36500, count: 1, dns_names: [], verifies: { under: a.pem, purpose: ca } }, b.pem: }",
    );
    ran.expect(0);
    for (expected, wanted) in [
        (
            "{ a.pem: { subject: CN=other } }",
            "`subject` of the certificate in `a.pem` is not as expected",
        ),
        (
            "{ a.pem: { dns_names: [a] } }",
            "`dns_names` of the certificate in `a.pem` is not as expected",
        ),
        ("{ a.pem: { is_ca: false } }", "`is_ca` of the certificate"),
        ("{ a.pem: { days: 365 } }", "+ 36500"),
        (
            "{ a.pem: { count: 2 } }",
            "`count` of the certificate in `a.pem`",
        ),
        (
            "{ a.pem: { verifies: { under: b.pem } } }",
            "`b.pem` contains no certificate",
        ),
        (
            "{ a.pem: { verifies: { under: a.pem, purpose: ca, fails: true } } }",
            "verifies under `a.pem`",
        ),
        ("{ a.pem: }", "`a.pem` contains certificates"),
        ("{ b.pem: {} }", "`b.pem` contains no certificate"),
    ] {
        let (_, ran) = expecting(expected);
        contains(&ran.expect(1).stderr, &[wanted]);
    }
    for (expected, wanted) in [
        ("{ a.pem: { subjekt: x } }", "did you mean `subject`?"),
        ("{ \"a:b/c\": {} }", "is not a place of certificates"),
        ("{ \"a:b/c/d\": {} }", "add `target: local` to the test"),
        (
            "{ a.pem: { verifies: { purpose: ca } } }",
            "add `under:`, the place of the root certificates",
        ),
        (
            "{ a.pem: { verifies: { under: a.pem, purpose: clint } } }",
            "did you mean `client`?",
        ),
    ] {
        let (_, ran) = expecting(expected);
        contains(&ran.expect(2).stderr, &[wanted, "w.test.yaml:6:"]);
    }
}

#[test]
fn a_clock_is_set_and_answers_take_their_time() {
    let test = Test::new().file(
        "w.rhai",
        "const INPUTS = #{};\nconst OUTPUTS = #{ first: \"string\", last: \"string\" };\nfn run(inputs) {\n    let first = time::now();\n    http::get(\"https://a.example\");\n    time::sleep(\"3d\");\n    #{ first: first, last: time::now() }\n}\n",
    );
    let file = |more: &str| {
        format!(
            "script: w.rhai\ntests:\n  it works:\n    {more}\n    given: [{{ http::get: , takes: 2h }}]\n    expect: {{ outputs: {{ first: \"2031-05-01T00:0*\", last: \"2031-05-04T02:0*\" }} }}\n"
        )
    };
    test.write("w.test.yaml", &file("clock: 2031-05-01T00:00:00Z"));
    test.windlass(&["test"]).expect(0);
    test.write("w.test.yaml", &file("clock: 2031-06-01T00:00:00Z"));
    test.windlass(&["test"]).expect(1);
    test.write("w.test.yaml", &file("clock: May"));
    let ran = test.windlass(&["test"]).expect(2);
    contains(
        &ran.stderr,
        &["`May` is not a valid timestamp", "w.test.yaml:4:12"],
    );
    test.write(
        "w.test.yaml",
        &file("target: local\n    clock: 2031-05-01T00:00:00Z"),
    );
    let ran = test.windlass(&["test"]).expect(2);
    contains(
        &ran.stderr,
        &["`clock` does not work with the embedded servers"],
    );
}

const CONFIGURE: &str = "workflow: configure
params: { value: string, wanted: { type: string, default: '' } }
kube: [a]
steps:
  write:
    with: { value: \"${{ params.value }}\", wanted: \"${{ params.wanted }}\" }
    run: |
      let found = kube::find(\"a\", \"default\", \"configmap/x\");
      if inputs.wanted != \"\" && found?.data?.value != inputs.wanted {
          throw `it is ${found?.data?.value ?? \"not there\"}`;
      }
      kube::apply(\"a\", #{ apiVersion: \"v1\", kind: \"ConfigMap\", metadata: #{ name: \"x\", namespace: \"default\" }, data: #{ value: inputs.value } });
      #{ value: inputs.value + \"!\" }
outputs: { value: \"${{ steps.write.value }}\" }
";

#[test]
fn runs_come_before_a_test_and_tests_do_not_meet() {
    let test = Test::new().file("configure.yaml", CONFIGURE);
    let file = |wanted: &str, handshakes: &str| {
        format!(
            "workflow: configure.yaml\nx-before: &before\n  - workflow: configure.yaml\n    params: {{ value: one }}\ntests:\n  the first sees it:\n    target: local\n    before: *before\n    params: {{ value: \"${{{{ before.value }}}}\", wanted: {wanted} }}\n    expect: {{ outputs: {{ value: one!! }}, effects: {{ kube::apply: 1 }}, handshakes: {handshakes} }}\n  the second sees the same:\n    target: local\n    before: *before\n    params: {{ value: three, wanted: one }}\n"
        )
    };
    test.write("configure.test.yaml", &file("one", "throughout"));
    let ran = test.windlass(&["test", "-j", "2"]).expect(0);
    contains(&ran.stderr, &["2 tests run: 2 passed"]);
    test.write("configure.test.yaml", &file("two", "all"));
    contains(&test.windlass(&["test"]).expect(1).stderr, &["it is one"]);
    let unknown = file("one", "[{ from: \"a/*\" }]");
    test.write("configure.test.yaml", &unknown);
    let ran = test.windlass(&["test"]).expect(1);
    contains(&ran.stderr, &["no handshake fails as expected"]);
    test.write(
        "configure.test.yaml",
        &unknown.replace("before.value", "before.valeu"),
    );
    let ran = test.windlass(&["test"]).expect(2);
    contains(
        &ran.stderr,
        &[
            "no run of `before` has the output `valeu`",
            "did you mean `value`?",
        ],
    );
    test.write(
        "configure.test.yaml",
        &unknown.replace("target: local", "kube: true"),
    );
    let ran = test.windlass(&["test"]).expect(2);
    contains(
        &ran.stderr,
        &[
            "`before` has no effect without a target",
            "the test has no mesh",
        ],
    );
}
