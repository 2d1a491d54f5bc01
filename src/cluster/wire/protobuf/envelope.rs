use serde_json::Value as Json;

use super::fields::{DELETE_OPTIONS, KINDS, UNKNOWN};
use super::message::object;

/// The prefix of every body.
const MAGIC: &[u8] = b"k8s\0";

/// Reads a body. Returns `None` if it is malformed, or has a kind or a field that this server does not support.
pub(crate) fn read(body: &[u8]) -> Option<Json> {
    let envelope = object(UNKNOWN, body.strip_prefix(MAGIC)?)?;
    let of = |pointer: &str| envelope.pointer(pointer).and_then(Json::as_str);
    let (version, kind) = (of("/typeMeta/apiVersion")?, of("/typeMeta/kind")?);
    let raw = data_encoding::BASE64
        .decode(of("/raw").unwrap_or_default().as_bytes())
        .ok()?;
    let fields = match kind {
        // DeleteOptions exist in every group.
        "DeleteOptions" => DELETE_OPTIONS,
        _ => {
            KINDS
                .iter()
                .find(|known| known.0 == version && known.1 == kind)?
                .2
        }
    };
    let mut read = object(fields, &raw)?;
    read["apiVersion"] = version.into();
    read["kind"] = kind.into();
    Some(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Encodes a field with a length: its number, its length, then its bytes.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len()).unwrap();
        [&[number << 3 | 2, length], bytes].concat()
    }

    fn body(kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [field(1, b"v1"), field(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), field(1, &meta), field(2, raw)].concat()
    }

    #[test]
    fn a_secret_is_read() {
        let metadata = [field(1, b"a"), field(2, b""), field(8, b"")].concat();
        let entry = [field(1, b"k"), field(2, b"v")].concat();
        let raw = [field(1, &metadata), field(2, &entry), field(3, b"Opaque")].concat();
        let wanted = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": "a" },
            "data": { "k": "dg==" },
            "type": "Opaque",
        });
        assert_eq!(read(&body("Secret", &raw)), Some(wanted));
    }

    #[test]
    fn an_unknown_field_or_kind_is_refused() {
        assert_eq!(read(&body("Secret", &field(9, b"x"))), None);
        assert_eq!(read(&body("Pod", b"")), None);
        assert_eq!(read(b"k8s\0\x0a\xff"), None);
    }
}
