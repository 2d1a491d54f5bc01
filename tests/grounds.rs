//! What a run stands on: folders that are its own, servers that serve it alone, files that are files.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::fs::{PermissionsExt, symlink},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::harness::{Ends, Test};

const ONE: &str = "workflow: one
steps:
  a: { run: 'file::write(\"a.txt\", \"x\")' }
";

#[test]
fn g7_scripts_are_given_no_folder_that_holds_more_than_outputs() {
    let test = Test::new()
        .file("w.yaml", ONE)
        .file("flows/w.yaml", ONE)
        .file("conf/windlass.toml", "");
    test.windlass(&["run", "w.yaml"]).expect(0);
    symlink(test.path(".windlass"), test.path("link")).expect("linked");
    for (arguments, wanted) in [
        (
            vec!["run", "w.yaml", "--out", "."],
            "holds the state folder",
        ),
        (
            vec!["run", "w.yaml", "--out", ".windlass/x"],
            "is inside the state folder",
        ),
        (
            vec!["run", "w.yaml", "--out", "link/x"],
            "is inside the state folder",
        ),
        (
            vec!["run", "flows/w.yaml", "--out", "flows"],
            "holds the workflow",
        ),
        (
            vec![
                "--config",
                "conf/windlass.toml",
                "run",
                "w.yaml",
                "--out",
                "conf",
            ],
            "holds the configuration",
        ),
    ] {
        let ran = test.windlass(&arguments).expect(2);
        assert!(ran.stderr.contains(wanted), "{arguments:?}: {}", ran.stderr);
        ran.says("unsafe-out");
    }
    // Nor when the folders change places later.
    let test = Test::new().file("w.yaml", "workflow: w\nsteps:\n  a: { run: 'throw 1' }\n");
    test.windlass(&["run", "w.yaml"]).expect(1);
    fs::remove_dir_all(test.path("out")).ok();
    symlink(".", test.path("out")).expect("linked");
    let ran = test.windlass(&["resume"]).expect(2);
    ran.says("unsafe-out");
}

