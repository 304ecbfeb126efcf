//! Lines of a link: how the recorder reads and writes them.

use tokio::io::AsyncWriteExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_util::codec::{FramedRead, LinesCodec};

/// Maximum length of a link's line, in bytes.
pub(super) const LINE_BYTES_MAX: usize = 1 << 20;

/// The lines of a link, as they arrive.
pub(super) type Lines = FramedRead<OwnedReadHalf, LinesCodec>;

/// Splits what arrives on a link into lines.
pub(super) fn lines_of(read: OwnedReadHalf) -> Lines {
    FramedRead::new(read, LinesCodec::new_with_max_length(LINE_BYTES_MAX))
}

/// Sends one line.
pub(super) async fn send(write: &mut OwnedWriteHalf, line: &str) -> std::io::Result<()> {
    let mut bytes = Vec::with_capacity(line.len() + 1);
    bytes.extend_from_slice(line.as_bytes());
    bytes.push(b'\n');
    write.write_all(&bytes).await
}
