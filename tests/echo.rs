//! A secret that others quote, however they write it, is in nothing that leaves a run.
//!
//! Draws come from a generator with a fixed beginning, so that a failure is the same each time; they go through all that an event
//! goes through before anybody reads it. The tests at the end do the same with the program, once for each way out.

use std::{collections::BTreeMap, fmt::Write, fs};

use data_encoding::{BASE64, BASE64URL, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use windlass::{
    ground::Timestamp,
    journal::{
        EffectEnded, EffectIntended, EffectOutcome, Event, InstanceId, Journal, Logged, NewRun,
        Position, Record, RunId, RunStarted, StepFailed, StepSucceeded, Vault,
    },
    report,
    script::{Class, Level},
    value::{
        Digest, Failure, FailureClass, LEAST_CUT, LEAST_ENCODED, LEAST_LINE, Redactor, Secret,
        StepError, Value,
    },
};

use crate::{harness::Test, random::Random};

/// Draws texts, with secrets in them.
struct Draws(Random);

impl Draws {
    fn between(&mut self, from: usize, to: usize) -> usize {
        from + self.0.below(to - from + 1)
    }

    fn text(&mut self, alphabet: &str, length: usize) -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        (0..length)
            .map(|_| alphabet[self.0.below(alphabet.len())])
            .collect()
    }

    fn secret(&mut self, keys: &[String]) -> String {
        const WORD: &str = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
        match self.0.below(7) {
            0 => {
                let length = self.between(6, 9);
                self.text(WORD, length)
            }
            1 => {
                let length = self.between(10, 80);
                self.text(&format!("{WORD}+/-_="), length)
            }
            2 => {
                let length = self.between(8, 40);
                self.text(&format!("{WORD}äöé漢字🙂\"'\\%&<>${{}} "), length)
                    .trim()
                    .to_owned()
                    + "xY9"
            }
            3 => {
                let lines = self.between(2, 6);
                let line = |draws: &mut Self| {
                    let length = draws.between(1, 50);
                    draws.text(&format!("{WORD} :."), length)
                };
                let lines: Vec<_> = (0..lines).map(|_| line(self) + "q7").collect();
                lines.join("\n")
            }
            4 => format!("https://hooks.example.com/{}?a=1", self.text(WORD, 32)),
            5 => self.text("0123456789", 12),
            _ => keys[self.0.below(keys.len())].clone(),
        }
    }
}

type Encode = fn(&str) -> String;

/// How others write a text, with its name.
const ENCODINGS: [(&str, Encode); 17] = [
    ("plain", |text| text.into()),
    ("base64", |text| BASE64.encode(text.as_bytes())),
    ("base64 after one", |text| {
        BASE64.encode(format!("u:{text}@h").as_bytes())
    }),
    ("base64 after two", |text| {
        BASE64.encode(format!("me:{text}").as_bytes())
    }),
    ("base64url", |text| {
        BASE64URL.encode(format!("{text}?").as_bytes())
    }),
    ("base64url bare", |text| {
        BASE64URL_NOPAD.encode(text.as_bytes())
    }),
    ("base64 in lines", |text| {
        let encoded = BASE64.encode(text.as_bytes());
        let lines = encoded.as_bytes().chunks(76).map(String::from_utf8_lossy);
        lines.collect::<Vec<_>>().join("\n")
    }),
    ("hex", |text| HEXLOWER.encode(text.as_bytes())),
    ("HEX", |text| HEXUPPER.encode(text.as_bytes())),
    ("url", |text| percent(text, false, "%20")),
    ("url, lower case", |text| percent(text, true, "%20")),
    ("form", |text| percent(text, false, "+")),
    ("json", |text| serde_json::to_string(text).expect("JSON")),
    ("json in json", |text| {
        let inner = serde_json::to_string(&serde_json::json!({ "t": text })).expect("JSON");
        serde_json::to_string(&inner).expect("JSON")
    }),
    ("json in ascii", |text| {
        text.encode_utf16().fold(String::new(), |mut all, unit| {
            match char::from_u32(unit.into()).filter(|c| c.is_ascii_alphanumeric()) {
                Some(c) => all.push(c),
                None => write!(all, "\\u{unit:04x}").expect("written"),
            }
            all
        })
    }),
    ("shell", |text| format!("'{}'", text.replace('\'', "'\\''"))),
    ("xml", |text| {
        let text = text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        text.replace('"', "&quot;").replace('\'', "&#39;")
    }),
];

