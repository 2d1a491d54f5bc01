//! Who is told what: receivers that fail half the time, a server that is killed in the middle.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use aws_lc_rs::hmac;
use serde_json::{Value as Json, json};

use super::server::{Served, until};
use crate::harness::Test;

const SECRET: &str = "what bodies are signed with";

/// It fails with a text that a receiver could take for more than a text.
const FAILS: &str = "workflow: fails
params: { password: secret? }
steps:
  a:
    with: { p: \"${{ params.password }}\" }
    run: \"throw `<!channel> [x](y)`\"
";
const OK: &str = "workflow: ok\nsteps: { a: { run: \"#{}\" } }\n";
const ASKS: &str = "workflow: asks\nsteps: { answer: { approval: Go on?, timeout: 30m } }\n";

/// What a receiver got.
#[derive(Clone, Debug)]
pub struct Got {
    path: String,
    headers: BTreeMap<String, String>,
    pub body: String,
    /// Whether its sender learnt that it was accepted.
    is_known: bool,
}

/// A server that answers as a number of each request says.
pub struct Receiver {
    pub address: String,
    got: Arc<Mutex<Vec<Got>>>,
    asked: Arc<AtomicU64>,
}

/// How a receiver treats a request.
#[derive(Clone, Copy, PartialEq)]
pub enum Treats {
    Accepts,
    /// 503, before it takes anything.
    Refuses,
    /// Closes the connection before it takes anything.
    Drops,
    /// Takes it, and its answer is lost.
    Loses,
}

/// Half of the requests fail, in no order that a pause would fall in with.
fn half(number: u64) -> Treats {
    match (number.wrapping_mul(2_654_435_761) >> 7) % 6 {
        0 => Treats::Refuses,
        1 => Treats::Drops,
        2 => Treats::Loses,
        _ => Treats::Accepts,
    }
}

impl Receiver {
    pub fn start(treats: fn(u64) -> Treats) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (got, asked) = (
            Arc::<Mutex<Vec<Got>>>::default(),
            Arc::<AtomicU64>::default(),
        );
        let (kept, count) = (got.clone(), asked.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let how = treats(count.fetch_add(1, Ordering::Relaxed));
                serve(stream, how, &kept);
            }
        });
        Self {
            address,
            got,
            asked,
        }
    }

    /// How many requests it got.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    pub fn got(&self) -> Vec<Got> {
        self.got.lock().expect("whole").clone()
    }
}

fn serve(mut stream: TcpStream, how: Treats, kept: &Mutex<Vec<Got>>) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    if how == Treats::Drops {
        return;
    }
    let Some((path, headers, body)) = request(&stream) else {
        return;
    };
    if how == Treats::Refuses {
        let _ = stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy");
        return;
    }
    kept.lock().expect("whole").push(Got {
        path,
        headers,
        body,
        is_known: how == Treats::Accepts,
    });
    if how == Treats::Accepts {
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    }
}

/// Reads a whole request: its path, its headers and its body.
fn request(stream: &TcpStream) -> Option<(String, BTreeMap<String, String>, String)> {
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    lines.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        lines.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    lines.read_exact(&mut body).ok()?;
    Some((path, headers, String::from_utf8(body).ok()?))
}

/// Waits until so many notices are listed, and none is queued.
pub fn empty(served: &Served, count: usize) -> Json {
    let look = || {
        served
            .get(&served.owner, "/api/v1/notifications?limit=500")
            .expect(200)
            .json()
    };
    until("an empty outbox", || {
        let shown = look();
        let mut queues = shown["queues"].as_array()?.iter();
        let is_read = shown["notifications"].as_array()?.len() >= count;
        (is_read && queues.all(|queue| queue["queued"] == 0)).then_some(())
    });
    // The list is read before the queues are counted.
    look()
}

