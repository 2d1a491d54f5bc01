//! What a certificate costs the embedded CA, beside the bare signature, and what a million of them cost it.
//!
//! `cargo bench -p windlass-authority` issues over HTTP on 64 connections. The server and its client are processes of
//! their own, each on one core, and `openssl speed` runs on the server's core before: so the last column says how much of
//! the core goes into signatures. `cargo bench -p windlass-authority -- --large` compares a CA of 10,000 certificates with
//! one of 1,000,000.

#[path = "authority/client.rs"]
mod client;
#[path = "authority/large.rs"]
mod large;
#[path = "authority/served.rs"]
mod served;

use std::path::PathBuf;

use served::Served;

/// The server's core, and the client's.
const SERVER: &str = "1";
const CLIENT: &str = "0";
const SECONDS: u64 = 5;
const ROUNDS: usize = 3;

/// An algorithm by AWS's names, and as `openssl` calls it.
struct Algorithm {
    key: &'static str,
    signing: &'static str,
    speed: &'static str,
    newkey: &'static [&'static str],
}

const ALGORITHMS: [Algorithm; 2] = [
    Algorithm {
        key: "RSA_2048",
        signing: "SHA256WITHRSA",
        speed: "rsa2048",
        newkey: &["-newkey", "rsa:2048"],
    },
    Algorithm {
        key: "EC_prime256v1",
        signing: "SHA256WITHECDSA",
        speed: "ecdsap256",
        newkey: &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
    },
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |at: usize| arguments.get(at).map(String::as_str);
    match argument(0) {
        // `cargo test --benches` only wants to know that it builds.
        Some("--test") => {}
        Some("--serve") => served::serve(argument(1).expect("a folder")),
        Some("--load") => client::load(&arguments[1..]),
        Some("--large") => large::compare(&folder("large")),
        _ => speed(),
    }
}

fn speed() {
    println!(
        "{:<14} {:>9} {:>12} {:>12} {:>12} {:>7}",
        "CA", "certs/s", "CPU/cert", "sign", "verify", "share"
    );
    for algorithm in &ALGORITHMS {
        for _ in 0..ROUNDS {
            let folder = folder(algorithm.key);
            let bare = served::openssl_speed(algorithm.speed);
            let served = Served::start(&folder);
            let authority = client::create(served.address(), algorithm);
            let before = served.cpu();
            let issued = served.load(&authority, algorithm, SECONDS);
            let cost = (served.cpu() - before).as_secs_f64() / issued as f64;
            println!(
                "{:<14} {:>9.0} {:>9.0} µs {:>9.0} µs {:>9.0} µs {:>6.0} %",
                algorithm.key,
                issued as f64 / SECONDS as f64,
                cost * 1e6,
                bare.sign * 1e6,
                bare.verify * 1e6,
                bare.sign / cost * 100.0,
            );
        }
    }
}

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join("authority")
        .join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder for the benchmark");
    folder
}
