//! Backups of a state folder, and what is made of one.
//!
//! - `contents` finds what of a state folder a backup holds;
//! - `manifest` is the list of it, with a digest of each file;
//! - `backup` writes one file while runs go on, `restore` makes a state folder of it.
//!
//! # On disk
//! A backup is a tar file (0600): `manifest.json`, then `state/PATH` for each file of the manifest, in its order. All databases are
//! of one moment. Its format is `windlass-backup/1`.

mod backup;
mod contents;
mod manifest;
mod restore;

pub use backup::{BackedUp, Destination, back_up};
pub use restore::{Restored, check_backup, restore};
