//! What a grant allows.
#![forbid(unsafe_code)]

/// A set of operations that a user may do on an object, one bit each. The bits are stored: they never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Rights(pub u32);

/// What stands for the object in a grant that is on none: the right to make objects. No object has this identifier.
pub const NO_OBJECT: &str = "";

/// Names on the wire and bits, in the order in which lists show them.
const NAMES: [(&str, u32); 23] = [
    ("activate", 0),
    ("addattribute", 1),
    ("certify", 2),
    ("create", 3),
    ("decrypt", 4),
    ("deleteattribute", 5),
    ("derivekey", 6),
    ("destroy", 7),
    ("encrypt", 8),
    ("export", 9),
    ("get", 10),
    ("getattributes", 11),
    ("hash", 12),
    ("import", 13),
    ("locate", 14),
    ("mac", 15),
    ("modifyattribute", 16),
    ("rekey", 17),
    ("revoke", 18),
    ("setattribute", 19),
    ("sign", 20),
    ("signatureverify", 21),
    ("validate", 22),
];

impl Rights {
    /// No right at all.
    pub const NONE: Rights = Rights(0);
    /// Leave to activate.
    pub const ACTIVATE: Rights = Rights(1 << 0);
    /// Leave to add attributes.
    pub const ADD_ATTRIBUTE: Rights = Rights(1 << 1);
    /// Leave to create.
    pub const CREATE: Rights = Rights(1 << 3);
    /// Leave to decrypt.
    pub const DECRYPT: Rights = Rights(1 << 4);
    /// Leave to delete attributes.
    pub const DELETE_ATTRIBUTE: Rights = Rights(1 << 5);
    /// Leave to derive keys from it.
    pub const DERIVE_KEY: Rights = Rights(1 << 6);
    /// Leave to destroy.
    pub const DESTROY: Rights = Rights(1 << 7);
    /// Leave to encrypt.
    pub const ENCRYPT: Rights = Rights(1 << 8);
    /// Leave to export.
    pub const EXPORT: Rights = Rights(1 << 9);
    /// Leave to get.
    pub const GET: Rights = Rights(1 << 10);
    /// Leave to read attributes.
    pub const GET_ATTRIBUTES: Rights = Rights(1 << 11);
    /// Leave to put another in its place.
    pub const IMPORT: Rights = Rights(1 << 13);
    /// Leave to compute and verify message authentication codes.
    pub const MAC: Rights = Rights(1 << 15);
    /// Leave to modify attributes.
    pub const MODIFY_ATTRIBUTE: Rights = Rights(1 << 16);
    /// Leave to put a new key in its place.
    pub const REKEY: Rights = Rights(1 << 17);
    /// Leave to revoke.
    pub const REVOKE: Rights = Rights(1 << 18);
    /// Leave to set attributes.
    pub const SET_ATTRIBUTE: Rights = Rights(1 << 19);

    /// The right that `name` (lower case, `get`, `encrypt`..) stands for.
    pub fn named(name: &str) -> Option<Rights> {
        NAMES.iter().find(|(n, _)| *n == name).map(|(_, bit)| Rights(1 << bit))
    }

    /// The names of the rights, in alphabetical order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.iter().filter(move |(_, bit)| self.0 & (1 << bit) != 0).map(|(name, _)| *name)
    }

    /// Whether every right of `other` is among these.
    pub fn include(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }

    /// These and `other`.
    pub fn with(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }

    /// These but not `other`.
    pub fn without(self, other: Rights) -> Rights {
        Rights(self.0 & !other.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_bits_agree() {
        for (name, bit) in NAMES {
            assert_eq!(Rights::named(name), Some(Rights(1 << bit)));
            assert_eq!(Rights(1 << bit).names().collect::<Vec<_>>(), [name]);
        }
        assert_eq!(Rights::named("get"), Some(Rights::GET));
        assert_eq!(Rights::named("revoke"), Some(Rights::REVOKE));
        assert_eq!(Rights::named("Get"), None);
        let both = Rights::GET.with(Rights::ENCRYPT);
        assert!(both.include(Rights::GET) && !Rights::GET.include(both));
        assert_eq!(both.without(Rights::GET), Rights::ENCRYPT);
    }
}
