//! The allocator of the process: the system's, but that all memory is overwritten before it is given back. What a library
//! frees is, and what a buffer leaves behind that grows; OpenSSL, which is no Rust, is told to do the same.
#![allow(unsafe_code)] // The trait is, and so is C; each block is one call, and passes on what the caller has promised.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

#[global_allocator]
static ALLOCATOR: Overwriting = Overwriting;

/// A page of the embedded database with what counts its owners. A read of what is in no cache takes one for each level of
/// the tree, and gives as many back: blocks of this size are beyond the lists from which the system allocates at once.
const PAGE: Layout = Layout::new::<[usize; 2 + 4096 / size_of::<usize>()]>();

/// Blocks of that size that nobody has.
static SPARE_PAGES: [AtomicPtr<u8>; 2] = [const { AtomicPtr::new(ptr::null_mut()) }; 2];

/// The larger page of the processor: who allocates so many zeros gets one, where the kernel has any. A cache that is read
/// here and there needs one look into the page tables instead of hundreds.
const LARGE_PAGE: usize = 2 * 1024 * 1024;

struct Overwriting;

// SAFETY: the system's allocator does it all; what is written between was the caller's until then. What grows or shrinks is
// moved: the trait's own `realloc` allocates, copies and frees. A spare page is a block of the system's that was allocated
// with the same layout, and whoever takes it out of its place has it alone.
unsafe impl GlobalAlloc for Overwriting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout == PAGE
            && let Some(page) = spare_page()
        {
            return page;
        }
        // SAFETY: as the caller has promised.
        unsafe { System.alloc(aligned(layout)) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() == LARGE_PAGE {
            return large_page(layout);
        }
        // SAFETY: as the caller has promised.
        unsafe { System.alloc_zeroed(layout) }
    }

    // Inlined into each place that frees something, it is 0.2 MB, and a batch of Encrypts takes longer by the twentieth part.
    #[inline(never)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block is the caller's until it is freed, and as large.
        unsafe { overwrite(block, layout.size()) };
        if layout == PAGE && is_kept(block) {
            return;
        }
        // SAFETY: as the caller has promised.
        unsafe { System.dealloc(block, aligned(layout)) };
    }
}

/// The layout with which the system's allocator is asked: only what begins with a large page can be one.
fn aligned(layout: Layout) -> Layout {
    if layout.size() == LARGE_PAGE { layout.align_to(LARGE_PAGE).unwrap_or(layout) } else { layout }
}

/// Zeros in one page of the processor.
#[inline(never)]
fn large_page(layout: Layout) -> *mut u8 {
    // SAFETY: the layout is not empty.
    let block = unsafe { System.alloc(aligned(layout)) };
    if !block.is_null() {
        // SAFETY: so much was allocated, and is nobody else's; advice changes nothing of what is in it.
        unsafe {
            libc::madvise(block.cast(), LARGE_PAGE, libc::MADV_HUGEPAGE);
            block.write_bytes(0, LARGE_PAGE);
        }
    }
    block
}

/// Takes a spare page out of its place.
#[inline(never)]
fn spare_page() -> Option<*mut u8> {
    SPARE_PAGES
        .iter()
        .map(|place| place.swap(ptr::null_mut(), Ordering::Acquire))
        .find(|page| !page.is_null())
}

/// Whether there was a place to keep this page in.
fn is_kept(page: *mut u8) -> bool {
    let keep = |place: &AtomicPtr<u8>| {
        place.compare_exchange(ptr::null_mut(), page, Ordering::Release, Ordering::Relaxed).is_ok()
    };
    SPARE_PAGES.iter().any(keep)
}

/// Overwrites so many bytes that are there.
unsafe fn overwrite(block: *mut u8, bytes: usize) {
    // SAFETY: as the caller has promised.
    unsafe { block.write_bytes(0, bytes) };
    // The compiler must not know that nobody reads this.
    zeroize::optimization_barrier(&block);
}

