//! YAML that others read as what was meant.

use std::process::Command;

use data_encoding::BASE64;
use serde_json::{Value as Json, json};
use windlass::value::{Bytes, Value};

use crate::harness::fed;

/// What YAML 1.1 or 1.2 reads as something else than text, alone or beside something.
const PIECES: [&str; 66] = [
    "y",
    "Y",
    "n",
    "N",
    "yes",
    "Yes",
    "NO",
    "no",
    "on",
    "Off",
    "true",
    "False",
    "TRUE",
    "null",
    "Null",
    "~",
    "=",
    "<<",
    "0",
    "007",
    "0o17",
    "0x1F",
    "0b11",
    "1_000",
    "-1",
    "+1",
    "22:22",
    "1:30:15.5",
    "190:20:30",
    "2001-01-01",
    "2001-12-14t21:59:43.10-05:00",
    "1e3",
    "1.0e+3",
    ".5",
    "1.",
    "-.5",
    ".inf",
    "-.INF",
    ".NaN",
    "nan",
    "-",
    "?",
    ":",
    "- a",
    "? a",
    ": a",
    "a: b",
    "a #b",
    "#",
    "!",
    "!!str",
    "&a",
    "*a",
    "%",
    "@",
    "`",
    "'",
    "\"",
    "\\",
    "|",
    ">",
    "---",
    "...",
    "[a]",
    "{a}",
    ",",
];
const BETWEEN: [&str; 8] = ["", " ", "\n", "\r\n", "\t", ": ", " #", "\u{85}"];

fn texts() -> Vec<String> {
    let mut texts: Vec<String> = PIECES.map(String::from).to_vec();
    for (i, first) in PIECES.iter().enumerate() {
        for between in BETWEEN {
            texts.push(format!("{first}{between}"));
            texts.push(format!("{between}{first}"));
            let second = PIECES[(i * 7 + between.len()) % PIECES.len()];
            texts.push(format!("{first}{between}{second}"));
        }
    }
    let points = (0..0x180).chain([0x2028, 0x2029, 0xfeff, 0xfffd, 0xfffe, 0x1f600, 0x10ffff]);
    for c in points.filter_map(char::from_u32) {
        texts.extend([c.to_string(), format!("a{c}b"), format!("{c}{c}")]);
    }
    texts.push("x".repeat(2000));
    texts.push("long words ".repeat(200));
    texts.sort();
    texts.dedup();
    texts
}

