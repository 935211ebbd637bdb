//! The keys of one issuer.
#![forbid(unsafe_code)]

use crate::wire::jose::keys::{self, NamedKey, PublicKey};
use std::fmt;

/// A set that holds at least one key of use.
#[derive(Debug, PartialEq, Eq)]
pub struct KeySet(Vec<NamedKey>);

impl KeySet {
    /// The set in this JSON (JWKS). The error is one line for the operator.
    pub fn of_json(text: &mut [u8]) -> Result<KeySet, String> {
        let keys = keys::set(text)?;
        match keys.iter().any(|key| key.key.is_ok()) {
            true => Ok(KeySet(keys)),
            false => Err(match keys.first() {
                Some(NamedKey { id, key: Err(reason), .. }) => {
                    format!("none of its keys can be used; of {id:?}: {reason}")
                }
                _ => "it has no key with a \"kid\"".into(),
            }),
        }
    }

    /// The keys with this name: none, one, or several for different algorithms.
    pub fn named(&self, id: &str) -> impl Iterator<Item = &NamedKey> {
        self.0.iter().filter(move |key| key.id == id)
    }
}

/// The type of each key, or why it cannot be used.
impl fmt::Display for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, key) in self.0.iter().enumerate() {
            let kind = match &key.key {
                Ok(PublicKey::Rsa { .. }) => "RSA",
                Ok(PublicKey::P256(_)) => "P-256",
                Ok(PublicKey::P384(_)) => "P-384",
                Ok(PublicKey::Ed25519(_)) => "Ed25519",
                Err(reason) => reason,
            };
            write!(f, "{}{:?} ({kind})", if i > 0 { ", " } else { "" }, key.id)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_without_a_key_of_use_is_none() {
        let told = |text: &str| KeySet::of_json(&mut text.as_bytes().to_vec()).unwrap_err();
        assert_eq!(told(r#"{"keys":[]}"#), "it has no key with a \"kid\"");
        assert_eq!(told(r#"{"keys":[{"kty":"RSA"}]}"#), "it has no key with a \"kid\"");
        assert_eq!(
            told(r#"{"keys":[{"kid":"a","kty":"RSA","use":"enc"}]}"#),
            "none of its keys can be used; of \"a\": it is not for signatures"
        );
    }
}
