//! Calls that nobody knows the end of, when the run is undone.

use crate::{
    crash::on_the_server,
    harness::{Test, status},
    site::Site,
    web::Web,
};

/// How often a search may start again.
const SEARCHES: usize = 10;

/// Runs `w.yaml` until it dies at the first moment at which `is_it` holds.
///
/// A busy machine makes a run wait once more or once less, which moves the moments after that; so a search that passed
/// the one that it looks for starts again.
pub fn died(make: impl Fn() -> Test, is_it: impl Fn(&Test) -> bool) -> Test {
    for _ in 0..SEARCHES {
        for at in 1.. {
            let test = make();
            if !crash(&test, &["run", "w.yaml"], at) {
                break;
            }
            if has_begun(&test) && is_it(&test) {
                return test;
            }
        }
    }
    panic!("it never died there");
}

/// Whether a command died at its `at`-th moment.
fn crash(test: &Test, arguments: &[&str], at: u64) -> bool {
    let mut command = test.command(arguments);
    let output = command.env("WINDLASS_CRASH_AT", at.to_string()).output();
    output.expect("windlass starts").status.code().is_none()
}

fn has_begun(test: &Test) -> bool {
    test.windlass(&["runs", "--json"]).json() != serde_json::json!([])
}

/// Whether the last call of this name was announced, and its end not recorded.
pub fn is_in(test: &Test, function: &str) -> bool {
    let events = test.events();
    let announced = |e: &serde_json::Value| {
        e["event"] == "effect_intended" && e["call"]["function"] == function
    };
    let Some(at) = events.iter().rposition(announced) else {
        return false;
    };
    let is_its_end = |e: &serde_json::Value| {
        e["event"] == "effect_ended" && ["step", "position"].iter().all(|k| e[k] == events[at][k])
    };
    !events[at..].iter().any(is_its_end)
}

pub fn one_step(body: &str) -> String {
    format!("workflow: w\nsteps:\n  s:\n    run: |\n      {body}\n")
}

#[test]
fn a_request_in_doubt_is_not_made_by_an_undo() {
    for method in ["delete", "put"] {
        let site = Site::open(&[]);
        let body = format!("http::{method}(\"{}/database/production\")", site.address());
        let function = format!("http::{method}");
        let test = died(
            || Test::new().file("w.yaml", &one_step(&body)),
            |test| is_in(test, &function) && site.requests().is_empty(),
        );
        let plan = test.windlass(&["undo", "--plan"]).expect(0).stdout;
        let unknown = format!("it is not known whether {function} was done");
        assert!(plan.contains(&unknown), "{plan}");
        test.windlass(&["undo", "--yes"]).expect(0);
        assert_eq!(site.requests(), [] as [String; 0]);
        assert_eq!(test.shown()["status"], "undone");
    }
}

/// Its key does not help: what the undo would delete may be someone else's.
#[test]
fn a_request_with_a_key_in_doubt_is_asked_about_before_its_undo_is_sent() {
    for (answer, requests) in [("s=done", ["DELETE /x"].as_slice()), ("s=again", &[])] {
        let site = Site::open(&[]);
        let url = format!("{}/x", site.address());
        let body = format!(
            "http::put(\"{url}\", #{{ undo: #{{ method: \"DELETE\", url: \"{url}\", expect: [200, 404] }} }})"
        );
        let test = died(
            || Test::new().file("w.yaml", &one_step(&body)),
            |test| is_in(test, "http::put") && site.requests().is_empty(),
        );
        let plan = test.windlass(&["undo", "--plan"]).expect(0).stdout;
        assert!(
            plan.contains("ask you whether http::put was done"),
            "{plan}"
        );
        test.windlass(&["undo", "--yes"])
            .expect(1)
            .says("--answer 's=done'");
        assert_eq!(site.requests(), [] as [String; 0]);
        test.windlass(&["undo", "--yes", "--answer", answer])
            .expect(0);
        assert_eq!(site.requests(), requests);
    }
}

