//! Every route, tried without what it needs. The list of routes is the server's own, so a new one can't be forgotten.

use std::collections::BTreeSet;

use serde_json::json;
use windlass::{
    desk::{Needs, routes},
    targets::Role,
};

use super::server::{ALICE, BOB, Served, VERA, bearer, with_people};
use crate::harness::Test;

const FLOW: &str = "workflow: w\nsteps: { a: { run: \"#{}\" } }\n";

/// These need no token: there is nothing to see, or, at a hook, a signature is needed.
const OPEN: [&str; 9] = [
    "GET /api/v1/login",
    "GET /assets/{name}",
    "GET /healthz",
    "GET /login",
    "GET /login/callback",
    "GET /login/oidc",
    "GET /readyz",
    "POST /hooks/{hook}",
    "POST /login",
];

fn served() -> (Test, Served) {
    let test = with_people(Test::new().file("w.yaml", FLOW));
    let served = Served::start(&test);
    (test, served)
}

/// A path of the table as a request has it.
fn concrete(path: &str, run: &str) -> String {
    let path = path.replace("{run}", run).replace("{workflow}", "w");
    let path = path.replace("{trigger}", "t").replace("{hook}", "h");
    path.replace("{name}", "style.css")
        .replace("{session}", "0011223344556677")
}

