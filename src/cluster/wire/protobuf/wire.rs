/// The encoded value of a field.
pub(super) enum Raw<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// A fixed-size number, which no supported message has.
    Fixed,
}

/// Reads the next field of a message: its number and its value.
pub(super) fn next<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Raw<'a>)> {
    let key = varint(bytes)?;
    let raw = match key & 7 {
        0 => Raw::Varint(varint(bytes)?),
        1 => take(bytes, 8).map(|_| Raw::Fixed)?,
        2 => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            Raw::Bytes(take(bytes, length)?)
        }
        5 => take(bytes, 4).map(|_| Raw::Fixed)?,
        _ => return None,
    };
    Some((key >> 3, raw))
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