fn percent(text: &str, is_lower: bool, space: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        match byte {
            b' ' => all.push_str(space),
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                all.push(byte.into())
            }
            byte if is_lower => write!(all, "%{byte:02x}").expect("written"),
            byte => write!(all, "%{byte:02X}").expect("written"),
        }
        all
    })
}

/// What of a secret may be in no text: itself, its lines, and what another wrote for it.
fn needles(secret: &str, encoded: &str) -> Vec<String> {
    let is_key = secret.contains("PRIVATE KEY");
    let lines = secret.lines().map(str::trim);
    let lines = lines.filter(|line| line.len() >= LEAST_LINE && !line.starts_with("-----"));
    let mut needles: Vec<String> = lines.map(str::to_owned).collect();
    if !is_key {
        needles.extend([secret.trim().to_owned(), encoded.to_owned()]);
    }
    needles
}

#[test]
fn b1_no_draw_of_a_secret_is_in_anything_that_leaves() {
    const DRAWS: usize = 160;
    // Encrypting takes a while without optimisation: each of these is also stored and sealed.
    const STORED: usize = 16;
    let keys = [private_key("EC_prime256v1"), private_key("RSA_2048")];
    let folder = tempfile::tempdir().expect("a folder");
    let journal = Journal::open(folder.path()).expect("a journal");
    let run = journal
        .begin(NewRun {
            id: RunId::new(time::OffsetDateTime::UNIX_EPOCH, [7; 6]),
            event: started(),
            files: &BTreeMap::new(),
            at: Timestamp::EPOCH,
        })
        .expect("begun");
    let vault = Vault::new(folder.path());
    let mut draws = Draws(Random(0x5eed_0f5e));
    let (mut all_needles, mut looks, mut events) = (Vec::new(), 0, 0);
    for draw in 0..DRAWS {
        let secret = draws.secret(&keys);
        let redactor = Redactor::default();
        redactor.learn(&Value::Secret(Secret::new("another-Secret-5")));
        redactor.learn(&Value::Secret(Secret::new(secret.as_str())));
        let (name, encode) = ENCODINGS[draws.0.below(ENCODINGS.len())];
        // Less than is promised within base64 of something longer.
        let is_within = name.starts_with("base64 after") || name == "base64url";
        let is_short = secret.len() < LEAST_ENCODED && is_within;
        let encoded = encode(&secret);
        let (mut echo, mut needles) = (encoded.clone(), needles(&secret, &encoded));
        let is_word = |piece: &str| {
            let mut bytes = piece.bytes();
            piece.len() >= LEAST_CUT + 4
                && bytes.all(|b| b.is_ascii_alphanumeric() || b"+/=_-.".contains(&b))
        };
        let can_cut = !secret.contains(['\n', ' ', '/']) && secret.is_ascii();
        let mut pieces = Vec::new();
        match draws.0.below(4) {
            // Cut off by another, at any byte.
            0 if can_cut => {
                let at = draws.between(1, encoded.len() - 1);
                echo = match draws.0.below(2) {
                    0 => encoded[..at].to_owned(),
                    _ => encoded[at..].to_owned(),
                };
                needles.retain(|needle| echo.contains(needle));
                needles.extend(is_word(&echo).then(|| echo.clone()));
            }
            // Split over two fields, at any byte.
            1 if can_cut => {
                let (first, second) = encoded.split_at(draws.between(1, encoded.len() - 1));
                pieces = vec![first.to_owned(), second.to_owned()];
                needles.extend(pieces.iter().filter(|piece| is_word(piece)).cloned());
            }
            _ => {}
        }
        if is_short {
            continue;
        }
        // Also behind what is cut for display.
        let text = format!(
            "{}failed: <{echo}> (code 7)",
            "x".repeat(draws.0.below(300))
        );
        for event in ways(&text, &echo, &pieces) {
            event.teach("http::get", &redactor);
            let event = event.redacted(&redactor);
            let record = Record {
                seq: 0,
                at: Timestamp::EPOCH,
                event: event.clone(),
                digest: Digest::ZERO,
            };
            let mut out = vec![
                report::EventLines::default().line(&record, true),
                report::event_json(&record).to_string(),
                format!("{event:?}"),
            ];
            if draw.is_multiple_of(STORED) {
                let sealed = vault.close_event(event.clone()).expect("sealed");
                out.push(serde_json::to_string(&sealed).expect("JSON"));
                run.append_lazily(vec![(event, Timestamp::EPOCH)])
                    .expect("queued");
            }
            for (out, way) in out.iter().zip(["line", "json", "debug", "message"]) {
                for needle in &needles {
                    looks += 1;
                    let escaped = serde_json::to_string(needle).expect("JSON");
                    let escaped = escaped.trim_matches('"');
                    assert!(
                        !out.contains(needle) && !out.contains(escaped),
                        "{name}, {way}: {needle:?} of {secret:?} in {out}"
                    );
                }
            }
            events += 1;
        }
        all_needles.extend(needles);
    }
    run.append(Vec::new()).expect("appended");
    let links = journal.evidence(run.id()).expect("evidence");
    let bundle = serde_json::to_string(&links).expect("JSON");
    let stored = ["journal.db", "journal.db-wal"]
        .map(|file| fs::read(folder.path().join(file)).unwrap_or_default())
        .concat();
    let stored = String::from_utf8_lossy(&stored);
    all_needles.sort();
    all_needles.dedup();
    let found = all_needles
        .iter()
        .filter(|needle| stored.contains(*needle) || bundle.contains(*needle))
        .count();
    println!(
        "{DRAWS} secrets, {events} events, {looks} looks at what is shown and sent, {} texts looked for in {} bytes \
         of journal and {} of bundle: {found} found",
        all_needles.len(),
        stored.len(),
        bundle.len()
    );
    assert_eq!(found, 0);
    assert!(events > 500 && stored.contains("‹secret›"));
}

