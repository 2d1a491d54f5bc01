//! The notices that nobody waits for a run to end for: certificates that are due, questions that expire, calls in doubt.

use serde_json::{Value as Json, json};

use super::{
    notify::{Receiver, Treats, empty},
    server::{Served, until},
};
use crate::{harness::Test, keep::ROOT};

const ROOT_WORKFLOW: &str = "workflow: root\nsteps: { a: { script: root.rhai } }\n";
const ASKS: &str = "workflow: asks\nsteps: { answer: { approval: Go on?, timeout: 2h } }\n";
const OK: &str = "workflow: ok\nsteps: { a: { run: \"#{}\" } }\n";

#[test]
fn due_certificates_questions_that_expire_and_doubts_reach_a_receiver_once() {
    let receiver = Receiver::start(|number| match number % 2 {
        0 => Treats::Refuses,
        _ => Treats::Accepts,
    });
    // Its answer is lost, so whether the call was done is unknown.
    let site = Receiver::start(|_| Treats::Loses);
    let doubts = format!(
        "workflow: doubts\nsteps:\n  order:\n    run: 'http::post(\"http://{}/order\")'\n",
        site.address
    );
    // A question of two hours expires soon a tenth of a second after it was asked.
    let config = format!(
        "[notify]\nurl = \"https://windlass.example\"\ndue = \"40d\"\nexpiring_approval = \"119m 59s 900ms\"\n\
         [[notify.receivers]]\nname = \"hook\"\non = [\"due\", \"expiring_approval\", \"doubt\"]\nwebhook = {{ url = \"http://{}/hook\" }}\n",
        receiver.address
    );
    let test = Test::new()
        .file("root.rhai", ROOT)
        .file("root.yaml", ROOT_WORKFLOW)
        .file("asks.yaml", ASKS)
        .file("ok.yaml", OK)
        .file("doubts.yaml", &doubts)
        .file("windlass.toml", &config);
    // Certificates are looked at when a server starts, and every ten minutes.
    test.windlass(&["run", "root.yaml"]).expect(0);
    let served = Served::start(&test);
    let start = |workflow: &str| served.run(&served.owner, &json!({ "workflow": workflow }));
    let doubtful = start("doubts");
    served.wait(&doubtful, "failed");
    let asking = start("asks");
    served.wait(&asking, "waiting");
    until("a notice of a question that expires", || {
        // Each event of any run is a look at all questions.
        served.wait(&start("ok"), "succeeded");
        let got = receiver.got();
        got.iter()
            .any(|got| got.body.contains("expiring_approval"))
            .then_some(())
    });
    empty(&served, 3);
    // Nothing is told again by the next server.
    served.kill();
    let served = Served::start(&test);
    let shown = empty(&served, 3);
    assert_eq!(shown["notifications"].as_array().map(Vec::len), Some(3));
    let got = receiver.got();
    let bodies: Vec<Json> = got
        .iter()
        .map(|got| serde_json::from_str(&got.body).expect("JSON"))
        .collect();
    let of = |kind: &str| {
        let found: Vec<_> = bodies.iter().filter(|body| body["kind"] == kind).collect();
        assert_eq!(found.len(), 1, "{kind}: {bodies:#?}");
        found[0].clone()
    };
    let text = |body: &Json, key: &str| body[key].as_str().unwrap_or_default().to_owned();

    let due = of("due");
    let title = text(&due, "title");
    assert!(
        title.starts_with("the certificate CN=Root expires at "),
        "{due}"
    );
    let says = text(&due, "text");
    assert!(
        says.contains("The workflow root issued it on local, in the step a"),
        "{due}"
    );
    assert_eq!(due["url"], "https://windlass.example/certificates");

    let doubt = of("doubt");
    assert_eq!(
        (&doubt["run"], &doubt["step"]),
        (&json!(doubtful), &json!("order"))
    );
    let title = "doubts on local: a call of order is in doubt";
    assert_eq!(text(&doubt, "title"), title);
    let says = text(&doubt, "text");
    let unknown = "It is not known whether http::post was done: ";
    assert!(says.starts_with(unknown), "{doubt}");
    assert_eq!(
        doubt["url"],
        format!("https://windlass.example/runs/{doubtful}")
    );

    let expiring = of("expiring_approval");
    assert_eq!(
        (&expiring["run"], &expiring["step"], &expiring["text"]),
        (&json!(asking), &json!("answer"), &json!("Go on?"))
    );
    let title = text(&expiring, "title");
    assert!(
        title.contains("the question of answer expires at "),
        "{expiring}"
    );
    println!(
        "due, doubt and expiring_approval: 3 notices, {} requests, each taken once",
        receiver.asked()
    );
    // A failure was not asked for.
    assert_eq!(bodies.len(), 3, "{bodies:#?}");
}

/// A run that fails and undoes itself is not in the list of failed runs, so its failure is told when its undo begins.
#[test]
fn a_run_that_undoes_itself_is_told_as_failed() {
    let receiver = Receiver::start(|_| Treats::Accepts);
    let config = format!(
        "[[notify.receivers]]\nname = \"hook\"\non = [\"failed\", \"succeeded\"]\nwebhook = {{ url = \"http://{}/hook\" }}\n",
        receiver.address
    );
    let undoes = "workflow: undoes\non_failure: undo\nsteps:\n  a: { run: 'file::write(\"a\", \"\")' }\n  b: { needs: [a], run: 'throw \"no room\"' }\n";
    let test = Test::new()
        .file("undoes.yaml", undoes)
        .file("windlass.toml", &config);
    let served = Served::start(&test);
    let run = served.run(&served.owner, &json!({ "workflow": "undoes" }));
    served.wait(&run, "undone");
    empty(&served, 1);
    let got = receiver.got();
    assert_eq!(
        got.len(),
        1,
        "{:?}",
        got.iter().map(|got| &got.body).collect::<Vec<_>>()
    );
    let body: Json = serde_json::from_str(&got[0].body).expect("JSON");
    assert_eq!(
        (&body["kind"], &body["run"]),
        (&json!("failed"), &json!(run))
    );
    assert_eq!(body["title"], "undoes on local failed, and is being undone");
    assert_eq!(body["text"], "b: no room");
}
