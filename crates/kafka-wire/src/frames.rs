//! The length prefix of a frame.
//!
//! A frame is four bytes of length and that many bytes. The length is only a claim: nothing is
//! allocated for it here.

/// Bytes of the length prefix.
pub const PREFIX_BYTES: usize = 4;

/// A length that no frame may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length is below zero.
    #[error("a frame of negative length {length}")]
    Negative { length: i32 },
    /// The length is above the limit.
    #[error("a frame of {length} bytes, the limit is {limit}")]
    TooLarge { length: usize, limit: usize },
}

/// The length of the frame that begins here, without its prefix; `None` if the prefix is not
/// complete yet.
pub fn peek_frame(bytes: &[u8], limit: usize) -> Result<Option<usize>, FrameError> {
    let Some(prefix) = bytes.first_chunk::<PREFIX_BYTES>() else {
        return Ok(None);
    };
    let claimed = i32::from_be_bytes(*prefix);
    let length =
        usize::try_from(claimed).map_err(|_negative| FrameError::Negative { length: claimed })?;
    if length > limit {
        return Err(FrameError::TooLarge { length, limit });
    }
    Ok(Some(length))
}
