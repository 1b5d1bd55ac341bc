//! Finds the diagrams in the documentation of a method.

use std::path::{Path, PathBuf};

/// `file!()` is relative to the workspace, or to what the compiler was told.
pub(super) fn source_file(manifest: &str, file: &str) -> PathBuf {
    let file = Path::new(file);
    let manifest = Path::new(manifest);
    let bases = manifest.ancestors().map(|base| base.join(file));
    bases.into_iter().find(|path| path.is_file()).unwrap_or_else(|| file.to_owned())
}

/// The ```text blocks in the documentation of the first `fn` of this name that has any.
pub(super) fn blocks_of(source: &str, method: &str) -> Vec<String> {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let is_it = |line: &&str| {
        let Some((before, after)) = line.split_once(&format!("fn {method}")) else {
            return false;
        };
        !before.starts_with("//") && after.starts_with(['(', '<'])
    };
    for at in (0..lines.len()).filter(|at| is_it(&lines[*at])) {
        let above = lines[..at].iter().rev().take_while(|line| {
            !line.is_empty() && !line.ends_with(['}', ';', '{']) || line.starts_with("///")
        });
        let docs: Vec<&str> = above.filter_map(|line| line.strip_prefix("///")).collect();
        let blocks = text_blocks(docs.into_iter().rev());
        if !blocks.is_empty() {
            return blocks;
        }
    }
    Vec::new()
}

fn text_blocks<'a>(docs: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    let mut inside: Option<String> = None;
    for line in docs {
        let line = line.strip_prefix(' ').unwrap_or(line);
        inside = match inside {
            None if line.trim_end() == "```text" => Some(String::new()),
            Some(block) if line.starts_with("```") => {
                blocks.push(block);
                None
            }
            Some(block) => Some(block + line + "\n"),
            None => None,
        };
    }
    blocks
}
