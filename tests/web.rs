//! Web servers as they are: bodies of any kind, redirects, and what of a request they get to see.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Value, json};

use crate::harness::{Ran, Test};

/// A server that answers as it is told, and remembers what it was asked.
pub struct Web {
    port: u16,
    seen: Arc<Mutex<Vec<Request>>>,
}

#[derive(Clone, Debug)]
pub struct Request {
    /// Method, target and headers, as they came.
    pub head: String,
    pub body: Vec<u8>,
}

impl Request {
    pub fn path(&self) -> &str {
        let target = self.head.split(' ').nth(1).unwrap_or_default();
        target.split('?').next().unwrap_or_default()
    }
}

impl Web {
    pub fn open(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (seen, answer) = (Arc::<Mutex<Vec<Request>>>::default(), Arc::new(answer));
        let asked = seen.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (asked, answer) = (asked.clone(), answer.clone());
                thread::spawn(move || {
                    let mut reader = BufReader::new(client);
                    let request = read(&mut reader)?;
                    let answer = answer(&request);
                    let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
                    asked.push(request);
                    drop(asked);
                    reader.get_mut().write_all(&answer).ok()
                });
            }
        });
        Self { port, seen }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What it was asked, oldest first.
    pub fn seen(&self) -> Vec<Request> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clone()
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let from = head.len();
        reader.read_line(&mut head).ok()?;
        let line = head[from..].to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" || line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { head, body })
}

