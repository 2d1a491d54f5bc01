//! The log of a test's outside calls: `calls.jsonl`.
//!
//! Each call is written when it is made, so the process that resumes a killed run knows the earlier answers.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{disk, script::Class};

/// The log within a test's folder.
const FILE: &str = "calls.jsonl";

/// One call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub step: String,
    pub function: String,
    /// The arguments, by the names of the function's parameters, with secrets masked.
    pub arguments: serde_json::Value,
    pub class: Class,
    /// Identifies the call permanently: a call that is repeated in doubt has the same key.
    pub key: String,
    pub answer: Answered,
}

/// How a call was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Answered {
    /// By an answer of the test, with its number from 0.
    Given { number: usize },
    /// Like `Given`, but the answer was lost; the result is kept for when the call is repeated.
    Lost {
        number: usize,
        value: serde_json::Value,
    },
    /// By the result of an earlier call with the same key.
    Again,
    /// By the embedded servers, or by this machine.
    Target,
    /// No answer matched.
    Nobody,
}

/// A log that is being written.
pub struct Log {
    file: File,
    pub lines: Vec<Line>,
}

impl Log {
    /// Opens the log of a folder, with its earlier lines.
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
    let Some(text) = disk::read_if_there(&path_in(folder))? else {
        return Ok(Vec::new());
    };
    let lines = text.lines().map(serde_json::from_str);
    Ok(lines.collect::<Result<_, _>>()?)
}

fn path_in(folder: &Path) -> PathBuf {
    folder.join(FILE)
}
