//! PEM as it is found in the field, read beside openssl.

use std::{fs, path::Path, process::Command};

use windlass::x509::{Certificate, pem};

use crate::{harness::Test, random::Random};

/// Three certificates and the keys of the first two, made once for a test.
struct Made {
    test: Test,
    certificates: [String; 3],
    key: String,
}

fn made() -> Made {
    let test = Test::new();
    let make = |n: usize| {
        let (key, file) = (format!("k{n}.pem"), format!("c{n}.pem"));
        test.certify(&format!("/CN=c{n}"), (&key, &file), &["-days", "30"]);
        test.read(&file)
    };
    let certificates = [1, 2, 3].map(make);
    let key = test.read("k1.pem");
    Made {
        test,
        certificates,
        key,
    }
}

/// The certificates that openssl finds in a file, as DER; `None` if it refuses the file.
fn openssl_finds(folder: &Path, text: &[u8]) -> Option<Vec<Vec<u8>>> {
    let file = folder.join("judged.pem");
    fs::write(&file, text).expect("written");
    let packed = Command::new("openssl")
        .args(["crl2pkcs7", "-nocrl", "-certfile"])
        .arg(&file)
        .output()
        .expect("openssl is installed");
    if !packed.status.success() {
        return None;
    }
    fs::write(folder.join("judged.p7"), &packed.stdout).expect("written");
    let printed = Command::new("openssl")
        .args(["pkcs7", "-print_certs", "-in"])
        .arg(folder.join("judged.p7"))
        .output()
        .expect("openssl is installed");
    let blocks = pem::blocks(&printed.stdout).expect("openssl's own");
    Some(blocks.into_iter().map(|block| block.content).collect())
}

/// What we find in it.
fn we_find(text: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let found = Certificate::read_all(text).map_err(|e| e.to_string())?;
    Ok(found
        .into_iter()
        .map(|certificate| certificate.der)
        .collect())
}

/// Ours is openssl's answer, or an error. A certificate that is none of the `known` was damaged within
/// its DER, where openssl looks closer than we do.
#[track_caller]
fn is_as_openssl(folder: &Path, name: &str, text: &[u8], known: &[Vec<u8>]) -> bool {
    let Ok(mut ours) = we_find(text) else {
        return false;
    };
    let is_intact = ours.iter().all(|der| known.contains(der));
    let Some(mut theirs) = openssl_finds(folder, text) else {
        let text = String::from_utf8_lossy(text);
        assert!(!is_intact, "{name}: openssl refuses it:\n{text}");
        return false;
    };
    // openssl sorts what it packs.
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs, "{name}:\n{}", String::from_utf8_lossy(text));
    true
}

/// The lines of a block without its first and last.
fn body(certificate: &str) -> String {
    let lines: Vec<_> = certificate.trim_end().lines().collect();
    lines[1..lines.len() - 1].join("\n")
}

fn block(body: &str) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