#[test]
fn receivers_that_fail_half_the_time_get_everything_in_order_through_a_kill() {
    let receivers = [Receiver::start(half), Receiver::start(half)];
    let config = format!(
        "[notify]\nurl = \"https://windlass.example/\"\n\
         [[notify.receivers]]\nname = \"one\"\non = [\"succeeded\"]\nwebhook = {{ url = \"http://{}/one\", secret_file = \"secret\" }}\n\
         [[notify.receivers]]\nname = \"two\"\non = [\"succeeded\", \"failed\"]\nslack = {{ url = \"http://{}/two\" }}\n",
        receivers[0].address, receivers[1].address
    );
    let test = Test::new()
        .file("ok.yaml", OK)
        .private("secret", SECRET)
        .file("windlass.toml", &config);
    let mut served = Served::start(&test);
    let mut runs = Vec::new();
    for round in 0..3 {
        for _ in 0..5 {
            let run = served.run(&served.owner, &json!({ "workflow": "ok" }));
            served.wait(&run, "succeeded");
            runs.push(run);
        }
        // In the middle: some are sent, some are not, and some have not even been read of the journal.
        served.kill();
        if round == 1 {
            // One that ends while no server runs.
            test.windlass(&["run", "ok.yaml"]).expect(0);
            runs.push(test.shown()["run"].as_str().expect("an id").to_owned());
        }
        served = Served::start(&test);
    }
    let shown = empty(&served, 2 * runs.len());
    let (mut attempts, mut doubled, mut lost_answers) = (0, 0, 0);
    for (receiver, name) in receivers.iter().zip(["one", "two"]) {
        let got = receiver.got();
        attempts += receiver.asked.load(Ordering::Relaxed);
        lost_answers += got.iter().filter(|got| !got.is_known).count();
        let run_of = |got: &Got| {
            let found = runs.iter().find(|run| got.body.contains(run.as_str()));
            found
                .unwrap_or_else(|| panic!("{name} got {got:?}"))
                .clone()
        };
        // Nothing lost, and in the order in which the runs ended.
        let mut order: Vec<String> = Vec::new();
        for (i, got) in got.iter().enumerate() {
            let run = run_of(got);
            if order.last() == Some(&run) {
                doubled += 1;
                continue;
            }
            assert!(
                !order.contains(&run),
                "{name} got {run} again after another one, as number {i}"
            );
            order.push(run);
        }
        assert_eq!(order, runs, "{name}");
    }
    let sent = shown["notifications"].as_array().expect("a list");
    assert_eq!(sent.len(), 2 * runs.len());
    assert!(sent.iter().all(|one| one["state"] == "sent"), "{shown:#}");
    println!(
        "{} notices for each of 2 receivers: {attempts} requests, {lost_answers} answers lost, {doubled} doubled, 0 lost, order kept; 3 kills",
        runs.len()
    );
    // A kill between an answer and its note is a lost answer, too: at most one for each receiver and kill.
    assert!(
        doubled <= lost_answers + 6,
        "{doubled} doubled, {lost_answers} answers lost"
    );
    assert!(
        attempts as usize > 2 * runs.len() * 4 / 3,
        "the receivers failed too rarely to tell: {attempts}"
    );

    let first = &receivers[0].got()[0];
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let hex = first.headers["x-hub-signature-256"]
        .strip_prefix("sha256=")
        .expect("a scheme");
    let tag = data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hex");
    hmac::verify(&key, first.body.as_bytes(), &tag).expect("signed");
    let body: Json = serde_json::from_str(&first.body).expect("JSON");
    assert_eq!(body["id"], first.headers["x-windlass-delivery"].as_str());
    assert_eq!(
        (&body["kind"], &body["title"]),
        (&json!("succeeded"), &json!("ok on local succeeded"))
    );
    assert_eq!(
        body["url"],
        format!("https://windlass.example/runs/{}", runs[0])
    );
    // What came twice has one id, so a receiver can tell.
    let ids: BTreeSet<_> = receivers[0]
        .got()
        .iter()
        .map(|got| got.headers["x-windlass-delivery"].clone())
        .collect();
    assert_eq!(ids.len(), runs.len());
}

