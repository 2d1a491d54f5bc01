use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    str::FromStr,
    thread,
    time::{Duration, Instant},
};

use proptest::test_runner::{Config, TestRunner};
use serde_json::Value as Json;
use tempfile::TempDir;

/// A clean folder with files in it, and the `windlass` command.
pub struct Test {
    folder: TempDir,
    environment: Vec<(String, String)>,
}

/// What a command printed, and how it ended.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Test {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            environment: Vec::new(),
        }
    }

    /// A folder with the workflows that are shipped.
    pub fn with_shipped_workflows() -> Self {
        let test = Self::new();
        copy(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("workflows"),
            &test.path("workflows"),
        );
        test
    }

    pub fn file(self, name: &str, text: &str) -> Self {
        self.write(name, text);
        self
    }

    /// Adds a file that only its owner may read, as secrets must be.
    pub fn private(self, name: &str, text: &str) -> Self {
        self.write(name, text);
        self.chmod(name, 0o600);
        self
    }

    pub fn chmod(&self, name: &str, mode: u32) {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(self.path(name), mode).expect("chmod");
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("written");
    }

    /// Sets a variable for every command.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.into(), value.into()));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("WINDLASS_STATE")
            .env_remove("WINDLASS_CONFIG")
            .env_remove("WINDLASS_SERVER")
            .env_remove("WINDLASS_TOKEN")
            .env_remove("COLUMNS")
            .env_remove("TERM")
            .env_remove("NO_UNICODE")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .env("USER", "tester")
            .env("NO_COLOR", "1")
            .envs(self.environment.iter().cloned());
        command
    }

    pub fn windlass(&self, arguments: &[&str]) -> Ran {
        Ran::from_output(self.command(arguments).output().expect("windlass starts"))
    }

    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("windlass starts")
    }

    /// Runs a workflow to success and returns its outputs.
    pub fn outputs_of(&self, arguments: &[&str]) -> Json {
        self.windlass(&[&["run"], arguments].concat()).expect(0);
        self.windlass(&["outputs", "--json"]).expect(0).json()
    }

    /// The newest run, as `show --json` prints it.
    pub fn shown(&self) -> Json {
        self.windlass(&["show", "--json"]).expect(0).json()
    }

    /// The newest run's events, oldest first.
    pub fn events(&self) -> Vec<Json> {
        let logs = self.windlass(&["logs", "--json"]).expect(0).stdout;
        logs.lines()
            .map(|line| serde_json::from_str::<Json>(line).expect("JSON")["event"].clone())
            .collect()
    }

    /// Counts the certificate authorities of the local target, by asking its server.
    pub fn authorities(&self) -> usize {
        let serve = ["pca", "serve", "--port", "0", "--insecure"];
        let (_server, endpoint) = Ends::listening(&mut self.command(&serve));
        let address = endpoint.trim_start_matches("http://");
        let mut connection = TcpStream::connect(address).expect("connected");
        let request = "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
            Content-Type: application/x-amz-json-1.1\r\n\
            X-Amz-Target: ACMPrivateCA.ListCertificateAuthorities\r\nContent-Length: 2\r\n\r\n{}";
        connection.write_all(request.as_bytes()).expect("asked");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("answered");
        let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
        let json: Json = serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {answer}"));
        json["CertificateAuthorities"]
            .as_array()
            .unwrap_or_else(|| panic!("{answer}"))
            .len()
    }

    pub fn openssl(&self, arguments: &[&str]) -> Ran {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(self.folder.path())
            .output();
        Ran::from_output(output.expect("openssl is installed (apt-get install openssl)"))
    }

    /// Has openssl make a key and a certificate for it, which it signs itself unless `more` names a CA.
    #[track_caller]
    pub fn certify(&self, subject: &str, (key, certificate): (&str, &str), more: &[&str]) {
        let own = [
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            subject,
            "-keyout",
            key,
            "-out",
            certificate,
        ];
        self.openssl(&[&own, more].concat()).expect(0);
    }
}