/// Lets OpenSSL overwrite what it frees: the parameters of a key derivation, passwords among them, it would leave as they are.
///
/// # Panics
///
/// If OpenSSL has allocated something before.
pub fn teach_openssl() {
    // SAFETY: the three are what OpenSSL asks for (CRYPTO_set_mem_functions(3)).
    let is_taught = unsafe { CRYPTO_set_mem_functions(allocate, reallocate, free) };
    assert!(is_taught == 1, "OpenSSL has allocated before it was told how to");
}

unsafe extern "C" {
    fn CRYPTO_set_mem_functions(
        malloc: unsafe extern "C" fn(usize, *const c_char, c_int) -> *mut c_void,
        realloc: unsafe extern "C" fn(*mut c_void, usize, *const c_char, c_int) -> *mut c_void,
        free: unsafe extern "C" fn(*mut c_void, *const c_char, c_int),
    ) -> c_int;
}

unsafe extern "C" fn allocate(bytes: usize, _file: *const c_char, _line: c_int) -> *mut c_void {
    // SAFETY: any size may be asked for.
    unsafe { libc::malloc(bytes) }
}

unsafe extern "C" fn reallocate(
    block: *mut c_void,
    bytes: usize,
    file: *const c_char,
    line: c_int,
) -> *mut c_void {
    // SAFETY: any size may be asked for.
    let moved = unsafe { libc::malloc(bytes) };
    if !moved.is_null() && !block.is_null() {
        // SAFETY: the block is one of ours, or the caller has broken his promise.
        let old_bytes = unsafe { libc::malloc_usable_size(block) };
        // SAFETY: both have so many bytes, and they are two.
        unsafe { ptr::copy_nonoverlapping(block.cast::<u8>(), moved.cast(), old_bytes.min(bytes)) };
        // SAFETY: the caller has given it up.
        unsafe { free(block, file, line) };
    }
    moved
}

unsafe extern "C" fn free(block: *mut c_void, _file: *const c_char, _line: c_int) {
    if block.is_null() {
        return;
    }
    // SAFETY: the block is one of ours.
    let bytes = unsafe { libc::malloc_usable_size(block) };
    // SAFETY: it has so many bytes, and is the caller's until it is freed.
    unsafe { overwrite(block.cast(), bytes) };
    // SAFETY: it was allocated above, and the caller has given it up.
    unsafe { libc::free(block) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;
    use std::{slice, thread};

    const WORDS: usize = PAGE.size() / size_of::<usize>();

    #[test]
    fn no_page_has_two_owners() {
        let owner = |number: usize| {
            for _ in 0..2_000 {
                let pages = [(); 3].map(|()| Box::new([number; WORDS]));
                assert!(pages.iter().all(|page| page.iter().all(|word| *word == number)));
            }
        };
        thread::scope(|scope| (1..=4).for_each(|number| drop(scope.spawn(move || owner(number)))));
    }

    #[test]
    fn a_large_page_is_where_the_processor_can_have_one_and_holds_nothing() {
        for _ in 0..3 {
            let mut page = vec![0_u8; LARGE_PAGE];
            assert!(page.as_ptr().addr().is_multiple_of(LARGE_PAGE));
            assert!(page.iter().all(|byte| *byte == 0));
            page.fill(1);
            black_box(page);
        }
    }

    #[test]
    fn a_spare_page_holds_nothing() {
        let mut seen = 0;
        // Others may take it meanwhile.
        for _ in 0..1_000 {
            drop(black_box(Box::new([usize::MAX; WORDS])));
            let Some(page) = spare_page() else { continue };
            // SAFETY: the page is nobody else's, was written whole, and goes back to where it came from.
            unsafe {
                assert!(slice::from_raw_parts(page, PAGE.size()).iter().all(|byte| *byte == 0));
                System.dealloc(page, PAGE);
            }
            seen += 1;
        }
        assert!(seen > 0);
    }
}
