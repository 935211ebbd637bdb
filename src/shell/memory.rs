//! What the process keeps in memory: how much that is, what it gives back, and what it keeps out of swap.
#![allow(unsafe_code)] // System calls that std does not offer; each block is one call and says why it is sound.

use super::os::check;
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

/// Blocks as large have pages of their own, which go back to the system when freed; smaller ones are reused without
/// page faults.
#[cfg(target_env = "gnu")]
const ALLOCATOR_THRESHOLD_BYTES: i32 = 1024 * 1024;

/// Gives freed memory back to the system. Left to itself, glibc raises its thresholds to the size of the largest block
/// that was ever freed and keeps twice as much for reuse: after a few bodies of 20 MiB, 107 MB stay resident instead of 5.
pub fn tune_allocator() {
    #[cfg(target_env = "gnu")]
    for parameter in [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD] {
        // SAFETY: mallopt takes integers only; a refused one leaves the default.
        unsafe { libc::mallopt(parameter, ALLOCATOR_THRESHOLD_BYTES) };
    }
}

/// Gives back the pages of the program's own file that the start has come by. It runs through more of the program than a
/// server that waits; who comes to such a page again finds it in the kernel's cache of files, at the price of a fault
/// without I/O. To be called before the sandbox, which lets nobody see the mappings, and before other threads run.
pub fn give_back() {
    let Ok(smaps) = fs::read_to_string("/proc/self/smaps") else { return };
    for Range { start, end } in unchanged(&smaps) {
        let address = std::ptr::with_exposed_provenance_mut(start);
        // SAFETY: all of these pages are the file's as it is: to read one again reads the same.
        let given = check(unsafe { libc::madvise(address, end - start, libc::MADV_DONTNEED) });
        if let Err(error) = given {
            // Where memory is locked, for one.
            ::log::debug!("the pages of the start are kept: {error}");
        }
    }
}

/// The addresses of files (code, constants) that this process may not write and has no page of its own in: what is
/// relocated has some, and is left out, as is what a debugger has changed (proc(5), smaps).
fn unchanged(smaps: &str) -> Vec<Range<usize>> {
    let mut unchanged = Vec::new();
    let mut last = None;
    for line in smaps.lines() {
        match line.strip_prefix("Anonymous:") {
            Some(bytes) if bytes.trim() == "0 kB" => unchanged.extend(last.take()),
            Some(_) => last = None,
            None => last = of_file(line).or(last),
        }
    }
    unchanged
}

/// Of the first line about a mapping, its addresses, where it is of a file, read-only and private.
fn of_file(line: &str) -> Option<Range<usize>> {
    let mut columns = line.split_ascii_whitespace();
    let (start, end) = columns.next()?.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    let range = address(start)?..address(end)?;
    let is_constant = matches!(columns.next()?, "r--p" | "r-xp");
    let inode = columns.nth(2)?;
    (is_constant && inode != "0").then_some(range)
}

/// Bytes of seven numbers.
const STATM_BYTES_MAX: usize = 7 * 21;

/// The memory that this process has in use (proc(5), statm). The file is opened once, before the sandbox is entered.
pub fn resident_bytes() -> Option<u64> {
    static STATM: OnceLock<Option<File>> = OnceLock::new();
    let statm = STATM.get_or_init(|| File::open("/proc/self/statm").ok()).as_ref()?;
    let mut text = [0; STATM_BYTES_MAX];
    let length = statm.read_at(&mut text, 0).ok()?;
    let pages: u64 = str::from_utf8(&text[..length]).ok()?.split(' ').nth(1)?.parse().ok()?;
    // SAFETY: sysconf takes an integer.
    let page_bytes = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
    Some(pages * page_bytes)
}

/// Keeps the memory of this process out of swap, where its limit of locked memory allows that for all of it.
pub fn lock_memory() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for writes.
    let known = check(unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &mut limit) });
    if known.is_err() || limit.rlim_cur != libc::RLIM_INFINITY {
        ::log::info!("memory is not locked: its limit is {} bytes (ulimit -l, LimitMEMLOCK)", limit.rlim_cur);
        return;
    }
    // SAFETY: flags only.
    if let Err(error) =
        check(unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) })
    {
        ::log::info!("memory is not locked: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
10000000-10002000 r--p 00000000 fd:00 4711                               /keyway
Size:                  8 kB
Anonymous:             0 kB
VmFlags: rd mr mw me sd
10002000-10005000 r-xp 00002000 fd:00 4711                               /keyway
Anonymous:             0 kB
10005000-10006000 r--p 00005000 fd:00 4711                               /keyway
Anonymous:             4 kB
10006000-10007000 rw-p 00006000 fd:00 4711                               /keyway
Anonymous:             0 kB
10007000-10008000 r--s 00000000 fd:00 4712                               /shared
Anonymous:             0 kB
20000000-20001000 r--p 00000000 00:00 0
Anonymous:             0 kB
7ffe00000000-7ffe00002000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
";

    #[test]
    fn only_pages_that_are_in_a_file_as_they_are_in_memory_are_given_back() {
        assert_eq!(unchanged(SMAPS), [0x1000_0000..0x1000_2000, 0x1000_2000..0x1000_5000]);
    }
    /// Memory of files that lies in RAM, in kB.
    fn file_kilobytes() -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[test]
    fn what_is_given_back_is_taken_again_when_it_is_needed() {
        let before = file_kilobytes();
        give_back();
        let after = file_kilobytes();
        assert!(after < before, "{after} of {before} kB");
    }
}
