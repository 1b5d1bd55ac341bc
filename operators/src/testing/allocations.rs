//! [`CountingAllocator`]: how much a thread allocates.

#![expect(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The system's allocator, which counts for each thread how often it was asked for memory.
///
/// A test program that installs it gets [`Rule::NoAllocation`](super::Rule::NoAllocation)
/// checked; without it that rule is reported as not measured.
///
/// ```
/// use aqueduct_operators::testing::{CountingAllocator, allocations};
///
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator;
///
/// # fn main() {
/// let before = allocations().unwrap();
/// let boxed = Box::new(1);
/// assert_eq!(allocations().unwrap(), before + usize::try_from(*boxed).unwrap());
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct CountingAllocator;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

static INSTALLED: AtomicBool = AtomicBool::new(false);

/// How often this thread has allocated so far; `None` if the program's global allocator is not a
/// [`CountingAllocator`].
pub fn allocations() -> Option<usize> {
    INSTALLED.load(Relaxed).then(|| COUNT.get())
}

fn count() {
    INSTALLED.store(true, Relaxed);
    // A thread that ends may allocate after its locals are gone; nobody asks about those.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as promised by the caller.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as promised by the caller.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(memory, layout) }
    }
}
