//! `x509::verify` against OpenSSL, on chains that are drawn at random: the same verdict, or a difference that the
//! table below explains.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose as Usage, GeneralSubtree, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, NameConstraints,
};
use time::{Duration, OffsetDateTime, macros::datetime};
use windlass::x509::{PeerName, Purpose, Verdict, Verification};

use super::made::{ca, leaf};
use crate::{
    harness::{Test, number_of},
    random::Random,
};

const WORLDS: usize = 50;
const LEAVES: usize = 8;
const NOW: OffsetDateTime = datetime!(2026-06-01 00:00 UTC);

/// Whether a difference is about a question.
type Concerns = fn(&Question) -> bool;

/// Where our verdict is another than OpenSSL's on purpose, and how such a question is known.
const DIFFERENCES: [(&str, Concerns); 8] = [
    (
        "a host is never looked for in the common name (RFC 9525, 6.3)",
        |q| q.is_host() && !q.item.sans.iter().any(|san| is_host(san)) && !q.is_ours_ok,
    ),
    ("a wildcard is a whole label (RFC 9525, 6.3)", |q| {
        let why = q.ours.error.as_deref().unwrap_or_default();
        q.item.sans.iter().any(|san| san.starts_with("f*"))
            && (why.contains("is not for the name") || why.contains("name constraints"))
    }),
    ("a CA is no certificate of a server or a client", |q| {
        q.purpose != Purpose::Ca && q.item.is_ca && !q.is_ours_ok
    }),
    (
        "OpenSSL has no purpose for CAs, and takes a leaf for one",
        |q| q.purpose == Purpose::Ca && !q.item.is_ca && !q.is_ours_ok,
    ),
    (
        "a CA below which no leaf verifies is of no use: path length counts it, and it must sign certificates",
        |q| {
            let why = q.ours.error.as_deref().unwrap_or_default();
            q.purpose == Purpose::Ca
                && (why.contains("path length") || why.contains("lacks the signing"))
        },
    ),
    (
        "a root that was made anew with the same key vouches for its former certificate, as in Go",
        |q| q.ours.chain.len() == 2 && q.ours.chain[0] == q.ours.chain[1],
    ),
    (
        "a certificate among the roots vouches for others, not for itself, unless it is a CA (webpki)",
        |q| q.is_among_roots && !q.item.is_ca && !q.is_ours_ok,
    ),
    (
        "OpenSSL follows one path, and does not look for another",
        |q| q.is_ours_ok && q.is_ok_alone,
    ),
];

/// A CA that may sign, and be signed, more than once.
struct Ca {
    params: CertificateParams,
    key: KeyPair,
    pem: String,
}

/// A certificate that is asked about.
struct Item {
    pem: String,
    sans: Vec<String>,
    is_ca: bool,
}

struct Question<'a> {
    item: &'a Item,
    purpose: Purpose,
    name: Option<&'static str>,
    ours: Verdict,
    is_ours_ok: bool,
    is_among_roots: bool,
    /// Whether OpenSSL agrees when it has only the certificates of the path that was found.
    is_ok_alone: bool,
}

impl Question<'_> {
    fn is_host(&self) -> bool {
        self.name.is_some_and(is_host)
    }
}

fn is_host(name: &str) -> bool {
    name.contains(".example")
}

/// Sets what can be wrong with a validity.
fn draw_validity(random: &mut Random, params: &mut CertificateParams) {
    let (from, to) = match random.below(40) {
        0 => (-800, -10),
        1 => (10, 800),
        2 => (-10, 100),
        _ => (-1000, 1000),
    };
    params.not_before = NOW + Duration::days(from);
    params.not_after = NOW + Duration::days(to);
}

