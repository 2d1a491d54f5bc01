//! The page, as a browser without scripts uses it.

use serde_json::json;

use super::server::{ALICE, BOB, Served, VERA, contents, with_people};
use crate::harness::Test;

const FLOW: &str = "workflow: ship
description: Ships <b>something</b>.
params:
  clusters: { type: list(string), default: [a, b], description: Where to }
  count: { type: int, default: 0, min: 0, max: 9 }
  mode: { type: string, default: slow, one_of: [slow, fast] }
  force: { type: bool, default: false }
  note: { type: string, default: \"\" }
  password: secret
steps:
  ask:
    approval: Ship to ${{ params.clusters.len() }} places?
  ship:
    for_each: ${{ params.clusters }}
    needs: [ask]
    with: { to: \"${{ item }}\", password: \"${{ params.password }}\" }
    run: |
      file::write(`${inputs.to}.txt`, \"x\");
      #{ to: inputs.to }
outputs: { clusters: \"${{ params.clusters }}\" }
";
const PASSWORD: &str = "correct-horse-battery-staple";

/// The value of the hidden field of a form.
fn field(page: &str, name: &str) -> String {
    let at = page
        .find(&format!("name=\"{name}\" value=\""))
        .unwrap_or_else(|| panic!("no {name} in {page}"));
    let rest = &page[at..];
    let value = rest
        .split("value=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    value.expect("a value").to_owned()
}

#[test]
fn a_form_becomes_a_plan_and_then_a_run_that_somebody_approves() {
    let test = with_people(Test::new().file("ship.yaml", FLOW));
    let served = Served::start(&test);
    let (alice, bob, vera) = (
        served.log_in(ALICE),
        served.log_in(BOB),
        served.log_in(VERA),
    );
    let list = served.page(&alice, "/start").expect(200).body;
    assert!(
        list.contains("href=\"/start/ship\"") && list.contains("Ships &lt;b&gt;something"),
        "{list}"
    );
    let form = served.page(&alice, "/start/ship").expect(200).body;
    for part in [
        "type=\"number\"",
        "max=\"9\"",
        "<option value=\"fast\">fast",
        "type=\"password\"",
        "[&quot;a&quot;,&quot;b&quot;]",
        "Where to",
    ] {
        assert!(form.contains(part), "{part} in {form}");
    }
    assert!(!form.contains("value=\"start\""), "the plan comes first");
    let fields = |what: &'static str| {
        [
            ("do", what),
            ("target", "local"),
            ("p.clusters", "[east, west, \"north\"]"),
            ("p.count", "0"),
            ("p.mode", "fast"),
            ("p.force", "false"),
            ("p.note", ""),
            ("p.password", PASSWORD),
        ]
    };
    let plan = served
        .submit(&alice, "/start/ship", &fields("plan"))
        .expect(200)
        .body;
    assert!(
        plan.contains("asks: Ship to 3 places?")
            && plan.contains("× 3")
            && plan.contains("file::write"),
        "{plan}"
    );
    assert!(plan.contains("value=\"start\""), "{plan}");
    let (key, digest) = (field(&plan, "key"), field(&plan, "digest"));
    let start = [
        &fields("start")[..],
        &[("key", key.as_str()), ("digest", digest.as_str())],
    ]
    .concat();
    assert!(!plan.contains(PASSWORD), "a secret never comes back");
    assert!(!test.path("out").exists(), "a plan changes nothing");
    // Pressed twice, started once.
    let first = served.submit(&alice, "/start/ship", &start).expect(303);
    let again = served.submit(&alice, "/start/ship", &start).expect(303);
    let at = first.header("location").expect("an address").to_owned();
    assert_eq!(again.header("location"), Some(at.as_str()));
    let run = at.strip_prefix("/runs/").expect("a run").to_owned();
    served.wait(&run, "waiting");
    // It waits for bob, and for nobody else.
    assert!(served.page(&bob, "/").body.contains("Waiting for you"));
    for other in [&alice, &vera] {
        let body = served.page(other, "/").body;
        assert!(!body.contains("Waiting for you") && body.contains("Waiting for someone else"));
    }
    assert!(
        served
            .page(&vera, &at)
            .body
            .contains("this needs the role `approver`")
    );
    let page = served.page(&bob, &at).expect(200).body;
    assert!(
        page.contains("Ship to 3 places?") && page.contains("What happens next"),
        "{page}"
    );
    let digest = field(&page, "digest");
    let answer = [
        ("step", "ask"),
        ("digest", digest.as_str()),
        ("comment", "<script>alert(1)</script>"),
    ];
    let wrong = [("step", "ask"), ("digest", &"0".repeat(64)[..])];
    served
        .submit(&bob, &format!("{at}/approve"), &wrong)
        .expect(409);
    served
        .submit(&bob, &format!("{at}/approve"), &[("step", "ask")])
        .expect(400);
    served
        .submit(&bob, &format!("{at}/approve"), &answer)
        .expect(303);
    served.wait(&run, "succeeded");
    let page = served
        .page(&vera, &format!("{at}?step=ship"))
        .expect(200)
        .body;
    assert!(
        page.contains("3/3") && page.contains("ship[north]"),
        "{page}"
    );
    let asked = served.page(&vera, &format!("{at}?step=ask")).body;
    assert!(
        asked.contains("&lt;script&gt;alert(1)") && !asked.contains("<script>alert"),
        "{asked}"
    );
    let inner = served
        .page(&vera, &format!("{at}?step=ship%5Bnorth%5D"))
        .body;
    assert!(
        inner.contains("file::write") && !inner.contains(PASSWORD),
        "{inner}"
    );
    let everything = [
        at.clone(),
        format!("/api/v1{at}"),
        format!("/api/v1{at}/events"),
        format!("/api/v1{at}/effects?step=ship[north]"),
    ];
    for path in everything {
        assert!(
            !served
                .page(&vera, &path)
                .expect(200)
                .body
                .contains(PASSWORD),
            "{path}"
        );
    }
    drop(served);
    let is_there = |content: &Vec<u8>| {
        content
            .windows(PASSWORD.len())
            .any(|part| part == PASSWORD.as_bytes())
    };
    assert!(
        !contents(&test.path(".windlass")).iter().any(is_there),
        "nor is it on the disk"
    );
}

#[test]
fn a_form_with_a_mistake_says_where() {
    let test = with_people(Test::new().file("ship.yaml", FLOW));
    let served = Served::start(&test);
    let alice = served.log_in(ALICE);
    let send = |fields: &[(&str, &str)]| {
        let mut all = vec![("do", "plan"), ("target", "local")];
        all.extend(fields);
        served.submit(&alice, "/start/ship", &all)
    };
    let answer = send(&[("p.count", "99"), ("p.password", PASSWORD)])
        .expect(422)
        .body;
    assert!(
        answer.contains("99 is more than 9") && answer.contains("value=\"99\""),
        "{answer}"
    );
    assert!(!answer.contains(PASSWORD));
    let answer = send(&[("p.clusters", "[a"), ("p.password", PASSWORD)])
        .expect(422)
        .body;
    assert!(answer.contains("`clusters`"), "{answer}");
    assert!(send(&[]).expect(422).body.contains("`password`"));
    let missing = served.submit(
        &alice,
        "/start/ship",
        &[("do", "plan"), ("target", "mars"), ("p.password", PASSWORD)],
    );
    assert!(
        missing
            .expect(422)
            .body
            .contains("there is no target `mars`")
    );
}

#[test]
fn a_failed_run_shows_the_place_in_the_script() {
    let flow = "workflow: bad\nsteps:\n  each:\n    for_each: ${{ [1, 2, 3] }}\n    with: { i: \"${{ item }}\" }\n    run: |\n      if inputs.i == 2 { throw \"no <i>luck</i>\"; }\n      #{}\n";
    let test = with_people(Test::new().file("bad.yaml", flow));
    let served = Served::start(&test);
    let run = served.run(ALICE, &json!({ "workflow": "bad" }));
    served.wait(&run, "failed");
    let vera = served.log_in(VERA);
    let page = served.page(&vera, &format!("/runs/{run}")).expect(200).body;
    for part in [
        "each[2]",
        "no &lt;i&gt;luck",
        "bad.yaml",
        "throw",
        "<title>each: failed (1 failed, 2 succeeded)</title>",
        "class=\"graph\"",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!page.contains("<i>luck"));
    // What vera may not do is said before she tries.
    assert!(
        page.contains("aria-disabled=\"true\"")
            && page.contains("this needs the role `operator`; vera has viewer"),
        "{page}"
    );
    let list = served.page(&vera, "/?status=failed").expect(200).body;
    assert!(
        list.contains("no &lt;i&gt;luck") && list.contains("option value=\"failed\" selected"),
        "{list}"
    );
    assert!(
        served
            .page(&vera, "/?status=running")
            .body
            .contains("No runs match this filter")
    );
    assert!(
        served
            .page(&vera, "/runs/20200101-000000000-abcdef")
            .expect(404)
            .body
            .contains("no-such-run")
    );
}

const ROOT: &str = "workflow: root
steps:
  ca:
    script: steps/create_ca.rhai
    with: { type: ROOT, subject: { common_name: Test Root }, key_algorithm: EC_prime256v1, signing_algorithm: SHA256WITHECDSA }
  cert:
    script: steps/sign_csr.rhai
    with:
      ca: ${{ steps.ca.arn }}
      csr: ${{ steps.ca.csr }}
      template: RootCACertificate/V1
      validity: 3650d
      signing_algorithm: SHA256WITHECDSA
  keep:
    with: { pem: \"${{ steps.cert.certificate }}\" }
    run: |
      file::write(\"root.pem\", inputs.pem);
      #{}
";

#[test]
fn certificates_are_listed_by_when_they_expire() {
    let test = with_people(Test::with_shipped_workflows()).file("root.yaml", ROOT);
    std::os::unix::fs::symlink(test.path("workflows/steps"), test.path("steps")).expect("linked");
    let served = Served::start(&test);
    let vera = served.log_in(VERA);
    assert!(
        served
            .page(&vera, "/certificates")
            .expect(200)
            .body
            .contains("No run has issued")
    );
    let run = served.run(ALICE, &json!({ "workflow": "root" }));
    served.wait(&run, "succeeded");
    let page = served.page(&vera, "/certificates").expect(200).body;
    for part in [
        &format!("href=\"/runs/{run}\""),
        "CN=Test Root",
        "root.pem",
        "class=\"life\"",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let json = served.get(VERA, "/api/v1/certificates").expect(200).json();
    assert_eq!(
        json["certificates"].as_array().map(Vec::len),
        Some(1),
        "{json:#}"
    );
}