/// Waits for a process's listening port on loopback, as anybody on the machine can find it.
fn listening_port(process: u32) -> u16 {
    let begun = Instant::now();
    loop {
        let table = fs::read_to_string("/proc/net/tcp").expect("a table of sockets");
        let own: Vec<String> = fs::read_dir(format!("/proc/{process}/fd"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| fs::read_link(entry.path()).ok())
            .filter_map(|link| {
                let link = link.display().to_string();
                Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
            })
            .collect();
        let found = table.lines().skip(1).find_map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let is_listening = fields.get(3) == Some(&"0A");
            let is_own = own
                .iter()
                .any(|inode| fields.get(9) == Some(&inode.as_str()));
            let (_, port) = fields.get(1)?.split_once(':')?;
            (is_listening && is_own).then(|| u16::from_str_radix(port, 16).ok())?
        });
        if let Some(port) = found {
            return port;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "no port");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What the CA at a port answers to a request that is signed by nobody, or by a made-up key.
fn ask(port: u16, authorization: &str) -> String {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    let request = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{authorization}\
         Content-Type: application/x-amz-json-1.1\r\n\
         X-Amz-Target: ACMPrivateCA.ListCertificateAuthorities\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    connection.write_all(request.as_bytes()).expect("asked");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("answered");
    answer
}

#[test]
fn g2_the_authority_of_a_run_serves_that_run_alone() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nsteps:\n  ask: { approval: 'go?' }\n",
    );
    let child = test
        .command(&["run", "w.yaml", "--wait"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("windlass starts");
    let child = Ends(child);
    let port = listening_port(child.0.id());
    let answer = ask(port, "");
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert!(answer.contains("MissingAuthenticationToken"), "{answer}");
    let guessed = "Authorization: AWS4-HMAC-SHA256 Credential=windlass/20260101/us-east-1/acm-pca/aws4_request, SignedHeaders=host, Signature=00\r\n";
    let answer = ask(port, guessed);
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert!(!answer.contains("CertificateAuthorities"), "{answer}");
}

/// `pca serve`, and the line that it printed on each stream.
fn serve(test: &Test, arguments: &[&str]) -> (Ends, String, String) {
    let mut command = test.command(&[&["pca", "serve", "--port", "0"], arguments].concat());
    let (mut server, endpoint) = Ends::listening(command.stderr(Stdio::piped()));
    let stderr = server.0.stderr.take().expect("piped");
    let lines = BufReader::new(stderr).lines();
    let export = lines
        .map_while(Result::ok)
        .take_while(|line| !line.starts_with("try: "))
        .find(|line| line.starts_with("export "));
    (server, endpoint, export.unwrap_or_default())
}

#[test]
fn g2_pca_serve_serves_whoever_may_read_its_credentials() {
    let test = Test::new();
    let (server, endpoint, export) = serve(&test, &["--dir", "pca"]);
    let port = endpoint
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok());
    let port = port.expect("a port");
    assert!(ask(port, "").contains("MissingAuthenticationToken"));
    let path = test.path("pca/credentials");
    let mode = fs::metadata(&path).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let list = |export: &str, endpoint: &str| {
        let aws = format!(
            "{export}; aws acm-pca list-certificate-authorities --endpoint-url {endpoint} --region us-east-1"
        );
        Command::new("sh")
            .args(["-c", &aws])
            .env_remove("AWS_ACCESS_KEY_ID")
            .env_remove("AWS_SECRET_ACCESS_KEY")
            .output()
            .expect("sh starts")
    };
    let listed = list(&export, &endpoint);
    assert!(listed.status.success(), "{export}: {listed:?}");
    // The same after a restart: what was exported stays true.
    drop(server);
    let kept = fs::read_to_string(&path).expect("there");
    let (_server, endpoint, export) = serve(&test, &["--dir", "pca"]);
    assert_eq!(fs::read_to_string(&path).expect("there"), kept);
    assert!(list(&export, &endpoint).status.success());
    let (_open, endpoint, export) = serve(&test, &["--dir", "open", "--insecure"]);
    assert_eq!(export, "");
    let port = endpoint
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok());
    assert!(ask(port.expect("a port"), "").starts_with("HTTP/1.1 200"));
}

#[test]
fn g2_a_cluster_gives_strangers_nothing() {
    let test = Test::new();
    let mut command = test.command(&["kube", "serve", "--clusters", "one", "--dir", "kube"]);
    let (_server, _) = Ends::listening(command.stderr(Stdio::null()));
    let config = test.path("kube/config");
    let mode = fs::metadata(&config).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let config = fs::read_to_string(config).expect("a kubeconfig");
    let server = config
        .split("server: \"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let server = server.expect("a server");
    for path in ["/api/v1/secrets", "/api/v1/namespaces/default/configmaps"] {
        let asked = Command::new("curl")
            .args([
                "-sk",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
                &format!("{server}{path}"),
            ])
            .output()
            .expect("curl starts");
        assert_eq!(String::from_utf8_lossy(&asked.stdout), "403", "{path}");
    }
}

#[test]
fn g9_others_must_not_have_the_state_folder() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nparams: { s: secret }\nsteps:\n  a: { run: 'file::write(\"a\", \"x\")' }\n",
    );
    test.windlass(&["run", "w.yaml", "-p", "s=hush"]).expect(0);
    let chmod = |name: &str, mode: u32| test.chmod(name, mode);
    chmod(".windlass/identity.txt", 0o644);
    let ran = test.windlass(&["run", "w.yaml", "-p", "s=hush"]).expect(2);
    ran.says("chmod 600 .windlass/identity.txt");
    chmod(".windlass/identity.txt", 0o600);
    chmod(".windlass", 0o777);
    let ran = test.windlass(&["run", "w.yaml", "-p", "s=hush"]).expect(2);
    ran.says("chmod 755 .windlass");
    chmod(".windlass", 0o770);
    let ran = test.windlass(&["run", "w.yaml", "-p", "s=hush"]).expect(2);
    ran.says("chmod 750 .windlass");
    chmod(".windlass", 0o700);
    test.windlass(&["run", "w.yaml", "-p", "s=hush"]).expect(0);
}

