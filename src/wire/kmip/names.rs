//! Names that are looked up often: in open hash tables that are made when the program is compiled.
#![forbid(unsafe_code)]

/// Names, and what each stands for.
#[derive(Debug)]
pub struct Names<V: 'static> {
    entries: &'static [(&'static str, V)],
    slots: &'static [u16],
}

impl<V: Copy> Names<V> {
    /// The names of `entries`, of which [`slots`] has made `slots`.
    pub const fn new(entries: &'static [(&'static str, V)], slots: &'static [u16]) -> Names<V> {
        Names { entries, slots }
    }

    /// What `name` stands for.
    pub fn get(&self, name: &[u8]) -> Option<V> {
        let mut slot = hash(name);
        loop {
            slot &= self.slots.len() - 1;
            let (known, value) = self.entries[usize::from(self.slots[slot]).checked_sub(1)?];
            if known.as_bytes() == name {
                return Some(value);
            }
            slot += 1;
        }
    }

    /// How many slots there are between a name and its own, at most.
    #[cfg(test)]
    pub fn distance_max(&self) -> usize {
        let count = self.slots.len();
        let distance = |(slot, &entry): (usize, &u16)| {
            let (name, _) = self.entries[usize::from(entry).checked_sub(1)?];
            Some((slot + count - hash(name.as_bytes()) % count) % count)
        };
        self.slots.iter().enumerate().filter_map(distance).max().unwrap_or(0)
    }

    /// All of them, in their order.
    pub fn entries(&self) -> &'static [(&'static str, V)] {
        self.entries
    }
}

/// How many slots so many names have: a power of two, twice the names at least. A probe ends at the first empty slot, soon.
pub const fn slot_count(names: usize) -> usize {
    (2 * names + 1).next_power_of_two()
}

/// A table of indices into `entries`, counted from one; zero is empty.
pub const fn slots<V, const COUNT: usize>(entries: &[(&str, V)]) -> [u16; COUNT] {
    let mut slots = [0; COUNT];
    let mut at = 0;
    while at < entries.len() {
        let mut slot = hash(entries[at].0.as_bytes()) % COUNT;
        while slots[slot] != 0 {
            slot = (slot + 1) % COUNT;
        }
        at += 1;
        slots[slot] = at as u16;
    }
    slots
}

/// Both ends and the length tell the names apart well enough.
const fn hash(name: &[u8]) -> usize {
    let (first, last) = match (name.first_chunk(), name.last_chunk()) {
        (Some(first), Some(last)) => (u32::from_le_bytes(*first), u32::from_le_bytes(*last)),
        _ if name.is_empty() => (0, 0),
        _ => (name[0] as u32, name[name.len() - 1] as u32),
    };
    let sample = first as u64 | (last as u64) << 32;
    ((sample ^ name.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize
}
