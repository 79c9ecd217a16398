//! A string that shares the bytes of the frame it came from.
//!
//! 16 bytes, also inside an `Option`, so that decoded names stay within the memory budget. It keeps
//! its whole frame alive: copy it (`to_string`) to store it for longer than a request.

use bytes::Bytes;
use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Range};
use std::sync::Arc;

/// An immutable UTF-8 string, cheap to clone.
#[derive(Clone)]
pub struct WireString {
    /// Absent for the empty string.
    owner: Option<Arc<Bytes>>,
    start: u32,
    length: u16,
    extent: Extent,
}

/// How much of the owner is the string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// `start` and `length` say it.
    Part,
    /// All of it.
    Whole,
}

const _: () = assert!(size_of::<Option<WireString>>() == 16);

impl WireString {
    /// A part of a frame; the caller has checked that it is UTF-8.
    pub(crate) fn from_frame(frame: &Arc<Bytes>, range: Range<usize>) -> Self {
        match (u32::try_from(range.start), u16::try_from(range.len())) {
            (Ok(start), Ok(length)) => Self {
                owner: Some(Arc::clone(frame)),
                start,
                length,
                extent: Extent::Part,
            },
            _ => Self::whole(frame.slice(range)),
        }
    }

    fn whole(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            return Self::default();
        }
        Self {
            owner: Some(Arc::new(bytes)),
            start: 0,
            length: 0,
            extent: Extent::Whole,
        }
    }

    /// The string itself.
    pub fn as_str(&self) -> &str {
        let Some(owner) = &self.owner else { return "" };
        let bytes: Option<&[u8]> = match self.extent {
            Extent::Whole => Some(owner),
            Extent::Part => usize::try_from(self.start)
                .ok()
                .and_then(|start| owner.get(start..start.checked_add(usize::from(self.length))?)),
        };
        let bytes = bytes.expect("the range was inside the frame when the string was built");
        std::str::from_utf8(bytes).expect("the bytes were UTF-8 when the string was built")
    }
}

impl Default for WireString {
    fn default() -> Self {
        Self {
            owner: None,
            start: 0,
            length: 0,
            extent: Extent::Whole,
        }
    }
}

impl Deref for WireString {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for WireString {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for WireString {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for WireString {
    fn from(text: &str) -> Self {
        Self::whole(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for WireString {
    fn from(text: String) -> Self {
        Self::whole(Bytes::from(text))
    }
}

impl From<&String> for WireString {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl PartialEq for WireString {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for WireString {}

impl PartialEq<str> for WireString {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for WireString {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialOrd for WireString {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for WireString {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for WireString {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for WireString {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), out)
    }
}

impl fmt::Display for WireString {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), out)
    }
}
