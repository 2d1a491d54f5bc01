//! People of a real OpenID Connect provider: npm's oidc-provider.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value as Json, json};

use super::server::{Served, bearer};
use crate::harness::{Ends, Ran, Test, sha256, skip};

const ASKS: &str =
    "workflow: asks\nsteps: { gate: { approval: \"Go?\", approvers: [\"group:pki\"] } }\n";

/// Where oidc-provider is. Without it the test is skipped, but for CI, which installs it.
fn module() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/npm/node_modules");
    let path = folder.join("oidc-provider/lib/index.js");
    if path.is_file() {
        return Some(path);
    }
    skip(
        "oidc-provider",
        "npm install --ignore-scripts --prefix target/npm oidc-provider",
    );
    None
}

/// A running provider; it is killed when it is dropped.
struct Provider {
    _server: Ends,
    issuer: String,
}

impl Provider {
    fn start(module: &Path, port: &str, key: &str, conform: bool) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/serve/provider.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .arg(module)
            .args([port, key])
            .env("CONFORM", if conform { "1" } else { "0" })
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node is installed (apt-get install nodejs)");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let issuer = lines.find_map(|line| line.ok().filter(|line| line.starts_with("http://")));
        // Its stdout stays open as long as it runs.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            _server: Ends(child),
            issuer: issuer.expect("it listens"),
        }
    }

    fn port(&self) -> String {
        self.issuer.rsplit(':').next().expect("a port").to_owned()
    }
}

/// A browser: it keeps the cookies of each server, follows redirects, and fills in forms.
#[derive(Default)]
struct Browser {
    cookies: BTreeMap<String, BTreeMap<String, String>>,
}

/// A page that a browser came to.
struct Page {
    url: reqwest::Url,
    status: u16,
    text: String,
}

impl Browser {
    fn get(&mut self, url: &str) -> Page {
        self.go(url.parse().expect("an address"), None, false)
    }

    /// Goes to an address that leads to the provider and, where that knows who somebody is, back again: it stops before that.
    fn begin(&mut self, url: &str) -> Page {
        self.go(url.parse().expect("an address"), None, true)
    }

    fn post(&mut self, url: reqwest::Url, fields: &[(&str, &str)]) -> Page {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        self.go(url, Some(body), false)
    }

    /// Goes to an address, and wherever that leads; `stops` where a redirect would lead to a login's end.
    fn go(&mut self, mut url: reqwest::Url, mut body: Option<String>, stops: bool) -> Page {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("threads");
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .expect("a client");
        for _ in 0..20 {
            if stops && url.path() == "/login/callback" {
                break;
            }
            let server = url.origin().ascii_serialization();
            let jar = self.cookies.entry(server.clone()).or_default();
            let cookies: Vec<_> = jar
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let mut request = match body.take() {
                None => client.get(url.clone()),
                Some(body) => client
                    .post(url.clone())
                    .header("content-type", "application/x-www-form-urlencoded")
                    .header("origin", &server)
                    .body(body),
            };
            if !cookies.is_empty() {
                request = request.header("cookie", cookies.join("; "));
            }
            let (status, headers, text) = runtime.block_on(async {
                let answer = request.send().await.expect("answered");
                let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
                (status, headers, answer.text().await.expect("text"))
            });
            for set in headers.get_all("set-cookie") {
                let pair = set
                    .to_str()
                    .expect("text")
                    .split(';')
                    .next()
                    .expect("a pair");
                let (name, value) = pair.split_once('=').expect("a pair");
                match value {
                    "" => jar.remove(name),
                    value => jar.insert(name.to_owned(), value.to_owned()),
                };
            }
            match headers.get("location") {
                Some(next) => url = url.join(next.to_str().expect("text")).expect("an address"),
                None => return Page { url, status, text },
            }
        }
        Page {
            url,
            status: 0,
            text: String::new(),
        }
    }

    /// Logs in at the provider, and agrees, until that leads elsewhere.
    fn prove(&mut self, mut page: Page, name: &str, stops: bool) -> Page {
        for _ in 0..6 {
            // A refusal is a page with a form, too.
            let Some(action) = form_of(&page).filter(|_| page.status == 200) else {
                break;
            };
            let text = page.text.clone();
            let prompt = hidden(&text, "prompt").unwrap_or_default();
            let mut fields = vec![("prompt", prompt.as_str())];
            if prompt == "login" {
                fields.extend([("login", name), ("password", "anything")]);
            }
            let (xsrf, code) = (hidden(&text, "xsrf"), hidden(&text, "user_code"));
            if let Some(xsrf) = &xsrf {
                fields = vec![("xsrf", xsrf.as_str())];
                fields.extend(code.as_deref().map(|code| ("user_code", code)));
                fields.push(("confirm", "yes"));
            }
            let body = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(fields)
                .finish();
            page = self.go(action, Some(body), stops);
        }
        page
    }

