use std::{collections::BTreeMap, str::FromStr, sync::Mutex, time::Duration};

use serde::Deserialize;
use tokio::time::Instant;

use super::iam::OPERATIONS;
use windlass_ground::lock;

/// How many calls of an operation are allowed in a time: `20/s`, `5/m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Rate {
    /// The pause between two calls.
    pause: Duration,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a valid rate; write `20/s` or `5/m`");
        let (count, unit) = text.split_once('/').ok_or_else(wrong)?;
        let unit = match unit.trim() {
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            _ => return Err(wrong()),
        };
        match count.trim().parse::<u32>() {
            Ok(count) if count > 0 => Ok(Self {
                pause: unit / count,
            }),
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for Rate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Spreads the calls of this process, so that they stay below AWS's limits for an account.
#[derive(Debug, Default)]
pub(super) struct Rates {
    /// By operation: the pause between calls, and when the next one may be made.
    next: BTreeMap<String, (Duration, Mutex<Option<Instant>>)>,
}

impl Rates {
    pub fn new(rates: &BTreeMap<OperationName, Rate>) -> Self {
        let next = rates
            .iter()
            .map(|(name, rate)| (name.0.clone(), (rate.pause, Mutex::new(None))));
        Self {
            next: next.collect(),
        }
    }

    /// Waits until this call may be made; returns at once if the operation has no rate.
    pub async fn turn(&self, operation: &str) {
        let Some((pause, next)) = self.next.get(operation) else {
            return;
        };
        let turn = {
            let mut next = lock(next);
            let now = Instant::now();
            let turn = next.map_or(now, |at| at.max(now));
            *next = Some(turn + *pause);
            turn
        };
        tokio::time::sleep_until(turn).await;
    }
}

/// The name of an AWS Private CA operation in `windlass.toml`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct OperationName(String);

impl TryFrom<String> for OperationName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        if OPERATIONS.contains(&name.as_str()) {
            Ok(Self(name))
        } else {
            Err(format!("AWS Private CA has no operation `{name}`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_take_turns() {
        let name = OperationName::try_from("IssueCertificate".to_owned()).expect("an operation");
        let rate = "20/s".parse().expect("a rate");
        let rates = Rates::new(&[(name, rate)].into());
        let began = Instant::now();
        for _ in 0..5 {
            rates.turn("IssueCertificate").await;
            rates.turn("ListTags").await;
        }
        assert!(began.elapsed() >= Duration::from_millis(200));
    }

    #[test]
    fn wrong_rates_are_refused() {
        for text in ["20", "0/s", "x/s", "5/y", ""] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
        assert!(OperationName::try_from("Issue".to_owned()).is_err());
    }
}
