//! `windlass test`: test files beside workflows.

use std::fs;

use serde_json::Value;

use crate::{
    harness::{Ran, Test, contains},
    web::Web,
};

/// A workflow that reads, changes and writes a file, and reverses the change.
const CHANGE: &str = r#"workflow: change
params:
  url: { type: string, default: https://api.example }
  approvers: { type: list(string), default: [] }
steps:
  ask:
    when: ${{ params.approvers.len() > 0 }}
    approval: Change it?
    approvers: ${{ params.approvers }}
  read:
    needs: [ask]
    with: { url: "${{ params.url }}" }
    run: |
      let state = http::get(inputs.url + "/state").json;
      if state.ready {
          log::info("it is ready");
      } else {
          log::info("it is not ready");
      }
      #{ version: state.version }
  change:
    script: change.rhai
    with: { url: "${{ params.url }}", version: "${{ steps.read.version }}" }
    retry: { attempts: 3, backoff: 1s..30s }
  keep:
    needs: [change]
    with: { version: "${{ steps.read.version }}" }
    run: |
      #{ path: file::write("version.txt", "was " + inputs.version + "\n") }
outputs: { version: "${{ steps.read.version }}" }
"#;

const SCRIPT: &str = r#"const INPUTS = #{ url: "string", version: "int" };
const OUTPUTS = #{};

fn run(inputs) {
    http::put(inputs.url + "/version", #{
        json: #{ version: inputs.version + 1 },
        undo: #{ method: "PUT", url: inputs.url + "/version", json: #{ version: inputs.version } },
    });
    #{}
}
"#;

const STATE: &str = "- http::get: { url: \"*/state\" }
        gives: { json: { ready: true, version: 7 } }";
const PUT: &str = "- http::put: { url: \"*/version\" }
        gives: { status: 204 }";

fn change() -> Test {
    Test::new()
        .file("change.yaml", CHANGE)
        .file("change.rhai", SCRIPT)
}

/// Runs one test of `change.yaml`; each line of `body` is one of the test.
fn run(test: &Test, body: &str, arguments: &[&str]) -> Ran {
    let body: String = body.lines().map(|line| format!("    {line}\n")).collect();
    test.write(
        "change.test.yaml",
        &format!("workflow: change.yaml\ntests:\n  it works:\n{body}"),
    );
    test.windlass(&[&["test"], arguments].concat())
}

fn given() -> String {
    format!(
        "given:\n  {}\n  {}",
        STATE.replace("        ", "    "),
        PUT.replace("        ", "    ")
    )
}

#[test]
fn a_test_that_passes_says_so() {
    let test = change();
    let body = given()
        + "\nexpect:\n  outputs: { version: 7 }\n  steps: { ask: skipped, change: succeeded }\n  \
           calls: [{ http::get: { url: \"https://api.example/*\" } }, { http::put: { json: { version: 8 } } }]\n  \
           effects: { http::put: 1, http::delete: 0 }\n  files: { version.txt: \"was 7\", other.txt: }\n  logs: [\"it is*\"]";
    let ran = run(&test, &body, &[]).expect(0);
    contains(
        &ran.stderr,
        &[
            "Starting 1 test in 1 file",
            "PASS [",
            "change.test.yaml: it works",
            "1 test run: 1 passed",
        ],
    );
    assert_eq!(ran.stdout, "");
    // Nothing stays but what the user wrote.
    assert!(!test.path(".windlass").exists() && !test.path("out").exists());
}