    fn cookie(&self, served: &Served) -> String {
        let jar = self.cookies.get(&format!("http://{}", served.address));
        let jar = jar.expect("it was there");
        let mut own = jar.iter().filter(|(name, _)| !name.ends_with("-login"));
        let (name, value) = own.next().expect("a session");
        format!("{name}={value}")
    }
}

fn form_of(page: &Page) -> Option<reqwest::Url> {
    let at = page.text.find("<form")?;
    let tag = &page.text[at..at + page.text[at..].find('>')?];
    let action = tag.split("action=\"").nth(1)?.split('"').next()?;
    page.url.join(&action.replace("&amp;", "&")).ok()
}

fn hidden(text: &str, name: &str) -> Option<String> {
    let mut inputs = text.split("<input").skip(1);
    let input = inputs.find(|input| input.contains(&format!("name=\"{name}\"")))?;
    let input = input.split('>').next()?;
    Some(
        input
            .split("value=\"")
            .nth(1)?
            .split('"')
            .next()?
            .to_owned(),
    )
}

fn configured(provider: &Provider) -> Test {
    let mut test = Test::new().file("asks.yaml", ASKS);
    let token = "ci-0123456789abcdef0123456789abcdef00";
    test.set("OIDC_SECRET", "a secret: with %");
    test.write(
        "windlass.toml",
        &format!(
            "[serve.oidc]
issuer = \"{}\"
client_id = \"windlass\"
client_secret_env = \"OIDC_SECRET\"
device_client_id = \"windlass-cli\"
scopes = [\"email\", \"profile\", \"groups\"]

[[serve.tokens]]
name = \"ci\"
sha256 = \"{}\"
roles = [\"operator\"]

[[serve.grants]]
to = [\"group:pki\"]
roles = [\"approver\"]

[[serve.grants]]
to = [\"group:staff\"]
roles = [\"operator\"]
workflows = [\"asks\"]
",
            provider.issuer,
            sha256(token.as_bytes())
        ),
    );
    test
}

#[test]
fn people_log_in_to_the_page_with_their_provider() {
    let Some(module) = module() else { return };
    // This one keeps e-mail address and groups for its userinfo.
    let provider = Provider::start(&module, "0", "one", true);
    let test = configured(&provider);
    let served = Served::start(&test);
    let home = format!("http://{}", served.address);
    let mut alice = Browser::default();
    let page = alice.get(&format!("{home}/"));
    assert!(
        page.status == 401 && page.text.contains("href=\"/login/oidc\""),
        "{}",
        page.text
    );
    let page = alice.get(&format!("{home}/login/oidc?next=%2Fwaiting"));
    assert!(
        page.url.as_str().starts_with(&provider.issuer),
        "{}",
        page.url
    );
    let page = alice.prove(page, "alice", false);
    assert_eq!(
        (page.url.path(), page.status),
        ("/login/callback", 200),
        "{}",
        page.text
    );
    assert!(page.text.contains("0;url=/waiting"), "{}", page.text);
    let page = alice.get(&format!("{home}/"));
    assert!(
        page.status == 200 && page.text.contains("alice@example.com"),
        "{}",
        page.text
    );
    // She is in the group that approves.
    let run = served.run(&served.owner, &json!({ "workflow": "asks" }));
    served.wait(&run, "waiting");
    let cookie = alice.cookie(&served);
    let shown = served
        .page(&cookie, &format!("/api/v1/runs/{run}"))
        .expect(200)
        .json();
    assert_eq!(shown["asks"][0]["may_answer"]["ok"], true, "{shown:#}");
    let digest = shown["asks"][0]["digest"].as_str().expect("one").to_owned();
    let fields = [("step", "gate"), ("digest", digest.as_str())];
    served
        .submit(&cookie, &format!("/runs/{run}/approve"), &fields)
        .expect(303);
    let done = served.wait(&run, "succeeded");
    assert_eq!(
        done["steps"][0]["outputs"]["approved_by"],
        "alice@example.com"
    );
    let events = served
        .get(&served.owner, &format!("/api/v1/runs/{run}/events"))
        .body;
    assert!(
        events.contains(&format!("OpenID Connect {}, browser", provider.issuer)),
        "{events}"
    );
    // Bob is staff, and eve's address is not verified.
    let mut bob = Browser::default();
    let page = bob.get(&format!("{home}/login/oidc"));
    bob.prove(page, "bob", false);
    let bobs = served
        .page(&bob.cookie(&served), "/api/v1/whoami")
        .expect(200)
        .json();
    assert_eq!(
        bobs["granted"],
        json!([{ "role": "operator", "scope": "workflows asks" }])
    );
    let mut eve = Browser::default();
    let page = eve.get(&format!("{home}/login/oidc"));
    let page = eve.prove(page, "eve", false);
    assert!(
        page.status == 401 && page.text.contains("not verified"),
        "{}",
        page.text
    );
}

#[test]
fn a_login_is_for_the_browser_that_began_it_and_once() {
    let Some(module) = module() else { return };
    let provider = Provider::start(&module, "0", "one", false);
    let test = configured(&provider);
    let served = Served::start(&test);
    let begin = format!("http://{}/login/oidc", served.address);
    let mut mallory = Browser::default();
    let page = mallory.get(&begin);
    // What the provider would lead mallory back with, in another browser.
    let back = mallory.prove(page, "bob", true).url;
    assert_eq!(back.path(), "/login/callback");
    let mut alice = Browser::default();
    let page = alice.get(back.as_str());
    assert!(
        page.status == 401 && page.text.contains("did not start in this browser"),
        "{}",
        page.text
    );
    // It is still mallory's own, once.
    assert_eq!(mallory.get(back.as_str()).status, 200);
    assert_eq!(mallory.get(back.as_str()).status, 401, "it was used up");
    // Without a state, with another one, and with another issuer.
    let page = mallory.begin(&begin);
    let back = mallory.prove(page, "bob", true).url;
    let path = |change: &dyn Fn(&str, &str) -> Option<String>| {
        let pairs = back.query_pairs();
        let pairs = pairs.filter_map(|(name, value)| Some((name.clone(), change(&name, &value)?)));
        let query: Vec<_> = pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        format!(
            "http://{}/login/callback?{}",
            served.address,
            query.join("&")
        )
    };
    let without = path(&|name, value| (name != "state").then(|| value.to_owned()));
    let other = path(&|name, value| Some(if name == "state" { "00" } else { value }.to_owned()));
    for address in [without, other] {
        assert_eq!(mallory.get(&address).status, 401, "{address}");
    }
    let issuer =
        path(&|name, value| Some(if name == "iss" { "http://evil" } else { value }.to_owned()));
    assert_eq!(mallory.get(&issuer).status, 401);
}

#[test]
fn a_terminal_logs_in_with_a_device_code_and_keys_may_change() {
    let Some(module) = module() else { return };
    let provider = Provider::start(&module, "0", "one", false);
    let test = configured(&provider);
    let served = Served::start(&test);
    let here = Test::new().file("asks.yaml", ASKS);
    let home = here.path("home");
    let command = |arguments: &[&str]| {
        let mut command = here.command(arguments);
        command
            .env("XDG_CONFIG_HOME", &home)
            .env("WINDLASS_SERVER", format!("http://{}", served.address));
        command
    };
    let log_in = |name: &str| {
        let mut login = command(&["login"]);
        let mut login = login
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let mut lines = BufReader::new(login.stderr.take().expect("piped")).lines();
        let mut whole = lines.by_ref().map_while(Result::ok);
        let address = whole.find_map(|line| Some(line.strip_prefix("or open ")?.to_owned()));
        let mut browser = Browser::default();
        let page = browser.get(&address.expect("an address"));
        browser.prove(page, name, false);
        let said: Vec<_> = lines.map_while(Result::ok).collect();
        assert_eq!(login.wait().expect("ended").code(), Some(0), "{said:?}");
        assert!(
            said.join(" ").contains(&format!("as {name}@example.com")),
            "{said:?}"
        );
    };
    let token = || {
        let kept = std::fs::read_to_string(home.join("windlass/credentials.json")).expect("kept");
        let kept: Json = serde_json::from_str(&kept).expect("JSON");
        let entry = kept["servers"]
            .as_object()
            .and_then(|all| all.values().next())
            .cloned();
        entry.expect("one")["token"]
            .as_str()
            .expect("a token")
            .to_owned()
    };
    log_in("alice");
    let ran = Ran::from_output(
        command(&["run", "asks.yaml", "--detach"])
            .output()
            .expect("started"),
    );
    let run = ran.expect(0).stdout.trim().to_owned();
    served.wait(&run, "waiting");
    let ran = Ran::from_output(
        command(&["approve", &run, "gate"])
            .output()
            .expect("started"),
    );
    ran.expect(0);
    served.wait(&run, "succeeded");
    // Tokens that are not: each is refused, whatever route.
    let good = token();
    served.get(&good, "/api/v1/whoami").expect(200);
    let parts: Vec<_> = good.split('.').collect();
    let encoded = |json: Json| data_encoding::BASE64URL_NOPAD.encode(json.to_string().as_bytes());
    let decoded = |part: &str| -> Json {
        let bytes = data_encoding::BASE64URL_NOPAD
            .decode(part.as_bytes())
            .expect("base64");
        serde_json::from_slice(&bytes).expect("JSON")
    };
    let (head, mut claims) = (decoded(parts[0]), decoded(parts[1]));
    claims["email"] = json!("root@example.com");
    let mut bad = vec![
        format!("{}.{}.{}", parts[0], encoded(claims.clone()), parts[2]),
        format!(
            "{}.{}.",
            encoded(json!({ "alg": "none" })),
            encoded(claims.clone())
        ),
        format!(
            "{}.{}.{}",
            encoded(json!({ "alg": "HS256", "kid": head["kid"] })),
            parts[1],
            parts[2]
        ),
        format!(
            "{}.{}.{}",
            encoded(json!({ "alg": "ES256", "kid": "unknown" })),
            parts[1],
            parts[2]
        ),
        format!(
            "{}.{}.{}",
            encoded(json!({ "alg": "ES256", "kid": "rsa" })),
            parts[1],
            parts[2]
        ),
        "a.b.c".to_owned(),
    ];
    // Of another provider, whose tokens are as good as these.
    let other = Provider::start(&module, "0", "one", false);
    let theirs = device_token(&other, "windlass-cli", "alice");
    bad.push(theirs);
    // Of the same provider, for another program.
    bad.push(device_token(&provider, "another-app", "alice"));
    let mut tried = 0;
    for (method, path, needs) in windlass::desk::routes() {
        if needs == windlass::desk::Needs::Nothing {
            continue;
        }
        let at = path
            .replace("{run}", &run)
            .replace("{workflow}", "asks")
            .replace("{session}", "00");
        for token in &bad {
            let headers = [
                ("Authorization", bearer(token)),
                ("Content-Type", "application/json".into()),
            ];
            let headers: Vec<_> = headers
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let answer = served.send(method.as_str(), &at, &headers, "{}");
            assert_eq!(answer.status, 401, "{method} {at} {token}: {}", answer.body);
            tried += 1;
        }
    }
    println!("{tried} combinations of a route and a token that is not good: 0 let through");
    // The provider begins to sign with another key.
    let port = provider.port();
    drop(provider);
    let _provider = Provider::start(&module, &port, "two", false);
    log_in("bob");
    served.get(&token(), "/api/v1/whoami").expect(200);
}

/// An ID token that the provider gives for a client.
fn device_token(provider: &Provider, client: &str, name: &str) -> String {
    let mut browser = Browser::default();
    let issuer = &provider.issuer;
    let scope = "openid email groups";
    let begun = browser.post(
        format!("{issuer}/device/auth").parse().expect("an address"),
        &[("client_id", client), ("scope", scope)],
    );
    let begun: Json =
        serde_json::from_str(&begun.text).unwrap_or_else(|e| panic!("{e}: {}", begun.text));
    let whole = begun["verification_uri_complete"]
        .as_str()
        .unwrap_or_else(|| panic!("no address in {begun}"));
    let page = browser.get(whole);
    browser.prove(page, name, false);
    let tokens = browser.post(
        format!("{issuer}/token").parse().expect("an address"),
        &[
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            (
                "device_code",
                begun["device_code"].as_str().expect("a code"),
            ),
            ("client_id", client),
        ],
    );
    let tokens: Json = serde_json::from_str(&tokens.text).expect("JSON");
    tokens["id_token"]
        .as_str()
        .unwrap_or_else(|| panic!("{tokens}"))
        .to_owned()
}
