//! Replaces AWS account numbers in a recorded test by stand-ins.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

/// The stand-ins for accounts: AWS's own documentation uses these numbers.
const STAND_INS: [&str; 3] = ["111122223333", "444455556666", "777788889999"];
/// The number of digits of an account (AWS Account Management Reference Guide, "View AWS account identifiers").
const DIGITS: usize = 12;
/// How the names of fields with an account end in AWS's answers, in lower case.
const FIELDS: [&str; 4] = ["account", "accountid", "account_id", "ownerid"];

/// The accounts that were found. A number counts as an account if an ARN or the name of a field shows it, and is then replaced
/// everywhere: it may first appear where nothing shows what it is.
#[derive(Default)]
pub struct Accounts(BTreeSet<String>);

impl Accounts {
    /// Records the accounts in the ARNs of a text.
    pub fn see(&mut self, text: &str) {
        for part in text.split("arn:").skip(1) {
            if let Some(account) = part.split(':').nth(3) {
                self.note(account);
            }
        }
    }

    /// Records the account in a field.
    pub fn see_field(&mut self, key: &str, value: &Json) {
        let key = key.to_ascii_lowercase();
        if let Json::String(text) = value
            && FIELDS.iter().any(|field| key.ends_with(field))
        {
            self.note(text);
        }
    }

    /// Returns a text with these accounts replaced, and the accounts that it contained.
    pub fn replaced(&self, text: &str) -> (String, BTreeSet<String>) {
        let stand_ins = self.stand_ins();
        let (mut replaced, mut found) = (String::new(), BTreeSet::new());
        let mut rest = text;
        while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
            let digits = &rest[start..];
            let length = digits.find(|c: char| !c.is_ascii_digit());
            let (number, after) = digits.split_at(length.unwrap_or(digits.len()));
            replaced.push_str(&rest[..start]);
            match stand_ins.get(number) {
                Some(stand_in) => {
                    replaced.push_str(stand_in);
                    found.insert(number.to_owned());
                }
                None => replaced.push_str(number),
            }
            rest = after;
        }
        replaced.push_str(rest);
        (replaced, found)
    }

    /// Different accounts get different stand-ins.
    fn stand_ins(&self) -> BTreeMap<&str, String> {
        let fixed = STAND_INS.iter().map(|number| (*number).to_owned());
        let more = (1..).map(|number| format!("{number:012}"));
        let free = fixed.chain(more).filter(|number| !self.0.contains(number));
        let real = self.0.iter().map(String::as_str);
        real.filter(|account| !STAND_INS.contains(account))
            .zip(free)
            .collect()
    }

    fn note(&mut self, text: &str) {
        if text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit()) {
            self.0.insert(text.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_replaced_wherever_it_stands() {
        let mut accounts = Accounts::default();
        accounts.see("arn:aws:iam::210987654321:user/x");
        accounts.see_field("OwnerId", &"999999999999".into());
        accounts.see_field("Size", &"888888888888".into());
        let (text, found) = accounts.replaced(
            "210987654321 999999999999.dkr.ecr 888888888888 x210987654321y 2109876543210 arn:aws:iam::210987654321:role/é",
        );
        assert_eq!(
            text,
            "111122223333 444455556666.dkr.ecr 888888888888 x111122223333y 2109876543210 arn:aws:iam::111122223333:role/é"
        );
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn an_account_of_the_documentation_stays() {
        let mut accounts = Accounts::default();
        accounts.see("arn:aws:iam::111122223333:user/x arn:aws:iam::210987654321:user/x");
        let (text, found) = accounts.replaced("111122223333 210987654321");
        assert_eq!(text, "111122223333 444455556666");
        assert_eq!(found.len(), 1);
    }
}
