//! Random tokens that authenticate links.

use std::fmt::Write as _;
use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

/// A random secret of 128 bits, in hexadecimal.
///
/// # Errors
/// When the system provides no random bytes.
pub fn secret() -> io::Result<String> {
    let mut bytes = [0_u8; 16];
    let mut n_filled = 0;
    while n_filled < bytes.len() {
        match getrandom(&mut bytes[n_filled..], GetRandomFlags::empty()) {
            Ok(n_more) => n_filled += n_more,
            // Happens only at boot, before the system has gathered enough randomness.
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(io::Error::other(format!("no secret can be drawn: {error}"))),
        }
    }
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::secret;

    #[test]
    fn secrets_are_whole_and_differ() {
        let (one, other) = (secret().unwrap(), secret().unwrap());
        assert_eq!(one.len(), 32);
        assert_ne!(one, other);
        assert!(one.chars().all(|c| c.is_ascii_hexdigit()));
    }
}
