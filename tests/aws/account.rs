//! Whose credentials count, as the aws CLI decides it, and the account that a target is for.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    thread,
};

use super::caller::Caller;
use crate::client::{Served, moto};

const CONFIG: &str = "
[profile admin]
aws_access_key_id = AKIAPROFILE
aws_secret_access_key = secret
region = us-east-1

[profile bare]
region = us-east-1

[profile served]
aws_access_key_id = AKIAPROFILE
aws_secret_access_key = secret
services = missing
";

const OF_ENVIRONMENT: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "AKIAENVIRON"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
];

/// An STS that tells accounts by the access key; its URL.
fn sts() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || answer(client));
        }
    });
    url
}

/// GetCallerIdentity. A client that is gone is no matter of the server's.
fn answer(mut client: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        (reader.read_line(&mut head).ok()? > 0).then_some(())?;
    }
    let length = head
        .to_lowercase()
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.lines().next()?.parse().ok())
        .unwrap_or(0);
    reader.read_exact(&mut vec![0; length]).ok()?;
    let account = match () {
        () if head.contains("Credential=AKIAENVIRON/") => "111111111111",
        () if head.contains("Credential=AKIAPROFILE/") => "222222222222",
        () => "333333333333",
    };
    let body = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{account}:user/x</Arn><UserId>x</UserId><Account>{account}</Account>\
         </GetCallerIdentityResult></GetCallerIdentityResponse>"
    );
    let length = body.len();
    let text = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/xml\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    client.write_all(text.as_bytes()).ok()
}

