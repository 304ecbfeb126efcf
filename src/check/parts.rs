//! The messages of one frame.

use std::borrow::Cow;

use crate::history::Message;

/// The messages in one frame: a batch (revision 2025-03-26) has several.
pub(super) fn parts(message: &Message) -> Cow<'_, [Message]> {
    match message.body().as_array() {
        Some(batch) => batch.iter().cloned().map(Message::new).collect(),
        None => Cow::Borrowed(std::slice::from_ref(message)),
    }
}
