//! Clients that take their time: others are served meanwhile, and they are cut off.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{client::Served, cluster::served::Clusters, harness::Test};

/// What the servers of these tests give a client.
const LIMIT: &str = "2s";
/// How long a test waits for a server that does not keep to that.
const PATIENCE: Duration = Duration::from_secs(20);
const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n";

/// A connection on which little is said.
struct Slow {
    stream: TcpStream,
    began: Instant,
}

impl Slow {
    /// Says this at once, and then a byte now and then, if any are to come.
    fn open(address: &str, at_once: &[u8], then: &'static [u8]) -> Self {
        let stream = TcpStream::connect(address).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        let mut writer = stream.try_clone().expect("a copy");
        writer.write_all(at_once).expect("sent");
        thread::spawn(move || {
            for byte in then.iter().cycle() {
                if writer.write_all(&[*byte]).is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(100));
            }
        });
        Self {
            stream,
            began: Instant::now(),
        }
    }

    /// Waits until the server has closed the connection, which is not before its limit.
    #[track_caller]
    fn until_cut_off(mut self) {
        let mut said = [0; 4096];
        loop {
            match self.stream.read(&mut said) {
                Ok(0) => break,
                Ok(_) => {}
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => break,
                Err(e) => panic!("it is not cut off: {e}"),
            }
        }
        let took = self.began.elapsed();
        assert!(
            took > Duration::from_secs(1),
            "it is cut off after {took:?}"
        );
        assert!(took < PATIENCE, "it is cut off after {took:?}");
        // Its writer ends, too.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// What `curl` is answered.
fn status(options: &[&str], url: &str) -> String {
    let asked = Command::new("curl")
        .args([
            "-s",
            "--max-time",
            "15",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
        ])
        .args(options)
        .arg(url)
        .output();
    String::from_utf8_lossy(&asked.expect("curl starts").stdout).into_owned()
}

#[test]
fn g9_a_slow_client_of_the_authority_is_cut_off() {
    let test = Test::new();
    let served = Served::start_in(&test, "pca", &["--client-timeout", LIMIT]);
    let open = |at_once, then| Slow::open(served.address(), at_once, then);
    let slow = [
        open(b"", b""),
        open(b"POST / HTTP/1.1\r\nX-Long: ", b"a"),
        open(HEAD, b""),
        open(HEAD, b"b"),
    ];
    // Any answer will do.
    let url = format!("http://{}/", served.address());
    assert_eq!(status(&[], &url), "404");
    slow.into_iter().for_each(Slow::until_cut_off);
    assert_eq!(status(&[], &url), "404");
}

/// A client of TLS that says this, and then a byte now and then.
fn openssl(address: &str, at_once: &[u8], then: &'static [u8]) -> Child {
    let mut child = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", address])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl is installed (apt-get install openssl)");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(at_once).expect("sent");
    thread::spawn(move || {
        loop {
            if stdin.write_all(then).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
    });
    child
}

#[track_caller]
fn ends(mut child: Child) {
    let since = Instant::now();
    while child.try_wait().expect("a process").is_none() {
        if since.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("it is not cut off");
        }
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn g9_a_slow_client_of_a_cluster_is_cut_off() {
    let test = Test::new();
    let served = Clusters::serve(&test, &["one".to_owned()], &["--client-timeout", LIMIT]);
    let config = std::fs::read_to_string(&served.kubeconfig).expect("a kubeconfig");
    let address = config
        .split("https://")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let address = address.expect("a server");
    // Those that do not even shake hands; the first bytes of a ClientHello.
    let silent = Slow::open(address, b"", b"");
    let dribbles = Slow::open(
        address,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"a",
    );
    let slow = [
        openssl(address, b"GET /version HTTP/1.1\r\nX-Long: ", b"a"),
        openssl(address, HEAD, b""),
        openssl(address, HEAD, b"b"),
    ];
    let url = format!("https://{address}/version");
    assert_eq!(status(&["-k"], &url), "200");
    silent.until_cut_off();
    dribbles.until_cut_off();
    slow.into_iter().for_each(ends);
    assert_eq!(status(&["-k"], &url), "200");
}

/// The preface of HTTP/2 and a SETTINGS frame without settings (RFC 9113, sections 3.4 and 6.5).
#[cfg(feature = "restate")]
const HTTP_2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[cfg(feature = "restate")]
#[test]
fn g9_a_slow_client_of_a_worker_is_cut_off() {
    let test = Test::new();
    let worker = [
        "worker",
        "--listen",
        "127.0.0.1:0",
        "--client-timeout",
        LIMIT,
    ];
    let (_worker, url) =
        crate::harness::Ends::listening(test.command(&worker).stderr(Stdio::null()));
    let address = url.trim_start_matches("http://");
    let slow = [
        Slow::open(address, b"", b""),
        Slow::open(address, b"PRI * HT", b""),
        // One that never answers a ping.
        Slow::open(address, HTTP_2, b""),
    ];
    let mut other = TcpStream::connect(address).expect("connected");
    other.set_read_timeout(Some(PATIENCE)).expect("set");
    other.write_all(HTTP_2).expect("sent");
    let mut frame = [0; 9];
    other.read_exact(&mut frame).expect("answered");
    assert_eq!(frame[3], 4, "its settings");
    slow.into_iter().for_each(Slow::until_cut_off);
}
