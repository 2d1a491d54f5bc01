//! Writes backups of a state folder, and restores them.
//!
//! - `contents` lists the files of a state folder that a backup contains;
//! - `manifest` is that list, with a digest of each file;
//! - `backup` writes one file while runs continue, `restore` creates a state folder from it;
//! - `draft` is the folder in which either prepares it.
//!
//! # On disk
//! A backup is a tar file (0600): `manifest.json`, then `state/PATH` for each file of the manifest, in its order. All databases are
//! from the same point in time. Its format is `windlass-backup/1`.

mod backup;
mod contents;
mod draft;
mod manifest;
mod restore;

pub use backup::{BackedUp, Destination, back_up};
pub use draft::{is_stopped, remove_drafts, stop};
pub use restore::{Restored, check_backup, restore};
