//! The bootstrap server, as far as it decides: what has been received from the owner, who is one, and the certificate's
//! subject. It starts with nothing, is told the database and the PKCS#12 file, and becomes the key server. Secrets stay in
//! memory that is overwritten; nothing of it is written anywhere.
#![forbid(unsafe_code)]

pub mod guard;
pub mod page;
pub mod provision;
pub mod subject;
