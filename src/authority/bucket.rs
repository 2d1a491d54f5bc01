//! Folders that stand for S3 buckets.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::service::unique;

/// Whether S3 would take it as a bucket's name; so it is also the name of one folder, and of nothing outside it.
pub(crate) fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.')
    };
    let ends = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    (3..=63).contains(&text.len())
        && text.bytes().all(allowed)
        && !text.contains("..")
        && ends(text.as_bytes().first())
        && ends(text.as_bytes().last())
}

/// Writes an object whole or not at all: a reader never sees half of one.
pub(crate) fn put(folder: &Path, bucket: &str, key: &str, content: &[u8]) -> io::Result<()> {
    put_stream(folder, bucket, key, |file| file.write_all(content), |e| e)
}

/// As [`put`], of an object that `write` makes piece by piece. `failed` makes its error of one of the disk's.
pub(crate) fn put_stream<E>(
    folder: &Path,
    bucket: &str,
    key: &str,
    write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    failed: impl Fn(io::Error) -> E,
) -> Result<(), E> {
    let path = folder.join("buckets").join(bucket).join(key);
    let parent = path.parent().unwrap_or(folder);
    fs::create_dir_all(parent).map_err(&failed)?;
    let name = unique().map_err(|failure| failed(io::Error::other(failure.to_string())))?;
    let temporary = parent.join(format!(".{name}"));
    let written = || {
        let mut file = BufWriter::new(fs::File::create_new(&temporary).map_err(&failed)?);
        write(&mut file)?;
        let file = file.into_inner().map_err(|e| failed(e.into_error()))?;
        file.sync_all()
            .and_then(|()| fs::rename(&temporary, &path))
            .map_err(&failed)
    };
    let written = written();
    if written.is_err() {
        // What can't be renamed may not be removable either; the first error is the one to report.
        drop(fs::remove_file(&temporary));
    }
    written
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn a_bucket_name_is_never_a_path() {
        assert!(is_name("my-bucket.2"));
        for wrong in [
            "..", "a/b/c", "../up", "UPPER", "ab", "a..b", ".abc", "abc-",
        ] {
            assert!(!is_name(wrong), "{wrong}");
        }
    }
}