#[test]
fn each_kind_of_receiver_gets_what_it_documents_and_nothing_secret() {
    let receiver = Receiver::start(|_| Treats::Accepts);
    let at = |path: &str| format!("http://{}/{path}", receiver.address);
    let config = format!(
        "[notify]\nurl = \"https://windlass.example\"\n\
         [[notify.receivers]]\nname = \"hook\"\nwebhook = {{ url = \"{}\" }}\n\
         [[notify.receivers]]\nname = \"slack\"\nslack = {{ url_file = \"slack.url\" }}\n\
         [[notify.receivers]]\nname = \"teams\"\nteams = {{ url = \"{}\" }}\n\
         [[notify.receivers]]\nname = \"pager\"\non = [\"failed\"]\npagerduty = {{ routing_key_file = \"key\", url = \"{}\" }}\n\
         [[notify.receivers]]\nname = \"others\"\nworkflows = [\"other\"]\nwebhook = {{ url = \"{}\" }}\n",
        at("hook"),
        at("teams"),
        at("pager"),
        at("others"),
    );
    let test = Test::new()
        .file("fails.yaml", FAILS)
        .file("asks.yaml", ASKS)
        .file("ok.yaml", OK)
        .private("slack.url", &format!("{}\n", at("slack-T000-B000-secret")))
        .private("key", "R0UT1NGKEY\n")
        .file("windlass.toml", &config);
    let served = Served::start(&test);
    for (workflow, status) in [
        ("ok", "succeeded"),
        ("fails", "failed"),
        ("asks", "waiting"),
    ] {
        let params = match workflow {
            "fails" => json!({ "password": "hunter2-hunter2" }),
            _ => json!({}),
        };
        let body = json!({ "workflow": workflow, "params": params });
        let run = served.run(&served.owner, &body);
        served.wait(&run, status);
    }
    // Three of four kinds are told of the failure and of the question, none of what went well, and the pager of the failure alone.
    until("all of them", || (receiver.got().len() >= 7).then_some(()));
    let shown = empty(&served, 7);
    let got = receiver.got();
    assert_eq!(got.len(), 7, "{got:#?}");
    let of = |path: &str| -> Vec<Json> {
        let got = got.iter().filter(|got| got.path == format!("/{path}"));
        got.map(|got| serde_json::from_str(&got.body).expect("JSON"))
            .collect()
    };
    let hook = of("hook");
    assert_eq!(
        (&hook[0]["kind"], &hook[1]["kind"]),
        (&json!("failed"), &json!("waiting"))
    );
    assert_eq!(hook[0]["text"], "a: <!channel> [x](y)");
    assert!(
        hook[1]["text"]
            .as_str()
            .expect("text")
            .starts_with("Go on?\nThe question expires at "),
        "{}",
        hook[1]
    );
    let slack = &of("slack-T000-B000-secret")[0];
    assert_eq!(
        slack["blocks"][1]["text"]["text"],
        "a: &lt;!channel&gt; [x](y)"
    );
    let teams = &of("teams")[0]["attachments"][0];
    assert_eq!(
        teams["contentType"],
        "application/vnd.microsoft.card.adaptive"
    );
    assert_eq!(
        teams["content"]["body"][1]["text"],
        "a: <!channel> \\[x\\](y)"
    );
    let pager = &of("pager")[0];
    assert_eq!(
        (&pager["routing_key"], &pager["event_action"]),
        (&json!("R0UT1NGKEY"), &json!("trigger"))
    );
    assert_eq!(pager["payload"]["summary"], "fails on local failed");
    // Nothing secret is kept or shown: neither of a run nor of a receiver.
    let cookie = served.log_in(&served.owner);
    let page = served.page(&cookie, "/notifications").expect(200).body;
    assert!(page.contains("fails on local failed"), "{page}");
    let kept = ["serve.db", "serve.db-wal"]
        .map(|name| std::fs::read(test.path(&format!(".windlass/{name}"))).unwrap_or_default());
    let kept: String = kept
        .iter()
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .collect();
    assert!(kept.contains("fails on local failed"));
    for secret in ["hunter2", "R0UT1NGKEY", "T000-B000"] {
        for place in [&page, &shown.to_string(), &kept] {
            assert!(!place.contains(secret), "{secret}");
        }
    }
}

