use std::collections::BTreeMap;

/// The parameters in the query of a URL.
#[derive(Debug, Default)]
pub(crate) struct Query(BTreeMap<String, Vec<String>>);

impl Query {
    pub fn read(text: &str) -> Self {
        let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            all.entry(Self::decoded(&name.replace('+', " ")))
                .or_default()
                .push(Self::decoded(&value.replace('+', " ")));
        }
        Self(all)
    }

    /// Returns the first value of a parameter; an empty value counts as missing.
    pub fn get(&self, name: &str) -> Option<&str> {
        let first = self.0.get(name)?.first()?;
        (!first.is_empty()).then_some(first.as_str())
    }

    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1" | "True" | "t"))
    }

    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.into(), vec![value.into()]);
    }

    /// Decodes percent escapes. An invalid escape stays as it is.
    pub fn decoded(text: &str) -> String {
        let bytes = text.as_bytes();
        let mut out = Vec::with_capacity(bytes.len());
        let mut at = 0;
        while at < bytes.len() {
            let escape = bytes
                .get(at + 1..at + 3)
                .filter(|_| bytes[at] == b'%')
                .and_then(|hex| std::str::from_utf8(hex).ok())
                .and_then(|hex| u8::from_str_radix(hex, 16).ok());
            match escape {
                Some(byte) => {
                    out.push(byte);
                    at += 3;
                }
                None => {
                    out.push(bytes[at]);
                    at += 1;
                }
            }
        }
        String::from_utf8_lossy(&out).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::read("labelSelector=app%3Da%2Cb+in+%28c%29&watch=true&limit=5&x");
        assert_eq!(query.get("labelSelector"), Some("app=a,b in (c)"));
        assert!(query.flag("watch"));
        assert_eq!(query.number("limit"), Some(5));
        assert_eq!(query.get("x"), None);
        assert_eq!(Query::decoded("100%"), "100%");
    }
}
