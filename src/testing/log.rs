//! What a run of a test asked of the outside, call by call: `calls.jsonl`.
//!
//! It is written as each call is made, so the process that resumes a killed run knows what was answered before.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::script::Class;

/// The log within a test's folder.
const FILE: &str = "calls.jsonl";

/// One call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub step: String,
    pub function: String,
    /// By the names of the function's parameters, secrets masked.
    pub arguments: serde_json::Value,
    pub class: Class,
    /// Names the call for ever: one that is made again in doubt has the same.
    pub key: String,
    pub answer: Answered,
}

/// How a call was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Answered {
    /// By an answer of the test, by its number from 0.
    Given { number: usize },
    /// As `Given`, and the answer was lost; what it would have given is kept for when the call is made again.
    Lost {
        number: usize,
        value: serde_json::Value,
    },
    /// The far side knew it by its key.
    Again,
    /// By the embedded servers, or on this machine.
    Target,
    /// No answer matched.
    Nobody,
}

/// A log that is written to.
pub struct Log {
    file: File,
    pub lines: Vec<Line>,
}

impl Log {
    /// Opens the log of a folder, with what was written before.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let path = path_in(folder);
        let lines = read(folder)?;
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { file, lines })
    }

    pub fn add(&mut self, line: Line) -> io::Result<()> {
        let text = serde_json::to_string(&line)? + "\n";
        self.file.write_all(text.as_bytes())?;
        self.lines.push(line);
        Ok(())
    }
}

/// Reads the log of a folder; empty if no call was made.
pub fn read(folder: &Path) -> io::Result<Vec<Line>> {
    let text = match std::fs::read_to_string(path_in(folder)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    let lines = text.lines().map(serde_json::from_str);
    Ok(lines.collect::<Result<_, _>>()?)
}

fn path_in(folder: &Path) -> PathBuf {
    folder.join(FILE)
}
