//! The server as a process of its own, on one core, and what the same core signs bare.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use windlass_authority::{Options, Server};

use crate::{Algorithm, CLIENT, SERVER, client};

pub struct Served {
    process: Child,
    address: String,
}

/// Serves a folder until it is killed.
pub fn serve(folder: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let server = Server::start(Options::local(folder.into()));
        let server = server.await.expect("a server");
        println!("{}", server.address());
        server.run_until(std::future::pending()).await;
    });
}

impl Served {
    pub fn start(folder: &Path) -> Self {
        let mut process = pinned(SERVER, &["--serve", &folder.display().to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("taskset, of util-linux");
        let mut address = String::new();
        BufReader::new(process.stdout.take().expect("piped"))
            .read_line(&mut address)
            .expect("an address");
        let address = address.trim().to_owned();
        Self { process, address }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// The processor time of the server since it started.
    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()));
        let stat = stat.expect("a running server");
        // Behind the name, which may have anything in it: the 12th and 13th field, in hundredths of a second.
        let fields: Vec<_> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let ticks = |at: usize| -> u64 { fields[at].parse().expect("ticks") };
        Duration::from_millis((ticks(11) + ticks(12)) * 10)
    }

    /// Issues for some seconds from another process; gives how many certificates.
    pub fn load(&self, authority: &str, algorithm: &Algorithm, seconds: u64) -> u64 {
        let csrs = client::csrs(algorithm);
        let seconds = seconds.to_string();
        let arguments = [
            "--load",
            &self.address,
            authority,
            algorithm.signing,
            &seconds,
            &csrs,
        ];
        let done = pinned(CLIENT, &arguments)
            .stderr(Stdio::inherit())
            .output()
            .expect("a client");
        let count = String::from_utf8_lossy(&done.stdout);
        count
            .trim()
            .parse()
            .unwrap_or_else(|_| panic!("the client failed: {count}"))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn pinned(core: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("taskset");
    let program = std::env::current_exe().expect("this program");
    command.args(["-c", core]).arg(program).args(arguments);
    command
}

/// Seconds of a bare signature and of its verification.
pub struct Bare {
    pub sign: f64,
    pub verify: f64,
}

/// What `openssl speed` says, on the server's core. It counts processor time.
pub fn openssl_speed(algorithm: &str) -> Bare {
    let run = [
        "-c", SERVER, "openssl", "speed", "-mr", "-seconds", "2", algorithm,
    ];
    let done = Command::new("taskset").args(run).output().expect("openssl");
    let text = String::from_utf8_lossy(&done.stdout);
    // `+F2:0:2048:0.000700:0.000020` for RSA, `+F4:…` for ECDSA: what is signed, seconds a signature, seconds a verification.
    let line = text
        .lines()
        .find(|line| line.starts_with("+F2") || line.starts_with("+F4"));
    let mut last = line.unwrap_or_default().rsplit(':');
    let mut next = || {
        last.next()
            .and_then(|field| field.parse().ok())
            .expect("openssl speed's figures")
    };
    let (verify, sign): (f64, f64) = (next(), next());
    // Versions before 3.0 print signatures a second.
    let seconds = |figure: f64| if figure > 1.0 { 1.0 / figure } else { figure };
    Bare {
        sign: seconds(sign),
        verify: seconds(verify),
    }
}