/// The account of the aws CLI, or what it says instead.
fn aws_says(
    caller: &Caller,
    sts: &str,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Result<String, String> {
    let mut command = Command::new("aws");
    command
        .args([
            "sts",
            "get-caller-identity",
            "--query",
            "Account",
            "--output",
            "text",
            "--region",
            "us-east-1",
        ])
        .args(["--endpoint-url", sts])
        .args(arguments);
    let ran = caller.run(command, variables);
    match ran.code {
        0 => Ok(ran.stdout.trim().into()),
        _ => Err(ran.stderr),
    }
}

#[test]
fn a7_the_profile_of_a_target_wins_as_with_the_aws_cli() {
    let caller = Caller::new(CONFIG);
    let sts = sts();
    let has_aws = Command::new("aws").arg("--version").output().is_ok();
    assert!(
        has_aws || std::env::var_os("CI").is_none(),
        "aws is missing: pip install awscli"
    );
    let profile = |name: &'static str| ("AWS_PROFILE", name);
    for (named, variables, account) in [
        (Some("admin"), &OF_ENVIRONMENT[..], Some("222222222222")),
        (Some("bare"), &OF_ENVIRONMENT, None),
        (Some("missing"), &OF_ENVIRONMENT, None),
        (Some("served"), &OF_ENVIRONMENT, None),
        (None, &OF_ENVIRONMENT, Some("111111111111")),
        (None, &[profile("admin")], Some("222222222222")),
        (
            None,
            &[OF_ENVIRONMENT[0], OF_ENVIRONMENT[1], profile("admin")],
            Some("111111111111"),
        ),
        (
            None,
            &[OF_ENVIRONMENT[0], OF_ENVIRONMENT[1], profile("missing")],
            None,
        ),
    ] {
        let about = format!("{named:?} {variables:?}");
        let with_sts = [variables, &[("AWS_ENDPOINT_URL_STS", sts.as_str())]].concat();
        let key = named.map_or(String::new(), |name| format!(", profile = \"{name}\""));
        let target = format!("region = \"us-east-1\", endpoint = \"http://127.0.0.1:1\"{key}");
        let ran = caller.windlass(
            &["validate", "look.yaml", "--target", "t"],
            &target,
            &with_sts,
        );
        let ours =
            account.filter(|account| ran.stderr.contains(&format!("AWS account {account} ")));
        assert_eq!(ours, account, "{about}: {}", ran.stderr);
        for other in ["111111111111", "222222222222"] {
            assert!(
                account == Some(other) || !ran.stderr.contains(other),
                "{about}: {}",
                ran.stderr
            );
        }
        if has_aws {
            let arguments: Vec<_> = named.iter().flat_map(|name| ["--profile", *name]).collect();
            let theirs = aws_says(&caller, &sts, &arguments, variables);
            // The CLI does not look at `services` where the endpoint is given by an option.
            if named != Some("served") {
                assert_eq!(theirs.as_deref().ok(), account, "{about}: {theirs:?}");
            }
        }
    }
}

#[test]
fn a7_a_profile_that_does_not_exist_is_an_error_that_names_the_file() {
    let caller = Caller::new(CONFIG);
    let served = Served::start(&caller.test, &[]);
    let endpoint = format!(
        "region = \"us-east-1\", endpoint = \"http://{}\"",
        served.address()
    );
    for (profile, words) in [
        ("missing", "the AWS profile `missing`"),
        ("served", "[services missing]"),
    ] {
        let target = format!("{endpoint}, profile = \"{profile}\"");
        let ran = caller.look(&target, &OF_ENVIRONMENT).expect(2);
        ran.says(words);
        ran.says(".aws/config");
    }
    // Named by a variable, it is one where AWS is asked.
    let stale = [
        OF_ENVIRONMENT[0],
        OF_ENVIRONMENT[1],
        ("AWS_PROFILE", "missing"),
    ];
    let ran = caller.look(&endpoint, &stale).expect(1);
    ran.says("the AWS profile `missing` (AWS_PROFILE)");
    caller.look(&endpoint, &OF_ENVIRONMENT).expect(0);
}

#[test]
fn a7_a_target_refuses_another_account() {
    let caller = Caller::new(CONFIG);
    let Some(moto) = moto() else {
        return;
    };
    let url = format!("http://{}", moto.address());
    let create = "workflow: create\nsteps:\n  a:\n    run: |\n      file::write(\"first.txt\", \"x\");\n      \
                  pca::create_certificate_authority(#{ type: \"ROOT\", subject: #{ CN: \"x\" } }); #{}\n";
    caller.test.write("create.yaml", create);
    let run = |pin: &str, more: &[(&str, &str)]| {
        let target = format!("region = \"us-east-1\", endpoint = \"{url}\"{pin}");
        let variables = [&OF_ENVIRONMENT[..], more].concat();
        caller.windlass(
            &["run", "create.yaml", "--target", "t"],
            &target,
            &variables,
        )
    };
    let with_sts = [("AWS_ENDPOINT_URL_STS", url.as_str())];
    let wrong = run(", account = \"999999999999\"", &with_sts).expect(2);
    assert!(
        wrong.stderr.contains("123456789012") && wrong.stderr.contains("999999999999"),
        "{}",
        wrong.stderr
    );
    // STS can't be asked: it is not the STS of this endpoint, or nobody listens there.
    let unasked = run(", account = \"123456789012\"", &[]).expect(2);
    unasked.says("AWS_ENDPOINT_URL_STS");
    let refused = run(
        ", account = \"123456789012\"",
        &[("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")],
    );
    assert!(refused.expect(2).stderr.contains("refused"));
    let digits = run(", account = \"12345\"", &with_sts).expect(2);
    digits.says("12 digits");
    assert!(!caller.test.path("out/first.txt").exists());
    // A configuration that can't be read may name a server; without one, the runs are those here.
    let here = ["--server", "", "runs", "--json"];
    assert_eq!(
        caller.test.windlass(&here).expect(0).json(),
        serde_json::json!([])
    );

    let right = run(", account = \"123456789012\"", &with_sts).expect(0);
    right.says("AWS account 123456789012 ");
    // Without a pin, what can't be found out stops nothing.
    let unknown = run("", &[]).expect(0);
    unknown.says("AWS account unknown");
    unknown.says("region us-east-1");
    let target = format!("region = \"us-east-1\", endpoint = \"{url}\"");
    let variables = [&OF_ENVIRONMENT[..], &with_sts].concat();
    let plan = caller.windlass(
        &["plan", "create.yaml", "--target", "t"],
        &target,
        &variables,
    );
    assert!(plan.expect(0).stdout.contains("AWS account 123456789012 "));
}