#[test]
fn g9_a_server_refuses_secrets_that_others_may_read() {
    let test = Test::new()
        .file("hook.secret", "0123456789abcdef0123456789abcdef")
        .file(
            "windlass.toml",
            "[hooks.deploys]\nsecret_file = \"hook.secret\"\n",
        )
        .private(".windlass/serve.token", &"t".repeat(40));
    let serve = || {
        test.windlass(&["serve", "--listen", "127.0.0.1:0"])
            .expect(2)
    };
    test.chmod(".windlass", 0o700);
    test.chmod("hook.secret", 0o644);
    let refused = serve();
    refused.says("[hooks.deploys]:");
    refused.says("hook.secret has mode 644");
    refused.says("chmod 600");
    test.chmod("hook.secret", 0o600);
    test.chmod(".windlass/serve.token", 0o666);
    let refused = serve();
    refused.says("serve.token has mode 666");
    refused.says("chmod 600");
}

#[test]
fn the_state_folder_is_private_whoever_makes_it() {
    for first in [
        &["triggers", "pause", "w/t"][..],
        &["shell"],
        &["run", "w.yaml"],
    ] {
        let test = Test::new().file(
            "w.yaml",
            "workflow: w\ntriggers: [{ name: t, schedule: \"0 3 * * *\" }]\nsteps: { a: { run: \"#{}\" } }\n",
        );
        let ran = Command::new("sh")
            .args(["-c", "umask 002; \"$0\" \"$@\" < /dev/null"])
            .arg(env!("CARGO_BIN_EXE_windlass"))
            .args(first)
            .current_dir(test.path("."))
            .output()
            .expect("sh starts");
        let state = test.path(".windlass");
        if !state.exists() {
            // Without a terminal, the prompt makes none.
            assert_eq!(first, ["shell"], "{ran:?}");
            continue;
        }
        let mode = fs::metadata(&state).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode, 0o700, "{first:?}");
        assert_eq!(test.read(".windlass/.gitignore"), "*\n", "{first:?}");
    }
}

#[test]
fn g9_a_umask_makes_no_secret_of_a_public_file() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nparams: { s: secret }\nsteps:\n  a:\n    with: { s: '${{ params.s }}' }\n    run: |\n      file::write(\"a.txt\", \"x\");\n      file::write_secret(\"b.txt\", inputs.s);\n      #{ a: type_of(file::read(\"a.txt\")), b: type_of(file::read(\"b.txt\")) }\noutputs: { a: '${{ steps.a.a }}', b: '${{ steps.a.b }}' }\n",
    );
    let run = "umask 077; exec \"$0\" run w.yaml -p s=hush --json";
    let ran = Command::new("sh")
        .args(["-c", run, env!("CARGO_BIN_EXE_windlass")])
        .current_dir(test.path(""))
        .output()
        .expect("sh starts");
    let json: serde_json::Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    assert_eq!(json["outputs"]["a"], "string", "{json}");
    assert_ne!(json["outputs"]["b"], "string", "{json}");
}

#[test]
fn g9_what_is_no_file_is_not_waited_for() {
    let test = Test::new()
        .file(
            "w.yaml",
            "workflow: w\nsteps:\n  a: { script: pipe.rhai }\n",
        )
        .file(
            "r.yaml",
            "workflow: r\nsteps:\n  a: { run: 'file::read(\"pipe\")' }\n",
        );
    fs::create_dir_all(test.path("out")).expect("made");
    for name in ["pipe.rhai", "out/pipe"] {
        let made = Command::new("mkfifo").arg(test.path(name)).status();
        assert!(made.expect("mkfifo starts").success());
    }
    let ran = test.windlass(&["validate", "w.yaml"]);
    assert!(
        ran.code != 0 && ran.stderr.contains("not a regular file"),
        "{}",
        ran.stderr
    );
    let ran = test.windlass(&["run", "r.yaml"]).expect(1);
    ran.says("not a regular file");
}

