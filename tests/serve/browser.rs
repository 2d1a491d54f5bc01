//! The page in a real browser: Chromium, driven by Playwright.

use std::{
    io::Read,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use serde_json::json;

use super::server::{ALICE, BOB, Served, VERA, with_people};
use crate::harness::{Ran, Test, skip};

/// Texts that try to be more than text.
const EVIL: &str = r#"<img src=x onerror="window.evil=1"><script>window.evil=1</script><b class=evil>b</b>"><svg onload=window.evil=1>javascript:window.evil=1 ${{ 1 }} ' onfocus=window.evil=1"#;

/// The browser, and the modules that drive it. Without them a test is skipped, but for CI, which installs them.
fn installed() -> Option<(PathBuf, PathBuf)> {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/browser/node_modules");
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let browser = std::env::split_paths(&folders)
        .map(|folder| folder.join("chromium"))
        .find(|path| path.is_file());
    let found = browser.filter(|_| modules.join("playwright-core").is_dir());
    let found = found.map(|browser| (browser, modules));
    if found.is_none() {
        let how = "apt-get install chromium nodejs; npm install --ignore-scripts --prefix target/browser playwright-core axe-core";
        skip("a browser", how);
    }
    found
}

/// Runs a script of `tests/serve/browser` against a server; gives what it printed.
pub(super) fn browse(test: &Test, served: &Served, script: &str, more: &[(&str, &str)]) -> String {
    let Some((browser, modules)) = installed() else {
        return String::new();
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/serve/browser")
        .join(script);
    let output = Command::new("node")
        .arg(script)
        .env("BROWSER_MODULES", modules)
        .env("CHROMIUM", browser)
        .env("DESK", format!("http://{}", served.address))
        .env("FOLDER", test.path(""))
        .envs([("ALICE", ALICE), ("BOB", BOB), ("VERA", VERA)])
        .env("OWNER", &served.owner)
        .envs(more.iter().copied())
        .output();
    let said = Ran::from_output(output.expect("node is installed"))
        .expect(0)
        .stdout;
    println!("{said}");
    said
}

const SHIP: &str = "workflow: ship
description: Ships boxes.
params: { count: { type: int, default: 1, min: 1, max: 9, description: How many } }
steps:
  pack:
    for_each: ${{ [\"a\", \"b\", \"c\"] }}
    with: { box: \"${{ item }}\", count: \"${{ params.count }}\" }
    run: |
      file::write(`${inputs.box}.txt`, `${inputs.count}`);
      #{ box: inputs.box }
  ask:
    approval: Ship ${{ params.count }} boxes?
    needs: [pack]
    not_requester: true
  ship:
    needs: [ask]
    with: { by: \"${{ steps.ask.approved_by }}\" }
    run: |
      throw \"the crane is broken\"
outputs: { count: \"${{ params.count }}\" }
";

#[test]
fn people_start_watch_approve_mend_resume_compare_and_undo() {
    let test = with_people(Test::new().file("ship.yaml", SHIP));
    let served = Served::start(&test);
    let run = browse(&test, &served, "story.mjs", &[]);
    if run.is_empty() {
        return;
    }
    // What the page handed out, somebody else verifies.
    let verified = test
        .windlass(&["audit", "--verify", "bundle.json", "--json"])
        .expect(0)
        .json();
    assert_eq!(verified["run"], run.trim());
    let approved = &verified["approvals"][0];
    assert_eq!(
        (&approved["approver"], &approved["comment"]),
        (&json!("bob"), &json!("go <b>ahead</b>"))
    );
}

#[test]
fn a_question_that_takes_the_place_of_another_is_not_answered_by_mistake() {
    let seq = "workflow: seq
steps:
  q1: { approval: \"Restart staging?\" }
  q2: { approval: \"Delete production?\", needs: [q1] }
";
    let test = with_people(Test::new().file("seq.yaml", seq));
    let served = Served::start(&test);
    let run = served.run(ALICE, &json!({ "workflow": "seq" }));
    served.wait(&run, "waiting");
    browse(&test, &served, "questions.mjs", &[("RUN", &run)]);
    if let Some(comment) = installed().map(|_| served.wait(&run, "succeeded")) {
        let decided = test.events();
        let decided = decided
            .iter()
            .find(|event| event["step"] == "q2" && event["event"] == "approval_decided");
        assert_eq!(
            decided.expect("decided")["comment"],
            "now production",
            "{comment:#}"
        );
    }
}

/// Five hundred steps, of which one fails: a fan of fifty, each followed by a row of nine others.
fn wide() -> String {
    let mut text = String::from("workflow: wide\nsteps:\n  first: { run: \"1\" }\n");
    for at in 0..500 {
        let before = match at {
            0..50 => "first".to_owned(),
            _ => format!("s{}", at - 50),
        };
        let does = if at == 333 { "throw \\\"no\\\"" } else { "1" };
        text.push_str(&format!(
            "  s{at}: {{ run: \"{does}\", needs: [{before}] }}\n"
        ));
    }
    text
}

const MANY: &str = "workflow: many
steps:
  list: { run: \"let all = []; for i in 0..2000 { all.push(`${i}`); } #{ all: all }\" }
  many:
    for_each: ${{ steps.list.all }}
    max_parallel: 64
    with: { i: \"${{ item }}\" }
    run: \"if inputs.i == \\\"1234\\\" { throw \\\"unlucky\\\"; } 1\"
  ask: { approval: Go on?, needs: [list] }
";

#[test]
fn thousands_are_drawn_at_once() {
    let test = with_people(
        Test::new()
            .file("wide.yaml", &wide())
            .file("many.yaml", MANY),
    );
    let served = Served::start(&test);
    let many = served.run(ALICE, &json!({ "workflow": "many" }));
    let wide = served.run(ALICE, &json!({ "workflow": "wide" }));
    served.wait(&many, "waiting");
    served.wait(&wide, "failed");
    browse(
        &test,
        &served,
        "large.mjs",
        &[("MANY", &many), ("WIDE", &wide)],
    );
}

#[test]
fn axe_finds_nothing_and_no_text_becomes_more_than_text() {
    let evil = EVIL.replace('"', "\\\"").replace("${{ 1 }}", "");
    let talk = EVIL.replace('`', "").replace("${{ 1 }}", "");
    let flow = format!(
        "workflow: evil
description: \"{evil}\"
params: {{ text: {{ type: string, default: \"{evil}\", description: \"{evil}\" }} }}
steps:
  talk:
    description: \"{evil}\"
    with: {{ text: \"${{{{ params.text }}}}\" }}
    run: |
      log::info(inputs.text);
      file::write(\"x.txt\", inputs.text);
      #{{ said: inputs.text }}
  ask:
    approval: \"${{{{ params.text }}}}\"
    needs: [talk]
    when: ${{{{ params.text != \"fail\" && params.text.len() < 400 }}}}
  fail:
    needs: [talk]
    when: ${{{{ params.text.len() >= 400 }}}}
    with: {{ text: \"${{{{ params.text }}}}\" }}
    run: \"throw inputs.text\"
outputs: {{ said: \"${{{{ steps.talk.said }}}}\" }}
"
    );
    // A server that takes a request and says nothing: whether it did anything, nobody can tell.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut request = [0; 1024];
            let _ = stream.and_then(|mut stream| stream.read(&mut request));
        }
    });
    let unsure = format!(
        "workflow: unsure\nsteps:\n  order: {{ run: \"http::post(\\\"http://{address}/orders\\\", #{{ body: \\\"x\\\" }})\" }}\n"
    );
    let test = Test::new().file("evil.yaml", &flow);
    let test = with_people(test.file("unsure.yaml", &unsure));
    let served = Served::start(&test);
    let long = format!("{talk}{}", "x".repeat(400));
    let start = |text: &str| {
        served.run(
            ALICE,
            &json!({ "workflow": "evil", "params": { "text": text } }),
        )
    };
    let (waiting, failed) = (start(&talk), start(&long));
    let doubt = served.run(ALICE, &json!({ "workflow": "unsure" }));
    served.wait(&waiting, "waiting");
    served.wait(&failed, "failed");
    served.wait(&doubt, "failed");
    let more = [
        ("FAILED", failed.as_str()),
        ("WAITING", &waiting),
        ("DOUBT", &doubt),
    ];
    browse(&test, &served, "views.mjs", &more);
}

/// Looks at a cluster, which makes it.
const JOIN: &str = "workflow: join
params: { cluster: string }
kube: \"${{ [params.cluster] }}\"
steps:
  look:
    with: { cluster: \"${{ params.cluster }}\" }
    run: |
      kube::get(inputs.cluster, \"istio-system\", \"deployment/istiod\");
      ()
";

#[test]
fn the_mesh_is_watched_while_it_grows() {
    let test = with_people(Test::new().file("join.yaml", JOIN));
    let served = Served::start(&test);
    browse(&test, &served, "mesh.mjs", &[]);
}