#[test]
fn a8_yaml_is_read_by_pyyaml_as_it_was_written() {
    let floats = [
        0.0,
        -0.0,
        1.0,
        1.5,
        1e20,
        -1e-9,
        1e300,
        f64::MAX,
        f64::MIN_POSITIVE,
        f64::INFINITY,
    ];
    let texts = texts();
    let map =
        |make: fn(&str) -> Value| Value::map(texts.iter().map(|text| (text.clone(), make(text))));
    let value = Value::map([
        ("keys", map(|_| Value::Int(1))),
        ("values", map(|text| text.into())),
        (
            "lists",
            map(|text| {
                Value::List(vec![
                    text.into(),
                    Value::List(vec![Value::map([("a", text.into())])]),
                ])
            }),
        ),
        ("floats", Value::List(floats.map(Value::Float).to_vec())),
        (
            "integers",
            Value::List(vec![
                Value::Int(i64::MIN),
                Value::Int(0),
                Value::Int(i64::MAX),
            ]),
        ),
        (
            "rest",
            Value::List(vec![
                Value::Null,
                Value::Bool(true),
                Value::List(vec![]),
                Value::map([("", Value::Null)]),
            ]),
        ),
        ("bytes", Value::Bytes(Bytes::new([0, 0xff, 10]))),
    ]);
    let yaml = value.to_yaml();
    assert_eq!(
        Value::parse_yaml(&yaml).as_ref(),
        Ok(&value),
        "our own reader"
    );
    let program = "import base64, json, sys, yaml
def plain(v):
    if isinstance(v, bytes): return {'bytes': base64.b64encode(v).decode()}
    if isinstance(v, float): return {'float': v.hex()}
    if isinstance(v, dict):
        assert all(isinstance(k, str) for k in v), [k for k in v if not isinstance(k, str)][:9]
        return {k: plain(x) for k, x in v.items()}
    if isinstance(v, list): return [plain(x) for x in v]
    assert v is None or isinstance(v, (bool, int, str)), repr(v)
    return v
print(json.dumps(plain(yaml.safe_load(sys.stdin.buffer.read().decode()))))";
    let read = fed(Command::new("python3").args(["-c", program]), &yaml)
        .expect(0)
        .json();
    for key in ["keys", "values", "lists", "rest", "integers"] {
        differ(key, &read[key], &value.field(key).expect("there").to_json());
    }
    assert_eq!(
        read["bytes"],
        json!({ "bytes": BASE64.encode(&[0, 0xff, 10]) })
    );
    let hex = fed(
        Command::new("python3").args([
            "-c",
            "import sys; print(' '.join(float(x).hex() for x in sys.stdin.read().split()))",
        ]),
        &floats.map(|x| format!("{x:?}")).join(" "),
    );
    let wanted: Vec<Json> = hex
        .expect(0)
        .stdout
        .split_whitespace()
        .map(|x| json!({ "float": x }))
        .collect();
    assert_eq!(read["floats"], Json::Array(wanted));
}

#[test]
fn a8_yaml_is_read_by_kubectl_as_it_was_written() {
    let texts = texts();
    let data = Value::map(
        texts
            .iter()
            .map(|text| (text.clone(), text.as_str().into())),
    );
    let object = Value::map([
        ("apiVersion", "v1".into()),
        ("kind", "ConfigMap".into()),
        ("metadata", Value::map([("name", "x".into())])),
        ("data", data.clone()),
    ]);
    let mut kubectl = Command::new("kubectl");
    kubectl.args(["annotate", "--local", "-f", "-", "a=b", "-o", "json"]);
    let read = fed(&mut kubectl, &object.to_yaml()).expect(0).json();
    differ("data", &read["data"], &data.to_json());
}

/// Compares two maps entry by entry: the whole would fill the screen.
#[track_caller]
fn differ(what: &str, found: &Json, wanted: &Json) {
    if let (Json::Object(found), Json::Object(wanted)) = (found, wanted) {
        for (key, value) in wanted {
            assert_eq!(found.get(key), Some(value), "{what}: {key:?}");
        }
    }
    assert_eq!(found, wanted, "{what}");
}

/// Other readers of YAML want a type such as `string?` in quotes where it is in braces: tools such as yamllint use them.
#[test]
fn shipped_files_and_examples_are_yaml_to_other_readers() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = r"import pathlib, re, sys, yaml
seen = 0
for folder in ['workflows', 'examples', 'templates', 'docs']:
    for path in sorted(pathlib.Path(folder).rglob('*')):
        texts = []
        if path.suffix == '.yaml':
            texts = [path.read_text()]
        if path.suffix == '.md':
            texts = re.findall(r'^```yaml\n(.*?)^```', path.read_text(), re.M | re.S)
        for text in texts:
            seen += 1
            try:
                list(yaml.compose_all(text))
            except yaml.YAMLError as e:
                print(path, ' '.join(str(e).split()))
print(seen)";
    let mut python = Command::new("python3");
    let ran = fed(python.args(["-c", program]).current_dir(root), "").expect(0);
    let mut lines: Vec<_> = ran.stdout.lines().collect();
    let seen = lines.pop().and_then(|seen| seen.parse::<usize>().ok());
    assert!(seen.is_some_and(|seen| seen > 100), "{seen:?}");
    assert!(lines.is_empty(), "{lines:#?}");
}
