/// The system has no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system could not provide random bytes")]
pub struct NoRandomness;

/// Fills the buffer with random bytes of the operating system, which are good enough for tokens and keys.
///
/// The generator of AWS-LC first measures the jitter of the processor for some 50 ms, which a command that only needs an id would
/// wait for.
///
/// # Errors
/// The system has no random bytes.
pub fn random_bytes(buffer: &mut [u8]) -> Result<(), NoRandomness> {
    getrandom::fill(buffer).map_err(|_| NoRandomness)
}
