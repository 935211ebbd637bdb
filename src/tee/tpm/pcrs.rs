//! Platform configuration registers (PCRs): which, and the file that says what they held.
#![forbid(unsafe_code)]

use crate::wire::hex;
use std::fmt;

/// PCRs of a TPM for PCs (TCG PC Client Platform TPM Profile).
const COUNT: u32 = 24;
const TITLE: &str = "PCRs that the platform's key is bound to, version 1";
const BANK: &str = "sha256:";

/// A set of PCRs of the SHA-256 bank: at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pcrs(u32);

impl Pcrs {
    /// From numbers with commas: `0,2,7`.
    pub fn parse(list: &str) -> Option<Pcrs> {
        let bit = |number: &str| {
            let number: u32 = number.trim().parse().ok()?;
            (number < COUNT).then(|| 1 << number)
        };
        list.split(',').map(bit).try_fold(0, |set, bit| Some(set | bit?)).map(Pcrs)
    }

    /// Each of them.
    pub fn each(self) -> impl Iterator<Item = Pcrs> {
        self.numbers().map(|number| Pcrs(1 << number))
    }

    /// A bit for each, PCR 0 the lowest (TPMS_PCR_SELECTION).
    pub fn bits(self) -> [u8; 3] {
        let [low, middle, high, _] = self.0.to_le_bytes();
        [low, middle, high]
    }

    fn numbers(self) -> impl Iterator<Item = u32> {
        (0..COUNT).filter(move |number| self.0 & 1 << number != 0)
    }
}

impl fmt::Display for Pcrs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.numbers().map(|number| number.to_string()).collect();
        f.write_str(&numbers.join(","))
    }
}

/// The file for a policy.
pub fn encode(pcrs: Pcrs, policy_digest: &[u8]) -> String {
    let mut digits = Vec::new();
    hex::encode(policy_digest, &mut digits);
    format!("{TITLE}\n{BANK}{pcrs}\n{}\n", String::from_utf8_lossy(&digits))
}

/// The PCRs and the digest of the policy in the file; `None` where it is no file of ours.
pub fn decode(content: &str) -> Option<(Pcrs, Vec<u8>)> {
    let mut lines = content.lines();
    (lines.next()? == TITLE).then_some(())?;
    let pcrs = Pcrs::parse(lines.next()?.strip_prefix(BANK)?)?;
    let mut digits = lines.next()?.as_bytes().to_vec();
    let digest = hex::decode_in_place(&mut digits)?.to_vec();
    (digest.len() == 32 && lines.next().is_none()).then_some((pcrs, digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_a_set() {
        let pcrs = Pcrs::parse("7,0, 16,7").unwrap();
        assert_eq!(pcrs.to_string(), "0,7,16");
        assert_eq!(pcrs.bits(), [0x81, 0, 1]);
        assert_eq!(pcrs.each().map(Pcrs::bits).collect::<Vec<_>>(), [[1, 0, 0], [0x80, 0, 0], [0, 0, 1]]);
        for bad in ["", "24", "-1", "0,", "a", "0;1"] {
            assert_eq!(Pcrs::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_file_survives() {
        let (pcrs, digest) = (Pcrs::parse("0,23").unwrap(), vec![0xA5; 32]);
        let content = encode(pcrs, &digest);
        let digits = "A5".repeat(32);
        assert_eq!(
            content,
            format!("PCRs that the platform's key is bound to, version 1\nsha256:0,23\n{digits}\n")
        );
        assert_eq!(decode(&content), Some((pcrs, digest)));
        for bad in
            [String::new(), content.replace("sha256", "sha1"), content.replace("A5A5", "A5"), content + "x"]
        {
            assert_eq!(decode(&bad), None, "{bad}");
        }
    }
}