fn private_key(algorithm: &str) -> String {
    let algorithm = windlass::x509::KeyAlgorithm::parse(algorithm).expect("known");
    algorithm.generate().expect("a key").reveal().to_owned()
}

fn started() -> Event {
    Event::RunStarted(RunStarted {
        chosen: Default::default(),
        workflow: "w".into(),
        folder: String::new(),
        file: "w.yaml".into(),
        main: "w.yaml".into(),
        program: Digest::ZERO,
        target: "local".into(),
        kube: Default::default(),
        out: "out".into(),
        params: Value::Null,
        secrets: None,
        requester: "tester".into(),
        via: None,
        version: "0".into(),
        is_strict: true,
    })
}

/// An echo, and perhaps its pieces, in each kind of event that holds texts of others.
fn ways(text: &str, echo: &str, pieces: &[String]) -> Vec<Event> {
    let step = InstanceId::step(None, "s");
    let failure =
        Failure::new(FailureClass::Rejected, format!("GET {echo}"), echo, text).with_hint(text);
    let error = StepError {
        code: "outside-failure".into(),
        message: failure.to_string(),
        place: None,
        chain: vec![text.to_owned()],
        failure: Some(failure.clone()),
        hint: Some(text.to_owned()),
    };
    let given = Value::map([
        ("body", Value::from(text)),
        ("headers", Value::map([("x-echo", Value::from(echo))])),
        (text, Value::from("a key")),
        ("list", Value::List(vec![Value::from(echo), text.into()])),
        (
            "pieces",
            Value::List(pieces.iter().map(|piece| piece.as_str().into()).collect()),
        ),
    ]);
    let call = windlass::journal::CallRecord {
        function: "http::get".into(),
        arguments: serde_json::json!({ "url": text, text: echo }),
        digest: Digest::ZERO,
        class: Class::Unsure,
    };
    vec![
        Event::Logged(Logged {
            step: step.clone(),
            level: Level::Info,
            message: text.into(),
        }),
        Event::EffectIntended(EffectIntended {
            step: step.clone(),
            position: Position(0),
            call,
            before: Some(given.clone()),
        }),
        Event::EffectEnded(EffectEnded {
            step: step.clone(),
            position: Position(0),
            call: None,
            outcome: EffectOutcome::Done(given.clone()),
        }),
        Event::EffectEnded(EffectEnded {
            step: step.clone(),
            position: Position(0),
            call: None,
            outcome: EffectOutcome::Failed(failure),
        }),
        Event::StepFailed(StepFailed {
            step: step.clone(),
            error,
            retry_at: None,
        }),
        Event::StepSucceeded(StepSucceeded {
            step,
            outputs: given,
        }),
    ]
}