#[test]
fn what_a_receiver_refuses_is_shown_and_not_followed() {
    // Its redirect leads to the other one.
    let other = Receiver::start(|_| Treats::Accepts);
    let target = other.address.clone();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = request(&stream);
            let answer = format!(
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{target}/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let config = format!(
        "[[notify.receivers]]\nname = \"moved\"\non = [\"succeeded\"]\nwebhook = {{ url = \"http://{address}/token-0123\" }}\n\
         [[notify.receivers]]\nname = \"metadata\"\non = [\"succeeded\"]\nwebhook = {{ url = \"http://169.254.169.254/latest\" }}\n"
    );
    let test = Test::new()
        .file("ok.yaml", OK)
        .file("windlass.toml", &config);
    let served = Served::start(&test);
    let run = served.run(&served.owner, &json!({ "workflow": "ok" }));
    served.wait(&run, "succeeded");
    let shown = until("two errors", || {
        let shown = served
            .get(&served.owner, "/api/v1/notifications?state=queued")
            .expect(200)
            .json();
        let all = shown["notifications"].as_array()?.clone();
        (all.len() == 2
            && all
                .iter()
                .all(|one| one["error"].is_string() && one["next_at"].is_i64()))
        .then_some(all)
    });
    let error = |name: &str| {
        let one = shown
            .iter()
            .find(|one| one["receiver"] == name)
            .expect("there");
        one["error"].as_str().expect("text").to_owned()
    };
    assert_eq!(
        error("moved"),
        "it answered 307 Temporary Redirect: redirects are not followed"
    );
    assert_eq!(
        error("metadata"),
        "connections to the addresses of 169.254.169.254 are not allowed"
    );
    assert_eq!(other.got().len(), 0);
    let metrics = served.get(&served.owner, "/metrics").expect(200).body;
    assert!(
        metrics.contains("windlass_notifications_queued{receiver=\"moved\",channel=\"webhook\"} 1"),
        "{metrics}"
    );
    served
        .get(&served.owner, "/api/v1/notifications?state=lost")
        .expect(400);
    served.kill();
    // A receiver that is taken out of the configuration is not waited for.
    test.write(
        "windlass.toml",
        "[[notify.receivers]]\nname = \"new\"\nwebhook = { url = \"http://127.0.0.1:1/\" }\n",
    );
    let served = Served::start(&test);
    let shown = served
        .get(&served.owner, "/api/v1/notifications?state=given_up")
        .expect(200)
        .json();
    assert_eq!(shown["notifications"].as_array().expect("a list").len(), 2);
    assert_eq!(shown["queues"][0]["queued"], 0, "{shown:#}");
    served.kill();
    test.write(
        "windlass.toml",
        "[[notify.receivers]]\nname = \"a\"\nslack = { url_file = \"nowhere\" }\n",
    );
    let refused = test
        .windlass(&["serve", "--listen", "127.0.0.1:0"])
        .expect(2);
    refused.says("the receiver `a`: can't read");
}

/// A small SMTP server with STARTTLS (RFC 5321, RFC 3207) that fails half the time, at one command or another.
struct Mailbox {
    port: u16,
    got: Arc<Mutex<Vec<String>>>,
    sessions: Arc<AtomicU64>,
    /// How many messages were taken whose sender did not learn it.
    lost_answers: Arc<AtomicU64>,
}

impl Mailbox {
    fn start(tls: Arc<rustls::ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let this = Self {
            port,
            got: Arc::default(),
            sessions: Arc::default(),
            lost_answers: Arc::default(),
        };
        let (got, sessions, lost) = (
            this.got.clone(),
            this.sessions.clone(),
            this.lost_answers.clone(),
        );
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let number = sessions.fetch_add(1, Ordering::Relaxed);
                let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
                let _ = session(stream, &tls, half(number), number, &got, &lost);
            }
        });
        this
    }
}

fn session(
    mut plain: TcpStream,
    tls: &Arc<rustls::ServerConfig>,
    how: Treats,
    number: u64,
    got: &Mutex<Vec<String>>,
    lost: &AtomicU64,
) -> std::io::Result<()> {
    plain.write_all(b"220 mail.example ESMTP\r\n")?;
    loop {
        let line = command(&mut plain)?;
        match line.split(' ').next().unwrap_or_default() {
            "EHLO" => plain.write_all(b"250-mail.example\r\n250 STARTTLS\r\n")?,
            "STARTTLS" => break plain.write_all(b"220 go ahead\r\n")?,
            // Not in the clear.
            _ => plain.write_all(b"530 must issue STARTTLS first\r\n")?,
        }
    }
    if how == Treats::Drops {
        return Ok(());
    }
    let connection = rustls::ServerConnection::new(tls.clone()).map_err(std::io::Error::other)?;
    let mut stream = rustls::StreamOwned::new(connection, plain);
    loop {
        let line = command(&mut stream)?;
        let answer: &[u8] = match line.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => b"250-mail.example\r\n250 AUTH PLAIN\r\n",
            "AUTH" if line.ends_with("AGFsZXJ0cwBwYXNz") => b"235 welcome\r\n",
            "AUTH" => b"535 wrong\r\n",
            "MAIL" if how == Treats::Refuses && number.is_multiple_of(2) => {
                b"451 try again later\r\n"
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n")?;
                let mut text = String::new();
                loop {
                    let line = command(&mut stream)?;
                    if line == "." {
                        break;
                    }
                    text.push_str(&line);
                    text.push('\n');
                }
                if how == Treats::Refuses {
                    stream.write_all(b"452 no room\r\n")?;
                    continue;
                }
                got.lock().expect("whole").push(text);
                if how == Treats::Loses {
                    lost.fetch_add(1, Ordering::Relaxed);
                    return Ok(());
                }
                b"250 taken\r\n"
            }
            "QUIT" => return stream.write_all(b"221 bye\r\n"),
            _ => b"250 ok\r\n",
        };
        stream.write_all(answer)?;
    }
}

/// Reads a line, byte by byte: what follows it may be for TLS.
fn command(stream: &mut impl Read) -> std::io::Result<String> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while !line.ends_with(b"\r\n") {
        stream.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    line.truncate(line.len() - 2);
    Ok(String::from_utf8_lossy(&line).into_owned())
}

