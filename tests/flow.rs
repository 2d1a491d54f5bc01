//! What the keys of a workflow do.

use crate::{
    harness::{Test, status},
    site::Site,
};
use serde_json::json;

const SAY: &str = "const INPUTS = #{ text: \"any\" };\nconst OUTPUTS = #{ text: \"any\" };\nfn run(inputs) { #{ text: inputs.text } }\n";
const FAIL: &str = "const INPUTS = #{ text: \"string = no\" };\nconst OUTPUTS = #{ text: \"string\" };\nfn run(inputs) { throw inputs.text; }\n";

fn test(workflow: &str) -> Test {
    Test::new()
        .file("w.yaml", workflow)
        .file("say.rhai", SAY)
        .file("fail.rhai", FAIL)
}

#[test]
fn values_keep_their_types_and_texts_are_put_together() {
    let outputs = test(
        "workflow: w
params:
  n: { type: int, default: 3 }
steps:
  list: { script: say.rhai, with: { text: \"${{ [params.n, true, #{ a: 'x' }] }}\" } }
  text: { script: say.rhai, with: { text: \"n is ${{ params.n }}, first ${{ steps.list.text[0] }}\" } }
outputs:
  list: ${{ steps.list.text }}
  text: ${{ steps.text.text }}
  sum: ${{ params.n + 1 }}
",
    )
    .outputs_of(&["w.yaml", "-p", "n=4"]);
    assert_eq!(
        outputs,
        json!({ "list": [4, true, { "a": "x" }], "text": "n is 4, first 4", "sum": 5 })
    );
}

#[test]
fn when_skips_and_what_only_depends_on_skipped_steps_is_skipped() {
    let test = test(
        "workflow: w
params: { on: { type: bool, default: false } }
steps:
  a: { script: say.rhai, with: { text: a }, when: \"${{ params.on }}\" }
  b: { script: say.rhai, with: { text: \"${{ steps.a.text }}\" } }
  c: { script: say.rhai, with: { text: c } }
  d: { script: say.rhai, with: { text: \"${{ steps.a?.text ?? steps.c.text }}\" } }
outputs:
  d: ${{ steps.d.text }}
",
    );
    assert_eq!(test.outputs_of(&["w.yaml"]), json!({ "d": "c" }));
    let shown = test.shown();
    for (step, expected) in [
        ("a", "skipped"),
        ("b", "skipped"),
        ("c", "succeeded"),
        ("d", "succeeded"),
    ] {
        assert_eq!(status(&shown, step), expected, "{step}");
    }
    let reasons: Vec<_> = shown["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["skip_reason"])
        .collect();
    assert_eq!(
        reasons[..2],
        [&json!("`params.on` is false"), &json!("a was skipped")]
    );
    assert_eq!(
        test.outputs_of(&["w.yaml", "-p", "on=true"]),
        json!({ "d": "a" })
    );
}

#[test]
fn a_failed_step_stops_what_depends_on_it_and_not_its_siblings() {
    let test = test(
        "workflow: w
steps:
  bad: { script: fail.rhai }
  after: { script: say.rhai, with: { text: \"${{ steps.bad.text }}\" } }
  far: { run: \"()\", needs: [after] }
  sibling: { script: say.rhai, with: { text: x } }
  later: { run: \"()\", needs: [sibling] }
",
    );
    let ran = test.windlass(&["run", "w.yaml"]).expect(1);
    assert!(
        ran.stderr
            .lines()
            .last()
            .unwrap()
            .starts_with("To continue: windlass resume "),
        "{}",
        ran.stderr
    );
    let shown = test.shown();
    let expected = [
        ("bad", "failed"),
        ("after", "pending"),
        ("far", "pending"),
        ("sibling", "succeeded"),
        ("later", "succeeded"),
    ];
    for (step, expected) in expected {
        assert_eq!(status(&shown, step), expected, "{step}");
    }
}

#[test]
fn on_error_continue_lets_the_run_go_on() {
    let outputs = test(
        "workflow: w
steps:
  bad: { script: fail.rhai, on_error: continue }
  after: { script: say.rhai, with: { text: \"${{ steps.bad?.text ?? 'nothing' }}\" } }
outputs:
  text: ${{ steps.after.text }}
",
    )
    .outputs_of(&["w.yaml"]);
    assert_eq!(outputs, json!({ "text": "nothing" }));
}

#[test]
fn for_each_takes_lists_and_maps_known_only_at_run_time() {
    let outputs = test(
        "workflow: w
steps:
  names: { script: say.rhai, with: { text: [b, a] } }
  each: { script: say.rhai, for_each: \"${{ steps.names.text }}\", with: { text: \"<${{ item }}>\" } }
  pairs: { script: say.rhai, for_each: { x: 1, y: 2 }, with: { text: \"${{ item.key }}=${{ item.value }}\" } }
  none: { script: say.rhai, for_each: [], with: { text: x } }
outputs:
  each: ${{ steps.each }}
  y: ${{ steps.pairs['y'].text }}
  none: ${{ steps.none.len() }}
",
    )
    .outputs_of(&["w.yaml"]);
    assert_eq!(
        outputs,
        json!({ "each": { "a": { "text": "<a>" }, "b": { "text": "<b>" } }, "y": "y=2", "none": 0 })
    );
}

#[test]
fn a_failed_item_does_not_stop_the_others() {
    let test = test(
        "workflow: w
steps:
  each: { script: pick.rhai, for_each: [a, b, c], with: { item: \"${{ item }}\" } }
",
    )
    .file("pick.rhai", "const INPUTS = #{ item: \"string\" };\nfn run(inputs) { if inputs.item == \"b\" { throw \"not b\"; } #{} }\n");
    let ran = test.windlass(&["run", "w.yaml"]).expect(1);
    ran.says("1 of 3 failed: b");
    let shown = test.shown();
    let statuses = ["each[a]", "each[b]", "each[c]"].map(|step| status(&shown, step).to_owned());
    assert_eq!(statuses, ["succeeded", "failed", "succeeded"]);
}

#[test]
fn an_item_twice_is_refused() {
    let refused = |items: &str, code: i32| {
        let workflow = format!(
            "workflow: w\nsteps:\n  names: {{ run: '#{{ items: [\"a\", \"a\"] }}' }}\n  each: {{ run: (), for_each: {items} }}\n"
        );
        let ran = test(&workflow).windlass(&["run", "w.yaml"]).expect(code);
        ran.says("has the item `a` twice");
    };
    refused("[a, a]", 2);
    // What a step gives is only known once it has run.
    refused("\"${{ steps.names.items }}\"", 1);
}

#[test]
fn max_parallel_holds() {
    let test = test(
        "workflow: w\nsteps:\n  each: { run: 'time::sleep(\"30ms\")', for_each: [1, 2, 3, 4, 5, 6, 7], max_parallel: 2 }\n",
    );
    test.windlass(&["run", "w.yaml"]).expect(0);
    assert_eq!(most_at_once(&test), 2);
    test.windlass(&["run", "w.yaml", "--max-parallel", "1"])
        .expect(0);
    assert_eq!(most_at_once(&test), 1);
}

/// The most items that ran at the same time, from the journal.
fn most_at_once(test: &Test) -> i32 {
    let (mut now, mut most) = (0, 0);
    for event in test.events() {
        let is_item = event["step"]
            .as_str()
            .is_some_and(|step| step.ends_with(']'));
        match event["event"].as_str() {
            Some("step_started") if is_item => now += 1,
            Some("step_succeeded") if is_item => now -= 1,
            _ => {}
        }
        most = most.max(now);
    }
    most
}

#[test]
fn a_step_is_retried_and_keeps_its_finished_effects() {
    let test = test(
        "workflow: w
steps:
  flaky: { script: flaky.rhai, retry: { attempts: 3, backoff: 10ms..20ms } }
outputs:
  kept: ${{ steps.flaky.kept }}
",
    )
    .file(
        "flaky.rhai",
        // The first effect is kept, so the file of the first attempt is found by the second.
        "fn run(inputs) {
    let kept = random::hex(8);
    let name = kept + \".txt\";
    try { file::read(name); } catch { file::write(name, \"x\"); throw \"the first time\"; }
    #{ kept: kept }
}
",
    );
    // The caught failure of `file::read` is replayed, so every attempt fails in the same way.
    test.windlass(&["run", "w.yaml"]).expect(1);
    let shown = test.shown();
    assert_eq!(shown["steps"][0]["attempt"], 3);
    let randoms = test
        .events()
        .iter()
        .filter(|e| e["call"]["function"] == "random::hex")
        .count();
    assert_eq!(randoms, 1, "the finished effect was done again");
}

#[test]
fn a_retry_makes_the_failed_call_again() {
    let test = test(
        "workflow: w
steps:
  wait: { script: wait.rhai, retry: { attempts: 50, backoff: 20ms..20ms, on: [rejected] } }
  make: { run: 'time::sleep(\"100ms\"); file::write(\"there.txt\", \"yes\")' }
outputs: { text: \"${{ steps.wait.text }}\" }
",
    )
    .file(
        "wait.rhai",
        "fn run(inputs) { #{ text: file::read(\"there.txt\") } }\n",
    );
    assert_eq!(test.outputs_of(&["w.yaml"]), json!({ "text": "yes" }));
    assert!(
        test.shown()["steps"]
            .as_array()
            .unwrap()
            .iter()
            .any(|s| s["attempt"].as_i64() > Some(1))
    );
}

#[test]
fn a_timeout_ends_a_script_that_loops_or_waits() {
    for body in ["loop { }", "time::sleep(\"1h\")"] {
        let test = test(&format!(
            "workflow: w\nsteps:\n  slow: {{ run: '{body}', timeout: 100ms }}\n"
        ));
        let ran = test.windlass(&["run", "w.yaml"]).expect(1);
        ran.says("longer than its timeout of 0.10s");
    }
}

#[test]
fn finally_runs_after_success_and_failure_and_knows_which() {
    let workflow = |script: &str| {
        format!(
            "workflow: w
steps:
  work: {{ script: {script}, with: {{ text: x }} }}
finally:
  tell: {{ run: 'file::write(\"status.txt\", inputs.status)', with: {{ status: \"${{{{ run.status }}}}\" }} }}
"
        )
    };
    let good = test(&workflow("say.rhai"));
    good.windlass(&["run", "w.yaml"]).expect(0);
    assert_eq!(good.read("out/status.txt"), "succeeded");
    let bad = test(&workflow("fail.rhai"));
    bad.windlass(&["run", "w.yaml"]).expect(1);
    assert_eq!(bad.read("out/status.txt"), "failed");
}

#[test]
fn nested_workflows_have_params_and_outputs_and_no_barrier_between_items() {
    let test = test(
        "workflow: w
steps:
  each:
    workflow: inner.yaml
    for_each: [slow, quick]
    with: { name: \"${{ item }}\" }
outputs:
  said: ${{ steps.each['quick'].said }}
",
    )
    .file(
        "inner.yaml",
        "workflow: inner
params: { name: string, loud: { type: bool, default: true } }
steps:
  first: { run: 'if inputs.name == \"slow\" { time::sleep(\"300ms\") }', with: { name: \"${{ params.name }}\" } }
  second: { script: say.rhai, needs: [first], with: { text: \"${{ if params.loud { params.name.to_upper() } else { params.name } }}\" } }
outputs: { said: \"${{ steps.second.text }}\" }
",
    );
    assert_eq!(test.outputs_of(&["w.yaml"]), json!({ "said": "QUICK" }));
    let order: Vec<String> = test
        .events()
        .iter()
        .filter(|e| e["event"] == "step_succeeded")
        .filter_map(|e| e["step"].as_str().map(Into::into))
        .collect();
    let place = |step: &str| order.iter().position(|s| s == step).expect("it ran");
    assert!(
        place("each[quick]/second") < place("each[slow]/first"),
        "{order:?}"
    );
}

#[test]
fn only_what_failed_inside_is_named() {
    let test = test("workflow: w\nsteps:\n  all: { workflow: inner.yaml }\n").file(
        "inner.yaml",
        "workflow: inner
steps:
  a: { script: fail.rhai }
  b: { run: '()', needs: [a] }
  c: { run: '()', needs: [b] }
  x: { run: '()', when: \"${{ 1 > 2 }}\" }
  y: { run: '()', when: \"${{ 1 > 2 }}\" }
  z: { run: '()', needs: [x, y] }
",
    );
    test.windlass(&["run", "w.yaml"]).expect(1);
    let shown = test.shown();
    let steps = shown["steps"].as_array().expect("steps");
    let of = |name: &str| steps.iter().find(|s| s["step"] == name).expect(name);
    assert_eq!(of("all")["error"]["message"], "failed steps: a");
    assert_eq!(of("all/z")["skip_reason"], "x, y were skipped");
}

#[test]
fn what_a_script_throws_is_shown_with_its_place() {
    let test = test("workflow: w\nsteps:\n  a: { script: deep.rhai }\n").file(
        "deep.rhai",
        "import \"lib/naming\" as naming;\n\nfn run(inputs) {\n    let name = naming::of(\"x\");\n    #{}\n}\n",
    )
    .file("lib/naming.rhai", "fn of(x) {\n    check(x)\n}\n\nfn check(x) {\n    throw `no name for ${x}`;\n}\n");
    let ran = test.windlass(&["run", "w.yaml"]).expect(1);
    let from = ran.stderr.find("script-threw").expect("the error is shown");
    let to = ran.stderr.find("\nrecorded in").expect("the end");
    insta::assert_snapshot!(&ran.stderr[from..to]);
}

/// Each of these scripts waits for another thread (to write its file) while it holds one.
#[test]
fn as_many_scripts_as_may_run_at_once_do_not_starve_each_other() {
    let items: Vec<String> = (0..700).map(|n| n.to_string()).collect();
    let test = test(&format!(
        "workflow: w\nsteps:\n  each: {{ run: 'file::write(inputs.n + \".txt\", \"x\")', with: {{ n: \"n${{{{ item }}}}\" }}, for_each: [{}] }}\n",
        items.join(", ")
    ));
    test.windlass(&["run", "w.yaml", "--max-parallel", "512"])
        .expect(0);
    assert!(test.path("out/n699.txt").exists());
}

#[test]
fn a_failure_thrown_on_in_other_words_is_not_replayed() {
    let site = Site::open(&[429]);
    let url = site.address();
    let test = test(
        "workflow: w
steps:
  register: { script: register.rhai, retry: { attempts: 4, backoff: 10ms..20ms } }
",
    )
    .file(
        "register.rhai",
        &format!(
            "fn run(inputs) {{
    try {{ http::post(\"{url}/names\", #{{}}); }} catch (e) {{ throw `could not register: ${{e.message}}`; }}
}}
"
        ),
    );
    test.windlass(&["run", "w.yaml"]).expect(0);
    assert_eq!(site.requests(), ["POST /names", "POST /names"]);
}

#[test]
fn many_write_one_name_and_look_at_none() {
    let names: Vec<String> = (0..20).map(|n| format!("n{n}")).collect();
    let text = format!(
        "workflow: w
steps:
  each: {{ for_each: [{}], with: {{ n: \"${{{{ item }}}}\" }}, run: 'file::write(\"same.txt\", inputs.n); file::exists(\"deep/er/x\")' }}
",
        names.join(", ")
    );
    let test = test(&text);
    test.windlass(&["run", "w.yaml"]).expect(0);
    assert!(names.contains(&test.read("out/same.txt")));
    let found = std::fs::read_dir(test.path("out")).expect("a folder");
    assert_eq!(found.count(), 1);
}

#[test]
fn no_clock_runs_over() {
    let long = "200000000000d";
    let steps = [
        format!("{{ run: '()', timeout: {long} }}"),
        format!("{{ approval: Go?, timeout: {long}, on_timeout: approve }}"),
    ];
    for step in steps {
        let test = test(&format!("workflow: w\nsteps:\n  a: {step}\n"));
        let refused = test.windlass(&["run", "w.yaml"]).expect(2);
        refused.says("100 years");
    }
    for call in [
        "time::sleep(\"200000000000\" + \"d\")",
        "time::add(\"9990-01-01T00:00:00Z\", \"36500d\")",
        "time::add(\"0001-01-01T00:00:00Z\", \"-36500d\")",
    ] {
        let test = test(&format!("workflow: w\nsteps:\n  a: {{ run: '{call}' }}\n"));
        let failed = test.windlass(&["run", "w.yaml"]).expect(1);
        let is_plain = !failed.stderr.contains("panicked") && failed.stderr.contains("time::");
        assert!(is_plain, "{}", failed.stderr);
    }
}

#[test]
fn an_expression_ends_behind_its_texts_and_comments() {
    let test = test(
        r#"
workflow: w
steps:
  a: { run: "()" }
outputs:
  a: '${{ `C:\` }}'
  b: '${{ 1 /* don''t }} */ }} and ${{ 2 // don''t }}'
  c: |
    ${{ 1 // don't
      + 2 }}
"#,
    );
    assert_eq!(
        test.outputs_of(&["w.yaml"]),
        json!({ "a": "C:\\", "b": "1 and 2", "c": 3 })
    );
}
