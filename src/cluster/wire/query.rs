use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

/// The parameters in the query of a URL.
#[derive(Debug, Default)]
pub(crate) struct Query(BTreeMap<String, Vec<String>>);

impl Query {
    pub fn read(text: &str) -> Self {
        let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(text.as_bytes()).into_owned() {
            all.entry(name).or_default().push(value);
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
        percent_decode_str(text).decode_utf8_lossy().into_owned()
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
        assert_eq!(Query::decoded("a%+fb"), "a%+fb");
    }
}
