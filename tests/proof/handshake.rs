//! `tls::handshake`, through the binary.

use std::os::unix::fs::PermissionsExt;

use super::made::{Authority, ca, leaf};
use crate::harness::Test;

const SCRIPT: &str = r#"
fn side(name, roots) {
    #{ certificate: file::read(name + ".pem"), key: file::read(name + ".key"), roots: file::read(roots + ".pem") }
}
fn met(client, server) {
    let by = [];
    for tls in ["1.3", "1.2"] {
        let met = tls::handshake(#{ client: client, server: server, tls: tls });
        if met.ok && met.tls != tls { throw met }
        by.push(if met.ok { "ok" } else { `${met.refused_by}: ${met.error}` });
    }
    if by[0] == by[1] { by[0] } else { by }
}
fn run(inputs) {
    let a = side("a", "root-a");
    let b = side("b", "root-b");
    let both = |side| { side.roots += if side.roots == file::read("root-a.pem") { file::read("root-b.pem") } else { file::read("root-a.pem") }; side };
    let named = a; named.server_name = "a.example";
    let other = a; other.server_name = "other.example";
    let spiffe = a; spiffe.client_name = "spiffe://td/";
    let stranger = a; stranger.client_name = "spiffe://other/";
    let nobody = #{ roots: a.roots };
    let open = #{ certificate: a.certificate, key: a.key };
    let alone = #{ client: a };
    let broken = a; broken.key = b.key;
    let no_pem = a; no_pem.roots = "x";
    #{
        same: met(a, a),
        strangers: met(a, b),
        server_trusts_both: met(a, both.call(b)),
        client_trusts_both: met(both.call(a), b),
        both: met(both.call(a), both.call(b)),
        named: met(named, a),
        other: met(other, a),
        spiffe: met(a, spiffe),
        stranger: met(a, stranger),
        no_certificate: met(nobody, a),
        one_way: met(nobody, open),
        late: tls::handshake(#{ client: a, server: a, at: "5000-01-01T00:00:00Z" }),
        protocols: tls::handshake(#{ client: but(a, "alpn", ["h2"]), server: but(a, "alpn", ["istio"]) }),
        newest: tls::handshake(#{ client: a, server: a }).tls,
        broken: code(|| tls::handshake(#{ client: broken, server: a })),
        no_pem: code(|| tls::handshake(#{ client: no_pem, server: a })),
        no_roots: code(|| tls::handshake(#{ client: open, server: a })),
        no_server: code(|| tls::handshake(alone)),
        misspelt: code(|| tls::handshake(#{ client: but(a, "root", "x"), server: a })),
    }
}
fn but(side, name, value) { side[name] = value; side }
fn code(act) { try { act.call(); } catch (e) { return e.message; } "" }
"#;

#[test]
fn two_sides_shake_hands_in_memory() {
    let test = Test::new()
        .file(
            "w.yaml",
            "workflow: w\nsteps: { s: { script: s.rhai } }\noutputs: { s: \"${{ steps.s }}\" }\n",
        )
        .file("s.rhai", SCRIPT);
    for side in ["a", "b"] {
        let root = Authority::root(ca(&format!("Root {side}")));
        let issuing = root.below(ca(&format!("Issuing {side}")));
        let name = format!("{side}.example");
        let made = issuing.leaf(&leaf(side, &[&name, "spiffe://td/ns/x/sa/y"]));
        test.write(&format!("out/root-{side}.pem"), &root.pem);
        test.write(
            &format!("out/{side}.pem"),
            &format!("{}{}", made.pem, issuing.pem),
        );
        test.write(&format!("out/{side}.key"), &made.key);
        // So that it is read as a secret.
        let owner = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(test.path(&format!("out/{side}.key")), owner).unwrap();
    }
    let met = test.outputs_of(&["w.yaml"])["s"].take();
    let says = |what: &str, text: &str| {
        let said = met[what]
            .as_str()
            .unwrap_or_else(|| panic!("{what}: {met:#}"));
        assert!(said.contains(text), "{what}: {said}");
    };
    for what in ["same", "both", "named", "spiffe", "one_way"] {
        assert_eq!(met[what], "ok", "{what}");
    }
    // Each side alone is not enough: the other refuses, and says so.
    says(
        "strangers",
        "client: invalid peer certificate: UnknownIssuer",
    );
    says(
        "server_trusts_both",
        "client: invalid peer certificate: UnknownIssuer",
    );
    says(
        "client_trusts_both",
        "server: invalid peer certificate: UnknownIssuer",
    );
    says("other", "client: invalid peer certificate: NotValidForName");
    says(
        "stranger",
        "server: invalid peer certificate: NotValidForName",
    );
    says("no_certificate", "server: peer sent no certificates");
    assert_eq!(
        (&met["late"]["ok"], &met["late"]["refused_by"]),
        (&false.into(), &"client".into())
    );
    assert!(
        met["late"]["error"].as_str().unwrap().contains("expired"),
        "{met:#}"
    );
    assert_eq!(met["protocols"]["refused_by"], "server", "{met:#}");
    assert_eq!(met["newest"], "1.3");
    says(
        "broken",
        "`client.key` is not the key of the first certificate of `client.certificate`",
    );
    says("no_pem", "`client.roots`: the text is not PEM");
    says("no_roots", "the client needs `roots`");
    says("no_server", "`server` is required, a map");
    says(
        "misspelt",
        "it has no option `client.root`: did you mean `roots`?",
    );
    // The keys that were given are nowhere to be read.
    let logs = test.windlass(&["logs", "--json"]).expect(0).stdout;
    for side in ["a", "b"] {
        let key = test.read(&format!("out/{side}.key"));
        assert!(!logs.contains(key.lines().nth(1).unwrap()));
    }
}