fn draw_ca(random: &mut Random, name: &str) -> CertificateParams {
    let mut params = ca(name);
    draw_validity(random, &mut params);
    if random.is(25) {
        let length = random.pick(&[0, 0, 1, 2]);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(length));
    }
    match random.below(32) {
        0 => params.extended_key_usages = vec![Usage::ClientAuth],
        1 => params.extended_key_usages = vec![Usage::ServerAuth],
        2 => params.extended_key_usages = vec![Usage::ServerAuth, Usage::ClientAuth],
        3 => params.key_usages = vec![KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature],
        4 => params.is_ca = IsCa::ExplicitNoCa,
        5 => params.key_usages.push(KeyUsagePurpose::DigitalSignature),
        _ => {}
    }
    if params.is_ca == IsCa::ExplicitNoCa {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    }
    if random.is(8) {
        let dns = |name: &str| vec![GeneralSubtree::DnsName(name.into())];
        params.name_constraints = Some(if random.is(50) {
            NameConstraints {
                permitted_subtrees: dns("a.example"),
                excluded_subtrees: Vec::new(),
            }
        } else {
            NameConstraints {
                permitted_subtrees: Vec::new(),
                excluded_subtrees: dns("b.example"),
            }
        });
    }
    params
}

fn draw_leaf(random: &mut Random, number: usize) -> (CertificateParams, Vec<String>) {
    let host = random.pick(&[
        "host.a.example",
        "host.b.example",
        "*.a.example",
        "f*.a.example",
        "foo.a.example",
    ]);
    let sans: Vec<&str> = match random.below(8) {
        0 => vec!["spiffe://td/ns/x/sa/y"],
        1 => vec![host, "10.0.0.1"],
        2 => vec!["10.0.0.1"],
        _ => vec![host],
    };
    let common_name = if random.is(30) {
        "host.a.example".to_owned()
    } else {
        format!("Leaf {number}")
    };
    let mut params = leaf(&common_name, &sans);
    draw_validity(random, &mut params);
    match random.below(12) {
        0 => params.extended_key_usages = vec![Usage::ClientAuth],
        1 => params.extended_key_usages = vec![Usage::ServerAuth],
        2 => params.extended_key_usages = vec![Usage::EmailProtection],
        3 => params.extended_key_usages.clear(),
        4 => params.key_usages = vec![KeyUsagePurpose::KeyEncipherment],
        5 => params.key_usages = vec![KeyUsagePurpose::ContentCommitment],
        6 => params.key_usages.clear(),
        _ => {}
    }
    if random.is(5) {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
    }
    (params, sans.into_iter().map(str::to_owned).collect())
}

impl Ca {
    fn sign(&self, params: &CertificateParams, key: &KeyPair) -> String {
        let issuer = Issuer::from_params(&self.params, &self.key);
        params.signed_by(key, &issuer).unwrap().pem()
    }

    /// Signs a certificate that says that the issuer's key has another id than it has.
    fn sign_astray(&self, params: &CertificateParams, key: &KeyPair) -> String {
        let mut own = self.params.clone();
        own.key_identifier_method = KeyIdMethod::PreSpecified(vec![7; 20]);
        let issuer = Issuer::from_params(&own, &self.key);
        params.signed_by(key, &issuer).unwrap().pem()
    }

    fn root(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { params, key, pem }
    }

    fn below(&self, params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let pem = self.sign(&params, &key);
        Self { params, key, pem }
    }
}

/// What is known to whoever verifies, and what they are asked about.
struct World {
    roots: String,
    chain: String,
    items: Vec<Item>,
}

