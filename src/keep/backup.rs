use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rusqlite::Connection;
use tar::{Builder, EntryType, Header};

use super::{
    contents::Contents,
    draft::{Draft, refuse_stopped},
    manifest::{FORMAT, Kept, MANIFEST, Manifest, STATE, path_text},
    restore::check_within,
};
use crate::{
    disk,
    ground::{Snapshot, snapshots},
    journal::{JOURNAL, RunId, refuse_lost},
    runs::{RunsError, now},
    value::Digest,
};

/// What secrets in it are sealed to.
pub(super) const IDENTITY: &str = "identity.txt";
const BUFFER: usize = 1 << 20;

/// The destination of a backup.
pub enum Destination<'a> {
    /// A file, which replaces an existing one (of a link, the one that it names); a pipe or a device is written to.
    File(&'a Path),
    Writer(&'a mut (dyn Write + Send)),
}

/// Where a backup really goes.
enum Target<'a> {
    /// A path without links, of a file or of none.
    File(PathBuf),
    Writer(Box<dyn Write + 'a>),
}

impl<'a> Target<'a> {
    fn of(to: Destination<'a>) -> Result<Self, RunsError> {
        let path = match to {
            Destination::Writer(writer) => return Ok(Self::Writer(Box::new(writer))),
            Destination::File(path) => path,
        };
        let opened = || {
            let opened = OpenOptions::new().append(true).open(path)?;
            Ok(Self::Writer(Box::new(opened)))
        };
        // An open file of this process: it may be a regular one, whose path is not to be replaced.
        let is_open = ["/dev/stdout", "/dev/stderr", "/dev/fd", "/proc"]
            .iter()
            .any(|place| path.starts_with(place));
        let target = || match fs::metadata(path) {
            Ok(_) if is_open => opened(),
            Ok(found) if found.is_file() => fs::canonicalize(path).map(Self::File),
            Ok(_) => opened(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => match fs::symlink_metadata(path) {
                Ok(_) => Err(io::Error::other("it is a link to nothing")),
                Err(_) => Ok(Self::File(path.to_owned())),
            },
            Err(e) => Err(e),
        };
        target().map_err(|e| unwritable(path, &e))
    }
}

/// The result of a backup.
#[derive(Debug)]
pub struct BackedUp {
    /// Whether its journal holds secrets, and it has no identity with which they could be read.
    pub lacks_identity: bool,
    pub runs: u64,
    pub files: usize,
    /// The size of the backup in bytes.
    pub size: u64,
    /// The runs that can't be restored fully, each with the reason.
    pub damaged: Vec<(RunId, String)>,
    /// The file that was written instead of the one that was named: that one may be the last good backup.
    pub beside: Option<PathBuf>,
}

/// Writes the state folder, as it is at one point in time, to one file, while runs may continue. After this has returned, a backup in a file is on
/// disk; an interrupted backup leaves the former file. The backup is verified as a restore would; one with damaged runs replaces no file, and is
/// written beside it.
///
/// # Errors
/// Fails if the folder is empty, if the backup is to be written within it, if something can't be read or written, or if the backup could not be
/// restored at all.
pub fn back_up(state: &Path, to: Destination) -> Result<BackedUp, RunsError> {
    refuse_lost(state)?;
    let to = Target::of(to)?;
    // On the disk of the backup.
    let folder = match &to {
        Target::File(path) => folder_outside(state, path)?,
        Target::Writer(_) => std::env::temp_dir(),
    };
    let draft = Draft::create(&folder, ".windlass-backup-")?;
    let (taken, others) = take(state)?;
    if taken.is_empty() && others.is_empty() {
        let message = format!("there is nothing to back up in {}", state.display());
        return Err(
            RunsError::missing("no-such-run", message).hint("name the state folder with --state")
        );
    }
    let mut copies = Copies {
        state,
        folder: draft.path(),
        copied: BTreeMap::new(),
    };
    for snapshot in &taken {
        copies.database(snapshot)?;
    }
    drop(taken);
    for path in &others {
        copies.file(path)?;
    }
    let copied = copies.copied;
    let runs = match copied.get(JOURNAL) {
        Some(copy) => count_runs(&copy.path)?,
        None => 0,
    };
    let manifest = Manifest {
        format: FORMAT.into(),
        windlass: env!("CARGO_PKG_VERSION").into(),
        at: now(),
        runs,
        files: copied
            .iter()
            .map(|(path, copy)| (path.clone(), copy.kept.clone()))
            .collect(),
    };
    let path = draft.path().join("backup.tar");
    let size = pack(&path, &manifest, &copied).map_err(|e| unwritable(&path, &e))?;
    for copy in copied.values() {
        fs::remove_file(&copy.path).map_err(|e| unwritable(&copy.path, &e))?;
    }
    let checked = check_within(&path, &draft.path().join("check"))?;
    let mut beside = None;
    match to {
        Target::File(mut to) => {
            if !checked.damaged.is_empty() && to.exists() {
                to = partial(&to);
                beside = Some(to.clone());
            }
            fs::rename(&path, &to)
                .and_then(|()| disk::sync_folder(disk::parent(&to)))
                .map_err(|e| unwritable(&to, &e))?;
        }
        Target::Writer(mut to) => File::open(&path)
            .and_then(|mut packed| io::copy(&mut packed, &mut to))
            .and_then(|_| to.flush())
            .map_err(|e| RunsError::broken("output", format!("can't write the backup: {e}")))?,
    }
    Ok(BackedUp {
        lacks_identity: checked.lacks_identity,
        runs,
        files: manifest.files.len(),
        size,
        damaged: checked.damaged,
        beside,
    })
}

/// Returns the path of a backup with damaged runs, beside a file that may be the last good one.
fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

/// A copy of a file of the state folder.
struct Copy {
    path: PathBuf,
    kept: Kept,
}

struct Copies<'a> {
    state: &'a Path,
    folder: &'a Path,
    copied: BTreeMap<String, Copy>,
}

impl Copies<'_> {
    fn database(&mut self, snapshot: &Snapshot) -> Result<(), RunsError> {
        let to = self.next();
        snapshot.copy_to(&to).map_err(|e| {
            let (database, folder) = (snapshot.path.display(), self.folder.display());
            RunsError::broken("output", format!("can't copy {database} to {folder}: {e}"))
        })?;
        let within = snapshot.path.strip_prefix(self.state);
        let within = within.unwrap_or(&snapshot.path).to_owned();
        self.keep(&within, to)
    }

    fn file(&mut self, within: &Path) -> Result<(), RunsError> {
        let (from, to) = (self.state.join(within), self.next());
        let mut read = match File::open(&from) {
            // The file was a temporary file of another process, which is gone.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened.map_err(|e| unreadable(&from, &e))?,
        };
        copy(&mut read, &to).map_err(|failed| match failed {
            Failed::Read(e) => unreadable(&from, &e),
            Failed::Write(e) => unwritable(&to, &e),
        })?;
        self.keep(within, to)
    }

    fn next(&self) -> PathBuf {
        self.folder.join(format!("copy-{}", self.copied.len()))
    }

    fn keep(&mut self, within: &Path, copy: PathBuf) -> Result<(), RunsError> {
        let digested = || {
            let file = File::open(&copy)?;
            let size = file.metadata()?.len();
            Ok((size, Digest::of_reader(file)?))
        };
        let (size, sha256) = digested().map_err(|e: io::Error| unreadable(&copy, &e))?;
        let Some(text) = path_text(within) else {
            let name = self.state.join(within);
            return Err(unreadable(
                &name,
                &io::Error::other("its name is not UTF-8"),
            ));
        };
        let kept = Kept { size, sha256 };
        self.copied.insert(text, Copy { path: copy, kept });
        Ok(())
    }
}

