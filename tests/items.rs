//! How the items of a `for_each` are named.

use crate::harness::{Test, status};

fn workflow(list: &str, key: &str) -> String {
    format!(
        "workflow: w
steps:
  each:
    for_each: {list}
{key}    with: {{ item: \"${{{{ item }}}}\" }}
    run: '#{{ item: inputs.item }}'
"
    )
}

const KEY: &str = "    key: ${{ item.name }}\n";

#[test]
fn e5_a_key_names_items_that_are_maps() {
    let test = Test::new();
    test.write(
        "w.yaml",
        &workflow("[{ name: a, n: 1 }, { name: b, n: 2 }]", KEY),
    );
    test.windlass(&["run", "w.yaml"]).expect(0);
    for step in ["each[a]", "each[b]"] {
        assert_eq!(status(&test.shown(), step), "succeeded");
    }
    // Another one in front changes nothing for those that were there.
    test.write(
        "w.yaml",
        &workflow(
            "[{ name: c, n: 3 }, { name: a, n: 1 }, { name: b, n: 2 }]",
            KEY,
        ),
    );
    let plan = test
        .windlass(&["resume", "--edited", "--plan", "--json"])
        .expect(0)
        .json();
    let fate = |step: &str| {
        let fates = plan.as_array().expect("a list");
        fates
            .iter()
            .find(|f| f["step"] == step)
            .map(|f| f["fate"].clone())
    };
    assert_eq!(fate("each[a]"), Some("kept".into()), "{plan}");
    assert_eq!(fate("each[c]"), Some("new".into()), "{plan}");
    test.write("w.yaml", &workflow("[{ name: a }, { name: a }]", KEY));
    let twice = test.windlass(&["run", "w.yaml"]);
    twice.says("has the item `a` twice");
}

#[test]
fn e5_without_a_key_items_that_may_be_others_are_refused() {
    let test = Test::new();
    test.write("w.yaml", &workflow("[{ n: 1 }, { n: 2 }]", ""));
    test.windlass(&["run", "w.yaml"]).expect(0);
    test.write("w.yaml", &workflow("[{ n: 1 }, { n: 2 }, { n: 3 }]", ""));
    test.windlass(&["resume", "--edited", "--plan"]).expect(0);
    test.write("w.yaml", &workflow("[{ n: 0 }, { n: 1 }, { n: 2 }]", ""));
    let refused = test.windlass(&["resume", "--edited", "--plan"]).expect(2);
    refused.says("[unnamed-items]");
    refused.says("key: ${{ item.name }}");
    test.windlass(&["resume", "--edited", "--redo", "each", "--plan"])
        .expect(0);
}

#[test]
fn e5_a_position_is_no_number() {
    let test = Test::new();
    test.write("w.yaml", &workflow("[1, 1.5]", ""));
    test.windlass(&["run", "w.yaml"]).expect(0);
    for step in ["each[1]", "each[#1]"] {
        assert_eq!(status(&test.shown(), step), "succeeded");
    }
}

/// A script's arrays have 20,000 elements at most; a list that nothing but a `for_each` reads may be longer, also where
/// other params of the run are read for each item.
#[test]
fn a_list_that_drives_a_for_each_may_be_longer_than_an_array() {
    let items: Vec<String> = (0..20_500).map(|n| n.to_string()).collect();
    let test = Test::new();
    let text = format!(
        "workflow: w
params:
  many: {{ type: list(int), default: [{}] }}
  name: {{ type: string, default: x }}
steps:
  each:
    for_each: ${{{{ params.many }}}}
    max_parallel: 1
    fail_fast: true
    with: {{ item: \"${{{{ item }}}}\", name: \"${{{{ params.name + '!' }}}}\" }}
    run: 'if inputs.item == 1 {{ throw inputs.name }}'
",
        items.join(", ")
    );
    test.write("w.yaml", &text);
    let ran = test.windlass(&["run", "w.yaml"]).expect(1);
    ran.says("x!");
    let shown = test.shown();
    assert_eq!(status(&shown, "each[0]"), "succeeded");
    assert_eq!(status(&shown, "each[1]"), "failed");
    let steps = shown["steps"].as_array().expect("steps");
    let each = steps.iter().find(|step| step["step"] == "each");
    let message = each.expect("the step")["error"]["message"].as_str();
    let wanted = "20498 did not start (fail_fast)";
    assert!(
        message.is_some_and(|text| text.contains(wanted)),
        "{message:?}"
    );
}

/// All outputs together are more than the interpreter takes.
#[test]
fn an_item_reads_its_own_output_however_many_others_there_are() {
    let test = Test::new();
    let items: Vec<_> = (0..300).map(|n| format!("i{n}")).collect();
    let items = items.join(", ");
    test.write(
        "w.yaml",
        &format!(
            "workflow: w
steps:
  all:
    for_each: [{items}]
    with: {{ item: \"${{{{ item }}}}\" }}
    run: |
      let many = [];
      for i in 0..100 {{ many.push(inputs.item); }}
      #{{ many: many }}
  each:
    for_each: [{items}]
    with:
      own: ${{{{ steps.all[item].many }}}}
      more: ${{{{ steps.all[item].many + ['x'] }}}}
    run: '#{{ own: inputs.own[99], more: inputs.more.len() }}'
outputs:
  last: ${{{{ steps.each.i299 }}}}
"
        ),
    );
    test.windlass(&["run", "w.yaml"]).expect(0);
    let outputs = test.windlass(&["outputs", "--json"]).expect(0).json();
    assert_eq!(outputs["last"]["own"], "i299", "{outputs}");
    assert_eq!(outputs["last"]["more"], 101, "{outputs}");
}

#[test]
fn what_follows_a_tolerated_failure_reads_the_items_that_succeeded() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
steps:
  each:
    on_error: continue
    for_each: [a, b, c]
    with: { item: \"${{ item }}\" }
    run: |
      if inputs.item == \"b\" { throw \"no\"; }
      #{ of: inputs.item }
  none: { on_error: continue, for_each: [a], run: 'throw \"no\"' }
outputs:
  each: ${{ steps.each }}
  failed: ${{ 3 - steps.each.len() }}
  b: ${{ steps.each.b?.of ?? 'failed' }}
  none: ${{ steps.none.len() }}
",
    );
    test.windlass(&["run", "w.yaml"]).expect(0);
    let outputs = test.windlass(&["outputs", "--json"]).expect(0).json();
    let each = serde_json::json!({ "a": { "of": "a" }, "c": { "of": "c" } });
    let expected = serde_json::json!({ "each": each, "failed": 1, "b": "failed", "none": 0 });
    assert_eq!(outputs, expected);
}