fn draw_world(random: &mut Random) -> World {
    let a = Ca::root(draw_ca(random, "Root A"));
    let b = Ca::root(draw_ca(random, "Root B"));
    let mut chain = Vec::new();
    let mut line = vec![a];
    for level in 0..random.below(4) {
        let above = &line[line.len() - 1];
        let mut made = above.below(draw_ca(random, &format!("CA {level}")));
        if random.is(6) {
            // A namesake with another key.
            made = Ca {
                key: KeyPair::generate().unwrap(),
                ..made
            };
        }
        if random.is(25) {
            // The same CA, under the other root as well.
            let mut crossed = draw_ca(random, &format!("CA {level}"));
            crossed.key_usages = made.params.key_usages.clone();
            chain.push(b.sign(&crossed, &made.key));
        }
        if !random.is(6) {
            chain.push(made.pem.clone());
        }
        line.push(made);
    }
    let a = &line[0];
    let mut roots = match random.below(8) {
        0 => vec![b.pem.clone()],
        1 | 2 => vec![a.pem.clone(), b.pem.clone()],
        3 => vec![line[line.len() - 1].pem.clone()],
        _ => vec![a.pem.clone()],
    };
    if random.is(15) {
        // The root's key in another certificate.
        let mut again = a.params.clone();
        draw_validity(random, &mut again);
        roots.insert(0, again.self_signed(&a.key).unwrap().pem());
    }
    if random.is(15) {
        chain.push(a.pem.clone());
    }
    for index in (1..chain.len()).rev() {
        chain.swap(index, random.below(index + 1));
    }
    let mut items = Vec::new();
    for number in 0..LEAVES {
        let (params, sans) = draw_leaf(random, number);
        let is_late = random.is(85);
        let signer = if is_late {
            &line[line.len() - 1]
        } else {
            &line[random.below(line.len())]
        };
        let key = KeyPair::generate().unwrap();
        let pem = match random.is(3) {
            true => params.self_signed(&key).unwrap().pem(),
            false if random.is(3) => signer.sign_astray(&params, &key),
            false => signer.sign(&params, &key),
        };
        let is_ca = matches!(params.is_ca, IsCa::Ca(_));
        items.push(Item { pem, sans, is_ca });
    }
    for _ in LEAVES..LEAVES + 2 {
        let asked = &line[random.below(line.len())];
        items.push(Item {
            pem: asked.pem.clone(),
            sans: Vec::new(),
            is_ca: matches!(asked.params.is_ca, IsCa::Ca(_)),
        });
    }
    World {
        roots: roots.concat(),
        chain: chain.concat(),
        items,
    }
}

/// What OpenSSL says of some files at once: its error for each that fails, the deepest first.
fn openssl(
    test: &Test,
    purpose: Purpose,
    name: Option<&str>,
    at: OffsetDateTime,
    (roots, chain): (&str, &str),
    files: &[String],
) -> Vec<Option<String>> {
    let mut command = Command::new("openssl");
    command.current_dir(test.path("."));
    command.args([
        "verify",
        "-x509_strict",
        "-partial_chain",
        "-CAfile",
        roots,
        "-no-CApath",
        "-no-CAstore",
    ]);
    if chain != "none" {
        command.args(["-untrusted", chain]);
    }
    match purpose {
        Purpose::Server => command.args(["-purpose", "sslserver"]),
        Purpose::Client => command.args(["-purpose", "sslclient"]),
        Purpose::Ca => command.args(["-purpose", "any"]),
    };
    match name {
        Some(name) if is_host(name) => command.args(["-verify_hostname", name]),
        Some(name) => command.args(["-verify_ip", name]),
        None => &mut command,
    };
    command.args(["-attime", &at.unix_timestamp().to_string()]);
    let output = command.args(files).output().unwrap();
    let (good, bad) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    let mut errors: BTreeMap<&str, String> = BTreeMap::new();
    let mut said = Vec::new();
    for line in bad.lines() {
        if let Some(file) = line.strip_suffix(": verification failed") {
            let file = file.strip_prefix("error ").unwrap();
            errors.insert(file, said.join("; "));
            said.clear();
        } else if line.starts_with("error ") {
            said.push(line);
        }
    }
    let verdict = |file: &String| match errors.get(file.as_str()) {
        Some(error) => Some(error.clone()),
        None => {
            assert!(good.contains(&format!("{file}: OK")), "{file}: {good}{bad}");
            None
        }
    };
    files.iter().map(verdict).collect()
}

