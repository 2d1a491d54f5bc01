//! The prices of AWS Private CA.
//!
//! Source: the price list that AWS publishes for the region us-east-1 (offer AWSCertificateManager, in effect since 2025-07-01), which
//! <https://aws.amazon.com/private-ca/pricing/> shows. Most regions cost the same; an account's own discounts and the
//! first 30 days of its first CA, which are free, are not counted.

use serde_json::{Value as Json, json};

/// What the prices are of.
pub const SOURCE: &str = "AWS list prices of us-east-1, in effect since 2025-07-01 (https://aws.amazon.com/private-ca/pricing/)";

/// USD.
pub type Usd = f64;

/// The prices of one mode of a CA.
pub struct Mode {
    pub name: &'static str,
    /// The price of each CA that is not deleted, whatever its status; charged by the day.
    pub a_month: Usd,
    /// The price of each certificate that it issues, up to a number in a calendar month, account and region.
    pub certificates: &'static [(u64, Usd)],
}

/// The default mode of a CA, which Windlass always uses.
pub const GENERAL_PURPOSE: Mode = Mode {
    name: "general-purpose",
    a_month: 400.0,
    certificates: &[(1_000, 0.75), (10_000, 0.35), (u64::MAX, 0.001)],
};

/// The mode for certificates that are valid for at most seven days.
pub const SHORT_LIVED: Mode = Mode {
    name: "short-lived",
    a_month: 50.0,
    certificates: &[(u64::MAX, 0.058)],
};

impl Mode {
    /// Returns the price of this many certificates, if they are the first of their month.
    pub fn issuing(&self, count: u64) -> Usd {
        let mut before = 0;
        let mut sum = 0.0;
        for (up_to, price) in self.certificates {
            let of_tier = count.min(*up_to).saturating_sub(before);
            sum += of_tier as Usd * price;
            before = *up_to;
        }
        sum
    }

    /// Returns the prices for programs.
    pub fn json(&self) -> Json {
        let tiers = self.certificates.iter().map(|(up_to, price)| {
            json!({ "up_to": (*up_to != u64::MAX).then_some(up_to), "usd": price })
        });
        json!({ "mode": self.name, "usd_a_month": self.a_month, "certificates": tiers.collect::<Vec<_>>() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_charged_by_tiers() {
        let costs = |count| (GENERAL_PURPOSE.issuing(count) * 1000.0).round() / 1000.0;
        assert_eq!(costs(0), 0.0);
        assert_eq!(costs(4), 3.0);
        assert_eq!(costs(1_000), 750.0);
        assert_eq!(costs(1_001), 750.35);
        assert_eq!(costs(10_000), 750.0 + 3_150.0);
        assert_eq!(costs(20_000), 750.0 + 3_150.0 + 10.0);
        assert_eq!((SHORT_LIVED.issuing(1_000) * 10.0).round(), 580.0);
    }
}