#[test]
fn a6_texts_of_the_field_are_read_as_openssl_reads_them() {
    let Made {
        test,
        certificates: [one, two, three],
        key,
    } = made();
    test.openssl(&[
        "x509",
        "-in",
        "c1.pem",
        "-trustout",
        "-addtrust",
        "serverAuth",
        "-out",
        "t.pem",
    ])
    .expect(0);
    let trusted = test.read("t.pem");
    let parameters =
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    let latin = [
        one.as_bytes(),
        b"# Autorit\xe9 de certification\n",
        two.as_bytes(),
    ]
    .concat();
    let bom = "\u{feff}";
    let known = we_find(format!("{one}{two}{three}").as_bytes()).expect("whole");
    let one_line = block(&body(&one).replace('\n', ""));
    for (name, text, count) in [
        ("two", format!("{one}{two}").into_bytes(), 2),
        ("BOM", format!("{bom}{one}{two}").into_bytes(), 2),
        ("BOM between", format!("{one}{bom}{two}").into_bytes(), 2),
        ("Latin-1 between", latin, 2),
        (
            "text around",
            format!("subject=x\n{one}\nfront-end a b\n\n{two}end\n").into_bytes(),
            2,
        ),
        (
            "CRLF",
            format!("{one}{two}").replace('\n', "\r\n").into_bytes(),
            2,
        ),
        (
            "no last line end",
            one.trim_end().to_owned().into_bytes(),
            1,
        ),
        (
            "X509 CERTIFICATE",
            one.replace(" CERT", " X509 CERT").into_bytes(),
            1,
        ),
        (
            "TRUSTED CERTIFICATE",
            format!("{trusted}{two}").into_bytes(),
            2,
        ),
        (
            "a key and parameters",
            format!("{parameters}{key}{one}{two}").into_bytes(),
            2,
        ),
        ("one long line", one_line.into_bytes(), 1),
        (
            "blanks at line ends",
            one.replace('\n', " \t\n").into_bytes(),
            1,
        ),
        (
            "an indented body",
            block(&body(&one).replace('\n', "\n  ")).into_bytes(),
            1,
        ),
        (
            "empty first line",
            block(&format!("\n{}", body(&one))).into_bytes(),
            1,
        ),
        (
            "commented out",
            format!(
                "{one}{}",
                three
                    .replace("-----B", "#-----B")
                    .replace("-----E", "#-----E")
            )
            .into_bytes(),
            1,
        ),
    ] {
        let found = we_find(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(found.len(), count, "{name}");
        assert!(is_as_openssl(&test.path("."), name, &text, &known));
    }
}

#[test]
fn a6_a_damaged_block_is_named() {
    let Made {
        certificates: [one, two, three],
        key,
        ..
    } = made();
    // Of the block that is damaged, and of the line.
    let lines = |text: &str| text.lines().count();
    let second = lines(&one) + 1;
    let bad = two.replacen("MI", "M*", 1);
    let truncated: String = two
        .lines()
        .take(3)
        .map(|line| format!("{line}\n"))
        .collect();
    let shortened = block(&body(&two)[1..]);
    let no_x509 = block("AAAA");
    for (name, text, words) in [
        (
            "damaged",
            format!("{one}{bad}{three}"),
            vec!["block 2".to_owned(), format!("line {}", second + 1)],
        ),
        (
            "truncated",
            format!("{one}{truncated}{three}"),
            vec!["block 2".into(), format!("line {}", second + 3)],
        ),
        (
            "cut off at the end",
            format!("{one}{truncated}"),
            vec!["block 2".into(), "no end".into()],
        ),
        (
            "lost a character",
            format!("{one}{shortened}{three}"),
            vec!["block 2".into(), "cut off".into()],
        ),
        (
            "joined",
            format!("{}{two}", one.trim_end()),
            vec!["block 1".into(), "joins".into()],
        ),
        (
            "no X.509",
            format!("{one}{no_x509}{three}"),
            vec!["block 2".into(), format!("line {second}")],
        ),
        (
            "four dashes",
            format!("{one}{}", two.replace("-----BEGIN", "----BEGIN")),
            vec![format!("line {second} ")],
        ),
        ("lower case", one.to_lowercase(), vec!["line 1 ".into()]),
        (
            "old Mac line ends",
            one.replace('\n', "\r"),
            vec!["line 1 ".into()],
        ),
        (
            "indented",
            one.replace('\n', "\n  "),
            vec!["block 1".into()],
        ),
        (
            "a stray end",
            format!("{one}-----END CERTIFICATE-----\n{two}"),
            vec![format!("line {second} ")],
        ),
        (
            "a damaged key beside it",
            format!("{one}{}{two}", key.replacen("MI", "M*", 1)),
            vec!["block 2 of the text (PRIVATE KEY".into()],
        ),
        (
            "a container",
            format!("{one}{}", two.replace("CERTIFICATE", "PKCS7")),
            vec!["block 2".into(), "container".into()],
        ),
        (
            "only a key",
            key.clone(),
            vec!["no certificate".into(), "PRIVATE KEY".into()],
        ),
        ("nothing", "hello\n".into(), vec!["not PEM".into()]),
        ("empty", String::new(), vec!["not PEM".into()]),
        (
            "empty block",
            format!("{one}-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"),
            vec!["block 2".into(), "empty".into()],
        ),
    ] {
        let error = we_find(text.as_bytes()).expect_err(name);
        for word in words {
            assert!(
                error.contains(&word),
                "{name}: {word:?} is not in {error:?}"
            );
        }
    }
    let utf16: Vec<u8> = [0xFF, 0xFE]
        .into_iter()
        .chain(one.bytes().flat_map(|b| [b, 0]))
        .collect();
    assert!(we_find(&utf16).expect_err("UTF-16").contains("UTF-16"));
}

/// Whatever is changed, cut, doubled or joined: openssl's answer or an error, and never a panic.
#[test]
fn a6_random_damage_is_read_as_openssl_reads_it_or_refused() {
    let Made {
        test,
        certificates: [one, two, three],
        ..
    } = made();
    // Without a key: openssl looks into those, too.
    let whole = format!("# first\n{one}{two}\nthird\n{three}").into_bytes();
    let known = we_find(&whole).expect("whole");
    let mut random = Random(0x5EED);
    let mut read = 0;
    for turn in 0..1500 {
        let mut text = whole.clone();
        for _ in 0..=random.below(2) {
            let at = random.below(text.len() - 100);
            match random.below(7) {
                0 => text[at] = b"-=:# \t\r\n\xe9A"[random.below(10)],
                1 => drop(text.remove(at)),
                2 => text.insert(at, b"-=: \r\n\xefA+"[random.below(9)]),
                3 => drop(text.drain(at..at + random.below(90))),
                4 => text.truncate(at),
                5 => {
                    let part = text[at..at + random.below(90)].to_vec();
                    text.splice(at..at, part);
                }
                _ => {
                    // A line end, where most of the grammar is.
                    let ends: Vec<_> = (0..text.len()).filter(|i| text[*i] == b'\n').collect();
                    text.remove(ends[random.below(ends.len())]);
                }
            }
            if text.len() < 200 {
                break;
            }
        }
        let name = format!("turn {turn}");
        // Each costs two processes: only what we take is judged.
        read += usize::from(is_as_openssl(&test.path("."), &name, &text, &known));
    }
    assert!(read > 20, "only {read} of the texts were read");
}

#[test]
fn a6_a_script_is_told_which_block_is_damaged() {
    let Made {
        test,
        certificates: [one, two, three],
        ..
    } = made();
    test.write("out/good.pem", &format!("\u{feff}{one}text\n{two}{three}"));
    test.write(
        "out/bad.pem",
        &format!("{one}{}{three}", two.replacen("MI", "M*", 1)),
    );
    test.write(
        "w.yaml",
        "workflow: w\nparams: { file: string }\nsteps:\n  a:\n    with: { file: '${{ params.file }}' }\n    run: |\n      #{ n: x509::read_all(file::read(inputs.file)).len() }\noutputs: { n: '${{ steps.a.n }}' }\n",
    );
    let outputs = test.outputs_of(&["w.yaml", "-p", "file=good.pem"]);
    assert_eq!(outputs["n"], 3);
    let ran = test
        .windlass(&["run", "w.yaml", "-p", "file=bad.pem"])
        .expect(1);
    ran.says("block 2 of the text");
}

/// Every reader of certificates: the CAs of AWS, of HTTP and of an engine, and what is signed and imported.
#[test]
fn a6_every_reader_refuses_a_damaged_block() {
    let Made {
        test,
        certificates: [one, two, ..],
        key,
    } = made();
    test.write(
        "out/bad.pem",
        &format!("{one}{}", two.replacen("MI", "M*", 1)),
    );
    test.write("out/one.pem", &one);
    test.write("out/key.pem", &key.replacen("MI", "M*", 1));
    let data = data_encoding::BASE64.encode(test.read("out/bad.pem").as_bytes());
    test.write(
        "kubeconfig",
        &format!(
            "apiVersion: v1\nkind: Config\nclusters: [{{ name: c, cluster: {{ server: 'https://127.0.0.1:1', certificate-authority-data: {data} }} }}]\n\
             users: [{{ name: u, user: {{ token: t }} }}]\ncontexts: [{{ name: x, context: {{ cluster: c, user: u }} }}]\n"
        ),
    );
    test.write(
        "windlass.toml",
        "[targets.kube]\nkube = { c = \"x\" }\nkubeconfig = \"kubeconfig\"\n[targets.aws]\npca = { region = \"us-east-1\", ca_bundle = \"out/bad.pem\" }\n\
         [targets.engine]\nsubstrate = { restate = \"https://127.0.0.1:1\", ca = \"out/bad.pem\" }\n",
    );
    let script = |name: &str, body: &str| {
        test.write(
            name,
            &format!("workflow: w\nsteps:\n  a:\n    run: |\n      {body}\n"),
        );
    };
    script(
        "look.yaml",
        "#{ n: pca::list_certificate_authorities().len() }",
    );
    script(
        "ca.yaml",
        "http::get(\"https://127.0.0.1:1\", #{ ca: file::read(\"bad.pem\") }); #{}",
    );
    script(
        "client.yaml",
        "http::get(\"https://127.0.0.1:1\", #{ client_certificate: file::read(\"one.pem\"), client_key: file::read(\"key.pem\") }); #{}",
    );
    script(
        "key.yaml",
        "csr::create(key::read(file::read(\"key.pem\")), #{ subject: #{ CN: \"x\" } }); #{}",
    );
    script(
        "import.yaml",
        "pca::import_certificate_authority_certificate(\"arn\", #{ certificate: file::read(\"bad.pem\") }); #{}",
    );
    test.write(
        "kube.yaml",
        "workflow: w\nkube: \"${{ ['c'] }}\"\nsteps:\n  a:\n    run: |\n      kube::list(\"c\", \"x\", \"pods\", #{}); #{}\n",
    );
    let mut ways = vec![
        (vec!["run", "look.yaml", "--target", "aws"], 2, "block 2"),
        (vec!["run", "kube.yaml", "--target", "kube"], 2, "block 2"),
        (vec!["run", "ca.yaml"], 1, "block 2"),
        (vec!["run", "client.yaml"], 1, "block 1"),
        (vec!["run", "key.yaml"], 1, "block 1"),
        (vec!["run", "import.yaml"], 1, "block 2"),
    ];
    if cfg!(feature = "restate") {
        ways.push((vec!["run", "look.yaml", "--target", "engine"], 2, "block 2"));
    }
    for (command, code, words) in ways {
        let ran = test.windlass(&command);
        assert!(ran.stderr.contains(words), "{command:?}: {}", ran.stderr);
        assert!(
            !ran.stderr.contains("panicked"),
            "{command:?}: {}",
            ran.stderr
        );
        ran.expect(code);
    }
}