/// Runs a workflow of one step with a secret param, and gives all that was printed and recorded.
fn run_and_look(body: &str, token: &str, code: i32) -> (Test, String) {
    let body: String = body.lines().map(|line| format!("      {line}\n")).collect();
    let test = Test::new()
        .file(
            "w.yaml",
            &format!(
                "workflow: w\nparams: {{ token: secret }}\nsteps:\n  s:\n    with: {{ token: \"${{{{ params.token }}}}\" }}\n    run: |\n{body}outputs: {{ all: \"${{{{ steps.s }}}}\" }}\n"
            ),
        )
        .file(
            "windlass.toml",
            "[targets.t]\nexec = [\"sh\", \"cat\"]\nhttp = { allow = [\"127.0.0.1\"] }\n",
        );
    let param = format!("token={token}");
    let ran = test
        .windlass(&["run", "w.yaml", "--target", "t", "--json", "-p", &param])
        .expect(code);
    let mut all = format!("{}{}", ran.stdout, ran.stderr);
    test.windlass(&["audit", "--bundle", "bundle.json"])
        .expect(0);
    for arguments in [
        &["show"][..],
        &["show", "--json"],
        &["logs"],
        &["logs", "--json"],
        &["audit"],
    ] {
        all.push_str(&test.windlass(arguments).expect(0).stdout);
    }
    all.push_str(&test.read("bundle.json"));
    for file in ["journal.db", "journal.db-wal"] {
        let stored = fs::read(test.path(".windlass").join(file)).unwrap_or_default();
        all.push_str(&String::from_utf8_lossy(&stored));
    }
    (test, all)
}

const TOKEN: &str = "tr0ub4dor&3-Zebra_Quartz";

#[test]
fn b1_a_line_of_a_secret_in_what_a_program_says_is_hidden() {
    let key = "first line of it\nmiddle, the one\nlast line of it";
    let body = "exec::run(\"sh\", [\"-c\", \"sed -n 2p >&2; exit 3\"], #{ stdin: inputs.token });";
    let (_, all) = run_and_look(body, key, 1);
    assert!(
        all.contains("Exit3") && !all.contains("middle, the one"),
        "{all}"
    );
}