/// The first answer is lost, and the repetition with the same key is refused: that says nothing about the first.
#[test]
fn a_run_that_undoes_itself_asks_about_a_request_with_a_key() {
    let site = Site::open(&[503, 503, 409]);
    let url = format!("{}/users", site.address());
    let body = format!(
        "http::post(\"{url}\", #{{ idempotency: true, undo: #{{ method: \"DELETE\", url: \"{url}/a\" }} }})"
    );
    let file = one_step(&body).replace("steps:", "on_failure: undo\nsteps:");
    let test = Test::new().file("w.yaml", &file);
    test.windlass(&["run", "w.yaml"])
        .expect(1)
        .says("--answer 's=done'");
    let requests = site.requests();
    assert!(
        requests.iter().all(|asked| asked.starts_with("POST")),
        "{requests:?}"
    );
}

#[test]
fn files_are_what_they_were_wherever_the_run_died() {
    let body = "file::write(\"old.txt\", \"new\");
      file::write_secret(\"new.key\", key::generate(\"EC_prime256v1\"));
      file::remove(\"gone.txt\")";
    let mut tried = 0;
    for at in 1.. {
        let test = Test::new()
            .file("w.yaml", &one_step(body))
            .file("out/old.txt", "old")
            .file("out/gone.txt", "here");
        let has_died = crash(&test, &["run", "w.yaml"], at);
        if !has_begun(&test) {
            continue;
        }
        test.windlass(&["undo", "--yes"]).expect(0);
        assert_eq!(
            [test.read("out/old.txt"), test.read("out/gone.txt")],
            ["old", "here"],
            "after a death at {at}"
        );
        assert!(!test.path("out/new.key").exists(), "after a death at {at}");
        tried += 1;
        if !has_died {
            break;
        }
    }
    assert!(tried > 6, "it died {tried} times");
}

const OBJECTS: &str = "workflow: w
kube: [mgmt]
steps:
  s:
    run: |
      kube::apply(\"mgmt\", #{ apiVersion: \"v1\", kind: \"ConfigMap\", metadata: #{ name: \"new\", namespace: \"default\" }, data: #{ a: \"1\" } });
      kube::patch(\"mgmt\", \"\", \"namespace/default\", #{ metadata: #{ labels: #{ patched: \"yes\" } } });
      kube::delete(\"mgmt\", \"default\", \"configmap/old\");
";

const LOOK: &str = "workflow: look
kube: [mgmt]
steps:
  look:
    run: |
      #{ made: kube::find(\"mgmt\", \"default\", \"configmap/new\") == (),
         labels: kube::get(\"mgmt\", \"\", \"namespace/default\").metadata.labels.keys().contains(\"patched\"),
         old: kube::find(\"mgmt\", \"default\", \"configmap/old\")?.data?.a }
outputs: { found: \"${{ [steps.look.made, steps.look.labels, steps.look.old] }}\" }
";

#[test]
fn objects_are_what_they_were_wherever_the_run_died() {
    let before = "workflow: before
kube: [mgmt]
steps:
  s:
    run: |
      kube::apply(\"mgmt\", #{ apiVersion: \"v1\", kind: \"ConfigMap\", metadata: #{ name: \"old\", namespace: \"default\" }, data: #{ a: \"0\" } })
";
    let functions = ["kube::apply", "kube::patch", "kube::delete"];
    let mut tried = Vec::new();
    for at in 1.. {
        let test = Test::new()
            .file("before.yaml", before)
            .file("look.yaml", LOOK)
            .file("w.yaml", OBJECTS);
        test.windlass(&["run", "before.yaml"]).expect(0);
        if !crash(&test, &["run", "w.yaml"], at) {
            break;
        }
        let Some(function) = functions.iter().find(|function| is_in(&test, function)) else {
            continue;
        };
        test.windlass(&["undo", "--yes"]).expect(0);
        let now = test.outputs_of(&["look.yaml"])["found"].clone();
        assert_eq!(
            now,
            serde_json::json!([true, false, "0"]),
            "{function}, {at}"
        );
        tried.push(function);
    }
    // Before each call reached the cluster, and after it.
    for function in functions {
        let moments = tried.iter().filter(|tried| ***tried == function).count();
        assert!(moments > 1, "it died {moments} times in {function}");
    }
}

const CA: &str = "workflow: w
steps:
  kept: { run: '()' }
  ca: { needs: [kept], run: 'pca::create_certificate_authority(#{ type: \"ROOT\", subject: #{ common_name: \"A\" }, key_algorithm: \"EC_prime256v1\" })' }
";

/// A run that died when its CA was made and it did not know yet.
fn with_an_orphan() -> Test {
    died(
        || Test::new().file("w.yaml", CA),
        |test| is_in(test, "pca::create_certificate_authority") && statuses(test).len() == 1,
    )
}

pub fn statuses(test: &Test) -> Vec<String> {
    on_the_server(test, "SELECT status FROM authority")
}

#[test]
fn an_undo_finds_what_a_step_made_that_was_edited_away() {
    let test = with_an_orphan();
    let without = CA.lines().filter(|line| !line.contains("ca:"));
    test.write("w.yaml", &without.collect::<Vec<_>>().join("\n"));
    test.windlass(&["resume", "--edited", "--yes"]).expect(0);
    let plan = test.windlass(&["undo", "--plan"]).expect(0).stdout;
    assert!(plan.contains("find out whether"), "{plan}");
    test.windlass(&["undo", "--yes"]).expect(0);
    assert_eq!(statuses(&test), ["DELETED"]);
}

#[test]
fn an_undo_finds_what_a_step_made_before_it_was_changed() {
    let test = with_an_orphan();
    test.write("w.yaml", &CA.replace("\"A\"", "\"B\""));
    let diverged = test.windlass(&["resume", "--edited", "--yes"]).expect(1);
    diverged.says("diverged");
    test.windlass(&["resume", "--edited", "--yes"]).expect(0);
    test.windlass(&["undo", "--yes"]).expect(0);
    assert_eq!(statuses(&test), ["DELETED", "DELETED"]);
}

#[test]
fn a_certificate_in_doubt_is_revoked_without_its_script() {
    let text = "workflow: w
steps:
  kept: { run: '()' }
  ca: { needs: [kept], script: ca.rhai }
";
    let script = "fn run(inputs) {
    let subject = #{ common_name: \"A\" };
    let ca = pca::create_certificate_authority(#{ type: \"ROOT\", subject: subject, key_algorithm: \"EC_prime256v1\", signing_algorithm: \"SHA256WITHECDSA\" });
    pca::wait_until_csr_ready(ca);
    let csr = pca::certificate_authority_csr(ca);
    let root = pca::issue_certificate(ca, #{ csr: csr, template: \"RootCACertificate/V1\", validity: \"10d\", signing_algorithm: \"SHA256WITHECDSA\" });
    let signed = pca::wait_until_issued(ca, root);
    pca::import_certificate_authority_certificate(ca, #{ certificate: signed.certificate });
    let key = key::generate(\"EC_prime256v1\");
    let csr = csr::create(key, #{ subject: #{ common_name: \"leaf\" } });
    pca::issue_certificate(ca, #{ csr: csr, template: \"EndEntityCertificate/V1\", validity: \"1d\", signing_algorithm: \"SHA256WITHECDSA\" });
}
";
    let made = |test: &Test| on_the_server(test, "SELECT template FROM certificate").len();
    let test = died(
        || Test::new().file("w.yaml", text).file("ca.rhai", script),
        |test| is_in(test, "pca::issue_certificate") && made(test) == 2,
    );
    test.write("w.yaml", "workflow: w\nsteps:\n  kept: { run: '()' }\n");
    test.windlass(&["resume", "--edited", "--yes"]).expect(0);
    test.windlass(&["undo", "--yes"]).expect(0);
    assert_eq!(made(&test), 2, "an undo issued a certificate");
    let revoked = test.events().iter().any(|e| {
        let digest = e["call"]["function"] == "pca::revoke_certificate";
        digest && e["event"] == "effect_intended"
    });
    assert!(revoked);
    assert_eq!(statuses(&test), ["DELETED"]);
}

/// A run whose undo has made a call that was not answered.
fn undone(site: &Site) -> Test {
    let script = format!(
        "fn run(inputs) {{ #{{}} }}\nfn undo(inputs, outputs) {{ http::post(\"{}/back\"); }}\n",
        site.address()
    );
    let test = Test::new()
        .file("w.yaml", "workflow: w\nsteps:\n  s: { script: s.rhai }\n")
        .file("s.rhai", &script);
    test.windlass(&["run", "w.yaml"]).expect(0);
    test.windlass(&["undo", "--yes"]).expect(1);
    test
}

#[test]
fn a_call_in_doubt_inside_an_undo_is_answered() {
    // The first answer is lost.
    let site = Site::open(&[500]);
    let test = undone(&site);
    let asked = test.windlass(&["undo", "--yes"]).expect(1);
    asked.says("--answer 's=done'");
    assert_eq!(site.requests().len(), 1);
    only_helpful_commands(&test, &asked.stderr);
    let wrong = test.windlass(&["undo", "--yes", "--answer", "t=done"]);
    assert!(wrong.expect(2).stderr.contains("bad-answer"));
    test.windlass(&["undo", "--yes", "--answer", "s=done"])
        .expect(0);
    assert_eq!(site.requests().len(), 1);
    let shown = test.shown();
    assert_eq!(shown["status"], "undone");
    assert_eq!(status(&shown, "s!undo"), "succeeded");
}

/// Each command about an undo that waits for an answer gives one, at its end and later.
#[track_caller]
fn only_helpful_commands(test: &Test, end: &str) {
    let shown = test.windlass(&["show"]).expect(0).stdout;
    let errors = test.shown()["errors"].to_string();
    for text in [end, &shown, &errors] {
        assert!(!text.contains("windlass resume"), "{text}");
        for (at, _) in text.match_indices("windlass undo ") {
            let command = text[at..].split(['`', '\n']).next().unwrap_or_default();
            assert!(command.contains(" --answer "), "{command}: {text}");
        }
        assert!(
            text.contains("=done'") && text.contains("=again'"),
            "{text}"
        );
    }
}

/// The step itself had stopped in doubt, and its hint was about a resume.
#[test]
fn a_step_in_doubt_of_an_undo_that_stopped_says_nothing_about_a_resume() {
    let site = Site::open(&[500, 500]);
    let url = format!("{}/vm", site.address());
    let body =
        format!("http::post(\"{url}\", #{{ undo: #{{ method: \"DELETE\", url: \"{url}\" }} }})");
    let test = died(
        || Test::new().file("w.yaml", &one_step(&body)),
        |test| is_in(test, "http::post") && site.requests().is_empty(),
    );
    test.windlass(&["resume"]).expect(1).says("windlass resume");
    let asked = test.windlass(&["undo", "--yes"]).expect(1);
    only_helpful_commands(&test, &asked.stderr);
    test.windlass(&["undo", "--yes", "--answer", "s=again"])
        .expect(0);
}

#[test]
fn a_call_in_doubt_inside_an_undo_is_made_again_if_that_is_the_answer() {
    let site = Site::open(&[500]);
    let test = undone(&site);
    test.windlass(&["undo", "--yes", "--answer", "s!undo=again"])
        .expect(0);
    assert_eq!(site.requests().len(), 2);
}

#[test]
fn an_undo_takes_the_operators_word_for_what_became_of_a_ca() {
    let test = with_an_orphan();
    test.windlass(&["undo", "--yes", "--answer", "ca=again"])
        .expect(0);
    assert_eq!(test.shown()["status"], "undone");
    assert_ne!(statuses(&test), ["DELETED"], "it was said not to be there");

    let test = with_an_orphan();
    let arn = on_the_server(&test, "SELECT arn FROM authority").remove(0);
    let answer = format!("ca=done:{arn}");
    test.windlass(&["undo", "--yes", "--answer", &answer])
        .expect(0);
    assert_eq!(statuses(&test), ["DELETED"]);
}

#[test]
fn a_step_whose_process_died_was_interrupted() {
    let test = died(
        || Test::new().file("w.yaml", &one_step("file::write(\"a.txt\", \"x\")")),
        |test| is_in(test, "file::write"),
    );
    let undone = test.windlass(&["undo", "--yes"]).expect(0);
    undone.says("interrupted, undone");
}

#[test]
fn a_request_in_doubt_with_an_undo_is_asked_about_before_it_is_reversed() {
    let undo = |site: &Site| {
        let url = format!("{}/vm", site.address());
        format!("http::post(\"{url}\", #{{ undo: #{{ method: \"DELETE\", url: \"{url}\" }} }})")
    };
    for (answer, requests) in [
        ("s=done", ["POST /vm", "DELETE /vm"].as_slice()),
        ("s=again", ["POST /vm"].as_slice()),
    ] {
        // Its answer is lost.
        let site = Site::open(&[500]);
        let test = Test::new().file("w.yaml", &one_step(&undo(&site)));
        let failed = test.windlass(&["run", "w.yaml"]).expect(1);
        failed.says("If it was done: windlass resume");
        failed.says("s=done:VALUE");
        let plan = test.windlass(&["undo", "--plan"]).expect(0).stdout;
        assert!(
            plan.contains("ask you whether http::post was done"),
            "{plan}"
        );
        test.windlass(&["undo", "--yes"])
            .expect(1)
            .says("--answer 's=done'");
        assert_eq!(site.requests(), ["POST /vm"]);
        test.windlass(&["undo", "--yes", "--answer", answer])
            .expect(0);
        assert_eq!(site.requests(), requests);
    }
    // A run that undoes itself asks, too.
    let site = Site::open(&[500]);
    let file = one_step(&undo(&site)).replace("steps:", "on_failure: undo\nsteps:");
    let test = Test::new().file("w.yaml", &file);
    test.windlass(&["run", "w.yaml"])
        .expect(1)
        .says("--answer 's=done'");
    assert_eq!(test.shown()["status"], "undo failed");
}

#[test]
fn an_undo_that_must_not_be_made_twice_is_asked_about() {
    let site = Site::open(&[200, 500]);
    let url = site.address();
    let body = format!(
        "http::post(\"{url}/pay\", #{{ idempotency: true, undo: #{{ method: \"POST\", url: \"{url}/refund\" }} }})"
    );
    let test = Test::new().file("w.yaml", &one_step(&body));
    test.windlass(&["run", "w.yaml"]).expect(0);
    for _ in 0..2 {
        test.windlass(&["undo", "--yes"])
            .expect(1)
            .says("--answer 's=done'");
        assert_eq!(site.requests(), ["POST /pay", "POST /refund"]);
    }
    test.windlass(&["undo", "--yes", "--answer", "s=done"])
        .expect(0);
    assert_eq!(site.requests().len(), 2);
    assert_eq!(test.shown()["status"], "undone");
}

/// A run that is interrupted in its `finally` continues there: nothing that failed before is tried again, and a call in
/// doubt is asked about.
#[test]
fn a_run_continues_the_finally_in_which_it_died() {
    let sites = std::cell::RefCell::new(Vec::new());
    let make = || {
        let site = Site::open(&[404]);
        let file = format!(
            "workflow: w\nsteps:\n  check: {{ run: 'http::get(\"{url}/check\")' }}\nfinally:\n  page: {{ run: 'http::post(\"{url}/page\")' }}\n",
            url = site.address()
        );
        sites.borrow_mut().push(site);
        Test::new().file("w.yaml", &file)
    };
    let is_sent = |test: &Test| {
        let sites = sites.borrow();
        let requests = sites.last().expect("a site").requests();
        is_in(test, "http::post") && requests.len() == 2
    };
    let test = died(make, is_sent);
    let sites = sites.into_inner();
    let site = sites.last().expect("a site");
    let asked = test.windlass(&["resume"]).expect(1);
    asked.says("page=done:VALUE");
    assert_eq!(site.requests(), ["GET /check", "POST /page"]);
    // It has ended now, so another resume tries again what failed; the call that was made is not.
    test.windlass(&["resume", "--answer", "page=done"])
        .expect(0);
    let requests = ["GET /check", "POST /page", "GET /check"];
    assert_eq!(site.requests(), requests);
}

/// A step under `finally` that has told of a failure tells of the success after a resume, and a person is asked first what became of the
/// former call.
#[test]
fn a_finally_that_was_told_of_a_failure_is_told_of_the_success() {
    for answers in [true, false] {
        let site = Site::open(&[404, 500]);
        let file = format!(
            "workflow: w\nsteps:\n  check: {{ run: 'http::get(\"{url}/check\")' }}\nfinally:\n  page:\n    with: {{ how: \"${{{{ run.status }}}}\" }}\n    run: 'http::post(`{url}/page/${{inputs.how}}`)'\n",
            url = site.address()
        );
        let test = Test::new().file("w.yaml", &file);
        test.windlass(&["run", "w.yaml"]).expect(1);
        let answer = ["resume", "--answer", "page=done"];
        if answers {
            test.windlass(&answer).expect(0);
        } else {
            let asked = test.windlass(&["resume"]).expect(1);
            asked.says("page=done:VALUE");
            assert!(!asked.stderr.contains("diverged"), "{}", asked.stderr);
            // What the step was told last stays recorded, so it says itself how to tell it anew.
            test.windlass(&answer).expect(1).says("--redo page");
            let redo = ["resume", "--redo", "page", "--yes"];
            test.windlass(&redo).expect(0);
        }
        let requests = [
            "GET /check",
            "POST /page/failed",
            "GET /check",
            "POST /page/succeeded",
        ];
        assert_eq!(site.requests(), requests);
    }
}

#[test]
fn a_run_whose_outputs_fail_says_so_to_its_finally_and_after_its_undo() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
on_failure: undo
params: { n: { type: int, default: 3 } }
steps:
  a: { run: 'file::write(\"a.txt\", \"\"); #{ x: 1 }' }
  b: { run: '#{ y: 1 }', when: \"${{ params.n == 4 }}\" }
finally:
  tell: { with: { s: \"${{ run.status }}\" }, run: 'log::info(`it ${inputs.s}`)' }
outputs: { b: \"${{ steps.b.y }}\" }
",
    );
    let ran = test.windlass(&["run", "w.yaml"]).expect(1);
    ran.says("it failed");
    ran.says("expression-failed");
    assert_eq!(test.shown()["status"], "undone");
    assert_eq!(
        test.shown()["errors"][0]["code"],
        "expression-failed",
        "{}",
        test.shown()
    );
}

#[test]
fn an_undo_that_a_person_continues_keeps_the_reason_why_the_run_began_it() {
    let test = Test::new()
        .file(
            "w.yaml",
            "workflow: w\non_failure: undo\nsteps:\n  a: { script: a.rhai }\n  b: { when: false, run: '#{ y: 1 }' }\noutputs: { b: \"${{ steps.b.y }}\" }\n",
        )
        .file(
            "a.rhai",
            "fn run(inputs) { #{} }\nfn undo(inputs, outputs) { if file::exists(\"not-yet\") { throw \"not yet\" } }\n",
        )
        .file("out/not-yet", "");
    test.windlass(&["run", "w.yaml"]).expect(1).says("not yet");
    assert_eq!(test.shown()["status"], "undo failed");
    std::fs::remove_file(test.path("out/not-yet")).expect("removed");
    test.windlass(&["undo", "--yes"]).expect(0);
    let shown = test.shown();
    assert_eq!(shown["status"], "undone");
    assert_eq!(shown["errors"][0]["code"], "expression-failed", "{shown}");
}

/// A result that the call can't have would make the script fail for ever.
#[test]
fn an_answer_is_what_the_call_returns() {
    let site = Site::open(&[500]);
    let body = format!(
        "let made = http::post(\"{}/x\"); #{{ status: made.status }}",
        site.address()
    );
    let test = Test::new().file("w.yaml", &one_step(&body));
    test.windlass(&["run", "w.yaml"]).expect(1);
    for (answer, why) in [
        ("s=done:5", "returns a map with status, headers,"),
        ("s=done:{state: 1}", "without `state`"),
        (
            "s=done:{status: ok}",
            "whose `status` is an int, not a string",
        ),
    ] {
        let refused = test.windlass(&["resume", "--answer", answer]).expect(2);
        refused.says(why);
        refused.says("[bad-answer]");
    }
    // What was answered without a result may be completed.
    let failed = test.windlass(&["resume", "--answer", "s=done"]).expect(1);
    failed.says("--answer 's=done:VALUE'");
    test.windlass(&["resume", "--answer", "s=done:{status: 201}"])
        .expect(0);
    assert_eq!(site.requests().len(), 1);
    assert_eq!(status(&test.shown(), "s"), "succeeded");
    let again = test.windlass(&["resume", "--answer", "s=done:{status: 202}"]);
    again.expect(2);
}

/// An answer applies before the rest of the plan.
#[test]
fn the_plan_of_a_resume_takes_answers_into_account() {
    let site = Site::open(&[500]);
    let test = Test::new().file(
        "w.yaml",
        &one_step(&format!("http::post(\"{}/x\")", site.address())),
    );
    test.windlass(&["run", "w.yaml"]).expect(1);
    let plan = |answers: &[&str]| test.windlass(&[&["resume", "--plan"], answers].concat());
    plan(&[]).expect(0).prints("is in doubt: it needs --answer");
    let answer = ["--answer", "s=done:{status: 201}"];
    let answered = plan(&answer).expect(0);
    answered.prints("continues after 1 recorded call");
    assert!(!answered.stdout.contains("in doubt"), "{}", answered.stdout);
    plan(&["--answer", "t=done"]).expect(2).says("[bad-answer]");
    // With changed files, too.
    test.write("w.yaml", &format!("{}# changed\n", test.read("w.yaml")));
    let edited = ["resume", "--edited", "--yes"];
    test.windlass(&[&edited[..], &answer].concat()).expect(0);
    assert_eq!(site.requests().len(), 1);
}

/// The server has done it, and there is nothing to ask.
#[test]
fn a_request_whose_answer_is_too_large_was_done() {
    let web = Web::open(|_| {
        let body = "x".repeat(1_200_000);
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
            .into_bytes()
    });
    let body = format!("http::post(\"{}\")", web.url("/x"));
    let test = Test::new().file("w.yaml", &one_step(&body));
    for arguments in [&["run", "w.yaml"][..], &["resume"]] {
        let failed = test.windlass(arguments).expect(1);
        failed.says("TooLarge");
        failed.says("It was done. To continue: windlass resume");
        assert!(!failed.stderr.contains("=again"), "{}", failed.stderr);
    }
    test.windlass(&["resume", "--answer", "s=done"]).expect(0);
    assert_eq!(web.seen().len(), 1);
}

#[test]
fn each_call_in_doubt_is_named_at_the_end() {
    let site = Site::open(&[500, 500]);
    let (a, b) = (
        one_step(&format!("http::post(\"{}/a\")", site.address())),
        site.address(),
    );
    let text = format!("{a}  t: {{ run: 'http::post(\"{b}/b\")' }}\n");
    let test = Test::new().file("w.yaml", &text);
    let ran = test.windlass(&["run", "w.yaml"]).expect(1);
    ran.says("--answer 's=again'");
    ran.says("--answer 't=again'");
}

/// What a repetition is refused for may be the first call itself.
#[test]
fn a_repetition_that_is_refused_proves_nothing_about_the_first_call() {
    // The answer of the first one is lost.
    let site = Site::open(&[500, 412]);
    let url = format!("{}/vm", site.address());
    let test = Test::new().file(
        "w.yaml",
        &one_step(&format!(
            "http::put(\"{url}\", #{{ headers: #{{ \"If-None-Match\": \"*\" }}, undo: #{{ method: \"DELETE\", url: \"{url}\" }} }})"
        )),
    );
    test.windlass(&["run", "w.yaml"]).expect(1);
    test.windlass(&["resume"]).expect(1).says("412");
    test.windlass(&["undo", "--yes"])
        .expect(1)
        .says("--answer 's=done'");
    test.windlass(&["undo", "--yes", "--answer", "s=done"])
        .expect(0);
    assert_eq!(site.requests(), ["PUT /vm", "PUT /vm", "DELETE /vm"]);
}

/// The workflow of a step that dies in a POST, for `died`.
fn posts(files: &[(&str, &str)], site: &Site) -> Test {
    let make = || {
        files
            .iter()
            .fold(Test::new(), |test, (path, text)| test.file(path, text))
    };
    died(make, |test| {
        is_in(test, "http::post") && site.requests().is_empty()
    })
}

/// A process that died inside a call is no failure, which the run would undo.
#[test]
fn a_doubt_stops_a_run_before_it_undoes_itself() {
    for (answer, code) in [("b=done", 0), ("b=again", 1)] {
        let (site, refuses) = (Site::open(&[]), Site::open(&[400]));
        let (put, post) = (site.address(), refuses.address());
        let file = format!(
            "workflow: w\non_failure: undo\nsteps:\n  a:\n    run: 'http::put(\"{put}/a\", #{{ undo: #{{ method: \"DELETE\", url: \"{put}/a\" }} }});'\n  b:\n    needs: [a]\n    run: 'http::post(\"{post}/b\");'\n"
        );
        let test = posts(&[("w.yaml", &file)], &refuses);
        let resumed = test.windlass(&["resume"]).expect(1);
        resumed.says("--answer 'b=done'");
        assert_eq!(test.shown()["status"], "failed");
        let is_undone = |site: &Site| site.requests().contains(&"DELETE /a".to_owned());
        assert!(!is_undone(&site));
        test.windlass(&["resume", "--answer", answer]).expect(code);
        assert_eq!(is_undone(&site), code == 1, "{answer}");
    }
}

#[test]
fn a_doubt_is_asked_about_whatever_follows_a_failure() {
    let inner = "workflow: inner\nparams: { at: string }\nsteps:\n  s: { run: 'http::post(inputs.at);', with: { at: \"${{ params.at }}\" } }\n";
    for (which, step) in ["s", "s[x]", "s/s"].into_iter().enumerate() {
        let site = Site::open(&[]);
        let at = site.address();
        let call = [
            format!("run: 'http::post(\"{at}/s\");'"),
            format!("for_each: [x]\n    run: 'http::post(\"{at}/s\");'"),
            format!("workflow: inner.yaml\n    with: {{ at: \"{at}/s\" }}"),
        ];
        let file = format!(
            "workflow: w\nsteps:\n  s:\n    on_error: continue\n    {}\n  t: {{ needs: [s], run: 'file::write(\"t\", \"\")' }}\n",
            call[which]
        );
        let test = posts(&[("w.yaml", &file), ("inner.yaml", inner)], &site);
        let resumed = test.windlass(&["resume"]).expect(1);
        resumed.says(&format!("--answer '{step}=done'"));
        assert!(!test.path("out/t").exists(), "{step}");
        let answer = format!("{step}=done");
        test.windlass(&["resume", "--answer", &answer]).expect(0);
        assert!(test.path("out/t").exists(), "{step}");
        assert_eq!(site.requests(), [] as [String; 0]);
    }
}