#[test]
fn each_expectation_can_fail() {
    let test = change();
    for (expected, wanted) in [
        (
            "status: failed",
            &["the run is succeeded, not failed"] as &[&str],
        ),
        (
            "error: \"*denied*\"",
            &["the run ends without an error, not with `*denied*`"],
        ),
        (
            "outputs: { version: 8 }",
            &["the output `version` is not as expected", "- 8", "+ 7"],
        ),
        (
            "steps: { ask: succeeded }",
            &["the step `ask` is skipped, not succeeded", "is false"],
        ),
        ("undone: [change]", &["other steps were undone", "- change"]),
        (
            "calls: 1",
            &[
                "2 calls were made to the outside, not 1",
                "http::put { json: { version: 8 }",
            ],
        ),
        (
            "calls: [http::get, { http::put: { json: { version: 9 } } }]",
            &[
                "other calls were made to the outside",
                "  http::get",
                "- http::put { json: { version: 9 } }",
                "+ http::put { json: { version: 8 }",
            ],
        ),
        (
            "effects: { http::put: 2 }",
            &["`http::put` was done once, not 2 times"],
        ),
        (
            "files: { version.txt: was 8 }",
            &[
                "the file `version.txt` is not as expected",
                "- was 8",
                "+ was 7",
            ],
        ),
        (
            "files: { version.txt: }",
            &["the file `version.txt` exists"],
        ),
        (
            "files: { a.txt: x }",
            &["the file `a.txt` does not exist", "these are: version.txt"],
        ),
        (
            "logs: [it is ready, it is ready]",
            &["the message `it is ready` is missing, or is not in this order"],
        ),
    ] {
        let ran = run(
            &test,
            &format!("{}\nexpect: {{ {expected} }}", given()),
            &[],
        )
        .expect(1);
        contains(
            &ran.stderr,
            &[
                wanted,
                &[
                    "1 test run: 0 passed, 1 failed",
                    "change.test.yaml:3: it works",
                ],
            ]
            .concat(),
        );
    }
}

#[test]
fn what_is_not_given_fails_with_the_call() {
    let test = change();
    let ran = run(
        &test,
        &format!("given:\n  {}", STATE.replace("        ", "    ")),
        &[],
    )
    .expect(1);
    contains(
        &ran.stderr,
        &[
            "the step `change` calls `http::put`, but no answer of the test matches",
            "add to `given`:",
            "- http::put: { json: { version: 8 }, undo: { json: { version: 7 }, method: \"PUT\", url: \"https://api.example/version\" }, url: \"https://api.example/version\" }",
            "the run is failed, not succeeded",
            "change: http::put: NotGiven",
            "change.rhai:5:",
        ],
    );
    let more = given() + "\n  - http::post: { url: \"*/login\" }";
    let ran = run(&test, &more, &[]).expect(1);
    contains(
        &ran.stderr,
        &["the answer of `http::post` in line 9 was never used"],
    );
}

#[test]
fn an_answer_that_hides_another_is_named() {
    let test = change();
    let body = given() + "\n  - http::put: { url: \"*/version\", json: { version: 8 } }";
    let ran = run(&test, &body, &[]).expect(1);
    contains(
        &ran.stderr,
        &[
            "the answer of `http::put` in line 9 was never used",
            "the answer in line 7 was used instead; to use this one after it, add `times: 1` there",
        ],
    );
}

/// A script that catches the failure of a call that is not answered does not hide it.
#[test]
fn what_is_not_given_can_not_be_caught() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nsteps:\n  s: { run: \"try { http::get(`https://a.example`); } catch { }\" }\n",
    );
    test.write("w.test.yaml", "workflow: w.yaml\ntests: { it: {} }\n");
    let ran = test.windlass(&["test"]).expect(1);
    contains(&ran.stderr, &["the step `s` calls `http::get`"]);
}

#[test]
fn answers_come_in_order_and_the_last_one_stays() {
    let test = change();
    let failing = "- http::put: { url: \"*/version\" }\n    gives: { status: 503 }";
    let body = format!(
        "given:\n  {}\n  {failing}\n  {}",
        STATE.replace("        ", "    "),
        PUT.replace("        ", "    ")
    );
    run(
        &test,
        &format!("{body}\nexpect: {{ calls: 3, effects: {{ http::put: 1 }} }}"),
        &[],
    )
    .expect(0);
    let body = format!(
        "given:\n  {}\n  {failing}\n    times: 3",
        STATE.replace("        ", "    ")
    );
    let ran = run(
        &test,
        &format!("{body}\nexpect: {{ status: failed, error: \"*503*\", calls: 4 }}"),
        &[],
    );
    ran.expect(0);
    let ran = run(
        &test,
        &format!("{body}\nexpect: {{ status: failed, error: \"*504*\" }}"),
        &[],
    )
    .expect(1);
    contains(
        &ran.stderr,
        &["the run ends with another error", "- *504*", "503"],
    );
}

#[test]
fn a_lost_answer_was_done_and_is_asked_for_again() {
    let test = change();
    let body = format!(
        "given:\n  {}\n  - http::put: {{ url: \"*/version\" }}\n    lose: true\n    times: 1",
        STATE.replace("        ", "    ")
    );
    run(&test, &format!("{body}\nexpect: {{ calls: [http::get, http::put, http::put], effects: {{ http::put: 1 }} }}"), &[]).expect(0);
}