/// A process that ends with the test.
pub struct Ends(pub Child);

impl Ends {
    /// Starts a server, and gives the line that it prints when it listens: an address, the path of a kubeconfig.
    #[track_caller]
    pub fn listening(command: &mut Command) -> (Self, String) {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{} is installed: {e}", command.get_program().display()));
        let stdout = child.stdout.take().expect("piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("text");
        (Self(child), line.trim().to_owned())
    }

    /// Starts a server that is written in Python, in a test's folder; gives the port that it prints.
    #[track_caller]
    pub fn python(test: &Test, script: &str, arguments: &[&str]) -> (Self, u16) {
        let mut command = Command::new("python3");
        command
            .args(["-c", script])
            .args(arguments)
            .current_dir(test.path("."))
            .stderr(Stdio::null());
        let (server, port) = Self::listening(&mut command);
        (server, port.parse().expect("a port"))
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a command with a text on its stdin. A command that ends at a mistake reads only a part of it.
#[track_caller]
pub fn fed(command: &mut Command, text: &str) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{} is installed: {e}", command.get_program().display()));
    let mut stdin = child.stdin.take().expect("piped");
    let text = text.to_owned();
    // What it prints meanwhile is read here.
    let writer = thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    let _ = writer.join().expect("no panic");
    Ran::from_output(output)
}

/// Waits until there is something, and gives it.
#[track_caller]
pub fn found<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(since.elapsed() < patience, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until something is so.
#[track_caller]
pub fn until(what: &str, patience: Duration, mut is_so: impl FnMut() -> bool) {
    found(what, patience, || is_so().then_some(()));
}

/// A number that is set in the environment, or this one.
#[track_caller]
pub fn number_of<T: FromStr>(variable: &str, usual: T) -> T {
    let Ok(text) = std::env::var(variable) else {
        return usual;
    };
    let number = text.parse();
    number.unwrap_or_else(|_| panic!("{variable} is no number: {text}"))
}

/// Says that a test is skipped, because something is not installed. In CI it has to be.
#[track_caller]
pub fn skip(what: &str, how: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what} is missing: {how}");
    println!("skipped: {what} is not installed ({how})");
}

/// Finds a program in PATH, or in a folder of this repository; without it the test is skipped.
#[track_caller]
pub fn installed(program: &str, own: &str, how: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(own);
    let mut places = std::env::split_paths(&folders)
        .chain([own])
        .map(|folder| folder.join(program));
    let found = places.find(|path| path.is_file());
    if found.is_none() {
        skip(program, how);
    }
    found
}

/// Draws few enough cases that the tests stay quick; `PROPTEST_CASES` asks for more.
pub fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config {
        cases: number_of("PROPTEST_CASES", cases),
        failure_persistence: None,
        ..Config::default()
    })
}

impl Ran {
    pub fn from_output(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Holds the exit code against what it should be.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }

    #[track_caller]
    pub fn expect_one_of(self, codes: &[i32]) -> Self {
        let code = self.code;
        if codes.contains(&code) {
            self
        } else {
            self.expect(codes[0])
        }
    }

    /// Holds that stderr has this part.
    #[track_caller]
    pub fn says(&self, part: &str) {
        contains(&self.stderr, &[part]);
    }

    /// Holds that stdout has this part.
    #[track_caller]
    pub fn prints(&self, part: &str) {
        contains(&self.stdout, &[part]);
    }

    #[track_caller]
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.stdout))
    }
}

/// Holds that a text has each of these parts.
#[track_caller]
pub fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

pub fn sha256(content: &[u8]) -> String {
    windlass::value::Digest::of_content(content).to_string()
}

/// The statuses of a run's steps, by instance.
pub fn status<'a>(shown: &'a Json, step: &str) -> &'a str {
    let steps = shown["steps"].as_array().expect("steps");
    let found = steps.iter().find(|s| s["step"] == step);
    found.map_or("pending", |s| s["status"].as_str().expect("a status"))
}

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target)
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}
