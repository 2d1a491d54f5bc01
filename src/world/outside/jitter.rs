use windlass_ground::random_bytes;

/// Returns a number from 0 to 1 that spreads retries: clients that were rejected or disconnected together must not retry together.
pub fn jitter() -> f64 {
    let mut bytes = [u8::MAX; 4];
    // Without randomness, the pause has its full length.
    random_bytes(&mut bytes).unwrap_or_default();
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}