#[test]
fn b1_what_a_program_makes_of_a_secret_is_a_secret_in_its_result() {
    let body = "let ran = exec::run(\"sh\", [\"-c\", \"read -r t; printf 'user:%s' \\\"$t\\\" | base64; printf %s \\\"$t\\\" | od -An -tx1 | tr -d ' \\\\n' >&2\"], #{ stdin: inputs.token + \"\\n\" });
log::info(`it said ${ran.stdout} and ${ran.stderr}`);
print(ran.stdout);
debug([ran.stderr]);
file::write_secret(\"said\", ran.stdout);
#{ code: ran.code, out: ran.stdout }";
    let (test, all) = run_and_look(body, TOKEN, 0);
    let base64 = BASE64.encode(format!("user:{TOKEN}").as_bytes());
    assert_eq!(test.read("out/said").trim(), base64);
    for needle in [TOKEN, &base64, &HEXLOWER.encode(TOKEN.as_bytes())] {
        assert!(!all.contains(needle), "{needle}: {all}");
    }
    assert!(all.contains("‹secret›"), "{all}");
}

#[test]
fn b2_a_program_with_secret_output_tells_nothing() {
    // What is printed stands in no text of the workflow.
    let body = "exec::run(\"sh\", [\"-c\", \"echo out-$((40 + 2))-private; echo err-$((40 + 2))-private >&2\"], #{ secret_output: true });
try { exec::run(\"sh\", [\"-c\", \"echo four-$((40 + 2))-private >&2; exit 4\"], #{ secret_output: true }); } catch (e) { log::warn(e.message); }
exec::run(\"sh\", [\"-c\", \"echo five-$((40 + 2))-private >&2; exit 5\"], #{ secret_output: true });";
    let (test, all) = run_and_look(body, TOKEN, 1);
    assert!(!all.contains("42-private"), "{all}");
    assert!(
        all.contains("Exit5") && all.contains("secret_output"),
        "{all}"
    );
    let events = test.events();
    let ended = events
        .iter()
        .find(|event| event["event"] == "effect_ended")
        .expect("an end");
    assert_eq!(ended["outcome"]["done"]["stderr"], "‹secret›", "{ended}");
}

#[test]
fn b3_nothing_gives_the_text_or_the_mask_of_a_secret() {
    let body = "let t = inputs.token;
let all = #{
    interpolated: `Bearer ${t}`, joined: \"a\" + t, prepended: t + 1, in_list: \"\" + [t], map: `${#{ a: t }}`,
    json: json::stringify(#{ t: t }), yaml: yaml::stringify([t]), toml: toml::stringify(#{ t: t }), to_json: #{ t: t }.to_json(),
    text: t.to_string(), debugged: t.to_debug(), list_text: [t].to_string(), sub: t.sub_string(2), upper: t.to_upper(),
    hmac: hash::hmac_sha256(t, \"text\"), keyed: hash::hmac_sha256(\"key\", t), sha: hash::sha256(t), encoded: base64::encode(t),
    split: t.split(\"-\"),
};
let plus = \"x\"; plus += t; all.plus = plus;
let late = \"x\"; late.append(t); all.late = late;
file::write_secret(\"interpolated\", all.interpolated);
file::write_secret(\"json\", all.json);
file::write_secret(\"map\", all.map);
file::write_secret(\"plus\", plus);
let bools = [t == t, t == \"tr0ub4dor&3-Zebra\" + \"_Quartz\", \"no\" != t, t in [\"a\", t], t.contains(\"Zebra\"), t.starts_with(\"tr0\")];
let refused = 0;
for f in [|t| t < \"u\", |t| t[0], |t| parse_int(t), |t| json::parse(t), |t| { switch t { \"a\" => 1, _ => 2 } }, |t| t.bytes(), |t| t.chars(), |t| #{ a: 1 }[t]] {
    try { f.call(t); log::warn(\"taken\"); } catch { refused += 1; }
}
#{ all: all, bools: bools, refused: refused }";
    let (test, all) = run_and_look(body, TOKEN, 0);
    let outputs = test.windlass(&["outputs", "--json"]).expect(0).json();
    let given = &outputs["all"];
    for (name, value) in given["all"].as_object().expect("a map") {
        let is_secret = match value.as_array() {
            Some(parts) => parts.iter().all(|part| part == "‹secret›"),
            None => value == "‹secret›",
        };
        assert!(is_secret, "{name}: {value}");
    }
    assert_eq!(
        given["bools"],
        serde_json::json!([true, true, true, true, true, true])
    );
    assert_eq!(given["refused"], 8, "{given}");
    assert!(!all.contains("tr0ub4dor&3-Zebra_Quartz"), "{all}");
    for (file, content) in [
        ("interpolated", format!("Bearer {TOKEN}")),
        ("json", format!("{{\"t\":\"{TOKEN}\"}}")),
        ("map", format!("#{{\"a\": \"{TOKEN}\"}}")),
        ("plus", format!("x{TOKEN}")),
    ] {
        assert_eq!(test.read(&format!("out/{file}")), content, "{file}");
    }
}

#[test]
fn b3_an_expression_with_a_secret_is_one_and_compares_it() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
params: { token: secret }
steps:
  s:
    when: ${{ params.token == 'hunter22' && params.token != 'x' }}
    with: { a: \"${{ `<${params.token}>` }}\", b: \"list ${{ [params.token] }}\" }
    run: 'file::write_secret(\"a\", inputs.a); file::write_secret(\"b\", inputs.b); #{ a: inputs.a }'
outputs: { a: \"${{ steps.s.a }}\" }
",
    );
    let outputs = test.outputs_of(&["w.yaml", "-p", "token=hunter22"]);
    assert_eq!(outputs["a"], "‹secret›");
    assert_eq!(test.read("out/a"), "<hunter22>");
    assert_eq!(test.read("out/b"), "list [\"hunter22\"]");
}

#[test]
fn b3_the_mask_is_sent_nowhere() {
    let body = "let mask = \"‹\" + \"secret›\";
let refused = 0;
try { exec::run(\"cat\", [], #{ stdin: `x ${mask}` }); } catch (e) { if e.code == \"WrongArguments\" { refused += 1; } }
try { http::get(\"http://127.0.0.1:1/\", #{ headers: #{ \"Authorization\": mask } }); } catch (e) { if e.code == \"WrongArguments\" { refused += 1; } }
try { file::write(\"f\", mask); } catch (e) { if e.code == \"WrongArguments\" { refused += 1; } }
#{ refused: refused }";
    let (test, _) = run_and_look(body, TOKEN, 0);
    let outputs = test.windlass(&["outputs", "--json"]).expect(0).json();
    assert_eq!(outputs["all"]["refused"], 3);
    assert!(!test.path("out/f").exists());
}

#[test]
fn g4_a_replay_sees_the_secrets_that_the_first_time_saw() {
    let body = "let ran = exec::run(\"cat\", [], #{ stdin: inputs.token, read: true });
file::write_secret(\"echo\", ran.stdout);
if !file::exists(\"go\") { throw \"not yet: \" + ran.stdout }
#{ is_same: ran.stdout == inputs.token, out: ran.stdout }";
    let (test, all) = run_and_look(body, TOKEN, 1);
    assert!(!all.contains(TOKEN), "{all}");
    test.write("out/go", "");
    // What was asked before it was there is replayed: so ask anew.
    test.windlass(&["resume", "--redo", "s", "--yes"]).expect(0);
    let shown = test.windlass(&["show", "--json"]).expect(0).stdout;
    assert!(!shown.contains(TOKEN), "{shown}");
    assert_eq!(test.read("out/echo"), TOKEN);
}

#[test]
fn e9_print_and_debug_are_notes() {
    let body = "print(\"said by \" + \"print\");\nprint(42);\ndebug(\"said by \" + \"debug\");\nprint(inputs.token);\nprint([inputs.token]);";
    let (_, all) = run_and_look(body, TOKEN, 0);
    assert!(
        all.contains("s: said by print\n") && all.contains("s: 42\n"),
        "{all}"
    );
    assert!(all.contains("said by debug"), "{all}");
    assert!(
        all.contains("s: ‹secret›\n") && !all.contains(TOKEN),
        "{all}"
    );
}

#[test]
fn b6_texts_of_others_neither_steer_the_terminal_nor_forge_lines() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
steps:
  ask: { approval: Go? }
  s:
    needs: [ask]
    run: |
      log::info(\"a\\x1b[2Jb\\n2026-01-01 00:00:00.000  run succeeded\\u202ec\");
      throw \"x\\x1b[31m\\r\\n2026-01-01 00:00:00.000  s succeeded\";
",
    );
    test.windlass(&["run", "w.yaml"]).expect(3);
    let run = test.shown()["run"].as_str().expect("an id").to_owned();
    let comment = "fine\n2026-01-01 00:00:00.000  run forged\u{1b}[2J";
    test.windlass(&["approve", &run, "ask", "-m", comment])
        .expect(0);
    let ran = test.windlass(&["resume"]).expect(1);
    let mut all = ran.stderr;
    for arguments in [&["logs"][..], &["show"], &["audit"]] {
        all.push_str(&test.windlass(arguments).expect(0).stdout);
    }
    let unseen = |c: char| c == '\u{1b}' || c == '\r' || c == '\u{202e}';
    assert!(!all.contains(unseen), "{all:?}");
    for line in all.lines() {
        let forged = line.starts_with("2026-01-01");
        assert!(!forged, "{line} in {all}");
    }
    let json = test.windlass(&["logs", "--json"]).expect(0).stdout;
    assert!(json.contains("\\u001b[2J"), "{json}");
}
