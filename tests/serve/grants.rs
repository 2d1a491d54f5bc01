//! Roles for some workflows and targets, groups among approvers, certificates of machines, and sessions that end.

use serde_json::{Value as Json, json};
use windlass::{
    desk::{Needs, routes},
    targets::Role,
};

use super::server::{Answered, Served, bearer};
use crate::harness::{Test, sha256};

const GLOO: &str = "workflow: gloo-mesh\nsteps: { a: { run: \"#{}\" } }\n";
const DEV: &str = "workflow: dev-tools\nsteps: { a: { run: \"#{}\" } }\n";
const ASKS: &str = "workflow: gloo-asks
steps:
  gate: { approval: \"Restart?\", approvers: [\"group:pki\", \"zoe\"], not_requester: true }
";

/// Everybody has a token of their name; only what is granted counts.
fn token(name: &str) -> String {
    format!("{name}-0123456789abcdef0123456789abcdef")
}

const PEOPLE: [(&str, &str); 6] = [
    ("nobody", ""),
    ("gloria", ""),
    ("devon", "dev"),
    ("petra", "pki"),
    ("paul", "pki"),
    ("zoe", ""),
];

const GRANTS: &str = "
[[serve.grants]]
to = [\"gloria\"]
roles = [\"operator\"]
workflows = [\"gloo-*\"]
targets = [\"local\"]

[[serve.grants]]
to = [\"group:dev\"]
roles = [\"operator\", \"admin\"]
workflows = [\"dev-*\"]

[[serve.grants]]
to = [\"group:pki\", \"zoe\"]
roles = [\"approver\"]
workflows = [\"gloo-*\"]

[[serve.grants]]
to = [\"group:pki\"]
roles = [\"operator\"]
targets = [\"staging\"]
";

fn config() -> String {
    let tokens = PEOPLE.map(|(name, group)| {
        let sha256 = sha256(token(name).as_bytes());
        let groups = match group {
            "" => String::new(),
            group => format!("groups = [\"{group}\"]\n"),
        };
        format!("[[serve.tokens]]\nname = \"{name}\"\nsha256 = \"{sha256}\"\n{groups}")
    });
    tokens.concat() + GRANTS + "\n[targets.staging]\npca = { region = \"us-east-1\" }\n"
}

fn served() -> (Test, Served) {
    let test = Test::new()
        .file("gloo.yaml", GLOO)
        .file("dev.yaml", DEV)
        .file("asks.yaml", ASKS)
        .file("windlass.toml", &config());
    let served = Served::start(&test);
    (test, served)
}

/// What somebody may do, as GRANTS says it, worked out in another way than the server does.
fn may(name: &str, role: Role, workflow: &str, target: &str) -> bool {
    let has: &[Role] = match name {
        "gloria" if workflow.starts_with("gloo-") && target == "local" => &[Role::Operator],
        "devon" if workflow.starts_with("dev-") => &[Role::Operator, Role::Admin],
        "petra" | "paul" => match (workflow.starts_with("gloo-"), target == "staging") {
            (true, true) => &[Role::Approver, Role::Operator],
            (true, false) => &[Role::Approver],
            (false, true) => &[Role::Operator],
            (false, false) => &[],
        },
        "zoe" if workflow.starts_with("gloo-") => &[Role::Approver],
        _ => &[],
    };
    has.iter()
        .any(|role_of| *role_of == Role::Admin || role == Role::Viewer || *role_of == role)
}

fn send(served: &Served, name: &str, method: &str, path: &str, body: &Json) -> Answered {
    let bearer = bearer(&token(name));
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
    ];
    served.send(method, path, &headers, &body.to_string())
}

#[test]
fn no_route_of_a_run_lets_through_who_may_not_for_its_workflow_and_target() {
    let (_test, served) = served();
    let mut runs = Vec::new();
    for (file, workflow) in [("gloo", "gloo-mesh"), ("dev", "dev-tools")] {
        for target in ["local", "staging"] {
            let body = json!({ "workflow": file, "target": target });
            let run = served.run(&served.owner, &body);
            served.wait(&run, "succeeded");
            runs.push((run, workflow, target));
        }
    }
    let (mut tried, mut refused) = (0, 0);
    for (method, path, needs) in routes() {
        let Needs::Role(role) = needs else { continue };
        if !path.contains("{run}") || path.ends_with("/stream") {
            continue;
        }
        for (run, workflow, target) in &runs {
            for (name, _) in PEOPLE {
                let at = path.replace("{run}", run);
                let answer = send(&served, name, method.as_str(), &at, &json!({}));
                // For who may not see a run there is none.
                let is_hidden =
                    answer.status == 404 && answer.body.contains(&format!("no run `{run}`"));
                let is_denied = answer.status == 403 && answer.body.contains("this needs the role");
                assert!(!is_hidden || !may(name, Role::Viewer, workflow, target));
                let is_let_in = !is_hidden && !is_denied;
                let what = format!("{name}: {method} {at} ({workflow} on {target})");
                assert_eq!(
                    is_let_in,
                    may(name, role, workflow, target),
                    "{what}: {}",
                    answer.body
                );
                tried += 1;
                if is_let_in {
                    continue;
                }
                refused += 1;
                assert!(
                    is_hidden
                        || answer.body.contains(&format!("`{role}`"))
                        || path.starts_with("/runs"),
                    "{what}: {}",
                    answer.body
                );
            }
        }
    }
    // Streams, which do not end by themselves.
    for (run, workflow, target) in &runs {
        for (name, _) in PEOPLE
            .iter()
            .filter(|(name, _)| !may(name, Role::Viewer, workflow, target))
        {
            let path = format!("/api/v1/runs/{run}/stream");
            let status = if *name == "nobody" { 403 } else { 404 };
            send(&served, name, "GET", &path, &json!({})).expect(status);
            (tried, refused) = (tried + 1, refused + 1);
        }
    }
    // What names no run is for all of them, or is only what somebody may see.
    for (name, _) in PEOPLE {
        for path in ["/metrics", "/api/v1/certificates", "/certificates"] {
            send(&served, name, "GET", path, &json!({})).expect(403);
            (tried, refused) = (tried + 1, refused + 1);
        }
        let list = send(&served, name, "GET", "/api/v1/runs", &json!({}));
        if name == "nobody" {
            assert_eq!(list.status, 403);
            continue;
        }
        let list = list.expect(200).json();
        let seen: Vec<_> = list["runs"].as_array().expect("a list").iter().collect();
        let mine = runs
            .iter()
            .filter(|(_, workflow, target)| may(name, Role::Viewer, workflow, target));
        assert_eq!(seen.len(), mine.count(), "{name}: {list:#}");
        for row in seen {
            let of = |key: &str| row[key].as_str().expect("a text").to_owned();
            assert!(
                may(name, Role::Viewer, &of("workflow"), &of("target")),
                "{name}: {row:#}"
            );
        }
    }
    for (file, workflow) in [("gloo", "gloo-mesh"), ("dev", "dev-tools")] {
        for target in ["local", "staging"] {
            for (name, _) in PEOPLE {
                let is_good = may(name, Role::Operator, workflow, target);
                let body = json!({ "workflow": file, "target": target });
                let plan = send(
                    &served,
                    name,
                    "POST",
                    &format!("/api/v1/workflows/{file}/plan"),
                    &json!({ "target": target }),
                );
                let start = send(&served, name, "POST", "/api/v1/runs", &body);
                let text = json!({ "files": { "w.yaml": if file == "gloo" { GLOO } else { DEV } }, "main": "w.yaml", "target": target });
                let sent = send(&served, name, "POST", "/api/v1/frozen", &text);
                // Who may not see a workflow does not learn that it exists.
                let is_let_in = ![403, 404].contains(&plan.status);
                assert_eq!(is_let_in, is_good, "{name} {body}: {}", plan.body);
                assert_eq!(
                    start.status == 201,
                    is_good,
                    "{name} {body}: {}",
                    start.body
                );
                // Nobody here may send files of their own, whatever these call themselves.
                assert_eq!(sent.status, 403, "{name} {body}: {}", sent.body);
                tried += 3;
                refused += if is_good { 1 } else { 3 };
                if !is_good && start.body.contains("for workflow") {
                    let why = format!("`operator` for workflow `{workflow}` on target `{target}`");
                    assert!(start.body.contains(&why), "{}", start.body);
                }
            }
        }
    }
    println!(
        "{tried} combinations of somebody, a route and a run; {refused} refused, 0 wrongly let through"
    );
    assert!(tried > 400 && refused > 200, "{tried} {refused}");
}

#[test]
fn what_may_be_done_says_for_which_workflow_a_role_is_missing() {
    let (_test, served) = served();
    let run = served.run(&served.owner, &json!({ "workflow": "gloo" }));
    served.wait(&run, "succeeded");
    let path = format!("/api/v1/runs/{run}");
    let shown = send(&served, "gloria", "GET", &path, &json!({}))
        .expect(200)
        .json();
    assert_eq!(shown["allowed"]["undo"]["needs"], "admin");
    let why = shown["allowed"]["undo"]["why"].as_str().expect("a reason");
    assert_eq!(
        why,
        "this needs the role `admin` for workflow `gloo-mesh` on target `local`; gloria has operator (workflows gloo-* on targets local)"
    );
    let who = send(&served, "gloria", "GET", "/api/v1/whoami", &json!({}))
        .expect(200)
        .json();
    assert_eq!(who["roles"], json!([]));
    assert_eq!(who["granted"][0]["role"], "operator");
}

#[test]
fn a_group_may_approve_and_who_asked_may_not() {
    let (_test, served) = served();
    let run = served.run(&token("gloria"), &json!({ "workflow": "asks" }));
    served.wait(&run, "waiting");
    let answer = |name: &str, verb: &str| {
        let path = format!("/api/v1/runs/{run}/{verb}");
        send(&served, name, "POST", &path, &json!({ "step": "gate" }))
    };
    assert!(
        answer("gloria", "approve")
            .expect(403)
            .body
            .contains("`approver`")
    );
    let shown = send(
        &served,
        "zoe",
        "GET",
        &format!("/api/v1/runs/{run}"),
        &json!({}),
    );
    assert_eq!(shown.json()["asks"][0]["may_answer"]["ok"], true);
    answer("petra", "approve").expect(202);
    served.wait(&run, "succeeded");
    let events = served
        .get(&served.owner, &format!("/api/v1/runs/{run}/events"))
        .json();
    let events = events["events"].as_array().expect("a list").clone();
    let decided = events
        .iter()
        .find(|event| event["event"]["event"] == "approval_decided");
    let decided = &decided.expect("an answer")["event"];
    assert_eq!(decided["approver"], "petra");
    assert_eq!(decided["via"]["groups"], json!(["pki"]));
    // Who is in no such group, and is not named.
    let run = served.run(&served.owner, &json!({ "workflow": "asks" }));
    served.wait(&run, "waiting");
    let path = format!("/api/v1/runs/{run}/approve");
    let refused = served
        .post(&served.owner, &path, &json!({ "step": "gate" }))
        .expect(403);
    assert_eq!(refused.json()["code"], "not-approver", "{}", refused.body);
}

#[test]
fn a_session_ends_with_the_roles_that_it_began_with_and_can_be_ended_by_others() {
    let (test, served) = served();
    let cookie = served.log_in(&token("gloria"));
    let other = served.log_in(&token("gloria"));
    let petra = served.log_in(&token("petra"));
    served.page(&cookie, "/").expect(200);
    let list = |name: &str| {
        let answer = send(&served, name, "GET", "/api/v1/sessions", &json!({}));
        answer.expect(200).json()["sessions"]
            .as_array()
            .expect("a list")
            .clone()
    };
    assert_eq!(list("gloria").len(), 2, "one's own");
    let all = served
        .get(&served.owner, "/api/v1/sessions")
        .expect(200)
        .json();
    assert_eq!(all["sessions"].as_array().map(Vec::len), Some(3));
    let of_petra = list("petra")[0]["id"].as_str().expect("an id").to_owned();
    let end = format!("/api/v1/sessions/{of_petra}/end");
    send(&served, "gloria", "POST", &end, &json!({})).expect(404);
    served.page(&petra, "/").expect(200);
    served.post(&served.owner, &end, &json!({})).expect(202);
    served.page(&petra, "/").expect(401);
    // A restart logs nobody out; other roles do.
    served.stop();
    let served = Served::start(&test);
    served.page(&at_port(&served, &other), "/").expect(200);
    served.stop();
    test.write("windlass.toml", &config().replace("gloo-*", "gloo-m*"));
    let served = Served::start(&test);
    served.page(&at_port(&served, &other), "/").expect(401);
}

/// A cookie as a server on another port knows it: its name holds the port.
fn at_port(served: &Served, cookie: &str) -> String {
    let (_, value) = cookie.split_once('=').expect("a pair");
    let port = served.address.rsplit(':').next().expect("a port");
    format!("windlass-{port}={value}")
}

#[test]
fn a_machine_is_who_its_certificate_says() {
    let test = Test::new()
        .file("gloo.yaml", GLOO)
        .file("dev.yaml", DEV)
        .file("asks.yaml", ASKS);
    let grants = GRANTS.replace("\"gloria\"", "\"spiffe://windlass.test/deployer\"");
    test.write(
        "windlass.toml",
        &format!("[serve]\nhosts = [\"windlass.test\"]\nclient_ca = \"ca.pem\"\n{grants}"),
    );
    super::door::certify(&test, "1");
    let openssl = |arguments: &str| {
        let arguments: Vec<_> = arguments.split(' ').collect();
        test.openssl(&arguments).expect(0);
    };
    let ec = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    for (name, ca) in [("ca", "Machines"), ("foreign", "Others")] {
        openssl(&format!(
            "req -x509 {ec} -keyout {name}.key -out {name}.pem -subj /CN={ca} -days 2"
        ));
    }
    for (name, ca) in [
        ("deployer", "ca"),
        ("stranger", "ca"),
        ("forged", "foreign"),
    ] {
        let uri = if name == "forged" { "deployer" } else { name };
        openssl(&format!(
            "req {ec} -keyout {name}.key -out {name}.csr -subj /O=machines/CN={name} -addext subjectAltName=URI:spiffe://windlass.test/{uri}"
        ));
        openssl(&format!(
            "x509 -req -in {name}.csr -CA {ca}.pem -CAkey {ca}.key -days 2 -copy_extensions copy -out {name}.pem"
        ));
    }
    let arguments = [
        "serve",
        "--listen",
        "0.0.0.0:0",
        "--tls-cert",
        "cert.pem",
        "--tls-key",
        "key.pem",
    ];
    let (_served, url) = Served::start_with(&test, &arguments);
    let port: u16 = url
        .trim()
        .trim_end_matches('/')
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok())
        .expect("a port");
    let here = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("threads");
    let ask = |machine: Option<&str>, path: &str| {
        let authority = reqwest::Certificate::from_pem(test.read("cert.pem").as_bytes());
        let mut builder = reqwest::Client::builder()
            .tls_certs_only([authority.expect("PEM")])
            .resolve("windlass.test", here)
            .no_proxy();
        if let Some(name) = machine {
            let pem = [format!("{name}.pem"), format!("{name}.key")]
                .map(|file| test.read(&file))
                .concat();
            builder = builder.identity(reqwest::Identity::from_pem(pem.as_bytes()).expect("PEM"));
        }
        let client = builder.build().expect("a client");
        runtime.block_on(async {
            let answer = client
                .get(format!("https://windlass.test:{port}{path}"))
                .send()
                .await?;
            Ok::<_, reqwest::Error>((answer.status().as_u16(), answer.text().await?))
        })
    };
    let (status, body) = ask(Some("deployer"), "/api/v1/whoami").expect("reached");
    assert_eq!(status, 200, "{body}");
    let who: Json = serde_json::from_str(&body).expect("JSON");
    assert_eq!(who["name"], "spiffe://windlass.test/deployer");
    assert_eq!(who["groups"], json!(["machines"]));
    assert_eq!(who["granted"][0]["role"], "operator");
    assert_eq!(
        ask(Some("stranger"), "/api/v1/runs").expect("reached").0,
        403,
        "it has no role"
    );
    assert_eq!(ask(None, "/api/v1/runs").expect("reached").0, 401);
    assert_eq!(ask(None, "/healthz").expect("reached").0, 200);
    assert!(
        ask(Some("forged"), "/healthz").is_err(),
        "of a CA that nobody named"
    );
}

/// What a role for one workflow lets somebody do must not reach another one by what they call its file.
#[test]
fn files_of_one_workflow_do_not_become_another_one() {
    let waits = "workflow: gloo-waits\nsteps:\n  ask: { approval: \"Go?\" }\n  danger: { needs: [ask], run: \"#{}\" }\n";
    let test = Test::new()
        .file("waits.yaml", waits)
        .file("dev.yaml", DEV)
        .file("windlass.toml", &config());
    let served = Served::start(&test);
    let body = |steps: &[&str]| {
        json!({
            "main": "waits.yaml",
            "files": { "waits.yaml": waits },
            "file": test.path("dev.yaml"),
            "steps": steps,
        })
    };
    let passes_by = send(
        &served,
        "gloria",
        "POST",
        "/api/v1/frozen",
        &body(&["danger"]),
    );
    assert_eq!(passes_by.status, 422, "{}", passes_by.body);
    assert!(
        passes_by.body.contains("the approval in `ask`"),
        "{}",
        passes_by.body
    );

    let started = send(&served, "gloria", "POST", "/api/v1/frozen", &body(&[]));
    assert_eq!(started.status, 201, "{}", started.body);
    let run = started.json()["run"].as_str().expect("a run").to_owned();
    let path = |rest: &str| format!("/api/v1/runs/{run}/{rest}");
    served.wait(&run, "waiting");
    let cancelled = send(&served, "gloria", "POST", &path("cancel"), &json!({}));
    assert_eq!(cancelled.status, 202, "{}", cancelled.body);
    served.wait(&run, "cancelled");
    // The run reads its own file again, whatever the client called it; and that only as long as it is the same workflow.
    test.write("waits.yaml", &waits.replace("gloo-waits", "dev-tools"));
    let revised = send(
        &served,
        "gloria",
        "POST",
        &path("revise"),
        &json!({ "takes_files": true }),
    );
    assert_eq!(revised.status, 409, "{}", revised.body);
    assert!(
        revised.body.contains("the run is one of `gloo-waits`"),
        "{}",
        revised.body
    );
}

#[test]
fn workflows_and_targets_are_seen_by_who_has_a_role_for_them() {
    let (_test, served) = served();
    let get = |name: &str, path: &str| send(&served, name, "GET", path, &json!({}));
    let names = |name: &str| -> Vec<String> {
        let list = get(name, "/api/v1/workflows").expect(200).json();
        let list = list["workflows"].as_array().expect("a list").iter();
        list.map(|one| one["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    assert_eq!(names("gloria"), ["asks", "gloo"]);
    assert_eq!(names("devon"), ["dev"]);
    for path in ["", "/files"] {
        get("gloria", &format!("/api/v1/workflows/gloo{path}")).expect(200);
        get("gloria", &format!("/api/v1/workflows/dev{path}")).expect(404);
        get("gloria", &format!("/api/v1/workflows/nothing{path}")).expect(404);
        get("nobody", &format!("/api/v1/workflows/gloo{path}")).expect(403);
    }
    get("gloria", "/start/gloo").expect(200);
    get("gloria", "/start/dev").expect(404);
    let list = get("gloria", "/start").expect(200).body;
    assert!(
        list.contains("/start/gloo") && !list.contains("/start/dev"),
        "{list}"
    );
    let targets = get("gloria", "/api/v1/targets").expect(200).json();
    assert_eq!(targets["targets"], json!(["local"]));
    let targets = get("devon", "/api/v1/targets").expect(200).json();
    assert_eq!(targets["targets"], json!(["local", "staging"]));
}

/// Somebody who may do nothing is still somebody.
#[test]
fn who_has_no_role_logs_out() {
    let (_test, served) = served();
    let cookie = served.log_in(&token("nobody"));
    served.page(&cookie, "/").expect(403);
    served.submit(&cookie, "/logout", &[]).expect(303);
    let page = served.page(&cookie, "/");
    assert_eq!(page.status, 401, "{}", page.body);
}
