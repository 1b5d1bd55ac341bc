//! The folder `../shared` with recordings and the answers that independent programs computed.

use std::path::{Path, PathBuf};

use super::gunzip;

/// The folder with recordings and answers. On a machine that has only the repository there is
/// nothing to compare with: that is said, and is an error only in CI.
pub(crate) fn shared() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    if folder.join("data").is_dir() && folder.join("oracles").is_dir() {
        return Some(folder);
    }
    let missing = format!("{} with recordings and answers is missing", folder.display());
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    eprintln!("SKIPPED: {missing}; nothing was compared");
    None
}

/// The answer in a file, unpacked if need be.
pub(crate) fn answer(shared: &Path, name: &str) -> String {
    let bytes = std::fs::read(shared.join("oracles").join(name)).unwrap();
    let bytes = if name.ends_with(".gz") { gunzip(&bytes) } else { bytes };
    String::from_utf8(bytes).unwrap()
}

/// Compares whole texts, and on a difference shows only where it begins.
#[track_caller]
pub(crate) fn assert_same(name: &str, got: &str, expected: &str) {
    if got == expected {
        return;
    }
    let mut lines = got.split('\n').zip(expected.split('\n')).enumerate();
    match lines.find(|(_, (got, expected))| got != expected) {
        Some((index, (got, expected))) => {
            panic!("{name}:{}\n     got {got:?}\nexpected {expected:?}", index + 1)
        }
        None => panic!("{name}: {} bytes instead of {}", got.len(), expected.len()),
    }
}
