//! Converts paths and the URIs of editors.

use std::path::{Component, Path, PathBuf};

use gen_lsp_types::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The characters that need no escape in the path of a URI: RFC 3986, "unreserved", and the `/` between its parts.
const ENCODED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// Returns the path of a `file:` URI; `None` for a document without a file.
pub fn path_of(uri: &Uri) -> Option<PathBuf> {
    let rest = uri.0.strip_prefix("file://")?;
    let path = if rest.starts_with('/') {
        rest
    } else {
        // `file://localhost/…`
        &rest[rest.find('/')?..]
    };
    let path = percent_decode_str(path).decode_utf8().ok()?;
    Some(PathBuf::from(path.into_owned()))
}

pub fn uri_of(path: &Path) -> Uri {
    let path = path.to_string_lossy();
    Uri(format!("file://{}", utf8_percent_encode(&path, &ENCODED)))
}

/// Returns the real path of a file: follows links as far as files exist, and removes `.` and `..`.
pub fn real(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    match (plain.parent(), plain.file_name()) {
        (Some(folder), Some(name)) if folder != Path::new("") => real(folder).join(name),
        _ => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_there_and_back() {
        for path in ["/a/b c.yaml", "/ü/#x?.rhai", "/a%20b"] {
            assert_eq!(path_of(&uri_of(Path::new(path))), Some(PathBuf::from(path)));
        }
        let path = |uri: &str| path_of(&Uri(uri.into()));
        assert_eq!(path("file:///a%3Ab/c.yaml"), Some("/a:b/c.yaml".into()));
        assert_eq!(path("file://localhost/a"), Some("/a".into()));
        assert_eq!(path("untitled:Untitled-1"), None);
        assert_eq!(
            real(Path::new("/no-such-folder/x/../a.yaml")),
            PathBuf::from("/no-such-folder/a.yaml")
        );
    }
}