#[test]
fn e_mails_arrive_over_tls_from_a_server_that_fails_half_the_time() {
    let signed =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der())
        .expect("a key");
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .expect("a configuration");
    let mailbox = Mailbox::start(Arc::new(tls));
    let config = format!(
        "[notify]\nurl = \"https://windlass.example\"\n[[notify.receivers]]\nname = \"mail\"\non = [\"succeeded\"]\n\
         email = {{ host = \"localhost\", port = {}, ca_file = \"ca.pem\", user = \"alerts\", password_file = \"password\", \
         from = \"Windlass <windlass@example.com>\", to = [\"ops@example.com\", \"sec@example.com\"] }}\n",
        mailbox.port
    );
    let test = Test::new()
        .file("ok.yaml", OK)
        .file("ca.pem", &signed.cert.pem())
        .private("password", "pass\n")
        .file("windlass.toml", &config);
    let served = Served::start(&test);
    let mut runs = Vec::new();
    for _ in 0..8 {
        let run = served.run(&served.owner, &json!({ "workflow": "ok" }));
        served.wait(&run, "succeeded");
        runs.push(run);
    }
    let shown = empty(&served, runs.len());
    assert_eq!(shown["queues"][0]["sent"], 8, "{shown:#}");
    let got = mailbox.got.lock().expect("whole").clone();
    let ids = |text: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix("Message-ID: ").map(str::to_owned))
    };
    let mut order: Vec<String> = got
        .iter()
        .map(|text| {
            runs.iter()
                .find(|run| text.contains(run.as_str()))
                .expect("of a run")
                .clone()
        })
        .collect();
    let doubled = got.len() - runs.len();
    order.dedup();
    assert_eq!(order, runs);
    let distinct: BTreeSet<_> = got.iter().map(|text| ids(text).expect("an id")).collect();
    assert_eq!(distinct.len(), runs.len(), "one that came twice has one id");
    let lost = mailbox.lost_answers.load(Ordering::Relaxed);
    let sessions = mailbox.sessions.load(Ordering::Relaxed);
    println!(
        "8 e-mails: {sessions} sessions, {lost} answers lost, {doubled} doubled, 0 lost, order kept"
    );
    assert!(
        doubled as u64 <= lost,
        "{doubled} doubled, {lost} answers lost"
    );
    assert!(
        sessions > 10,
        "the server failed too rarely to tell: {sessions}"
    );
    let first = &got[0];
    for line in [
        "Subject: [windlass] ok on local succeeded",
        "From: Windlass <windlass@example.com>",
        "To: ops@example.com, sec@example.com",
    ] {
        assert!(first.contains(line), "{line}: {first}");
    }
    assert!(
        first.contains(&format!("https://windlass.example/runs/{}", runs[0])),
        "{first}"
    );
}

/// Refuses every login, and quotes the line with the password.
fn refuse_logins(listener: TcpListener) {
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"220 mail.example ESMTP\r\n");
            while let Ok(line) = command(&mut stream) {
                let answer = match line.split(' ').next().unwrap_or_default() {
                    "EHLO" => "250-mail.example\r\n250 AUTH PLAIN LOGIN\r\n".to_owned(),
                    _ => format!("535 no {line} \u{1b}[2J\r\n"),
                };
                let _ = stream.write_all(answer.as_bytes());
            }
        }
    });
}

#[test]
fn the_password_of_a_mail_server_is_not_shown_if_the_server_quotes_it() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    refuse_logins(listener);
    let config = format!(
        "[[notify.receivers]]\nname = \"mail\"\non = [\"succeeded\"]\n\
         email = {{ host = \"127.0.0.1\", port = {port}, tls = \"never\", user = \"u\", password_file = \"password\", \
         from = \"windlass@example.com\", to = [\"ops@example.com\"] }}\n"
    );
    let test = Test::new()
        .file("ok.yaml", OK)
        .private("password", "smtp-Passw0rd-77\n")
        .file("windlass.toml", &config);
    let served = Served::start(&test);
    let run = served.run(&served.owner, &json!({ "workflow": "ok" }));
    served.wait(&run, "succeeded");
    let shown = super::server::until("the refusal", || {
        let shown = served
            .get(&served.owner, "/api/v1/notifications")
            .expect(200);
        shown.body.contains("535").then_some(shown.body)
    });
    // The base64 of `\0u\0smtp-Passw0rd-77`, and the password itself.
    for secret in ["AHUAc210cC1QYXNzdzByZC03Nw", "smtp-Passw0rd-77", "\\u001b"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
        assert!(!served.said().contains(secret), "{secret} in the log");
    }
    assert!(shown.contains("‹secret›"), "{shown}");
}