#[test]
fn an_undo_is_answered_by_the_request_that_it_sends() {
    let test = change();
    let undone = "\nundo: true\nexpect:\n  undone: [change, keep]\n  files: { version.txt: }\n  \
        calls: [http::get, { http::put: { json: { version: 8 } } }, { http::put: { json: { version: 7 } } }]";
    run(&test, &(given() + undone), &[]).expect(0);
    let ran = run(
        &test,
        &(given() + "\nundo: true\nexpect: { undone: [] }"),
        &[],
    )
    .expect(1);
    contains(
        &ran.stderr,
        &["other steps were undone", "+ change", "+ keep"],
    );
}

#[test]
fn what_an_undo_leaves_has_to_be_named() {
    let second = "    http::post(inputs.url + \"/told\", #{});\n    #{}\n}";
    let test = Test::new()
        .file("change.yaml", CHANGE)
        .file("change.rhai", &SCRIPT.replacen("    #{}\n}", second, 1));
    let undone = |expect: &str| {
        let told = "\n  - http::post: { url: \"*/told\" }\n    gives: { status: 204 }";
        let body = given() + told + "\nundo: true\nexpect: { " + expect + " }";
        run(&test, &body, &[])
    };
    let forgotten = undone("undone: [change, keep]").expect(1);
    contains(
        &forgotten.stderr,
        &[
            "the step `change` was undone in part: something of it stays",
            "name it in `stays`, too",
        ],
    );
    undone("undone: [change, keep], stays: [change]").expect(0);
    let other = undone("stays: [keep]").expect(1);
    let said = [
        "other steps have something that stays",
        "- keep",
        "+ change",
    ];
    contains(&other.stderr, &said);
}

#[test]
fn questions_are_answered_by_whom_the_test_says() {
    let test = change();
    let with = |who: &str| {
        format!(
            "params: {{ approvers: [alice] }}\napprovals: {{ ask: {who} }}\n{}",
            given()
        )
    };
    run(&test, &with("alice"), &[]).expect(0);
    let ran = run(&test, &with("bob"), &[]).expect(1);
    contains(
        &ran.stderr,
        &[
            "an answer to a question was not accepted: bob may not approve or reject `ask`",
            "the run is waiting, not succeeded",
        ],
    );
    let rejected = "params: { approvers: [alice] }\napprovals: { ask: { by: alice, answer: reject, comment: no } }\nexpect: { status: failed, calls: 0 }";
    run(&test, rejected, &[]).expect(0);
    // Without `approvers`, nobody is asked.
    let ran = run(
        &test,
        &format!("approvals: {{ ask: alice }}\n{}", given()),
        &[],
    )
    .expect(1);
    contains(
        &ran.stderr,
        &[
            "the answer for `ask` in `approvals` was never used",
            "the step `ask` is skipped, and has asked nothing",
        ],
    );
    let waiting = "params: { approvers: [alice] }";
    let ran = run(&test, waiting, &[]).expect(1);
    contains(
        &ran.stderr,
        &["ask waits for an approval: add it to `approvals`"],
    );
}