#[test]
fn openssl_gives_the_same_verdict_on_a_thousand_chains() {
    let mut random = Random(number_of("WINDLASS_TEST_SEED", 9));
    let test = Test::new();
    let (mut asked, mut accepted, mut processes) = (0, 0, 0);
    let mut explained: BTreeMap<&str, usize> = BTreeMap::new();
    let mut unexplained = Vec::new();
    let mut reasons = BTreeSet::new();
    for number in 0..WORLDS {
        let world = draw_world(&mut random);
        test.write("roots.pem", &world.roots);
        test.write("chain.pem", &world.chain);
        let chain = if world.chain.is_empty() {
            "none"
        } else {
            "chain.pem"
        };
        let files: Vec<_> = (0..world.items.len()).map(|n| format!("{n}.pem")).collect();
        for (file, item) in files.iter().zip(&world.items) {
            test.write(file, &item.pem);
        }
        for purpose in [
            random.pick(&[Purpose::Server, Purpose::Client]),
            random.pick(&[Purpose::Server, Purpose::Client, Purpose::Ca]),
        ] {
            let name = match purpose {
                Purpose::Server => random.pick(&[
                    None,
                    None,
                    None,
                    Some("host.a.example"),
                    Some("foo.a.example"),
                    Some("10.0.0.1"),
                ]),
                _ => None,
            };
            let at = NOW + Duration::days(random.pick(&[0, 0, 0, 0, 0, 0, 200, 2000]));
            let theirs = openssl(&test, purpose, name, at, ("roots.pem", chain), &files);
            processes += 1;
            for ((item, theirs), file) in world.items.iter().zip(theirs).zip(&files) {
                let peer = name.map(|name| PeerName::parse(name).unwrap());
                let ask = |chain: &str, roots: &str| {
                    Verification::new(&item.pem, chain, roots, purpose, peer.clone(), at).unwrap()
                };
                let ours = ask(&world.chain, &world.roots).verdict();
                asked += 1;
                accepted += usize::from(ours.error.is_none());
                let is_ours_ok = ours.error.is_none();
                if let Some(why) = &ours.error {
                    let shape: String = why.split('`').step_by(2).collect();
                    reasons.insert(
                        shape
                            .chars()
                            .filter(|c| !c.is_ascii_digit())
                            .collect::<String>(),
                    );
                }
                if is_ours_ok == theirs.is_none() {
                    continue;
                }
                let is_ok_alone = is_ours_ok && {
                    processes += 1;
                    let path = path_of(&ours, &world, &item.pem);
                    path.iter().any(|(root, between)| {
                        test.write("root.pem", root);
                        test.write("between.pem", between);
                        let between = if between.is_empty() {
                            "none"
                        } else {
                            "between.pem"
                        };
                        let alone = openssl(
                            &test,
                            purpose,
                            name,
                            at,
                            ("root.pem", between),
                            std::slice::from_ref(file),
                        );
                        alone[0].is_none()
                    })
                };
                let question = Question {
                    item,
                    purpose,
                    name,
                    ours,
                    is_ours_ok,
                    is_among_roots: world.roots.contains(&item.pem),
                    is_ok_alone,
                };
                match DIFFERENCES.iter().find(|(_, explains)| explains(&question)) {
                    Some((why, _)) => *explained.entry(why).or_default() += 1,
                    None => unexplained.push(format!(
                        "world {number}, {file}, {purpose:?} {name:?} at {at}: ours {:?}, OpenSSL {theirs:?}",
                        question.ours
                    )),
                }
            }
        }
    }
    println!("{asked} questions, {accepted} accepted, {processes} processes of openssl");
    for (why, count) in &explained {
        println!("{count:4} × {why}");
    }
    for reason in &reasons {
        println!("refused: {reason}");
    }
    assert!(
        unexplained.is_empty(),
        "{}\n{}",
        unexplained.len(),
        unexplained.join("\n")
    );
    assert_eq!(asked, 1000);
    assert!((120..=850).contains(&accepted), "{accepted}");
}

/// The certificates of a path that was found, as roots and what is between: namesakes give several.
fn path_of(found: &Verdict, world: &World, leaf: &str) -> Vec<(String, String)> {
    let blocks = |pem: &str| {
        let ends = pem.split_inclusive("-----END CERTIFICATE-----\n");
        let read = |block: &str| {
            let read = windlass::x509::Certificate::read_all(block.as_bytes()).unwrap();
            (read[0].subject.clone(), block.to_owned())
        };
        ends.map(read).collect::<Vec<_>>()
    };
    let named = |all: &str, name: &String| {
        let all = blocks(all).into_iter();
        // A certificate that is a root itself is its own path.
        let is_alone = found.chain.len() == 1;
        all.filter(|(subject, pem)| subject == name && (pem == leaf) == is_alone)
            .map(|(_, pem)| pem)
            .collect::<Vec<_>>()
    };
    let Some((root, between)) = found.chain.split_last() else {
        return Vec::new();
    };
    let mut paths = vec![String::new()];
    for name in between.iter().skip(1) {
        let choices = named(&world.chain, name);
        paths = paths
            .iter()
            .flat_map(|path| choices.iter().map(move |choice| format!("{path}{choice}")))
            .collect();
    }
    let roots = named(&world.roots, root);
    roots
        .iter()
        .flat_map(|root| paths.iter().map(move |path| (root.clone(), path.clone())))
        .collect()
}

