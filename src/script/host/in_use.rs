//! What an undo must not take away, because something that it left as it is still uses it.

use std::collections::BTreeMap;

use super::undo::Reversed;
use serde::{Deserialize, Serialize};
use windlass_world::{
    value::Value,
    x509::holding::{Holding, read},
};

/// Certificates and CAs that are used by what an undo left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InUse {
    /// What uses each, by the certificate's serial number or the CA's ARN.
    users: BTreeMap<String, String>,
}

impl InUse {
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Adds what the result of a reversal in the journal says that the thing uses.
    pub fn note(&mut self, given: &Value) {
        let is_left = matches!(Reversed::read(given), Some(Reversed::Left(_)));
        if let (true, Some(user), Some(Value::List(used))) =
            (is_left, given.field("subject"), given.field("uses"))
        {
            let used = used.iter().map(Value::to_text);
            self.add(&user.to_text(), used);
        }
    }

    pub(super) fn add(&mut self, user: &str, used: impl IntoIterator<Item = String>) {
        for used in used {
            self.users.entry(used).or_insert_with(|| user.to_owned());
        }
    }

    /// Returns the name of what uses it.
    pub(super) fn user_of(&self, used: &str) -> Option<&str> {
        self.users.get(used).map(String::as_str)
    }
}

/// Returns the serial numbers of certificates, as [`InUse`] knows them.
pub(super) fn serials(holdings: &[Holding]) -> Vec<String> {
    let read = holdings.iter().map(|holding| &holding.read.certificates);
    read.flatten().map(|it| plain_serial(&it.serial)).collect()
}

/// As [`serials`], of a file or PEM text.
pub(super) fn serials_in(content: &[u8]) -> Vec<String> {
    let read = read(content).certificates;
    read.iter().map(|it| plain_serial(&it.serial)).collect()
}

/// Returns a serial number in the form in which two of them can be compared: hex in lower case, without colons and leading
/// zeros.
pub fn plain_serial(serial: &str) -> String {
    let plain = serial.replace(':', "").to_ascii_lowercase();
    plain.trim_start_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reversal_recorded_is_known_afterwards() {
        let mut in_use = InUse::default();
        in_use.note(&Value::map([("undo", "reversed".into())]));
        assert!(in_use.is_empty());
        let used = Value::List(vec!["1a".into()]);
        in_use.note(&Value::map([
            ("undo", "left".into()),
            ("subject", "file a".into()),
            ("uses", used),
        ]));
        assert_eq!(in_use.user_of(&plain_serial("00:1A")), Some("file a"));
        assert_eq!(in_use.user_of("2b"), None);
    }
}
