//! Folders that serve as S3 buckets.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::service::unique;

/// Returns whether S3 accepts a bucket name. Such a name is also safe as the name of a folder: it can't lead outside its
/// parent.
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

/// Writes an object completely or not at all, so that a reader never sees a part of it.
pub(crate) fn put(folder: &Path, bucket: &str, key: &str, content: &[u8]) -> io::Result<()> {
    put_stream(folder, bucket, key, |file| file.write_all(content), |e| e)
}

/// Works as [`put`], with an object that `write` produces piece by piece. `failed` converts an I/O error.
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
        // If the rename failed, this may fail, too; the first error is the one to report.
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn a_bucket_name_cannot_be_a_path() {
        assert!(is_name("my-bucket.2"));
        for wrong in [
            "..", "a/b/c", "../up", "UPPER", "ab", "a..b", ".abc", "abc-",
        ] {
            assert!(!is_name(wrong), "{wrong}");
        }
    }
}