const ASKS: &str = "workflow: asks
params: { text: { type: bytes, default: !!binary aGk= } }
steps:
  begin: { approval: Go?, timeout: 7d, on_timeout: approve }
  soon: { approval: Soon?, timeout: 1h }
  sure: { needs: [begin], approval: Sure?, timeout: 1h }
  say: { needs: [begin], with: { text: \"${{ params.text }}\" }, run: \"#{ text: inputs.text.to_text() }\" }
outputs: { text: \"${{ steps.say.text }}\" }
";

#[test]
fn questions_expire_and_params_are_bytes() {
    let test = Test::new().file("asks.yaml", ASKS).file(
        "asks.test.yaml",
        "workflow: asks.yaml
tests:
  by itself:
    params: { text: !!binary aGVsbG8= }
    approvals: { begin: { answer: none }, soon: bob, sure: alice }
    kill: everywhere
    expect: { outputs: { text: hello } }
  not at all:
    approvals: { begin: alice, soon: bob, sure: { answer: none } }
    expect: { status: failed, error: \"*no answer within the timeout*\", steps: { say: succeeded } }
",
    );
    test.windlass(&["test"]).expect(0);
    test.write(
        "asks.test.yaml",
        "workflow: asks.yaml\ntests:\n  one: { approvals: { sure: { answer: none, by: alice } } }\n  two: { approvals: { sure: { answer: reject } } }\n",
    );
    let ran = test.windlass(&["test"]).expect(2);
    ran.says("`answer: none` can't be combined");
    ran.says("does not say who answers");
    test.write("asks.yaml", &ASKS.replace(", timeout: 1h", ""));
    test.write(
        "asks.test.yaml",
        "workflow: asks.yaml\ntests:\n  one: { approvals: { sure: { answer: none } } }\n",
    );
    let ran = test.windlass(&["test"]).expect(2);
    ran.says("`sure` has no `timeout`, so it never expires");
}

/// Killed at each moment, the workflow ends as it does otherwise; one that posts without a key does not.
#[test]
fn a_kill_finds_what_is_not_safe() {
    let test = change();
    let ran = run(
        &test,
        &(given() + "\nkill: everywhere\nexpect: { same_as: uninterrupted }"),
        &["--json"],
    )
    .expect(0);
    let kills = ran.json()["tests"][0]["kills"].as_u64().expect("a number");
    assert!(kills > 10, "killed {kills} times");
    test.write("change.rhai", &SCRIPT.replace("http::put", "http::post"));
    let body = given().replace("http::put", "http::post");
    let ran = run(&test, &(body + "\nkill: everywhere"), &[]).expect(1);
    contains(
        &ran.stderr,
        &[
            "killed at point ",
            "and resumed, the run ends differently",
            "the status of the run is failed, not succeeded",
        ],
    );
}

#[test]
fn the_local_target_answers_what_is_not_given() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
steps:
  make:
    run: |
      let arn = pca::create_certificate_authority(#{ type: \"ROOT\", subject: #{ common_name: \"a\" }, key_algorithm: \"EC_prime256v1\" });
      #{ arn: arn }
  look:
    with: { arn: \"${{ steps.make.arn }}\" }
    run: |
      #{ tags: pca::list_tags(inputs.arn), version: http::get(\"https://a.example/\").json.version }
outputs: { tags: \"${{ steps.look.tags }}\", version: \"${{ steps.look.version }}\" }
",
    );
    test.write(
        "w.test.yaml",
        "workflow: w.yaml
tests:
  a CA is made:
    target: local
    given:
      - pca::list_tags:
        gives: { Name: a }
      - http::get: { url: \"https://a.example/\" }
        gives: { json: { version: 2 } }
    expect: { outputs: { tags: { Name: a }, version: 2 }, effects: { pca::create_certificate_authority: 1 } }
  nothing is reached:
    target: local
    given: [{ pca::list_tags: , gives: {} }]
    expect: { status: failed, error: \"*NotGiven*\" }
",
    );
    let ran = test.windlass(&["test"]).expect(1);
    contains(
        &ran.stderr,
        &["PASS", "a CA is made", "the step `look` calls `http::get`"],
    );
}

#[test]
fn the_clock_jumps_over_waits() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
steps:
  wait:
    retry: { attempts: 2, backoff: 1h..1h }
    run: |
      let before = time::now();
      time::sleep(\"30d\");
      http::get(\"https://a.example/\");
      #{ seconds: time::seconds_between(before, time::now()) }
outputs: { seconds: \"${{ steps.wait.seconds }}\", days: \"${{ steps.wait.seconds / 86400 }}\" }
",
    );
    test.write(
        "w.test.yaml",
        "workflow: w.yaml
tests:
  a month passes at once:
    timeout: 20s
    given:
      - http::get:
        fails: { class: timeout }
        times: 1
      - http::get:
    expect: { outputs: { days: 30 } }
  a moment can be given:
    given:
      - time::now:
        gives: \"2026-01-31T12:00:00Z\"
      - http::get:
    expect: { outputs: { seconds: 0 } }
",
    );
    test.windlass(&["test"]).expect(0);
}

#[test]
fn files_and_items_that_are_not_there_are_found() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
steps:
  writes: { run: 'file::write(\"x.tmp\", \"\")' }
  each: { for_each: [a], run: () }
",
    );
    let run = |expect: &str| {
        test.write(
            "w.test.yaml",
            &format!("workflow: w.yaml\ntests:\n  it:\n    expect: {{ {expect} }}\n"),
        );
        test.windlass(&["test"])
    };
    run("files: { \"*.txt\": }, steps: { \"each[a]\": succeeded }").expect(0);
    let failed = run("files: { \"*.tmp\": }").expect(1);
    contains(&failed.stderr, &["the file `x.tmp` exists"]);
    let failed = run("steps: { \"each[z]\": pending }").expect(1);
    contains(&failed.stderr, &["there is no item `each[z]`"]);
}

/// As in a run, and without taking the time.
#[test]
fn the_clock_ends_an_attempt() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
steps:
  sleeps: { timeout: 5s, on_error: continue, run: 'time::sleep(\"1h\"); #{ v: 1 }' }
  in_time: { timeout: 2h, run: 'time::sleep(\"1h\"); #{ v: 1 }' }
  reads:
    timeout: 1m
    retry: { attempts: 2, backoff: 1s..1s }
    run: '#{ n: http::get(\"https://a.example/\").json }'
  runs:
    timeout: 1m
    retry: { attempts: 2, backoff: 1s..1s }
    run: '#{ n: exec::run(\"x\", [], #{ idempotent: true }).stdout }'
outputs:
  sleeps: \"${{ steps.sleeps?.v ?? 'timed out' }}\"
  in_time: \"${{ steps.in_time.v }}\"
  reads: \"${{ steps.reads.n }}\"
  runs: \"${{ steps.runs.n }}\"
",
    );
    test.write(
        "w.test.yaml",
        "workflow: w.yaml
tests:
  it:
    timeout: 30s
    given:
      - http::get:
        gives: { json: 1 }
        takes: 2m
        times: 1
      - http::get:
        gives: { json: 2 }
        takes: 50s
      - exec::run:
        gives: { stdout: one }
        takes: 2m
        times: 1
      - exec::run:
        gives: { stdout: two }
    expect: { outputs: { sleeps: timed out, in_time: 1, reads: 2, runs: two } }
",
    );
    test.windlass(&["test"]).expect(0);
}

#[test]
fn a_test_that_takes_too_long_fails() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nsteps: { s: { run: \"let x = 0; while x < 90000000 { x += 1; }\" } }\n",
    );
    test.write(
        "w.test.yaml",
        "workflow: w.yaml\ntests: { it: { timeout: 1s } }\n",
    );
    let ran = test.windlass(&["test"]).expect(1);
    contains(&ran.stderr, &["the test took longer than 1.00s"]);
}

#[test]
fn a_snapshot_is_written_and_held_against() {
    let test = change();
    let body = given() + "\nexpect: { snapshot: change }";
    let ran = run(&test, &body, &[]).expect(1);
    contains(
        &ran.stderr,
        &[
            "the snapshot snapshots/change.snap does not exist",
            "to accept what was found: `windlass test --accept`",
        ],
    );
    run(&test, &body, &["--accept"]).expect(0);
    run(&test, &body, &[]).expect(0);
    let snapshot = test.read("snapshots/change.snap");
    contains(
        &snapshot,
        &[
            "status: succeeded\n",
            "  change: succeeded\n",
            "  read: http::get { url: \"https://api.example/state\" }",
            "  version.txt:\n    was 7\n",
            "  it is ready\n",
        ],
    );
    test.write("snapshots/change.snap", &snapshot.replace("was 7", "was 6"));
    // What a test finds that fails otherwise may be wrong.
    let failing = given() + "\nexpect: { snapshot: change, status: failed }";
    let ran = run(&test, &failing, &["--accept"]).expect(1);
    contains(
        &ran.stderr,
        &[
            "not accepted, because the test has other problems",
            "`--accept` writes only the snapshots of tests that pass otherwise",
        ],
    );
    assert!(test.read("snapshots/change.snap").contains("was 6"));
    let ran = run(&test, &body, &[]).expect(1);
    contains(
        &ran.stderr,
        &[
            "the run does not match snapshots/change.snap",
            "-     was 6",
            "+     was 7",
        ],
    );
}

#[test]
fn results_are_written_for_other_programs() {
    let test = change();
    let body = given() + "\nexpect: { calls: 1 }";
    let ran = run(
        &test,
        &body,
        &["--json", "--junit", "results.xml", "--coverage"],
    )
    .expect(1);
    let json = ran.json();
    assert_eq!(json["tests"][0]["name"], "it works");
    assert_eq!(json["tests"][0]["passed"], false);
    assert_eq!(
        json["tests"][0]["problems"][0]["what"],
        "2 calls were made to the outside, not 1"
    );
    let xml = test.read("results.xml");
    contains(
        &xml,
        &[
            "<testsuites name=\"windlass\" tests=\"1\" failures=\"1\"",
            "<testcase name=\"it works\" classname=\"change.test.yaml\" file=\"change.test.yaml\" line=\"3\"",
            "<failure message=\"2 calls were made to the outside, not 1\">",
            "http::put { json: { version: 8 }, undo: { json: { version: 7 }, method: &quot;PUT&quot;",
        ],
    );
    // A report that is not of this run is taken away: a build would publish it.
    test.write("change.test.yaml", "tests: {}\n");
    test.windlass(&["test", "--junit", "results.xml"]).expect(2);
    assert!(!test.path("results.xml").exists());
    let coverage = &json["coverage"][0];
    assert_eq!(
        (&coverage["steps"]["reached"], &coverage["steps"]["all"]),
        (&3.into(), &4.into())
    );
    assert_eq!(coverage["steps"]["missed"][0], "change.yaml: ask");
    assert_eq!(
        coverage["branches"]["missed"][0],
        "change.yaml: ask: when true"
    );
    // The `else` of the inline body, at its line of the file.
    assert_eq!(
        coverage["lines"]["missed"],
        serde_json::json!(["change.yaml:18"])
    );
    contains(
        &ran.stderr,
        &["steps    3/4 (75 %)", "not reached: change.yaml:18"],
    );
}

#[test]
fn a_filter_leaves_tests_out() {
    let test = change();
    test.write(
        "change.test.yaml",
        &format!("workflow: change.yaml\ntests:\n  one:\n    given: [{{ http::get: {{}}, fails: {{ class: denied }} }}]\n    expect: {{ status: failed }}\n  two:\n    given:\n      {STATE}\n      {PUT}\n"),
    );
    let ran = test.windlass(&["test", "--filter", "two"]).expect(0);
    contains(&ran.stderr, &["1 test run: 1 passed, 1 filtered out"]);
    let ran = test
        .windlass(&["test", "change.yaml", "--jobs", "1"])
        .expect(0);
    contains(&ran.stderr, &["2 tests run: 2 passed"]);
    let ran = test.windlass(&["test", "--filter", "three"]).expect(2);
    contains(&ran.stderr, &["no test matches", "[no-tests]"]);
    fs::remove_file(test.path("change.test.yaml")).expect("removed");
    let ran = test.windlass(&["test"]).expect(2);
    contains(&ran.stderr, &["no test files found", "[no-tests]"]);
}

/// Everything that a test file can say wrongly is found at once, with its place and what was probably meant.
#[test]
fn mistakes_of_a_test_file_are_shown() {
    let test = change();
    test.write(
        "change.test.yaml",
        "workflow: change.yaml
tests:
  one:
    params: { urls: x, approvers: alice }
    targets: local
    target: locale
    given:
      - http::gett: { url: x }
      - http::get: { uri: x }
        gives: { state: 200 }
      - kube::get: { cluster: a }
      - http::put: {}
        fails: { class: throtled }
      - json::parse: {}
      - pca::wait_until_active: {}
      - gives: 1
      - http::put: {}
        gives: {}
        fails: { class: denied }
    approvals: { asks: alice, read: bob }
    kill: always
    expect:
      status: suceeded
      output: {}
      outputs: { versions: 1 }
      steps: { chang: failed, ask: skiped }
      calls: [http::gte]
      effects: { http::putt: 1 }
  two:
    expect: { same_as: uninterrupted }
",
    );
    let ran = test.windlass(&["test"]).expect(2);
    insta::assert_snapshot!(ran.stderr);
    test.write("change.test.yaml", "workflow: chnge.yaml\ntest: {}\n");
    let ran = test.windlass(&["test"]).expect(2);
    insta::assert_snapshot!("no_workflow_and_no_tests", ran.stderr);
    test.write(
        "change.yaml",
        &CHANGE.replace("needs: [ask]", "needs: [asks]"),
    );
    test.write(
        "change.test.yaml",
        "workflow: change.yaml\ntests: { it: {} }\n",
    );
    let ran = test.windlass(&["test"]).expect(2);
    contains(
        &ran.stderr,
        &["unknown-step", "change.yaml:11:13", "did you mean `ask`?"],
    );
}

#[test]
fn the_shipped_workflows_pass_and_reach_every_step_and_branch() {
    let test = Test::with_shipped_workflows();
    let ran = test
        .windlass(&["test", "workflows", "--json", "--coverage"])
        .expect(0);
    for workflow in ran.json()["coverage"].as_array().expect("a list") {
        for part in ["steps", "branches"] {
            let missed = &workflow[part]["missed"];
            let name = &workflow["workflow"];
            assert_eq!(missed, &Value::Array(Vec::new()), "{part} of {name}");
        }
    }
}

/// A test that does not fail when the script is wrong is none: a line of each is taken out or changed.
#[test]
fn a_change_of_a_shipped_script_is_noticed() {
    for (script, line, by, filter) in [
        (
            "set_password",
            "undo: #{ method: \"PUT\", url: url, json: #{ password: inputs.current } },",
            "",
            "old password",
        ),
        (
            "verify_login",
            "user: inputs.user, ",
            "",
            "the password changes",
        ),
        (
            "patch_host",
            "idempotency: true,",
            "",
            "not there is asked again",
        ),
        (
            "set_pool_state",
            "json: #{ state: inputs.state },",
            "",
            "one after another",
        ),
        (
            "wait_until_healthy",
            "health.healthy && health.version == inputs.version",
            "true",
            "not healthy yet",
        ),
        (
            "download",
            "let file = file::write(inputs.name + \".pem\", inputs.certificate);",
            "let file = \"x\";",
            "certificate are written",
        ),
        (
            "lib/restarts",
            "kube::wait_rollout(inputs.cluster, w.namespace, w.workload, inputs.timeout);",
            "",
            "not whole again",
        ),
        (
            "root_trust_policy",
            "stored.spec?.config?.autoRestartPods != false",
            "false",
            "set back",
        ),
        (
            "check_secrets",
            "secret?.immutable == true",
            "false",
            "another type",
        ),
    ] {
        let test = Test::with_shipped_workflows();
        let path = format!("workflows/steps/{script}.rhai");
        let text = test.read(&path);
        assert_eq!(text.matches(line).count(), 1, "{script}: {line}");
        test.write(&path, &text.replace(line, by));
        let ran = test
            .windlass(&["test", "workflows", "--filter", filter])
            .expect(1);
        contains(&ran.stderr, &["FAIL"]);
    }
}

#[test]
fn a_run_becomes_a_test_without_its_secrets() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
params: { url: string, token: secret }
steps:
  send:
    with: { url: \"${{ params.url }}\", token: \"${{ params.token }}\" }
    run: |
      let read = http::get(inputs.url + \"/a*b\", #{ headers: #{ authorization: inputs.token } }).json;
      http::put(inputs.url + \"/x\", #{ json: #{ token: inputs.token, arn: read.arn } });
      #{ n: read.n }
outputs: { n: \"${{ steps.send.n }}\" }
",
    );
    let web = Web::open(|request| match request.path() {
        "/a*b" => {
            let body = "{\"n\": 3, \"arn\": \"arn:aws:acm-pca:eu-west-1:123456789012:certificate-authority/1\"}";
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).into_bytes()
        }
        _ => b"HTTP/1.1 204 OK\r\nConnection: close\r\n\r\n".to_vec(),
    });
    let url = web.url("");
    test.windlass(&[
        "run",
        "w.yaml",
        "-p",
        &format!("url={url}"),
        "-p",
        "token=hunter2-hunter2",
    ])
    .expect(0);
    let ran = test.windlass(&["test", "--record", "w"]);
    let ran = match ran.code {
        0 => ran,
        _ => {
            let id = test.shown()["run"].as_str().expect("an id").to_owned();
            test.windlass(&["test", "--record", &id]).expect(0)
        }
    };
    assert!(
        !ran.stdout.contains("hunter2") && !ran.stdout.contains("123456789012"),
        "{}",
        ran.stdout
    );
    contains(
        &ran.stderr,
        &["replaced: 1 secret, the account 123456789012"],
    );
    contains(
        &ran.stdout,
        &[
            "url: \"",
            "/a\\\\*b\"",
            "gives: { json: { arn: \"arn:aws:acm-pca:eu-west-1:111122223333:",
            "      outputs: { n: 3 }\n",
        ],
    );
    test.write("w.test.yaml", &ran.stdout);
    let ran = test.windlass(&["test"]).expect(0);
    contains(&ran.stderr, &["1 test run: 1 passed"]);
}