#[test]
fn g9_an_edited_run_is_resumed_from_anywhere() {
    let test = Test::new()
        .file(
            "flows/w.yaml",
            "workflow: w\nsteps:\n  a: { run: 'throw 1' }\n",
        )
        .file(
            "elsewhere/flows/w.yaml",
            "workflow: other\nsteps:\n  b: { run: 'throw 2' }\n",
        );
    test.windlass(&["run", "flows/w.yaml"]).expect(1);
    test.write("flows/w.yaml", "workflow: w\nsteps:\n  a: { run: '1' }\n");
    let state = test.path(".windlass").display().to_string();
    let ran = test
        .command(&["--state", &state, "resume", "--edited", "--yes"])
        .current_dir(test.path("elsewhere"))
        .output()
        .expect("windlass starts");
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(0), "{stderr}");
}

#[test]
fn g3_messages_have_a_budget() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nsteps:\n  a:\n    run: |\n      for i in 0..20000 { log::info(\"a message of some length, and more of it\"); }\n",
    );
    test.windlass(&["run", "w.yaml"]).expect(0);
    let logs = test.windlass(&["logs"]).expect(0).stdout;
    assert!(
        logs.contains("further messages of this attempt are not recorded"),
        "{}",
        logs.len()
    );
    assert!(logs.len() < 3 << 20, "{} bytes", logs.len());
}

#[test]
fn g3_one_step_does_not_end_another() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
steps:
  good: { run: 'time::sleep(\"200ms\"); file::write(\"good.txt\", \"x\")' }
  yaml: { run: 'let s = \"- \"; for i in 0..15 { s += s; } yaml::parse(s + \"x\")' }
  replace: { run: 'let s = \"aaaaaaaa\"; for i in 0..9 { s.replace(\"a\", \"aaaaaaaaaaaaaaaa\"); }' }
  closures: { run: 'let f = || 1; for i in 0..400000 { let g = f; f = || g.call(); }' }
  captured: { run: 'let a = []; let s = \"x\"; s.pad(1000000, \"y\"); for i in 0..20000 { let t = s + i; a.push(|| t); }' }
  mapped: { run: 'let s = \"x\"; s.pad(900000, \"y\"); let a = []; a.pad(20000, 1); a.map(|x| s + x)' }
  padded: { run: 'let i = []; i.pad(16383, 0); let a = []; a.pad(1125899906842624, i)' }
",
    );
    let ran = test.windlass(&["run", "w.yaml"]).expect(1);
    assert_eq!(test.read("out/good.txt"), "x");
    for wanted in [
        "nested more than 64 levels deep",
        "length of string too large",
        "depth of what closures capture too large",
        "too much memory (the limit is 256 MiB)",
        "size of array/BLOB too large",
    ] {
        ran.says(wanted);
    }
    // Expressions are evaluated on the driver's own thread.
    for (expression, wanted) in [
        (
            "[\"aaaa\"].map(|x| { let y = x; for i in 0..20 { y.replace(\"a\", \"aaaaaaaa\") } y })",
            "length of string too large",
        ),
        (
            "[1].map(|x| { let y = [x]; for i in 0..2000000 { y.push(i); y.pop() } y })",
            "too many operations (the limit is 1000000)",
        ),
    ] {
        test.write(
            "e.yaml",
            &format!(
                "workflow: e\nsteps:\n  a: {{ when: '${{{{ {expression} != () }}}}', run: '1' }}\n"
            ),
        );
        let ran = test.windlass(&["run", "e.yaml"]).expect(2);
        ran.says(wanted);
    }
    let test = Test::new().file(
        "c.yaml",
        "workflow: c\nsteps:\n  a: { run: 'let f = |x| x; f = f.curry(f);' }\n",
    );
    let ran = test.windlass(&["run", "c.yaml"]).expect(2);
    ran.says("`curry` is not available");
}