/// What a person reads.
#[test]
fn a_verdict_says_what_is_wrong() {
    let root = Ca::root(ca("Root"));
    let mut short = ca("Short");
    short.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let short = root.below(short);
    let issuing = short.below(ca("Issuing"));
    let key = KeyPair::generate().unwrap();
    let mut params = leaf("x", &["x.example", "spiffe://td/ns/a/sa/b"]);
    params.not_after = datetime!(2030-01-01 00:00 UTC);
    let deep = issuing.sign(&params, &key);
    let flat = root.sign(&params, &key);
    let at = datetime!(2026-01-01 00:00 UTC);
    let chain = format!("{}{}", issuing.pem, short.pem);
    let ask = |leaf: &str, chain: &str, purpose, name: Option<&str>, at| {
        let name = name.map(|name| PeerName::parse(name).unwrap());
        let asked = Verification::new(leaf, chain, &root.pem, purpose, name, at).unwrap();
        asked.verdict().error.unwrap_or_default()
    };
    let server = Purpose::Server;
    let later = datetime!(2031-01-01 00:00 UTC);
    for (said, expected) in [
        (ask(&flat, "", server, Some("x.example"), at), ""),
        (ask(&flat, "", server, Some("spiffe://td/"), at), ""),
        (
            ask(&flat, "", server, Some("spiffe://td"), at),
            "`CN=x` is not for the name `spiffe://td`",
        ),
        (
            ask(&flat, "", server, Some("y.example"), at),
            "`CN=x` is not for the name `y.example`",
        ),
        (
            ask(&flat, "", server, None, later),
            "`CN=x` expired on 2030-01-01T00:00:00Z",
        ),
        (
            ask(&deep, &chain, server, None, at),
            "`CN=Short` has path length 0, and 1 CAs are below it",
        ),
        (
            ask(&deep, &issuing.pem, server, None, at),
            "no chain leads to a root: the issuer of `CN=Issuing`, `CN=Short`, is not among what was given",
        ),
        // What istiod loads without a word, and nothing below it verifies.
        (
            ask(&issuing.pem, &short.pem, Purpose::Ca, None, at),
            "`CN=Short` has path length 0, and 1 CAs are below it",
        ),
        (ask(&short.pem, "", Purpose::Ca, None, at), ""),
        (ask(&root.pem, "", Purpose::Ca, None, at), ""),
        (ask(&flat, "", Purpose::Ca, None, at), "`CN=x` is not a CA"),
        (
            ask(&short.pem, "", server, None, at),
            "`CN=Short` is a CA, which is no certificate of a server or a client (`purpose: \"ca\"` verifies CAs)",
        ),
    ] {
        assert_eq!(said, expected);
    }
    let astray = ask(&root.sign_astray(&params, &key), "", server, None, at);
    assert!(
        astray.starts_with("`CN=x` names the key 07070707"),
        "{astray}"
    );
    let other = Ca::root(ca("Root"));
    let stranger = other.sign(&params, &key);
    assert_eq!(
        ask(&stranger, "", server, None, at),
        "no chain leads to a root: `CN=x` is not signed with the key of the `CN=Root` that was given"
    );
    assert_eq!(
        ask(&other.pem, "", Purpose::Ca, None, at),
        "no chain leads to a root: `CN=Root` is self-signed and not among the roots"
    );
    // A chain that fails is an answer; what can't be read is a mistake, and says where.
    let damaged = format!("{}{}", flat, deep.replacen("MII", "M!!", 1));
    let error = Verification::new(&flat, &damaged, &root.pem, server, None, at).unwrap_err();
    let error = error.to_string();
    assert!(error.starts_with("`chain`: block 2 of the text"), "{error}");
    let error = Verification::new(&flat, "", "", server, None, at).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("`roots`: the text is not PEM"),
        "{error}"
    );
}