/// Takes snapshots of all databases of a folder, and then lists its other files. In this order, the files that a database needs (the
/// identity) are never missing.
fn take(state: &Path) -> Result<(Vec<Snapshot>, Vec<PathBuf>), RunsError> {
    let found = || Contents::of(state).map_err(|e| unreadable(state, &e));
    let mut before = found()?;
    loop {
        let paths: Vec<_> = before
            .databases
            .iter()
            .map(|path| state.join(path))
            .collect();
        let taken = snapshots(&paths)?;
        let after = found()?;
        // Another process may have created a database meanwhile.
        if after.databases == before.databases {
            return Ok((taken, after.others));
        }
        before = after;
    }
}

fn pack(path: &Path, manifest: &Manifest, copied: &BTreeMap<String, Copy>) -> io::Result<u64> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let mut tar = Builder::new(io::BufWriter::new(file));
    let seconds = u64::try_from(manifest.at.as_secs()).unwrap_or_default();
    let mut text = serde_json::to_vec_pretty(manifest)?;
    text.push(b'\n');
    tar.append_data(
        &mut header(text.len() as u64, seconds),
        MANIFEST,
        text.as_slice(),
    )?;
    for (within, copy) in copied {
        tar.append_data(
            &mut header(copy.kept.size, seconds),
            format!("{STATE}/{within}"),
            File::open(&copy.path)?,
        )?;
    }
    let file = tar.into_inner()?.into_inner().map_err(|e| e.into_error())?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

