use std::path::PathBuf;

use super::{id::RunId, state::IllegalTransition};
use windlass_ground::private::NotPrivate;

/// The reason why the journal can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("can't use the state folder {}", path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    NotPrivate(#[from] NotPrivate),
    #[error("the journal database failed")]
    Database(#[from] rusqlite::Error),
    #[error(
        "the journal was written by another version of windlass (its format is {found}, this version reads {known})"
    )]
    Version { found: i64, known: i64 },
    #[error("event {seq} of run {run} can't be read: {why}")]
    Unreadable { run: RunId, seq: u64, why: String },
    #[error("event {seq} of run {run} was changed: the chain of digests is broken there")]
    BrokenChain { run: RunId, seq: u64 },
    #[error("the file `{path}` of run {run} was changed")]
    ChangedFile { run: RunId, path: String },
    #[error("the journal's database is damaged: {0}")]
    Damaged(String),
    #[error("event {seq} of run {run} can't follow the events before it")]
    Illegal {
        run: RunId,
        seq: u64,
        #[source]
        source: IllegalTransition,
    },
    #[error("there is no run `{0}`")]
    NoRun(String),
    #[error("run {run} was deleted at {at} UTC by {by}, as `windlass prune` does with old runs")]
    Pruned { run: RunId, at: String, by: String },
    #[error("`{0}` matches several runs: {1}")]
    Ambiguous(String, String),
    #[error("run {run} is being driven by {owner}")]
    Owned { run: RunId, owner: String },
    #[error("the identity that the secrets of this run are encrypted to can't be used: {0}")]
    Identity(String),
    #[error(
        "identity.txt is missing in the state folder, and secrets of earlier runs are encrypted to it: another one could not open them"
    )]
    IdentityLost,
    #[error("{} is missing or empty, but there were runs in this state folder", .0.display())]
    Lost(PathBuf),
    #[error("{} was moved, deleted or replaced while it was in use", .0.display())]
    Moved(PathBuf),
    #[error(
        "an earlier write of the journal failed; nothing more can be recorded until the run is resumed"
    )]
    Broken,
}

impl JournalError {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Folder { .. } => {
                "choose another folder with --state, or make this one writable".into()
            }
            Self::NotPrivate(found) => found.hint(),
            Self::Lost(_) => {
                "move this folder away and restore it from a backup (`windlass restore FILE`), or choose another state folder (--state)".into()
            }
            Self::Moved(_) => {
                "what happened since is not recorded; put the state folder back, then continue the run".into()
            }
            Self::Database(rusqlite::Error::SqliteFailure(e, _)) => match e.code {
                rusqlite::ErrorCode::DiskFull => {
                    "free some disk space, then run the command again; a run that stopped continues with `windlass resume`, an undo with `windlass undo`".into()
                }
                rusqlite::ErrorCode::SystemIoFailure => {
                    "is the disk of the state folder full, or damaged? `df` shows how much space is left".into()
                }
                rusqlite::ErrorCode::ReadOnly | rusqlite::ErrorCode::CannotOpen => {
                    "is the state folder writable?".into()
                }
                rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt => {
                    "the file is damaged; restore journal.db from a backup, with its -wal file"
                        .into()
                }
                _ => return None,
            },
            Self::Version { .. } => {
                "use the version of windlass that wrote it, or another --state folder".into()
            }
            Self::Damaged(_) => "restore journal.db from a backup, with its -wal file".into(),
            Self::BrokenChain { .. } | Self::ChangedFile { .. } => {
                "the journal was changed by something other than windlass; restore it from a backup"
                    .into()
            }
            Self::NoRun(_) => "`windlass runs` lists them".into(),
            Self::Ambiguous(..) => "use a longer part of the id".into(),
            Self::Owned { .. } => "wait for it, or stop that process".into(),
            Self::Identity(_) => {
                "restore STATE/identity.txt; without it, a run can be read but not resumed".into()
            }
            Self::IdentityLost => {
                "restore STATE/identity.txt, or use another state folder (--state)".into()
            }
            _ => return None,
        })
    }
}