fn answer(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut answer = format!(
        "HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    )
    .into_bytes();
    answer.extend(body);
    answer
}

/// Runs an inline body on a target that allows this machine, with the secret param `token`.
fn run(test: &Test, body: &str, arguments: &[&str]) -> Ran {
    let body: String = body.lines().map(|line| format!("      {line}\n")).collect();
    test.write(
        "w.yaml",
        &format!("workflow: w\nparams: {{ token: secret? }}\nsteps:\n  s:\n    with: {{ token: \"${{{{ params.token }}}}\" }}\n    run: |\n{body}outputs: {{ all: \"${{{{ steps.s }}}}\" }}\n"),
    );
    test.write(
        "windlass.toml",
        "[targets.t]\nhttp = { allow = [\"127.0.0.1\"] }\n",
    );
    test.windlass(&[&["run", "w.yaml", "--target", "t"], arguments].concat())
}

fn outputs(test: &Test, body: &str) -> Value {
    run(test, body, &[]).expect(0);
    test.windlass(&["outputs", "--json"]).expect(0).json()["all"].clone()
}

/// What curl makes of an answer.
fn curl(url: &str) -> Vec<u8> {
    let output = Command::new("curl")
        .args(["-s", "--compressed", "--noproxy", "*", url])
        .output()
        .expect("curl is installed (apt-get install curl)");
    output.stdout
}

const WORDS: &str = "windlass windlass windlass: grün\n";
const ENCODED: [(&str, &str); 2] = [
    (
        "gzip",
        "1f8b08000000000000032bcfcc4bc9492c2e562847675829a4171dde93c705002437d69d22000000",
    ),
    (
        "deflate",
        "789c2bcfcc4bc9492c2e562847675829a4171dde93c70500edfc0d9a",
    ),
];

/// A server of bodies.
fn library() -> Web {
    Web::open(|request| {
        let every_byte: Vec<u8> = (0..=255).collect();
        let path = request.path().to_owned();
        if let Some((encoding, hex)) = ENCODED.iter().find(|(e, _)| path == format!("/{e}")) {
            let body = HEXLOWER.decode(hex.as_bytes()).expect("hex");
            let headers = format!("Content-Type: text/plain\r\nContent-Encoding: {encoding}\r\n");
            return answer(200, &headers, &body);
        }
        match path.as_str() {
            "/binary" => answer(200, "Content-Type: application/octet-stream\r\n", &every_byte),
            "/latin1" => answer(200, "Content-Type: text/plain; charset=iso-8859-1\r\n", b"gr\xfcn"),
            "/wrong" => answer(200, "Content-Type: text/plain; charset=utf-8\r\n", b"gr\xfcn"),
            "/odd" => answer(200, "Content-Encoding: compress\r\n", b"\x1f\x9d\x90"),
            "/damaged" => answer(200, "Content-Encoding: gzip\r\n", b"\x1f\x8b\x08\x00\x00garbage"),
            "/numbers" => answer(
                200,
                "Content-Type: application/json\r\n",
                br#"{"serial": 123456789012345678901234567890, "id": 18446744073709551615, "n": 7}"#,
            ),
            "/json" => answer(200, "Content-Type: text/plain\r\n", br#"{"a": 1}"#),
            "/page" => answer(200, "Content-Type: text/html\r\n", b"<html>"),
            "/large" => answer(200, "", &vec![0xff; 900_000]),
            "/echo" => answer(200, "", &request.body),
            _ => answer(404, "", b""),
        }
    })
}

#[test]
fn a8_bodies_are_exact_beside_curl() {
    let (web, test) = (library(), Test::new());
    let mut body = String::new();
    let kinds = ["binary", "gzip", "deflate", "latin1", "wrong"];
    for kind in kinds {
        let url = web.url(&format!("/{kind}"));
        body += &format!("file::write(\"{kind}\", http::get(\"{url}\").body_bytes);\n");
    }
    let latin = web.url("/latin1");
    body += &format!("file::write(\"text\", http::get(\"{latin}\").body);\n");
    let gzip = web.url("/gzip");
    body += &format!("#{{ gzip: http::get(\"{gzip}\").body, head: http::head(\"{gzip}\").body }}");
    assert_eq!(outputs(&test, &body), json!({ "gzip": WORDS, "head": "" }));
    for kind in kinds {
        let ours = fs::read(test.path(&format!("out/{kind}"))).expect("written");
        assert_eq!(ours, curl(&web.url(&format!("/{kind}"))), "{kind}");
    }
    assert_eq!(test.read("out/text"), "grün");
    assert_eq!(test.read("out/deflate"), WORDS);
}

#[test]
fn a8_a_body_that_is_no_text_is_refused_where_it_is_read() {
    let (web, test) = (library(), Test::new());
    for (path, why) in [
        (
            "/binary",
            "`body` is not valid UTF-8; `body_bytes` has the original bytes",
        ),
        ("/wrong", "`body` is not valid UTF-8"),
        (
            "/odd",
            "`body` has the encoding `compress`, which windlass does not decode",
        ),
    ] {
        let body = format!("let r = http::get(\"{}\");\nr.body", web.url(path));
        let ran = run(&test, &body, &[]).expect(1);
        assert!(flat(&ran.stderr).contains(why), "{path}: {}", ran.stderr);
        assert!(ran.stderr.contains("w.yaml:8:9"), "{path}: {}", ran.stderr);
    }
    let body = format!("http::get(\"{}\")", web.url("/damaged"));
    let ran = run(&test, &body, &[]).expect(1);
    ran.says("BadEncoding");
    // 900,000 bytes are 1.2 MB of base64, which the journal does not take: a failure that can be caught.
    let body = format!(
        "try {{ http::get(\"{}\"); }} catch (e) {{ return #{{ code: e.code }}; }}",
        web.url("/large")
    );
    assert_eq!(outputs(&test, &body), json!({ "code": "TooLarge" }));
}

/// Through the journal and back, to another step, and out again.
#[test]
fn a8_bytes_are_a_type() {
    let (web, test) = (library(), Test::new());
    test.write(
        "make.rhai",
        &format!(
            r#"const INPUTS = #{{}};
const OUTPUTS = #{{ bytes: "bytes", echo: "bytes", base64: "string", same: "bool", len: "int", part: "bytes" }};
fn run(inputs) {{
    let bytes = http::get("{}").body_bytes;
    let echo = http::post("{}", #{{ body: bytes }}).body_bytes;
    let read = file::read_bytes(sub_name());
    file::read("go");
    #{{ bytes: bytes, echo: echo, base64: base64::encode(bytes), len: bytes.len(), part: bytes.extract(254, 9),
       same: base64::decode_bytes(base64::encode(bytes)) == bytes && read == bytes && bytes[255] == 255 }}
}}
fn sub_name() {{ file::write("first", base64::decode_bytes("{}")); "first" }}
"#,
            web.url("/binary"),
            web.url("/echo"),
            BASE64.encode(&(0..=255).collect::<Vec<u8>>()),
        ),
    );
    test.write("use.rhai", "const INPUTS = #{ bytes: \"bytes\" };\nfn run(inputs) { file::write(\"second\", inputs.bytes); #{} }\n");
    test.write(
        "w.yaml",
        "workflow: w\nsteps:\n  a: { script: make.rhai }\n  b: { script: use.rhai, with: { bytes: \"${{ steps.a.echo }}\" } }\noutputs: { all: \"${{ steps.a }}\" }\n",
    );
    test.windlass(&["run", "w.yaml"]).expect(1);
    test.write("out/go", "");
    test.windlass(&["resume"]).expect(0);
    assert_eq!(web.seen().len(), 2, "what was recorded was not asked again");
    let every_byte: Vec<u8> = (0..=255).collect();
    assert_eq!(web.seen()[1].body, every_byte);
    let base64 = BASE64.encode(&every_byte);
    let all = test.windlass(&["outputs", "--json"]).expect(0).json()["all"].clone();
    assert_eq!(
        all,
        json!({ "bytes": base64, "echo": base64, "base64": base64, "same": true, "len": 256, "part": "/v8=" })
    );
    assert_eq!(
        fs::read(test.path("out/second")).expect("written"),
        every_byte
    );
    test.windlass(&["audit"]).expect(0);
    let joined = run(&test, "\"x\" + base64::decode_bytes(\"AA==\")", &[]).expect(1);
    joined.says("bytes can't be joined");
    let json = run(
        &test,
        "json::stringify(#{ a: [base64::decode_bytes(\"AA==\")] })",
        &[],
    );
    let json = flat(&json.expect(1).stderr);
    assert!(json.contains("at a[0]: JSON has no bytes"), "{json}");
}

#[test]
fn a8_a_keystore_is_a_secret_byte_by_byte() {
    let (web, test) = (library(), Test::new());
    let body = format!(
        "let r = http::get(\"{}\", #{{ secret_output: true }});\nfile::write_secret(\"k.p12\", r.body_bytes);\nfile::write_secret(\"again\", file::read_bytes(\"k.p12\"));\n#{{ bytes: r.body_bytes }}",
        web.url("/binary")
    );
    assert_eq!(outputs(&test, &body), json!({ "bytes": "‹secret›" }));
    let every_byte: Vec<u8> = (0..=255).collect();
    for name in ["out/k.p12", "out/again"] {
        assert_eq!(fs::read(test.path(name)).expect("written"), every_byte);
    }
    let logs = test.windlass(&["logs", "--json"]).expect(0).stdout;
    assert!(!logs.contains("AAECAwQF"), "its base64: {logs}");
}

/// A secret that is not text is used byte by byte, or refused; never as its base64.
#[test]
fn bytes_that_are_secret_are_never_taken_for_their_base64() {
    let test = Test::new();
    let own = "let k = base64::decode(inputs.token);\n";
    let token = ["-p", "token=//6AAQIDBAU="];
    let body = format!(
        "{own}file::write_secret(\"mac\", hash::hmac_sha256(k, \"hello\"));\nfile::write_secret(\"same\", hash::hmac_sha256(k, base64::decode_bytes(\"aGVsbG8=\")));\nfile::write_template(\"t\", \"a{{{{ k }}}}b\", #{{ k: k }});\nfile::write_secret(\"u\", url::encode(k));\n#{{ len: k.len() }}"
    );
    run(&test, &body, &token).expect(0);
    let read = |name: &str| fs::read(test.path(name)).expect("written");
    // printf hello | openssl dgst -sha256 -mac HMAC -macopt hexkey:fffe800102030405
    let mac = "8d9054f63d65b3eaf73aca5fcd89ff4223dbd04590f389073153ebe158e33d78";
    let written = String::from_utf8(read("out/mac")).expect("hex");
    assert_eq!(read("out/same"), read("out/mac"));
    assert_eq!(written.trim(), mac);
    assert_eq!(read("out/t"), b"a\xff\xfe\x80\x01\x02\x03\x04\x05b");
    assert_eq!(read("out/u"), b"%FF%FE%80%01%02%03%04%05");
    for use_ in [
        "`x${k}`",
        "k + \"x\"",
        "[k].to_string()",
        "k.contains(\"x\")",
        "k.split(\",\")",
        "json::stringify(#{ k: k })",
        "http::get(\"http://127.0.0.1:1/\", #{ headers: #{ \"x-key\": k } })",
        "http::post(\"http://127.0.0.1:1/\", #{ json: #{ k: k } })",
        "exec::run(\"sh\", [], #{ env: #{ K: k } })",
    ] {
        let ran = run(&test, &format!("{own}let used = {use_};"), &token).expect(1);
        assert!(ran.stderr.contains("bytes"), "{use_}: {}", ran.stderr);
    }
}

#[test]
fn what_a_request_can_not_say_is_refused() {
    let test = Test::new();
    for (request, said) in [
        (
            "http::get(\"http://u:p@127.0.0.1:1/\", #{ headers: #{ Authorization: \"Bearer x\" } })",
            "keep one of them",
        ),
        (
            "http::post(\"http://127.0.0.1:1/\", #{ headers: #{ \"Content-Length\": 100 }, body: \"x\" })",
            "the header `content-length` follows from the body",
        ),
        (
            "let config = #{}; http::post(\"http://127.0.0.1:1/\", #{ form: #{ a: config.a } })",
            "`form.a` must be a string, not nothing",
        ),
        (
            "http::get(\"http://127.0.0.1:1/\", #{ headers: #{ \"X-Token\": \"abc\\n\" } })",
            "the value of the header `X-Token` begins or ends with a line break: remove it with `text.trim()`",
        ),
        (
            "http::get(\"http://127.0.0.1:1/\", #{ headers: #{ \"a b\": 1 } })",
            "`a b` is not a valid name of a header",
        ),
        (
            "let user = \"..\"; http::get(\"http://127.0.0.1:1/\" + url::encode(user))",
            "`..` can't be one part of the path of a URL",
        ),
        (
            "let at = \"127.0.0.1:1/\"; http::put(\"http://127.0.0.1:1/\", #{ undo: #{ method: \"PUT\", url: at } })",
            "`undo`: `127.0.0.1:1/` is not a URL",
        ),
        (
            "http::put(\"http://127.0.0.1:1/\", #{ undo: #{ method: \"PUT\", url: \"http://127.0.0.1:1/\", ca: \"x\" } })",
            "`undo`: `ca`:",
        ),
        (
            "exec::run(\"sh\", [], #{ read: true, undo: [\"sh\"] })",
            "`read` and `undo` can't be combined",
        ),
        (
            "exec::run(\"sh\", [], #{ expect: [] })",
            "`expect` must be a list of exit codes from 0 to 255",
        ),
    ] {
        let ran = run(&test, &format!("{request};"), &[]).expect(1);
        assert!(
            flat(&ran.stderr).contains(said),
            "{request}: {}",
            ran.stderr
        );
    }
}

#[test]
fn a8_integers_are_exact_or_refused_everywhere() {
    let (web, test) = (library(), Test::new());
    let body = format!(
        "let j = http::get(\"{}\").json;\nlet y = yaml::parse(\"[18446744073709551616, 7]\");\n#{{ serial: j.serial, id: j.id, n: j.n, y: y, p: json::parse(\"[-9223372036854775809]\") }}",
        web.url("/numbers")
    );
    assert_eq!(
        outputs(&test, &body),
        json!({ "serial": "123456789012345678901234567890", "id": "18446744073709551615", "n": 7,
                "y": ["18446744073709551616", 7], "p": ["-9223372036854775809"] })
    );
    let toml = run(&test, "toml::parse(\"a = 18446744073709551616\")", &[]).expect(1);
    toml.says("line 1");
    test.write(
        "p.yaml",
        "workflow: p\nparams: { a: any, s: string, i: { type: int, default: 1 } }\nsteps: { x: { run: '#{ a: inputs.a, s: inputs.s }', with: { a: \"${{ params.a }}\", s: \"${{ params.s }}\" } } }\noutputs: { all: \"${{ steps.x }}\" }\n",
    );
    // In files and on the command line it is refused; in quotes it is a text.
    let large = "18446744073709551616";
    let (bare, quoted) = (format!("a={large}"), format!("a='{large}'"));
    let refused = ["run", "p.yaml", "-p", "s=x", "-p", &bare];
    let refused = test.windlass(&refused).expect(2);
    refused.says("does not fit into 64 bits");
    test.windlass(&["run", "p.yaml", "-p", "s=x", "-p", &quoted])
        .expect(0);
    let all = test.windlass(&["outputs", "--json"]).expect(0).json()["all"].clone();
    assert_eq!(all, json!({ "a": large, "s": "x" }));
}

#[test]
fn a8_yaml_documents_and_tags_are_not_dropped() {
    let test = Test::new();
    for (text, why) in [
        (
            "a: 1\\n---\\nb: 2\\n",
            "line 2, column 1: a second document begins here (`yaml::parse_all`",
        ),
        (
            "a: !vault x\\n",
            "line 1, column 4: the tag `!vault` has no meaning here",
        ),
        (
            "a: 1\\na: 2\\n",
            "line 2, column 1: the key `a` is defined twice",
        ),
    ] {
        let ran = run(&test, &format!("yaml::parse(\"{text}\")"), &[]).expect(1);
        assert!(flat(&ran.stderr).contains(why), "{why}: {}", ran.stderr);
    }
    let all = outputs(&test, "#{ all: yaml::parse_all(\"a: 1\\n---\\nb: 2\\n\") }");
    assert_eq!(all, json!({ "all": [{ "a": 1 }, { "b": 2 }] }));
    test.write("params.yaml", "token: x\n---\ntoken: y\n");
    let ran = run(&test, "#{}", &["--params", "params.yaml"]).expect(2);
    assert!(
        flat(&ran.stderr).contains("more than one YAML document"),
        "{}",
        ran.stderr
    );
}

#[test]
fn e9_json_is_parsed_when_it_is_asked_for_and_scalars_are_taken() {
    let (web, test) = (library(), Test::new());
    let body = format!(
        "let r = http::get(\"{}\", #{{ query: #{{ n: 5, on: true, x: 1.5, s: \"a b\" }}, headers: #{{ depth: 2 }} }});\n#{{ a: r.json.a, keys: r.keys() }}",
        web.url("/json")
    );
    assert_eq!(
        outputs(&test, &body),
        json!({ "a": 1, "keys": ["body", "body_bytes", "headers", "json", "status"] })
    );
    let head = &web.seen()[0].head;
    assert!(
        head.starts_with("GET /json?n=5&on=true&s=a%20b&x=1.5 HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("depth: 2\r\n"), "{head}");
    let body = format!("http::get(\"{}\").json", web.url("/page"));
    let ran = run(&test, &body, &[]).expect(1);
    let why =
        "`body` is not JSON (its content type is `text/html`): expected value at line 1 column 1";
    assert!(flat(&ran.stderr).contains(why), "{}", ran.stderr);
    let typo = run(
        &test,
        &format!("http::get(\"{}\").jsno", web.url("/json")),
        &[],
    );
    assert!(typo.expect(1).stderr.contains("jsno"));
}

#[test]
fn g5_nothing_goes_to_another_host_but_the_bare_request() {
    let far = Web::open(|_| answer(200, "", b"far"));
    let elsewhere = far.url("/far");
    let near = Web::open(move |request| match request.path() {
        "/near" => answer(302, "Location: /end?of=it\r\n", b""),
        "/end" => answer(200, "", b"near"),
        _ => answer(307, &format!("Location: {elsewhere}\r\n"), b""),
    });
    let test = Test::new();
    let options = "#{ headers: #{ \"X-Vault-Token\": \"t0ken\", authorization: \"Bearer t0ken\", cookie: \"t0ken\" }, body: \"t0ken\" }";
    let url = near
        .url("/away?token=t0ken")
        .replace("http://", "http://user:t0ken@");
    let mut body = String::new();
    for method in ["get", "head", "options"] {
        // The password in the URL is sent as `Authorization`, so there can't be a second one.
        let options = options.replace("authorization: \"Bearer t0ken\", ", "");
        body += &format!("http::{method}(\"{url}\", {options});\n");
    }
    let within = near.url("/near?token=t0ken");
    body += &format!("#{{ near: http::get(\"{within}\", {options}).body }}");
    assert_eq!(outputs(&test, &body), json!({ "near": "near" }));
    let reached = far.seen();
    assert_eq!(reached.len(), 3);
    for (request, method) in reached.iter().zip(["GET", "HEAD", "OPTIONS"]) {
        assert!(
            request
                .head
                .starts_with(&format!("{method} /far HTTP/1.1\r\n")),
            "{request:?}"
        );
        let head = request.head.to_ascii_lowercase();
        assert!(
            !head.contains("t0ken") && !head.contains("referer"),
            "{request:?}"
        );
        assert!(
            !head.contains("content-length") && request.body.is_empty(),
            "{request:?}"
        );
    }
    let last = near.seen().pop().expect("asked");
    assert!(last.head.starts_with("GET /end?of=it ") && last.head.contains("t0ken"));
    assert!(
        !last.head.to_ascii_lowercase().contains("referer"),
        "{last:?}"
    );
}

#[test]
fn a_retry_waits_as_long_as_the_server_asks() {
    let began = Instant::now();
    let busy = Arc::new(AtomicUsize::new(0));
    let asked = busy.clone();
    let web = Web::open(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => answer(429, "Retry-After: 2\r\n", b"slow down"),
        _ => answer(200, "", b"ok"),
    });
    let test = Test::new();
    test.write(
        "windlass.toml",
        "[targets.t]\nhttp = { allow = [\"127.0.0.1\"] }\n",
    );
    test.write(
        "w.yaml",
        &format!("workflow: w\nsteps:\n  s:\n    retry: {{ attempts: 2, backoff: 1ms..2ms }}\n    run: 'http::get(\"{}\")'\n", web.url("/")),
    );
    test.windlass(&["run", "w.yaml", "--target", "t"]).expect(0);
    assert_eq!(busy.load(Ordering::Relaxed), 2);
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(2), "{took:?}");
}

/// The client would go past it, directly to the server.
#[test]
fn a_proxy_that_is_none_is_refused() {
    for proxy in ["::bad", "http://", "ftp://proxy.test:1", "foo bar"] {
        let mut test = Test::new();
        test.set("HTTP_PROXY", proxy);
        test.write(
            "windlass.toml",
            "[targets.t]\nhttp = { allow = [\"example.test\"] }\n",
        );
        test.write(
            "w.yaml",
            "workflow: w\nsteps: { s: { run: 'http::get(\"http://example.test/\")' } }\n",
        );
        let ran = test.windlass(&["run", "w.yaml", "--target", "t"]).expect(1);
        ran.says("the proxy of the environment for example.test is not a valid one");
    }
}

#[test]
fn g5_errors_show_neither_passwords_nor_queries() {
    let test = Test::new();
    for url in [
        "http://user:hunter2@127.0.0.1:1/x?token=hunter3#hunter4",
        "http://user:hunter2@elsewhere.example/x?token=hunter3",
        "http://user:hunter2@[bad/x?token=hunter3",
    ] {
        let ran = run(&test, &format!("let url = \"{url}\"; http::get(url)"), &[]).expect(1);
        let logs = test.windlass(&["logs"]).expect(0).stdout;
        let all = format!("{}{logs}", ran.stderr.replace(url, ""));
        assert!(!all.contains("hunter"), "{url}: {all}");
        let journal = test.windlass(&["logs", "--json"]).expect(0).stdout;
        let calls: Vec<_> = journal
            .lines()
            .filter(|line| line.contains("effect"))
            .collect();
        assert!(!calls.join("").contains("hunter2"), "{calls:?}");
    }
}

#[test]
fn b5_a_url_can_be_a_secret_and_stays_one() {
    let web = Web::open(|request| match request.path() {
        "/fine/s3cr3t" => answer(200, "", b""),
        path => answer(500, "", format!("no hook at {path}").as_bytes()),
    });
    let test = Test::new();
    let (fine, bad) = (web.url("/fine/"), web.url("/hook/"));
    let body = format!(
        "http::post(\"{fine}\" + inputs.token, #{{ json: 1, query: #{{ key: inputs.token }}, undo: #{{ method: \"DELETE\", url: \"{fine}\" + inputs.token }} }});\nhttp::get(\"{bad}\" + inputs.token)"
    );
    let ran = run(&test, &body, &["-p", "token=s3cr3t"]).expect(1);
    let seen = web.seen();
    assert!(
        seen[0].head.starts_with("POST /fine/s3cr3t?key=s3cr3t "),
        "{seen:?}"
    );
    let shown = format!("GET http://127.0.0.1:{}/‹secret›: HTTP500", web.port);
    assert!(flat(&ran.stderr).contains(&shown), "{}", ran.stderr);
    let logs = test.windlass(&["logs", "--json"]).expect(0).stdout;
    let undo = test.windlass(&["undo", "--yes"]).expect(0);
    assert!(
        web.seen()
            .pop()
            .expect("asked")
            .head
            .starts_with("DELETE /fine/s3cr3t ")
    );
    test.windlass(&["audit", "--bundle", "bundle.json"])
        .expect(0);
    let printed = format!(
        "{}{logs}{}{}",
        ran.stderr,
        undo.stderr,
        test.read("bundle.json")
    );
    assert!(!printed.contains("s3cr3t"), "{printed}");
    let journal = fs::read(test.path(".windlass/journal.db")).expect("there");
    assert!(!journal.windows(6).any(|bytes| bytes == b"s3cr3t"));
}

/// What miette broke into lines, in one.
fn flat(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.trim_matches([' ', '│', '×', '╰', '─', '▶']));
    lines.collect::<Vec<_>>().join(" ")
}
