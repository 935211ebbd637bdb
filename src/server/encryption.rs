//! Requests that are encrypted in themselves (JWE), whatever carries them: decrypted in place, before anybody looks at them.
//! Answers are not.
#![forbid(unsafe_code)]

use super::Shared;
use crate::limits;
use crate::wire::jose::encrypted;

/// All that is told of a request that cannot be decrypted: the step at which it failed would help those who guess.
const NOT_OPENED: &str =
    "Invalid Request: the encrypted request (JWE) cannot be opened with this server's key";
const TOO_LARGE: &str = "An encrypted request has at most 2 MiB.";
const _: () = assert!(limits::JWE_BODY_BYTES_MAX == 2 << 20, "as the text says");

impl Shared {
    /// Whether a body is to be decrypted: where there is a key for that, and it cannot be a document.
    pub(super) fn is_encrypted(&self, body: &[u8]) -> bool {
        self.decryption_key.is_some() && encrypted::is_compact(body)
    }

    /// The document in a body, or the status and text of the answer.
    pub(super) fn decrypt<'b>(&self, body: &'b mut [u8]) -> Result<&'b mut [u8], (u16, &'static str)> {
        if body.len() > limits::JWE_BODY_BYTES_MAX {
            return Err((413, TOO_LARGE));
        }
        let key = self.decryption_key.as_ref();
        key.and_then(|key| key.open(body)).ok_or((422, NOT_OPENED))
    }
}
