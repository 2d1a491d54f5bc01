//! Services of AWS besides Private CA, and secrets that are kept elsewhere.
//!
//! - [`server`]: a server that answers as it is told, and remembers what it was asked;
//! - [`peer`]: beside boto3, against moto and on the wire;
//! - [`doubt`]: what is made again, what stops and asks, what an undo takes back;
//! - [`listed`]: which runs are listed, and in which signs;
//! - [`known`]: what is found before a run, and what `plan` and `iam` say;
//! - [`secrets`]: params that name a secret;
//! - [`given`]: params from files, standard input and a terminal;
//! - [`tested`]: tests of workflows that use them.

mod doubt;
mod given;
mod known;
mod listed;
mod peer;
mod secrets;
mod server;
mod tested;

use crate::harness::Ran;

/// Holds what a command said to people against a text; where lines are broken is no matter.
#[track_caller]
fn says(ran: &Ran, wanted: &str) {
    let words = ran.stderr.split(|c: char| c.is_whitespace() || c == '│');
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    assert!(
        words.join(" ").contains(wanted),
        "no {wanted:?} in\n{}",
        ran.stderr
    );
}