fn header(size: u64, seconds: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o600);
    header.set_mtime(seconds);
    header
}

fn count_runs(journal: &Path) -> Result<u64, RunsError> {
    let journal = Connection::open(journal)?;
    // A journal that is just being created has no tables yet.
    let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'runs'";
    let tables: u64 = journal.query_row(sql, [], |row| row.get(0))?;
    match tables {
        0 => Ok(0),
        _ => Ok(journal.query_row("SELECT count(*) FROM runs", [], |row| row.get(0))?),
    }
}

/// Which side of a copy failed.
pub(super) enum Failed {
    Read(io::Error),
    Write(io::Error),
}

/// Copies to a new file that only its owner may read, and waits until it is on disk. Returns its size.
pub(super) fn copy(from: &mut impl Read, to: &Path) -> Result<u64, Failed> {
    refuse_stopped().map_err(Failed::Write)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(Failed::Write)?;
    let (mut size, mut buffer) = (0, vec![0; BUFFER]);
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(Failed::Read)?,
        };
        refuse_stopped().map_err(Failed::Write)?;
        file.write_all(&buffer[..read]).map_err(Failed::Write)?;
        size += read as u64;
    }
    file.sync_all().map_err(Failed::Write)?;
    Ok(size)
}

/// Returns the folder of a backup, which must not be inside the state folder.
fn folder_outside(state: &Path, path: &Path) -> Result<PathBuf, RunsError> {
    let folder = disk::parent(path);
    let is_within = || {
        let (folder, state) = (fs::canonicalize(folder)?, fs::canonicalize(state)?);
        Ok(folder.starts_with(state))
    };
    match is_within() {
        Ok(true) => {
            let message = format!("{} is in the state folder itself", path.display());
            Err(RunsError::wrong("output", message)
                .hint("write the backup to another folder, best on another disk"))
        }
        Ok(false) => Ok(folder.to_owned()),
        Err(e) if !state.exists() => Err(unreadable(state, &e)),
        Err(e) => Err(unwritable(folder, &e)),
    }
}

pub(super) fn unreadable(path: &Path, why: &io::Error) -> RunsError {
    RunsError::broken("journal", format!("can't read {}: {why}", path.display()))
}

pub(super) fn unwritable(path: &Path, why: &io::Error) -> RunsError {
    RunsError::broken("output", format!("can't write {}: {why}", path.display()))
}
