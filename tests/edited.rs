//! `resume --edited`, `--plan`, `--redo` and `--answer`: each step's fate, before it happens.

use serde_json::Value as Json;

use crate::harness::Test;

const FILE: &str = "workflow: w
params: { name: { type: string, default: x } }
steps:
  one: { script: steps/one.rhai, with: { name: \"${{ params.name }}\" } }
  two: { script: steps/two.rhai, with: { path: \"${{ steps.one.path }}\" } }
  three: { run: '#{ n: 3 }', needs: [two] }
  apart: { run: '#{ at: time::now() }' }
";
const ONE: &str = "import \"../lib/naming\" as naming;
const INPUTS = #{ name: \"string\" };
const OUTPUTS = #{ path: \"string\" };
fn run(inputs) { #{ path: file::write(naming::file(inputs.name), \"one\") } }
";
const TWO: &str = "const INPUTS = #{ path: \"string\" };
fn run(inputs) { file::write(\"two.txt\", inputs.path); #{} }
";

fn done() -> Test {
    let test = Test::new()
        .file("w.yaml", FILE)
        .file("steps/one.rhai", ONE)
        .file("steps/two.rhai", TWO)
        .file("lib/naming.rhai", "fn file(name) { `${name}.txt` }\n");
    test.windlass(&["run", "w.yaml"]).expect(0);
    test
}

/// How many calls the run has announced.
fn announced(test: &Test) -> usize {
    let events = test.events();
    let of = |e: &&Json| e["event"] == "effect_intended";
    events.iter().filter(of).count()
}

/// Step → its fate and the reason.
fn plan(test: &Test, more: &[&str]) -> Vec<(String, String, String)> {
    let arguments = [&["resume", "--edited", "--plan", "--json"], more].concat();
    let plan = test.windlass(&arguments).expect(0).json();
    let text = |json: &Json| json.as_str().expect("a text").to_owned();
    let fates = plan.as_array().expect("a list").iter();
    fates
        .map(|f| (text(&f["step"]), text(&f["fate"]), text(&f["reason"])))
        .collect()
}

#[track_caller]
fn expect(found: &[(String, String, String)], wanted: &[(&str, &str, &str)]) {
    let found: Vec<_> = found
        .iter()
        .filter(|(_, fate, _)| fate != "kept")
        .map(|(step, fate, reason)| (step.as_str(), fate.as_str(), reason.as_str()))
        .collect();
    assert_eq!(found.len(), wanted.len(), "{found:?}");
    for ((step, fate, reason), wanted) in found.iter().zip(wanted) {
        assert_eq!((*step, *fate), (wanted.0, wanted.1));
        assert!(reason.contains(wanted.2), "{reason}");
    }
}

#[test]
fn nothing_changed_and_everything_is_kept() {
    let test = done();
    expect(&plan(&test, &[]), &[]);
    test.write(
        "w.yaml",
        &FILE.replace("steps:\n", "# a remark, and lines moved\nsteps:\n"),
    );
    expect(&plan(&test, &[]), &[]);
}

#[test]
fn a_changed_script_is_replayed_and_does_nothing_twice() {
    let test = done();
    test.write("steps/one.rhai", &format!("{ONE}// a remark\n"));
    let replayed = [
        ("one", "replayed", "its script (steps/one.rhai) has changed"),
        ("two", "replayed", "`one` before it"),
        ("three", "replayed", "`two` before it"),
    ];
    expect(&plan(&test, &[]), &replayed);
    let before = test.events().len();
    test.windlass(&["resume", "--edited", "--yes"]).expect(0);
    let more = &test.events()[before..];
    assert!(
        more.iter().all(|e| e["event"] != "effect_intended"),
        "{more:?}"
    );
}

#[test]
fn a_changed_import_is_named() {
    let test = done();
    test.write("lib/naming.rhai", "fn file(name) { `${name}-2.txt` }\n");
    let found = plan(&test, &[]);
    assert_eq!(found[0].2, "an import of steps/one.rhai has changed");
    // Its calls are others now: it stops with both, and the operator decides.
    let ran = test.windlass(&["resume", "--edited", "--yes"]).expect(1);
    ran.says("call 0 was file::write");
    ran.says("x-2.txt");
    assert!(!test.path("out/x-2.txt").exists(), "nothing was done");
    test.windlass(&["resume", "--edited", "--yes"]).expect(0);
    assert!(test.path("out/x-2.txt").exists());
}

#[test]
fn a_changed_param_runs_what_reads_it_again() {
    let test = done();
    let again = [
        ("one", "again", "its input `name` has changed (params.name)"),
        ("two", "again", "`one` before it runs again"),
        ("three", "again", "`two` before it runs again"),
    ];
    expect(&plan(&test, &["-p", "name=y"]), &again);
    let shown = test
        .windlass(&["resume", "--edited", "--plan", "-p", "name=y"])
        .expect(0);
    shown.prints(
        "it makes these calls again; an undo can still reverse the earlier ones: file::write ×1",
    );
    test.windlass(&["resume", "--edited", "--yes", "-p", "name=y"])
        .expect(0);
    assert!(test.read("out/two.txt").ends_with("y.txt"));
    expect(&plan(&test, &["-p", "name=y"]), &[]);
}

#[test]
fn steps_are_added_removed_renamed_and_turned_round() {
    let test = done();
    test.write("w.yaml", &format!("{FILE}  four: {{ run: '()' }}\n"));
    expect(&plan(&test, &[]), &[("four", "new", "new in the workflow")]);
    test.write(
        "w.yaml",
        &FILE.replace("  apart: { run: '#{ at: time::now() }' }\n", ""),
    );
    expect(
        &plan(&test, &[]),
        &[("apart", "removed", "no longer in the workflow")],
    );
    test.write("w.yaml", &FILE.replace("apart:", "aside:"));
    let renamed = [
        ("aside", "new", "new"),
        ("apart", "removed", "no longer in the workflow"),
    ];
    expect(&plan(&test, &[]), &renamed);
    let turned = FILE
        .replace("${{ params.name }}", "${{ steps.two.path ?? 'z' }}")
        .replace("{ path: \"${{ steps.one.path }}\" }", "{ path: fixed }");
    test.write("w.yaml", &turned);
    let found = plan(&test, &[]);
    let fate = |name: &str| found.iter().find(|f| f.0 == name).map(|f| f.1.as_str());
    assert_eq!((fate("two"), fate("one")), (Some("again"), Some("again")));
    assert_eq!(fate("apart"), Some("kept"));
}

#[test]
fn a_failed_step_goes_on_with_the_mended_script() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
steps:
  a:
    run: |
      let subject = #{ common_name: \"Once\" };
      let arn = pca::create_certificate_authority(#{ type: \"ROOT\", subject: subject });
      throw \"a mistake\";
",
    );
    test.windlass(&["run", "w.yaml"]).expect(1);
    let mended = test
        .read("w.yaml")
        .replace("throw \"a mistake\";", "#{ arn: arn }");
    test.write("w.yaml", &mended);
    let found = plan(&test, &[]);
    assert_eq!(found[0].1, "continues");
    assert!(
        found[0].2.contains("continues after 1 recorded call"),
        "{found:?}"
    );
    test.windlass(&["resume", "--edited", "--yes"]).expect(0);
    assert_eq!(test.authorities(), 1);
}

#[test]
fn a_mistake_in_the_edit_changes_nothing() {
    let test = done();
    test.write("steps/two.rhai", "fn run(inputs) { pca::nothing(); }");
    let before = test.events().len();
    test.windlass(&["resume", "--edited", "--yes"]).expect(2);
    assert_eq!(test.events().len(), before);
}

#[test]
fn redo_names_a_step_that_ran() {
    let test = done();
    let ran = test
        .windlass(&["resume", "--redo", "nothing", "--yes"])
        .expect(2);
    ran.says("`nothing` has not run");
    test.windlass(&["resume", "--redo", "two", "--yes"])
        .expect(0);
    let shown = test.shown();
    let rounds = |name: &str| {
        let steps = shown["steps"].as_array().expect("steps");
        steps
            .iter()
            .find(|s| s["step"] == name)
            .map(|s| s["attempt"].clone())
    };
    assert_eq!(rounds("one"), Some(1.into()));
    assert_eq!(rounds("three"), Some(2.into()));
}

#[test]
fn redo_takes_a_whole_for_each_or_one_item() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
steps:
  each: { for_each: [a, b], with: { n: \"${{ item }}\" }, run: 'file::write(inputs.n, time::now())' }
  after: { needs: [each], run: '()' }
",
    );
    test.windlass(&["run", "w.yaml"]).expect(0);
    let fates = |redo: &str| {
        let plan = test
            .windlass(&["resume", "--redo", redo, "--plan", "--json"])
            .expect(0)
            .json();
        let fates = plan.as_array().expect("a list").iter();
        let fate = |f: &Json| format!("{} {}", f["step"], f["fate"]).replace('"', "");
        fates.map(fate).collect::<Vec<_>>()
    };
    assert_eq!(fates("each"), ["each again", "after again"]);
    assert_eq!(
        fates("each[b]"),
        ["each[a] kept", "each[b] again", "after again"]
    );
    let (a, b) = (test.read("out/a"), test.read("out/b"));
    test.windlass(&["resume", "--redo", "each[b]", "--yes"])
        .expect(0);
    assert_eq!(test.read("out/a"), a);
    assert_ne!(test.read("out/b"), b);
}

/// Whatever reads a step that runs another time sees what it gives then: items and params too.
#[test]
fn items_and_nested_workflows_wait_for_what_runs_again() {
    let inner = "workflow: inner\nparams: { n: int }\nsteps:\n  show: { run: '#{ n: inputs.n }', with: { n: \"${{ params.n }}\" } }\noutputs: { n: \"${{ steps.show.n }}\" }\n";
    let test = Test::new()
        .file("inner.yaml", inner)
        .file(
            "steps/one.rhai",
            "const OUTPUTS = #{ n: \"int\" };\nfn run(inputs) { #{ n: 1 } }\n",
        )
        .file(
            "w.yaml",
            "workflow: w
steps:
  one: { script: steps/one.rhai }
  nested: { workflow: inner.yaml, with: { n: \"${{ steps.one.n }}\" } }
  each:
    for_each: [a, b]
    with: { n: \"${{ steps.one.n }}\", item: \"${{ item }}\" }
    run: |
      if inputs.item == \"b\" && inputs.n == 1 { throw \"not yet\"; }
      #{ n: inputs.n }
outputs:
  nested: ${{ steps.nested.n }}
  b: ${{ steps.each.b.n }}
",
        );
    test.windlass(&["run", "w.yaml"]).expect(1);
    test.write(
        "steps/one.rhai",
        "const OUTPUTS = #{ n: \"int\" };\nfn run(inputs) { time::now(); #{ n: 2 } }\n",
    );
    test.windlass(&["resume", "--edited", "--yes"]).expect(0);
    let outputs = test.windlass(&["outputs", "--json"]).expect(0).json();
    assert_eq!(outputs, serde_json::json!({ "nested": 2, "b": 2 }));
}

const ONCE: &str = "workflow: w
steps:
  a: { run: '#{ n: 1 }' }
  b: { run: '()', with: { n: \"${{ steps.a }}\" } }
";

#[test]
fn a_for_each_that_comes_or_goes_starts_a_step_over() {
    let each = ONCE
        .replace(
            "run: '#{",
            "for_each: [x, y], run: 'file::write(inputs.n, \"\"); #{",
        )
        .replace("n: 1 }' }", "n: 1 }', with: { n: \"${{ item }}\" } }");
    let test = Test::new().file("w.yaml", ONCE);
    test.windlass(&["run", "w.yaml"]).expect(0);
    test.write("w.yaml", &each);
    let comes = [
        ("a", "again", "it now runs once for each item"),
        ("b", "again", "`a` before it runs again"),
    ];
    expect(&plan(&test, &[]), &comes);
    test.windlass(&["resume", "--edited", "--yes"]).expect(0);
    assert!(test.path("out/x").exists() && test.path("out/y").exists());
    expect(&plan(&test, &[]), &[]);
    test.write("w.yaml", ONCE);
    let goes = [
        ("a", "again", "it now runs only once"),
        ("b", "again", "`a` before it runs again"),
    ];
    expect(&plan(&test, &[]), &goes);
    test.windlass(&["resume", "--edited", "--yes"]).expect(0);
    expect(&plan(&test, &[]), &[]);
}

#[test]
fn other_outputs_of_a_nested_workflow_are_given() {
    let inner = "workflow: inner\nsteps:\n  a: { run: '#{ n: 1, m: 2 }' }\noutputs: { n: \"${{ steps.a.n }}\" }\n";
    let outer = "workflow: w\nsteps:\n  nested: { workflow: inner.yaml }\noutputs: { n: \"${{ steps.nested.n }}\" }\n";
    let test = Test::new().file("inner.yaml", inner).file("w.yaml", outer);
    test.windlass(&["run", "w.yaml"]).expect(0);
    test.write(
        "inner.yaml",
        &inner.replace("n: \"${{ steps.a.n }}\"", "n: \"${{ steps.a.m }}\""),
    );
    let changed = [(
        "nested",
        "replayed",
        "the outputs of its workflow have changed",
    )];
    expect(&plan(&test, &[]), &changed);
    test.windlass(&["resume", "--edited", "--yes"]).expect(0);
    let outputs = test.windlass(&["outputs", "--json"]).expect(0).json();
    assert_eq!(outputs, serde_json::json!({ "n": 2 }));
}

#[test]
fn a_changed_secret_is_a_changed_input() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
params: { pw: secret }
steps:
  a: { with: { pw: \"${{ params.pw }}\" }, run: 'file::write_secret(\"pw\", inputs.pw)' }
",
    );
    test.windlass(&["run", "w.yaml", "-p", "pw=one"]).expect(0);
    expect(&plan(&test, &["-p", "pw=one"]), &[]);
    let changed = [("a", "again", "its input `pw` has changed (params.pw)")];
    expect(&plan(&test, &["-p", "pw=two"]), &changed);
    test.windlass(&["resume", "--edited", "--yes", "-p", "pw=two"])
        .expect(0);
    assert_eq!(test.read("out/pw"), "two");
}

#[test]
fn params_without_edited_are_refused() {
    let test = done();
    for param in ["name=y", "nonsense=1"] {
        let ran = test.windlass(&["resume", "--redo", "one", "--yes", "-p", param]);
        assert!(ran.expect(2).stderr.contains("--edited"));
    }
}

/// What only waits for a check uses nothing of it.
#[test]
fn what_only_needs_a_check_that_runs_again_is_not_made_again() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
params: { names: { type: list(string), default: [a] } }
steps:
  fits: { fresh: true, with: { names: \"${{ params.names }}\" }, run: 'for name in inputs.names { if name == \"\" { throw \"empty\" } }' }
  asked: { needs: [fits], approval: \"For ${{ params.names }}?\" }
  makes: { needs: [asked], run: 'file::write(\"made.txt\", `${time::now()}`)' }
  each: { needs: [makes], for_each: \"${{ params.names }}\", with: { name: \"${{ item }}\" }, run: 'file::write(inputs.name + \".txt\", inputs.name)' }
",
    );
    test.windlass(&["run", "w.yaml"]).expect(3);
    let run = test.shown()["run"].as_str().expect("an id").to_owned();
    let approve = || test.windlass(&["approve", &run, "asked"]).expect(0);
    approve();
    test.windlass(&["resume"]).expect(0);
    let made = test.read("out/made.txt");
    let more = ["-p", "names=[a, b]"];
    let wanted = [
        ("fits", "again", "its input `names` has changed"),
        ("asked", "again", "the subject of the approval has changed"),
        ("makes", "replayed", "`asked` before it runs again"),
        ("each[a]", "replayed", "`makes` before it runs again"),
        ("each[b]", "new", "has not run yet"),
    ];
    expect(&plan(&test, &more), &wanted);
    let edited = ["resume", "--edited", "--yes"];
    test.windlass(&[&edited, more.as_slice()].concat())
        .expect(3);
    approve();
    test.windlass(&["resume"]).expect(0);
    assert_eq!(test.read("out/made.txt"), made, "it was made once");
    assert_eq!(test.read("out/b.txt"), "b");
}

/// What an edited resume was to do again, and did not come to, has its way back all the same.
#[test]
fn an_undo_takes_the_ways_back_of_what_was_to_run_again() {
    let back = "const INPUTS = #{ n: \"int\" };
const OUTPUTS = #{ of: \"int\" };
fn run(inputs) { #{ of: inputs.n } }
fn undo(inputs, outputs) { file::write(`back-${outputs.of}.txt`, `${inputs.n}`); }
";
    let test = Test::new()
        .file(
            "w.yaml",
            "workflow: w
params: { n: { type: int, default: 1 }, m: { type: int, default: 1 } }
steps:
  first: { with: { n: \"${{ params.n }}\" }, run: 'if inputs.n == 2 { throw \"two\" } #{ n: inputs.n }' }
  back: { script: back.rhai, with: { n: \"${{ steps.first.n }}\" } }
  checked: { fresh: true, with: { m: \"${{ params.m }}\" }, run: 'if inputs.m == 2 { throw \"two\" } ()' }
  replayed: { needs: [checked], script: replayed.rhai }
  fails: { needs: [back, replayed], run: 'throw \"no\"' }
",
        )
        .file("back.rhai", back)
        .file(
            "replayed.rhai",
            "const OUTPUTS = #{ at: \"string\" };\nfn run(inputs) { #{ at: time::now() } }\nfn undo(inputs, outputs) { file::write(\"replayed.txt\", outputs.at); }\n",
        );
    for (param, lost) in [("n=2", "back"), ("m=2", "replayed")] {
        test.windlass(&["run", "w.yaml"]).expect(1);
        let edited = ["resume", "--edited", "--yes", "-p", param];
        test.windlass(&edited).expect(1);
        let plan = test.windlass(&["undo", "--plan"]).expect(0).stdout;
        assert!(plan.contains(lost), "{plan}");
        test.windlass(&["undo", "--yes"]).expect(0);
        assert_eq!(test.read("out/back-1.txt"), "1");
        assert!(test.path("out/replayed.txt").exists());
        std::fs::remove_dir_all(test.path("out")).expect("removed");
    }
}

/// An item that an edit left out did its work before a step that it needs ran again: it is undone before that step.
#[test]
fn an_undo_reverses_what_depends_on_a_step_before_that_step() {
    let inner = "workflow: inner
params: { of: string, n: int }
steps:
  early: { with: { n: \"${{ params.n }}\", of: \"${{ params.of }}\" }, run: 'file::write(`early-${inputs.of}.txt`, `${inputs.n}`)' }
  late: { needs: [early], with: { of: \"${{ params.of }}\" }, run: 'file::write(`late-${inputs.of}.txt`, \"\")' }
";
    let test = Test::new()
        .file(
            "w.yaml",
            "workflow: w
params: { n: { type: int, default: 1 }, items: { type: list(string), default: [a, b] } }
steps:
  first: { with: { n: \"${{ params.n }}\" }, run: 'file::write(\"first.txt\", `${inputs.n}`); #{ n: inputs.n }' }
  between: { with: { n: \"${{ steps.first.n }}\" }, run: '#{ n: inputs.n }' }
  each: { for_each: \"${{ params.items }}\", workflow: inner.yaml, with: { of: \"${{ item }}\", n: \"${{ steps.between.n }}\" } }
  after: { needs: [each], run: 'if !file::exists(\"late-a.txt\") { throw \"no\" }' }
finally:
  last: { run: 'file::write(\"last.txt\", \"\")' }
",
        )
        .file("inner.yaml", inner);
    test.windlass(&["run", "w.yaml"]).expect(0);
    let edited = [
        "resume",
        "--edited",
        "--yes",
        "-p",
        "n=2",
        "-p",
        "items=[b]",
    ];
    test.windlass(&edited).expect(0);
    let plan = test.windlass(&["undo", "--plan"]).expect(0).stdout;
    let (_, reversed) = plan.split_once("to be reversed").expect("an order");
    let place = |step: &str| {
        let found = reversed.find(&format!("{step}: "));
        found.unwrap_or_else(|| panic!("{step} is missing: {plan}"))
    };
    let order = [
        ["last", "each[b]/late"],
        ["each[b]/late", "each[b]/early"],
        ["each[b]/early", "first"],
        ["last", "each[a]/late"],
        ["each[a]/late", "each[a]/early"],
        ["each[a]/early", "first"],
    ];
    for [first, then] in order {
        assert!(place(first) < place(then), "{first} before {then}: {plan}");
    }
    test.windlass(&["undo", "--yes"]).expect(0);
    let left = std::fs::read_dir(test.path("out")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "everything is taken back");
}

/// A step that would be kept runs again, too, if a new item comes before it: what comes after it has to wait.
#[test]
fn what_depends_on_a_new_item_waits_for_it() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
params: { n: { type: int, default: 1 }, items: { type: list(string), default: [a] } }
steps:
  early: { for_each: \"${{ params.items }}\", with: { of: \"${{ item }}\", n: \"${{ params.n }}\" }, run: 'file::write(`early-${inputs.of}.txt`, `${inputs.n}`)' }
  between: { needs: [early], run: 'time::now()' }
  late: { needs: [between], for_each: \"${{ params.items }}\", with: { of: \"${{ item }}\" }, run: 'if !file::exists(`early-${inputs.of}.txt`) { throw \"too early\" }' }
",
    );
    test.windlass(&["run", "w.yaml"]).expect(0);
    let more = ["-p", "items=[a, b]"];
    let new = [
        ("early[b]", "new", "has not run"),
        ("between", "replayed", "`early` before it runs"),
        ("late[a]", "replayed", "`between` before it runs again"),
        ("late[b]", "new", "has not run"),
    ];
    expect(&plan(&test, &more), &new);
    test.windlass(&[&["resume", "--edited", "--yes"], more.as_slice()].concat())
        .expect(0);
    // A new item does not hide that another one starts over.
    let again = [
        ("early[a]", "again", "its input `n` has changed"),
        ("early[b]", "again", "its input `n` has changed"),
        ("early[c]", "new", "has not run"),
        ("between", "again", "`early` before it runs again"),
        ("late[a]", "replayed", "`between` before it runs again"),
        ("late[b]", "replayed", "`between` before it runs again"),
        ("late[c]", "new", "has not run"),
    ];
    expect(
        &plan(&test, &["-p", "items=[a, b, c]", "-p", "n=2"]),
        &again,
    );
}

/// A resume that fails before a step runs again does not make the next one start the step over.
#[test]
fn what_was_to_run_again_and_did_not_is_not_made_again() {
    let inner = "workflow: inner
params: { of: string }
steps:
  make: { with: { of: \"${{ params.of }}\" }, run: 'file::write(`${inputs.of}.txt`, \"\"); 1' }
";
    let test = Test::new()
        .file(
            "w.yaml",
            "workflow: w
params: { fits: { type: bool, default: true }, items: { type: list(string), default: [a, b] } }
steps:
  check: { with: { fits: \"${{ params.fits }}\" }, run: 'if !inputs.fits { throw \"does not fit\" }' }
  each: { needs: [check], for_each: \"${{ params.items }}\", with: { of: \"${{ item }}\" }, run: 'file::write(`each-${inputs.of}.txt`, \"\"); 1' }
  within: { needs: [check], workflow: inner.yaml, with: { of: within } }
  both: { needs: [check], for_each: \"${{ params.items }}\", workflow: inner.yaml, with: { of: \"both-${{ item }}\" } }
",
        )
        .file("inner.yaml", inner);
    test.windlass(&["run", "w.yaml"]).expect(0);
    let first = announced(&test);
    let edit = ["resume", "--edited", "--yes", "-p"];
    test.windlass(&[&edit, ["fits=false"].as_slice()].concat())
        .expect(1);
    let more = ["-p", "fits=true", "-p", "items=[b]"];
    let next = [
        ("check", "new", "its input `fits` has changed"),
        ("each[b]", "continues", "`check` before it runs"),
        ("each[a]", "removed", "no longer an item"),
        ("within/make", "continues", "`check` before it runs"),
        ("both[b]/make", "continues", "`check` before it runs"),
        ("both[a]", "removed", "no longer an item"),
    ];
    expect(&plan(&test, &more), &next);
    test.windlass(&[&edit[..3], more.as_slice()].concat())
        .expect(0);
    assert_eq!(announced(&test), first, "nothing was done twice");
}

/// A nested workflow that failed, and without which the run continued, is kept as a step is.
#[test]
fn a_nested_workflow_that_failed_and_was_tolerated_is_kept() {
    let test = Test::new()
        .file(
            "w.yaml",
            "workflow: w
params: { n: { type: int, default: 1 } }
steps:
  sub: { workflow: inner.yaml, on_error: continue }
  after: { needs: [sub], run: 'file::write(\"after.txt\", \"\")' }
  apart: { with: { n: \"${{ params.n }}\" }, run: '()' }
",
        )
        .file(
            "inner.yaml",
            "workflow: inner
steps:
  a: { run: 'throw \"no\"' }
finally:
  t: { with: { s: \"${{ run.status }}\" }, run: '()' }
",
        );
    test.windlass(&["run", "w.yaml"]).expect(0);
    expect(&plan(&test, &[]), &[]);
    let found = plan(&test, &["-p", "n=2"]);
    expect(&found, &[("apart", "again", "its input `n` has changed")]);
}

/// The items of a step that was to run again, and has not, come from a step that failed.
#[test]
fn items_that_are_not_known_yet_are_not_made_again() {
    let inner = "workflow: inner
params: { of: string }
steps:
  make: { with: { of: \"${{ params.of }}\" }, run: 'file::write(`${inputs.of}.txt`, \"\"); 1' }
";
    let list = |body: &str| {
        format!("const OUTPUTS = #{{ items: \"list(string)\" }};\nfn run(inputs) {{ {body} }}\n")
    };
    let test = Test::new()
        .file(
            "w.yaml",
            "workflow: w
steps:
  list: { script: list.rhai }
  both: { for_each: \"${{ steps.list.items }}\", workflow: inner.yaml, with: { of: \"${{ item }}\" } }
",
        )
        .file("list.rhai", &list("#{ items: [\"a\", \"b\"] }"))
        .file("inner.yaml", inner);
    test.windlass(&["run", "w.yaml"]).expect(0);
    let first = announced(&test);
    test.write("list.rhai", &list("throw \"no\""));
    test.windlass(&["resume", "--edited", "--yes"]).expect(1);
    test.write("list.rhai", &list("#{ items: [\"b\", \"a\"] }"));
    let found = plan(&test, &[]);
    assert!(
        found.iter().all(|(_, fate, _)| fate != "again"),
        "{found:?}"
    );
    test.windlass(&["resume", "--edited", "--yes"]).expect(0);
    assert_eq!(announced(&test), first, "nothing was done twice");
}

/// The `finally` of a nested workflow that an edit opens again runs again.
#[test]
fn the_finally_of_a_nested_workflow_runs_again_after_an_edit() {
    let inner = "workflow: inner
steps:
  a: { fresh: true, run: 'if !file::exists(\"ready.txt\") { throw \"not ready\" }' }
finally:
  f: { run: 'file::write(\"cleaned.txt\", `${time::now()}`)' }
";
    let file = "workflow: w
steps:
  sub: { workflow: inner.yaml, needs: [] }
";
    let test = Test::new().file("w.yaml", file).file("inner.yaml", inner);
    test.windlass(&["run", "w.yaml"]).expect(1);
    let before = test.read("out/cleaned.txt");
    let more = file.replace(
        "  sub: { workflow: inner.yaml, needs: [] }\n",
        "  first: { run: 'file::write(\"ready.txt\", \"\")' }\n  sub: { workflow: inner.yaml, needs: [first] }\n",
    );
    test.write("w.yaml", &more);
    test.windlass(&["resume", "--edited", "--yes"]).expect(0);
    let after = test.read("out/cleaned.txt");
    assert_ne!(after, before);
    // And that of a run that has succeeded.
    test.windlass(&["resume", "--redo", "sub/a", "--yes"])
        .expect(0);
    assert_ne!(test.read("out/cleaned.txt"), after);
}

/// A step's own undo survives the edit that removes the step or its `fn undo`, and each round is undone by the script that did it.
#[test]
fn what_an_edit_takes_away_is_undone_by_the_script_that_did_it() {
    let script = |path: &str| {
        format!(
            "const INPUTS = #{{ n: \"int\" }};\nfn run(inputs) {{ file::write(`{path}${{inputs.n}}`, \"made\"); #{{ id: `{path}${{inputs.n}}` }} }}\nfn undo(inputs, outputs) {{ file::write(`undone-by-{path}-${{outputs.id}}`, \"\"); }}\n"
        )
    };
    let with = |step: &str| {
        format!(
            "workflow: w\nsteps:\n  {step}\n  b: {{ needs: [{}], run: 'throw \"x\"' }}\n",
            step.split(':').next().expect("a name")
        )
    };
    let first = with("a: { script: a.rhai, with: { n: 1 } }");
    let done = || {
        let test = Test::new()
            .file("w.yaml", &first)
            .file("a.rhai", &script("old"));
        test.windlass(&["run", "w.yaml"]).expect(1);
        test
    };
    let marks = |test: &Test| {
        let files = std::fs::read_dir(test.path("out")).expect("a folder");
        let names = files.map(|file| file.expect("a file").file_name());
        let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into()).collect();
        names.retain(|name| name.starts_with("undone"));
        names.sort();
        names
    };
    let removed = "workflow: w\nsteps:\n  b: { run: 'throw \"x\"' }\n";
    let edits: [(&str, String, &[&str]); 4] = [
        (
            "renamed",
            with("c: { script: a.rhai, with: { n: 2 } }"),
            &["undone-by-old-old1", "undone-by-old-old2"],
        ),
        ("removed", removed.to_owned(), &["undone-by-old-old1"]),
        (
            "without an undo",
            with("a: { run: '#{ id: inputs.n }', with: { n: 2 } }"),
            &["undone-by-old-old1"],
        ),
        (
            "another script",
            with("a: { script: b.rhai, with: { n: 2 } }"),
            &["undone-by-new-new2", "undone-by-old-old1"],
        ),
    ];
    for (what, file, undone) in edits {
        let test = done();
        test.write("w.yaml", &file);
        test.write("b.rhai", &script("new"));
        test.windlass(&["resume", "--edited", "--yes"]).expect(1);
        let plan = test.windlass(&["undo", "--plan"]).expect(0).stdout;
        assert_eq!(
            plan.matches("run `fn undo` of").count(),
            undone.len(),
            "{what}: {plan}"
        );
        test.windlass(&["undo", "--yes"]).expect(0);
        assert_eq!(marks(&test), undone, "{what}");
        let shown = test.windlass(&["show"]).expect(0).stdout;
        assert!(!shown.contains("stays"), "{what}: {shown}");
    }
    // What stands is undone by the script as it is now: that is how a mistake in it is corrected.
    let test = done();
    test.write(
        "a.rhai",
        &script("old").replace("undone-by-old", "undone-better"),
    );
    test.windlass(&["resume", "--edited", "--yes"]).expect(1);
    test.windlass(&["undo", "--yes"]).expect(0);
    assert_eq!(marks(&test), ["undone-better-old1"]);
    // A run that undoes itself after the edit.
    let test = done();
    let undoes = removed.replace("workflow: w", "workflow: w\non_failure: undo");
    test.write("w.yaml", &undoes);
    test.windlass(&["resume", "--edited", "--yes"]).expect(1);
    assert_eq!(marks(&test), ["undone-by-old-old1"]);
}

#[test]
fn what_the_files_no_longer_have_can_not_run_again() {
    let flow = |steps: &str| format!("workflow: w\nsteps:\n{steps}");
    let test = Test::new().file(
        "w.yaml",
        &flow("  s: { run: \"#{}\" }\n  e: { for_each: [a, b], run: \"#{}\" }\n"),
    );
    test.windlass(&["run", "w.yaml"]).expect(0);
    test.write("w.yaml", &flow("  e: { for_each: [a], run: \"#{}\" }\n"));
    for gone in ["s", "e[b]"] {
        let again = ["resume", "--edited", "--redo", gone, "--yes"];
        let refused = test.windlass(&again).expect(2);
        refused.says(&format!("`{gone}` is no longer in the workflow"));
        refused.says("[unknown-step]");
    }
    test.windlass(&["resume", "--edited", "--redo", "e[a]", "--yes"])
        .expect(0);
}
