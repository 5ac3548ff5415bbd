//! Futures that are seldom needed, kept apart from those that always are.

use std::pin::Pin;

/// Puts a future on the heap, where it takes no room in the one that waits for it. That it is seldom needed is
/// told to the compiler too: the code for it is then laid out of the way of the usual, which is cold in the
/// processor's cache at each request.
#[cold]
#[inline(never)]
pub fn apart<F: Future>(future: F) -> Pin<Box<F>> {
    Box::pin(future)
}
