//! Everything that nobody but its owner may read, and the search for it, in all spellings in which it could leak.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

/// Fewer bytes may stand anywhere by chance.
const SECRET_BYTES_MIN: usize = 16;
/// Of a long secret, these stand for all.
const SECRET_BYTES_MAX: usize = 64;
/// Bytes by which a spelling is found.
const PREFIX_BYTES: usize = 8;

/// A set of secrets.
#[derive(Default)]
pub struct Secrets {
    known: BTreeSet<Vec<u8>>,
    /// Spellings, and whose they are, by their first bytes.
    spellings: BTreeMap<[u8; PREFIX_BYTES], Vec<(Vec<u8>, String)>>,
    /// Whether a spelling begins with these two bytes: most places of what is searched are passed over by this alone.
    beginnings: Vec<bool>,
}

impl Secrets {
    /// Adds a secret, unless it is short or known. It is never shown: `name` is what a failure tells.
    pub fn add(&mut self, secret: &[u8], name: &str) {
        let secret = &secret[..secret.len().min(SECRET_BYTES_MAX)];
        if secret.len() < SECRET_BYTES_MIN || !self.known.insert(secret.to_vec()) {
            return;
        }
        self.beginnings.resize(1 << 16, false);
        let upper: String = secret.iter().map(|byte| format!("{byte:02X}")).collect();
        let decimals: Vec<String> = secret.iter().map(u8::to_string).collect();
        // In base64, the last bytes depend on what follows.
        let base64 = openssl::base64::encode_block(&secret[..secret.len() / 3 * 3]);
        let spellings = [
            secret.to_vec(),
            upper.to_ascii_lowercase().into_bytes(),
            upper.into_bytes(),
            base64.replace('+', "-").replace('/', "_").into_bytes(),
            base64.into_bytes(),
            decimals.join(", ").into_bytes(),
            decimals.join(",").into_bytes(),
        ];
        for spelling in spellings {
            let prefix = *spelling.first_chunk().expect("a secret has more bytes than its prefix");
            self.beginnings[beginning(&prefix)] = true;
            self.spellings.entry(prefix).or_default().push((spelling, name.to_owned()));
        }
    }

    /// The name of the first secret that `text` shows.
    pub fn find(&self, text: &[u8]) -> Option<&str> {
        self.shown(text).next()
    }

    /// The names of all secrets that `text` does not show.
    pub fn missing(&self, text: &[u8]) -> BTreeSet<&str> {
        let mut missing: BTreeSet<&str> =
            self.spellings.values().flatten().map(|(_, n)| n.as_str()).collect();
        for name in self.shown(text) {
            missing.remove(name);
        }
        missing
    }

    /// The name of the secret that `text` begins with.
    fn shown_at(&self, text: &[u8]) -> Option<&str> {
        let spellings = self.spellings.get(text.first_chunk::<PREFIX_BYTES>()?)?;
        spellings.iter().find(|(whole, _)| text.starts_with(whole)).map(|(_, name)| name.as_str())
    }

    fn shown<'s, 't>(&'s self, text: &'t [u8]) -> impl Iterator<Item = &'s str> + use<'s, 't> {
        let places = if self.known.is_empty() { 0 } else { (text.len() + 1).saturating_sub(PREFIX_BYTES) };
        let mut next = 0;
        // A loop, since most of the time of a simulation without optimisation is spent here.
        std::iter::from_fn(move || {
            while next < places {
                let at = next;
                next += 1;
                if self.beginnings[usize::from(text[at]) << 8 | usize::from(text[at + 1])]
                    && let Some(name) = self.shown_at(&text[at..])
                {
                    return Some(name);
                }
            }
            None
        })
    }
}

fn beginning(prefix: &[u8; PREFIX_BYTES]) -> usize {
    usize::from(prefix[0]) << 8 | usize::from(prefix[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_however_it_is_spelt() {
        let secret: Vec<u8> = (200..=231).collect();
        let mut secrets = Secrets::default();
        assert_eq!(secrets.find(&secret), None);
        secrets.add(&secret, "k1");
        secrets.add(b"too short", "k2");
        let base64 = openssl::base64::encode_block(&secret);
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        for text in [format!("x{secret:?}"), format!("key={hex}."), hex.to_uppercase(), base64] {
            assert_eq!(secrets.find(text.as_bytes()), Some("k1"), "{text}");
        }
        assert_eq!(secrets.find(&[&[0; 100], &secret[..]].concat()), Some("k1"));
        assert_eq!(secrets.find(&secret[..31]), None);
        assert_eq!(secrets.find(b"too short"), None);
    }
}
