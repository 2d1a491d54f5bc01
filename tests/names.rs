//! The names in requests and certificates, and the keys that sign them, judged by openssl.

use crate::harness::Test;

/// A workflow of one step, whose body this is.
fn script(test: &Test, body: &str) {
    let body = body.replace('\n', "\n      ");
    test.write(
        "w.yaml",
        &format!("workflow: w\nsteps:\n  a:\n    run: |\n      {body}\noutputs: {{ x: '${{{{ steps.a.x }}}}' }}\n"),
    );
}

#[test]
fn c6_names_of_every_kind_are_in_the_request_and_in_the_certificate() {
    let test = Test::with_shipped_workflows();
    test.write(
        "ca.yaml",
        "workflow: ca
steps:
  ca:
    script: workflows/steps/create_ca.rhai
    with: { type: ROOT, subject: { common_name: Root }, key_algorithm: EC_prime256v1 }
  sign:
    script: workflows/steps/sign_csr.rhai
    with: { ca: '${{ steps.ca.arn }}', csr: '${{ steps.ca.csr }}', template: RootCACertificate/V1, validity: 900d, signing_algorithm: SHA256WITHECDSA }
  active:
    script: workflows/steps/import.rhai
    with: { ca: '${{ steps.ca.arn }}', certificate: '${{ steps.sign.certificate }}' }
  leaf:
    workflow: workflows/certificate.yaml
    with:
      ca: ${{ steps.active.arn }}
      name: leaf
      subject: { common_name: leaf, country: US }
      dns_names: [leaf.example, \"*.leaf.example\"]
      ip_addresses: [127.0.0.1, \"2001:db8::1\"]
      uris: [spiffe://cluster.local/ns/a/sa/b]
      email_addresses: [ops@example.com]
      key_algorithm: EC_prime256v1
      signing_algorithm: SHA256WITHECDSA
      validity: 30d
  passed:
    with: { ca: '${{ steps.active.arn }}', csr: '${{ steps.leaf.certificate }}' }
    needs: [leaf]
    run: |
      let arn = pca::issue_certificate(inputs.ca, #{
          csr: csr::create(key::generate(\"EC_prime256v1\"), #{ subject: #{ CN: \"passed\" } }),
          template: \"EndEntityCertificate_APIPassthrough/V1\", validity: \"30d\", signing_algorithm: \"SHA256WITHECDSA\",
          api_passthrough: #{
              dns_names: [\"passed.example\"], ip_addresses: [\"10.0.0.7\"], uris: [\"spiffe://cluster.local/p\"],
              email_addresses: [\"p@example.com\"],
          },
      });
      let signed = pca::wait_until_issued(inputs.ca, arn);
      file::write(\"passed.pem\", signed.certificate);
      let read = x509::read(signed.certificate);
      #{ names: [read.dns_names, read.ip_addresses, read.uris, read.email_addresses] }
outputs: { names: '${{ steps.passed.names }}' }
",
    );
    let outputs = test.outputs_of(&["ca.yaml"]);
    assert_eq!(
        outputs["names"],
        serde_json::json!([
            ["passed.example"],
            ["10.0.0.7"],
            ["spiffe://cluster.local/p"],
            ["p@example.com"]
        ])
    );
    let names = |arguments: &[&str]| {
        let text = test.openssl(arguments).expect(0).stdout;
        let line = text
            .lines()
            .find(|line| line.contains("DNS:"))
            .unwrap_or_default();
        line.trim().to_owned()
    };
    let all = "DNS:leaf.example, DNS:*.leaf.example, IP Address:127.0.0.1, IP Address:2001:DB8:0:0:0:0:0:1, \
               URI:spiffe://cluster.local/ns/a/sa/b, email:ops@example.com";
    assert_eq!(
        names(&["req", "-in", "out/leaf.csr", "-noout", "-text"]),
        all
    );
    assert_eq!(
        names(&["x509", "-in", "out/leaf.pem", "-noout", "-text"]),
        all
    );
    assert_eq!(
        names(&["x509", "-in", "out/passed.pem", "-noout", "-text"]),
        "DNS:passed.example, IP Address:10.0.0.7, URI:spiffe://cluster.local/p, email:p@example.com"
    );
}

#[test]
fn c6_a_name_of_the_wrong_kind_is_refused_with_the_right_field() {
    let test = Test::new();
    for (field, name, hint) in [
        ("dns_names", "127.0.0.1", "ip_addresses"),
        ("dns_names", "spiffe://cluster.local/x", "uris"),
        ("dns_names", "ops@example.com", "email_addresses"),
        ("uris", "leaf.example", "dns_names"),
        ("dns_names", "", "is empty"),
        ("dns_names", "a b", "white space"),
        ("dns_names", "münchen.example", "xn--"),
    ] {
        for call in [
            format!(
                "csr::create(key::generate(\"EC_prime256v1\"), #{{ subject: #{{ CN: \"x\" }}, {field}: [\"{name}\"] }})"
            ),
            format!(
                "pca::issue_certificate(\"arn\", #{{ csr: csr::create(key::generate(\"EC_prime256v1\"), #{{ subject: #{{ CN: \"x\" }} }}), validity: \"1d\", api_passthrough: #{{ {field}: [\"{name}\"] }} }})"
            ),
        ] {
            script(&test, &format!("{call}; #{{ x: 1 }}"));
            let ran = test.windlass(&["run", "w.yaml"]).expect(1);
            assert!(ran.stderr.contains(hint), "{field} {name}: {}", ran.stderr);
        }
    }
}

#[test]
fn c7_subjects_have_the_string_types_of_rfc_5280() {
    let test = Test::new();
    script(
        &test,
        "file::write(\"a.csr\", csr::create(key::generate(\"EC_prime256v1\"), #{ subject: #{ C: \"US\", O: \"Müller\", CN: \"x\", serialNumber: \"A-1\", dnQualifier: \"q\" } })); #{ x: 1 }",
    );
    test.windlass(&["run", "w.yaml"]).expect(0);
    let parsed = test
        .openssl(&["asn1parse", "-in", "out/a.csr"])
        .expect(0)
        .stdout;
    let mut types = Vec::new();
    let mut lines = parsed.lines();
    while let Some(line) = lines.next() {
        for name in [
            "countryName",
            "organizationName",
            "commonName",
            "serialNumber",
            "dnQualifier",
        ] {
            if line.contains(&format!(":{name}")) {
                let value = lines.next().unwrap_or_default();
                let kind = value.split("prim:").nth(1).unwrap_or_default().trim();
                types.push(format!(
                    "{name} {}",
                    kind.split_whitespace().next().unwrap_or_default()
                ));
            }
        }
    }
    assert_eq!(
        types,
        [
            "countryName PRINTABLESTRING",
            "organizationName UTF8STRING",
            "commonName UTF8STRING",
            "serialNumber PRINTABLESTRING",
            "dnQualifier PRINTABLESTRING"
        ]
    );
    script(
        &test,
        "let country = \"USA\"; csr::create(key::generate(\"EC_prime256v1\"), #{ subject: #{ C: country } }); #{ x: 1 }",
    );
    let ran = test.windlass(&["run", "w.yaml"]).expect(1);
    ran.says("two letters");
    let long = "c".repeat(65);
    script(
        &test,
        &format!(
            "let name = \"{long}\"; pca::create_certificate_authority(#{{ type: \"ROOT\", subject: #{{ CN: name }} }}); #{{ x: 1 }}"
        ),
    );
    let ran = test.windlass(&["run", "w.yaml"]).expect(1);
    ran.says("64 at most");
    assert_eq!(test.authorities(), 0);
}

#[test]
fn c7_shown_subjects_are_those_of_openssl() {
    let test = Test::new();
    test.write(
        "req.conf",
        "[req]\ndistinguished_name = n\nprompt = no\n[n]\nO = x\n",
    );
    let shown = |subject: &str, more: &[&str]| {
        let more = [&["-config", "req.conf", "-days", "3"], more].concat();
        test.certify(subject, ("k.pem", "out/c.pem"), &more);
        // Ours keeps letters beyond ASCII as they are, as RFC 4514 lets it.
        let theirs = test
            .openssl(&[
                "x509",
                "-in",
                "out/c.pem",
                "-noout",
                "-subject",
                "-nameopt",
                "RFC2253,-esc_msb",
            ])
            .expect(0)
            .stdout;
        let ours = test.outputs_of(&["w.yaml"]);
        let theirs = theirs
            .trim_end_matches('\n')
            .trim_start_matches("subject=")
            .to_owned();
        (ours["x"].as_str().unwrap_or_default().to_owned(), theirs)
    };
    script(&test, "#{ x: x509::read(file::read(\"c.pem\")).subject }");
    std::fs::create_dir_all(test.path("out")).expect("a folder");
    let utf8 = ["-utf8"];
    for (subject, more) in [
        ("/C=US/O=Solo.io, Inc./CN=a\\+b", &utf8[..]),
        ("/O=Müller \"& <Söhne>;/CN=x\\\\y", &utf8),
        ("/CN=#first/OU= lead", &utf8),
        ("/CN=trail ", &utf8),
        (
            "/serialNumber=1/GN=g/SN=s/title=t/initials=i/dnQualifier=q/generationQualifier=j/pseudonym=p/DC=io/UID=u",
            &utf8,
        ),
        ("/emailAddress=a@b.example/street=s/1.2.3.4=abc", &utf8),
        ("/C=US+O=multi/CN=x", &["-utf8", "-multivalue-rdn"]),
    ] {
        let (ours, theirs) = shown(subject, more);
        assert_eq!(ours, theirs, "{subject}");
    }
    // Old string types: BMPString, and T61String read as Latin-1.
    for mask in ["BMPString", "T61String"] {
        let mask_of = match mask {
            "BMPString" => "MASK:0x800",
            _ => "MASK:0x4",
        };
        test.write(
            "req.conf",
            &format!(
                "[req]\ndistinguished_name = n\nprompt = no\nstring_mask = {mask_of}\n[n]\nO = x\n"
            ),
        );
        let (ours, _) = shown("/O=Müller/CN=x", &utf8);
        assert_eq!(ours, "CN=x,O=Müller", "{mask}");
        let parsed = test
            .openssl(&["asn1parse", "-in", "out/c.pem"])
            .expect(0)
            .stdout;
        assert!(parsed.contains(&mask.to_uppercase()), "{parsed}");
    }
}

#[test]
fn c8_keys_are_found_in_every_form_that_openssl_writes() {
    let test = Test::new();
    for arguments in [
        // Begins with EC PARAMETERS.
        "ecparam -name prime256v1 -genkey -out out/ec.pem",
        "ecparam -name secp384r1 -genkey -noout -out out/sec1.pem",
        "genrsa -traditional -out out/pkcs1.pem 2048",
        "genpkey -algorithm ed25519 -out out/ed.pem",
        "req -x509 -key out/ec.pem -subj /CN=x -days 3 -out cert.pem",
        "pkcs8 -topk8 -in out/ec.pem -passout pass:sesame -out out/aes.pem",
        "pkcs8 -topk8 -in out/pkcs1.pem -v2 des3 -v2prf hmacWithSHA1 -passout pass:sesame -out out/des3.pem",
        "pkcs8 -topk8 -in out/sec1.pem -scrypt -passout pass:sesame -out out/scrypt.pem",
        "ec -in out/ec.pem -aes128 -passout pass:sesame -out out/old.pem",
        "dsaparam -out out/dsa.pem -genkey 1024",
    ] {
        std::fs::create_dir_all(test.path("out")).expect("a folder");
        test.openssl(&arguments.split(' ').collect::<Vec<_>>())
            .expect(0);
    }
    test.write(
        "out/bundle.pem",
        &format!("{}{}", test.read("cert.pem"), test.read("out/ec.pem")),
    );
    test.write(
        "out/two.pem",
        &format!("{}{}", test.read("out/sec1.pem"), test.read("out/ec.pem")),
    );
    test.write("out/cert.pem", &test.read("cert.pem"));
    test.write(
        "w.yaml",
        "workflow: w
params: { file: string, pass: { type: secret?, description: of the key } }
steps:
  a:
    with: { file: '${{ params.file }}', pass: '${{ params.pass }}' }
    run: |
      let key = if type_of(inputs.pass) == \"()\" { key::read(file::read(inputs.file)) } else { key::read(file::read(inputs.file), inputs.pass) };
      file::write(\"a.csr\", csr::create(key, #{ subject: #{ CN: \"x\" } }));
      file::write_secret(\"plain.pem\", key);
      #{ x: 1 }
",
    );
    let public = |arguments: &[&str]| test.openssl(arguments).expect(0).stdout;
    for file in [
        "ec", "sec1", "pkcs1", "ed", "bundle", "aes", "des3", "scrypt",
    ] {
        let path = format!("{file}.pem");
        let param = format!("file={path}");
        let mut command = vec!["run", "w.yaml", "-p", &param];
        if ["aes", "des3", "scrypt"].contains(&file) {
            command.extend(["-p", "pass=sesame"]);
        }
        test.windlass(&command).expect(0);
        let of_file = public(&[
            "pkey",
            "-in",
            &format!("out/{path}"),
            "-passin",
            "pass:sesame",
            "-pubout",
        ]);
        let of_plain = public(&["pkey", "-in", "out/plain.pem", "-pubout"]);
        let of_request = public(&["req", "-in", "out/a.csr", "-noout", "-verify", "-pubkey"]);
        assert_eq!(of_plain, of_file, "{file}");
        assert!(of_request.contains(of_file.trim()), "{file}");
    }
    for (file, pass, words) in [
        ("aes", None, "is encrypted, and no passphrase is given"),
        (
            "aes",
            Some("pass=wrong"),
            "not encrypted with this passphrase",
        ),
        ("old", None, "is encrypted"),
        ("old", Some("pass=sesame"), "old way"),
        ("dsa", None, "not one that can be used here"),
        ("cert", None, "no private key in the text, but CERTIFICATE"),
        ("two", None, "2 private keys"),
    ] {
        let param = format!("file={file}.pem");
        let mut command = vec!["run", "w.yaml", "-p", &param];
        if let Some(pass) = pass {
            command.extend(["-p", pass]);
        }
        let ran = test.windlass(&command).expect(1);
        assert!(
            ran.stderr.contains(words),
            "{file} {pass:?}: {}",
            ran.stderr
        );
    }
}
