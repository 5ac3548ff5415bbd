//! The memory for TLS records that all connections of a lane share.
//!
//! It is used within one poll: what must outlive that is the connection's own, and mostly nothing.

use std::cell::{RefCell, RefMut};

/// Payload that is encrypted at once: four full records, and what is left of a piece of a body that was framed.
pub(super) const PAYLOAD_BYTES_MAX: usize = 68 * 1024;
/// What encryption and framing add to five records, and a message of TLS's own that goes before them.
const ADDED_BYTES_MAX: usize = 1024;

/// Two buffers: for records that come, and for records that go.
pub struct Records {
    coming: RefCell<Box<[u8]>>,
    going: RefCell<Box<[u8]>>,
}

impl Default for Records {
    fn default() -> Self {
        let buffer = |size| RefCell::new(vec![0; size].into_boxed_slice());
        Self {
            coming: buffer(2 * PAYLOAD_BYTES_MAX),
            going: buffer(PAYLOAD_BYTES_MAX + ADDED_BYTES_MAX),
        }
    }
}

impl Records {
    /// For records as they come. Hold it for one poll, never across an await.
    pub(super) fn coming(&self) -> RefMut<'_, Box<[u8]>> {
        self.coming.borrow_mut()
    }

    /// For records as they go. Hold it for one poll, never across an await.
    pub(super) fn going(&self) -> RefMut<'_, Box<[u8]>> {
        self.going.borrow_mut()
    }
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Records")
    }
}
