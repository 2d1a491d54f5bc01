//! How often a fault of an embedded server strikes.

/// Reads a percentage from 0% to 100%, such as `10%`, as a number from 0 to 1.
pub fn chance_of(percentage: &str) -> Option<f64> {
    let percent = percentage.strip_suffix('%')?.parse::<f64>().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
}

/// Returns a number from 0 up to 1, made of random bytes: it strikes if it is below the chance.
pub fn drawn(random: [u8; 4]) -> f64 {
    f64::from(u32::from_be_bytes(random)) / (f64::from(u32::MAX) + 1.0)
}