#[test]
fn no_route_lets_through_who_may_not() {
    let (_test, served) = served();
    let run = served.run(&served.owner, &json!({ "workflow": "w" }));
    served.wait(&run, "succeeded");
    let cookie = served.log_in(&served.owner);
    let name = cookie.split('=').next().expect("a name").to_owned();
    let owner = bearer(&served.owner);
    let own_origin = format!("http://{}", served.address);
    let port = served.address.rsplit(':').next().expect("a port");
    let other_port: u16 = port.parse::<u16>().expect("a number") ^ 1;
    let neighbour = format!("http://127.0.0.1:{other_port}");
    let (mut open, mut tried) = (BTreeSet::new(), 0);
    for (method, path, needs) in routes() {
        let at = concrete(path, &run);
        let send = |headers: &[(&str, &str)]| {
            let mut all = vec![("Content-Type", "application/json")];
            all.extend(headers);
            served.send(method.as_str(), &at, &all, "{}")
        };
        let refused = |what: &str, headers: &[(&str, &str)], status: u16| {
            let answer = send(headers);
            assert_eq!(
                answer.status, status,
                "{method} {path}, {what}: {}",
                answer.body
            );
            // The page of the login has the address that was asked for, or that of the page whose form was sent.
            let next = format!("name=\"next\" value=\"/runs/{run}\"");
            assert!(
                !answer
                    .body
                    .replace(&at, "")
                    .replace(&next, "")
                    .contains(&run),
                "{method} {path}, {what}: {}",
                answer.body
            );
        };
        // Not even what is open, for another server or from another page.
        refused(
            "a rebound name",
            &[("Host", "evil.example"), ("Authorization", &owner)],
            403,
        );
        refused(
            "another port",
            &[
                ("Host", &format!("127.0.0.1:{other_port}")),
                ("Authorization", &owner),
            ],
            403,
        );
        refused(
            "a foreign page",
            &[("Origin", "http://evil.example"), ("Authorization", &owner)],
            403,
        );
        refused(
            "a page of another port",
            &[("Origin", &neighbour), ("Cookie", &cookie)],
            403,
        );
        let same_site = [
            ("Sec-Fetch-Site", "same-site"),
            ("Sec-Fetch-Mode", "no-cors"),
            ("Cookie", &cookie),
        ];
        refused("a picture of another port", &same_site, 403);
        tried += 1;
        let role = match needs {
            Needs::Nothing => {
                open.insert(format!("{method} {path}"));
                continue;
            }
            Needs::Login => None,
            Needs::Role(role) | Needs::Somewhere(role) => Some(role),
        };
        // A program that changes something brings a token, or a browser says that the page is ours.
        let page = [
            ("Origin", own_origin.as_str()),
            ("Sec-Fetch-Site", "same-origin"),
        ];
        let from_page = |more: (&'static str, String)| -> Vec<(&'static str, String)> {
            let mut all: Vec<_> = page
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect();
            all.push(more);
            all
        };
        let borrowed =
            |all: &[(&'static str, String)]| -> Vec<(&'static str, String)> { all.to_vec() };
        let check = |what: &str, headers: Vec<(&'static str, String)>, status: u16| {
            let headers: Vec<_> = headers
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            refused(what, &headers, status);
        };
        refused("no header at all", &[], 401);
        if method != "GET" {
            refused("a cookie without a page", &[("Cookie", &cookie)], 403);
        }
        let nobody = from_page(("X-None", String::new()));
        check("nobody", borrowed(&nobody), 401);
        for token in ["nothing", "", &served.ticket, &served.owner[1..]] {
            check("a wrong token", vec![("Authorization", bearer(token))], 401);
        }
        check(
            "another scheme",
            vec![("Authorization", format!("Basic {}", served.owner))],
            401,
        );
        let mut both = from_page(("Cookie", cookie.clone()));
        both.push(("Authorization", bearer("nothing")));
        check("a wrong token beside a good cookie", both, 401);
        for wrong in [
            format!("{name}=00"),
            format!("{name}="),
            format!("{name}={}", served.owner),
            format!("x{cookie}"),
        ] {
            check("a wrong cookie", from_page(("Cookie", wrong)), 401);
        }
        let low: &[&str] = match role {
            None | Some(Role::Viewer) => &[],
            Some(Role::Operator) => &[VERA, BOB],
            Some(Role::Approver) => &[VERA, ALICE],
            Some(Role::Admin) => &[VERA, ALICE, BOB],
        };
        let role = role.map_or("", Role::as_str);
        for token in low {
            let answer = send(&[("Authorization", &bearer(token))]);
            assert_eq!(answer.status, 403, "{method} {path}: {}", answer.body);
            assert!(
                answer.body.contains(role),
                "{method} {path} does not name the role: {}",
                answer.body
            );
        }
        // And that all of these refusals are for a reason.
        if !path.ends_with("/stream") {
            let answer = send(&[("Authorization", &owner)]);
            assert!(
                ![401, 403].contains(&answer.status),
                "{method} {path}: {}",
                answer.body
            );
        }
    }
    assert_eq!(open.iter().map(String::as_str).collect::<Vec<_>>(), OPEN);
    assert!(tried > 30, "{tried}");
}

#[test]
fn what_is_no_route_tells_nothing() {
    let (_test, served) = served();
    for path in [
        "/x",
        "/api/v1/",
        "/api/v1/healthz",
        "/api/healthz",
        "/healthz/",
        "/runs/x/healthz",
        "/assets/",
        "/..",
    ] {
        assert_eq!(served.send("GET", path, &[], "").status, 401, "{path}");
    }
    assert_eq!(
        served
            .send(
                "DELETE",
                "/api/v1/runs",
                &[("Authorization", "Bearer x")],
                ""
            )
            .status,
        401
    );
    let owner = served.owner.clone();
    assert_eq!(served.get(&owner, "/x").status, 404);
    assert_eq!(served.get(&owner, "/api/v1/x").json()["code"], "not-found");
    assert_eq!(
        served
            .send("GET", "/assets/..%2f..%2fserve.token", &[], "")
            .status,
        404
    );
}

#[test]
fn names_and_ids_are_no_paths() {
    let (test, served) = served();
    test.write("secret.yaml", FLOW);
    let get = |path: &str| served.get(&served.owner, path);
    for id in [
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e",
        "serve",
        "20260101-000000000-abcde%2f",
        "20260101-000000000-abcdef%00",
    ] {
        for path in [
            format!("/api/v1/runs/{id}"),
            format!("/runs/{id}"),
            format!("/api/v1/runs/{id}/stream"),
        ] {
            assert_eq!(get(&path).status, 404, "{path}");
        }
    }
    for name in ["..%2fw", "%2ftmp%2fw", ".%2fw", "w.yaml", "steps"] {
        let path = format!("/api/v1/workflows/{name}");
        assert_eq!(get(&path).json()["code"], "unknown-workflow", "{path}");
        let body = json!({ "workflow": name.replace("%2f", "/") });
        let answer = served.post(&served.owner, "/api/v1/runs", &body);
        assert_eq!(answer.expect(404).json()["code"], "unknown-workflow");
    }
    let locks = test.path(".windlass/locks");
    let names: Vec<_> = std::fs::read_dir(locks)
        .expect("a folder")
        .map(|entry| entry.expect("one").file_name())
        .collect();
    assert_eq!(names, ["serve"], "nothing was made for them");
}

#[test]
fn the_printed_address_works_once() {
    let (_test, served) = served();
    let path = format!("/?token={}", served.ticket);
    let answer = served
        .send("GET", &path, &[("Sec-Fetch-Site", "none")], "")
        .expect(303);
    assert_eq!(
        answer.header("location"),
        Some("/"),
        "the token is not in the address that stays"
    );
    assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
    let cookie = answer.cookie();
    assert_eq!(served.page(&cookie, "/").status, 200);
    let again = served.send("GET", &path, &[], "").expect(401);
    assert!(again.body.contains("already been used") && again.header("set-cookie").is_none());
    // A cookie is worth nothing after logging out.
    served.submit(&cookie, "/logout", &[]).expect(303);
    assert_eq!(served.page(&cookie, "/").status, 401);
}

#[test]
fn every_answer_says_what_a_browser_may_do_with_it() {
    let (_test, served) = served();
    for path in ["/", "/login", "/healthz", "/api/v1/runs", "/nothing"] {
        let answer = served.get(&served.owner, path);
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{policy}"
        );
        assert!(
            !policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert!(
            answer.header("access-control-allow-origin").is_none(),
            "{path}"
        );
        assert!(
            !answer.body.contains("style=\"") && !answer.body.contains("<script>"),
            "{path}"
        );
    }
}

#[test]
fn a_server_that_others_reach_needs_tls_tokens_and_a_name() {
    let test = Test::new().file("w.yaml", FLOW);
    let refused = |arguments: &[&str]| {
        let ran = test
            .windlass(&[&["serve", "--listen", "0.0.0.0:0"], arguments].concat())
            .expect(2);
        ran.says("[serve]");
        ran.stderr
    };
    assert!(refused(&[]).contains("without TLS"));
    certify(&test, "1");
    let tls = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    assert!(refused(&tls).contains("no way to log in is configured"));
    let test = with_people(test);
    let ran = test
        .windlass(&[&["serve", "--listen", "0.0.0.0:0"], &tls[..]].concat())
        .expect(2);
    ran.says("names under which");
}

/// Makes `cert.pem` and `key.pem` for windlass.test.
pub fn certify(test: &Test, serial: &str) {
    let more = [
        "-addext",
        "subjectAltName=DNS:windlass.test",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-days",
        "2",
        "-set_serial",
        serial,
    ];
    test.certify("/CN=windlass.test", ("key.pem", "cert.pem"), &more);
}

#[test]
fn others_reach_it_over_tls_and_its_certificate_is_renewed_while_it_runs() {
    let test = with_people(Test::new().file("w.yaml", FLOW));
    let tokens = test.read("windlass.toml");
    test.write(
        "windlass.toml",
        &format!("[serve]\nhosts = [\"windlass.test\"]\n{tokens}"),
    );
    certify(&test, "1");
    let arguments = [
        "serve",
        "--listen",
        "0.0.0.0:0",
        "--tls-cert",
        "cert.pem",
        "--tls-key",
        "key.pem",
    ];
    let (served, url) = Served::start_with(&test, &arguments);
    assert!(
        !test.path(".windlass/serve.token").exists(),
        "nobody is let in by a file here"
    );
    let url = url
        .trim()
        .strip_prefix("https://windlass.test:")
        .expect("its name");
    let port: u16 = url.trim_end_matches('/').parse().expect("a port");
    let here = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let ask = |path: &str, token: &str| {
        let authority =
            reqwest::Certificate::from_pem(test.read("cert.pem").as_bytes()).expect("PEM");
        let client = reqwest::Client::builder()
            .tls_certs_only([authority])
            .resolve("windlass.test", here)
            .no_proxy()
            .build()
            .expect("a client");
        let request = client
            .get(format!("https://windlass.test:{port}{path}"))
            .bearer_auth(token);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("threads");
        runtime.block_on(async {
            let answer = request.send().await?;
            Ok::<_, reqwest::Error>((answer.status().as_u16(), answer.text().await?))
        })
    };
    assert_eq!(ask("/api/v1/whoami", ALICE).expect("reached").0, 200);
    assert_eq!(ask("/api/v1/whoami", "nothing").expect("reached").0, 401);
    certify(&test, "2");
    let until = std::time::Instant::now() + super::server::PATIENCE;
    // The client trusts the new certificate only.
    while ask("/healthz", "").is_err() {
        assert!(
            std::time::Instant::now() < until,
            "the new certificate is not served"
        );
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    drop(served);
}

#[test]
fn one_server_has_a_state_folder() {
    let (test, served) = served();
    let ran = test
        .windlass(&["serve", "--listen", "127.0.0.1:0"])
        .expect(2);
    ran.says("serves the runs in");
    drop(served);
    Served::start(&test);
}

/// A proxy before us speaks TLS for any name that is not this machine's own.
#[test]
fn cookies_are_for_tls_wherever_a_browser_speaks_it() {
    let test = Test::new().file(
        "windlass.toml",
        "[serve]\nhosts = [\"windlass.example.com\"]\n",
    );
    let served = Served::start(&test);
    let log_in = |host: &str, origin: &str| {
        let headers = [
            ("Host", host),
            ("Origin", origin),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        let body = format!("token={}", served.owner);
        let answer = served.send("POST", "/login", &headers, &body).expect(303);
        answer.header("set-cookie").expect("a cookie").to_owned()
    };
    let here = log_in(&served.address, &format!("http://{}", served.address));
    assert!(
        here.starts_with("windlass-") && !here.contains("Secure"),
        "{here}"
    );
    let there = log_in("windlass.example.com", "https://windlass.example.com");
    assert!(
        there.starts_with("__Host-windlass-") && there.contains("; Secure"),
        "{there}"
    );
    let pair = there.split(';').next().expect("a pair");
    let headers = [("Host", "windlass.example.com"), ("Cookie", pair)];
    served
        .send("GET", "/api/v1/whoami", &headers, "")
        .expect(200);
}

#[test]
fn a_login_leads_back_to_the_link_and_to_no_other_server() {
    let test = with_people(Test::new());
    let served = Served::start(&test);
    let page = served.send("GET", "/waiting?a=1", &[], "").expect(401).body;
    assert!(
        page.contains("name=\"next\" value=\"/waiting?a=1\""),
        "{page}"
    );
    for (next, wanted) in [
        ("/waiting?a=1", "/waiting?a=1"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("/logout", "/"),
    ] {
        let origin = format!("http://{}", served.address);
        let headers = [
            ("Origin", origin.as_str()),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("token", VERA), ("next", next)])
            .finish();
        let answer = served.send("POST", "/login", &headers, &body).expect(303);
        assert_eq!(answer.header("location"), Some(wanted), "{next}");
    }
}

#[test]
fn who_is_denied_is_logged_and_can_log_out() {
    let none = "none-0123456789abcdef0123456789abcdef0";
    let test = with_people(Test::new());
    let config = test.read("windlass.toml");
    let token = format!(
        "[[serve.tokens]]\nname = \"nora\"\nsha256 = \"{}\"\nroles = []\n",
        crate::harness::sha256(none.as_bytes())
    );
    test.write("windlass.toml", &format!("{config}{token}"));
    let served = Served::start(&test);
    let nora = served.log_in(none);
    let page = served.page(&nora, "/").expect(403).body;
    assert!(page.contains("nora") && page.contains("Log out"), "{page}");
    served.submit(&nora, "/logout", &[]).expect(303);
    let vera = served.log_in(VERA);
    let page = served.page(&vera, "/prune").expect(403).body;
    assert!(
        page.contains("href=\"/certificates\""),
        "the navigation stays: {page}"
    );
    served.get(none, "/api/v1/runs").expect(403);
    let said = served.stop();
    let denied = said
        .lines()
        .find(|line| line.contains("/api/v1/runs") && line.contains("403"));
    assert!(denied.is_some_and(|line| line.contains("nora")), "{said}");
}
